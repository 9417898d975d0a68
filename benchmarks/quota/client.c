/* A program that uses the GPU and knows nothing of gshare: the load of `make bench-quota`.
 *
 *     quota_client WORKLOAD SM_DEMAND KERNEL_US [SEED]
 *
 * Prints "ready" once its kernel is loaded, waits for a byte on stdin, and works until it is
 * killed. The workload "light" prints a line a request: how long its first launch took to pass,
 * and the whole request, both in ns. The workload "once" is one kernel, and ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cuda.h"

#define BURST_US 4000
#define GAP_NS 2000000
#define REQUEST_US 5000
#define KERNELS_IN_GRAPH 5
#define NS_PER_S 1000000000ll

/* Written by main before the workload starts, and only read after. */
static CUfunction kernel;
static CUstream stream;
static int kernel_us;
static unsigned int seed = 1;

#define MUST(call) must(call, #call)

static void must(CUresult result, const char *call) {
    if (result == 0)
        return;
    fprintf(stderr, "%s: CUDA error %d\n", call, result);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void launch(void) {
    MUST(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL));
}

static void run_tight(void) {
    for (;;)
        launch();
}

static void run_sync(void) {
    for (;;) {
        launch();
        MUST(cuStreamSynchronize(stream));
    }
}

static void compute_for(int64_t ns) {
    for (int64_t end = now_ns() + ns; now_ns() < end;)
        ;
}

static int kernels_in(int us) {
    return us > kernel_us ? (us + kernel_us / 2) / kernel_us : 1;
}

static void run_bursts(void) {
    for (;;) {
        for (int left = kernels_in(BURST_US); left > 0; left--)
            launch();
        MUST(cuStreamSynchronize(stream));
        compute_for(GAP_NS);
    }
}

static void run_ex(void) {
    CUlaunchConfig config = {1, 1, 1, 1, 1, 1, 0, stream, NULL, 0};
    for (;;)
        MUST(cuLaunchKernelEx(&config, kernel, NULL, NULL));
}

static void run_cooperative(void) {
    for (;;)
        MUST(cuLaunchCooperativeKernel(kernel, 1, 1, 1, 1, 1, 1, 0, stream, NULL));
}

static void run_graphs(void) {
    CUgraph graph;
    CUgraphExec exec;
    MUST(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    for (int left = KERNELS_IN_GRAPH; left > 0; left--)
        launch();
    MUST(cuStreamEndCapture(stream, &graph));
    MUST(cuGraphInstantiateWithFlags(&exec, graph, 0));
    for (;;)
        MUST(cuGraphLaunch(exec, stream));
}

/* Requests about every 100 ms (60 to 140), so that they come at any phase of the window. */
static void run_light(void) {
    for (;;) {
        usleep(60000 + (unsigned int)rand_r(&seed) % 80000);
        int64_t asked = now_ns();
        launch();
        int64_t passed = now_ns();
        for (int left = kernels_in(REQUEST_US) - 1; left > 0; left--)
            launch();
        MUST(cuStreamSynchronize(stream));
        printf("%lld %lld\n", (long long)(passed - asked), (long long)(now_ns() - asked));
        fflush(stdout);
    }
}

static void run_once(void) {
    launch();
    MUST(cuStreamSynchronize(stream));
}

static const struct workload {
    const char *name;
    void (*run)(void);
} WORKLOADS[] = {
    {"tight", run_tight},   {"sync", run_sync}, {"bursts", run_bursts},
    {"graphs", run_graphs}, {"ex", run_ex},     {"cooperative", run_cooperative},
    {"light", run_light},   {"once", run_once},
};

static const struct workload *find(const char *name) {
    for (size_t i = 0; i < sizeof WORKLOADS / sizeof WORKLOADS[0]; i++)
        if (strcmp(WORKLOADS[i].name, name) == 0)
            return &WORKLOADS[i];
    return NULL;
}

static void load_kernel(const char *sm_demand, const char *duration_us) {
    static const char PTX[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                              ".visible .entry work() {\n    .pragma \"gshare.simulated "
                              "sm_demand=%s duration_us=%s\";\n    ret;\n}\n";
    char text[sizeof PTX + 64];
    CUdevice device;
    CUcontext context;
    CUmodule module;
    snprintf(text, sizeof text, PTX, sm_demand, duration_us);
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, 0));
    MUST(cuDevicePrimaryCtxRetain(&context, device));
    MUST(cuCtxSetCurrent(context));
    MUST(cuModuleLoadData(&module, text));
    MUST(cuModuleGetFunction(&kernel, module, "work"));
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
}

int main(int count, char **words) {
    const struct workload *workload = count >= 4 ? find(words[1]) : NULL;
    char start;
    if (!workload || atoi(words[3]) < 1) {
        fputs("usage: quota_client WORKLOAD SM_DEMAND KERNEL_US [SEED]\n", stderr);
        return 2;
    }
    kernel_us = atoi(words[3]);
    seed = count > 4 ? (unsigned int)atoi(words[4]) : seed;
    load_kernel(words[2], words[3]);
    puts("ready");
    fflush(stdout);
    if (read(STDIN_FILENO, &start, 1) != 1)
        return 0;
    workload->run();
    return 0;
}
