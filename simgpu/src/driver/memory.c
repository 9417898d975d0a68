/* Allocation calls: device, pitched, managed and host memory. */
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "driver.h"

enum { PITCH_BYTES = 512, HOST_ALIGNMENT = 4096 };

/* Host ranges known to the driver: its own and registered ones. Under host_lock. */
struct host_range {
    struct host_range *next;
    struct sim_board *board; /* that it is pinned for */
    unsigned int attachment; /* of the board, when it was pinned */
    char *base;
    size_t bytes;
    unsigned int flags;
    bool is_ours;
};
static struct host_range *host_ranges;
static pthread_mutex_t host_lock = PTHREAD_MUTEX_INITIALIZER;

CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);

    result = result ? result : gshare_sim_check_unsafe();
    return result ? result : gshare_sim_allocate(context->board, bytes, pointer);
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *pointer, size_t *pitch, size_t width, size_t height,
                            unsigned int element_bytes) {
    if (!pitch || !height || (element_bytes != 4 && element_bytes != 8 && element_bytes != 16))
        return CUDA_ERROR_INVALID_VALUE;
    *pitch = (width + PITCH_BYTES - 1) / PITCH_BYTES * PITCH_BYTES;
    return cuMemAlloc_v2(pointer, *pitch * height);
}

/* Managed memory is charged as if it lay on the device throughout; it does not oversubscribe. */
CUresult cuMemAllocManaged(CUdeviceptr *pointer, size_t bytes, unsigned int flags) {
    if (flags < 1 || flags > 2)
        return CUDA_ERROR_INVALID_VALUE;
    return cuMemAlloc_v2(pointer, bytes);
}

CUresult cuMemFree_v2(CUdeviceptr pointer) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);

    if (result || pointer == 0)
        return result;
    result = gshare_sim_check_unsafe();
    if (result)
        return result;
    gshare_sim_context_wait(context);
    return gshare_sim_free(pointer);
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);

    if (result)
        return result;
    struct sim_gpu *gpu = &context->board->gpu;
    gshare_sim_lock(gpu);
    uint64_t used = gshare_sim_memory_used(gpu->state);
    gshare_sim_unlock(gpu);
    if (free_bytes)
        *free_bytes = gpu->state->device.memory_bytes - used;
    if (total_bytes)
        *total_bytes = gpu->state->device.memory_bytes;
    return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr pointer) {
    CUdeviceptr found = 0;
    size_t length = 0;

    if (!gshare_sim_find(pointer, &found, &length))
        return CUDA_ERROR_NOT_FOUND;
    if (base)
        *base = found;
    if (bytes)
        *bytes = length;
    return CUDA_SUCCESS;
}

static CUresult add_range(struct sim_board *board, void *base, size_t bytes, unsigned int flags,
                          bool is_ours) {
    struct host_range *range = malloc(sizeof *range);

    if (!range)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *range = (struct host_range){.board = board,
                                 .attachment = board->attachment,
                                 .base = base,
                                 .bytes = bytes,
                                 .flags = flags,
                                 .is_ours = is_ours};
    gshare_sim_pin(&board->gpu, (int64_t)bytes);
    pthread_mutex_lock(&host_lock);
    range->next = host_ranges;
    host_ranges = range;
    pthread_mutex_unlock(&host_lock);
    return CUDA_SUCCESS;
}

static CUresult remove_range(void *base, bool is_ours, CUresult absent) {
    pthread_mutex_lock(&host_lock);
    struct host_range **link = &host_ranges;
    while (*link && ((*link)->base != base || (*link)->is_ours != is_ours))
        link = &(*link)->next;
    struct host_range *range = *link;
    if (range)
        *link = range->next;
    pthread_mutex_unlock(&host_lock);
    if (!range)
        return absent;
    if (range->attachment == range->board->attachment)
        gshare_sim_pin(&range->board->gpu, -(int64_t)range->bytes);
    if (is_ours)
        free(range->base);
    free(range);
    return CUDA_SUCCESS;
}

/* The flags of the host range around an address; false: not known to the driver. */
bool gshare_sim_find_host(const void *address, unsigned int *flags) {
    const char *at = address;
    bool found = false;

    pthread_mutex_lock(&host_lock);
    for (struct host_range *range = host_ranges; range && !found; range = range->next) {
        found = at >= range->base && at < range->base + range->bytes;
        if (found && flags)
            *flags = range->flags;
    }
    pthread_mutex_unlock(&host_lock);
    return found;
}

CUresult cuMemHostAlloc(void **pointer, size_t bytes, unsigned int flags) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);

    result = result ? result : gshare_sim_check_unsafe();
    if (result)
        return result;
    if (!pointer || !bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (posix_memalign(pointer, HOST_ALIGNMENT, bytes) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    return add_range(context->board, *pointer, bytes, flags, true);
}

CUresult cuMemAllocHost_v2(void **pointer, size_t bytes) {
    return cuMemHostAlloc(pointer, bytes, 0);
}

CUresult cuMemFreeHost(void *pointer) {
    return remove_range(pointer, true, CUDA_ERROR_INVALID_VALUE);
}

CUresult cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned int flags) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);

    if (result)
        return result;
    if (!pointer || !bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (gshare_sim_find_host(pointer, NULL))
        return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    return add_range(context->board, pointer, bytes, flags, false);
}

CUresult cuMemHostRegister(void *pointer, size_t bytes, unsigned int flags) {
    return cuMemHostRegister_v2(pointer, bytes, flags);
}

CUresult cuMemHostUnregister(void *pointer) {
    return remove_range(pointer, false, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

CUresult cuMemHostGetFlags(unsigned int *flags, void *pointer) {
    return gshare_sim_find_host(pointer, flags) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* One address space: the device's address of a host page is the host's. */
CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *pointer, unsigned int flags) {
    if (!device || flags || !gshare_sim_find_host(pointer, NULL))
        return CUDA_ERROR_INVALID_VALUE;
    *device = (CUdeviceptr)pointer;
    return CUDA_SUCCESS;
}
