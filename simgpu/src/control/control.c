/* Creation and reading of simulated GPUs, for their Python control. */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../engine/engine.h"

int gshare_simgpu_create(const char *directory) {
    struct sim_device *devices = calloc(SIM_MAX_GPUS, sizeof *devices);

    if (!devices)
        return -ENOMEM;
    int count = gshare_sim_topology(directory, devices);
    int error = 0;
    for (int i = 0; i < count && !error; i++)
        error = gshare_sim_create(directory, &devices[i]);
    free(devices);
    return error ? error : count;
}

struct sim_gpu *gshare_simgpu_open(const char *directory, uint32_t index) {
    struct sim_gpu *gpu = calloc(1, sizeof *gpu);
    int error = gpu ? gshare_sim_open(directory, index, gpu) : -ENOMEM;

    if (!error)
        return gpu;
    free(gpu);
    errno = -error;
    return NULL;
}

void gshare_simgpu_close(struct sim_gpu *gpu) {
    munmap(gpu->state, sizeof *gpu->state);
    gshare_sim_forget(gpu);
    free(gpu);
}

static void read_account(const struct sim_state *state, uint32_t index,
                         struct gshare_simgpu_account *reading) {
    const struct sim_account *account = &state->accounts[index];

    memset(reading, 0, sizeof *reading);
    memcpy(reading->label, account->label, sizeof reading->label);
    reading->busy_ns = account->busy_ns;
    reading->sm_time_ns = (uint64_t)account->sm_time_ns;
    reading->kernel_ns = account->kernel_ns;
    reading->calls = account->calls;
    reading->launches = account->launches;
    reading->kernels = account->kernels;
    for (uint32_t i = 0; i < state->client_high; i++) {
        if (!state->clients[i].in_use || state->clients[i].account != index)
            continue;
        reading->memory_bytes += gshare_sim_memory_of(state, i);
        reading->host_bytes += state->clients[i].host_bytes;
        reading->processes++;
    }
}

int gshare_simgpu_counters(struct sim_gpu *gpu, struct gshare_simgpu_totals *totals,
                           struct gshare_simgpu_account *accounts, int room) {
    struct sim_state *state = gpu->state;

    gshare_sim_lock(gpu);
    gshare_sim_reap(gpu);
    totals->now_ns = state->time_ns;
    totals->busy_ns = state->busy_ns;
    totals->kernel_ns = state->kernel_ns;
    totals->sm_time_ns = (uint64_t)state->sm_time_ns;
    totals->overcommitted_ns = state->overcommitted_ns;
    totals->stalled_ns = state->stalled_ns;
    totals->memory_used_bytes = gshare_sim_memory_used(state);
    int count = (int)state->account_high;
    for (int i = 0; i < count && i < room; i++)
        read_account(state, (uint32_t)i, &accounts[i]);
    gshare_sim_unlock(gpu);
    return count;
}

_Static_assert(sizeof(struct gshare_simgpu_span) == sizeof(struct sim_span), "copied as they are");

int gshare_simgpu_spans(struct sim_gpu *gpu, uint64_t from, uint64_t *first,
                        struct gshare_simgpu_span *spans, int room) {
    struct sim_state *state = gpu->state;
    int count = 0;

    gshare_sim_lock(gpu);
    uint64_t oldest = state->span_count > SIM_SPANS ? state->span_count - SIM_SPANS : 0;
    *first = from < oldest ? oldest : from;
    for (uint64_t i = *first; i < state->span_count && count < room; i++)
        memcpy(&spans[count++], &state->spans[i % SIM_SPANS], sizeof *spans);
    gshare_sim_unlock(gpu);
    return count;
}

uint32_t gshare_simgpu_holder(struct sim_gpu *gpu) {
    return gshare_sim_holder(gpu);
}

void gshare_simgpu_report_xid(struct sim_gpu *gpu, uint32_t xid) {
    struct sim_state *state = gpu->state;

    gshare_sim_lock(gpu);
    state->xids[state->xid_count % SIM_XIDS] = xid;
    state->xid_count++;
    gshare_sim_unlock(gpu);
}

void gshare_simgpu_set_lost(struct sim_gpu *gpu, int is_lost) {
    gpu->state->is_lost = is_lost != 0;
}
