/* The gaps of an epoch: times in which the process holds the token but the GPU has no work of it.
 *
 * A gap begins when all work of the epoch is found complete, by a wait that returns or a query that
 * says so, and ends with the next launch. Both are seen on the host, at no cost to a launch that
 * follows a launch. The host sees a gap's end almost when the GPU does, and its begin late, by what
 * the wait takes to return. So an event is left behind the last launch before a wait, and one is
 * recorded at the end of a gap that is to be a sample: those in their turn, about one in 100 us,
 * and those before which the work took unusually long. A sampled gap is exact, and the others are
 * corrected by what the turns showed. What is unseen (a thread that is off its CPU between two
 * launches) counts as work: the error is never in the process's favour.
 *
 * Everything here is called under the gate's lock. */
#ifndef GSHARE_GAP_H
#define GSHARE_GAP_H

#include <stdint.h>

struct gshare_lane;
struct gshare_track;

/* A new epoch: no gap is open, and nothing works. */
void gshare_gap_begin_epoch(uint32_t epoch);

/* `track` has work of the epoch. Tells of a change only. */
void gshare_gap_works(struct gshare_track *track);

/* All work on `track` is complete, as the thread of `lane` found at `now_ns`. */
void gshare_gap_rests(struct gshare_track *track, struct gshare_lane *lane, uint64_t now_ns);

/* The thread of `lane` waits for its last launch, or may be off its CPU before it does. */
void gshare_gap_before_wait(struct gshare_lane *lane);

/* That wait is over, and what it showed has been told. */
void gshare_gap_after_wait(void);

/* The next thing on `track` is a launch of `lane`: an open gap ends. */
void gshare_gap_close(struct gshare_track *track, const struct gshare_lane *lane);

/* End events are recorded now, from which the epoch is measured. */
void gshare_gap_mark_end(void);

/* Takes the gaps of the epoch off its GPU time: *used_ns loses an open gap at its end, and what is
 * returned is the part of it in which the GPU worked. Once the end events are complete. */
uint64_t gshare_gap_deduct(uint64_t *used_ns);

/* The track's events go. */
void gshare_gap_drop(const struct gshare_track *track);

void gshare_gap_forget(void);

#endif
