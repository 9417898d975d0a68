/* The one lock of a GPU. Taking it means: the model is at now, and the dead are gone. */
#include <errno.h>
#include <time.h>

#include "engine.h"

/* Looking for dead clients costs a system call for each client, so it is done this often. */
static const uint64_t REAP_INTERVAL_NS = 4000000;

uint64_t gshare_sim_now(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void gshare_sim_lock(struct sim_gpu *gpu) {
    struct sim_state *state = gpu->state;

    if (pthread_mutex_lock(&state->mutex) == EOWNERDEAD) {
        gshare_sim_repair(state);
        state->reaped_ns = 0;
        pthread_mutex_consistent(&state->mutex);
    }
    uint64_t now = gshare_sim_now();
    gshare_sim_advance(state, now);
    if (now - state->reaped_ns > REAP_INTERVAL_NS) {
        state->reaped_ns = now;
        gshare_sim_reap(gpu);
    }
}

void gshare_sim_unlock(struct sim_gpu *gpu) {
    pthread_mutex_unlock(&gpu->state->mutex);
}
