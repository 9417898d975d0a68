/* One lease as the daemon serves it: its folder, pages, listener and slots. Every field is written
 * under the state's lock; the pages are shared with the lease's processes, which are not trusted.
 */
#ifndef GSHARE_TOKEND_LEASE_H
#define GSHARE_TOKEND_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "gshare/wire.h"

struct gshare_lease {
    char id[GSHARE_LEASE_ID_BYTES];
    bool present;
    bool leaving;    /* no longer in the timetable */
    bool forgotten;  /* unknown to the arbiter: not yet, or not any more */
    uint64_t serial; /* tells it from others that had its place */
    int folder;      /* descriptor; -1: none */
    int listener;    /* token.sock; -1: none */
    struct gshare_grant *grant;
    struct gshare_counters *counters;

    uint64_t taken;     /* bit a slot: a process has it */
    uint64_t connected; /* bit a slot: and is connected to this daemon */
    uint32_t connections;
    uint32_t epoch; /* the last one given */
    bool held;      /* epoch is in force */
    bool draining;  /* epoch is revoked, and not back */
    bool joined;    /* somebody launched under it, as was read last */
    bool died;      /* a process died under it */
    uint64_t granted_at;
    uint32_t untouched; /* grants in a row that nobody joined: its processes are stopped */
    uint64_t asleep_until;
    uint64_t used_before[GSHARE_MAX_SLOTS]; /* used_ns when the epoch was given */
    uint64_t busy_before[GSHARE_MAX_SLOTS]; /* busy_ns then */
};

/* What the slots say about the epoch given last. */
struct gshare_reading {
    bool wants;
    bool joined;  /* somebody launched under it */
    bool pending; /* somebody has not given it back */
    uint64_t used_ns;
    uint64_t busy_ns;
};

/* Opens folder `id` of `leases`, its pages and its listener. 0 or a negative errno. */
int gshare_lease_open(struct gshare_lease *lease, int leases, const char *id, uint64_t now);
void gshare_lease_close(struct gshare_lease *lease);
/* Nobody can connect any more. */
void gshare_lease_unlisten(struct gshare_lease *lease);

void gshare_lease_grant(struct gshare_lease *lease, uint64_t deadline_ns, uint64_t now);
void gshare_lease_extend(struct gshare_lease *lease, uint64_t deadline_ns);
void gshare_lease_revoke(struct gshare_lease *lease);
struct gshare_reading gshare_lease_read(const struct gshare_lease *lease);

/* Finds a slot for a process: `wanted`, or any for -1. The slot, or a negative welcome status. */
int gshare_lease_seat(struct gshare_lease *lease, int32_t wanted, uint32_t pid);
/* The slot's process is gone: what it held is nobody's. */
void gshare_lease_unseat(struct gshare_lease *lease, uint32_t slot);
/* Unseats processes of an earlier daemon that have not come back. */
void gshare_lease_sweep(struct gshare_lease *lease);

/* No process has anything in flight, under whatever epoch. */
bool gshare_lease_is_quiet(const struct gshare_lease *lease);
/* Processes of an earlier daemon have yet to come back: they go by the clock, not by our tokens. */
bool gshare_lease_has_absent(const struct gshare_lease *lease);

struct gshare_lease_sums {
    uint64_t memory_bytes;
    uint64_t host_bytes;
    uint64_t imported_bytes;
    uint64_t waits;
    uint32_t processes;
};
struct gshare_lease_sums gshare_lease_sum(const struct gshare_lease *lease);

#endif
