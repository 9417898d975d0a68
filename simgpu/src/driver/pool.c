/* Stream-ordered allocation and memory pools. Memory is taken and given back when the call is
 * made: queued kernels touch no memory, so the order of the stream cannot be observed. */
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "graph.h"

/* CUmemPool_attribute: 1-3 reuse rules (int), 4 release threshold, 5-8 bytes (uint64). */
enum { POOL_REUSE_LAST = 3, POOL_THRESHOLD = 4, POOL_USED_CURRENT = 7, POOL_ATTRIBUTES = 9 };

struct sim_pool {
    CUdevice device;
    uint64_t values[POOL_ATTRIBUTES];
};

/* One default pool a device; `current` is what cuDeviceSetMemPool chose. Under pool_lock. */
static struct sim_pool default_pools[SIM_MAX_GPUS];
static struct sim_pool *current_pools[SIM_MAX_GPUS];
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device) {
    CUresult result = gshare_sim_ready();

    if (result || !gshare_sim_board(device) || !pool)
        return result ? result : pool ? CUDA_ERROR_INVALID_DEVICE : CUDA_ERROR_INVALID_VALUE;
    default_pools[device].device = device;
    *pool = &default_pools[device];
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice device) {
    CUresult result = cuDeviceGetDefaultMemPool(pool, device);

    if (result)
        return result;
    pthread_mutex_lock(&pool_lock);
    if (current_pools[device])
        *pool = current_pools[device];
    pthread_mutex_unlock(&pool_lock);
    return CUDA_SUCCESS;
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool) {
    CUresult result = gshare_sim_ready();

    if (result || !gshare_sim_board(device) || !pool)
        return result ? result : pool ? CUDA_ERROR_INVALID_DEVICE : CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&pool_lock);
    current_pools[device] = pool;
    pthread_mutex_unlock(&pool_lock);
    return CUDA_SUCCESS;
}

/* In a captured stream memory becomes the graph's. */
static CUresult capture_allocation(struct sim_queue *queue, struct sim_board *board, size_t bytes,
                                   CUdeviceptr *pointer) {
    CUgraphNodeParams node = {.type = NODE_ALLOCATE};
    CUresult result = pointer ? gshare_sim_graph_reserve(board, bytes, &node.allocation.pointer)
                              : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    enum { TYPE_PINNED = 1, LOCATION_DEVICE = 1 };
    node.allocation.pool.allocation_type = TYPE_PINNED;
    node.allocation.pool.location =
        (CUmemLocation){.type = LOCATION_DEVICE, .id = queue->context->device};
    node.allocation.bytes = bytes;
    result = gshare_sim_capture(queue, &node);
    *pointer = node.allocation.pointer;
    gshare_sim_graph_unreserve(node.allocation.pointer); /* the node has its own hold */
    return result;
}

static CUresult allocate(struct sim_board *board, CUdeviceptr *pointer, size_t bytes,
                         CUstream stream) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_use(stream, &queue);

    if (result)
        return result;
    board = board ? board : queue->context->board;
    return queue->capture ? capture_allocation(queue, board, bytes, pointer)
                          : gshare_sim_allocate(board, bytes, pointer);
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *pointer, size_t bytes, CUmemoryPool pool,
                                 CUstream stream) {
    CUresult result = gshare_sim_ready();

    if (result || !pool)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    return allocate(gshare_sim_board(pool->device), pointer, bytes, stream);
}

CUresult cuMemAllocAsync(CUdeviceptr *pointer, size_t bytes, CUstream stream) {
    return allocate(NULL, pointer, bytes, stream);
}

CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream stream) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_use(stream, &queue);

    if (!result && queue->capture)
        return gshare_sim_capture(queue, &(CUgraphNodeParams){.type = NODE_FREE, .freed = pointer});
    return result ? result : gshare_sim_free(pointer);
}

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *properties) {
    CUresult result = gshare_sim_ready();

    if (result)
        return result;
    if (!pool || !properties || !gshare_sim_board(properties->location.id))
        return CUDA_ERROR_INVALID_VALUE;
    if (properties->handle_types)
        return CUDA_ERROR_NOT_SUPPORTED;
    *pool = calloc(1, sizeof **pool);
    if (!*pool)
        return CUDA_ERROR_OUT_OF_MEMORY;
    (*pool)->device = properties->location.id;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolDestroy(CUmemoryPool pool) {
    if (!pool || pool == &default_pools[pool->device])
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&pool_lock);
    if (current_pools[pool->device] == pool)
        current_pools[pool->device] = NULL;
    pthread_mutex_unlock(&pool_lock);
    free(pool);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep) {
    (void)keep;
    return pool ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult pool_value(CUmemoryPool pool, int attribute, void *value) {
    bool is_valid = pool && value && attribute > 0 && attribute < POOL_ATTRIBUTES;
    return is_valid ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, int attribute, void *value) {
    CUresult result = pool_value(pool, attribute, value);

    if (result)
        return result;
    pthread_mutex_lock(&pool_lock);
    if (attribute <= POOL_REUSE_LAST)
        *(int *)value = (int)pool->values[attribute];
    else
        *(uint64_t *)value = pool->values[attribute];
    pthread_mutex_unlock(&pool_lock);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, int attribute, void *value) {
    CUresult result = pool_value(pool, attribute, value);

    if (result)
        return result;
    pthread_mutex_lock(&pool_lock);
    if (attribute <= POOL_REUSE_LAST)
        pool->values[attribute] = (uint64_t)(*(int *)value != 0);
    else
        pool->values[attribute] = *(uint64_t *)value;
    pthread_mutex_unlock(&pool_lock);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *accesses, size_t count) {
    if (!pool || !accesses)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++)
        if (accesses[i].location.id != pool->device)
            return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolGetAccess(int *flags, CUmemoryPool pool, CUmemLocation *location) {
    enum { READ_WRITE = 3 };

    if (!flags || !pool || !location)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = location->id == pool->device ? READ_WRITE : 0;
    return CUDA_SUCCESS;
}
