/* Waiting for a stream to reach a position, without holding the lock and without a waker.
 *
 * A waiter asks for the earliest possible time: what is queued, at the rates of a client alone
 * under its cap. Nothing can make it earlier, so sleeping that long is safe; contention makes it
 * later, which the next round finds out. It sleeps to SIM_SPIN_NS before and spins the rest.
 */
#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#include "engine.h"

/* How long to sleep when nothing that is queued can bring the position nearer (a callback of the
 * host, an event of another process). */
static const uint64_t POLL_NS = 200000;

/* When spinning threads take turns: how long a turn of another one's may be, and how long a core is
 * kept after a longer one. */
static const uint64_t LONG_TURN_NS = 200000, MISTRUST_NS = 100000000,
                      MOST_MISTRUST_NS = 10000000000;

static double least_time(const struct sim_state *state, const struct sim_stream *stream,
                         const struct sim_op *op, double work_ns) {
    uint32_t cap = state->clients[stream->client].cap_sms;

    if (op->kind != SIM_KERNEL)
        return op->kind < SIM_RECORD ? work_ns : 0;
    cap = stream->cap_sms < cap ? stream->cap_sms : cap;
    return op->demand > cap ? work_ns * op->demand / cap : work_ns;
}

/* The earliest time at which the stream can have completed `position` operations. */
uint64_t gshare_sim_earliest(struct sim_state *state, uint32_t index, uint64_t position) {
    struct sim_stream *stream = &state->streams[index];
    double sum = 0;

    if (stream->head >= position)
        return state->time_ns;
    gshare_sim_settle(state);
    gshare_sim_schedule(state);
    for (uint64_t i = stream->head; i < position; i++) {
        struct sim_op *op = &stream->ring[i % SIM_RING];
        bool is_running = i == stream->head && stream->started;
        sum += least_time(state, stream, op, is_running ? stream->remaining_ns : op->work_ns);
        if (op->flags & SIM_OP_FAULT)
            break; /* what is behind it is dropped */
    }
    uint64_t earliest = state->time_ns + (uint64_t)sum;
    if (stream->rate > 0 || stream->head >= position)
        return earliest;
    uint64_t change = gshare_sim_next_change(state);
    change = change > state->time_ns + POLL_NS ? state->time_ns + POLL_NS : change;
    return earliest > change ? earliest : change;
}

void gshare_sim_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Where several waits end at one moment on fewer cores, their threads take turns. A core that was
 * given to a program which kept it is not given away again for a while, and for twice as long each
 * time that this happens anew. */
static void spin_until(uint64_t time_ns) {
    static __thread uint64_t yields_from_ns, mistrust_ns;
    uint64_t now = gshare_sim_now();

    while (now < time_ns) {
        if (now < yields_from_ns) {
            gshare_sim_relax();
            now = gshare_sim_now();
            continue;
        }
        uint64_t before = now;
        sched_yield();
        now = gshare_sim_now();
        if (now - before < LONG_TURN_NS)
            continue;
        mistrust_ns = mistrust_ns ? 2 * mistrust_ns : MISTRUST_NS;
        if (mistrust_ns > MOST_MISTRUST_NS)
            mistrust_ns = MOST_MISTRUST_NS;
        yields_from_ns = now + mistrust_ns;
    }
}

/* Sleeps with the finest timer slack and spins the rest; errno stays as it was. */
void gshare_sim_sleep_until(uint64_t time_ns) {
    int error = errno;
    uint64_t now = gshare_sim_now();

    if (time_ns > now + SIM_SPIN_NS) {
        uint64_t wake = time_ns - SIM_SPIN_NS;
        struct timespec until = {.tv_sec = (time_t)(wake / 1000000000u),
                                 .tv_nsec = (long)(wake % 1000000000u)};
        long slack = prctl(PR_GET_TIMERSLACK);
        prctl(PR_SET_TIMERSLACK, 1);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        if (slack > 0)
            prctl(PR_SET_TIMERSLACK, slack);
    }
    spin_until(time_ns);
    errno = error;
}

void gshare_sim_wait(struct sim_gpu *gpu, uint32_t stream, uint64_t position) {
    for (;;) {
        gshare_sim_lock(gpu);
        bool is_done = gpu->state->streams[stream].head >= position;
        uint64_t when = is_done ? 0 : gshare_sim_earliest(gpu->state, stream, position);
        gshare_sim_unlock(gpu);
        if (is_done)
            return;
        gshare_sim_sleep_until(when);
    }
}

static struct sim_stream *unfinished(struct sim_state *state, uint32_t group, uint64_t before) {
    for (uint32_t i = 0; i < state->active_count; i++) {
        struct sim_stream *stream = &state->streams[state->active[i]];
        if (stream->group == group && sim_head(stream)->order < before)
            return stream;
    }
    return NULL;
}

/* Waits for everything that a context has submitted so far, to whichever of its streams. */
void gshare_sim_wait_group(struct sim_gpu *gpu, uint32_t group) {
    struct sim_state *state = gpu->state;

    gshare_sim_lock(gpu);
    uint64_t before = state->orders;
    for (;;) {
        struct sim_stream *stream = unfinished(state, group, before);
        uint64_t position = stream ? stream->tail : 0;
        gshare_sim_unlock(gpu);
        if (!stream)
            return;
        gshare_sim_wait(gpu, (uint32_t)(stream - state->streams), position);
        gshare_sim_lock(gpu);
    }
}
