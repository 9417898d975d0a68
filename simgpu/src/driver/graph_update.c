/* Giving an executable graph the parameters of another graph of the same shape; and what else may
 * be asked of nodes and graphs as they stand. */
#include <stdio.h>
#include <string.h>

#include "graph.h"

/* CUgraphExecUpdateResult */
enum { UPDATED = 0, TOPOLOGY_CHANGED = 2, TYPE_CHANGED = 3, NOT_SUPPORTED = 6 };
/* CUlaunchAttributeID */
enum { ATTRIBUTE_COOPERATIVE = 2, ATTRIBUTES = 32, ATTRIBUTE_BYTES = 64 };

static void number(struct sim_graph *graph) {
    uint32_t next = 0;

    for (struct sim_node *node = graph->first; node; node = node->next)
        node->mark = next++;
}

static int compare(const struct sim_node *own, const struct sim_node *other) {
    if (own->parameters.type != other->parameters.type)
        return TYPE_CHANGED;
    if (own->dependencies.count != other->dependencies.count)
        return TOPOLOGY_CHANGED;
    for (size_t i = 0; i < own->dependencies.count; i++)
        if (own->dependencies.nodes[i]->mark != other->dependencies.nodes[i]->mark)
            return TOPOLOGY_CHANGED;
    return own->parameters.type == NODE_ALLOCATE || own->parameters.type == NODE_FREE
               ? NOT_SUPPORTED
               : UPDATED;
}

/* Compares graphs, down to their child graphs; the first node that differs is told. */
static int compare_all(struct sim_graph *own, struct sim_graph *other,
                       CUgraphExecUpdateResultInfo *info) {
    number(own);
    number(other);
    struct sim_node *twin = other->first;
    for (struct sim_node *node = own->first; node; node = node->next, twin = twin->next) {
        info->result = twin ? compare(node, twin) : TOPOLOGY_CHANGED;
        if (info->result == UPDATED && node->parameters.type == NODE_GRAPH)
            info->result =
                compare_all(node->parameters.child.graph, twin->parameters.child.graph, info);
        if (info->result != UPDATED) {
            info->error_node = twin;
            return info->result;
        }
    }
    info->result = twin ? TOPOLOGY_CHANGED : UPDATED;
    return info->result;
}

static void take_over(struct sim_graph *own, const struct sim_graph *other) {
    const struct sim_node *twin = other->first;

    for (struct sim_node *node = own->first; node; node = node->next, twin = twin->next) {
        if (node->parameters.type == NODE_GRAPH)
            take_over(node->parameters.child.graph, twin->parameters.child.graph);
        else
            node->parameters = twin->parameters;
        node->is_cooperative = twin->is_cooperative;
    }
}

CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info) {
    if (!exec || !graph || !info)
        return CUDA_ERROR_INVALID_VALUE;
    *info = (CUgraphExecUpdateResultInfo){0};
    if (compare_all(exec->graph, graph, info) != UPDATED)
        return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    take_over(exec->graph, graph);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *error_node, int *outcome) {
    CUgraphExecUpdateResultInfo info;
    CUresult result = cuGraphExecUpdate_v2(exec, graph, &info);

    if (result != CUDA_ERROR_INVALID_VALUE && error_node && outcome) {
        *error_node = info.error_node;
        *outcome = info.result;
    }
    return result;
}

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child) {
    struct sim_step *step = exec && node ? gshare_sim_step_of(exec, node) : NULL;
    CUgraphExecUpdateResultInfo info = {0};

    if (!step || !child || step->node->parameters.type != NODE_GRAPH)
        return CUDA_ERROR_INVALID_VALUE;
    if (compare_all(step->node->parameters.child.graph, child, &info) != UPDATED)
        return CUDA_ERROR_INVALID_VALUE;
    take_over(step->node->parameters.child.graph, child);
    return CUDA_SUCCESS;
}

static bool has_attribute(CUgraphNode node, int attribute, const void *value) {
    return node && value && node->parameters.type == NODE_KERNEL && attribute >= 0 &&
           attribute < ATTRIBUTES;
}

/* Only whether a kernel is cooperative means something here; the others are taken and read as 0. */
CUresult cuGraphKernelNodeSetAttribute(CUgraphNode node, int attribute, const void *value) {
    if (!has_attribute(node, attribute, value))
        return CUDA_ERROR_INVALID_VALUE;
    if (attribute != ATTRIBUTE_COOPERATIVE)
        return CUDA_SUCCESS;
    bool is_cooperative = *(const int *)value != 0;
    CUresult result = gshare_sim_check_node(node->context, &node->parameters, is_cooperative);
    if (!result)
        node->is_cooperative = is_cooperative;
    return result;
}

CUresult cuGraphKernelNodeGetAttribute(CUgraphNode node, int attribute, void *value) {
    if (!has_attribute(node, attribute, value))
        return CUDA_ERROR_INVALID_VALUE;
    memset(value, 0, ATTRIBUTE_BYTES);
    if (attribute == ATTRIBUTE_COOPERATIVE)
        *(int *)value = node->is_cooperative;
    return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode target, CUgraphNode source) {
    if (!has_attribute(target, 0, target) || !has_attribute(source, 0, source))
        return CUDA_ERROR_INVALID_VALUE;
    target->is_cooperative = source->is_cooperative;
    return CUDA_SUCCESS;
}

CUresult cuGraphDebugDotPrint(CUgraph graph, const char *path, unsigned int flags) {
    FILE *file = graph && path ? fopen(path, "we") : NULL;

    (void)flags;
    if (!file)
        return graph && path ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_ERROR_INVALID_VALUE;
    number(graph);
    fputs("digraph graph_1 {\n", file);
    for (struct sim_node *node = graph->first; node; node = node->next) {
        fprintf(file, "  n%u [label=\"type %d\"];\n", node->mark, node->parameters.type);
        for (size_t i = 0; i < node->dependencies.count; i++)
            fprintf(file, "  n%u -> n%u;\n", node->dependencies.nodes[i]->mark, node->mark);
    }
    fputs("}\n", file);
    return fclose(file) == 0 ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}
