/* Sets of nodes that something depends on. */
#include <stdlib.h>
#include <string.h>

#include "graph.h"

CUresult gshare_sim_tips_set(struct sim_tips *tips, struct sim_node *const *nodes, size_t count) {
    struct sim_node **copy = count ? malloc(count * sizeof *copy) : NULL;

    if (count && !copy)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (count)
        memcpy(copy, nodes, count * sizeof *copy);
    free(tips->nodes);
    *tips = (struct sim_tips){copy, count};
    return CUDA_SUCCESS;
}

CUresult gshare_sim_tips_add(struct sim_tips *tips, struct sim_node *node) {
    for (size_t i = 0; i < tips->count; i++)
        if (tips->nodes[i] == node)
            return CUDA_SUCCESS;
    struct sim_node **grown = realloc(tips->nodes, (tips->count + 1) * sizeof *grown);
    if (!grown)
        return CUDA_ERROR_OUT_OF_MEMORY;
    grown[tips->count] = node;
    *tips = (struct sim_tips){grown, tips->count + 1};
    return CUDA_SUCCESS;
}

bool gshare_sim_tips_remove(struct sim_tips *tips, const struct sim_node *node) {
    for (size_t i = 0; i < tips->count; i++) {
        if (tips->nodes[i] != node)
            continue;
        tips->nodes[i] = tips->nodes[--tips->count];
        return true;
    }
    return false;
}
