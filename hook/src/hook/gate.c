#include "hook/gate.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>

#include "hook/gap.h"
#include "hook/guest.h"
#include "hook/os.h"
#include "hook/session.h"
#include "hook/symbols.h"
#include "hook/track.h"
#include "hook/watcher.h"

#define SPIN_NS                                                                                    \
    (20 * GSHARE_NS_PER_US) /* a hand-over within this costs no wake-up (TOKENS.md 1)              \
                             */
#define FIRST_SPIN_NS                                                                              \
    (100 * GSHARE_NS_PER_US) /* who was idle gets a free GPU as soon as the daemon has woken */
#define LOOK_AGAIN_NS                                                                              \
    (20 * GSHARE_NS_PER_MS) /* a waiter checks that its daemon has not changed                     \
                             */
#define BARRIER_FALLBACK_NS GSHARE_NS_PER_MS

static const _Atomic uint32_t no_epoch;

struct gshare_gate gshare_gate = {.epoch_word = &no_epoch, .joined = GSHARE_GATE_CLOSED};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool has_membarrier; /* written by gshare_gate_init */

void gshare_gate_lock(void) {
    pthread_mutex_lock(&lock);
}

void gshare_gate_unlock(void) {
    pthread_mutex_unlock(&lock);
}

static void nap(uint64_t ns) {
    struct timespec time = gshare_timespec(ns);
    nanosleep(&time, NULL);
}

void gshare_gate_lock_still(void) {
    gshare_gate_lock();
    while (gshare_gate.is_draining) {
        gshare_gate_unlock();
        nap(50 * GSHARE_NS_PER_US);
        gshare_gate_lock();
    }
}

void gshare_gate_set_wants(bool wants) {
    if (gshare_gate.wants == wants)
        return;
    gshare_gate.wants = wants;
    atomic_store(&gshare_session_slot()->wants, wants);
    if (wants)
        gshare_session_ring();
}

void gshare_gate_count(struct gshare_lane *lane) {
    int32_t credit = atomic_load_explicit(&lane->credit, memory_order_relaxed);
    int32_t passed = lane->granted - credit;
    lane->granted = credit;
    gshare_gate.launches += (uint64_t)passed;
    if (lane->track)
        gshare_track_passed(lane->track, passed);
}

/* Leaves an event behind the thread's last launch. */
static void mark_gap(struct gshare_lane *lane) {
    gshare_gate_lock();
    if (lane->track && !lane->is_parked)
        gshare_gap_before_wait(lane);
    gshare_gate_unlock();
}

void gshare_gate_begin_wait(void) {
    if (gshare_lane_is_own())
        mark_gap(gshare_own_lane);
}

void gshare_gate_end_wait(enum gshare_scope scope, CUstream stream) {
    struct gshare_lane *lane = gshare_own_lane;
    if (!gshare_lane_is_own())
        return;
    uint64_t now_ns = gshare_now_ns();
    gshare_gate_lock();
    gshare_track_rest(lane, scope, stream, now_ns);
    gshare_gap_after_wait();
    gshare_gate_unlock();
    atomic_fetch_add_explicit(&lane->passes, 1, memory_order_relaxed);
}

void gshare_gate_saw_work(void) {
    if (gshare_lane_is_own())
        mark_gap(gshare_own_lane);
}

void gshare_gate_saw_complete(enum gshare_scope scope, CUstream stream) {
    struct gshare_lane *lane = gshare_own_lane;
    if (!gshare_lane_is_own() || lane->is_parked)
        return;
    uint64_t now_ns = gshare_now_ns();
    gshare_gate_lock();
    gshare_track_rest(lane, scope, stream, now_ns);
    gshare_gate_unlock();
}

static uint32_t epoch_in_force(void) {
    return atomic_load(atomic_load(&gshare_gate.epoch_word));
}

uint64_t gshare_gate_deadline_ns(void) {
    const _Atomic uint32_t *word = atomic_load(&gshare_gate.epoch_word);
    if (word == &no_epoch)
        return UINT64_MAX;
    size_t before = offsetof(struct gshare_grant, epoch);
    const struct gshare_grant *grant = (const void *)((const char *)word - before);
    uint64_t deadline_ns = atomic_load(&grant->deadline_ns);
    return deadline_ns ? deadline_ns : UINT64_MAX;
}

static bool is_open(void) {
    return epoch_in_force() == atomic_load(&gshare_gate.joined);
}

static void rouse_if_due(void) {
    if (atomic_exchange(&gshare_gate.is_rouse_due, false))
        gshare_watcher_rouse();
}

void gshare_gate_leave_slowly(void) {
    gshare_gate_leave();
    if (!atomic_load_explicit(&gshare_gate.is_rouse_due, memory_order_relaxed))
        return;
    if (gshare_lane_is_own())
        mark_gap(gshare_own_lane); /* the watcher may take this thread's CPU */
    rouse_if_due();
}

void gshare_gate_leave_done(void) {
    gshare_gate_leave_slowly();
    gshare_gate_saw_complete(GSHARE_DONE_PART, NULL);
}

/* Joins the grant in force, if it is one that this process has not given back. Under the lock. The
 * store of active_epoch and the second look at the grant are the hook's half of wire.h's Dekker. */
static bool join(void) {
    struct gshare_slot *slot = gshare_session_slot();
    uint32_t epoch = epoch_in_force();
    if (epoch == 0 || epoch == atomic_load(&gshare_gate.last_epoch) || gshare_gate.is_draining)
        return false;
    gshare_gate.revoke_seen = atomic_load(&gshare_session.grant_page->revoke_count);
    atomic_store(&gshare_gate.last_epoch, epoch);
    atomic_store(&slot->active_epoch, epoch);
    if (epoch_in_force() != epoch) {
        atomic_store(&slot->acked_epoch, epoch);
        gshare_session_ring();
        return false;
    }
    gshare_gate.joined_ns = gshare_now_ns();
    gshare_gate_set_wants(true);
    atomic_store(&gshare_gate.joined, epoch);
    atomic_store(&gshare_gate.is_rouse_due, true);
    if (atomic_load(&gshare_gate.lane_count) > 1)
        rouse_if_due(); /* others may launch while this thread's first launch takes long */
    return true;
}

static void note_wait(uint64_t since_ns) {
    struct gshare_slot *slot = gshare_session_slot();
    atomic_fetch_add_explicit(&slot->waits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&slot->wait_ns, gshare_now_ns() - since_ns, memory_order_relaxed);
}

static bool is_new(uint32_t epoch) {
    return epoch != 0 && epoch != atomic_load(&gshare_gate.last_epoch);
}

/* Waits for a grant that may be joined. Called without the lock. */
static void wait_for_token(void) {
    uint64_t since_ns = gshare_now_ns();
    atomic_fetch_add(&gshare_gate.waiters, 1);
    gshare_gate_lock();
    uint64_t spin_ns = gshare_gate.wants ? SPIN_NS : FIRST_SPIN_NS;
    gshare_gate_set_wants(true);
    bool drains = gshare_gate.is_draining;
    gshare_gate_unlock();
    while (!is_new(epoch_in_force()) && gshare_now_ns() - since_ns < spin_ns)
        gshare_cpu_relax();
    const _Atomic uint32_t *word = atomic_load(&gshare_gate.epoch_word);
    uint32_t epoch = atomic_load(word);
    if (!is_new(epoch))
        gshare_futex_wait(word, epoch, LOOK_AGAIN_NS);
    else if (drains)
        nap(SPIN_NS);
    atomic_fetch_sub(&gshare_gate.waiters, 1);
    note_wait(since_ns);
}

/* The thread may be woken so late that the rest of the queue is done as well: that is a gap. */
static void wait_for_checkpoint(CUevent event) {
    gshare_gate_begin_wait();
    gshare_real.cuEventSynchronize(event);
    gshare_gate_end_wait(GSHARE_DONE_PART, NULL);
}

/* One try at the gate. Returns true with the marker raised. */
static bool try_enter(struct gshare_lane *lane, CUstream stream, bool is_heavy) {
    gshare_gate_lock();
    if (!is_open() && !join()) {
        gshare_gate_unlock();
        wait_for_token();
        return false;
    }
    gshare_gate_count(lane);
    bool resumes =
        lane->is_parked && lane->parked_stream == stream && !is_heavy && gshare_track_resume(lane);
    CUevent earlier = resumes ? NULL : gshare_track_admit(lane, stream, is_heavy);
    atomic_store(&lane->busy, earlier == NULL);
    bool enters = !earlier && is_open();
    if (!enters)
        atomic_store(&lane->busy, 0);
    else if (lane->track)
        gshare_gate.launches++; /* what is captured is none */
    gshare_gate_unlock();
    if (earlier)
        wait_for_checkpoint(earlier);
    return enters;
}

CUresult gshare_gate_wait(CUstream stream, bool is_heavy) {
    gshare_gate_leave();
    enum gshare_guest_mode mode = gshare_guest_start();
    if (mode != GSHARE_GUEST_LEASED)
        return mode == GSHARE_GUEST_REFUSED ? CUDA_ERROR_NOT_PERMITTED : CUDA_SUCCESS;
    int saved = errno;
    struct gshare_lane *lane = gshare_gate_lane();
    if (!lane)
        return CUDA_ERROR_OUT_OF_MEMORY;
    atomic_fetch_add_explicit(&lane->passes, 1, memory_order_relaxed);
    while (!try_enter(lane, stream, is_heavy)) {
    }
    errno = saved;
    return CUDA_SUCCESS;
}

/* Makes every thread of the process pass a full barrier. Without the system call (seccomp) a
 * millisecond stands in: no store stays in a buffer that long. */
static void barrier_on_every_thread(void) {
    if (!has_membarrier || syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
        nap(BARRIER_FALLBACK_NS);
}

uint32_t gshare_gate_close(void) {
    gshare_gate_lock();
    uint32_t epoch = (uint32_t)atomic_load(&gshare_gate.joined);
    gshare_gate.is_draining = true;
    atomic_store(&gshare_gate.joined, GSHARE_GATE_CLOSED);
    gshare_gate_unlock();
    barrier_on_every_thread();
    for (struct gshare_lane *lane = atomic_load(&gshare_gate.lanes); lane; lane = lane->next)
        for (unsigned looks = 0; atomic_load(&lane->busy); looks++)
            looks < 1000 ? gshare_cpu_relax() : nap(SPIN_NS);
    gshare_gate_lock();
    for (struct gshare_lane *lane = atomic_load(&gshare_gate.lanes); lane; lane = lane->next) {
        gshare_gate_count(lane);
        gshare_lane_clear(lane);
    }
    gshare_gate_unlock();
    return epoch;
}

void gshare_gate_init(void) {
    long answer = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    has_membarrier = answer == 0;
    gshare_lane_init();
}

void gshare_gate_forget(void) {
    struct gshare_lane *lanes = atomic_load(&gshare_gate.lanes);
    gshare_lane_forget();
    gshare_gate = (struct gshare_gate){.lanes = lanes};
    atomic_store(&gshare_gate.epoch_word, &no_epoch);
    atomic_store(&gshare_gate.joined, GSHARE_GATE_CLOSED);
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}
