#include "hook/queue.h"

#include "hook/gate.h"
#include "hook/os.h"
#include "hook/session.h"
#include "hook/symbols.h"

#define MAX_CHUNK 4096 /* a checkpoint's cost is below 1 ns a launch from here on */
#define LONG_KERNELS_IN_WINDOW 16

/* Learns from the launches between two checkpoints, both complete. */
static void learn_between(struct gshare_track *track, uint32_t older, uint32_t newer) {
    uint32_t launches = track->mark_launches[newer];
    int64_t elapsed_ns = 0;
    if (launches == 0 ||
        !gshare_track_elapsed_ns(track->marks[older], track->marks[newer], &elapsed_ns))
        return;
    uint64_t seen_ns = elapsed_ns > 0 ? (uint64_t)elapsed_ns / launches : 0;
    if (seen_ns > track->kernel_ns)
        track->kernel_ns = seen_ns;
    else
        track->kernel_ns -= (track->kernel_ns - seen_ns + 7) / 8;
    uint64_t budget_ns = gshare_session.limits->queue_budget_us * GSHARE_NS_PER_US / track->depth;
    uint64_t fits = track->kernel_ns ? budget_ns / track->kernel_ns : MAX_CHUNK;
    uint64_t allowed = track->chunk * 2ull;
    fits = fits < allowed ? fits : allowed;
    track->chunk = fits < 1 ? 1 : fits > MAX_CHUNK ? MAX_CHUNK : (uint32_t)fits;
}

void gshare_queue_learn(struct gshare_track *track) {
    uint32_t ring = track->depth + 1;
    if (track->mark_count >= ring)
        learn_between(track, (track->mark_count - ring) % ring,
                      (track->mark_count - track->depth) % ring);
}

void gshare_queue_empty(struct gshare_track *track) {
    uint32_t ring = track->depth + 1;
    if (track->mark_count >= 2)
        learn_between(track, (track->mark_count - 2) % ring, (track->mark_count - 1) % ring);
    track->mark_count = 0;
    track->since_mark = 0;
    track->is_heavy = false;
}

void gshare_queue_begin(struct gshare_track *track) {
    if (gshare_real.cuEventRecord(track->marks[0], track->stream) != CUDA_SUCCESS)
        return;
    track->mark_launches[0] = 0;
    track->mark_count = 1;
}

CUevent gshare_queue_checkpoint(struct gshare_track *track) {
    uint32_t ring = track->depth + 1, at = track->mark_count % ring;
    if (gshare_real.cuEventRecord(track->marks[at], track->stream) != CUDA_SUCCESS)
        return NULL;
    track->mark_launches[at] = track->since_mark;
    track->since_mark = 0;
    track->is_heavy = false;
    track->mark_count++;
    return track->mark_count < track->depth
               ? NULL
               : track->marks[(track->mark_count - track->depth) % ring];
}

CUevent gshare_queue_end_if_late(const struct gshare_track *track) {
    uint64_t window_ns = gshare_session.limits->window_us * GSHARE_NS_PER_US;
    if (track->since_mark > 0 || track->mark_count == 0 ||
        track->kernel_ns < window_ns / LONG_KERNELS_IN_WINDOW)
        return NULL;
    uint64_t queued_ns = track->kernel_ns * (track->depth - 1);
    if (gshare_now_ns() + queued_ns <= gshare_gate_deadline_ns())
        return NULL;
    CUevent last = track->marks[(track->mark_count - 1) % (track->depth + 1)];
    return gshare_real.cuEventQuery(last) == CUDA_ERROR_NOT_READY ? last : NULL;
}
