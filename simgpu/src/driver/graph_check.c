/* What a node's parameters must be. */
#include "graph.h"

CUfunction gshare_sim_node_function(const CUDA_KERNEL_NODE_PARAMS *kernel) {
    return kernel->function ? kernel->function : kernel->kernel;
}

struct sim_grid gshare_sim_node_grid(const CUDA_KERNEL_NODE_PARAMS *kernel) {
    return (struct sim_grid){(uint64_t)kernel->grid_x * kernel->grid_y * kernel->grid_z,
                             (uint64_t)kernel->block_x * kernel->block_y * kernel->block_z,
                             kernel->shared_bytes};
}

static CUresult check_kernel(const struct sim_context *context,
                             const CUDA_KERNEL_NODE_PARAMS *kernel, bool is_cooperative) {
    struct sim_grid grid = gshare_sim_node_grid(kernel);
    CUresult result = gshare_sim_check_grid(gshare_sim_node_function(kernel), grid);

    if (result == CUDA_ERROR_INVALID_HANDLE)
        return CUDA_ERROR_INVALID_VALUE;
    if (!result && is_cooperative)
        result = gshare_sim_check_cooperative(context, grid);
    return result;
}

CUresult gshare_sim_check_node(struct sim_context *context, const CUgraphNodeParams *parameters,
                               bool is_cooperative) {
    switch (parameters->type) {
    case NODE_KERNEL:
        return check_kernel(context, &parameters->kernel, is_cooperative);
    case NODE_COPY:
        return gshare_sim_check_copy(&parameters->copy.copy);
    case NODE_FILL:
        return gshare_sim_check_fill(&parameters->fill);
    case NODE_HOST:
        return parameters->host.function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case NODE_GRAPH:
        return parameters->child.graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case NODE_EVENT_WAIT:
    case NODE_EVENT_RECORD:
        return parameters->event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case NODE_EMPTY:
    case NODE_ALLOCATE:
        return CUDA_SUCCESS;
    case NODE_FREE:
        return parameters->freed ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    default:
        return CUDA_ERROR_NOT_SUPPORTED;
    }
}
