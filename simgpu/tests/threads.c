/* Four threads use everything at once. Built with a sanitizer by tests/node/test_simgpu_threads.py,
 * which runs two of them on one GPU; exits 0 where every call succeeded and every callback ran. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../src/driver/driver.h"

enum { THREADS = 4, ROUNDS = 60, CALLBACK_EVERY = 10, LAUNCHES = 6, CHUNK = 2 << 20 };

static const char PTX[] = ".version 7.0\n"
                          ".entry work(.param .u64 a, .param .align 8 .b8 b[24]) {\n"
                          ".pragma \"gshare.simulated sm_demand=9 duration_us=20\"; ret; }\n"
                          ".entry other() { ret; }\n";

static CUcontext context;
static CUmemGenericAllocationHandle common; /* that all threads export */
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

/* Exports memory to ourselves, maps it, writes it, and lets it go. */
static void share(CUmemGenericAllocationHandle handle, uint8_t value) {
    CUmemAccessDesc access = {.location = {.type = 1}, .flags = 3};
    CUmemGenericAllocationHandle imported = 0;
    CUdeviceptr address = 0;
    int fd = -1;
    uint8_t seen = 0;

    MUST(cuMemExportToShareableHandle(&fd, handle, 1, 0));
    MUST(cuMemImportFromShareableHandle(&imported, (void *)(intptr_t)fd, 1));
    close(fd);
    MUST(cuMemAddressReserve(&address, CHUNK, 0, 0, 0));
    MUST(cuMemMap(address, CHUNK, 0, imported, 0));
    MUST(cuMemRelease(imported));
    MUST(cuMemSetAccess(address, CHUNK, &access, 1));
    MUST(cuMemsetD8_v2(address, value, 64));
    MUST(cuMemcpyDtoH_v2(&seen, address, 1));
    MUST(cuMemUnmap(address, CHUNK));
    MUST(cuMemAddressFree(address, CHUNK));
    if (handle != common && seen != value)
        exit(2);
}

static CUmemGenericAllocationHandle make_memory(void) {
    CUmemAllocationProp wanted = {.type = 1, .handle_types = 1, .location = {.type = 1}};
    CUmemGenericAllocationHandle handle = 0;

    MUST(cuMemCreate(&handle, CHUNK, &wanted, 0));
    return handle;
}

static void share_memory(void) {
    CUmemGenericAllocationHandle own = make_memory();
    CUipcMemHandle handle;
    CUdeviceptr memory = 0;

    share(own, 7);
    share(common, 8);
    MUST(cuMemRelease(own));
    MUST(cuMemAlloc_v2(&memory, 5000));
    MUST(cuMemsetD8_v2(memory, 9, 5000));
    MUST(cuIpcGetMemHandle(&handle, memory));
    MUST(cuMemFree_v2(memory));
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
    for (int round = 0; round < ROUNDS / 3; round++)
        share_memory();
    capture(function);
    MUST(cuModuleUnload(module));
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];

    MUST(cuInit(0));
    MUST(cuDevicePrimaryCtxRetain(&context, 0));
    MUST(cuCtxSetCurrent(context));
    common = make_memory();
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    MUST(cuMemRelease(common));
    MUST(cuCtxSynchronize());
    MUST(cuDevicePrimaryCtxRelease_v2(0));
    return callbacks == THREADS * (ROUNDS / CALLBACK_EVERY + LAUNCHES + 1) ? 0 : 1;
}
