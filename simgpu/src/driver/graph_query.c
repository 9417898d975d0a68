/* Questions about graphs. Lists are answered as CUDA does: without room, with their length; in room
 * beyond it stands NULL, and the length is told. */
#include "graph.h"

/* A list that fills the caller's room as it is counted. */
struct list {
    CUgraphNode *room;
    CUgraphNode *second; /* the other ends, of edges; NULL otherwise */
    size_t size;
    size_t count;
};

static struct list list_in(CUgraphNode *room, CUgraphNode *second, const size_t *size) {
    return (struct list){.room = room, .second = second, .size = room ? *size : 0};
}

static void put(struct list *list, CUgraphNode node, CUgraphNode second) {
    if (list->count < list->size) {
        list->room[list->count] = node;
        if (list->second)
            list->second[list->count] = second;
    }
    list->count++;
}

static CUresult finish(struct list *list, CUgraphEdgeData *edges, size_t *size) {
    for (size_t i = list->count; i < list->size; i++) {
        list->room[i] = NULL;
        if (list->second)
            list->second[i] = NULL;
    }
    for (size_t i = 0; edges && i < list->size; i++)
        edges[i] = (CUgraphEdgeData){0};
    *size = list->room && list->count > list->size ? list->size : list->count;
    return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetType(CUgraphNode node, int *type) {
    if (!node || !type)
        return CUDA_ERROR_INVALID_VALUE;
    *type = node->parameters.type;
    return CUDA_SUCCESS;
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count) {
    if (!graph || !count)
        return CUDA_ERROR_INVALID_VALUE;
    struct list list = list_in(nodes, NULL, count);
    for (struct sim_node *node = graph->first; node; node = node->next)
        put(&list, node, NULL);
    return finish(&list, NULL, count);
}

CUresult cuGraphGetRootNodes(CUgraph graph, CUgraphNode *nodes, size_t *count) {
    if (!graph || !count)
        return CUDA_ERROR_INVALID_VALUE;
    struct list list = list_in(nodes, NULL, count);
    for (struct sim_node *node = graph->first; node; node = node->next)
        if (node->dependencies.count == 0)
            put(&list, node, NULL);
    return finish(&list, NULL, count);
}

CUresult cuGraphGetEdges_v2(CUgraph graph, CUgraphNode *from, CUgraphNode *to,
                            CUgraphEdgeData *edges, size_t *count) {
    if (!graph || !count || !from != !to)
        return CUDA_ERROR_INVALID_VALUE;
    struct list list = list_in(from, to, count);
    for (struct sim_node *node = graph->first; node; node = node->next)
        for (size_t i = 0; i < node->dependencies.count; i++)
            put(&list, node->dependencies.nodes[i], node);
    return finish(&list, edges, count);
}

CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *count) {
    return cuGraphGetEdges_v2(graph, from, to, NULL, count);
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode node, CUgraphNode *nodes, CUgraphEdgeData *edges,
                                       size_t *count) {
    if (!node || !count)
        return CUDA_ERROR_INVALID_VALUE;
    struct list list = list_in(nodes, NULL, count);
    for (size_t i = 0; i < node->dependencies.count; i++)
        put(&list, node->dependencies.nodes[i], NULL);
    return finish(&list, edges, count);
}

CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode *nodes, size_t *count) {
    return cuGraphNodeGetDependencies_v2(node, nodes, NULL, count);
}

CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode node, CUgraphNode *nodes,
                                         CUgraphEdgeData *edges, size_t *count) {
    if (!node || !count)
        return CUDA_ERROR_INVALID_VALUE;
    struct list list = list_in(nodes, NULL, count);
    for (struct sim_node *other = node->graph->first; other; other = other->next)
        for (size_t i = 0; i < other->dependencies.count; i++)
            if (other->dependencies.nodes[i] == node)
                put(&list, other, NULL);
    return finish(&list, edges, count);
}

CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode *nodes, size_t *count) {
    return cuGraphNodeGetDependentNodes_v2(node, nodes, NULL, count);
}
