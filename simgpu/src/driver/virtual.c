/* Virtual memory management: device memory apart from the addresses that show it.
 *
 * Memory is a memfd; sharing it is sharing the descriptor. Its maker is charged until the last of
 * its handles and mappings is gone; who imports it is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver.h"

enum { TYPE_PINNED = 1, LOCATION_DEVICE = 1, HANDLE_POSIX_FD = 1, ACCESS_READ_WRITE = 3 };

struct sim_backing {
    struct sim_board *board;
    CUmemAllocationProp properties;
    size_t bytes;
    int fd;
    unsigned int attachment; /* of the board, when charged */
    bool is_charged;
    atomic_int references; /* handles and mappings */
};

static struct sim_backing *backing_of(CUmemGenericAllocationHandle handle) {
    return (struct sim_backing *)handle;
}

static bool is_granular(size_t bytes) {
    return bytes && bytes % SIM_HEAP_CHUNK == 0;
}

static void release(struct sim_backing *backing) {
    if (atomic_fetch_sub(&backing->references, 1) > 1)
        return;
    if (backing->is_charged && backing->attachment == backing->board->attachment)
        gshare_sim_refund(&backing->board->gpu, backing->bytes);
    close(backing->fd);
    free(backing);
}

CUresult cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *properties,
                                       int option) {
    if (!granularity || !properties || option < 0 || option > 1)
        return CUDA_ERROR_INVALID_VALUE;
    *granularity = SIM_HEAP_CHUNK;
    return CUDA_SUCCESS;
}

CUresult cuMemAddressReserve(CUdeviceptr *pointer, size_t bytes, size_t alignment,
                             CUdeviceptr wanted, unsigned long long flags) {
    CUresult result = gshare_sim_ready();

    (void)wanted;
    if (result)
        return result;
    if (!pointer || !is_granular(bytes) || alignment > SIM_HEAP_CHUNK || flags)
        return CUDA_ERROR_INVALID_VALUE;
    size_t room = bytes + SIM_HEAP_CHUNK;
    char *range = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;
    size_t skip = (SIM_HEAP_CHUNK - (uintptr_t)range % SIM_HEAP_CHUNK) % SIM_HEAP_CHUNK;
    if (skip)
        munmap(range, skip);
    munmap(range + skip + bytes, SIM_HEAP_CHUNK - skip);
    *pointer = (CUdeviceptr)(range + skip);
    return CUDA_SUCCESS;
}

CUresult cuMemAddressFree(CUdeviceptr pointer, size_t bytes) {
    struct sim_mapping mapping;

    if (!is_granular(bytes) || gshare_sim_mapping_at(pointer, &mapping))
        return CUDA_ERROR_INVALID_VALUE;
    return munmap((void *)pointer, bytes) == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult make_backing(struct sim_board *board, size_t bytes, int fd,
                             struct sim_backing **backing) {
    struct sim_backing *made = fd < 0 ? NULL : calloc(1, sizeof *made);

    if (!made) {
        if (fd >= 0)
            close(fd);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    made->board = board;
    made->bytes = bytes;
    made->fd = fd;
    made->attachment = board->attachment;
    made->references = 1;
    *backing = made;
    return CUDA_SUCCESS;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
                     const CUmemAllocationProp *properties, unsigned long long flags) {
    struct sim_context *context = NULL;
    struct sim_backing *backing = NULL;
    CUresult result = gshare_sim_current(&context);

    if (result)
        return result;
    if (!handle || !properties || flags || !is_granular(bytes) || properties->type != TYPE_PINNED ||
        properties->location.type != LOCATION_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    struct sim_board *board = gshare_sim_board(properties->location.id);
    if (!board || board->gpu.client == SIM_NONE)
        return CUDA_ERROR_INVALID_DEVICE;
    if (gshare_sim_charge(&board->gpu, bytes) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = make_backing(board, bytes, memfd_create("gshare-simgpu", MFD_CLOEXEC), &backing);
    if (result) {
        gshare_sim_refund(&board->gpu, bytes);
        return result;
    }
    backing->is_charged = true;
    backing->properties = *properties;
    *handle = (CUmemGenericAllocationHandle)backing;
    if (ftruncate(backing->fd, (off_t)bytes) == 0)
        return CUDA_SUCCESS;
    release(backing);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    release(backing_of(handle));
    return CUDA_SUCCESS;
}

CUresult cuMemMap(CUdeviceptr pointer, size_t bytes, size_t offset,
                  CUmemGenericAllocationHandle handle, unsigned long long flags) {
    struct sim_backing *backing = backing_of(handle);
    struct sim_mapping mapping;

    if (!backing || flags || offset || !is_granular(bytes) || bytes > backing->bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (gshare_sim_mapping_at(pointer, &mapping))
        return CUDA_ERROR_ALREADY_MAPPED;
    /* Readable at once: access rights are kept per range only as far as clients can ask. */
    if (mmap((void *)pointer, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, backing->fd,
             0) == MAP_FAILED)
        return CUDA_ERROR_OPERATING_SYSTEM;
    backing->references++;
    return gshare_sim_add_mapping((struct sim_mapping){
        .board = backing->board, .backing = backing, .base = pointer, .bytes = bytes});
}

CUresult cuMemUnmap(CUdeviceptr pointer, size_t bytes) {
    struct sim_mapping mapping;

    if (!gshare_sim_mapping_at(pointer, &mapping) || mapping.base != pointer ||
        mapping.bytes != bytes || !mapping.backing)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = gshare_sim_remove_mapping(pointer, &mapping);
    if (result)
        return result;
    mmap((void *)pointer, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
         -1, 0);
    release(mapping.backing);
    return CUDA_SUCCESS;
}

CUresult cuMemSetAccess(CUdeviceptr pointer, size_t bytes, const CUmemAccessDesc *accesses,
                        size_t count) {
    struct sim_mapping mapping;

    if (!accesses || !count || !gshare_sim_mapping_at(pointer, &mapping))
        return CUDA_ERROR_INVALID_VALUE;
    int rights = accesses[0].flags == ACCESS_READ_WRITE ? PROT_READ | PROT_WRITE
                 : accesses[0].flags                    ? PROT_READ
                                                        : PROT_NONE;
    return mprotect((void *)pointer, bytes, rights) == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location,
                        CUdeviceptr pointer) {
    struct sim_mapping mapping;

    if (!flags || !location || !gshare_sim_mapping_at(pointer, &mapping))
        return CUDA_ERROR_INVALID_VALUE;
    *flags = ACCESS_READ_WRITE;
    return CUDA_SUCCESS;
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *properties,
                                                CUmemGenericAllocationHandle handle) {
    if (!properties || !handle)
        return CUDA_ERROR_INVALID_VALUE;
    *properties = backing_of(handle)->properties;
    return CUDA_SUCCESS;
}

CUresult cuMemExportToShareableHandle(void *shareable, CUmemGenericAllocationHandle handle,
                                      int type, unsigned long long flags) {
    if (!shareable || !handle || flags)
        return CUDA_ERROR_INVALID_VALUE;
    if (type != HANDLE_POSIX_FD || !(backing_of(handle)->properties.handle_types & HANDLE_POSIX_FD))
        return CUDA_ERROR_NOT_SUPPORTED;
    int fd = fcntl(backing_of(handle)->fd, F_DUPFD_CLOEXEC, 0);
    memcpy(shareable, &fd, sizeof fd);
    return fd < 0 ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *shareable,
                                        int type) {
    struct sim_context *context = NULL;
    struct sim_backing *backing = NULL;
    CUresult result = gshare_sim_current(&context);

    if (result)
        return result;
    off_t bytes = lseek((int)(intptr_t)shareable, 0, SEEK_END);
    if (!handle || type != HANDLE_POSIX_FD || bytes < 0)
        return CUDA_ERROR_INVALID_VALUE;
    int fd = fcntl((int)(intptr_t)shareable, F_DUPFD_CLOEXEC, 0);
    result = make_backing(context->board, (size_t)bytes, fd, &backing);
    if (result)
        return result;
    backing->properties = (CUmemAllocationProp){
        .type = TYPE_PINNED,
        .handle_types = HANDLE_POSIX_FD,
        .location = {.type = LOCATION_DEVICE, .id = context->device},
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
