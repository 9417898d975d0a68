/* Properties of streams. */
#include "driver.h"

CUresult cuStreamGetCtx(CUstream stream, CUcontext *context) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (!result)
        *context = queue->context;
    return result;
}

CUresult cuStreamGetDevice(CUstream stream, CUdevice *device) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (!result)
        *device = queue->context->device;
    return result;
}

CUresult cuStreamGetFlags(CUstream stream, unsigned int *flags) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (!result)
        *flags = queue->flags;
    return result;
}

CUresult cuStreamGetPriority(CUstream stream, int *priority) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (!result)
        *priority = queue->priority;
    return result;
}

CUresult cuStreamGetId(CUstream stream, unsigned long long *id) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (!result)
        *id = queue->id;
    return result;
}
