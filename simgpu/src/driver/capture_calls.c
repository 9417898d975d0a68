/* The calls that begin, end and describe a capture. */
#include "capture.h"
#include "capture_state.h"

static CUresult begin(CUstream stream, CUgraph graph, struct sim_tips tips, int mode) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (result)
        return result;
    if (mode < MODE_GLOBAL || mode > MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    if (queue == queue->context->legacy)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    return gshare_sim_capture_begin(queue, graph, &tips, mode);
}

CUresult cuStreamBeginCapture(CUstream stream) {
    return begin(stream, NULL, (struct sim_tips){0}, MODE_GLOBAL);
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
    return begin(stream, NULL, (struct sim_tips){0}, mode);
}

CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode *after,
                                     const CUgraphEdgeData *edges, size_t count, int mode) {
    (void)edges;
    if (!graph || (count && !after))
        return CUDA_ERROR_INVALID_VALUE;
    return begin(stream, graph, (struct sim_tips){(CUgraphNode *)after, count}, mode);
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (result)
        return result;
    return graph ? gshare_sim_capture_end(queue, graph) : CUDA_ERROR_INVALID_VALUE;
}

/* What a capture tells of itself. */
struct description {
    int status;
    uint64_t id;
    CUgraph graph;
    const CUgraphNode *tips;
    size_t tip_count;
};

/* Of the legacy stream it cannot be said while a stream is captured that it waits for. */
static CUresult describe(CUstream stream, struct description *description) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    *description = (struct description){.status = CAPTURE_NONE};
    if (result)
        return result;
    gshare_sim_capture_enter();
    struct sim_capture *capture = queue->capture;
    if (capture)
        *description = (struct description){capture->status, capture->id, capture->graph,
                                            queue->tips.nodes, queue->tips.count};
    else if (queue == queue->context->legacy && queue->context->blocking_captures)
        result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    gshare_sim_capture_leave();
    return result;
}

CUresult cuStreamIsCapturing(CUstream stream, int *status) {
    struct description found;
    CUresult result = describe(stream, &found);

    if (!status)
        return CUDA_ERROR_INVALID_VALUE;
    *status = found.status;
    return result;
}

CUresult cuStreamGetCaptureInfo_v3(CUstream stream, int *status, uint64_t *id, CUgraph *graph,
                                   const CUgraphNode **tips, const CUgraphEdgeData **edges,
                                   size_t *tip_count) {
    struct description found;
    CUresult result = describe(stream, &found);

    if (!status)
        return CUDA_ERROR_INVALID_VALUE;
    *status = found.status;
    if (result || found.status != CAPTURE_ACTIVE)
        return result;
    if (id)
        *id = found.id;
    if (graph)
        *graph = found.graph;
    if (tips)
        *tips = found.tips;
    if (edges)
        *edges = NULL;
    if (tip_count)
        *tip_count = found.tip_count;
    return CUDA_SUCCESS;
}

CUresult cuStreamGetCaptureInfo_v2(CUstream stream, int *status, uint64_t *id, CUgraph *graph,
                                   const CUgraphNode **tips, size_t *tip_count) {
    return cuStreamGetCaptureInfo_v3(stream, status, id, graph, tips, NULL, tip_count);
}

CUresult cuStreamGetCaptureInfo(CUstream stream, int *status, uint64_t *id) {
    return cuStreamGetCaptureInfo_v3(stream, status, id, NULL, NULL, NULL, NULL);
}

CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode *nodes, size_t count,
                                           unsigned int flags) {
    enum { ADD = 0, SET = 1 };
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (result || flags > SET || (count && !nodes))
        return result ? result : CUDA_ERROR_INVALID_VALUE;
    gshare_sim_capture_enter();
    if (!queue->capture || queue->capture->status != CAPTURE_ACTIVE)
        result = CUDA_ERROR_ILLEGAL_STATE;
    else if (flags == SET)
        result = gshare_sim_tips_set(&queue->tips, nodes, count);
    for (size_t i = 0; i < count && flags == ADD && !result; i++)
        result = gshare_sim_tips_add(&queue->tips, nodes[i]);
    gshare_sim_capture_leave();
    return result;
}

CUresult cuStreamUpdateCaptureDependencies_v2(CUstream stream, CUgraphNode *nodes,
                                              const CUgraphEdgeData *edges, size_t count,
                                              unsigned int flags) {
    (void)edges;
    return cuStreamUpdateCaptureDependencies(stream, nodes, count, flags);
}
