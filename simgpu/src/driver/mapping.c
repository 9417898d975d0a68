/* Address ranges that show memory of a file: found like allocations, so that copies work on them.
 */
#include <stdlib.h>

#include "driver.h"

/* All mappings of the process; under mapping_lock. */
static struct sim_mapping *mappings;
static pthread_mutex_t mapping_lock = PTHREAD_MUTEX_INITIALIZER;

bool gshare_sim_mapping_at(CUdeviceptr pointer, struct sim_mapping *found) {
    bool is_found = false;

    pthread_mutex_lock(&mapping_lock);
    for (struct sim_mapping *mapping = mappings; mapping && !is_found; mapping = mapping->next) {
        is_found = pointer >= mapping->base && pointer - mapping->base < mapping->bytes;
        if (is_found)
            *found = *mapping;
    }
    pthread_mutex_unlock(&mapping_lock);
    return is_found;
}

CUresult gshare_sim_add_mapping(struct sim_mapping mapping) {
    struct sim_mapping *added = malloc(sizeof *added);

    if (!added)
        return CUDA_ERROR_OUT_OF_MEMORY;
    *added = mapping;
    pthread_mutex_lock(&mapping_lock);
    added->next = mappings;
    mappings = added;
    pthread_mutex_unlock(&mapping_lock);
    return CUDA_SUCCESS;
}

CUresult gshare_sim_remove_mapping(CUdeviceptr base, struct sim_mapping *removed) {
    pthread_mutex_lock(&mapping_lock);
    struct sim_mapping **link = &mappings;
    while (*link && (*link)->base != base)
        link = &(*link)->next;
    struct sim_mapping *found = *link;
    if (found) {
        *link = found->next;
        *removed = *found;
    }
    pthread_mutex_unlock(&mapping_lock);
    free(found);
    return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
