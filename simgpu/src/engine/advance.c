/* Plays the model forward: from one change of what runs to the next, at constant rates. */
#include <math.h>

#include "engine.h"

/* Rounding slack, in ns: a completion that floating point puts this little after a whole
 * nanosecond is on it. */
static const double SLACK_NS = 1e-3;

static uint64_t time_to_finish(const struct sim_stream *stream) {
    double left = ceil(stream->remaining_ns / stream->rate - SLACK_NS);
    return left < 1 ? 1 : (uint64_t)left;
}

/* The next time, after now, at which rates may change by what is queued already. */
uint64_t gshare_sim_next_change(struct sim_state *state) {
    uint64_t step = UINT64_MAX - state->time_ns;

    for (uint32_t i = 0; i < state->active_count; i++) {
        struct sim_stream *stream = &state->streams[state->active[i]];
        if (stream->rate > 0) {
            uint64_t left = time_to_finish(stream);
            step = left < step ? left : step;
        }
    }
    if (state->turn_end_ns > state->time_ns && state->turn_end_ns - state->time_ns < step)
        step = state->turn_end_ns - state->time_ns;
    return state->time_ns + step;
}

static struct sim_bucket *bucket_at(struct sim_bucket buckets[SIM_BUCKETS], uint64_t time_ns) {
    uint64_t index = time_ns / SIM_BUCKET_NS;
    struct sim_bucket *bucket = &buckets[index % SIM_BUCKETS];

    if (bucket->index != index)
        *bucket = (struct sim_bucket){.index = index};
    return bucket;
}

/* Writes down that kernels of an account run for the step: in its last span, where that ends now.
 */
static void note_span(struct sim_state *state, uint32_t index, uint64_t step) {
    struct sim_account *account = &state->accounts[index];
    struct sim_span *span = &state->spans[(account->span - 1) % SIM_SPANS];

    if (account->span && span->account == index && span->end_ns == state->time_ns) {
        span->end_ns += step;
        return;
    }
    span = &state->spans[state->span_count % SIM_SPANS];
    account->span = ++state->span_count;
    *span = (struct sim_span){
        .begin_ns = state->time_ns, .end_ns = state->time_ns + step, .account = index};
}

static void account_client(struct sim_state *state, struct sim_stream *stream, uint64_t step) {
    struct sim_client *client = &state->clients[stream->client];
    struct sim_account *account = &state->accounts[client->account];
    struct sim_bucket *bucket = bucket_at(client->buckets, state->time_ns);

    if (account->stamp != state->steps) {
        account->stamp = state->steps;
        account->busy_ns += step;
    }
    if (sim_head(stream)->kind == SIM_KERNEL && account->kernel_stamp != state->steps) {
        account->kernel_stamp = state->steps;
        account->kernel_ns += step;
        note_span(state, client->account, step);
    }
    account->sm_time_ns += stream->share_sms * (double)step;
    bucket->sm_ns += stream->share_sms * (double)step;
}

/* Books a step of constant rates to the GPU, the clients and their accounts. */
static void account_step(struct sim_state *state, uint64_t step) {
    bool runs = false;
    bool copies = false;
    bool computes = state->used_sms > 0;

    state->steps++;
    for (uint32_t i = 0; i < state->active_count; i++) {
        struct sim_stream *stream = &state->streams[state->active[i]];
        if (stream->rate <= 0)
            continue;
        runs = true;
        copies |= sim_head(stream)->kind != SIM_KERNEL;
        account_client(state, stream, step);
    }
    if (!runs) {
        state->stalled_ns += step;
        return;
    }
    struct sim_bucket *bucket = bucket_at(state->buckets, state->time_ns);
    state->busy_ns += step;
    state->kernel_ns += computes ? step : 0;
    state->sm_time_ns += state->used_sms * (double)step;
    bucket->kernel_ns += computes ? (double)step : 0;
    bucket->copy_ns += copies ? (double)step : 0;
    bucket->sm_ns += state->used_sms * (double)step;
    if (state->want_sms > state->device.sm_count + 1e-9)
        state->overcommitted_ns += step;
}

/* A fault ends its process's work on the GPU, and nobody else's. */
static void fault(struct sim_state *state, struct sim_stream *stream) {
    enum { ILLEGAL_ADDRESS = 700, XID_MEMORY = 31, XID_EXCEPTION = 13 };
    uint32_t error = sim_head(stream)->target;

    state->clients[stream->client].error = error;
    state->xids[state->xid_count++ % SIM_XIDS] =
        error == ILLEGAL_ADDRESS ? XID_MEMORY : XID_EXCEPTION;
}

static void drop_faulted(struct sim_state *state) {
    for (uint32_t i = 0; i < state->active_count; i++) {
        struct sim_stream *stream = &state->streams[state->active[i]];
        if (!state->clients[stream->client].error)
            continue;
        stream->head = stream->tail;
        stream->started = 0;
    }
}

static void progress(struct sim_state *state, uint64_t step) {
    bool has_fault = false;

    for (uint32_t i = 0; i < state->active_count; i++) {
        struct sim_stream *stream = &state->streams[state->active[i]];
        if (stream->rate <= 0)
            continue;
        stream->remaining_ns -= (double)step * stream->rate;
        if (stream->remaining_ns > SLACK_NS * stream->rate)
            continue;
        if (sim_head(stream)->flags & SIM_OP_FAULT) {
            fault(state, stream);
            has_fault = true;
        }
        stream->head++;
        stream->started = 0;
    }
    if (has_fault)
        drop_faulted(state);
}

void gshare_sim_advance(struct sim_state *state, uint64_t now_ns) {
    while (state->time_ns < now_ns) {
        gshare_sim_settle(state);
        if (state->active_count == 0) {
            state->time_ns = now_ns;
            return;
        }
        gshare_sim_schedule(state);
        uint64_t end = gshare_sim_next_change(state);
        uint64_t edge = (state->time_ns / SIM_BUCKET_NS + 1) * SIM_BUCKET_NS;
        end = edge < end ? edge : end;
        end = now_ns < end ? now_ns : end;
        account_step(state, end - state->time_ns);
        progress(state, end - state->time_ns);
        state->time_ns = end;
    }
    gshare_sim_settle(state);
}
