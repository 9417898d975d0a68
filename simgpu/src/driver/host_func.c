/* Host callbacks in streams. They need a thread of the host: one a process, started by the first
 * callback; nothing else in the simulated driver has one. It takes callbacks in the order in
 * which they were queued. */
#include <stdlib.h>

#include "driver.h"

struct waiting {
    struct waiting *next;
    struct sim_callback callback;
    struct sim_gpu *gpu;
    uint32_t stream;
    uint64_t position; /* of the operation after the callback's */
};

/* Both lists' ends and `is_running` under callback_lock. */
static struct waiting *first;
static struct waiting **last = &first;
static bool is_running;
static pthread_mutex_t callback_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t callback_added = PTHREAD_COND_INITIALIZER;

static void run(struct waiting *waiting) {
    struct sim_callback *callback = &waiting->callback;
    struct sim_state *state = waiting->gpu->state;

    gshare_sim_wait(waiting->gpu, waiting->stream, waiting->position - 1);
    if (callback->stream_function)
        callback->stream_function(callback->stream, CUDA_SUCCESS, callback->argument);
    else
        callback->function(callback->argument);
    gshare_sim_lock(waiting->gpu);
    struct sim_stream *stream = &state->streams[waiting->stream];
    if (stream->head == waiting->position - 1)
        sim_head(stream)->released = 1;
    gshare_sim_unlock(waiting->gpu);
}

static void *serve(void *unused) {
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&callback_lock);
        while (!first)
            pthread_cond_wait(&callback_added, &callback_lock);
        struct waiting *waiting = first;
        first = waiting->next;
        if (!first)
            last = &first;
        pthread_mutex_unlock(&callback_lock);
        run(waiting);
        free(waiting);
    }
    return NULL;
}

/* Callback lock held. */
static CUresult start_thread(void) {
    pthread_t thread;

    if (is_running)
        return CUDA_SUCCESS;
    if (pthread_create(&thread, NULL, serve, NULL) != 0)
        return CUDA_ERROR_OPERATING_SYSTEM;
    pthread_detach(thread);
    is_running = true;
    return CUDA_SUCCESS;
}

CUresult gshare_sim_queue_callback(struct sim_callback callback) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(callback.stream, &queue);
    struct waiting *waiting = result ? NULL : calloc(1, sizeof *waiting);

    if (!waiting)
        return result ? result : CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&callback_lock);
    result = start_thread();
    if (result) {
        free(waiting);
    } else {
        struct sim_op op = {.kind = SIM_HOST};
        *waiting = (struct waiting){
            .callback = callback, .gpu = &queue->context->board->gpu, .stream = queue->index};
        waiting->position = gshare_sim_submit(waiting->gpu, queue->index, op);
        *last = waiting;
        last = &waiting->next;
        pthread_cond_signal(&callback_added);
    }
    pthread_mutex_unlock(&callback_lock);
    return result;
}

CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void *argument) {
    if (!function)
        return CUDA_ERROR_INVALID_VALUE;
    return gshare_sim_queue_callback(
        (struct sim_callback){.function = function, .stream = stream, .argument = argument});
}

CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback function, void *argument,
                             unsigned int flags) {
    if (!function || flags)
        return CUDA_ERROR_INVALID_VALUE;
    return gshare_sim_queue_callback(
        (struct sim_callback){.stream_function = function, .stream = stream, .argument = argument});
}
