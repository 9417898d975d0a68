/* Graphs and their nodes, as the client edits them. */
#include "graph.h"

#include <stdlib.h>

struct sim_graph *gshare_sim_graph_make(void) {
    struct sim_graph *graph = calloc(1, sizeof *graph);

    if (graph)
        graph->last = &graph->first;
    return graph;
}

static void free_node(struct sim_node *node) {
    if (node->parameters.type == NODE_GRAPH)
        gshare_sim_graph_free(node->parameters.child.graph);
    if (node->parameters.type == NODE_ALLOCATE)
        gshare_sim_graph_unreserve(node->parameters.allocation.pointer);
    free(node->dependencies.nodes);
    free(node);
}

void gshare_sim_graph_free(struct sim_graph *graph) {
    while (graph->first) {
        struct sim_node *node = graph->first;
        graph->first = node->next;
        free_node(node);
    }
    free(graph);
}

static void append(struct sim_graph *graph, struct sim_node *node) {
    node->graph = graph;
    node->next = NULL;
    *graph->last = node;
    graph->last = &node->next;
    graph->count++;
}

/* Copies what a node owns: its child graph, and its hold on graph memory. */
static CUresult own(struct sim_node *node) {
    CUgraphNodeParams *parameters = &node->parameters;

    if (parameters->type == NODE_ALLOCATE)
        gshare_sim_graph_retain(parameters->allocation.pointer);
    if (parameters->type == NODE_GRAPH)
        return gshare_sim_graph_clone(parameters->child.graph, &parameters->child.graph);
    return CUDA_SUCCESS;
}

CUresult gshare_sim_add_node(struct sim_graph *graph, const struct sim_tips *dependencies,
                             const CUgraphNodeParams *parameters, struct sim_context *context,
                             struct sim_node **node) {
    struct sim_node *made = calloc(1, sizeof *made);

    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    made->context = context;
    made->parameters = *parameters;
    CUresult result =
        gshare_sim_tips_set(&made->dependencies, dependencies->nodes, dependencies->count);
    result = result ? result : own(made);
    if (result) {
        free(made->dependencies.nodes);
        free(made);
        return result;
    }
    append(graph, made);
    *node = made;
    return CUDA_SUCCESS;
}

/* The node of a clone that stands for the `mark`-th of the original. */
static void link_clone(const struct sim_graph *graph, struct sim_node **copies) {
    for (struct sim_node *node = graph->first; node; node = node->next)
        for (size_t i = 0; i < node->dependencies.count; i++) {
            struct sim_node **dependency = &copies[node->mark]->dependencies.nodes[i];
            *dependency = copies[(*dependency)->mark];
        }
}

static CUresult copy_nodes(const struct sim_graph *graph, struct sim_graph *clone,
                           struct sim_node **copies) {
    uint32_t number = 0;

    for (struct sim_node *node = graph->first; node; node = node->next) {
        CUresult result = gshare_sim_add_node(clone, &node->dependencies, &node->parameters,
                                              node->context, &copies[number]);
        if (result)
            return result;
        copies[number]->original = node;
        copies[number]->is_cooperative = node->is_cooperative;
        node->mark = number++;
    }
    return CUDA_SUCCESS;
}

CUresult gshare_sim_graph_clone(const struct sim_graph *graph, struct sim_graph **clone) {
    struct sim_graph *made = gshare_sim_graph_make();
    struct sim_node **copies = calloc(graph->count + 1, sizeof *copies);
    CUresult result = made && copies ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;

    if (!result)
        result = copy_nodes(graph, made, copies);
    if (!result) {
        link_clone(graph, copies);
        made->original = (struct sim_graph *)graph;
        *clone = made;
    } else if (made) {
        gshare_sim_graph_free(made);
    }
    free(copies);
    return result;
}

CUresult cuGraphCreate(CUgraph *graph, unsigned int flags) {
    CUresult result = gshare_sim_ready();

    if (result)
        return result;
    if (!graph || flags)
        return CUDA_ERROR_INVALID_VALUE;
    *graph = gshare_sim_graph_make();
    return *graph ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuGraphDestroy(CUgraph graph) {
    if (!graph)
        return CUDA_ERROR_INVALID_VALUE;
    gshare_sim_graph_free(graph);
    return CUDA_SUCCESS;
}

CUresult cuGraphClone(CUgraph *clone, CUgraph graph) {
    return clone && graph ? gshare_sim_graph_clone(graph, clone) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphNodeFindInClone(CUgraphNode *found, CUgraphNode original, CUgraph clone) {
    if (!found || !original || !clone || clone->original != original->graph)
        return CUDA_ERROR_INVALID_VALUE;
    for (struct sim_node *node = clone->first; node; node = node->next) {
        if (node->original != original)
            continue;
        *found = node;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphDestroyNode(CUgraphNode node) {
    if (!node)
        return CUDA_ERROR_INVALID_VALUE;
    struct sim_graph *graph = node->graph;
    struct sim_node **link = &graph->first;
    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    if (graph->last == &node->next)
        graph->last = link;
    graph->count--;
    for (struct sim_node *other = graph->first; other; other = other->next)
        gshare_sim_tips_remove(&other->dependencies, node);
    free_node(node);
    return CUDA_SUCCESS;
}

static CUresult edit(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count,
                     bool adds) {
    CUresult result = graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

    if (count && (!from || !to))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count && !result; i++) {
        if (!from[i] || !to[i] || from[i]->graph != graph || to[i]->graph != graph)
            return CUDA_ERROR_INVALID_VALUE;
        if (adds)
            result = gshare_sim_tips_add(&to[i]->dependencies, from[i]);
        else if (!gshare_sim_tips_remove(&to[i]->dependencies, from[i]))
            result = CUDA_ERROR_INVALID_VALUE;
    }
    return result;
}

CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                size_t count) {
    return edit(graph, from, to, count, true);
}

/* Edges that launch a kernel early have no meaning here: every edge is a full dependency. */
CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                   const CUgraphEdgeData *edges, size_t count) {
    (void)edges;
    return edit(graph, from, to, count, true);
}

CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                   size_t count) {
    return edit(graph, from, to, count, false);
}

CUresult cuGraphRemoveDependencies_v2(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                      const CUgraphEdgeData *edges, size_t count) {
    (void)edges;
    return edit(graph, from, to, count, false);
}
