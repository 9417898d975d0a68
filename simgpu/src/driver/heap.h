/* The inside of the heap, for the files that work on it. */
#ifndef GSHARE_SIMGPU_HEAP_H
#define GSHARE_SIMGPU_HEAP_H

#include "driver.h"

enum { GRANULES = SIM_HEAP_CHUNK / SIM_HEAP_GRANULE };

/* The granules of a shared chunk: lengths at the first granule of each piece, 0 within and free. */
struct pieces {
    uint16_t length[GRANULES];
    uint64_t taken[GRANULES / 64];
    uint32_t used;
};

struct chunk {
    uint32_t run;      /* chunks of a large allocation, at its first; 0: free or shared */
    uint32_t is_taken; /* by either kind */
    size_t bytes;      /* as asked for, at the first of a run */
    struct pieces *pieces;
    int shared_fd; /* at the first of a run or of a shared chunk: its memory, plus 1; 0: private */
};

struct sim_heap {
    char *base;
    size_t chunk_count;
    size_t high; /* chunks at and above were never used */
    struct chunk chunks[];
};

/* The board whose heap an address lies in, and the chunk; NULL: none. */
struct sim_board *gshare_sim_heap_around(CUdeviceptr pointer, size_t *chunk);

/* share.c: what was moved into `fd` stays with who has it open; new pages lie at `start`. */
void gshare_sim_unshare(char *start, size_t bytes, int fd);

#endif
