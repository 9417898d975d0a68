/* Device memory: addresses in one reserved range of the process per GPU, so that a device pointer
 * is usable by the host's memcpy, and pages cost RAM only once they are written.
 *
 * The GPU is charged by chunks of 2 MiB. A request of half a chunk or more takes whole chunks; a
 * smaller one takes granules of 512 bytes in a shared chunk, first fit.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "graph.h"
#include "heap.h"

/* Addresses reserved per byte of device memory: room enough that fragments rarely matter. */
enum { RESERVE_FACTOR = 4 };

CUresult gshare_sim_heap_open(struct sim_board *board) {
    size_t count = board->gpu.state->device.memory_bytes / SIM_HEAP_CHUNK * RESERVE_FACTOR;

    if (board->heap)
        return CUDA_SUCCESS;
    struct sim_heap *heap = calloc(1, sizeof *heap + count * sizeof heap->chunks[0]);
    if (!heap)
        return CUDA_ERROR_OUT_OF_MEMORY;
    void *range = mmap(NULL, (count + 1) * SIM_HEAP_CHUNK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) {
        free(heap);
        return CUDA_ERROR_OPERATING_SYSTEM;
    }
    uintptr_t aligned = ((uintptr_t)range + SIM_HEAP_CHUNK - 1) / SIM_HEAP_CHUNK * SIM_HEAP_CHUNK;
    heap->base = (char *)aligned;
    heap->chunk_count = count;
    board->heap = heap;
    return CUDA_SUCCESS;
}

static void empty_chunk(struct sim_heap *heap, size_t first, size_t count) {
    madvise(heap->base + first * SIM_HEAP_CHUNK, count * SIM_HEAP_CHUNK, MADV_DONTNEED);
    for (size_t i = first; i < first + count; i++) {
        const struct chunk *chunk = &heap->chunks[i];
        if (chunk->shared_fd)
            gshare_sim_unshare(heap->base + i * SIM_HEAP_CHUNK,
                               (chunk->run ? chunk->run : 1) * (size_t)SIM_HEAP_CHUNK,
                               chunk->shared_fd - 1);
        free(heap->chunks[i].pieces);
        heap->chunks[i] = (struct chunk){0};
    }
}

/* Forgets all allocations; the caller gives the GPU's memory back by detaching. */
void gshare_sim_heap_clear(struct sim_board *board) {
    empty_chunk(board->heap, 0, board->heap->high);
    board->heap->high = 0;
    board->graph_used_bytes = 0;
    board->graph_reserved_bytes = 0;
}

static CUresult take_run(struct sim_board *board, size_t count, size_t *first) {
    struct sim_heap *heap = board->heap;
    size_t found = 0;
    size_t at = 0;

    for (; at < heap->chunk_count && found < count; at++)
        found = heap->chunks[at].is_taken ? 0 : found + 1;
    if (found < count || gshare_sim_charge(&board->gpu, count * SIM_HEAP_CHUNK) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *first = at - count;
    for (size_t i = *first; i < at; i++)
        heap->chunks[i].is_taken = 1;
    heap->high = at > heap->high ? at : heap->high;
    return CUDA_SUCCESS;
}

static CUresult take_large(struct sim_board *board, size_t bytes, CUdeviceptr *pointer) {
    size_t count = (bytes + SIM_HEAP_CHUNK - 1) / SIM_HEAP_CHUNK;
    size_t first = 0;
    CUresult result = take_run(board, count, &first);

    if (result)
        return result;
    board->heap->chunks[first].run = (uint32_t)count;
    board->heap->chunks[first].bytes = bytes;
    *pointer = (CUdeviceptr)(board->heap->base + first * SIM_HEAP_CHUNK);
    return CUDA_SUCCESS;
}

static void mark(struct pieces *pieces, size_t first, size_t count, int is_taken) {
    for (size_t i = first; i < first + count; i++) {
        uint64_t bit = UINT64_C(1) << (i % 64);
        if (is_taken)
            pieces->taken[i / 64] |= bit;
        else
            pieces->taken[i / 64] &= ~bit;
    }
}

/* First fit within a shared chunk; -1: no room. Whole words that are full are stepped over. */
static int fit(const struct pieces *pieces, size_t count) {
    size_t found = 0;

    if (GRANULES - pieces->used < count)
        return -1;
    for (size_t i = 0; i < GRANULES; i++) {
        if (i % 64 == 0 && pieces->taken[i / 64] == UINT64_MAX) {
            found = 0;
            i += 63;
            continue;
        }
        found = pieces->taken[i / 64] >> (i % 64) & 1 ? 0 : found + 1;
        if (found == count)
            return (int)(i + 1 - count);
    }
    return -1;
}

static CUdeviceptr take_pieces(struct sim_heap *heap, size_t chunk, int first, size_t count) {
    struct pieces *pieces = heap->chunks[chunk].pieces;

    mark(pieces, (size_t)first, count, 1);
    pieces->length[first] = (uint16_t)count;
    pieces->used += (uint32_t)count;
    return (CUdeviceptr)(heap->base + chunk * SIM_HEAP_CHUNK + (size_t)first * SIM_HEAP_GRANULE);
}

static CUresult take_small(struct sim_board *board, size_t bytes, CUdeviceptr *pointer) {
    struct sim_heap *heap = board->heap;
    size_t count = (bytes + SIM_HEAP_GRANULE - 1) / SIM_HEAP_GRANULE;
    size_t chunk = 0;

    for (; chunk < heap->high; chunk++) {
        int first = heap->chunks[chunk].pieces ? fit(heap->chunks[chunk].pieces, count) : -1;
        if (first < 0)
            continue;
        *pointer = take_pieces(heap, chunk, first, count);
        return CUDA_SUCCESS;
    }
    struct pieces *pieces = calloc(1, sizeof *pieces);
    CUresult result = pieces ? take_run(board, 1, &chunk) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result) {
        free(pieces);
        return result;
    }
    heap->chunks[chunk].pieces = pieces;
    *pointer = take_pieces(heap, chunk, 0, count);
    return CUDA_SUCCESS;
}

CUresult gshare_sim_allocate(struct sim_board *board, size_t bytes, CUdeviceptr *pointer) {
    if (bytes == 0 || !pointer)
        return CUDA_ERROR_INVALID_VALUE;
    if (bytes > board->gpu.state->device.memory_bytes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&board->lock);
    CUresult result = bytes < SIM_HEAP_CHUNK / 2 ? take_small(board, bytes, pointer)
                                                 : take_large(board, bytes, pointer);
    pthread_mutex_unlock(&board->lock);
    return result;
}

struct sim_board *gshare_sim_heap_around(CUdeviceptr pointer, size_t *chunk) {
    for (int i = 0; i < gshare_sim_board_count(); i++) {
        struct sim_board *board = gshare_sim_board(i);
        CUdeviceptr base = board->heap ? (CUdeviceptr)board->heap->base : UINT64_MAX;
        if (pointer < base || pointer - base >= board->heap->chunk_count * (uint64_t)SIM_HEAP_CHUNK)
            continue;
        *chunk = (pointer - base) / SIM_HEAP_CHUNK;
        return board;
    }
    return NULL;
}

static void give_back(struct sim_board *board, size_t first, size_t count) {
    int shared_fd = board->heap->chunks[first].shared_fd;
    uint64_t file = shared_fd ? gshare_sim_file_number(shared_fd - 1) : 0;

    empty_chunk(board->heap, first, count);
    if (file)
        gshare_sim_let_go(&board->gpu, file);
    else
        gshare_sim_refund(&board->gpu, count * SIM_HEAP_CHUNK);
}

static CUresult free_in_chunk(struct sim_board *board, size_t index, size_t offset) {
    struct sim_heap *heap = board->heap;
    struct chunk *chunk = &heap->chunks[index];
    size_t granule = offset / SIM_HEAP_GRANULE;
    size_t count = chunk->run;

    if (offset % SIM_HEAP_GRANULE)
        return CUDA_ERROR_INVALID_VALUE;
    if (chunk->pieces && chunk->pieces->length[granule]) {
        mark(chunk->pieces, granule, chunk->pieces->length[granule], 0);
        chunk->pieces->used -= chunk->pieces->length[granule];
        chunk->pieces->length[granule] = 0;
        count = chunk->pieces->used ? 0 : 1;
    } else if (!chunk->run || offset) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (count)
        give_back(board, index, count);
    return CUDA_SUCCESS;
}

CUresult gshare_sim_free(CUdeviceptr pointer) {
    size_t chunk = 0;
    struct sim_board *board = gshare_sim_heap_around(pointer, &chunk);

    if (!board)
        return gshare_sim_graph_release(pointer);
    pthread_mutex_lock(&board->lock);
    CUresult result = free_in_chunk(board, chunk, pointer % SIM_HEAP_CHUNK);
    pthread_mutex_unlock(&board->lock);
    return result;
}

static bool find_piece(const struct sim_heap *heap, size_t index, CUdeviceptr pointer,
                       CUdeviceptr *base, size_t *bytes) {
    const struct pieces *pieces = heap->chunks[index].pieces;
    size_t granule = pointer % SIM_HEAP_CHUNK / SIM_HEAP_GRANULE;
    size_t first = granule;

    while (first > 0 && !pieces->length[first])
        first--;
    *base = (CUdeviceptr)heap->base + index * SIM_HEAP_CHUNK + first * SIM_HEAP_GRANULE;
    *bytes = (size_t)pieces->length[first] * SIM_HEAP_GRANULE;
    return pieces->length[first] && granule < first + pieces->length[first];
}

static bool find_run(const struct sim_heap *heap, size_t index, CUdeviceptr *base, size_t *bytes) {
    size_t first = index;

    while (first > 0 && !heap->chunks[first].run && heap->chunks[first].is_taken)
        first--;
    *base = (CUdeviceptr)heap->base + first * SIM_HEAP_CHUNK;
    *bytes = heap->chunks[first].bytes;
    return heap->chunks[first].run && index < first + heap->chunks[first].run;
}

struct sim_board *gshare_sim_find(CUdeviceptr pointer, CUdeviceptr *base, size_t *bytes) {
    size_t index = 0;
    struct sim_board *board = gshare_sim_heap_around(pointer, &index);

    struct sim_mapping mapping;

    if (!board) {
        if (!gshare_sim_mapping_at(pointer, &mapping))
            return NULL;
        *base = mapping.base;
        *bytes = mapping.bytes;
        return mapping.board;
    }
    pthread_mutex_lock(&board->lock);
    bool found = board->heap->chunks[index].pieces
                     ? find_piece(board->heap, index, pointer, base, bytes)
                     : find_run(board->heap, index, base, bytes);
    pthread_mutex_unlock(&board->lock);
    return found ? board : NULL;
}
