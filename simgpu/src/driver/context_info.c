/* Questions to and settings of the current context, and the primary context of a device. */
#include "capture.h"
#include "driver.h"

/* CUlimit numbers are small; the values are kept for the process, as they change nothing here. */
enum { LIMITS = 16 };
static _Atomic size_t limits[LIMITS] = {1024, 1048576, 8388608, 2, 2048};

#define CURRENT(context)                                                                           \
    struct sim_context *context = NULL;                                                            \
    CUresult current_result = gshare_sim_current(&context);                                        \
    if (current_result)                                                                            \
    return current_result

CUresult cuCtxGetDevice(CUdevice *device) {
    CURRENT(context);
    *device = context->device;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetFlags(unsigned int *flags) {
    CURRENT(context);
    *flags = context->flags;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetFlags(unsigned int flags) {
    CURRENT(context);
    context->flags = flags;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetId(CUcontext asked, unsigned long long *id) {
    CURRENT(context);
    *id = asked ? asked->id : context->id;
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void) {
    CURRENT(context);
    CUresult result = gshare_sim_check_unsafe();

    if (result)
        return result;
    gshare_sim_context_wait(context);
    return gshare_sim_sticky(context->board);
}

CUresult cuCtxGetLimit(size_t *value, int limit) {
    CURRENT(context);
    (void)context;
    if (!value || limit < 0 || limit >= LIMITS)
        return CUDA_ERROR_INVALID_VALUE;
    *value = limits[limit];
    return CUDA_SUCCESS;
}

CUresult cuCtxSetLimit(int limit, size_t value) {
    CURRENT(context);
    (void)context;
    if (limit < 0 || limit >= LIMITS)
        return CUDA_ERROR_INVALID_VALUE;
    limits[limit] = value;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCacheConfig(int *config) {
    CURRENT(context);
    (void)context;
    *config = 0;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCacheConfig(int config) {
    CURRENT(context);
    (void)context;
    return config >= 0 && config <= 3 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuCtxGetApiVersion(CUcontext asked, unsigned int *version) {
    CURRENT(context);
    (void)asked;
    (void)context;
    *version = 3020;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    CURRENT(context);
    (void)context;
    if (least)
        *least = 0;
    if (greatest)
        *greatest = -5;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetExecAffinity(CUexecAffinityParam *affinity, int type) {
    CURRENT(context);
    if (!affinity || type != 0)
        return CUDA_ERROR_INVALID_VALUE;
    affinity->type = type;
    affinity->param.sm_count.value = context->cap_sms;
    return CUDA_SUCCESS;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags) {
    CURRENT(context);
    (void)context;
    (void)flags;
    return peer ? CUDA_ERROR_PEER_ACCESS_UNSUPPORTED : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuCtxDisablePeerAccess(CUcontext peer) {
    CURRENT(context);
    (void)context;
    return peer ? CUDA_ERROR_PEER_ACCESS_NOT_ENABLED : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    struct sim_board *board = gshare_sim_board(device);
    CUresult result = gshare_sim_ready();

    if (result || !board || !context)
        return result ? result : board ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&board->lock);
    if (!board->primary)
        result = gshare_sim_context_open(device, board->primary_flags, 0, &board->primary);
    if (!result) {
        board->primary_references++;
        *context = board->primary;
    }
    pthread_mutex_unlock(&board->lock);
    return result;
}

static CUresult release_primary(CUdevice device, unsigned int references) {
    struct sim_board *board = gshare_sim_board(device);
    CUresult result = gshare_sim_ready();

    if (result || !board)
        return result ? result : CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&board->lock);
    if (!board->primary_references)
        result = references == 1 ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
    else if (board->primary_references <= references) {
        board->primary_references = 0;
        gshare_sim_context_close(board->primary);
        board->primary = NULL;
    } else
        board->primary_references -= references;
    pthread_mutex_unlock(&board->lock);
    return result;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    return release_primary(device, 1);
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    return release_primary(device, 1);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
    return release_primary(device, UINT32_MAX);
}

CUresult cuDevicePrimaryCtxReset(CUdevice device) {
    return release_primary(device, UINT32_MAX);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags) {
    struct sim_board *board = gshare_sim_board(device);
    CUresult result = gshare_sim_ready();

    if (result || !board)
        return result ? result : CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&board->lock);
    board->primary_flags = flags;
    if (board->primary)
        board->primary->flags = flags;
    pthread_mutex_unlock(&board->lock);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags) {
    return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int *flags, int *active) {
    struct sim_board *board = gshare_sim_board(device);
    CUresult result = gshare_sim_ready();

    if (result || !board)
        return result ? result : CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&board->lock);
    if (flags)
        *flags = board->primary_flags;
    if (active)
        *active = board->primary != NULL;
    pthread_mutex_unlock(&board->lock);
    return CUDA_SUCCESS;
}
