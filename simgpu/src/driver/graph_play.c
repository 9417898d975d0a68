/* Launching an executable graph: its steps are queued like calls, in the stream and, for branches,
 * in lanes of the stream. A lane begins behind the stream's work before the graph, and the stream
 * goes on behind the ends of all lanes; so the graph has its place in the stream.
 *
 * A launch waits for the one before it of the same executable graph, in whichever stream.
 */
#include <stdlib.h>

#include "capture.h"
#include "graph.h"

enum { FLAG_AUTO_FREE = 1 };

struct play {
    struct sim_exec *exec;
    struct sim_queue *queue;
    struct sim_gpu *gpu;
    uint64_t begin; /* in the stream, before the first step */
    uint64_t *ends; /* of each lane so far; 0: nothing is there yet */
};

static struct sim_queue *lane_of(const struct play *play, uint32_t lane) {
    return lane ? play->queue->lanes[lane - 1] : play->queue;
}

static uint64_t wait_for(const struct play *play, struct sim_queue *waiter,
                         const struct sim_queue *other, uint64_t position) {
    struct sim_op op = {.kind = SIM_WAIT, .target = other->index, .position = position};
    return gshare_sim_submit(play->gpu, waiter->index, op);
}

/* Queues one node's work; `position` stays where there is none. */
static CUresult play_node(const struct play *play, struct sim_queue *lane, struct sim_node *node,
                          uint64_t *position) {
    const CUgraphNodeParams *parameters = &node->parameters;
    struct sim_board *board = play->queue->context->board;
    struct sim_op op = {0};

    switch (parameters->type) {
    case NODE_KERNEL:
        op = gshare_sim_kernel(board, gshare_sim_node_function(&parameters->kernel),
                               gshare_sim_node_grid(&parameters->kernel));
        break;
    case NODE_COPY:
        op = gshare_sim_copy(board, &parameters->copy.copy);
        break;
    case NODE_FILL:
        op = gshare_sim_fill(board, &parameters->fill);
        break;
    case NODE_HOST:
        return gshare_sim_queue_callback(
            lane,
            (struct sim_callback){.function = parameters->host.function,
                                  .argument = parameters->host.argument},
            0, position);
    case NODE_EVENT_RECORD:
        if (gshare_sim_check_event(parameters->event, lane) != CUDA_SUCCESS)
            return CUDA_ERROR_INVALID_VALUE;
        *position = gshare_sim_record_event(lane, parameters->event);
        return CUDA_SUCCESS;
    case NODE_EVENT_WAIT:
        return gshare_sim_wait_event(lane, parameters->event, position);
    default:
        return CUDA_SUCCESS;
    }
    *position = gshare_sim_submit(play->gpu, lane->index, op);
    return CUDA_SUCCESS;
}

static CUresult play_step(struct play *play, struct sim_step *step) {
    struct sim_queue *lane = lane_of(play, step->lane);
    uint64_t *end = &play->ends[step->lane];

    if (step->lane && !*end)
        *end = wait_for(play, lane, play->queue, play->begin);
    for (uint32_t i = 0; i < step->after_count; i++) {
        const struct sim_step *other = &play->exec->steps[step->after[i]];
        if (other->lane != step->lane)
            *end = wait_for(play, lane, lane_of(play, other->lane), other->position);
    }
    CUresult result = step->is_off ? CUDA_SUCCESS : play_node(play, lane, step->node, end);
    step->position = *end;
    return result;
}

/* Takes and gives back the graph's memory, as if in one instant; all of it or nothing. */
static CUresult play_memory(struct sim_exec *exec) {
    bool is_again = exec->flags & FLAG_AUTO_FREE;
    CUresult result = CUDA_SUCCESS;
    uint32_t done = 0;

    for (; done < exec->count && !result; done++) {
        const CUgraphNodeParams *parameters = &exec->steps[done].node->parameters;
        if (parameters->type == NODE_ALLOCATE)
            result = gshare_sim_graph_allocate(parameters->allocation.pointer, is_again);
        if (parameters->type == NODE_FREE)
            result = gshare_sim_free(parameters->freed);
    }
    for (uint32_t i = 0; result && i + 1 < done; i++)
        if (exec->steps[i].node->parameters.type == NODE_ALLOCATE)
            gshare_sim_graph_release(exec->steps[i].node->parameters.allocation.pointer);
    return result;
}

static CUresult open_lanes(struct sim_queue *queue, uint32_t count) {
    struct sim_gpu *gpu = &queue->context->board->gpu;

    if (queue->lane_count >= count)
        return CUDA_SUCCESS;
    struct sim_queue **grown = realloc(queue->lanes, count * sizeof *grown);
    if (!grown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    queue->lanes = grown;
    while (queue->lane_count < count) {
        struct sim_queue *lane = calloc(1, sizeof *lane);
        if (!lane)
            return CUDA_ERROR_OUT_OF_MEMORY;
        lane->context = queue->context;
        gshare_sim_lock(gpu);
        int error =
            gshare_sim_stream_open(gpu, queue->context->legacy->index, SIM_STREAM_NON_BLOCKING,
                                   queue->context->cap_sms, &lane->index);
        gshare_sim_unlock(gpu);
        if (error) {
            free(lane);
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        queue->lanes[queue->lane_count++] = lane;
    }
    return CUDA_SUCCESS;
}

void gshare_sim_end_lanes(struct sim_queue *queue) {
    struct sim_gpu *gpu = &queue->context->board->gpu;

    for (uint32_t i = 0; i < queue->lane_count; i++) {
        gshare_sim_lock(gpu);
        gshare_sim_stream_close(gpu, queue->lanes[i]->index);
        gshare_sim_unlock(gpu);
        free(queue->lanes[i]);
    }
    free(queue->lanes);
    queue->lanes = NULL;
    queue->lane_count = 0;
}

/* The first operation in the stream: the launch itself, behind the launch before it. */
static uint64_t begin(const struct play *play) {
    const struct sim_exec *exec = play->exec;
    bool waits = exec->has_run && exec->board == play->queue->context->board;
    struct sim_op op = {.kind = SIM_WAIT,
                        .flags = SIM_OP_CALL | SIM_OP_GRAPH,
                        .target = waits ? exec->end_stream : play->queue->index,
                        .position = waits ? exec->end : 0};
    return gshare_sim_submit(play->gpu, play->queue->index, op);
}

/* Lane lock held. What was queued before an error stays queued. */
static CUresult play_steps(struct play *play) {
    struct sim_exec *exec = play->exec;
    CUresult result = CUDA_SUCCESS;

    play->begin = begin(play);
    play->ends[0] = play->begin;
    for (uint32_t i = 0; i < exec->count && !result; i++)
        result = play_step(play, &exec->steps[i]);
    for (uint32_t lane = 1; lane < exec->lane_count; lane++)
        if (play->ends[lane])
            play->ends[0] = wait_for(play, play->queue, lane_of(play, lane), play->ends[lane]);
    exec->has_run = true;
    exec->board = play->queue->context->board;
    exec->end_stream = play->queue->index;
    exec->end = play->ends[0];
    return result;
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
    struct sim_queue *queue = NULL;
    CUresult result = exec ? gshare_sim_use(stream, &queue) : CUDA_ERROR_INVALID_VALUE;

    if (result)
        return result;
    if (queue->capture)
        return gshare_sim_capture(
            queue, &(CUgraphNodeParams){.type = NODE_GRAPH, .child = {.graph = exec->graph}});
    struct play play = {.exec = exec, .queue = queue, .gpu = &queue->context->board->gpu};
    play.ends = calloc(exec->lane_count + 1, sizeof *play.ends);
    if (!play.ends)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&queue->lane_lock);
    if (exec->lane_count > 1)
        result = open_lanes(queue, exec->lane_count - 1);
    result = result ? result : play_memory(exec);
    result = result ? result : play_steps(&play);
    pthread_mutex_unlock(&queue->lane_lock);
    free(play.ends);
    return result;
}

CUresult cuGraphUpload(CUgraphExec exec, CUstream stream) {
    struct sim_queue *queue = NULL;
    return exec ? gshare_sim_use(stream, &queue) : CUDA_ERROR_INVALID_VALUE;
}
