/* The gate: every call that occupies the GPU passes here, under a token.
 *
 * The fast path is a comparison. A launch raises its thread's marker, checks that the grant in
 * force is the epoch this process has joined, that the thread has credit left on this stream, calls
 * the driver and lowers the marker. No fence is paid: who closes the gate (the watcher) first
 * clears the joined epoch, then has the kernel run a barrier on every thread (membarrier), and then
 * waits for the markers. From there on no launch of the epoch can reach the driver.
 *
 * Credit is the launch-ahead bound: see track.h. */
#ifndef GSHARE_GATE_H
#define GSHARE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "hook/driver_api.h"

#define GSHARE_GATE_CLOSED (1ull << 32)          /* equals no epoch */
#define GSHARE_NO_STREAM ((CUstream)UINTPTR_MAX) /* equals no stream */

struct gshare_track;

/* One thread's place at the gate. Made at its first launch, reused after its end, never unmapped.
 * The owner writes; the watcher reads, and writes while the gate is closed and busy is 0. */
struct gshare_lane {
    _Alignas(128) _Atomic uint32_t busy; /* 1: between the check and the driver's return */
    _Atomic int32_t credit;              /* launches that may pass before the next checkpoint */
    _Atomic(CUstream) stream;            /* the stream that the credit is for */
    _Atomic uint32_t passes;             /* slow passes and waits: with credit, shows progress */
    _Atomic uint32_t is_owned;
    int32_t granted;            /* credit at the last count; under the gate's lock */
    _Atomic bool is_parked;     /* its stream is at rest; under the gate's lock */
    CUstream parked_stream;     /* what `stream` was then */
    struct gshare_track *track; /* of `stream`, or of the parked one; under the gate's lock */
    struct gshare_lane *next;   /* immutable once published */
};

struct gshare_gate {
    _Atomic(const _Atomic uint32_t *) epoch_word; /* grant in force; written by the watcher */
    _Atomic uint64_t joined;     /* epoch that may launch, or GSHARE_GATE_CLOSED; under the lock */
    _Atomic uint32_t last_epoch; /* last one joined; under the lock */
    _Atomic uint32_t waiters;    /* threads waiting for a token */
    _Atomic uint32_t lane_count; /* threads that have a lane; under the lock */
    _Atomic bool is_rouse_due;   /* the watcher does not know of the joined epoch yet */
    _Atomic(struct gshare_lane *) lanes;
    uint64_t joined_ns;   /* under the lock */
    uint64_t launches;    /* counted passes, but what is captured; under the lock */
    uint32_t revoke_seen; /* grant.revoke_count when the epoch was joined; under the lock */
    bool is_draining;     /* the watcher is between closing and its ack; under the lock */
    _Atomic bool wants;   /* what slot.wants says; under the lock */
};
extern struct gshare_gate gshare_gate;

extern __thread struct gshare_lane *gshare_own_lane __attribute__((tls_model("initial-exec")));

/* Returns true if a launch on `stream` may go to the driver; gshare_gate_leave must follow it. On
 * false the caller takes gshare_gate_wait. */
static inline bool gshare_gate_pass(struct gshare_lane *lane, CUstream stream) {
    atomic_store_explicit(&lane->busy, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    uint64_t joined = atomic_load_explicit(&gshare_gate.joined, memory_order_acquire);
    const _Atomic uint32_t *word =
        atomic_load_explicit(&gshare_gate.epoch_word, memory_order_relaxed);
    int32_t credit = atomic_load_explicit(&lane->credit, memory_order_relaxed);
    if (__builtin_expect(atomic_load_explicit(word, memory_order_relaxed) != joined, 0) ||
        __builtin_expect(atomic_load_explicit(&lane->stream, memory_order_relaxed) != stream, 0) ||
        __builtin_expect(credit <= 0, 0))
        return false;
    atomic_store_explicit(&lane->credit, credit - 1, memory_order_relaxed);
    return true;
}

static inline void gshare_gate_leave(void) {
    atomic_store_explicit(&gshare_own_lane->busy, 0, memory_order_release);
}

/* As gshare_gate_leave, after gshare_gate_wait. */
void gshare_gate_leave_slowly(void);

/* As gshare_gate_leave, after a call that returns when its work is done. */
void gshare_gate_leave_done(void);

/* Waits until a launch on `stream` may go: for a token, and for room in the stream's queue. A heavy
 * call is checkpointed by itself. Returns 0 with the marker raised, or the error that the launch
 * must return. Keeps errno. */
CUresult gshare_gate_wait(CUstream stream, bool is_heavy);

/* Returns this thread's lane, made if need be; NULL without memory. */
struct gshare_lane *gshare_gate_lane(void);

/* Changes with every launch and wait of the lane's thread. */
static inline uint64_t gshare_lane_progress(struct gshare_lane *lane) {
    uint64_t passes = atomic_load(&lane->passes), credit = (uint32_t)atomic_load(&lane->credit);
    return passes << 32 ^ credit;
}

/* True where this thread has a lane already. */
bool gshare_lane_is_own(void);

void gshare_lane_init(void);
void gshare_lane_forget(void); /* in a forked child */

/* What is complete after a wait: nothing that we know of, something, all of a stream, or all of the
 * thread's context. */
enum gshare_scope {
    GSHARE_DONE_NOTHING,
    GSHARE_DONE_PART,
    GSHARE_DONE_STREAM,
    GSHARE_DONE_CONTEXT
};

/* Frame a wait of the calling thread for the GPU. */
void gshare_gate_begin_wait(void);
void gshare_gate_end_wait(enum gshare_scope scope, CUstream stream);

/* A query of the calling thread found work, or found this complete. */
void gshare_gate_saw_work(void);
void gshare_gate_saw_complete(enum gshare_scope scope, CUstream stream);

/* Under the lock: takes the stream and the credit from a lane. */
void gshare_lane_clear(struct gshare_lane *lane);

/* The current context of this thread changed: stream 0 means another stream now. */
void gshare_gate_forget_stream(void);

/* Until when the grant in force lasts, as of now; it may be extended. UINT64_MAX: no end. */
uint64_t gshare_gate_deadline_ns(void);

void gshare_gate_lock(void);
void gshare_gate_unlock(void);
/* Locks when no drain is under way: contexts and streams may go then. */
void gshare_gate_lock_still(void);

/* Under the lock: says in the slot whether this process wants the GPU, and rings on 0 to 1. */
void gshare_gate_set_wants(bool wants);

/* Under the lock: counts a lane's passes since the last count. */
void gshare_gate_count(struct gshare_lane *lane);

/* The watcher's: shuts the gate and returns when no launch is on its way to the driver. The epoch
 * that ended is returned; is_draining is set, until the watcher has acked. */
uint32_t gshare_gate_close(void);

void gshare_gate_init(void);
void gshare_gate_forget(void);

#endif
