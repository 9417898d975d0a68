/* What track.c (bounding) and drain.c (measuring) share. All of it under the gate's lock. */
#ifndef GSHARE_TRACK_STATE_H
#define GSHARE_TRACK_STATE_H

#include "hook/track.h"

#define GSHARE_MAX_DEPTH 16

struct gshare_track {
    CUcontext context; /* NULL: the track is unused */
    CUstream stream;
    struct gshare_lane *thread; /* whose default stream it is; NULL: any thread's */
    CUevent start, end;
    CUevent gap_begin, gap_end;          /* of a sampled gap; made at the first */
    CUevent marks[GSHARE_MAX_DEPTH + 1]; /* a ring: mark n is at n % (depth + 1) */
    uint32_t mark_launches[GSHARE_MAX_DEPTH + 1];
    uint32_t mark_count; /* marks recorded in this epoch */
    uint32_t depth;
    uint32_t epoch;      /* the epoch in which start was recorded; 0: none */
    uint32_t order;      /* among the tracks of its epoch: 0 is the first */
    uint32_t chunk;      /* launches a checkpoint, learnt */
    uint32_t since_mark; /* launches since the last checkpoint */
    uint64_t kernel_ns;  /* learnt */
    bool is_heavy;       /* the chunk holds a heavy call */
    bool has_end;
    uint32_t working_epoch;    /* the epoch of which it has work; 0: none (gap.c) */
    struct gshare_track *next; /* immutable */
};

/* Every track ever made; a track without context is unused. */
extern struct gshare_track *gshare_tracks;

/* False where the stream is being captured into a graph, or is none. A driver too old to tell
 * (before CUDA 10) cannot capture either. */
bool gshare_track_takes_events(CUstream stream);

/* The GPU time between two events that are complete, negative where `to` came first. False where
 * the driver cannot tell. */
bool gshare_track_elapsed_ns(CUevent from, CUevent to, int64_t *ns);

/* Destroys a track's events and makes it unused. */
void gshare_track_release(struct gshare_track *track);

/* Begins the measure of an epoch, where it has not begun; returns the track's order in it. */
uint32_t gshare_drain_order(uint32_t epoch);
void gshare_drain_forget(void);

#endif
