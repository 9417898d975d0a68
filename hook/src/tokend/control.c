/* The control socket's requests. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "state.h"

static size_t gpu_line(struct gshare_state *state, char *at, size_t bytes) {
    struct gshare_gpu_account gpu;
    gshare_arbiter_gpu(state->arbiter, &gpu);
    int length =
        snprintf(at, bytes,
                 "gpu now_ns=%" PRIu64 " window_us=%" PRIu64 " max_concurrent_sm_percent=%" PRIu32
                 " grants=%" PRIu64 " slips=%" PRIu64 " late_ns_max=%" PRIu64 "\n",
                 gshare_clock_ns(), state->settings.window_ns / 1000, gpu.max_concurrent_sm_percent,
                 gpu.grants, gpu.slips, state->late_ns_max);
    return length < 0 ? 0 : (size_t)length;
}

static size_t lease_line(struct gshare_state *state, uint32_t number, char *at, size_t bytes) {
    const struct gshare_lease *lease = &state->leases[number];
    struct gshare_lease_account account;
    struct gshare_shape shape;
    if (!lease->present || lease->leaving ||
        !gshare_arbiter_lease(state->arbiter, number, &account, &shape)) {
        return 0;
    }
    struct gshare_lease_sums sums = gshare_lease_sum(lease);
    int length = snprintf(
        at, bytes,
        "lease %s sm=%" PRIu32 " request=%" PRIu32 " limit=%" PRIu32 " used_ns=%" PRIu64
        " busy_ns=%" PRIu64 " reserved_ns=%" PRIu64 " borrowed_ns=%" PRIu64 " grants=%" PRIu64
        " waits=%" PRIu64 " holds=%" PRIu32 " wants=%" PRIu32 " processes=%" PRIu32
        " memory_bytes=%" PRIu64 " host_bytes=%" PRIu64 " imported_bytes=%" PRIu64 "\n",
        lease->id, shape.sm_percent, shape.request_percent, shape.limit_percent, account.used_ns,
        account.busy_ns, account.reserved_ns, account.borrowed_ns, account.grants, sums.waits,
        account.holds, account.wants, sums.processes, sums.memory_bytes, sums.host_bytes,
        sums.imported_bytes);
    return length < 0 ? 0 : (size_t)length;
}

static void stats(struct gshare_state *state, char *reply, size_t bytes) {
    pthread_mutex_lock(&state->lock);
    size_t length = gpu_line(state, reply, bytes);
    for (uint32_t i = 0; i < GSHARE_ARBITER_LEASES && length < bytes; i++) {
        length += lease_line(state, i, reply + length, bytes - length);
    }
    pthread_mutex_unlock(&state->lock);
}

void gshare_control(struct gshare_state *state, const char *request, char *reply, size_t bytes) {
    if (strcmp(request, "ping") == 0) {
        snprintf(reply, bytes, "ok");
    } else if (strcmp(request, "stats") == 0) {
        stats(state, reply, bytes);
    } else if (strcmp(request, "reload") == 0) {
        gshare_reload(state, reply, bytes);
    } else {
        snprintf(reply, bytes, "error unknown request; known: ping, reload, stats");
    }
}
