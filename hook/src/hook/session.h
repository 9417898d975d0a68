/* The lease as this process sees it: the mapped pages, the connection, the process's slot. */
#ifndef GSHARE_SESSION_H
#define GSHARE_SESSION_H

#include <stdbool.h>

#include "gshare/wire.h"

/* The grant in force is read through a pointer: to the daemon's page, or, while the daemon is away,
 * to one of our own that the watcher writes by the timetable. */
struct gshare_session {
    const struct gshare_limits *_Atomic limits; /* in force; replaced as a whole (limits.h) */
    struct gshare_grant *grant_page;            /* daemon's; read-only mapping, replaced in place */
    struct gshare_counters *counters;           /* replaced in place */
    struct gshare_doorbell *doorbell;           /* replaced in place */
    struct gshare_grant own_grant;              /* written by the watcher */
    struct gshare_slot own_slot;                /* counts while there is no slot in the page */
    _Atomic(struct gshare_slot *) slot; /* written by the watcher, under the account's lock */
    _Atomic bool is_connected;          /* written by the watcher, and at the start */
    int socket;                         /* -1: none; watcher's */
    int directory;                      /* immutable */
    int32_t slot_index;                 /* kept over reconnections; -1: none yet */
};
extern struct gshare_session gshare_session;

/* Reads the limits and connects if a daemon listens. Returns 0, -EBADMSG for a page that is none,
 * or what the system said. A daemon that is away is no error. */
int gshare_session_open(const char *directory);

/* Tries to reach the daemon, asking for the slot held before. Returns 0 or a negative errno. The
 * caller is the only one that uses the connection. */
int gshare_session_connect(void);

/* Returns true if the daemon has hung up. Never waits. */
bool gshare_session_is_lost(void);

/* Ends a lost connection: the process counts in its own slot from here on. */
void gshare_session_drop(void);

/* In a forked child: closes what the parent owns and forgets everything. */
void gshare_session_forget(void);

/* Tells the daemon that this process's slot changed. */
void gshare_session_ring(void);

/* Returns what the lease's processes hold together, saturating. */
uint64_t gshare_session_memory_bytes(void);

static inline struct gshare_slot *gshare_session_slot(void) {
    return atomic_load_explicit(&gshare_session.slot, memory_order_acquire);
}

#endif
