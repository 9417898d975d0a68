/* Streams and events: slots of the shared state with an owner. All with the lock held. */
#include <errno.h>

#include "engine.h"

int gshare_sim_stream_open(struct sim_gpu *gpu, uint32_t group, uint32_t flags, uint32_t cap_sms,
                           uint32_t *stream) {
    struct sim_state *state = gpu->state;
    uint32_t index = 0;

    while (index < state->stream_high && state->streams[index].client != SIM_NONE)
        index++;
    if (index == SIM_STREAMS)
        return -ENOSPC;
    struct sim_stream *slot = &state->streams[index];
    slot->client = gpu->client;
    slot->group = flags & SIM_STREAM_LEGACY ? index : group;
    slot->flags = flags;
    slot->cap_sms = cap_sms;
    slot->closing = 0;
    slot->started = 0;
    if (index == state->stream_high)
        state->stream_high++;
    *stream = index;
    return 0;
}

/* The stream goes once its queued work is done. */
void gshare_sim_stream_close(struct sim_gpu *gpu, uint32_t stream) {
    struct sim_stream *slot = &gpu->state->streams[stream];

    slot->closing = 1;
    if (slot->head == slot->tail)
        slot->client = SIM_NONE;
}

int gshare_sim_event_open(struct sim_gpu *gpu, uint32_t *event) {
    struct sim_state *state = gpu->state;
    uint32_t index = state->event_hint;

    while (index < state->event_high && state->events[index].client != SIM_NONE)
        index++;
    if (index == SIM_EVENTS)
        return -ENOSPC;
    if (index == state->event_high)
        state->event_high++;
    state->event_hint = index + 1;
    state->events[index] = (struct sim_event){.client = gpu->client, .stream = SIM_NONE};
    *event = index;
    return 0;
}

void gshare_sim_event_close(struct sim_gpu *gpu, uint32_t event) {
    struct sim_state *state = gpu->state;

    state->events[event].client = SIM_NONE;
    state->events[event].stream = SIM_NONE;
    if (event < state->event_hint)
        state->event_hint = event;
}

static void drop_work(struct sim_state *state, uint32_t client) {
    uint32_t kept = 0;

    for (uint32_t i = 0; i < state->active_count; i++)
        if (state->streams[state->active[i]].client != client)
            state->active[kept++] = state->active[i];
    state->active_count = kept;
}

/* Ends all work, streams and events of a client. Heads jump to tails, so that waits on them end. */
void gshare_sim_release_client(struct sim_state *state, uint32_t client) {
    drop_work(state, client);
    for (uint32_t i = 0; i < state->stream_high; i++) {
        struct sim_stream *stream = &state->streams[i];
        if (stream->client != client)
            continue;
        stream->head = stream->tail;
        stream->started = 0;
        stream->client = SIM_NONE;
    }
    for (uint32_t i = 0; i < state->event_high; i++)
        if (state->events[i].client == client)
            state->events[i] = (struct sim_event){.client = SIM_NONE, .stream = SIM_NONE};
    state->event_hint = 0;
}

/* After a holder of the lock was killed: the active list is the one derived thing. */
void gshare_sim_repair(struct sim_state *state) {
    state->active_count = 0;
    for (uint32_t i = 0; i < state->stream_high; i++)
        if (state->streams[i].client != SIM_NONE &&
            state->streams[i].head != state->streams[i].tail)
            state->active[state->active_count++] = (uint16_t)i;
}
