/* The contract between the hook (in a container), the token daemon and the node.
 *
 * A lease is a directory with three pages and a socket:
 *   limits    written by the node only; mapped read-only by hook and daemon
 *   grant     written by the token daemon only; mapped read-only by the hook
 *   counters  written by the hook (one slot a process) and, for dead slots, by the daemon
 *   token.sock  SOCK_SEQPACKET; served once a process, for slot and doorbell; its hang-up is the
 *               process's death. The socket's path is the identity: nothing a client says is
 *               trusted beyond it.
 * Python's twin is core/gshare/wire.py; a test compares every offset.
 *
 * Token protocol, per lease:
 *   grant.epoch is 0 (no token) or the number of the grant in force. A launch may pass while
 *   grant.epoch equals the epoch that the process has joined. A process joins an epoch by
 *   storing slot.active_epoch and then re-reading grant.epoch (both sequentially consistent).
 *   The daemon revokes by storing 0 in grant.epoch, and then reading the slots (Dekker). A token
 *   is back when every slot with active_epoch == E has acked_epoch == E or its process is gone.
 *   A process acks after its GPU work of that epoch is complete; it publishes used_ns first. It
 *   may ack early (idle); after that it waits for an epoch newer than E.
 * Every futex here is a shared one (no FUTEX_PRIVATE_FLAG). Times are CLOCK_MONOTONIC ns.
 */
#ifndef GSHARE_WIRE_H
#define GSHARE_WIRE_H

#include <stdatomic.h>
#include <stdint.h>

#define GSHARE_MAGIC 0x45524853u /* "SHRE" */
#define GSHARE_WIRE_VERSION 1u

#define GSHARE_LEASE_ID_BYTES 40
#define GSHARE_UUID_BYTES 48
#define GSHARE_MAX_SLICES 8
#define GSHARE_MAX_SLOTS 64

struct gshare_header {
    uint32_t magic;
    uint32_t version;
};

/* One piece of a lease's quota within the window: percent of the window. */
struct gshare_slice {
    uint16_t start_percent;
    uint16_t width_percent;
};

/* The limits page. `sequence` is a seqlock: odd while the node rewrites what follows it. */
struct gshare_limits {
    struct gshare_header header;
    _Atomic uint32_t sequence;
    uint32_t sm_percent;            /* 1-100 */
    uint32_t quota_request_percent; /* 1-100, guaranteed in each window */
    uint32_t quota_limit_percent;   /* request-100, never exceeded */
    uint32_t window_us;
    uint32_t launch_depth;    /* kernels that may be queued ahead; 2 */
    uint32_t queue_budget_us; /* or as many short ones as fill this time; 500 */
    uint32_t slice_count;
    uint64_t memory_limit_bytes; /* 0: no cap */
    struct gshare_slice slices[GSHARE_MAX_SLICES];
    char lease_id[GSHARE_LEASE_ID_BYTES]; /* NUL-padded */
    char gpu_uuid[GSHARE_UUID_BYTES];     /* NUL-padded */
};

/* The grant page. epoch and revoke_count are futex words. */
struct gshare_grant {
    struct gshare_header header;
    _Atomic uint32_t epoch;        /* 0: no token. Woken when it becomes non-zero */
    _Atomic uint32_t revoke_count; /* +1 and woken at each revocation */
    _Atomic uint64_t deadline_ns;  /* the hook closes the gate by itself at this time; it may move
                                    * later within an epoch, so it is read again when it is due */
    _Atomic uint64_t daemon_start_ns;
};

/* One process of a lease. 128 bytes: two cache lines, no false sharing between processes. */
struct gshare_slot {
    _Atomic uint32_t pid;          /* as the process sees itself; 0: free */
    _Atomic uint32_t wants;        /* 1: waits for a token or launches under one */
    _Atomic uint32_t active_epoch; /* last epoch joined */
    _Atomic uint32_t acked_epoch;  /* last epoch drained or given back */
    _Atomic uint64_t used_ns;      /* of all acked epochs: from first work to last, gaps included */
    _Atomic uint64_t launches;     /* intercepted launches, sampled */
    _Atomic uint64_t memory_bytes; /* device memory held, context included */
    _Atomic uint64_t waits;        /* times a thread had to wait for a token */
    _Atomic uint64_t wait_ns;
    _Atomic uint64_t busy_ns;    /* the part of used_ns in which the GPU had work of this process */
    _Atomic uint64_t host_bytes; /* pinned host memory, counted apart */
    _Atomic uint64_t imported_bytes; /* of another process's export, not charged again */
    uint8_t reserved[128 - 16 - 8 * 8];
};

/* The counters page: what the lease's processes hold. The lease's memory is the sum over slots,
 * so it is exact after any crash: each process writes its own slot, the daemon clears dead ones. */
struct gshare_counters {
    struct gshare_header header;
    _Atomic uint32_t slot_high_water; /* slots at and above this index were never used */
    uint8_t reserved[128 - 12];
    struct gshare_slot slots[GSHARE_MAX_SLOTS];
};

/* The doorbell: a memfd of one page, one a GPU, sent with the welcome. The hook adds 1 and wakes
 * after each change of its slot that the daemon must see (wants 0->1, ack). */
struct gshare_doorbell {
    struct gshare_header header;
    _Atomic uint32_t rings;
};

/* Client to daemon, once. slot is -1, or the slot kept from before a daemon restart. */
struct gshare_hello {
    struct gshare_header header;
    int32_t slot;
    uint32_t pid;
};

enum gshare_welcome_status {
    GSHARE_WELCOME_OK = 0,
    GSHARE_WELCOME_FULL = 1,    /* no free slot */
    GSHARE_WELCOME_REFUSED = 2, /* magic, version or slot not acceptable */
};

/* Daemon to client, once, with the doorbell as SCM_RIGHTS where status is OK. */
struct gshare_welcome {
    struct gshare_header header;
    int32_t slot;
    uint32_t status;
};

_Static_assert(sizeof(struct gshare_limits) == 168, "wire.py reads this size");
_Static_assert(sizeof(struct gshare_grant) == 32, "wire.py reads this size");
_Static_assert(sizeof(struct gshare_slot) == 128, "wire.py reads this size");
_Static_assert(sizeof(struct gshare_counters) == 128 + GSHARE_MAX_SLOTS * 128, "wire.py");
_Static_assert(sizeof(struct gshare_hello) == 16 && sizeof(struct gshare_welcome) == 16, "wire.py");

#endif
