/* Submitting work to a stream. */
#include "engine.h"

/* Takes the lock, with room for one more operation in the ring: as on hardware, a launcher blocks
 * while the queue is full. */
static struct sim_stream *lock_with_room(struct sim_gpu *gpu, uint32_t index) {
    struct sim_stream *stream = &gpu->state->streams[index];

    gshare_sim_lock(gpu);
    while (stream->tail - stream->head >= SIM_RING) {
        uint64_t when = gshare_sim_earliest(gpu->state, index, stream->head + 1);
        gshare_sim_unlock(gpu);
        gshare_sim_sleep_until(when);
        gshare_sim_lock(gpu);
    }
    return stream;
}

static void count(struct sim_account *account, const struct sim_op *op) {
    account->kernels += op->kind == SIM_KERNEL;
    if (!(op->flags & SIM_OP_CALL))
        return;
    account->calls++;
    account->launches += op->kind == SIM_KERNEL || op->flags & SIM_OP_GRAPH;
}

static uint64_t append(struct sim_state *state, uint32_t index, struct sim_op op) {
    struct sim_stream *stream = &state->streams[index];

    op.order = state->orders++;
    stream->ring[stream->tail % SIM_RING] = op;
    if (stream->tail++ == stream->head) {
        stream->started = 0;
        state->active[state->active_count++] = (uint16_t)index;
    }
    count(&state->accounts[state->clients[stream->client].account], &op);
    return stream->tail;
}

uint64_t gshare_sim_submit(struct sim_gpu *gpu, uint32_t stream, struct sim_op op) {
    lock_with_room(gpu, stream);
    uint64_t position = append(gpu->state, stream, op);
    gshare_sim_unlock(gpu);
    return position;
}

uint64_t gshare_sim_record(struct sim_gpu *gpu, uint32_t stream, uint32_t event) {
    struct sim_stream *slot = lock_with_room(gpu, stream);
    struct sim_event *record = &gpu->state->events[event];

    record->stream = stream;
    record->position = slot->tail + 1;
    uint64_t position =
        append(gpu->state, stream, (struct sim_op){.kind = SIM_RECORD, .target = event});
    gshare_sim_unlock(gpu);
    return position;
}
