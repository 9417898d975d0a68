/* What the Python control calls by ctypes; gshare_simgpu/native.py has the same structs. */
#ifndef GSHARE_SIMGPU_CONTROL_H
#define GSHARE_SIMGPU_CONTROL_H

#include <stdint.h>

#define SIM_API __attribute__((visibility("default")))

struct sim_gpu;

struct gshare_simgpu_totals {
    uint64_t now_ns;
    uint64_t busy_ns;
    uint64_t kernel_ns;
    uint64_t sm_time_ns;
    uint64_t overcommitted_ns;
    uint64_t stalled_ns;
    uint64_t memory_used_bytes;
};

struct gshare_simgpu_account {
    char label[64];
    uint64_t busy_ns;
    uint64_t kernel_ns;
    uint64_t sm_time_ns;
    uint64_t calls;
    uint64_t launches;
    uint64_t kernels;
    uint64_t memory_bytes;
    uint64_t host_bytes;
    uint64_t processes;
};

struct gshare_simgpu_span {
    uint64_t begin_ns;
    uint64_t end_ns;
    uint32_t account;
    uint32_t reserved;
};

/* Makes the state of every GPU of DIR/topology. Returns their number or a negative errno. */
SIM_API int gshare_simgpu_create(const char *directory);
/* Opens GPU `index`; NULL with errno set where it cannot. */
SIM_API struct sim_gpu *gshare_simgpu_open(const char *directory, uint32_t index);
SIM_API void gshare_simgpu_close(struct sim_gpu *gpu);
/* A consistent reading at one instant. Fills at most `room` accounts; returns how many there are.
 */
SIM_API int gshare_simgpu_counters(struct sim_gpu *gpu, struct gshare_simgpu_totals *totals,
                                   struct gshare_simgpu_account *accounts, int room);
/* Copies the spans from number `from` on, at most `room`; tells the number of the first one copied
 * (later than `from` where older ones are gone) and returns how many. */
SIM_API int gshare_simgpu_spans(struct sim_gpu *gpu, uint64_t from, uint64_t *first,
                                struct gshare_simgpu_span *spans, int room);
/* Who holds the GPU's lock at this instant: a number, 0 for nobody. */
SIM_API uint32_t gshare_simgpu_holder(struct sim_gpu *gpu);
/* Has NVML tell of a fault of the GPU, as the driver's log does: an XID. */
SIM_API void gshare_simgpu_report_xid(struct sim_gpu *gpu, uint32_t xid);
/* Has NVML answer that the GPU is lost, or, with 0, that it is back. Kernels run on. */
SIM_API void gshare_simgpu_set_lost(struct sim_gpu *gpu, int is_lost);

#endif
