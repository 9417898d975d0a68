/* Memory of virtual memory management that several processes hold: it is shared by its descriptor.
 *
 * Its maker is charged, then whoever else holds it, until the last handle and mapping of all
 * processes is gone. What only a descriptor keeps is charged to nobody, until somebody imports it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backing.h"

enum { HANDLE_POSIX_FD = 1 };

/* Memory that has been charged already. NULL: it could not be made, and the descriptor is closed.
 */
struct sim_backing *gshare_sim_backing_make(struct sim_board *board, size_t bytes, int fd) {
    struct sim_backing *made = fd < 0 ? NULL : calloc(1, sizeof *made);

    if (made)
        *made = (struct sim_backing){.board = board,
                                     .bytes = bytes,
                                     .fd = fd,
                                     .attachment = board->attachment,
                                     .references = 1};
    else if (fd >= 0)
        close(fd);
    return made;
}

bool gshare_sim_backing_is_charged(const struct sim_backing *backing) {
    return backing->attachment == backing->board->attachment &&
           backing->board->gpu.client != SIM_NONE;
}

void gshare_sim_backing_release(struct sim_backing *backing) {
    if (atomic_fetch_sub(&backing->references, 1) > 1)
        return;
    if (gshare_sim_backing_is_charged(backing) && backing->shared)
        gshare_sim_let_go(&backing->board->gpu, backing->shared);
    else if (gshare_sim_backing_is_charged(backing))
        gshare_sim_refund(&backing->board->gpu, backing->bytes);
    close(backing->fd);
    free(backing);
}

/* From here on the engine knows which processes hold the memory. */
static CUresult make_shared(struct sim_backing *backing) {
    struct sim_gpu *gpu = &backing->board->gpu;
    uint64_t file = gshare_sim_file_number(backing->fd);
    int error = 0;

    pthread_mutex_lock(&backing->board->lock);
    if (gpu->client == SIM_NONE)
        error = -ENODEV;
    else if (!gshare_sim_backing_is_charged(backing)) /* made under a context that is gone */
        error = gshare_sim_hold(gpu, file, backing->bytes);
    else if (!backing->shared)
        error = gshare_sim_offer(gpu, file, backing->bytes);
    if (!error) {
        backing->shared = file;
        backing->attachment = backing->board->attachment;
    }
    pthread_mutex_unlock(&backing->board->lock);
    return !error             ? CUDA_SUCCESS
           : error == -ENODEV ? CUDA_ERROR_INVALID_CONTEXT
                              : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemExportToShareableHandle(void *shareable, CUmemGenericAllocationHandle handle,
                                      int type, unsigned long long flags) {
    if (!shareable || !handle || flags)
        return CUDA_ERROR_INVALID_VALUE;
    if (type != HANDLE_POSIX_FD ||
        !(sim_backing_of(handle)->properties.handle_types & HANDLE_POSIX_FD))
        return CUDA_ERROR_NOT_SUPPORTED;
    CUresult result = make_shared(sim_backing_of(handle));
    if (result)
        return result;
    int fd = fcntl(sim_backing_of(handle)->fd, F_DUPFD_CLOEXEC, 0);
    memcpy(shareable, &fd, sizeof fd);
    return fd < 0 ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *shareable,
                                        int type) {
    struct sim_context *context = NULL;
    struct sim_file file;
    CUresult result = gshare_sim_current(&context);
    int shared = (int)(intptr_t)shareable;

    if (result)
        return result;
    if (!handle || type != HANDLE_POSIX_FD || !gshare_sim_file_read(shared, &file))
        return CUDA_ERROR_INVALID_VALUE;
    if (file.board != context->board)
        return CUDA_ERROR_INVALID_DEVICE;
    if (gshare_sim_hold(&file.board->gpu, file.number, file.bytes) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct sim_backing *backing =
        gshare_sim_backing_make(file.board, file.bytes, fcntl(shared, F_DUPFD_CLOEXEC, 0));
    if (!backing) {
        gshare_sim_let_go(&file.board->gpu, file.number);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    backing->shared = file.number;
    backing->properties = (CUmemAllocationProp){
        .type = SIM_TYPE_PINNED,
        .handle_types = HANDLE_POSIX_FD,
        .location = {.type = SIM_LOCATION_DEVICE, .id = context->device},
    };
    *handle = (CUmemGenericAllocationHandle)backing;
    return CUDA_SUCCESS;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address) {
    struct sim_mapping mapping;

    if (!handle || !gshare_sim_mapping_at((CUdeviceptr)address, &mapping) || !mapping.backing)
        return CUDA_ERROR_INVALID_VALUE;
    mapping.backing->references++;
    *handle = (CUmemGenericAllocationHandle)mapping.backing;
    return CUDA_SUCCESS;
}
