/* A capture, for the files that make and describe one. */
#ifndef GSHARE_SIMGPU_CAPTURE_STATE_H
#define GSHARE_SIMGPU_CAPTURE_STATE_H

#include "graph.h"

/* CUstreamCaptureStatus, CUstreamCaptureMode, CUstream_flags */
enum { CAPTURE_NONE = 0, CAPTURE_ACTIVE = 1, CAPTURE_INVALID = 2 };
enum { MODE_GLOBAL = 0, MODE_THREAD_LOCAL = 1, MODE_RELAXED = 2 };
enum { STREAM_NON_BLOCKING = 1 };

/* Made and freed with its capture; all of it under the lock of capture.c. */
struct sim_capture {
    struct sim_capture *next;
    unsigned long long id;
    struct sim_graph *graph;
    size_t had;   /* nodes that were in the graph before */
    bool is_ours; /* the graph was made for the capture */
    struct sim_queue *origin;
    pthread_t thread; /* that began it */
    int mode;
    int status;
    struct sim_queue *members; /* linked by next_member */
};

void gshare_sim_capture_enter(void);
void gshare_sim_capture_leave(void);
/* With the lock held: a queue takes part in a capture, or no longer; a capture lives, or ends. */
void gshare_sim_capture_admit(struct sim_capture *capture, struct sim_queue *queue);
void gshare_sim_capture_dismiss(struct sim_capture *capture, struct sim_queue *queue);
void gshare_sim_capture_list(struct sim_capture *capture);
void gshare_sim_capture_close(struct sim_capture *capture, bool keeps_graph);
/* capture_life.c */
/* graph: where to capture into; NULL: a new one. */
CUresult gshare_sim_capture_begin(struct sim_queue *queue, struct sim_graph *graph,
                                  const struct sim_tips *tips, int mode);
CUresult gshare_sim_capture_end(struct sim_queue *queue, struct sim_graph **graph);

#endif
