/* Prints what driver calls cost, by one way to find them: the load of `make bench-hook`.
 *
 *     hook_calls ROUTE SET ROUNDS COUNT
 *
 * ROUTE is direct, dlsym or procaddress; SET is launches or allocations. Each of ROUNDS lines has
 * the name of a call and the ns that one of COUNT took. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda.h"

#define CUDA_VERSION 12080
#define MUST(call) must(call, #call)

/* The calls that are timed, found by the route; base is the name for cuGetProcAddress. */
#define CALLS(CALL)                                                                                \
    CALL(cuLaunchKernel, cuLaunchKernel)                                                           \
    CALL(cuLaunchKernelEx, cuLaunchKernelEx)                                                       \
    CALL(cuLaunchCooperativeKernel, cuLaunchCooperativeKernel)                                     \
    CALL(cuGraphLaunch, cuGraphLaunch)                                                             \
    CALL(cuMemcpyDtoDAsync_v2, cuMemcpyDtoDAsync)                                                  \
    CALL(cuMemsetD8Async, cuMemsetD8Async)                                                         \
    CALL(cuMemAlloc_v2, cuMemAlloc)                                                                \
    CALL(cuMemFree_v2, cuMemFree)

/* All are written by main's set-up, and only read after. */
static struct {
#define FIELD(symbol, base) __typeof__(&symbol) symbol;
    CALLS(FIELD)
} find;
static CUfunction kernel;
static CUstream stream;
static CUgraphExec graph;
static CUdeviceptr memory;

static void must(CUresult result, const char *call) {
    if (result == 0)
        return;
    fprintf(stderr, "%s: CUDA error %d\n", call, result);
    exit(1);
}

static void find_direct(void) {
#define DIRECT(symbol, base) find.symbol = symbol;
    CALLS(DIRECT)
}

static void find_by_dlsym(void) {
    void *driver = dlopen("libcuda.so.1", RTLD_NOW);
#define BY_DLSYM(symbol, base) find.symbol = (__typeof__(&symbol))dlsym(driver, #symbol);
    CALLS(BY_DLSYM)
}

static void find_by_proc_address(void) {
    int status;
#define BY_PROC_ADDRESS(symbol, base)                                                              \
    MUST(cuGetProcAddress_v2(#base, (void **)&find.symbol, CUDA_VERSION, 0, &status));
    CALLS(BY_PROC_ADDRESS)
}

static void launch(void) {
    find.cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL);
}

static void launch_ex(void) {
    CUlaunchConfig config = {1, 1, 1, 1, 1, 1, 0, stream, NULL, 0};
    find.cuLaunchKernelEx(&config, kernel, NULL, NULL);
}

static void launch_cooperative(void) {
    find.cuLaunchCooperativeKernel(kernel, 1, 1, 1, 1, 1, 1, 0, stream, NULL);
}

static void launch_graph(void) {
    find.cuGraphLaunch(graph, stream);
}

static void copy(void) {
    find.cuMemcpyDtoDAsync_v2(memory, memory + 4096, 4096, stream);
}

static void set(void) {
    find.cuMemsetD8Async(memory, 0, 4096, stream);
}

static void allocate(size_t bytes) {
    CUdeviceptr address;
    MUST(find.cuMemAlloc_v2(&address, bytes));
    find.cuMemFree_v2(address);
}

static void allocate_small(void) {
    allocate(64 << 10);
}

static void allocate_large(void) {
    allocate(4 << 20);
}

static const struct {
    const char *name, *set;
    void (*run)(void);
} TIMED[] = {
    {"cuLaunchKernel", "launches", launch},
    {"cuLaunchKernelEx", "launches", launch_ex},
    {"cuLaunchCooperativeKernel", "launches", launch_cooperative},
    {"cuGraphLaunch", "launches", launch_graph},
    {"cuMemcpyDtoDAsync", "launches", copy},
    {"cuMemsetD8Async", "launches", set},
    {"cuMemAlloc+cuMemFree_64KiB", "allocations", allocate_small},
    {"cuMemAlloc+cuMemFree_4MiB", "allocations", allocate_large},
};

static double ns_each(void (*run)(void), int count) {
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = count; i > 0; i--)
        run();
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ns = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
    return ns / count;
}

static void set_up(const char *route) {
    static const char PTX[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                              ".visible .entry work() {\n    ret;\n}\n";
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUgraph captured;
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, 0));
    MUST(cuDevicePrimaryCtxRetain(&context, device));
    MUST(cuCtxSetCurrent(context));
    MUST(cuModuleLoadData(&module, PTX));
    MUST(cuModuleGetFunction(&kernel, module, "work"));
    MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(cuMemAlloc_v2(&memory, 1 << 20));
    if (strcmp(route, "dlsym") == 0)
        find_by_dlsym();
    else if (strcmp(route, "procaddress") == 0)
        find_by_proc_address();
    else
        find_direct();
    MUST(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    launch();
    MUST(cuStreamEndCapture(stream, &captured));
    MUST(cuGraphInstantiateWithFlags(&graph, captured, 0));
}

int main(int count, char **words) {
    if (count != 5 || atoi(words[4]) < 1) {
        fputs("usage: hook_calls ROUTE SET ROUNDS COUNT\n", stderr);
        return 2;
    }
    set_up(words[1]);
    for (int round = atoi(words[3]); round > 0; round--)
        for (size_t i = 0; i < sizeof TIMED / sizeof TIMED[0]; i++)
            if (strcmp(TIMED[i].set, words[2]) == 0)
                printf("%s %.3f\n", TIMED[i].name, ns_each(TIMED[i].run, atoi(words[4])));
    return 0;
}
