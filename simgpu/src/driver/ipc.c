/* CUDA IPC: one process's allocation, opened by another.
 *
 * A handle names the exporter's descriptor of the memory, by pid. So, as with the real driver, both
 * must see each other's processes, and the memory goes with the exporter. The importer is not
 * charged.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver.h"

#define IPC_MAGIC 0x43504947u

/* What the 64 bytes of a handle hold. */
struct content {
    uint32_t magic;
    uint32_t gpu;
    int32_t pid;
    int32_t fd;
    uint64_t offset;
    uint64_t bytes;
};
_Static_assert(sizeof(struct content) <= sizeof(CUipcMemHandle), "fits in a handle");

CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr pointer) {
    CUdeviceptr base = 0;
    size_t offset = 0;
    size_t bytes = 0;
    struct content content = {.magic = IPC_MAGIC, .pid = getpid()};
    struct sim_board *board = gshare_sim_find(pointer, &base, &bytes);

    if (!handle || !board)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = gshare_sim_share(pointer, &content.fd, &offset, &bytes);
    if (result)
        return result;
    content.gpu = board->gpu.state->device.index;
    content.offset = offset;
    content.bytes = bytes;
    memset(handle, 0, sizeof *handle);
    memcpy(handle, &content, sizeof content);
    return CUDA_SUCCESS;
}

static CUresult map(struct sim_board *board, const struct content *content, CUdeviceptr *pointer) {
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/fd/%d", content->pid, content->fd);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return CUDA_ERROR_INVALID_VALUE;
    size_t skip = content->offset % 4096;
    char *start = mmap(NULL, skip + content->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                       (off_t)(content->offset - skip));
    close(fd);
    if (start == MAP_FAILED)
        return CUDA_ERROR_OPERATING_SYSTEM;
    *pointer = (CUdeviceptr)(start + skip);
    return gshare_sim_add_mapping(
        (struct sim_mapping){.board = board, .base = *pointer, .bytes = content->bytes});
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *pointer, CUipcMemHandle handle, unsigned int flags) {
    struct sim_context *context = NULL;
    struct content content;
    CUresult result = gshare_sim_current(&context);

    memcpy(&content, &handle, sizeof content);
    if (result)
        return result;
    if (!pointer || flags > 1 || content.magic != IPC_MAGIC)
        return CUDA_ERROR_INVALID_VALUE;
    if (content.pid == getpid() || content.gpu != context->board->gpu.state->device.index)
        return CUDA_ERROR_INVALID_CONTEXT;
    return map(context->board, &content, pointer);
}

CUresult cuIpcOpenMemHandle(CUdeviceptr *pointer, CUipcMemHandle handle, unsigned int flags) {
    return cuIpcOpenMemHandle_v2(pointer, handle, flags);
}

CUresult cuIpcCloseMemHandle(CUdeviceptr pointer) {
    struct sim_mapping mapping;

    if (!gshare_sim_mapping_at(pointer, &mapping) || mapping.backing || mapping.is_graphs)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = gshare_sim_remove_mapping(pointer, &mapping);
    if (result)
        return result;
    CUdeviceptr skip = pointer % 4096;
    munmap((void *)(pointer - skip), skip + mapping.bytes);
    return CUDA_SUCCESS;
}
