/* Host callbacks in streams. They need a thread of the host: one a process, started by the first
 * callback; nothing else in the simulated driver has one. It takes callbacks in the order in
 * which they were queued. */
#include <stdlib.h>

#include "capture.h"
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
    CUresult result = (CUresult)state->clients[waiting->gpu->client].error;
    if (callback->stream_function)
        callback->stream_function(callback->stream, result, callback->argument);
    else if (result == CUDA_SUCCESS) /* after a fault host functions are not called */
        callback->function(callback->argument);
    gshare_sim_lock(waiting->gpu);
    struct sim_stream *stream = &state->streams[waiting->stream];
    if (stream->head == waiting->position - 1)
        sim_head(stream)->flags |= SIM_OP_RELEASED;
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

CUresult gshare_sim_queue_callback(struct sim_queue *queue, struct sim_callback callback,
                                   uint8_t flags, uint64_t *position) {
    struct waiting *waiting = calloc(1, sizeof *waiting);

    if (!waiting)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&callback_lock);
    CUresult result = start_thread();
    if (result) {
        free(waiting);
    } else {
        struct sim_op op = {.kind = SIM_HOST, .flags = flags};
        *waiting = (struct waiting){
            .callback = callback, .gpu = &queue->context->board->gpu, .stream = queue->index};
        waiting->position = gshare_sim_submit(waiting->gpu, queue->index, op);
        *position = waiting->position;
        *last = waiting;
        last = &waiting->next;
        pthread_cond_signal(&callback_added);
    }
    pthread_mutex_unlock(&callback_lock);
    return result;
}

CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void *argument) {
    struct sim_queue *queue = NULL;
    CUgraphNodeParams node = {.type = NODE_HOST, .host = {function, argument}};
    CUresult result = function ? gshare_sim_use(stream, &queue) : CUDA_ERROR_INVALID_VALUE;
    uint64_t position = 0;

    if (result)
        return result;
    if (queue->capture)
        return gshare_sim_capture(queue, &node);
    return gshare_sim_queue_callback(
        queue, (struct sim_callback){.function = function, .argument = argument}, SIM_OP_CALL,
        &position);
}

CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback function, void *argument,
                             unsigned int flags) {
    struct sim_queue *queue = NULL;
    struct sim_callback callback = {
        .stream_function = function, .stream = stream, .argument = argument};
    bool is_valid = function && !flags;
    CUresult result = is_valid ? gshare_sim_use(stream, &queue) : CUDA_ERROR_INVALID_VALUE;
    uint64_t position = 0;

    if (result)
        return result;
    if (queue->capture)
        return gshare_sim_refuse(queue);
    return gshare_sim_queue_callback(queue, callback, SIM_OP_CALL, &position);
}
