/* The token thread: reads slots, asks the arbiter, writes grants, sleeps on the doorbell. */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "common/relax.h"
#include "log.h"
#include "state.h"

#define SPIN_NS 50000 /* at most: a thread that goes before all others must not spin for long */
#define ROUNDS_MAX 8  /* of decisions before the doorbell is looked at again */

/* Looks in one window: far more than honest processes cause (5 a grant), few enough for a core. */
#define LOOKS 256
#define LOOKS_A_LEASE 16

/* By how much a sleep is cut short, so that its end is spun and not late: ns. */
struct lead {
    int64_t mean;
    int64_t deviation;
};

struct looks {
    uint64_t since; /* start of the window in which they are counted */
    uint32_t count;
    uint32_t most;
};

/* A stopped process may want a token for ever. A grant that nobody joins for W/8 is taken back, and
 * the third in a row puts the lease to sleep, for one window first, for eight at most. */
static void watch_take_up(struct gshare_state *state, uint32_t number, bool joined, uint64_t now) {
    struct gshare_lease *lease = &state->leases[number];
    const uint64_t window = state->settings.window_ns;
    if (joined) {
        lease->untouched = 0;
        lease->asleep_until = 0;
    } else if (lease->held && now - lease->granted_at >= window / 8) {
        uint32_t times = lease->untouched++;
        uint32_t doubled = times < 5 ? times - 2 : 3;
        lease->asleep_until = times < 2 ? 0 : now + (window << doubled);
        gshare_arbiter_gave_back(state->arbiter, number, now);
    }
}

/* When some lease has to be looked at again, even if nothing happens. */
static uint64_t look_at(const struct gshare_state *state, uint64_t now) {
    uint64_t next = GSHARE_NEVER;
    for (uint32_t i = 0; i < state->count; i++) {
        const struct gshare_lease *lease = &state->leases[i];
        uint64_t take_up = lease->granted_at + state->settings.window_ns / 8;
        bool is_awaited = lease->held && !lease->joined && take_up > now;
        uint64_t at = is_awaited ? take_up : lease->asleep_until;
        if (lease->present && at > now && at < next) {
            next = at;
        }
    }
    return next;
}

/* Tells the arbiter what one lease's slots say. */
static void report(struct gshare_state *state, uint32_t number, uint64_t now) {
    struct gshare_lease *lease = &state->leases[number];
    struct gshare_reading reading = gshare_lease_read(lease);
    lease->joined = reading.joined;
    if (lease->draining && !reading.pending) {
        lease->draining = false;
        gshare_arbiter_returned(state->arbiter, number, reading.used_ns, reading.busy_ns, now);
    }
    if (lease->held && !reading.pending && (reading.joined || lease->died)) {
        gshare_arbiter_gave_back(state->arbiter, number, now);
    }
    watch_take_up(state, number, reading.joined, now);
    gshare_arbiter_wants(state->arbiter, number, reading.wants && now >= lease->asleep_until, now);
}

/* Returns whether there is more to decide at once: a token that is back as soon as it is revoked.
 */
static bool carry_out(struct gshare_state *state, const struct gshare_instruction *what,
                      uint64_t now) {
    struct gshare_lease *lease = &state->leases[what->lease];
    switch (what->kind) {
    case GSHARE_GRANT:
        gshare_lease_grant(lease, what->deadline_ns, now);
        return false;
    case GSHARE_EXTEND:
        gshare_lease_extend(lease, what->deadline_ns);
        return false;
    case GSHARE_REVOKE:
        gshare_lease_revoke(lease);
        return !gshare_lease_read(lease).pending;
    default:
        lease->forgotten = true;
        return false;
    }
}

/* While tokens of an earlier daemon are out, or its processes still pace themselves, nobody gets a
 * token of ours: the SMs may be in use. Returns until when, 0 where nothing is to be waited for. */
static uint64_t waits_for_quiet(struct gshare_state *state, uint64_t now) {
    const uint64_t quiet = now < state->quiet_until ? state->quiet_until : 0;
    const uint64_t absent = now < state->absent_until ? state->absent_until : 0;
    for (uint32_t i = 0; i < state->count && (quiet || absent); i++) {
        const struct gshare_lease *lease = &state->leases[i];
        if (!lease->present || lease->forgotten) {
            continue;
        }
        if (quiet && !gshare_lease_is_quiet(lease)) {
            return quiet;
        }
        if (absent && gshare_lease_has_absent(lease)) {
            return absent;
        }
    }
    state->quiet_until = state->absent_until = 0;
    return 0;
}

/* Returns when to look again. */
static uint64_t decide(struct gshare_state *state) {
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        uint64_t now = gshare_clock_ns();
        bool again = false;
        uint64_t quiet = waits_for_quiet(state, now);
        if (quiet) {
            return quiet;
        }
        for (uint32_t i = 0; i < state->count; i++) {
            if (state->leases[i].present && !state->leases[i].forgotten) {
                report(state, i, now);
            }
        }
        uint64_t next = gshare_arbiter_advance(state->arbiter, now);
        const struct gshare_instruction *first = NULL;
        uint32_t count = gshare_arbiter_instructions(state->arbiter, &first);
        for (uint32_t i = 0; i < count; i++) {
            again |= carry_out(state, &first[i], now);
        }
        if (!again) {
            uint64_t look = look_at(state, now);
            return next < look ? next : look;
        }
    }
    return gshare_clock_ns();
}

/* Learns how late a timed sleep ends here: 10-20 us under FIFO, more on a busy machine. */
static void learn(struct lead *lead, uint64_t late) {
    int64_t error = (int64_t)(late < SPIN_NS ? late : SPIN_NS) - lead->mean;
    lead->mean += error / 8;
    lead->deviation += ((error < 0 ? -error : error) - lead->deviation) / 8;
}

static uint64_t lead_of(const struct lead *lead) {
    uint64_t usual = (uint64_t)(lead->mean + lead->deviation);
    return usual < SPIN_NS ? usual : SPIN_NS;
}

/* Waits for a ring or the time `until`. Returns how late it is, 0 after a ring. The bell's page can
 * be written by any process, which may undo another's ring; so `latest` comes, ring or not. */
static uint64_t await(struct gshare_state *state, uint32_t seen, uint64_t until, uint64_t latest) {
    static struct lead lead = {.mean = SPIN_NS / 2}; /* token thread only */
    const _Atomic uint32_t *rings = &state->doorbell->rings;
    const uint64_t early = until - lead_of(&lead);
    const uint64_t end = latest < early ? latest : early;
    uint64_t now = gshare_clock_ns();
    while (atomic_load(rings) == seen && now < end) {
        gshare_futex_sleep(rings, seen, end);
        now = gshare_clock_ns();
        if (now >= end && atomic_load(rings) == seen) {
            learn(&lead, now - end);
        }
    }
    while (atomic_load(rings) == seen && now < until && end == early) {
        gshare_cpu_relax();
        now = gshare_clock_ns();
    }
    return atomic_load(rings) == seen && now > until ? now - until : 0;
}

/* A kernel with RT_GROUP_SCHED gives containers no real time even with CAP_SYS_NICE; the highest
 * ordinary priority is left then (who 0 is this thread alone). */
static void go_first(const struct gshare_state *state) {
    struct sched_param parameter = {.sched_priority = sched_get_priority_min(SCHED_FIFO)};
    bool fifo =
        state->settings.fifo && pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameter) == 0;
    prctl(PR_SET_TIMERSLACK, 1ul); /* else 50 us where FIFO is refused */
    bool nice = state->settings.fifo && !fifo && setpriority(PRIO_PROCESS, 0, -20) == 0;
    gshare_log("event=tokens fifo=%d nice=%d", fifo, nice);
}

static uint32_t leases(const struct gshare_state *state) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < state->count; i++) {
        count += state->leases[i].present;
    }
    return count;
}

/* The doorbell is every process's, and one may ring it without end. So a thread that goes before
 * all others looks only so often a window, and every W/400 in the rest of it. */
static void rest(const struct gshare_state *state, struct looks *looks) {
    const uint64_t window = state->settings.window_ns;
    uint64_t now = gshare_clock_ns();
    if (now - looks->since >= window) {
        looks->since = now;
        looks->count = 0;
    }
    if (++looks->count > looks->most) {
        gshare_clock_sleep(now + window / 400);
    }
}

void *gshare_tokens_run(void *of) {
    struct gshare_state *state = of;
    struct looks looks = {.most = LOOKS};
    uint64_t late = 0;
    go_first(state);
    while (!atomic_load(&state->stops)) {
        rest(state, &looks);
        uint32_t seen = atomic_load(&state->doorbell->rings);
        pthread_mutex_lock(&state->lock);
        state->late_ns_max = late > state->late_ns_max ? late : state->late_ns_max;
        uint64_t next = decide(state);
        looks.most = LOOKS + LOOKS_A_LEASE * leases(state);
        pthread_mutex_unlock(&state->lock);
        late = await(state, seen, next, gshare_clock_ns() + state->settings.window_ns);
    }
    return NULL;
}
