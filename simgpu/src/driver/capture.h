/* Stream capture, for the calls that a capturing stream turns into nodes. */
#ifndef GSHARE_SIMGPU_CAPTURE_H
#define GSHARE_SIMGPU_CAPTURE_H

#include "driver.h"

/* What a stream argument means to a call that puts work there. Fails where the stream's capture is
 * invalid, or where the work would have the legacy stream wait for a capture. */
CUresult gshare_sim_use(CUstream stream, struct sim_queue **queue);
/* Adds the call to the graph that the queue is captured into. */
CUresult gshare_sim_capture(struct sim_queue *queue, const CUgraphNodeParams *parameters);
/* Invalidates the queue's capture: the call cannot be captured. */
CUresult gshare_sim_refuse(struct sim_queue *queue);
/* Fails, and invalidates the captures that forbid it, where a call that might synchronise must not
 * be made now in this thread. */
CUresult gshare_sim_check_unsafe(void);
/* For an event that is recorded in, or waited for by, a capturing stream. */
CUresult gshare_sim_capture_record(struct sim_queue *queue, struct sim_mark *event);
CUresult gshare_sim_capture_wait(struct sim_queue *queue, struct sim_mark *event);
/* For a stream that is destroyed: its capture cannot be ended any more. */
void gshare_sim_capture_abandon(struct sim_queue *queue);

#endif
