/* Stream capture: calls in a capturing stream become nodes of a graph, and run when that does.
 *
 * A stream captures from cuStreamBeginCapture to cuStreamEndCapture, or from waiting for an event
 * that was recorded in a capturing stream until that capture ends. Each captured call depends on
 * the stream's tips, and becomes its one tip. A call that cannot be captured invalidates the
 * capture, as does, unless the capture is relaxed, a call that might synchronise: such calls are
 * forbidden in the whole process while a global capture lives, in the capturing thread while a
 * thread-local one does.
 */
#include "capture.h"

#include <stdlib.h>

#include "capture_state.h"

/* All live captures, and every queue's and event's part in them. */
static struct sim_capture *captures;
static pthread_mutex_t capture_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned int live_count; /* written under the lock */
static atomic_ullong next_id = 1;
static _Thread_local int thread_mode; /* CUstreamCaptureMode: what forbids unsafe calls here */

void gshare_sim_capture_enter(void) {
    pthread_mutex_lock(&capture_lock);
}

void gshare_sim_capture_leave(void) {
    pthread_mutex_unlock(&capture_lock);
}

static bool is_blocking(const struct sim_queue *queue) {
    return queue != queue->context->legacy && !(queue->flags & STREAM_NON_BLOCKING);
}

/* Lock held. The queue takes part in a capture from here on. */
static void enter(struct sim_queue *queue, struct sim_capture *capture) {
    queue->capture = capture;
    queue->context->blocking_captures += is_blocking(queue);
}

static void leave(struct sim_queue *queue) {
    queue->capture = NULL;
    queue->context->blocking_captures -= is_blocking(queue);
    gshare_sim_tips_set(&queue->tips, NULL, 0);
}

static void leave_all(const struct sim_capture *capture) {
    struct sim_context *context = capture->origin->context;

    pthread_mutex_lock(&context->board->lock);
    for (struct sim_queue *queue = context->streams; queue; queue = queue->next)
        if (queue->capture == capture)
            leave(queue);
    pthread_mutex_unlock(&context->board->lock);
}

/* Lock held. The capture goes on, to no good end. */
static void invalidate(struct sim_capture *capture) {
    capture->status = CAPTURE_INVALID;
}

static void invalidate_blocking(const struct sim_context *context) {
    for (struct sim_capture *capture = captures; capture; capture = capture->next)
        if (capture->origin->context == context && capture->mode != MODE_RELAXED)
            invalidate(capture);
}

CUresult gshare_sim_use(CUstream stream, struct sim_queue **queue) {
    CUresult result = gshare_sim_queue_of(stream, queue);

    if (result || !live_count)
        return result;
    gshare_sim_capture_enter();
    struct sim_capture *capture = (*queue)->capture;
    struct sim_context *context = (*queue)->context;
    if (capture && capture->status == CAPTURE_INVALID)
        result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!capture && *queue == context->legacy && context->blocking_captures) {
        invalidate_blocking(context);
        result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    gshare_sim_capture_leave();
    return result;
}

CUresult gshare_sim_refuse(struct sim_queue *queue) {
    gshare_sim_capture_enter();
    if (queue->capture)
        invalidate(queue->capture);
    gshare_sim_capture_leave();
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

/* Lock held. */
static bool forbids(const struct sim_capture *capture) {
    if (capture->mode == MODE_RELAXED || thread_mode == MODE_RELAXED)
        return false;
    if (pthread_equal(capture->thread, pthread_self()))
        return true;
    return capture->mode == MODE_GLOBAL && thread_mode == MODE_GLOBAL;
}

CUresult gshare_sim_check_unsafe(void) {
    CUresult result = CUDA_SUCCESS;

    if (!live_count)
        return CUDA_SUCCESS;
    gshare_sim_capture_enter();
    for (struct sim_capture *capture = captures; capture; capture = capture->next) {
        if (!forbids(capture))
            continue;
        invalidate(capture);
        result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    gshare_sim_capture_leave();
    return result;
}

/* Lock held. */
static CUresult add_captured(struct sim_queue *queue, const CUgraphNodeParams *parameters,
                             struct sim_node **node) {
    struct sim_capture *capture = queue->capture;
    CUresult result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;

    if (!capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (capture->status != CAPTURE_INVALID)
        result =
            gshare_sim_add_node(capture->graph, &queue->tips, parameters, queue->context, node);
    return result ? result : gshare_sim_tips_set(&queue->tips, node, 1);
}

CUresult gshare_sim_capture(struct sim_queue *queue, const CUgraphNodeParams *parameters) {
    struct sim_node *node = NULL;

    gshare_sim_capture_enter();
    CUresult result = add_captured(queue, parameters, &node);
    gshare_sim_capture_leave();
    return result;
}

CUresult gshare_sim_capture_record(struct sim_queue *queue, struct sim_mark *event) {
    CUresult result = CUDA_ERROR_ILLEGAL_STATE;

    gshare_sim_capture_enter();
    if (queue->capture) {
        result = gshare_sim_tips_set(&event->tips, queue->tips.nodes, queue->tips.count);
        event->capture = queue->capture->id;
    }
    gshare_sim_capture_leave();
    return result;
}

static struct sim_capture *live(unsigned long long id) {
    struct sim_capture *capture = captures;

    while (capture && capture->id != id)
        capture = capture->next;
    return capture;
}

/* Lock held. */
static CUresult join(struct sim_queue *queue, const struct sim_mark *event) {
    struct sim_capture *own = queue->capture;
    struct sim_capture *other = live(event->capture);
    CUresult result = CUDA_SUCCESS;

    if (own && !event->capture) {
        invalidate(own);
        return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    if (!other)
        return CUDA_ERROR_INVALID_VALUE; /* recorded in a capture that has ended */
    if (own && own != other) {
        invalidate(own);
        invalidate(other);
        return CUDA_ERROR_STREAM_CAPTURE_MERGE;
    }
    if (!own && queue == queue->context->legacy)
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    if (!own)
        enter(queue, other);
    for (size_t i = 0; i < event->tips.count && !result; i++)
        result = gshare_sim_tips_add(&queue->tips, event->tips.nodes[i]);
    return result;
}

CUresult gshare_sim_capture_wait(struct sim_queue *queue, struct sim_mark *event) {
    gshare_sim_capture_enter();
    CUresult result = join(queue, event);
    gshare_sim_capture_leave();
    return result;
}

/* Lock held. */
static void unlink_capture(struct sim_capture *capture) {
    struct sim_capture **link = &captures;

    while (*link != capture)
        link = &(*link)->next;
    *link = capture->next;
    live_count--;
}

void gshare_sim_capture_abandon(struct sim_queue *queue) {
    gshare_sim_capture_enter();
    struct sim_capture *capture = queue->capture;
    if (capture && capture->origin == queue) {
        leave_all(capture);
        if (queue->capture)
            leave(queue); /* it has left its context's list already */
        unlink_capture(capture);
        if (capture->is_ours)
            gshare_sim_graph_free(capture->graph);
        free(capture);
    } else if (capture) {
        invalidate(capture);
        leave(queue);
    }
    gshare_sim_capture_leave();
}

CUresult gshare_sim_capture_begin(struct sim_queue *queue, struct sim_graph *graph,
                                  const struct sim_tips *tips, int mode) {
    struct sim_capture *made = calloc(1, sizeof *made);

    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *made = (struct sim_capture){.id = next_id++,
                                 .graph = graph ? graph : gshare_sim_graph_make(),
                                 .is_ours = !graph,
                                 .origin = queue,
                                 .thread = pthread_self(),
                                 .mode = mode,
                                 .status = CAPTURE_ACTIVE};
    gshare_sim_capture_enter();
    CUresult result = queue->capture ? CUDA_ERROR_ILLEGAL_STATE : CUDA_SUCCESS;
    if (!result && made->graph)
        result = gshare_sim_tips_set(&queue->tips, tips->nodes, tips->count);
    if (!result && made->graph) {
        made->had = made->graph->count;
        made->next = captures;
        captures = made;
        live_count++;
        enter(queue, made);
    } else {
        if (made->is_ours && made->graph)
            gshare_sim_graph_free(made->graph);
        free(made);
        result = result ? result : CUDA_ERROR_OUT_OF_MEMORY;
    }
    gshare_sim_capture_leave();
    return result;
}

/* Lock held. Whether everything that was captured leads to the origin's tips. */
static bool is_joined(const struct sim_capture *capture) {
    size_t number = 0;

    for (struct sim_node *node = capture->graph->first; node; node = node->next)
        node->mark = number++ < capture->had; /* what was there before is none of ours */
    for (size_t i = 0; i < capture->origin->tips.count; i++)
        capture->origin->tips.nodes[i]->mark = 1;
    for (struct sim_node *node = capture->graph->first; node; node = node->next)
        for (size_t i = 0; i < node->dependencies.count; i++)
            node->dependencies.nodes[i]->mark = 1;
    for (struct sim_node *node = capture->graph->first; node; node = node->next)
        if (!node->mark)
            return false;
    return true;
}

CUresult gshare_sim_capture_end(struct sim_queue *queue, struct sim_graph **graph) {
    CUresult result = CUDA_SUCCESS;

    *graph = NULL;
    gshare_sim_capture_enter();
    struct sim_capture *capture = queue->capture;
    if (!capture)
        result = CUDA_ERROR_ILLEGAL_STATE;
    else if (capture->origin != queue)
        result = CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    else if (capture->mode != MODE_RELAXED && !pthread_equal(capture->thread, pthread_self()))
        result = CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    if (result) {
        if (capture)
            invalidate(capture);
        gshare_sim_capture_leave();
        return result;
    }
    if (capture->status == CAPTURE_INVALID)
        result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    else if (!is_joined(capture))
        result = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    leave_all(capture);
    unlink_capture(capture);
    if (!result)
        *graph = capture->graph;
    else if (capture->is_ours)
        gshare_sim_graph_free(capture->graph);
    free(capture);
    gshare_sim_capture_leave();
    return result;
}

CUresult cuThreadExchangeStreamCaptureMode(int *mode) {
    if (!mode || *mode < MODE_GLOBAL || *mode > MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    int old = thread_mode;
    thread_mode = *mode;
    *mode = old;
    return CUDA_SUCCESS;
}
