/* The beginning and the ends of a capture. */
#include <stdlib.h>

#include "capture.h"
#include "capture_state.h"

static atomic_ullong next_id = 1;

void gshare_sim_capture_abandon(struct sim_queue *queue) {
    gshare_sim_capture_enter();
    struct sim_capture *capture = queue->capture;
    if (capture && capture->origin == queue) {
        gshare_sim_capture_close(capture, false);
    } else if (capture) {
        capture->status = CAPTURE_INVALID;
        gshare_sim_capture_dismiss(capture, queue);
    }
    gshare_sim_capture_leave();
}

/* Lock held. */
static CUresult start(struct sim_capture *capture, const struct sim_tips *tips) {
    struct sim_queue *queue = capture->origin;

    if (queue->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (!capture->graph)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = gshare_sim_tips_set(&queue->tips, tips->nodes, tips->count);
    if (result)
        return result;
    capture->had = capture->graph->count;
    gshare_sim_capture_list(capture);
    gshare_sim_capture_admit(capture, queue);
    return CUDA_SUCCESS;
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
    CUresult result = start(made, tips);
    gshare_sim_capture_leave();
    if (!result)
        return CUDA_SUCCESS;
    if (made->is_ours && made->graph)
        gshare_sim_graph_free(made->graph);
    free(made);
    return result;
}

/* Lock held. Whether everything that was captured leads to the origin's tips. */
static bool is_joined(const struct sim_capture *capture) {
    const struct sim_tips *tips = &capture->origin->tips;
    size_t number = 0;

    for (struct sim_node *node = capture->graph->first; node; node = node->next)
        node->mark = number++ < capture->had; /* what was there before is none of ours */
    for (size_t i = 0; i < tips->count; i++)
        tips->nodes[i]->mark = 1;
    for (struct sim_node *node = capture->graph->first; node; node = node->next)
        for (size_t i = 0; i < node->dependencies.count; i++)
            node->dependencies.nodes[i]->mark = 1;
    for (struct sim_node *node = capture->graph->first; node; node = node->next)
        if (!node->mark)
            return false;
    return true;
}

/* Lock held. Whether the queue can end a capture; a wrong try invalidates it. */
static CUresult check_end(struct sim_queue *queue) {
    struct sim_capture *capture = queue->capture;
    CUresult result = CUDA_SUCCESS;

    if (!capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (capture->origin != queue)
        result = CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    else if (capture->mode != MODE_RELAXED && !pthread_equal(capture->thread, pthread_self()))
        result = CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    if (result)
        capture->status = CAPTURE_INVALID;
    return result;
}

CUresult gshare_sim_capture_end(struct sim_queue *queue, struct sim_graph **graph) {
    *graph = NULL;
    gshare_sim_capture_enter();
    CUresult result = check_end(queue);
    if (!result) {
        struct sim_capture *capture = queue->capture;
        if (capture->status == CAPTURE_INVALID)
            result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        else if (!is_joined(capture))
            result = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
        *graph = result ? NULL : capture->graph;
        gshare_sim_capture_close(capture, !result);
    }
    gshare_sim_capture_leave();
    return result;
}
