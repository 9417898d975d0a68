/* What the two threads share. `lock` covers the arbiter and the leases; it inherits priority, so
 * the token thread never waits behind an unrelated process. The doorbell needs no lock. */
#ifndef GSHARE_TOKEND_STATE_H
#define GSHARE_TOKEND_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "arbiter.h"
#include "lease.h"

struct gshare_settings {
    const char *folder;
    uint64_t window_ns;        /* 40 ms: below it hand-overs weigh, above it waits do */
    uint64_t drain_timeout_ns; /* one window: what a stopped process may cost the others */
    uint64_t reconnect_ns;     /* 5 s for processes of an earlier daemon to come back */
    bool fifo;                 /* ask for SCHED_FIFO */
};

struct gshare_state {
    struct gshare_settings settings; /* immutable */
    int folder;                      /* immutable */
    int leases_folder;               /* immutable */
    int doorbell_fd;                 /* immutable */
    struct gshare_doorbell *doorbell;
    _Atomic bool stops; /* written by the server thread; then the doorbell rings */

    pthread_mutex_t lock;
    struct gshare_arbiter *arbiter;
    struct gshare_lease leases[GSHARE_ARBITER_LEASES]; /* index: the arbiter's lease number */
    uint32_t count;                                    /* numbers at and above were never used */
    uint64_t quiet_until;  /* no grants before, while tokens of an earlier daemon drain */
    uint64_t absent_until; /* nor before, while its processes have yet to come back */
    uint64_t late_ns_max;  /* largest delay of a timed wake-up */
};

int gshare_state_init(struct gshare_state *state, const struct gshare_settings *settings);
/* Revokes all tokens and closes everything. */
void gshare_state_close(struct gshare_state *state);
/* Wakes the token thread. */
void gshare_state_ring(struct gshare_state *state);

/* Tells one version of the timetable file from the next; all zero where there is none. */
struct gshare_file_mark {
    ino_t inode;
    off_t size;
    int64_t seconds;
    int64_t nanoseconds;
};
struct gshare_file_mark gshare_timetable_mark(const struct gshare_state *state);

/* Closes leases that the arbiter has forgotten. Server thread only. */
void gshare_state_reap(struct gshare_state *state);

/* Brings the leases in line with the timetable file. `reply` becomes "ok leases=<n>" or
 * "error <one line>". A timetable that cannot be read changes nothing; a lease that cannot be
 * opened (a full disk, a missing folder) costs only itself: try again. Server thread only. */
bool gshare_reload(struct gshare_state *state, char *reply, size_t bytes);
/* Answers one control request. Server thread only. */
void gshare_control(struct gshare_state *state, const char *request, char *reply, size_t bytes);

/* The token thread: runs until state->stops. */
void *gshare_tokens_run(void *state);
/* The server thread: sockets and signals, until SIGTERM. 0 or a negative errno. */
int gshare_server_run(struct gshare_state *state);

#endif
