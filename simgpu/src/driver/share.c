/* Makes allocations openable by other processes, by moving them into a file where they lie. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "heap.h"

/* Held to write by who moves memory: what is written then would stay behind on the old pages. */
static pthread_rwlock_t moving = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

void gshare_sim_begin_write(void) {
    pthread_rwlock_rdlock(&moving);
}

void gshare_sim_end_write(void) {
    pthread_rwlock_unlock(&moving);
}

/* Moves a run of chunks into a file without changing an address or a byte. Pages of zeros stay
 * holes. Board lock held. */
static int share_run(struct sim_board *board, char *start, size_t bytes) {
    static const char zeros[4096];
    int fd = gshare_sim_file_make(board, bytes);
    bool is_moved = fd >= 0;

    for (size_t at = 0; at < bytes && is_moved; at += sizeof zeros)
        if (memcmp(start + at, zeros, sizeof zeros) != 0)
            is_moved = pwrite(fd, start + at, sizeof zeros, (off_t)at) == (ssize_t)sizeof zeros;
    if (is_moved)
        is_moved =
            mmap(start, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
    if (is_moved && gshare_sim_offer(&board->gpu, gshare_sim_file_number(fd), bytes) == 0)
        return fd;
    if (fd >= 0) /* moved or not, what lies there is whole, and still ours alone */
        close(fd);
    return -1;
}

/* Makes the memory around an allocation openable by other processes: the file that holds it, and
 * where in it the allocation begins. */
CUresult gshare_sim_share(CUdeviceptr pointer, int *fd, size_t *offset, size_t *bytes) {
    CUdeviceptr base = 0;
    size_t index = 0;
    struct sim_board *board = gshare_sim_heap_around(pointer, &index);

    if (!board || !gshare_sim_find(pointer, &base, bytes))
        return CUDA_ERROR_INVALID_VALUE;
    index = (base - (CUdeviceptr)board->heap->base) / SIM_HEAP_CHUNK;
    pthread_mutex_lock(&board->lock);
    struct chunk *chunk = &board->heap->chunks[index];
    char *start = board->heap->base + index * SIM_HEAP_CHUNK;
    if (!chunk->shared_fd) {
        pthread_rwlock_wrlock(&moving);
        chunk->shared_fd =
            share_run(board, start, (chunk->run ? chunk->run : 1) * (size_t)SIM_HEAP_CHUNK) + 1;
        pthread_rwlock_unlock(&moving);
    }
    *fd = chunk->shared_fd - 1;
    pthread_mutex_unlock(&board->lock);
    *offset = base - (CUdeviceptr)start;
    return *fd < 0 ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}

/* Others may have the file open, and keep it: this place gets pages of its own. Board lock held. */
void gshare_sim_unshare(char *start, size_t bytes, int fd) {
    mmap(start, bytes, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    close(fd);
}
