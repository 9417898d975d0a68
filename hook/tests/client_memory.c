/* The scenarios of OUT/tests/client about memory. The lease has 1 GiB. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define MIB (1ull << 20)
#define CONTEXT (300 * MIB)

/* Returns what the lease holds, by what its process is told. */
static uint64_t held(void) {
    size_t free_bytes = 0, total = 0;
    return cuMemGetInfo_v2(&free_bytes, &total) == 0 ? total - free_bytes : UINT64_MAX;
}

static int capped(void) {
    size_t free_bytes, total;
    CUdeviceptr first, second, third = 4711;
    EXPECT(cuMemAlloc_v2(&first, 600 << 20) == 0);
    EXPECT(cuMemAlloc_v2(&third, 600 << 20) == CUDA_ERROR_OUT_OF_MEMORY && third == 4711);
    EXPECT(fake_stats()->allocations == 1); /* the driver was not asked */
    EXPECT(cuMemAlloc_v2(&third, 0) == CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemAlloc_v2(&second, 424 << 20) == 0);
    EXPECT(cuMemGetInfo_v2(&free_bytes, &total) == 0);
    EXPECT(free_bytes == 0 && total == 1 << 30);
    EXPECT(cuMemFree_v2(first | 1) == CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemFree_v2(first) == 0 && cuMemFree_v2(first) == 0);
    EXPECT(cuMemGetInfo_v2(&free_bytes, &total) == 0 && free_bytes == 600 << 20);
    EXPECT(cuDeviceTotalMem_v2(&total, 0) == 0 && total == 1 << 30);
    CUmemGenericAllocationHandle handle;
    CUmemAllocationProp property = {.location.type = CU_MEM_LOCATION_TYPE_DEVICE};
    EXPECT(cuMemCreate(&handle, 600 << 20, &property, 0) == 0);
    EXPECT(cuMemAlloc_v2(&third, 1) == CUDA_ERROR_OUT_OF_MEMORY);
    EXPECT(cuMemRelease(handle) == 0 && cuMemAlloc_v2(&third, SIZE_MAX) == 2);
    EXPECT(cuMemFree_v2(second) == 0);
    EXPECT(cuMemGetInfo_v2(&free_bytes, &total) == 0 && free_bytes == 1 << 30);
    return 0;
}

static int pitched(void) {
    CUdeviceptr address;
    size_t pitch;
    EXPECT(cuMemAllocPitch_v2(&address, &pitch, 1536, 1024, 4) == 0);
    EXPECT(pitch == 2048 && held() == 2 * MIB);
    EXPECT(cuMemAllocPitch_v2(&address, &pitch, SIZE_MAX, 2, 4) == CUDA_ERROR_OUT_OF_MEMORY);
    EXPECT(cuMemFree_v2(address) == 0 && held() == 0);
    return 0;
}

static int arrays(void) {
    CUDA_ARRAY3D_DESCRIPTOR cube = {256, 256, 16, CU_AD_FORMAT_FLOAT, 4, 0};
    CUDA_ARRAY3D_DESCRIPTOR sparse = {256, 256, 16, CU_AD_FORMAT_FLOAT, 4, CUDA_ARRAY3D_SPARSE};
    CUDA_ARRAY3D_DESCRIPTOR large = {65536, 65536, 0, CU_AD_FORMAT_HALF, 1, 0};
    CUarray array, none;
    CUmipmappedArray mipmap;
    EXPECT(cuArray3DCreate_v2(&array, &cube) == 0 && held() == 16 * MIB);
    EXPECT(cuArray3DCreate_v2(&none, &sparse) == 0 && held() == 16 * MIB);
    EXPECT(cuArray3DCreate_v2(&none, &large) == CUDA_ERROR_OUT_OF_MEMORY);
    EXPECT(cuMipmappedArrayCreate(&mipmap, &cube, 2) == 0 && held() == 34 * MIB);
    EXPECT(cuMipmappedArrayDestroy(mipmap) == 0 && held() == 16 * MIB);
    EXPECT(cuArrayDestroy(array) == 0 && held() == 0);
    cube.Width = 0;
    EXPECT(cuArray3DCreate_v2(&array, &cube) == CUDA_ERROR_INVALID_VALUE && held() == 0);
    return 0;
}

static int maps(void) {
    CUmemAllocationProp on_gpu = {.location.type = CU_MEM_LOCATION_TYPE_DEVICE};
    CUmemGenericAllocationHandle handle, same;
    EXPECT(cuMemCreate(&handle, 100 * MIB, &on_gpu, 0) == 0 && held() == 100 * MIB);
    EXPECT(cuMemMap(0x1000, 100 * MIB, 0, handle, 0) == 0);
    EXPECT(cuMemMap(0x1000 + 100 * MIB, 100 * MIB, 0, handle, 0) == 0);
    EXPECT(cuMemMap(0x1000, MIB, 1, handle, 0) == CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemRelease(handle) == 0 && held() == 100 * MIB); /* it is mapped */
    EXPECT(cuMemRetainAllocationHandle(&same, (void *)(uintptr_t)handle) == 0);
    EXPECT(cuMemUnmap(0x1000, 200 * MIB) == 0 && held() == 100 * MIB);
    EXPECT(cuMemRelease(same) == 0 && held() == 0);
    return 0;
}

/* Ends with 10 MiB pinned, 2 of them by registering, and 64 + 32 MiB imported. */
static int apart(void) {
    CUmemAllocationProp on_host = {.location.type = 3};
    CUmemGenericAllocationHandle ours, theirs;
    CUipcMemHandle exported = {{0}};
    CUdeviceptr address, again;
    void *pinned, *registered = (void *)0x10000;
    EXPECT(cuMemHostAlloc(&pinned, 8 * MIB, 0) == 0 && held() == 0);
    EXPECT(cuMemHostRegister_v2(registered, 2 * MIB, 0) == 0);
    EXPECT(cuMemHostRegister_v2(NULL, 2 * MIB, 0) == CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemHostAlloc(&pinned, 2048 * MIB, 0) == 0 && cuMemFreeHost(pinned) == 0);
    EXPECT(cuMemCreate(&ours, 4 * MIB, &on_host, 0) == 0 && cuMemRelease(ours) == 0);
    EXPECT(cuIpcOpenMemHandle_v2(&address, exported, 0) == 0);
    EXPECT(cuIpcOpenMemHandle_v2(&again, exported, 0) == 0 && again == address);
    EXPECT(cuIpcCloseMemHandle(address) == 0 && cuIpcCloseMemHandle(address) == 0);
    EXPECT(cuIpcOpenMemHandle_v2(&address, exported, 0) == 0);
    EXPECT(cuMemImportFromShareableHandle(&theirs, NULL, 1) == 0);
    EXPECT(cuMemMap(0x1000, 32 * MIB, 0, theirs, 0) == 0);
    EXPECT(cuMemMap(0x1000 + 32 * MIB, 32 * MIB, 0, theirs, 0) == 0);
    EXPECT(cuMemUnmap(0x1000, 32 * MIB) == 0 && cuMemRelease(theirs) == 0);
    EXPECT(held() == 0);
    return 0;
}

/* Ends with 64 MiB of an import that was mapped three times, the largest mapping gone. */
static int mapped_imports(void) {
    CUmemGenericAllocationHandle theirs, same;
    EXPECT(cuMemImportFromShareableHandle(&theirs, NULL, 1) == 0);
    EXPECT(cuMemMap(0x1000, 32 * MIB, 0, theirs, 0) == 0);
    EXPECT(cuMemMap(0x1000 + 32 * MIB, 64 * MIB, 0, theirs, 0) == 0);
    EXPECT(cuMemRetainAllocationHandle(&same, (void *)(uintptr_t)theirs) == 0);
    EXPECT(cuMemMap(0x1000 + 96 * MIB, 32 * MIB, 0, same, 0) == 0);
    EXPECT(cuMemMap(0x1000 + 96 * MIB, 80 * MIB, 1, same, 0) == CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemUnmap(0x1000, 96 * MIB) == 0);
    EXPECT(cuMemRelease(theirs) == 0 && cuMemRelease(same) == 0);
    EXPECT(held() == 0);
    return 0;
}

/* Ends with nothing: what was imported is given back, and what another's pool keeps never counts.
 */
static int ended_imports(void) {
    CUmemGenericAllocationHandle theirs;
    CUmemoryPool pool;
    CUdeviceptr address, again;
    uint64_t threshold = 1024 * MIB;
    EXPECT(cuMemImportFromShareableHandle(&theirs, NULL, 1) == 0);
    EXPECT(cuMemMap(0x1000, 32 * MIB, 0, theirs, 0) == 0 && cuMemRelease(theirs) == 0);
    EXPECT(cuMemUnmap(0x1000, 32 * MIB) == 0);
    fake_stats()->pool_reserved = 500 * MIB;
    EXPECT(cuMemPoolImportFromShareableHandle(&pool, NULL, 1, 0) == 0);
    EXPECT(cuMemPoolSetAttribute(pool, 4, &threshold) == 0 && held() == 0);
    EXPECT(cuMemPoolImportPointer(&address, pool, NULL) == 0);
    EXPECT(cuMemPoolImportPointer(&again, pool, NULL) == 0 && again == address);
    EXPECT(cuMemAlloc_v2(&again, 1000 * MIB) == 0 && held() == 1000 * MIB);
    EXPECT(cuMemFreeAsync(address, NULL) == 0 && cuMemFree_v2(again) == 0);
    EXPECT(held() == 0);
    return 0;
}

/* A pool whose threshold was raised keeps 600 MiB: they count until somebody needs them. */
static int pools(void) {
    CUdeviceptr address, plain;
    uint64_t threshold = 1024 * MIB;
    EXPECT(cuMemAllocAsync(&address, 100 * MIB, NULL) == 0 && held() == 100 * MIB);
    EXPECT(cuMemFreeAsync(address, NULL) == 0 && held() == 0);
    EXPECT(cuMemPoolTrimTo(FAKE_POOL, 0) == 0);
    EXPECT(cuMemPoolSetAttribute(FAKE_POOL, 4, &threshold) == 0);
    EXPECT(cuMemAllocAsync(&address, 600 * MIB, NULL) == 0 && held() == 600 * MIB);
    EXPECT(cuMemFreeAsync(address, NULL) == 0 && held() == 600 * MIB);
    uint64_t trims = fake_stats()->trims;
    EXPECT(cuMemAllocAsync(&address, 500 * MIB, NULL) == 0 && held() == 600 * MIB);
    EXPECT(fake_stats()->trims == trims);
    EXPECT(cuMemAlloc_v2(&plain, 500 * MIB) == 0 && held() == 1000 * MIB);
    EXPECT(fake_stats()->trims == trims + 1);
    EXPECT(cuMemAllocAsync(&address, 100 * MIB, NULL) == CUDA_ERROR_OUT_OF_MEMORY);
    return 0;
}

/* Ends with 600 MiB that a raised pool keeps, which nobody has asked about since, and 20 freed to a
 * pool that would keep no more. */
static int kept(void) {
    CUdeviceptr large, small;
    uint64_t threshold = 600 * MIB;
    EXPECT(cuMemPoolSetAttribute(FAKE_POOL, 4, &threshold) == 0);
    EXPECT(cuMemAllocAsync(&large, 600 * MIB, NULL) == 0);
    EXPECT(cuMemAllocAsync(&small, 20 * MIB, NULL) == 0);
    EXPECT(cuMemFreeAsync(large, NULL) == 0 && cuMemFreeAsync(small, NULL) == 0);
    return 0;
}

static int graph_memory(void) {
    const int64_t in_turn[] = {(int64_t)(300 * MIB), -(int64_t)(300 * MIB), (int64_t)(400 * MIB)};
    const int64_t large[] = {(int64_t)(700 * MIB)};
    CUgraphExec first, second;
    CUdeviceptr address;
    EXPECT(cuGraphInstantiateWithFlags(&first, fake_graph(NULL, 0), 0) == 0 && held() == 0);
    EXPECT(cuGraphInstantiateWithFlags(&first, fake_graph(in_turn, 3), 0) == 0);
    EXPECT(held() == 400 * MIB);
    EXPECT(cuGraphInstantiateWithFlags(&second, fake_graph(large, 1), 0) == 2);
    fake_stats()->graph_reserved = 500 * MIB; /* as if it had been launched */
    EXPECT(held() == 500 * MIB);
    EXPECT(cuGraphExecDestroy(first) == 0 && held() == 500 * MIB);
    EXPECT(cuMemAlloc_v2(&address, 600 * MIB) == 0 && held() == 600 * MIB); /* it was trimmed */
    return 0;
}

static int captured_memory(void) {
    CUdeviceptr address;
    CUstream stream;
    EXPECT(cuStreamCreate(&stream, 0) == 0 && cuStreamBeginCapture_v2(stream, 0) == 0);
    EXPECT(cuMemAllocAsync(&address, 600 * MIB, stream) == 0 && held() == 0);
    EXPECT(cuMemFreeAsync(address, stream) == 0 && held() == 0);
    EXPECT(cuMemAllocAsync(&address, 600 * MIB, NULL) == 0 && held() == 600 * MIB);
    return 0;
}

static int contexts(void) {
    CUcontext first, second, primary;
    uint64_t threshold = MIB;
    CUdeviceptr address;
    EXPECT(cuDevicePrimaryCtxRetain(&primary, 0) == 0 && held() == CONTEXT);
    EXPECT(cuCtxCreate_v2(&first, 0, 0) == 0 && cuMemAlloc_v2(&address, 100 * MIB) == 0);
    EXPECT(cuCtxCreate_v2(&second, 0, 0) == 0 && cuMemAlloc_v2(&address, 50 * MIB) == 0);
    EXPECT(held() == CONTEXT + 150 * MIB);
    EXPECT(cuCtxDestroy_v2(first) == 0 && held() == CONTEXT + 50 * MIB);
    EXPECT(cuCtxDestroy_v2(second) == 0 && held() == CONTEXT);
    EXPECT(cuCtxSetCurrent(primary) == 0 && cuMemAlloc_v2(&address, 70 * MIB) == 0);
    EXPECT(cuMemPoolSetAttribute(FAKE_POOL, 4, &threshold) == 0);
    EXPECT(cuMemAllocAsync(&address, 30 * MIB, NULL) == 0 && held() == CONTEXT + 100 * MIB);
    EXPECT(cuIpcOpenMemHandle_v2(&address, (CUipcMemHandle){{0}}, 0) == 0);
    fake_stats()->pool_reserved = 0; /* the pool goes with the last context */
    EXPECT(cuDevicePrimaryCtxRelease_v2(0) == 0 && held() == 0);
    return 0;
}

static void *take_and_free(void *failed) {
    for (int round = 0; round < 2000; round++) {
        CUdeviceptr plain, ordered;
        void *pinned;
        if (cuMemAlloc_v2(&plain, 3 * MIB) != 0 || cuMemHostAlloc(&pinned, MIB, 0) != 0 ||
            cuMemAllocManaged(&ordered, MIB, 1) != 0 || cuMemFree_v2(ordered) != 0 ||
            cuMemFreeHost(pinned) != 0 || cuMemFree_v2(plain) != 0)
            return failed;
    }
    return NULL;
}

static int in_threads(void) {
    pthread_t threads[4];
    EXPECT(client_open_context() == 0);
    for (int i = 0; i < 4; i++)
        EXPECT(pthread_create(&threads[i], NULL, take_and_free, threads) == 0);
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        EXPECT(pthread_join(threads[i], &failed) == 0 && failed == NULL);
    }
    EXPECT(held() == CONTEXT);
    return 0;
}

int client_memory(const char *scenario) {
    static const struct {
        const char *name;
        int (*run)(void);
    } scenarios[] = {
        {"capped", capped},
        {"pitched", pitched},
        {"arrays", arrays},
        {"maps", maps},
        {"apart", apart},
        {"mapped_imports", mapped_imports},
        {"ended_imports", ended_imports},
        {"pools", pools},
        {"kept", kept},
        {"in_threads", in_threads},
        {"contexts", contexts},
        {"graph_memory", graph_memory},
        {"captured_memory", captured_memory},
    };
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(scenario, scenarios[i].name) == 0)
            return scenarios[i].run();
    return 2;
}
