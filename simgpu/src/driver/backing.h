/* The memory behind a handle of virtual memory management. */
#ifndef GSHARE_SIMGPU_BACKING_H
#define GSHARE_SIMGPU_BACKING_H

#include "driver.h"

enum { SIM_TYPE_PINNED = 1, SIM_LOCATION_DEVICE = 1 };

struct sim_backing {
    struct sim_board *board;
    CUmemAllocationProp properties;
    size_t bytes;
    int fd;
    unsigned int attachment; /* of the board, when charged */
    uint64_t shared;         /* number of its file, once others may hold it; under board->lock */
    atomic_int references;   /* handles and mappings */
};

static inline struct sim_backing *sim_backing_of(CUmemGenericAllocationHandle handle) {
    return (struct sim_backing *)handle;
}

/* Memory that has been charged already. NULL: it could not be made, and the descriptor is closed.
 */
struct sim_backing *gshare_sim_backing_make(struct sim_board *board, size_t bytes, int fd);
void gshare_sim_backing_release(struct sim_backing *backing);
/* Whether it is charged to what the process is on the GPU now. */
bool gshare_sim_backing_is_charged(const struct sim_backing *backing);

#endif
