/* The test double's memory besides cuMemAlloc: it hands out keys and holds nothing. */
#include <stdlib.h>

#include "fake_libcuda.h"
#include "hook/driver_api.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define IMPORTED_BYTES (64ull << 20) /* size of whatever another process has exported */

struct CUgraphNode_st {
    int type;
    CUdeviceptr address;
    size_t bytes;
};
struct CUgraph_st {
    size_t count;
    struct CUgraphNode_st nodes[8];
};

static _Atomic uint64_t next_key = 0x500000000000;

static uint64_t new_key(void) {
    return atomic_fetch_add(&next_key, 512);
}

CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned int flags) {
    *address = (void *)new_key();
    return CUDA_SUCCESS;
}

CUresult cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned int flags) {
    *address = new_key();
    return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *address) {
    return CUDA_SUCCESS;
}

CUresult cuMemHostRegister_v2(void *address, size_t bytes, unsigned int flags) {
    return address ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemHostUnregister(void *address) {
    return CUDA_SUCCESS;
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height,
                            unsigned int element) {
    *pitch = (width + 1023) / 1024 * 1024; /* coarser than the hook guesses */
    *address = new_key();
    return CUDA_SUCCESS;
}

CUresult cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *shape) {
    *array = (CUarray)new_key();
    return shape->Width == 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuArrayDestroy(CUarray array) {
    return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *array, const CUDA_ARRAY3D_DESCRIPTOR *shape,
                                unsigned int levels) {
    *array = (CUmipmappedArray)new_key();
    return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray array) {
    return CUDA_SUCCESS;
}

CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset,
                  CUmemGenericAllocationHandle handle, unsigned long long flags) {
    return offset ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
    return CUDA_SUCCESS;
}

/* The address stands for the handle that is mapped there. */
CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address) {
    *handle = (CUmemGenericAllocationHandle)(uintptr_t)address;
    return CUDA_SUCCESS;
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *shared,
                                        int type) {
    *handle = new_key();
    return CUDA_SUCCESS;
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags) {
    *address = 0x600000000000;
    return CUDA_SUCCESS;
}

CUresult cuIpcCloseMemHandle(CUdeviceptr address) {
    return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr address) {
    *base = address;
    *bytes = IMPORTED_BYTES;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice *device) {
    *device = 0;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice device) {
    *pool = FAKE_POOL;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, int attribute, void *value) {
    return CUDA_SUCCESS;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, int attribute, void *value) {
    *(uint64_t *)value = fake_stats()->pool_reserved;
    return attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT ? CUDA_SUCCESS
                                                             : CUDA_ERROR_INVALID_VALUE;
}

/* The pool keeps what is allocated from it, which fake_stats knows. */
CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t bytes) {
    struct fake_stats *stats = fake_stats();
    atomic_fetch_add(&stats->trims, 1);
    stats->pool_reserved = stats->pool_used > bytes ? stats->pool_used : bytes;
    return CUDA_SUCCESS;
}

/* A pool that holds as much as the device's, and memory of it at one address. */
CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool *pool, void *shared, int type,
                                            unsigned long long flags) {
    *pool = (CUmemoryPool)0xc0;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolImportPointer(CUdeviceptr *address, CUmemoryPool pool, void *shared) {
    *address = 0x680000000000;
    return CUDA_SUCCESS;
}

CUresult cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream) {
    struct fake_stats *stats = fake_stats();
    *address = 0x480000000000 + bytes; /* so that the free knows */
    stats->pool_used += bytes;
    if (stats->pool_reserved < stats->pool_used)
        stats->pool_reserved = stats->pool_used;
    return CUDA_SUCCESS;
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
    fake_stats()->pool_used -= address - 0x480000000000;
    return CUDA_SUCCESS;
}

CUgraph fake_graph(const int64_t *sizes, size_t count) {
    CUgraph graph = calloc(1, sizeof *graph);
    graph->count = count;
    for (size_t i = 0; i < count; i++) {
        struct CUgraphNode_st *node = &graph->nodes[i];
        node->type = sizes[i] > 0 ? CU_GRAPH_NODE_TYPE_MEM_ALLOC : CU_GRAPH_NODE_TYPE_MEM_FREE;
        node->bytes = (size_t)llabs(sizes[i]);
        node->address = 0x400000000000 + node->bytes; /* a free names what has its size */
    }
    return graph;
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count) {
    for (size_t i = 0; nodes && i < graph->count; i++)
        nodes[i] = &graph->nodes[i];
    *count = graph->count;
    return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetType(CUgraphNode node, int *type) {
    *type = node->type;
    return CUDA_SUCCESS;
}

CUresult cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *parameters) {
    parameters->bytes = node->bytes;
    parameters->address = node->address;
    return CUDA_SUCCESS;
}

CUresult cuGraphMemFreeNodeGetParams(CUgraphNode node, CUdeviceptr *address) {
    *address = node->address;
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
    *exec = (CUgraphExec)new_key();
    return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice device, int attribute, void *value) {
    *(uint64_t *)value = fake_stats()->graph_reserved;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGraphMemTrim(CUdevice device) {
    fake_stats()->graph_reserved = 0;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    fake_stats()->primary_uses++;
    *context = (CUcontext)0x40;
    return cuCtxSetCurrent(*context);
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    fake_stats()->primary_uses--;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int *flags, int *active) {
    *active = fake_stats()->primary_uses != 0;
    return CUDA_SUCCESS;
}
