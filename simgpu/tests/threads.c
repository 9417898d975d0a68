/* Four threads use everything at once. Built with a sanitizer by tests/node/test_simgpu_threads.py,
 * which runs two of them on one GPU; exits 0 where every call succeeded and every callback ran. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../src/driver/driver.h"

enum { THREADS = 4, ROUNDS = 60, CALLBACK_EVERY = 10, LAUNCHES = 6 };

static const char PTX[] = ".version 7.0\n"
                          ".entry work(.param .u64 a, .param .align 8 .b8 b[24]) {\n"
                          ".pragma \"gshare.simulated sm_demand=9 duration_us=20\"; ret; }\n"
                          ".entry other() { ret; }\n";

static CUcontext context;
static atomic_int callbacks;

static void must(CUresult result, int line) {
    if (result == CUDA_SUCCESS)
        return;
    fprintf(stderr, "line %d: CUDA error %d\n", line, result);
    exit(1);
}
#define MUST(call) must(call, __LINE__)

static void count(void *unused) {
    (void)unused;
    callbacks++;
}

static void round_trip(CUfunction function, int round) {
    char bytes[3000] = {1};
    CUstream stream = NULL;
    CUevent event = NULL;
    CUdeviceptr memory = 0;

    MUST(cuStreamCreate(&stream, (unsigned int)round & 1));
    MUST(cuEventCreate(&event, 0));
    MUST(cuMemAlloc_v2(&memory, round % 2 ? sizeof bytes : 3 << 20));
    MUST(cuMemcpyHtoD_v2(memory, bytes, sizeof bytes));
    for (int i = 0; i < 20; i++)
        MUST(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL));
    MUST(cuLaunchKernel_ptsz(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    MUST(cuEventRecord(event, stream));
    MUST(cuStreamWaitEvent(NULL, event, 0));
    if (round % CALLBACK_EVERY == 0)
        MUST(cuLaunchHostFunc(stream, count, NULL));
    MUST(cuEventSynchronize(event));
    if (round % 3 == 0)
        MUST(cuStreamSynchronize(stream));
    MUST(cuMemFree_v2(memory));
    MUST(cuEventDestroy_v2(event));
    MUST(cuStreamDestroy_v2(stream));
}

/* Captures two streams, and runs what was captured, with memory of the graph's own. */
static void capture(CUfunction function) {
    CUstream streams[2];
    CUevent events[2];
    CUgraph graph = NULL;
    CUgraphExec executable = NULL;
    CUdeviceptr memory = 0;

    for (int i = 0; i < 2; i++) {
        MUST(cuStreamCreate(&streams[i], 1));
        MUST(cuEventCreate(&events[i], 0));
    }
    MUST(cuStreamBeginCapture_v2(streams[0], 2));
    MUST(cuMemAllocAsync(&memory, 3 << 20, streams[0]));
    MUST(cuEventRecord(events[0], streams[0]));
    MUST(cuStreamWaitEvent(streams[1], events[0], 0));
    for (int i = 0; i < 10; i++)
        MUST(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, streams[i & 1], NULL, NULL));
    MUST(cuLaunchHostFunc(streams[1], count, NULL));
    MUST(cuEventRecord(events[1], streams[1]));
    MUST(cuStreamWaitEvent(streams[0], events[1], 0));
    MUST(cuMemFreeAsync(memory, streams[0]));
    MUST(cuStreamEndCapture(streams[0], &graph));
    MUST(cuGraphInstantiateWithFlags(&executable, graph, 0));
    MUST(cuGraphDestroy(graph));
    for (int i = 0; i < LAUNCHES; i++)
        MUST(cuGraphLaunch(executable, streams[i & 1]));
    MUST(cuGraphLaunch_ptsz(executable, NULL));
    MUST(cuStreamSynchronize_ptsz(NULL));
    MUST(cuGraphExecDestroy(executable));
    for (int i = 0; i < 2; i++) {
        MUST(cuStreamDestroy_v2(streams[i]));
        MUST(cuEventDestroy_v2(events[i]));
    }
}

static void *work(void *unused) {
    CUmodule module = NULL;
    CUfunction function = NULL;

    (void)unused;
    MUST(cuCtxSetCurrent(context));
    MUST(cuModuleLoadData(&module, PTX));
    MUST(cuModuleGetFunction(&function, module, "work"));
    for (int round = 0; round < ROUNDS; round++)
        round_trip(function, round);
    capture(function);
    MUST(cuModuleUnload(module));
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];

    MUST(cuInit(0));
    MUST(cuDevicePrimaryCtxRetain(&context, 0));
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    MUST(cuCtxSetCurrent(context));
    MUST(cuCtxSynchronize());
    MUST(cuDevicePrimaryCtxRelease_v2(0));
    return callbacks == THREADS * (ROUNDS / CALLBACK_EVERY + LAUNCHES + 1) ? 0 : 1;
}
