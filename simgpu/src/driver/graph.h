/* Graphs. A graph is what the client edits; an executable graph is a list of steps made of a copy.
 * As in CUDA, a graph is not for two threads at once. */
#ifndef GSHARE_SIMGPU_GRAPH_H
#define GSHARE_SIMGPU_GRAPH_H

#include "driver.h"

/* CUgraphNode */
struct sim_node {
    struct sim_graph *graph;
    struct sim_node *next;     /* in the order in which they were added */
    struct sim_node *original; /* which it was cloned from, to be compared only */
    struct sim_context *context;
    CUgraphNodeParams parameters; /* owns a child graph */
    struct sim_tips dependencies;
    bool is_cooperative;
    uint32_t mark; /* scratch: a step's number while a graph is made executable; a visit */
};

/* CUgraph */
struct sim_graph {
    struct sim_node *first;
    struct sim_node **last;
    size_t count;
    struct sim_graph *original; /* which it was cloned from, to be compared only */
};

/* One node of an executable graph. It runs on a lane, behind what was put there before it; what it
 * depends on on other lanes it waits for. */
struct sim_step {
    struct sim_node *node; /* of the executable graph's copy */
    uint32_t *after;       /* steps that it depends on */
    uint32_t after_count;
    uint32_t lane; /* 0: the stream that the graph is launched into */
    bool is_off;
    uint64_t position; /* scratch of a launch: in its lane */
};

/* CUgraphExec */
struct sim_exec {
    struct sim_graph *graph; /* its own copy; nodes' originals are the client's */
    struct sim_step *steps;  /* each behind all that it depends on */
    uint32_t count;
    uint32_t room;
    uint32_t lane_count;
    uint64_t flags;
    bool has_run; /* the last launch ends at `end` of `end_stream` on `board` */
    struct sim_board *board;
    uint32_t end_stream;
    uint64_t end;
};

/* tips.c */
CUresult gshare_sim_tips_set(struct sim_tips *tips, struct sim_node *const *nodes, size_t count);
CUresult gshare_sim_tips_add(struct sim_tips *tips, struct sim_node *node); /* if not there */
bool gshare_sim_tips_remove(struct sim_tips *tips, const struct sim_node *node);

/* graph.c */
struct sim_graph *gshare_sim_graph_make(void); /* NULL: out of memory */
void gshare_sim_graph_free(struct sim_graph *graph);
CUresult gshare_sim_graph_clone(const struct sim_graph *graph, struct sim_graph **clone);
/* Adds a node with checked parameters. A child graph is cloned. */
CUresult gshare_sim_add_node(struct sim_graph *graph, const struct sim_tips *dependencies,
                             const CUgraphNodeParams *parameters, struct sim_context *context,
                             struct sim_node **node);

/* graph_check.c: whether a node can have these parameters. */
CUresult gshare_sim_check_node(struct sim_context *context, const CUgraphNodeParams *parameters,
                               bool is_cooperative);
struct sim_grid gshare_sim_node_grid(const CUDA_KERNEL_NODE_PARAMS *kernel);
CUfunction gshare_sim_node_function(const CUDA_KERNEL_NODE_PARAMS *kernel);

/* graph_exec.c */
struct sim_step *gshare_sim_step_of(struct sim_exec *exec, const struct sim_node *node);

/* graph_play.c */
void gshare_sim_end_lanes(struct sim_queue *queue);

/* graph_memory.c: what allocation nodes hold. Addresses live as long as a node or a use of them. */
CUresult gshare_sim_graph_reserve(struct sim_board *board, size_t bytes, CUdeviceptr *pointer);
void gshare_sim_graph_retain(CUdeviceptr pointer);
void gshare_sim_graph_unreserve(CUdeviceptr pointer);
CUresult gshare_sim_graph_allocate(CUdeviceptr pointer, bool is_again);
CUresult gshare_sim_graph_release(CUdeviceptr pointer); /* CUDA_ERROR_INVALID_VALUE: not held */

#endif
