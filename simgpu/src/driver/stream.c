/* Streams. */
#include <stdlib.h>

#include "capture.h"
#include "driver.h"
#include "graph.h"

enum { NON_BLOCKING = 1, PRIORITY_GREATEST = -5 };

static atomic_ullong next_id = 1;

/* The calling thread's default streams end with it. */
static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

struct thread_stream {
    struct thread_stream *next;
    struct sim_context *context;
    struct sim_queue *queue;
};

static void end_thread(void *list) {
    struct thread_stream *entry = list;

    while (entry) {
        struct thread_stream *next = entry->next;
        if (gshare_sim_ready() == CUDA_SUCCESS && !entry->context->is_destroyed)
            gshare_sim_queue_end(entry->queue);
        free(entry->queue);
        free(entry);
        entry = next;
    }
}

static void make_thread_key(void) {
    pthread_key_create(&thread_key, end_thread);
}

static CUresult thread_queue(struct sim_context *context, struct sim_queue **queue) {
    pthread_once(&thread_once, make_thread_key);
    struct thread_stream *list = pthread_getspecific(thread_key);
    for (struct thread_stream *entry = list; entry; entry = entry->next) {
        if (entry->context != context)
            continue;
        *queue = entry->queue;
        return CUDA_SUCCESS;
    }
    struct thread_stream *entry = calloc(1, sizeof *entry);
    CUresult result =
        entry ? gshare_sim_queue_open(context, 0, 0, 0, queue) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result) {
        free(entry);
        return result;
    }
    *entry = (struct thread_stream){list, context, *queue};
    pthread_setspecific(thread_key, entry);
    return CUDA_SUCCESS;
}

/* What a CUstream argument means in the calling thread, with a current context where it needs one.
 */
CUresult gshare_sim_queue_of(CUstream stream, struct sim_queue **queue) {
    struct sim_context *context = NULL;
    CUresult result = CUDA_SUCCESS;

    if (stream && stream != CU_STREAM_LEGACY && stream != CU_STREAM_PER_THREAD) {
        *queue = stream;
        result = gshare_sim_ready();
        if (!result && stream->context->is_destroyed)
            return CUDA_ERROR_CONTEXT_IS_DESTROYED;
        return result ? result : gshare_sim_sticky(stream->context->board);
    }
    result = gshare_sim_current(&context);
    if (result)
        return result;
    if (stream == CU_STREAM_PER_THREAD || (!stream && gshare_sim_per_thread))
        return thread_queue(context, queue);
    *queue = context->legacy;
    return CUDA_SUCCESS;
}

CUresult gshare_sim_queue_open(struct sim_context *context, uint32_t engine_flags,
                               unsigned int flags, int priority, struct sim_queue **queue) {
    struct sim_queue *made = calloc(1, sizeof *made);
    struct sim_gpu *gpu = &context->board->gpu;
    uint32_t group = context->legacy ? context->legacy->index : 0;

    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    gshare_sim_lock(gpu);
    int error = gshare_sim_stream_open(gpu, group, engine_flags, context->cap_sms, &made->index);
    gshare_sim_unlock(gpu);
    if (error) {
        free(made);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_init(&made->lane_lock, NULL);
    made->context = context;
    made->flags = flags;
    made->priority = priority;
    made->id = next_id++;
    pthread_mutex_lock(&context->board->lock);
    made->next = context->streams;
    context->streams = made;
    pthread_mutex_unlock(&context->board->lock);
    *queue = made;
    return CUDA_SUCCESS;
}

/* Takes a stream from the GPU and its context; the handle stays valid memory. */
void gshare_sim_queue_end(struct sim_queue *queue) {
    struct sim_context *context = queue->context;
    struct sim_gpu *gpu = &context->board->gpu;

    pthread_mutex_lock(&context->board->lock);
    struct sim_queue **link = &context->streams;
    while (*link != queue)
        link = &(*link)->next;
    *link = queue->next;
    pthread_mutex_unlock(&context->board->lock);
    gshare_sim_end_lanes(queue);
    gshare_sim_capture_abandon(queue);
    gshare_sim_lock(gpu);
    gshare_sim_stream_close(gpu, queue->index);
    gshare_sim_unlock(gpu);
}

/* The legacy stream is where the blocking streams meet: waiting for it waits for them. */
void gshare_sim_queue_wait(struct sim_queue *queue) {
    struct sim_gpu *gpu = &queue->context->board->gpu;
    uint64_t position = 0;

    if (queue == queue->context->legacy) {
        struct sim_op nothing = {.kind = SIM_WAIT, .target = queue->index};
        position = gshare_sim_submit(gpu, queue->index, nothing);
    } else {
        gshare_sim_lock(gpu);
        position = gpu->state->streams[queue->index].tail;
        gshare_sim_unlock(gpu);
    }
    gshare_sim_wait(gpu, queue->index, position);
}

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);
    uint32_t engine_flags = flags & NON_BLOCKING ? SIM_STREAM_NON_BLOCKING : 0;

    if (result)
        return result;
    if (!stream || flags > NON_BLOCKING)
        return CUDA_ERROR_INVALID_VALUE;
    priority = priority > 0 ? 0 : priority < PRIORITY_GREATEST ? PRIORITY_GREATEST : priority;
    return gshare_sim_queue_open(context, engine_flags, flags, priority, stream);
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags) {
    return cuStreamCreateWithPriority(stream, flags, 0);
}

CUresult cuStreamDestroy_v2(CUstream stream) {
    CUresult result = gshare_sim_ready();

    if (result)
        return result;
    if (!stream || stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD ||
        stream == stream->context->legacy)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!stream->context->is_destroyed)
        gshare_sim_queue_end(stream);
    free(stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_use(stream, &queue);

    if (result)
        return result;
    if (queue->capture)
        return gshare_sim_refuse(queue);
    gshare_sim_queue_wait(queue);
    return gshare_sim_sticky(queue->context->board);
}

static bool has_work(const struct sim_state *state, const struct sim_queue *queue) {
    const struct sim_stream *stream = &state->streams[queue->index];

    for (uint32_t i = 0; i < state->active_count; i++) {
        const struct sim_stream *other = &state->streams[state->active[i]];
        if (other == stream || (queue == queue->context->legacy && other->group == queue->index &&
                                !(other->flags & SIM_STREAM_NON_BLOCKING)))
            return true;
    }
    return false;
}

CUresult cuStreamQuery(CUstream stream) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_use(stream, &queue);

    if (result)
        return result;
    if (queue->capture)
        return gshare_sim_refuse(queue);
    struct sim_gpu *gpu = &queue->context->board->gpu;
    gshare_sim_lock(gpu);
    result = has_work(gpu->state, queue) ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
    gshare_sim_unlock(gpu);
    return result;
}
