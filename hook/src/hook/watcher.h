/* The process's one thread of ours: it closes the gate and gives tokens back.
 *
 * Under a token it sleeps on the grant page's revoke_count. When the token is revoked, runs out or
 * lies idle, it closes the gate, waits for the epoch's GPU work, publishes the GPU time used, acks
 * and rings. It gives the token back by itself when no thread has launched or ended a wait, and the
 * GPU has had nothing of ours to do, for two ticks of window / 160.
 *
 * While the daemon is away it grants tokens to its own process: by the limits page's slices on
 * CLOCK_MONOTONIC, less what the last one overran, so a lease has its quota request and no more;
 * and it tries the daemon's socket every 100 ms. */
#ifndef GSHARE_WATCHER_H
#define GSHARE_WATCHER_H

/* Starts the thread, with all signals blocked. Returns 0 or a negative errno. */
int gshare_watcher_start(void);

/* Tells the watcher that an epoch was joined. */
void gshare_watcher_rouse(void);

/* In a forked child: the thread is not there any more. */
void gshare_watcher_forget(void);

#endif
