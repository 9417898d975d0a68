#include "hook/watcher.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hook/gate.h"
#include "hook/limits.h"
#include "hook/os.h"
#include "hook/own_grant.h"
#include "hook/session.h"
#include "hook/symbols.h"
#include "hook/track.h"

#define TICKS_A_WINDOW 160
#define MOST_TICKS 4 /* from look to look at a client that is found at work every time */
#define CALLS_A_WINDOW 40
#define AWAITS_A_WINDOW 8     /* others see a call later that the daemon is lost, and drain */
#define RECONNECTS_A_WINDOW 2 /* a new daemon waits a window for its predecessor's processes */
#define NEVER UINT64_MAX
#define STACK_BYTES (256 * 1024)

/* The thread's own, but for rouse_fd: written before it starts. */
static int rouse_fd = -1;
static uint64_t next_connect_ns; /* while the daemon is away */
static uint64_t next_limits_ns;
static uint64_t next_call_ns; /* when a holder looks whether its daemon is there */

/* What the watcher knows of an epoch's idleness. */
struct quiet {
    uint64_t progress; /* of the lanes at the last look */
    bool has_ends;     /* end events stand after the last launch */
    bool was_complete; /* and were complete a tick ago */
    uint32_t ticks;    /* until the next look: a look takes a core from who works */
};

/* Limits that the node has changed are in force within a window. */
static void follow_limits(uint64_t now_ns) {
    if (now_ns < next_limits_ns)
        return;
    gshare_limits_read(gshare_session.directory);
    next_limits_ns = now_ns + gshare_session.limits->window_us * GSHARE_NS_PER_US * 3 / 4;
}

static uint64_t least(uint64_t left, uint64_t right) {
    return left < right ? left : right;
}

static uint64_t tick_ns(void) {
    return gshare_session.limits->window_us * GSHARE_NS_PER_US / TICKS_A_WINDOW;
}

static uint64_t reconnect_ns(void) {
    return gshare_session.limits->window_us * GSHARE_NS_PER_US / RECONNECTS_A_WINDOW;
}

static bool is_own(void) {
    return atomic_load(&gshare_gate.epoch_word) == &gshare_session.own_grant.epoch;
}

static struct gshare_grant *grant(void) {
    return is_own() ? &gshare_session.own_grant : gshare_session.grant_page;
}

void gshare_watcher_rouse(void) {
    int saved = errno;
    uint64_t one = 1;
    if (write(rouse_fd, &one, sizeof one) < 0)
        errno = saved; /* full: the watcher is roused already */
}

/* Sums what changes when any thread launches or ends a wait, and says whether one is launching. */
static uint64_t read_progress(bool *is_engaged) {
    uint64_t progress = 0;
    *is_engaged = false;
    for (struct gshare_lane *lane = atomic_load(&gshare_gate.lanes); lane; lane = lane->next) {
        progress += gshare_lane_progress(lane);
        *is_engaged |= atomic_load(&lane->busy);
    }
    return progress;
}

/* One look. Returns true when the token may go back for idleness. */
static bool is_idle(struct quiet *quiet, uint32_t epoch) {
    bool is_engaged;
    uint64_t progress = read_progress(&is_engaged);
    if (progress != quiet->progress || is_engaged) {
        uint32_t ticks = quiet->ticks < MOST_TICKS ? 2 * quiet->ticks : MOST_TICKS;
        *quiet = (struct quiet){.progress = progress, .ticks = ticks};
        return false;
    }
    quiet->ticks = 1;
    if (!quiet->has_ends) {
        gshare_gate_lock();
        gshare_track_mark_ends(epoch);
        gshare_gate_unlock();
        quiet->has_ends = true;
        return false;
    }
    gshare_gate_lock();
    bool is_complete = gshare_track_ends_are_complete(epoch);
    gshare_gate_unlock();
    bool is_settled = is_complete && quiet->was_complete;
    quiet->was_complete = is_complete;
    return is_settled;
}

/* A token is worth nothing without its daemon: the others go by the clock, and so must we. */
static bool is_abandoned(uint64_t now_ns) {
    if (is_own() || now_ns < next_call_ns)
        return false;
    next_call_ns = now_ns + gshare_session.limits->window_us * GSHARE_NS_PER_US / CALLS_A_WINDOW;
    return gshare_session_is_lost();
}

/* When the gate closes by itself: a daemon is given a tick to revoke first. */
static uint64_t end_of_token(const struct gshare_grant *page) {
    uint64_t slack_ns = is_own() ? 0 : tick_ns();
    uint64_t deadline_ns = atomic_load(&page->deadline_ns);
    return deadline_ns && deadline_ns < NEVER - slack_ns ? deadline_ns + slack_ns : NEVER;
}

/* Sleeps until the token of `epoch` must go back: revoked, run out, or idle (returns true). */
static bool guard(uint32_t epoch) {
    struct gshare_grant *page = grant();
    struct quiet quiet = {.ticks = 1};
    uint64_t look_ns = gshare_now_ns() + tick_ns();
    for (;;) {
        uint32_t seen = atomic_load(&page->revoke_count);
        uint64_t now_ns = gshare_now_ns();
        uint64_t end_ns = end_of_token(page);
        if (atomic_load(&page->epoch) != epoch || now_ns >= end_ns)
            return false;
        if (now_ns >= look_ns) {
            follow_limits(now_ns);
            if (is_abandoned(now_ns))
                return false;
            if (is_idle(&quiet, epoch))
                return true;
            look_ns = now_ns + quiet.ticks * tick_ns();
            continue;
        }
        uint64_t until_ns = look_ns < end_ns ? look_ns : end_ns;
        gshare_futex_wait(&page->revoke_count, seen, until_ns - now_ns);
    }
}

/* Publishes an epoch's use and its ack, in this order, under the gate's lock. */
static void acknowledge(uint32_t epoch, struct gshare_use use, bool was_idle) {
    struct gshare_slot *slot = gshare_session_slot();
    bool wants = atomic_load(&gshare_gate.waiters) > 0 || !was_idle;
    atomic_fetch_add(&slot->used_ns, use.used_ns);
    atomic_fetch_add(&slot->busy_ns, use.busy_ns);
    atomic_store(&slot->launches, gshare_gate.launches);
    gshare_gate_set_wants(wants);
    atomic_store(&slot->acked_epoch, epoch);
    gshare_gate.is_draining = false;
}

static void close_and_drain(bool was_idle) {
    uint64_t end_ns = end_of_token(grant());
    uint32_t epoch = gshare_gate_close();
    gshare_gate_lock();
    uint64_t longest_ns = gshare_drain_longest_hold_ns(epoch, end_ns);
    gshare_track_mark_ends(epoch);
    uint64_t hold_since_ns = gshare_gate.joined_ns;
    gshare_gate_unlock();
    gshare_track_wait_for_ends(epoch);
    uint64_t now_ns = gshare_now_ns();
    gshare_gate_lock();
    uint64_t hold_ns = least(now_ns - hold_since_ns, longest_ns);
    acknowledge(epoch, gshare_track_use(epoch, hold_ns), was_idle);
    gshare_gate_unlock();
    gshare_session_ring();
}

/* Moves the gate to the grants of the daemon, or of our own, and with it who waits for the others.
 * Only while the gate is closed. */
static void follow(struct gshare_grant *page) {
    gshare_gate_lock();
    const _Atomic uint32_t *before = atomic_load(&gshare_gate.epoch_word);
    atomic_store(&gshare_gate.epoch_word, &page->epoch);
    bool wants = gshare_gate.wants;
    gshare_gate.wants = false;
    gshare_gate_set_wants(wants);
    gshare_gate_unlock();
    gshare_futex_wake_all(before);
}

static void meet_daemon(uint64_t now_ns) {
    next_connect_ns = now_ns + reconnect_ns();
    if (gshare_session_connect() == 0)
        follow(gshare_session.grant_page);
}

static void lose_daemon(void) {
    gshare_session_drop();
    uint64_t now_ns = gshare_now_ns();
    uint64_t window_ns = gshare_session.limits->window_us * GSHARE_NS_PER_US;
    gshare_own_grant_begin(now_ns + window_ns / AWAITS_A_WINDOW);
    next_connect_ns = now_ns;
    follow(&gshare_session.own_grant);
}

/* A process that has not asked again by the tick after its ack does not want the GPU any more. */
static bool is_unsure(void) {
    return gshare_gate.wants && atomic_load(&gshare_gate.waiters) == 0;
}

static void stop_wanting(void) {
    gshare_gate_lock();
    if (is_unsure() && atomic_load(&gshare_gate.joined) == GSHARE_GATE_CLOSED) {
        gshare_gate_set_wants(false);
        gshare_session_ring();
    }
    gshare_gate_unlock();
}

/* Sleeps until an epoch is joined, the daemon hangs up, or `until_ns`. Returns false at the time.
 */
static bool sleep_until(uint64_t until_ns) {
    struct pollfd watched[] = {{.fd = rouse_fd, .events = POLLIN},
                               {.fd = gshare_session.socket, .events = POLLIN}};
    uint64_t now_ns = gshare_now_ns();
    struct timespec limit = gshare_timespec(until_ns > now_ns ? until_ns - now_ns : 0);
    int count = ppoll(watched, 2, until_ns == NEVER ? NULL : &limit, NULL);
    uint64_t rouses;
    if (count > 0 && (watched[0].revents & POLLIN) && read(rouse_fd, &rouses, sizeof rouses) < 0)
        return true;
    return count != 0;
}

static void wait_closed(void) {
    uint64_t now_ns = gshare_now_ns();
    follow_limits(now_ns);
    if (is_own() && now_ns >= next_connect_ns)
        meet_daemon(now_ns);
    uint64_t until_ns = next_limits_ns;
    uint64_t stop_ns = !is_own() && is_unsure() ? now_ns + tick_ns() : NEVER;
    if (is_own())
        until_ns = least(least(gshare_own_grant_pace(now_ns), next_connect_ns), until_ns);
    bool was_called = sleep_until(least(until_ns, stop_ns));
    if (!is_own() && gshare_session_is_lost())
        lose_daemon();
    else if (!was_called && gshare_now_ns() >= stop_ns)
        stop_wanting();
}

static void *watch(void *unused) {
    (void)unused;
    int mode = CU_STREAM_CAPTURE_MODE_RELAXED; /* our calls must not disturb a capture elsewhere */
    gshare_real.cuThreadExchangeStreamCaptureMode(&mode);
    for (;;) {
        uint64_t joined = atomic_load(&gshare_gate.joined);
        if (joined == GSHARE_GATE_CLOSED) {
            wait_closed();
            continue;
        }
        close_and_drain(guard((uint32_t)joined));
        if (is_own())
            gshare_own_grant_end();
    }
    return NULL;
}

int gshare_watcher_start(void) {
    rouse_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (rouse_fd < 0)
        return -errno;
    gshare_gate_init();
    bool is_connected = atomic_load(&gshare_session.is_connected);
    next_connect_ns = gshare_now_ns() + reconnect_ns();
    follow(is_connected ? gshare_session.grant_page : &gshare_session.own_grant);
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -error;
}

void gshare_watcher_forget(void) {
    if (rouse_fd >= 0)
        close(rouse_fd);
    rouse_fd = -1;
}
