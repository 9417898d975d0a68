/* The hook as a guest of this process: whether it acts, and its start. */
#ifndef GSHARE_GUEST_H
#define GSHARE_GUEST_H

#include <stdatomic.h>
#include <stdbool.h>

enum gshare_guest_mode {
    GSHARE_GUEST_NEW,     /* no intercepted call yet */
    GSHARE_GUEST_INERT,   /* no lease asked for: everything passes through */
    GSHARE_GUEST_LEASED,  /* the lease's limits are in force */
    GSHARE_GUEST_REFUSED, /* a lease is asked for but its limits cannot be read: nothing may run */
};

/* Written by gshare_guest_start under its once, and by the child after a fork. */
extern _Atomic int gshare_guest_mode;

/* True where GSHARE_LEASE_DIR names a lease or, if it is unset, a container has one in its place.
 * Callable before any start. */
bool gshare_guest_is_asked(void);

/* Finds the driver's functions. Once a process; keeps errno. */
void gshare_guest_resolve(void);

/* Resolves, then reads the lease and starts the watcher. Once a process, at the first call that
 * needs it, never in a constructor; a forked child starts anew. Keeps errno. */
enum gshare_guest_mode gshare_guest_begin(void);

static inline enum gshare_guest_mode gshare_guest_start(void) {
    int mode = atomic_load_explicit(&gshare_guest_mode, memory_order_acquire);
    return mode == GSHARE_GUEST_NEW ? gshare_guest_begin() : (enum gshare_guest_mode)mode;
}

#endif
