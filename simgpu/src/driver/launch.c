/* Launches: what a kernel costs, and queueing it. Kernels take time and compute nothing. */
#include "driver.h"

enum { MAX_BLOCK_THREADS = 1024, ATTRIBUTE_COOPERATIVE = 2 };

uint32_t gshare_sim_blocks_per_sm(const struct sim_device *device, uint64_t threads) {
    uint64_t warped = (threads + 31) / 32 * 32;
    uint64_t blocks = warped ? device->threads_per_sm / warped : 1;

    if (blocks > device->blocks_per_sm)
        return device->blocks_per_sm;
    return blocks ? (uint32_t)blocks : 1;
}

/* A kernel that states no cost: blocks of equal length, as many at a time as fit. It fills
 * ceil(blocks / blocks per SM) SMs, up to the GPU, and is never shorter than one block. */
static struct sim_op cost_by_grid(const struct sim_device *device, struct sim_grid grid) {
    uint64_t together = gshare_sim_blocks_per_sm(device, grid.threads);
    uint64_t wanted = (grid.blocks + together - 1) / together;
    uint32_t demand = wanted < device->sm_count ? (uint32_t)wanted : device->sm_count;
    double rounds = (double)grid.blocks / (double)(together * demand);

    return (struct sim_op){.kind = SIM_KERNEL,
                           .demand = (uint16_t)demand,
                           .work_ns = device->block_ns * (rounds < 1 ? 1 : rounds)};
}

CUresult gshare_sim_launch(struct sim_function *function, struct sim_grid grid, CUstream stream) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (result)
        return result;
    if (!function)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!grid.blocks || !grid.threads || grid.threads > MAX_BLOCK_THREADS)
        return CUDA_ERROR_INVALID_VALUE;
    struct sim_gpu *gpu = &queue->context->board->gpu;
    const struct sim_device *device = &gpu->state->device;
    struct sim_op op = {.kind = SIM_KERNEL,
                        .demand = (uint16_t)function->demand_sms,
                        .work_ns = (double)function->duration_ns};
    if (!function->demand_sms)
        op = cost_by_grid(device, grid);
    op.work_ns *= device->time_scale;
    gshare_sim_submit(gpu, queue->index, op);
    return CUDA_SUCCESS;
}

static struct sim_grid grid_of(unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
                               unsigned int by, unsigned int bz) {
    return (struct sim_grid){(uint64_t)gx * gy * gz, (uint64_t)bx * by * bz};
}

CUresult cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz,
                        unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
                        CUstream stream, void **parameters, void **extra) {
    (void)shared;
    (void)parameters;
    (void)extra;
    return gshare_sim_launch(function, grid_of(gx, gy, gz, bx, by, bz), stream);
}

static CUresult launch_cooperative(CUfunction function, struct sim_grid grid, CUstream stream) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (result)
        return result;
    const struct sim_device *device = &queue->context->board->gpu.state->device;
    uint64_t room =
        (uint64_t)gshare_sim_blocks_per_sm(device, grid.threads) * queue->context->cap_sms;
    if (grid.blocks > room)
        return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
    return gshare_sim_launch(function, grid, stream);
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int gx, unsigned int gy,
                                   unsigned int gz, unsigned int bx, unsigned int by,
                                   unsigned int bz, unsigned int shared, CUstream stream,
                                   void **parameters) {
    (void)shared;
    (void)parameters;
    return launch_cooperative(function, grid_of(gx, gy, gz, bx, by, bz), stream);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters,
                          void **extra) {
    (void)parameters;
    (void)extra;
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    struct sim_grid grid = grid_of(config->grid_x, config->grid_y, config->grid_z, config->block_x,
                                   config->block_y, config->block_z);
    for (unsigned int i = 0; i < config->attribute_count; i++)
        if (config->attributes[i].id == ATTRIBUTE_COOPERATIVE && config->attributes[i].value[0])
            return launch_cooperative(function, grid, config->stream);
    return gshare_sim_launch(function, grid, config->stream);
}

CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *launches, unsigned int count,
                                              unsigned int flags) {
    CUresult result = launches && count && flags <= 3 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

    for (unsigned int i = 0; i < count && !result; i++) {
        CUDA_LAUNCH_PARAMS *one = &launches[i];
        struct sim_grid grid = grid_of(one->grid_x, one->grid_y, one->grid_z, one->block_x,
                                       one->block_y, one->block_z);
        result = launch_cooperative(one->function, grid, one->stream);
    }
    return result;
}
