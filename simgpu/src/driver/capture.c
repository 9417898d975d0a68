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
static _Thread_local int thread_mode;   /* CUstreamCaptureMode: what forbids unsafe calls here */

void gshare_sim_capture_enter(void) {
    pthread_mutex_lock(&capture_lock);
}

void gshare_sim_capture_leave(void) {
    pthread_mutex_unlock(&capture_lock);
}

static bool is_blocking(const struct sim_queue *queue) {
    return queue != queue->context->legacy && !(queue->flags & STREAM_NON_BLOCKING);
}

void gshare_sim_capture_admit(struct sim_capture *capture, struct sim_queue *queue) {
    queue->capture = capture;
    queue->next_member = capture->members;
    capture->members = queue;
    queue->context->blocking_captures += is_blocking(queue);
}

void gshare_sim_capture_dismiss(struct sim_capture *capture, struct sim_queue *queue) {
    struct sim_queue **link = &capture->members;

    while (*link != queue)
        link = &(*link)->next_member;
    *link = queue->next_member;
    queue->capture = NULL;
    queue->context->blocking_captures -= is_blocking(queue);
    gshare_sim_tips_set(&queue->tips, NULL, 0);
}

void gshare_sim_capture_list(struct sim_capture *capture) {
    capture->next = captures;
    captures = capture;
    live_count++;
}

void gshare_sim_capture_close(struct sim_capture *capture, bool keeps_graph) {
    struct sim_capture **link = &captures;

    while (capture->members)
        gshare_sim_capture_dismiss(capture, capture->members);
    while (*link != capture)
        link = &(*link)->next;
    *link = capture->next;
    live_count--;
    if (capture->is_ours && !keeps_graph)
        gshare_sim_graph_free(capture->graph);
    free(capture);
}

static void invalidate_blocking(const struct sim_context *context) {
    for (struct sim_capture *capture = captures; capture; capture = capture->next)
        if (capture->origin->context == context && capture->mode != MODE_RELAXED)
            capture->status = CAPTURE_INVALID;
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
        queue->capture->status = CAPTURE_INVALID;
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
        capture->status = CAPTURE_INVALID;
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
        own->status = CAPTURE_INVALID;
        return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    if (!other)
        return CUDA_ERROR_INVALID_VALUE; /* recorded in a capture that has ended */
    if (own && own != other) {
        own->status = CAPTURE_INVALID;
        other->status = CAPTURE_INVALID;
        return CUDA_ERROR_STREAM_CAPTURE_MERGE;
    }
    if (!own && queue == queue->context->legacy)
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    if (!own)
        gshare_sim_capture_admit(other, queue);
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

CUresult cuThreadExchangeStreamCaptureMode(int *mode) {
    if (!mode || *mode < MODE_GLOBAL || *mode > MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    int old = thread_mode;
    thread_mode = *mode;
    *mode = old;
    return CUDA_SUCCESS;
}
