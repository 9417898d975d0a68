/* Drains and measures an epoch: end events, the GPU time between first start and last end, and
 * streams and contexts that go while it runs. */
#include "hook/gap.h"
#include "hook/gate.h"
#include "hook/os.h"
#include "hook/session.h"
#include "hook/symbols.h"
#include "hook/track.h"
#include "hook/track_state.h"

/* The epoch being measured: how many tracks have joined it, and the longest measure of those that
 * ended before it did. Under the gate's lock. */
static uint32_t order_epoch, order_next;
static uint64_t ended_used_ns;

uint32_t gshare_drain_order(uint32_t epoch) {
    if (order_epoch != epoch) {
        order_epoch = epoch;
        order_next = 0;
        ended_used_ns = 0;
        gshare_gap_begin_epoch(epoch);
    }
    return order_next++;
}

void gshare_drain_forget(void) {
    order_epoch = order_next = 0;
    ended_used_ns = 0;
    gshare_gap_forget();
}

/* A thread's default stream is beyond the watcher's reach. The legacy stream waits for it. */
static CUstream stream_to_end(const struct gshare_track *track) {
    return track->thread ? NULL : track->stream;
}

static bool is_complete(uint32_t epoch) {
    for (struct gshare_track *track = gshare_tracks; track; track = track->next) {
        if (!track->context || track->epoch != epoch)
            continue;
        gshare_real.cuCtxSetCurrent(track->context);
        CUstream stream = stream_to_end(track);
        if (!gshare_track_takes_events(stream) || gshare_real.cuStreamQuery(stream) != CUDA_SUCCESS)
            return false;
    }
    return true;
}

uint64_t gshare_drain_longest_hold_ns(uint32_t epoch, uint64_t end_ns) {
    uint64_t window_ns = gshare_session.limits->window_us * GSHARE_NS_PER_US;
    bool was_stopped = end_ns < UINT64_MAX - window_ns && gshare_now_ns() > end_ns + window_ns;
    if (!was_stopped || !is_complete(epoch))
        return UINT64_MAX;
    return end_ns + window_ns - gshare_gate.joined_ns;
}

void gshare_track_mark_ends(uint32_t epoch) {
    bool marks = false;
    for (struct gshare_track *track = gshare_tracks; track; track = track->next) {
        if (!track->context || track->epoch != epoch || track->has_end)
            continue;
        gshare_real.cuCtxSetCurrent(track->context);
        CUstream stream = stream_to_end(track);
        track->has_end = gshare_track_takes_events(stream) &&
                         gshare_real.cuEventRecord(track->end, stream) == CUDA_SUCCESS;
        marks |= track->has_end;
    }
    if (marks)
        gshare_gap_mark_end();
}

bool gshare_track_ends_are_complete(uint32_t epoch) {
    for (struct gshare_track *track = gshare_tracks; track; track = track->next)
        if (track->context && track->epoch == epoch && track->has_end &&
            gshare_real.cuEventQuery(track->end) == CUDA_ERROR_NOT_READY)
            return false;
    return true;
}

void gshare_track_wait_for_ends(uint32_t epoch) {
    for (struct gshare_track *track = gshare_tracks; track; track = track->next)
        if (track->context && track->epoch == epoch && track->has_end)
            gshare_real.cuEventSynchronize(track->end);
}

/* The first track of the epoch in `context`: its start is the earliest there. */
static const struct gshare_track *first_of(uint32_t epoch, CUcontext context) {
    const struct gshare_track *first = NULL;
    for (const struct gshare_track *track = gshare_tracks; track; track = track->next)
        if (track->context == context && track->epoch == epoch &&
            (!first || track->order < first->order))
            first = track;
    return first;
}

static uint64_t longer(uint64_t ns, int64_t other_ns) {
    return other_ns > 0 && (uint64_t)other_ns > ns ? (uint64_t)other_ns : ns;
}

static uint64_t span_ns(uint32_t epoch, uint64_t hold_ns) {
    uint64_t used_ns = order_epoch == epoch ? ended_used_ns : 0;
    for (struct gshare_track *track = gshare_tracks; track; track = track->next) {
        if (!track->context || track->epoch != epoch)
            continue;
        const struct gshare_track *first = first_of(epoch, track->context);
        int64_t own_ns = 0;
        if (!track->has_end || !gshare_track_elapsed_ns(first->start, track->end, &own_ns))
            return hold_ns;
        used_ns = longer(used_ns, own_ns);
    }
    return used_ns < hold_ns ? used_ns : hold_ns;
}

struct gshare_use gshare_track_use(uint32_t epoch, uint64_t hold_ns) {
    struct gshare_use use = {.used_ns = span_ns(epoch, hold_ns)};
    use.busy_ns = order_epoch == epoch ? gshare_gap_deduct(&use.used_ns) : use.used_ns;
    return use;
}

/* No lane may keep credit for a track that goes. Their owners do not launch on it any more: using a
 * stream while it is destroyed is the program's own error. */
static void revoke_credit(const struct gshare_track *track) {
    for (struct gshare_lane *lane = atomic_load(&gshare_gate.lanes); lane; lane = lane->next)
        if (lane->track == track)
            gshare_lane_clear(lane);
}

/* Measures a track of the running epoch up to here, waits for its work, and frees it. The
 * events' own context need not be current for that. */
static void finish(struct gshare_track *track) {
    revoke_credit(track);
    if (track->epoch != 0 && track->epoch == atomic_load(&gshare_gate.joined)) {
        const struct gshare_track *first = first_of(track->epoch, track->context);
        int64_t own_ns = 0;
        if (gshare_real.cuEventRecord(track->end, track->stream) == CUDA_SUCCESS &&
            gshare_real.cuEventSynchronize(track->end) == CUDA_SUCCESS &&
            gshare_track_elapsed_ns(first->start, track->end, &own_ns))
            ended_used_ns = longer(ended_used_ns, own_ns);
    }
    gshare_track_release(track);
}

void gshare_track_end_stream(CUstream stream) {
    for (struct gshare_track *track = gshare_tracks; track; track = track->next)
        if (track->context && track->stream == stream && !track->thread)
            finish(track);
}

void gshare_track_orphan(struct gshare_lane *lane) {
    for (struct gshare_track *track = gshare_tracks; track; track = track->next)
        if (track->context && track->thread == lane)
            finish(track);
}

void gshare_track_end_context(CUcontext context) {
    for (struct gshare_track *track = gshare_tracks; track; track = track->next)
        if (track->context && (!context || track->context == context))
            finish(track);
}
