/* Memory that graphs allocate. A node's address is fixed when the node is made; the GPU is charged
 * when a graph runs that allocates there. What is given back stays reserved, for the next graph,
 * until cuDeviceGraphMemTrim.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "graph.h"

/* CUgraphMem_attribute: used and reserved bytes, each now and at most. */
enum { USED = 0, USED_HIGH = 1, RESERVED = 2, RESERVED_HIGH = 3 };

struct graph_memory {
    struct graph_memory *next;
    struct sim_board *board;
    CUdeviceptr base;
    size_t bytes;
    unsigned int references; /* nodes */
    bool is_used;
    unsigned int attachment; /* of the board, when it came into use */
};

/* All graph memory of the process, and the boards' sums of it; under memory_lock. */
static struct graph_memory *memories;
static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;

static struct graph_memory *find(CUdeviceptr base) {
    struct graph_memory *memory = memories;

    while (memory && memory->base != base)
        memory = memory->next;
    return memory;
}

CUresult gshare_sim_graph_reserve(struct sim_board *board, size_t bytes, CUdeviceptr *pointer) {
    size_t whole = (bytes + SIM_HEAP_CHUNK - 1) / SIM_HEAP_CHUNK * SIM_HEAP_CHUNK;
    struct graph_memory *made = bytes ? calloc(1, sizeof *made) : NULL;

    if (!made)
        return bytes ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    void *range = mmap(NULL, whole, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *made = (struct graph_memory){
        .board = board, .base = (CUdeviceptr)range, .bytes = whole, .references = 1};
    if (range == MAP_FAILED ||
        gshare_sim_add_mapping((struct sim_mapping){.board = board,
                                                    .rights = PROT_READ | PROT_WRITE,
                                                    .base = made->base,
                                                    .bytes = whole})) {
        free(made);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_lock(&memory_lock);
    made->next = memories;
    memories = made;
    pthread_mutex_unlock(&memory_lock);
    *pointer = made->base;
    return CUDA_SUCCESS;
}

static bool is_held(const struct graph_memory *memory) {
    return memory->is_used && memory->attachment == memory->board->attachment;
}

/* Lock held. Forgets memory that no node speaks of and nothing uses. */
static void drop_unused(struct graph_memory *memory) {
    struct graph_memory **link = &memories;
    struct sim_mapping mapping;

    if (memory->references || is_held(memory))
        return;
    while (*link != memory)
        link = &(*link)->next;
    *link = memory->next;
    gshare_sim_remove_mapping(memory->base, &mapping);
    munmap((void *)memory->base, memory->bytes);
    free(memory);
}

void gshare_sim_graph_retain(CUdeviceptr pointer) {
    pthread_mutex_lock(&memory_lock);
    struct graph_memory *memory = find(pointer);
    if (memory)
        memory->references++;
    pthread_mutex_unlock(&memory_lock);
}

void gshare_sim_graph_unreserve(CUdeviceptr pointer) {
    pthread_mutex_lock(&memory_lock);
    struct graph_memory *memory = find(pointer);
    if (memory) {
        memory->references--;
        drop_unused(memory);
    }
    pthread_mutex_unlock(&memory_lock);
}

static void raise_high(struct sim_board *board) {
    if (board->graph_used_bytes > board->graph_highs[0])
        board->graph_highs[0] = board->graph_used_bytes;
    if (board->graph_reserved_bytes > board->graph_highs[1])
        board->graph_highs[1] = board->graph_reserved_bytes;
}

/* Lock held. */
static CUresult take(struct graph_memory *memory) {
    struct sim_board *board = memory->board;
    uint64_t used = board->graph_used_bytes + memory->bytes;

    if (used > board->graph_reserved_bytes) {
        if (gshare_sim_charge(&board->gpu, used - board->graph_reserved_bytes) != 0)
            return CUDA_ERROR_OUT_OF_MEMORY;
        board->graph_reserved_bytes = used;
    }
    board->graph_used_bytes = used;
    memory->is_used = true;
    memory->attachment = board->attachment;
    raise_high(board);
    return CUDA_SUCCESS;
}

/* Memory that is held already is an error, or, with is_again, given back and taken anew. */
CUresult gshare_sim_graph_allocate(CUdeviceptr pointer, bool is_again) {
    CUresult result = CUDA_ERROR_INVALID_VALUE;

    pthread_mutex_lock(&memory_lock);
    struct graph_memory *memory = find(pointer);
    if (memory && is_held(memory))
        result = is_again ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    else if (memory)
        result = take(memory);
    pthread_mutex_unlock(&memory_lock);
    return result;
}

CUresult gshare_sim_graph_release(CUdeviceptr pointer) {
    pthread_mutex_lock(&memory_lock);
    struct graph_memory *memory = find(pointer);
    bool held = memory && is_held(memory);
    if (held) {
        memory->board->graph_used_bytes -= memory->bytes;
        memory->is_used = false;
        drop_unused(memory);
    }
    pthread_mutex_unlock(&memory_lock);
    return held ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceGraphMemTrim(CUdevice device) {
    struct sim_board *board = gshare_sim_board(device);
    CUresult result = gshare_sim_ready();

    if (result || !board)
        return result ? result : CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&memory_lock);
    uint64_t spare = board->graph_reserved_bytes - board->graph_used_bytes;
    if (spare)
        gshare_sim_refund(&board->gpu, spare);
    board->graph_reserved_bytes -= spare;
    pthread_mutex_unlock(&memory_lock);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice device, int attribute, void *value) {
    struct sim_board *board = gshare_sim_board(device);
    CUresult result = gshare_sim_ready();

    if (result || !board)
        return result ? result : CUDA_ERROR_INVALID_DEVICE;
    if (!value || attribute < USED || attribute > RESERVED_HIGH)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&memory_lock);
    const uint64_t values[] = {board->graph_used_bytes, board->graph_highs[0],
                               board->graph_reserved_bytes, board->graph_highs[1]};
    *(uint64_t *)value = values[attribute];
    pthread_mutex_unlock(&memory_lock);
    return CUDA_SUCCESS;
}

/* The highs can be set back, to 0 only. */
CUresult cuDeviceSetGraphMemAttribute(CUdevice device, int attribute, void *value) {
    struct sim_board *board = gshare_sim_board(device);
    CUresult result = gshare_sim_ready();

    if (result || !board)
        return result ? result : CUDA_ERROR_INVALID_DEVICE;
    if (!value || *(uint64_t *)value || (attribute != USED_HIGH && attribute != RESERVED_HIGH))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&memory_lock);
    board->graph_highs[attribute == RESERVED_HIGH] = 0;
    raise_high(board);
    pthread_mutex_unlock(&memory_lock);
    return CUDA_SUCCESS;
}
