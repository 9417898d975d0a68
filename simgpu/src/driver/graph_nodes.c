/* Making nodes, and reading and changing their parameters, one set of calls for each type. */
#include <stddef.h>
#include <string.h>

#include "graph.h"

/* Where in the union of parameters those of a type lie that its own calls speak of. */
static void *body_of(CUgraphNodeParams *parameters) {
    return parameters->type == NODE_COPY ? (void *)&parameters->copy.copy : parameters->room;
}

static CUgraphNodeParams parameters_of(int type, const void *body, size_t bytes) {
    CUgraphNodeParams parameters = {.type = type};

    if (bytes)
        memcpy(body_of(&parameters), body, bytes);
    return parameters;
}

static CUresult add(CUgraphNode *node, CUgraph graph, struct sim_tips after, CUcontext context,
                    CUgraphNodeParams *parameters) {
    CUresult result = context ? gshare_sim_ready() : gshare_sim_current(&context);

    if (result)
        return result;
    if (!node || !graph || (after.count && !after.nodes))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < after.count; i++)
        if (!after.nodes[i] || after.nodes[i]->graph != graph)
            return CUDA_ERROR_INVALID_VALUE;
    result = gshare_sim_check_node(context, parameters, false);
    if (result || parameters->type != NODE_ALLOCATE)
        return result ? result : gshare_sim_add_node(graph, &after, parameters, context, node);
    CUDA_MEM_ALLOC_NODE_PARAMS *allocation = &parameters->allocation;
    struct sim_board *board = gshare_sim_board(allocation->pool.location.id);
    result = board ? gshare_sim_graph_reserve(board, allocation->bytes, &allocation->pointer)
                   : CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    result = gshare_sim_add_node(graph, &after, parameters, context, node);
    gshare_sim_graph_unreserve(allocation->pointer); /* the node has its own hold */
    return result;
}

#define NODES const CUgraphNode *after, size_t count
#define AFTER ((struct sim_tips){(CUgraphNode *)after, count})

static CUresult add_body(CUgraphNode *node, CUgraph graph, struct sim_tips after, CUcontext context,
                         CUgraphNodeParams parameters) {
    return add(node, graph, after, context, &parameters);
}

static CUresult get(CUgraphNode node, int type, void *body, size_t bytes) {
    if (!node || !body || node->parameters.type != type)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(body, body_of(&node->parameters), bytes);
    return CUDA_SUCCESS;
}

static CUresult set(CUgraphNode node, int type, const void *body, size_t bytes) {
    if (!node || !body || node->parameters.type != type)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams parameters = parameters_of(type, body, bytes);
    CUresult result = gshare_sim_check_node(node->context, &parameters, node->is_cooperative);
    if (!result)
        node->parameters = parameters;
    return result;
}

static CUgraphNode in_exec(CUgraphExec exec, CUgraphNode node) {
    struct sim_step *step = exec && node ? gshare_sim_step_of(exec, node) : NULL;
    return step ? step->node : NULL;
}

/* Types whose parameters are a struct. */
#define STRUCT(Name, version, node_type, parameters_type, bytes)                                   \
    CUresult cuGraphAdd##Name##Node##version(CUgraphNode *node, CUgraph graph, NODES,              \
                                             const parameters_type *parameters) {                  \
        return parameters ? add_body(node, graph, AFTER, NULL,                                     \
                                     parameters_of(node_type, parameters, bytes))                  \
                          : CUDA_ERROR_INVALID_VALUE;                                              \
    }                                                                                              \
    ACCESS(Name, version, node_type, parameters_type, bytes)                                       \
    CUresult cuGraphExec##Name##NodeSetParams##version(CUgraphExec exec, CUgraphNode node,         \
                                                       const parameters_type *parameters) {        \
        return set(in_exec(exec, node), node_type, parameters, bytes);                             \
    }
/* Those of which the context is a parameter apart. */
#define WITH_CONTEXT(Name, node_type, parameters_type, bytes)                                      \
    CUresult cuGraphAdd##Name##Node(CUgraphNode *node, CUgraph graph, NODES,                       \
                                    const parameters_type *parameters, CUcontext context) {        \
        return parameters ? add_body(node, graph, AFTER, context,                                  \
                                     parameters_of(node_type, parameters, bytes))                  \
                          : CUDA_ERROR_INVALID_VALUE;                                              \
    }                                                                                              \
    ACCESS(Name, , node_type, parameters_type, bytes)                                              \
    CUresult cuGraphExec##Name##NodeSetParams(CUgraphExec exec, CUgraphNode node,                  \
                                              const parameters_type *parameters,                   \
                                              CUcontext context) {                                 \
        (void)context;                                                                             \
        return set(in_exec(exec, node), node_type, parameters, bytes);                             \
    }
#define ACCESS(Name, version, node_type, parameters_type, bytes)                                   \
    CUresult cuGraph##Name##NodeGetParams##version(CUgraphNode node,                               \
                                                   parameters_type *parameters) {                  \
        return get(node, node_type, parameters, bytes);                                            \
    }                                                                                              \
    CUresult cuGraph##Name##NodeSetParams##version(CUgraphNode node,                               \
                                                   const parameters_type *parameters) {            \
        return set(node, node_type, parameters, bytes);                                            \
    }
#define EVENT(Name, node_type)                                                                     \
    CUresult cuGraphAdd##Name##Node(CUgraphNode *node, CUgraph graph, NODES, CUevent event) {      \
        return add_body(node, graph, AFTER, NULL, parameters_of(node_type, &event, sizeof event)); \
    }                                                                                              \
    CUresult cuGraph##Name##NodeGetEvent(CUgraphNode node, CUevent *event) {                       \
        return get(node, node_type, event, sizeof *event);                                         \
    }                                                                                              \
    CUresult cuGraph##Name##NodeSetEvent(CUgraphNode node, CUevent event) {                        \
        return set(node, node_type, &event, sizeof event);                                         \
    }                                                                                              \
    CUresult cuGraphExec##Name##NodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event) {  \
        return set(in_exec(exec, node), node_type, &event, sizeof event);                          \
    }

STRUCT(Kernel, , NODE_KERNEL, CUDA_KERNEL_NODE_PARAMS, offsetof(CUDA_KERNEL_NODE_PARAMS, kernel))
STRUCT(Kernel, _v2, NODE_KERNEL, CUDA_KERNEL_NODE_PARAMS, sizeof(CUDA_KERNEL_NODE_PARAMS))
STRUCT(Host, , NODE_HOST, CUDA_HOST_NODE_PARAMS, sizeof(CUDA_HOST_NODE_PARAMS))
WITH_CONTEXT(Memcpy, NODE_COPY, CUDA_MEMCPY3D, sizeof(CUDA_MEMCPY3D))
WITH_CONTEXT(Memset, NODE_FILL, CUDA_MEMSET_NODE_PARAMS, offsetof(CUDA_MEMSET_NODE_PARAMS, context))
EVENT(EventRecord, NODE_EVENT_RECORD)
EVENT(EventWait, NODE_EVENT_WAIT)

CUresult cuGraphAddEmptyNode(CUgraphNode *node, CUgraph graph, NODES) {
    return add_body(node, graph, AFTER, NULL, (CUgraphNodeParams){.type = NODE_EMPTY});
}

CUresult cuGraphAddChildGraphNode(CUgraphNode *node, CUgraph graph, NODES, CUgraph child) {
    return add_body(node, graph, AFTER, NULL,
                    (CUgraphNodeParams){.type = NODE_GRAPH, .child = {.graph = child}});
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode node, CUgraph *graph) {
    return get(node, NODE_GRAPH, graph, sizeof(CUgraph));
}

CUresult cuGraphAddMemAllocNode(CUgraphNode *node, CUgraph graph, NODES,
                                CUDA_MEM_ALLOC_NODE_PARAMS *parameters) {
    if (!parameters)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNodeParams made = parameters_of(NODE_ALLOCATE, parameters, sizeof *parameters);
    CUresult result = add(node, graph, AFTER, NULL, &made);
    parameters->pointer = made.allocation.pointer;
    return result;
}

CUresult cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *parameters) {
    return get(node, NODE_ALLOCATE, parameters, sizeof *parameters);
}

CUresult cuGraphAddMemFreeNode(CUgraphNode *node, CUgraph graph, NODES, CUdeviceptr pointer) {
    return add_body(node, graph, AFTER, NULL,
                    (CUgraphNodeParams){.type = NODE_FREE, .freed = pointer});
}

CUresult cuGraphMemFreeNodeGetParams(CUgraphNode node, CUdeviceptr *pointer) {
    return get(node, NODE_FREE, pointer, sizeof *pointer);
}

CUresult cuGraphAddNode(CUgraphNode *node, CUgraph graph, NODES, CUgraphNodeParams *parameters) {
    return parameters ? add(node, graph, AFTER, NULL, parameters) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphAddNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *after,
                           const CUgraphEdgeData *edges, size_t count,
                           CUgraphNodeParams *parameters) {
    (void)edges;
    return cuGraphAddNode(node, graph, after, count, parameters);
}

static CUresult set_any(CUgraphNode node, CUgraphNodeParams *parameters) {
    bool is_owner =
        parameters && (parameters->type == NODE_GRAPH || parameters->type == NODE_ALLOCATE);

    if (!parameters || is_owner)
        return parameters ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
    size_t bytes = parameters->type == NODE_COPY ? sizeof(CUDA_MEMCPY3D) : sizeof parameters->room;
    return set(node, parameters->type, body_of(parameters), bytes);
}

CUresult cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams *parameters) {
    return set_any(node, parameters);
}

CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                  CUgraphNodeParams *parameters) {
    return set_any(in_exec(exec, node), parameters);
}
