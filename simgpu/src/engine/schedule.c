/* Decides what runs: pure in the state, for the instant state->time_ns.
 *
 * A kernel asks for min(demand, cap of its context). The kernels of one client together get at
 * most the client's cap, in proportion to what they ask (the MPS percentage is a ceiling). All
 * clients together get at most the GPU, in proportion to what they would get alone. A kernel that
 * gets a of d demanded SMs runs at the rate a/d; alone under a cap c that is a duration of
 * duration * max(1, d / c). Without MPS one client has the SMs at a time.
 * Each copy engine serves one copy at a time, first ready first served.
 */
#include <math.h>

#include "engine.h"

/* The legacy stream of a context waits for, and holds up, the blocking streams beside it. */
static bool may_start(struct sim_state *state, uint32_t index) {
    struct sim_stream *stream = &state->streams[index];
    uint64_t order = sim_head(stream)->order;

    if (stream->flags & SIM_STREAM_NON_BLOCKING)
        return true;
    if (!(stream->flags & SIM_STREAM_LEGACY)) {
        struct sim_stream *legacy = &state->streams[stream->group];
        return legacy->head == legacy->tail || sim_head(legacy)->order > order;
    }
    for (uint32_t i = 0; i < state->active_count; i++) {
        struct sim_stream *other = &state->streams[state->active[i]];
        if (other != stream && other->group == stream->group && other->head != other->tail &&
            !(other->flags & SIM_STREAM_NON_BLOCKING) && sim_head(other)->order < order)
            return false;
    }
    return true;
}

/* Completes the head of a stream if it takes no time. */
static bool settle_head(struct sim_state *state, uint32_t index) {
    struct sim_stream *stream = &state->streams[index];
    struct sim_op *op = sim_head(stream);

    if (op->kind < SIM_RECORD || !may_start(state, index))
        return false;
    if (op->kind == SIM_WAIT && state->streams[op->target].head < op->position)
        return false;
    if (op->kind == SIM_HOST && !(op->flags & SIM_OP_RELEASED))
        return false;
    if (op->kind == SIM_RECORD) {
        struct sim_event *event = &state->events[op->target];
        if (event->stream == index && event->position == stream->head + 1)
            event->time_ns = state->time_ns;
    }
    stream->head++;
    return true;
}

/* Completes everything that needs no time, and drops drained streams from the active list. */
void gshare_sim_settle(struct sim_state *state) {
    bool changed = true;

    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < state->active_count;) {
            uint32_t index = state->active[i];
            struct sim_stream *stream = &state->streams[index];
            while (stream->head != stream->tail && settle_head(state, index))
                changed = true;
            if (stream->head != stream->tail) {
                i++;
                continue;
            }
            state->active[i] = state->active[--state->active_count];
            changed = true;
            if (stream->closing)
                stream->client = SIM_NONE;
        }
    }
}

static double wanted_sms(const struct sim_stream *stream, const struct sim_op *op) {
    return op->demand < stream->cap_sms ? op->demand : stream->cap_sms;
}

/* Marks the heads that may run, and sums up what each client asks for. */
static void collect(struct sim_state *state) {
    for (uint32_t i = 0; i < state->active_count; i++) {
        struct sim_stream *stream = &state->streams[state->active[i]];
        stream->rate = 0;
        stream->share_sms = 0;
        state->clients[stream->client].want_sms = 0;
        state->clients[stream->client].counted = 0;
    }
    for (uint32_t i = 0; i < state->active_count; i++) {
        struct sim_stream *stream = &state->streams[state->active[i]];
        struct sim_op *op = sim_head(stream);
        if (op->kind >= SIM_RECORD || (!stream->started && !may_start(state, state->active[i])))
            continue;
        if (!stream->started) {
            stream->started = 1;
            stream->ready_ns = state->time_ns;
            stream->remaining_ns = op->work_ns;
        }
        if (op->kind == SIM_KERNEL)
            state->clients[stream->client].want_sms += wanted_sms(stream, op);
    }
}

static double client_share(const struct sim_client *client) {
    return fmin(client->want_sms, client->cap_sms);
}

/* The next client, in cyclic order after the holder, that asks for SMs; SIM_NONE: nobody else. */
static uint32_t next_in_turn(const struct sim_state *state) {
    uint32_t next = SIM_NONE;
    uint32_t least = SIM_CLIENTS;

    for (uint32_t i = 0; i < state->active_count; i++) {
        uint32_t client = state->streams[state->active[i]].client;
        uint32_t distance = (client - state->turn_client - 1) % SIM_CLIENTS;
        if (client == state->turn_client || state->clients[client].want_sms <= 0)
            continue;
        if (distance < least) {
            least = distance;
            next = client;
        }
    }
    return next;
}

static bool holder_asks(const struct sim_state *state) {
    for (uint32_t i = 0; i < state->active_count; i++)
        if (state->streams[state->active[i]].client == state->turn_client)
            return state->clients[state->turn_client].want_sms > 0;
    return false;
}

/* Without MPS: passes the turn when it has ended or its holder asks for nothing. */
static void take_turns(struct sim_state *state) {
    const struct sim_device *device = &state->device;
    uint32_t next = next_in_turn(state);
    bool ended = state->turn_end_ns && state->time_ns >= state->turn_end_ns;

    if (next != SIM_NONE && (ended || !holder_asks(state))) {
        state->turn_client = next;
        state->turn_end_ns = 0;
        next = next_in_turn(state);
    }
    if (next == SIM_NONE)
        state->turn_end_ns = 0;
    else if (state->turn_end_ns == 0)
        state->turn_end_ns = state->time_ns + (uint64_t)device->turn_us * 1000 * device->time_scale;
}

static bool has_turn(const struct sim_state *state, const struct sim_stream *stream) {
    return state->device.mps || stream->client == state->turn_client;
}

/* Gives the SMs out. */
static void share_sms(struct sim_state *state) {
    state->want_sms = 0;
    for (uint32_t i = 0; i < state->active_count; i++) {
        struct sim_stream *stream = &state->streams[state->active[i]];
        struct sim_client *client = &state->clients[stream->client];
        if (client->counted || !has_turn(state, stream))
            continue;
        client->counted = 1;
        state->want_sms += client_share(client);
    }
    double fit = fmin(1, state->device.sm_count / fmax(state->want_sms, 1));
    state->used_sms = 0;
    for (uint32_t i = 0; i < state->active_count; i++) {
        struct sim_stream *stream = &state->streams[state->active[i]];
        struct sim_client *client = &state->clients[stream->client];
        struct sim_op *op = sim_head(stream);
        if (!stream->started || op->kind != SIM_KERNEL || !has_turn(state, stream))
            continue;
        double within = client_share(client) / client->want_sms;
        stream->share_sms = wanted_sms(stream, op) * within * fit;
        stream->rate = stream->share_sms / op->demand;
        state->used_sms += stream->share_sms;
    }
}

static void share_links(struct sim_state *state) {
    struct sim_stream *first[SIM_COPY_ENGINES] = {0};

    for (uint32_t i = 0; i < state->active_count; i++) {
        struct sim_stream *stream = &state->streams[state->active[i]];
        uint8_t kind = sim_head(stream)->kind;
        if (!stream->started || kind < SIM_COPY_IN || kind > SIM_COPY_WITHIN)
            continue;
        struct sim_stream **slot = &first[kind - SIM_COPY_IN];
        if (!*slot || stream->ready_ns < (*slot)->ready_ns ||
            (stream->ready_ns == (*slot)->ready_ns && stream < *slot))
            *slot = stream;
    }
    for (int engine = 0; engine < SIM_COPY_ENGINES; engine++)
        if (first[engine])
            first[engine]->rate = 1;
}

void gshare_sim_schedule(struct sim_state *state) {
    collect(state);
    if (!state->device.mps)
        take_turns(state);
    share_sms(state);
    share_links(state);
}
