/* Contexts, and which of them is current in a thread. */
#include <stdlib.h>

#include "driver.h"

enum { STACK_DEPTH = 64 };

/* The calling thread's stack of current contexts. */
static _Thread_local struct sim_context *stack[STACK_DEPTH];
static _Thread_local int depth;

static atomic_ullong next_id = 1;

CUresult gshare_sim_current(struct sim_context **context) {
    CUresult result = gshare_sim_ready();

    if (result)
        return result;
    *context = depth ? stack[depth - 1] : NULL;
    if (!*context)
        return CUDA_ERROR_INVALID_CONTEXT;
    if ((*context)->is_destroyed)
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    return gshare_sim_sticky((*context)->board);
}

void gshare_sim_make_current(struct sim_context *context) {
    if (context && depth == 0)
        depth = 1;
    else if (!context && depth)
        depth--;
    if (context)
        stack[depth - 1] = context;
}

/* Board lock held. cap_sms 0: the process's. */
CUresult gshare_sim_context_open(CUdevice device, unsigned int flags, uint32_t cap_sms,
                                 struct sim_context **context) {
    struct sim_board *board = gshare_sim_board(device);
    struct sim_context *made = calloc(1, sizeof *made);
    CUresult result = made ? gshare_sim_attach_board(board) : CUDA_ERROR_OUT_OF_MEMORY;

    if (!result)
        result = gshare_sim_heap_open(board);
    if (!result) {
        made->board = board;
        made->device = device;
        made->flags = flags;
        made->cap_sms = cap_sms && cap_sms < board->cap_sms ? cap_sms : board->cap_sms;
        made->id = next_id++;
        result = gshare_sim_queue_open(made, SIM_STREAM_LEGACY, 0, 0, &made->legacy);
    }
    if (result) {
        free(made);
        return result;
    }
    made->next = board->first_context;
    board->first_context = made;
    board->contexts++;
    *context = made;
    return CUDA_SUCCESS;
}

static void leave_stack(const struct sim_context *context) {
    for (int i = 0; i < depth; i++)
        if (stack[i] == context)
            stack[i] = NULL;
    while (depth && !stack[depth - 1])
        depth--;
}

/* Board lock held. With the last context the process leaves the GPU, and its memory returns. */
void gshare_sim_context_close(struct sim_context *context) {
    struct sim_board *board = context->board;
    struct sim_context **link = &board->first_context;

    gshare_sim_context_wait(context);
    while (*link != context)
        link = &(*link)->next;
    *link = context->next;
    context->is_destroyed = true;
    while (context->streams)
        gshare_sim_queue_end(context->streams);
    if (--board->contexts == 0) {
        board->attachment++;
        gshare_sim_heap_clear(board);
        gshare_sim_detach(&board->gpu);
    }
    leave_stack(context);
}

void gshare_sim_context_wait(struct sim_context *context) {
    gshare_sim_wait_group(&context->board->gpu, context->legacy->index);
}

static CUresult create(CUcontext *context, CUdevice device, unsigned int flags, uint32_t cap_sms) {
    struct sim_board *board = gshare_sim_board(device);
    CUresult result = gshare_sim_ready();

    if (!context || result)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    if (!board)
        return CUDA_ERROR_INVALID_DEVICE;
    if (depth == STACK_DEPTH)
        return CUDA_ERROR_ILLEGAL_STATE;
    pthread_mutex_lock(&board->lock);
    result = gshare_sim_context_open(device, flags, cap_sms, context);
    pthread_mutex_unlock(&board->lock);
    if (!result)
        stack[depth++] = *context;
    return result;
}

CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device) {
    return create(context, device, flags, 0);
}

CUresult cuCtxCreate_v3(CUcontext *context, CUexecAffinityParam *affinity, int count,
                        unsigned int flags, CUdevice device) {
    return create(context, device, flags, count > 0 ? affinity->param.sm_count.value : 0);
}

CUresult cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *parameters, unsigned int flags,
                        CUdevice device) {
    if (!parameters)
        return create(context, device, flags, 0);
    return cuCtxCreate_v3(context, parameters->affinity, parameters->affinity_count, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext context) {
    CUresult result = gshare_sim_ready();

    if (!context || context->is_destroyed || result)
        return result ? result : CUDA_ERROR_INVALID_CONTEXT;
    struct sim_board *board = context->board;
    if (context == board->primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&board->lock);
    gshare_sim_context_close(context);
    pthread_mutex_unlock(&board->lock);
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
    CUresult result = gshare_sim_ready();

    if (result)
        return result;
    if (!context || context->is_destroyed || depth == STACK_DEPTH)
        return CUDA_ERROR_INVALID_CONTEXT;
    stack[depth++] = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    struct sim_context *top = NULL;
    CUresult result = gshare_sim_current(&top);

    if (result)
        return result;
    depth--;
    if (context)
        *context = top;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
    CUresult result = gshare_sim_ready();

    if (result)
        return result;
    if (context && context->is_destroyed)
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    gshare_sim_make_current(context);
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context) {
    CUresult result = gshare_sim_ready();

    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *context = depth ? stack[depth - 1] : NULL;
    return result;
}
