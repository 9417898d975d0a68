/* Address ranges that show memory of a file: found like allocations, so that copies work on them.
 */
#include <stdlib.h>

#include "driver.h"

/* All mappings of the process; under mapping_lock. */
static struct sim_mapping *mappings;
static pthread_mutex_t mapping_lock = PTHREAD_MUTEX_INITIALIZER;

/* Lock held. The first mapping that shows any of a range. */
static struct sim_mapping *within(CUdeviceptr pointer, size_t bytes) {
    struct sim_mapping *mapping = mappings;

    while (mapping &&
           (pointer + bytes <= mapping->base || pointer >= mapping->base + mapping->bytes))
        mapping = mapping->next;
    return mapping;
}

bool gshare_sim_mapping_within(CUdeviceptr pointer, size_t bytes, struct sim_mapping *found) {
    pthread_mutex_lock(&mapping_lock);
    const struct sim_mapping *mapping = within(pointer, bytes);
    if (mapping)
        *found = *mapping;
    pthread_mutex_unlock(&mapping_lock);
    return mapping;
}

bool gshare_sim_mapping_at(CUdeviceptr pointer, struct sim_mapping *found) {
    return gshare_sim_mapping_within(pointer, 1, found);
}

bool gshare_sim_allows(CUdeviceptr pointer, int rights) {
    struct sim_mapping mapping;
    return !gshare_sim_mapping_at(pointer, &mapping) || (mapping.rights & rights) == rights;
}

void gshare_sim_set_rights(CUdeviceptr base, int rights) {
    pthread_mutex_lock(&mapping_lock);
    struct sim_mapping *mapping = within(base, 1);
    if (mapping)
        mapping->rights = rights;
    pthread_mutex_unlock(&mapping_lock);
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
