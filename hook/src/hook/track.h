/* One track a stream: the events by which its work is bounded, measured and drained.
 *
 * Launch-ahead: a stream's launches are counted in chunks. A chunk is one kernel, or as many short
 * ones as fill queue_budget_us / launch_depth; each ends with a checkpoint event. A launch that
 * would open chunk n waits until chunk n - launch_depth is complete. The time of a kernel is taken
 * from the checkpoints: a longer one counts at once, shorter ones are believed step by step, and a
 * chunk at most doubles, so a burst of long kernels after short ones is bounded by one chunk.
 *
 * GPU time of an epoch: from the first track's start event, recorded before its first launch, to
 * the latest end event. Everything here is called under the gate's lock unless said otherwise. */
#ifndef GSHARE_TRACK_H
#define GSHARE_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "hook/driver_api.h"
#include "hook/gate.h"

struct gshare_track;

/* Prepares `lane` for one launch on `stream` and gives it credit for more. Returns NULL, or the
 * checkpoint that must be complete first: wait for it without the lock, then ask again. */
CUevent gshare_track_admit(struct gshare_lane *lane, CUstream stream, bool is_heavy);

/* Lets a parked lane launch again, with the credit of an empty queue. False where the stream has to
 * be admitted. */
bool gshare_track_resume(struct gshare_lane *lane);

/* All that was launched on `stream` (of the lane's own context), on the lane's stream, or in its
 * context, is complete. */
void gshare_track_rest(struct gshare_lane *lane, enum gshare_scope scope, CUstream stream,
                       uint64_t now_ns);

/* Counts launches that passed on a lane's credit. */
void gshare_track_passed(struct gshare_track *track, int32_t launches);

/* Returns how long the process can have held the GPU under the token of `epoch`, which ended at
 * `end_ns`; UINT64_MAX where only its ends can tell. A process that was stopped closes its token
 * long after, and ends recorded then would tell of the stop: where its work is complete by then, it
 * held until `end_ns` and for the window that the daemon waits for who drains. Asked before the
 * ends are marked. */
uint64_t gshare_drain_longest_hold_ns(uint32_t epoch, uint64_t end_ns);

/* Records an end event on every stream used in `epoch`, from the watcher's thread. */
void gshare_track_mark_ends(uint32_t epoch);

/* Without the lock, between gshare_track_mark_ends and the next launch of those streams. */
bool gshare_track_ends_are_complete(uint32_t epoch);
void gshare_track_wait_for_ends(uint32_t epoch);

/* GPU time of an epoch: from its first work to its last, and the part of it without the gaps. */
struct gshare_use {
    uint64_t used_ns;
    uint64_t busy_ns;
};

/* Returns the GPU time of `epoch`, once its ends are complete. Without an answer from the driver it
 * is `hold_ns`, and never more. */
struct gshare_use gshare_track_use(uint32_t epoch, uint64_t hold_ns);

/* A stream, a thread's default stream, or a context goes (NULL: any may): its work is measured up
 * to here and its events are given back. */
void gshare_track_end_stream(CUstream stream);
void gshare_track_orphan(struct gshare_lane *lane);
void gshare_track_end_context(CUcontext context);

void gshare_track_forget(void);

#endif
