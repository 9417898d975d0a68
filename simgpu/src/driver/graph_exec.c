/* Executable graphs: a graph's nodes in an order that keeps every dependency, on lanes.
 *
 * A node goes to the lane of a node that it depends on and that is the last one there; so a chain
 * stays on one lane, and branches that may run side by side are on different ones. Child graphs are
 * laid out in place; the child's own node then stands for its end.
 */
#include <stdlib.h>

#include "graph.h"

enum { MAX_LANES = 32, FLAG_DEVICE_LAUNCH = 4, KNOWN_FLAGS = 15 };
/* CUgraphInstantiateResult */
enum { INSTANTIATED = 0, INSTANTIATE_ERROR = 1, INVALID_STRUCTURE = 2 };

static CUresult add_step(struct sim_exec *exec, struct sim_node *node, uint32_t *after,
                         uint32_t after_count) {
    if (exec->count == exec->room) {
        uint32_t room = exec->room ? exec->room * 2 : 16;
        struct sim_step *grown = realloc(exec->steps, room * sizeof *grown);
        if (!grown) {
            free(after);
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        exec->steps = grown;
        exec->room = room;
    }
    node->mark = exec->count;
    exec->steps[exec->count++] =
        (struct sim_step){.node = node, .after = after, .after_count = after_count};
    return CUDA_SUCCESS;
}

static CUresult lay_out(struct sim_exec *exec, struct sim_graph *graph, const struct sim_step *in);

/* The ends of a child graph: its nodes that none of it depends on; without any, what it follows. */
static CUresult lay_out_child(struct sim_exec *exec, struct sim_node *node, uint32_t *after,
                              uint32_t after_count) {
    struct sim_graph *child = node->parameters.child.graph;
    struct sim_step in = {.after = after, .after_count = after_count};
    CUresult result = lay_out(exec, child, &in);
    uint32_t *ends = result ? NULL : malloc((child->count + 1) * sizeof *ends);
    uint32_t count = 0;

    if (!result && child->count == 0)
        return free(ends), add_step(exec, node, after, after_count);
    free(after);
    if (!ends)
        return result ? result : CUDA_ERROR_OUT_OF_MEMORY;
    for (struct sim_node *other = child->first; other; other = other->next)
        ends[count++] = other->mark;
    return add_step(exec, node, ends, count);
}

/* Lays a node out behind what it depends on; a root behind what its graph follows. */
static CUresult lay_out_node(struct sim_exec *exec, struct sim_node *node,
                             const struct sim_step *in) {
    size_t own = node->dependencies.count;
    uint32_t count = own ? (uint32_t)own : in->after_count;
    uint32_t *after = malloc((count + 1) * sizeof *after);

    if (!after)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        after[i] = own ? node->dependencies.nodes[i]->mark : in->after[i];
    if (node->parameters.type == NODE_GRAPH)
        return lay_out_child(exec, node, after, count);
    return add_step(exec, node, after, count);
}

static bool is_ready(const struct sim_node *node) {
    for (size_t i = 0; i < node->dependencies.count; i++)
        if (node->dependencies.nodes[i]->mark == SIM_NONE)
            return false;
    return node->mark == SIM_NONE;
}

/* Fails where nodes depend on each other in a circle. `in` is what the graph follows. */
static CUresult lay_out(struct sim_exec *exec, struct sim_graph *graph, const struct sim_step *in) {
    size_t left = graph->count;

    for (struct sim_node *node = graph->first; node; node = node->next)
        node->mark = SIM_NONE;
    while (left) {
        size_t before = left;
        for (struct sim_node *node = graph->first; node; node = node->next) {
            if (!is_ready(node))
                continue;
            CUresult result = lay_out_node(exec, node, in);
            if (result)
                return result;
            left--;
        }
        if (left == before)
            return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

/* `last` holds the last step of each lane so far. */
static uint32_t choose_lane(struct sim_exec *exec, const struct sim_step *step,
                            const uint32_t *last) {
    for (uint32_t i = 0; i < step->after_count; i++) {
        uint32_t lane = exec->steps[step->after[i]].lane;
        if (last[lane] == step->after[i])
            return lane;
    }
    if (exec->lane_count < MAX_LANES)
        return exec->lane_count++;
    return step->after_count ? exec->steps[step->after[0]].lane : 0;
}

static void assign_lanes(struct sim_exec *exec) {
    uint32_t last[MAX_LANES] = {0};

    for (uint32_t i = 0; i < exec->count; i++) {
        struct sim_step *step = &exec->steps[i];
        step->lane = choose_lane(exec, step, last);
        last[step->lane] = i;
    }
}

static void free_exec(struct sim_exec *exec) {
    for (uint32_t i = 0; i < exec->count; i++)
        free(exec->steps[i].after);
    free(exec->steps);
    if (exec->graph)
        gshare_sim_graph_free(exec->graph);
    free(exec);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
    if (!exec || !graph || flags > KNOWN_FLAGS)
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & FLAG_DEVICE_LAUNCH)
        return CUDA_ERROR_NOT_SUPPORTED;
    struct sim_exec *made = calloc(1, sizeof *made);
    struct sim_step nothing = {0};
    CUresult result = made ? gshare_sim_graph_clone(graph, &made->graph) : CUDA_ERROR_OUT_OF_MEMORY;
    if (!result)
        result = lay_out(made, made->graph, &nothing);
    if (result) {
        if (made)
            free_exec(made);
        return result;
    }
    made->flags = flags;
    assign_lanes(made);
    *exec = made;
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiate(CUgraphExec *exec, CUgraph graph, CUgraphNode *error_node, char *log,
                            size_t log_bytes) {
    if (error_node)
        *error_node = NULL;
    if (log && log_bytes)
        *log = '\0';
    return cuGraphInstantiateWithFlags(exec, graph, 0);
}

CUresult cuGraphInstantiate_v2(CUgraphExec *exec, CUgraph graph, CUgraphNode *error_node, char *log,
                               size_t log_bytes) {
    return cuGraphInstantiate(exec, graph, error_node, log, log_bytes);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *exec, CUgraph graph,
                                      CUDA_GRAPH_INSTANTIATE_PARAMS *parameters) {
    if (!parameters)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = cuGraphInstantiateWithFlags(exec, graph, parameters->flags);
    parameters->error_node = NULL;
    parameters->result = result == CUDA_SUCCESS               ? INSTANTIATED
                         : result == CUDA_ERROR_INVALID_VALUE ? INVALID_STRUCTURE
                                                              : INSTANTIATE_ERROR;
    return result;
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
    if (!exec)
        return CUDA_ERROR_INVALID_VALUE;
    free_exec(exec);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecGetFlags(CUgraphExec exec, uint64_t *flags) {
    if (!exec || !flags)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = exec->flags;
    return CUDA_SUCCESS;
}

/* The step of a node of the graph that was made executable. */
struct sim_step *gshare_sim_step_of(struct sim_exec *exec, const struct sim_node *node) {
    for (uint32_t i = 0; i < exec->count; i++)
        if (exec->steps[i].node->original == node)
            return &exec->steps[i];
    return NULL;
}

static bool can_be_off(const struct sim_step *step) {
    int type = step ? step->node->parameters.type : NODE_EMPTY;
    return type == NODE_KERNEL || type == NODE_COPY || type == NODE_FILL;
}

CUresult cuGraphNodeSetEnabled(CUgraphExec exec, CUgraphNode node, unsigned int is_enabled) {
    struct sim_step *step = exec && node ? gshare_sim_step_of(exec, node) : NULL;

    if (!can_be_off(step))
        return CUDA_ERROR_INVALID_VALUE;
    step->is_off = !is_enabled;
    return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetEnabled(CUgraphExec exec, CUgraphNode node, unsigned int *is_enabled) {
    struct sim_step *step = exec && node ? gshare_sim_step_of(exec, node) : NULL;

    if (!can_be_off(step) || !is_enabled)
        return CUDA_ERROR_INVALID_VALUE;
    *is_enabled = !step->is_off;
    return CUDA_SUCCESS;
}
