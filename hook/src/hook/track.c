#include "hook/track.h"

#include <string.h>
#include <sys/mman.h>

#include "hook/gap.h"
#include "hook/gate.h"
#include "hook/queue.h"
#include "hook/session.h"
#include "hook/symbols.h"
#include "hook/track_state.h"

#define TRACKS_A_BLOCK 32

struct gshare_track *gshare_tracks;

static CUcontext current_context(void) {
    CUcontext context = NULL;
    return gshare_real.cuCtxGetCurrent(&context) == CUDA_SUCCESS ? context : NULL;
}

bool gshare_track_takes_events(CUstream stream) {
    int status = CU_STREAM_CAPTURE_STATUS_NONE;
    CUresult result = gshare_real.cuStreamIsCapturing(stream, &status);
    if (result == CUDA_ERROR_NOT_FOUND)
        return true;
    return result == CUDA_SUCCESS && status == CU_STREAM_CAPTURE_STATUS_NONE;
}

bool gshare_track_elapsed_ns(CUevent from, CUevent to, int64_t *ns) {
    float ms = 0;
    if (gshare_real.cuEventElapsedTime(&ms, from, to) != CUDA_SUCCESS)
        return false;
    *ns = (int64_t)((double)ms * 1e6);
    return true;
}

static bool add_tracks(void) {
    struct gshare_track *block = mmap(NULL, TRACKS_A_BLOCK * sizeof *block, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return false;
    for (int i = 0; i < TRACKS_A_BLOCK; i++) {
        block[i].next = gshare_tracks;
        gshare_tracks = &block[i];
    }
    return true;
}

static void destroy_events(struct gshare_track *track) {
    CUevent *events[] = {&track->start, &track->end, &track->gap_begin, &track->gap_end};
    for (int i = 0; i < 4; i++)
        if (*events[i])
            gshare_real.cuEventDestroy_v2(*events[i]);
    for (int i = 0; i <= GSHARE_MAX_DEPTH; i++)
        if (track->marks[i])
            gshare_real.cuEventDestroy_v2(track->marks[i]);
}

static void clear(struct gshare_track *track) {
    struct gshare_track *next = track->next;
    *track = (struct gshare_track){.next = next};
}

void gshare_track_release(struct gshare_track *track) {
    gshare_gap_drop(track);
    destroy_events(track);
    clear(track);
}

static uint32_t depth_in_force(void) {
    uint32_t depth = gshare_session.limits->launch_depth;
    return depth < 1 ? 1 : depth > GSHARE_MAX_DEPTH ? GSHARE_MAX_DEPTH : depth;
}

static bool make_marks(struct gshare_track *track, uint32_t depth) {
    for (uint32_t i = 0; i <= depth; i++)
        if (!track->marks[i] &&
            gshare_real.cuEventCreate(&track->marks[i], CU_EVENT_DEFAULT) != CUDA_SUCCESS)
            return false;
    return true;
}

static bool make_events(struct gshare_track *track) {
    return gshare_real.cuEventCreate(&track->start, CU_EVENT_DEFAULT) == CUDA_SUCCESS &&
           gshare_real.cuEventCreate(&track->end, CU_EVENT_DEFAULT) == CUDA_SUCCESS &&
           make_marks(track, track->depth);
}

static struct gshare_track *find(CUcontext context, CUstream stream, struct gshare_lane *thread) {
    for (struct gshare_track *track = gshare_tracks; track; track = track->next)
        if (track->context == context && track->stream == stream && track->thread == thread)
            return track;
    return NULL;
}

static struct gshare_track *make(CUcontext context, CUstream stream, struct gshare_lane *thread) {
    struct gshare_track *track = find(NULL, NULL, NULL);
    if (!track && add_tracks())
        track = find(NULL, NULL, NULL);
    if (!track)
        return NULL;
    track->context = context;
    track->stream = stream;
    track->thread = thread;
    track->chunk = 1;
    track->depth = depth_in_force();
    if (make_events(track))
        return track;
    gshare_track_release(track);
    return NULL;
}

static struct gshare_track *track_of(struct gshare_lane *lane, CUstream stream) {
    CUcontext context = current_context();
    struct gshare_lane *thread = stream == GSHARE_STREAM_PER_THREAD ? lane : NULL;
    if (!context)
        return NULL;
    struct gshare_track *track = find(context, stream, thread);
    return track ? track : make(context, stream, thread);
}

/* Takes over a depth that was changed meanwhile; without events for it the old one stays. */
static void begin_epoch(struct gshare_track *track, uint32_t epoch) {
    track->epoch = epoch;
    track->order = gshare_drain_order(epoch);
    gshare_queue_empty(track); /* the last epoch has drained */
    uint32_t depth = depth_in_force();
    if (depth != track->depth && make_marks(track, depth))
        track->depth = depth;
    gshare_real.cuEventRecord(track->start, track->stream);
}

/* One launch goes now, and more may follow it until the chunk is full. */
static void take_credit(struct gshare_lane *lane, struct gshare_track *track, bool is_heavy) {
    gshare_gap_close(track, lane);
    gshare_gap_works(track);
    track->since_mark++;
    track->is_heavy = is_heavy;
    int64_t left = is_heavy ? 0 : (int64_t)track->chunk - track->since_mark;
    lane->track = track;
    lane->granted = left > 0 ? (int32_t)left : 0;
    atomic_store(&lane->credit, lane->granted);
}

CUevent gshare_track_admit(struct gshare_lane *lane, CUstream stream, bool is_heavy) {
    uint32_t epoch = (uint32_t)atomic_load(&gshare_gate.joined);
    gshare_lane_clear(lane);
    if (!gshare_track_takes_events(stream))
        return NULL;
    struct gshare_track *track = track_of(lane, stream);
    if (!track)
        return NULL;
    track->has_end = false;
    if (track->epoch != epoch)
        begin_epoch(track, epoch);
    bool is_full = track->since_mark >= track->chunk || track->is_heavy || is_heavy;
    if (track->since_mark > 0 && is_full) {
        CUevent earlier = gshare_queue_checkpoint(track);
        lane->track = track; /* for the wait, without a stream: no launch passes meanwhile */
        if (earlier)
            return earlier;
    }
    gshare_queue_learn(track);
    CUevent last = gshare_queue_end_if_late(track);
    if (last) {
        lane->track = track;
        return last;
    }
    if (track->mark_count == 0 && track->working_epoch == 0)
        gshare_queue_begin(track);
    take_credit(lane, track, is_heavy);
    atomic_store(&lane->stream, stream);
    return NULL;
}

bool gshare_track_resume(struct gshare_lane *lane) {
    struct gshare_track *track = lane->track;
    if (track->epoch != (uint32_t)atomic_load(&gshare_gate.joined) ||
        !gshare_track_takes_events(track->stream))
        return false;
    track->has_end = false;
    lane->is_parked = false;
    take_credit(lane, track, false);
    atomic_store(&lane->stream, lane->parked_stream);
    return true;
}

/* Another thread may be launching on the track, unseen, for as long as it has credit. */
static bool is_used_beside(const struct gshare_track *track, const struct gshare_lane *self) {
    if (atomic_load(&gshare_gate.lane_count) <= 1)
        return false;
    for (struct gshare_lane *lane = atomic_load(&gshare_gate.lanes); lane; lane = lane->next)
        if (lane != self && lane->track == track && !lane->is_parked)
            return true;
    return false;
}

static void rest(struct gshare_track *track, struct gshare_lane *lane, uint64_t now_ns) {
    if (lane->track == track && !lane->is_parked) {
        gshare_gate_count(lane);
        lane->parked_stream = atomic_load(&lane->stream);
        lane->is_parked = true;
        atomic_store(&lane->stream, GSHARE_NO_STREAM);
    }
    if (is_used_beside(track, lane))
        return;
    gshare_queue_empty(track);
    gshare_gap_rests(track, lane, now_ns);
}

void gshare_track_rest(struct gshare_lane *lane, enum gshare_scope scope, CUstream stream,
                       uint64_t now_ns) {
    struct gshare_track *own = lane->track;
    if (!own || own->epoch != (uint32_t)atomic_load(&gshare_gate.joined))
        return;
    if (scope == GSHARE_DONE_PART && !lane->is_parked &&
        gshare_real.cuStreamQuery(own->stream) == CUDA_SUCCESS)
        rest(own, lane, now_ns);
    if (scope == GSHARE_DONE_STREAM && stream == own->stream)
        rest(own, lane, now_ns);
    else if (scope == GSHARE_DONE_CONTEXT || scope == GSHARE_DONE_STREAM)
        for (struct gshare_track *track = gshare_tracks; track; track = track->next)
            if (track->context == own->context && track->working_epoch == own->epoch &&
                (scope == GSHARE_DONE_CONTEXT ||
                 (track->stream == stream && (!track->thread || track->thread == lane))))
                rest(track, lane, now_ns);
}

void gshare_track_passed(struct gshare_track *track, int32_t launches) {
    track->since_mark += (uint32_t)launches;
}

void gshare_track_forget(void) {
    for (struct gshare_track *track = gshare_tracks; track; track = track->next)
        clear(track);
    gshare_drain_forget();
}
