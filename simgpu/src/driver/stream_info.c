/* Properties of streams. */
#include <string.h>
#include <sys/mman.h>

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

/* Attributes are hints for caches and priorities, which are not modelled: taken, and read as 0. */
CUresult cuStreamSetAttribute(CUstream stream, int attribute, const void *value) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);
    return result || (value && attribute > 0) ? result : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuStreamGetAttribute(CUstream stream, int attribute, void *value) {
    enum { ATTRIBUTE_BYTES = 64 };
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (result || !value || attribute <= 0)
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    memset(value, 0, ATTRIBUTE_BYTES);
    return CUDA_SUCCESS;
}

CUresult cuStreamCopyAttributes(CUstream target, CUstream source) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(target, &queue);
    return result ? result : gshare_sim_queue_of(source, &queue);
}

/* Managed memory is on the device throughout, whichever stream it is attached to. */
CUresult cuStreamAttachMemAsync(CUstream stream, CUdeviceptr pointer, size_t bytes,
                                unsigned int flags) {
    enum { GLOBAL = 1, HOST = 2, SINGLE = 4 };
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (!result && flags != GLOBAL && flags != HOST && flags != SINGLE)
        result = CUDA_ERROR_INVALID_VALUE;
    return result ? result : gshare_sim_check_range(pointer, bytes, PROT_NONE);
}
