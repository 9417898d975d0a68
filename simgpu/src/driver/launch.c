/* Launches: what a kernel costs, and queueing it. Kernels take time and compute nothing. */
#include "capture.h"
#include "driver.h"

enum { MAX_BLOCK_THREADS = 1024, ATTRIBUTE_COOPERATIVE = 2 };

/* By threads, shared memory and the most blocks that an SM takes. */
uint32_t gshare_sim_blocks_per_sm(const struct sim_device *device, struct sim_grid grid) {
    uint64_t warped = (grid.threads + 31) / 32 * 32;
    uint64_t blocks = warped ? device->threads_per_sm / warped : 1;
    uint64_t by_shared =
        grid.shared_bytes ? device->shared_bytes_per_sm / grid.shared_bytes : blocks;

    blocks = by_shared < blocks ? by_shared : blocks;
    if (blocks > device->blocks_per_sm)
        return device->blocks_per_sm;
    return blocks ? (uint32_t)blocks : 1;
}

/* A kernel that states no cost: blocks of equal length, as many at a time as fit. It fills
 * ceil(blocks / blocks per SM) SMs, up to the GPU, and is never shorter than one block. */
static struct sim_op cost_by_grid(const struct sim_device *device, struct sim_grid grid) {
    uint64_t together = gshare_sim_blocks_per_sm(device, grid);
    uint64_t wanted = (grid.blocks + together - 1) / together;
    uint32_t demand = wanted < device->sm_count ? (uint32_t)wanted : device->sm_count;
    double rounds = (double)grid.blocks / (double)(together * demand);

    return (struct sim_op){.kind = SIM_KERNEL,
                           .demand = (uint16_t)demand,
                           .work_ns = device->block_ns * (rounds < 1 ? 1 : rounds)};
}

CUresult gshare_sim_check_grid(struct sim_function *function, struct sim_grid grid) {
    if (!function)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!grid.blocks || !grid.threads || grid.threads > MAX_BLOCK_THREADS)
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

struct sim_op gshare_sim_kernel(const struct sim_board *board, struct sim_function *function,
                                struct sim_grid grid) {
    const struct sim_device *device = &board->gpu.state->device;
    struct sim_op op = {.kind = SIM_KERNEL,
                        .demand = (uint16_t)function->demand_sms,
                        .work_ns = (double)function->duration_ns};

    if (!function->demand_sms)
        op = cost_by_grid(device, grid);
    op.work_ns *= device->time_scale;
    op.target = function->error;
    op.flags = function->error ? SIM_OP_FAULT : 0;
    return op;
}

CUresult gshare_sim_check_cooperative(const struct sim_context *context, struct sim_grid grid) {
    const struct sim_device *device = &context->board->gpu.state->device;
    uint64_t together = gshare_sim_blocks_per_sm(device, grid);
    bool fits = grid.blocks <= together * context->cap_sms;

    return fits ? CUDA_SUCCESS : CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
}

static CUresult capture(struct sim_queue *queue, const CUDA_LAUNCH_PARAMS *call) {
    CUgraphNodeParams node = {.type = NODE_KERNEL};

    node.kernel = (CUDA_KERNEL_NODE_PARAMS){
        .function = call->function,
        .grid_x = call->grid_x,
        .grid_y = call->grid_y,
        .grid_z = call->grid_z,
        .block_x = call->block_x,
        .block_y = call->block_y,
        .block_z = call->block_z,
        .shared_bytes = call->shared_bytes,
        .parameters = call->parameters,
    };
    return gshare_sim_capture(queue, &node);
}

/* Queues a launch, or captures it. `flags` are those of its operation. */
static CUresult launch(const CUDA_LAUNCH_PARAMS *call, bool is_cooperative, uint8_t flags) {
    struct sim_queue *queue = NULL;
    struct sim_grid grid = {(uint64_t)call->grid_x * call->grid_y * call->grid_z,
                            (uint64_t)call->block_x * call->block_y * call->block_z,
                            call->shared_bytes};
    CUresult result = gshare_sim_use(call->stream, &queue);

    if (!result)
        result = gshare_sim_check_grid(call->function, grid);
    if (!result && grid.shared_bytes > queue->context->board->gpu.state->device.shared_bytes_per_sm)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result && is_cooperative)
        result = gshare_sim_check_cooperative(queue->context, grid);
    if (result)
        return result;
    if (queue->capture)
        return capture(queue, call);
    struct sim_board *board = queue->context->board;
    struct sim_op op = gshare_sim_kernel(board, call->function, grid);
    op.flags |= flags;
    gshare_sim_submit(&board->gpu, queue->index, op);
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz,
                        unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
                        CUstream stream, void **parameters, void **extra) {
    CUDA_LAUNCH_PARAMS call = {function, gx, gy, gz, bx, by, bz, shared, stream, parameters};

    (void)extra;
    return launch(&call, false, SIM_OP_CALL);
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int gx, unsigned int gy,
                                   unsigned int gz, unsigned int bx, unsigned int by,
                                   unsigned int bz, unsigned int shared, CUstream stream,
                                   void **parameters) {
    CUDA_LAUNCH_PARAMS call = {function, gx, gy, gz, bx, by, bz, shared, stream, parameters};

    return launch(&call, true, SIM_OP_CALL);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters,
                          void **extra) {
    bool is_cooperative = false;

    (void)extra;
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; i < config->attribute_count; i++)
        is_cooperative |=
            config->attributes[i].id == ATTRIBUTE_COOPERATIVE && config->attributes[i].value[0];
    CUDA_LAUNCH_PARAMS call = {
        function,        config->grid_x,  config->grid_y,       config->grid_z, config->block_x,
        config->block_y, config->block_z, config->shared_bytes, config->stream, parameters};
    return launch(&call, is_cooperative, SIM_OP_CALL);
}

/* One call, however many kernels. */
CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *launches, unsigned int count,
                                              unsigned int flags) {
    CUresult result = launches && count && flags <= 3 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

    for (unsigned int i = 0; i < count && !result; i++)
        result = launch(&launches[i], true, i == 0 ? SIM_OP_CALL : 0);
    return result;
}
