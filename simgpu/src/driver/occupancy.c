/* Occupancy questions, answered from threads per SM and blocks per SM alone. */
#include "driver.h"

enum { MAX_BLOCK_THREADS = 1024, SHARED_PER_BLOCK = 49152 };

static CUresult blocks(int *count, const struct sim_context *context, int block_size,
                       size_t shared) {
    const struct sim_device *device = &context->board->gpu.state->device;

    if (!count || block_size <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    *count = 0;
    if (block_size > MAX_BLOCK_THREADS || shared > device->shared_bytes_per_sm)
        return CUDA_SUCCESS;
    struct sim_grid grid = {.threads = (uint64_t)block_size, .shared_bytes = shared};
    *count = (int)gshare_sim_blocks_per_sm(device, grid);
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *count, CUfunction function,
                                                              int block_size, size_t shared,
                                                              unsigned int flags) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);

    if (result)
        return result;
    if (!function || flags > 1)
        return CUDA_ERROR_INVALID_VALUE;
    return blocks(count, context, block_size, shared);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *count, CUfunction function,
                                                     int block_size, size_t shared) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(count, function, block_size, shared,
                                                                0);
}

/* The largest block of whole warps, down from the limit, that keeps the most threads on an SM. */
CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid_size, int *block_size,
                                                   CUfunction function,
                                                   CUoccupancyB2DSize shared_of, size_t shared,
                                                   int limit, unsigned int flags) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);
    int most = 0;

    if (result)
        return result;
    if (!grid_size || !block_size || !function || flags > 1)
        return CUDA_ERROR_INVALID_VALUE;
    if (limit <= 0 || limit > MAX_BLOCK_THREADS)
        limit = MAX_BLOCK_THREADS;
    for (int size = limit; size > 0; size -= 32) {
        int count = 0;
        result = blocks(&count, context, size, shared_of ? shared_of(size) : shared);
        if (result)
            return result;
        if (count * size <= most)
            continue;
        most = count * size;
        *block_size = size;
        *grid_size = count * (int)context->cap_sms;
    }
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSize(int *grid_size, int *block_size, CUfunction function,
                                          CUoccupancyB2DSize shared_of, size_t shared, int limit) {
    return cuOccupancyMaxPotentialBlockSizeWithFlags(grid_size, block_size, function, shared_of,
                                                     shared, limit, 0);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, CUfunction function, int count,
                                                 int block_size) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);

    if (result)
        return result;
    if (!bytes || !function || count <= 0 || block_size <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    size_t share = context->board->gpu.state->device.shared_bytes_per_sm / (size_t)count;
    *bytes = share < SHARED_PER_BLOCK ? share : SHARED_PER_BLOCK;
    return CUDA_SUCCESS;
}

CUresult cuProfilerStart(void) {
    return gshare_sim_ready();
}

CUresult cuProfilerStop(void) {
    return gshare_sim_ready();
}
