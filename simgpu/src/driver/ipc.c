/* CUDA IPC: one process's allocation, opened by another.
 *
 * A handle names the exporter's descriptor of the memory, by pid. So, as with the real driver, both
 * must see each other's processes, and nobody can open memory of an exporter that has ended. The
 * importer is not charged, unless the exporter ends or frees the memory while it is open.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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
    uint64_t file; /* its number: the pid and the descriptor may come to mean others */
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
    content.file = gshare_sim_file_number(content.fd);
    memset(handle, 0, sizeof *handle);
    memcpy(handle, &content, sizeof content);
    return CUDA_SUCCESS;
}

/* Memory that this process has opened. All under ipc_lock. */
struct sim_opened {
    struct sim_opened *next;
    struct content content;
    unsigned int attachment; /* of the board, when it was opened */
    unsigned int opens;
    CUdeviceptr pointer;
};
static struct sim_opened *all_opened;
static pthread_mutex_t ipc_lock = PTHREAD_MUTEX_INITIALIZER;

/* Lock held. A handle that is open yields the same address again, and is closed as often. */
static struct sim_opened *find_opened(const struct sim_board *board,
                                      const struct content *content) {
    struct sim_opened *opened = all_opened;

    while (opened && (opened->attachment != board->attachment ||
                      memcmp(&opened->content, content, sizeof *content) != 0))
        opened = opened->next;
    return opened;
}

/* The exporter's descriptor, of which we know that it is device memory and holds the range. */
static int open_file(const struct sim_board *board, const struct content *content,
                     struct sim_file *file) {
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/fd/%d", content->pid, content->fd);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && gshare_sim_file_read(fd, file) && file->board == board &&
        file->number == content->file && content->offset <= file->bytes &&
        content->bytes <= file->bytes - content->offset)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static CUresult map(int fd, struct sim_opened *opened, struct sim_board *board) {
    const struct content *content = &opened->content;
    size_t skip = content->offset % 4096;
    char *start = mmap(NULL, skip + content->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                       (off_t)(content->offset - skip));

    if (start == MAP_FAILED)
        return CUDA_ERROR_MAP_FAILED;
    opened->pointer = (CUdeviceptr)(start + skip);
    CUresult result = gshare_sim_add_mapping((struct sim_mapping){.board = board,
                                                                  .opened = opened,
                                                                  .rights = PROT_READ | PROT_WRITE,
                                                                  .base = opened->pointer,
                                                                  .bytes = content->bytes});
    if (result)
        munmap(start, skip + content->bytes);
    return result;
}

/* Lock held. */
static CUresult open_anew(struct sim_board *board, const struct content *content,
                          struct sim_opened **opened) {
    struct sim_file file;
    int fd = open_file(board, content, &file);

    if (fd < 0)
        return CUDA_ERROR_INVALID_VALUE;
    struct sim_opened *made = calloc(1, sizeof *made);
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    if (made && gshare_sim_hold(&board->gpu, file.number, file.bytes) == 0) {
        *made = (struct sim_opened){
            .next = all_opened, .content = *content, .attachment = board->attachment};
        result = map(fd, made, board);
        if (result)
            gshare_sim_let_go(&board->gpu, file.number);
    }
    close(fd);
    if (result) {
        free(made);
        return result;
    }
    *opened = all_opened = made;
    return CUDA_SUCCESS;
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
    pthread_mutex_lock(&ipc_lock);
    struct sim_opened *opened = find_opened(context->board, &content);
    if (!opened)
        result = open_anew(context->board, &content, &opened);
    if (!result) {
        opened->opens++;
        *pointer = opened->pointer;
    }
    pthread_mutex_unlock(&ipc_lock);
    return result;
}

CUresult cuIpcOpenMemHandle(CUdeviceptr *pointer, CUipcMemHandle handle, unsigned int flags) {
    return cuIpcOpenMemHandle_v2(pointer, handle, flags);
}

/* Lock held. */
static void close_last(struct sim_opened *opened, const struct sim_mapping *mapping) {
    struct sim_opened **link = &all_opened;
    struct sim_mapping removed;
    CUdeviceptr skip = opened->pointer % 4096;

    while (*link != opened)
        link = &(*link)->next;
    *link = opened->next;
    gshare_sim_remove_mapping(opened->pointer, &removed);
    munmap((void *)(opened->pointer - skip), skip + mapping->bytes);
    if (opened->attachment == mapping->board->attachment)
        gshare_sim_let_go(&mapping->board->gpu, opened->content.file);
    free(opened);
}

CUresult cuIpcCloseMemHandle(CUdeviceptr pointer) {
    struct sim_mapping mapping;
    CUresult result = gshare_sim_ready();

    if (result)
        return result;
    pthread_mutex_lock(&ipc_lock);
    if (!gshare_sim_mapping_at(pointer, &mapping) || !mapping.opened || mapping.base != pointer)
        result = CUDA_ERROR_INVALID_VALUE;
    else if (--mapping.opened->opens == 0)
        close_last(mapping.opened, &mapping);
    pthread_mutex_unlock(&ipc_lock);
    return result;
}
