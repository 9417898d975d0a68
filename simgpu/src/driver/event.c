/* Events. Their times are the model's: exact to a nanosecond, however late anybody looks. */
#include <stdlib.h>

#include "capture.h"
#include "driver.h"

enum { DISABLE_TIMING = 2, KNOWN_FLAGS = 7, EXTERNAL = 1 };
static const double NS_PER_MS = 1e6;

CUresult cuEventCreate(CUevent *event, unsigned int flags) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);

    if (result)
        return result;
    if (!event || flags & ~(unsigned int)KNOWN_FLAGS)
        return CUDA_ERROR_INVALID_VALUE;
    struct sim_mark *mark = calloc(1, sizeof *mark);
    if (!mark)
        return CUDA_ERROR_OUT_OF_MEMORY;
    mark->board = context->board;
    mark->attachment = context->board->attachment;
    mark->flags = flags;
    gshare_sim_lock(&context->board->gpu);
    int error = gshare_sim_event_open(&context->board->gpu, &mark->index);
    gshare_sim_unlock(&context->board->gpu);
    if (error) {
        free(mark);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *event = mark;
    return CUDA_SUCCESS;
}

/* An event ends with the process's last context on its GPU; its slot may be somebody else's. */
static bool lives(const struct sim_mark *event) {
    return event->attachment == event->board->attachment;
}

CUresult cuEventDestroy_v2(CUevent event) {
    CUresult result = gshare_sim_ready();

    if (!event || result)
        return result ? result : CUDA_ERROR_INVALID_HANDLE;
    struct sim_gpu *gpu = &event->board->gpu;
    if (lives(event)) {
        gshare_sim_lock(gpu);
        gshare_sim_event_close(gpu, event->index);
        gshare_sim_unlock(gpu);
    }
    free(event->tips.nodes);
    free(event);
    return CUDA_SUCCESS;
}

CUresult gshare_sim_check_event(CUevent event, const struct sim_queue *queue) {
    if (!event || event->board != queue->context->board)
        return CUDA_ERROR_INVALID_HANDLE;
    return lives(event) ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

uint64_t gshare_sim_record_event(struct sim_queue *queue, CUevent event) {
    event->capture = 0;
    uint64_t position = gshare_sim_record(&queue->context->board->gpu, queue->index, event->index);
    event->not_before_ns = 0; /* last: until here a look may write what the old recording allows */
    return position;
}

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags) {
    struct sim_queue *queue = NULL;
    CUresult result = flags > EXTERNAL ? CUDA_ERROR_INVALID_VALUE : gshare_sim_use(stream, &queue);

    result = result ? result : gshare_sim_check_event(event, queue);
    if (result)
        return result;
    if (queue->capture && flags == EXTERNAL)
        return gshare_sim_capture(queue,
                                  &(CUgraphNodeParams){.type = NODE_EVENT_RECORD, .event = event});
    if (queue->capture)
        return gshare_sim_capture_record(queue, event);
    gshare_sim_record_event(queue, event);
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    return cuEventRecordWithFlags(event, stream, 0);
}

/* A copy of the event's shared state, with the model at now. */
static CUresult look(CUevent event, struct sim_event *seen, bool *is_done) {
    CUresult result = gshare_sim_ready();

    if (!event || result)
        return result ? result : CUDA_ERROR_INVALID_HANDLE;
    if (!lives(event))
        return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (event->capture)
        return CUDA_ERROR_CAPTURED_EVENT;
    struct sim_gpu *gpu = &event->board->gpu;
    gshare_sim_lock(gpu);
    *seen = gpu->state->events[event->index];
    *is_done = seen->stream == SIM_NONE || gpu->state->streams[seen->stream].head >= seen->position;
    if (!*is_done)
        event->not_before_ns = gshare_sim_earliest(gpu->state, seen->stream, seen->position);
    gshare_sim_unlock(gpu);
    return gshare_sim_sticky(event->board);
}

/* Whether the event cannot have come yet, told without the GPU's lock: who polls would hold it
 * most of the time. */
static bool is_early(CUevent event) {
    return event && event->not_before_ns && gshare_sim_ready() == CUDA_SUCCESS && lives(event) &&
           !event->capture && gshare_sim_now() < event->not_before_ns;
}

CUresult cuEventQuery(CUevent event) {
    struct sim_event seen;
    bool is_done = false;
    CUresult result = gshare_sim_check_unsafe();

    if (!result && is_early(event))
        return CUDA_ERROR_NOT_READY;
    result = result ? result : look(event, &seen, &is_done);
    if (result)
        return result;
    return is_done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuEventSynchronize(CUevent event) {
    struct sim_event seen;
    bool is_done = false;
    CUresult result = gshare_sim_check_unsafe();

    result = result ? result : look(event, &seen, &is_done);
    if (result || is_done)
        return result;
    gshare_sim_wait(&event->board->gpu, seen.stream, seen.position);
    return gshare_sim_sticky(event->board);
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
    struct sim_event first;
    struct sim_event last;
    bool first_done = false;
    bool last_done = false;
    CUresult result = look(start, &first, &first_done);

    result = result ? result : look(end, &last, &last_done);
    if (result)
        return result;
    if (!milliseconds)
        return CUDA_ERROR_INVALID_VALUE;
    if ((start->flags | end->flags) & DISABLE_TIMING || first.stream == SIM_NONE ||
        last.stream == SIM_NONE)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!first_done || !last_done)
        return CUDA_ERROR_NOT_READY;
    *milliseconds = (float)(((double)last.time_ns - (double)first.time_ns) / NS_PER_MS);
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end) {
    return cuEventElapsedTime(milliseconds, start, end);
}

/* Between GPUs of one process there is no shared clock of completions: the caller waits. */
CUresult gshare_sim_wait_event(struct sim_queue *queue, CUevent event, uint64_t *position) {
    struct sim_event seen;
    bool is_done = false;
    CUresult result = look(event, &seen, &is_done);

    if (result || is_done)
        return result;
    if (event->board != queue->context->board) {
        gshare_sim_wait(&event->board->gpu, seen.stream, seen.position);
        return CUDA_SUCCESS;
    }
    struct sim_op op = {.kind = SIM_WAIT, .target = seen.stream, .position = seen.position};
    *position = gshare_sim_submit(&queue->context->board->gpu, queue->index, op);
    return CUDA_SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags) {
    struct sim_queue *queue = NULL;
    CUresult result = flags > EXTERNAL ? CUDA_ERROR_INVALID_VALUE : gshare_sim_use(stream, &queue);
    uint64_t position = 0;

    if (result || !event)
        return result ? result : CUDA_ERROR_INVALID_HANDLE;
    if (queue->capture && flags == EXTERNAL)
        return gshare_sim_capture(queue,
                                  &(CUgraphNodeParams){.type = NODE_EVENT_WAIT, .event = event});
    if (queue->capture || event->capture)
        return gshare_sim_capture_wait(queue, event);
    return gshare_sim_wait_event(queue, event, &position);
}
