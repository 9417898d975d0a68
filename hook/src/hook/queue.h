/* The launch-ahead queue of a track: checkpoints that bound it, and what they teach of its kernels.
 * All of it under the gate's lock. */
#ifndef GSHARE_QUEUE_H
#define GSHARE_QUEUE_H

#include "hook/track_state.h"

/* Learns from the chunk between the two oldest checkpoints, both complete. */
void gshare_queue_learn(struct gshare_track *track);

/* Everything is complete: learns from the last chunk, whose like shall not run dry again. What was
 * learnt between the marks ends here. */
void gshare_queue_empty(struct gshare_track *track);

/* Marks the place before the first launch into an empty queue, to learn from. */
void gshare_queue_begin(struct gshare_track *track);

/* Ends a chunk. Returns the checkpoint that must be complete before the next may begin, if any. */
CUevent gshare_queue_checkpoint(struct gshare_track *track);

/* A kernel that lasts long and would begin behind the queue after the token's deadline only adds to
 * the overrun. Returns the checkpoint at the queue's end, to wait for: by then there is time left
 * for it, or another token. NULL where it may go; short kernels are not worth the turn-around. */
CUevent gshare_queue_end_if_late(const struct gshare_track *track);

#endif
