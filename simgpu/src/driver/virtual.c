/* Virtual memory management: device memory apart from the addresses that show it. Memory is a
 * memfd, and a mapping of it has the rights that cuMemSetAccess gave it. */
#include <sys/mman.h>

#include "backing.h"

enum { ACCESS_NONE = 0, ACCESS_READ = 1, ACCESS_READ_WRITE = 3 };

static bool is_granular(size_t bytes) {
    return bytes && bytes % SIM_HEAP_CHUNK == 0;
}

CUresult cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *properties,
                                       int option) {
    if (!granularity || !properties || option < 0 || option > 1)
        return CUDA_ERROR_INVALID_VALUE;
    *granularity = SIM_HEAP_CHUNK;
    return CUDA_SUCCESS;
}

CUresult cuMemAddressReserve(CUdeviceptr *pointer, size_t bytes, size_t alignment,
                             CUdeviceptr wanted, unsigned long long flags) {
    CUresult result = gshare_sim_ready();

    (void)wanted;
    if (result)
        return result;
    if (!pointer || !is_granular(bytes) || alignment > SIM_HEAP_CHUNK || flags)
        return CUDA_ERROR_INVALID_VALUE;
    size_t room = bytes + SIM_HEAP_CHUNK;
    char *range = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;
    size_t skip = (SIM_HEAP_CHUNK - (uintptr_t)range % SIM_HEAP_CHUNK) % SIM_HEAP_CHUNK;
    if (skip)
        munmap(range, skip);
    munmap(range + skip + bytes, SIM_HEAP_CHUNK - skip);
    *pointer = (CUdeviceptr)(range + skip);
    return CUDA_SUCCESS;
}

CUresult cuMemAddressFree(CUdeviceptr pointer, size_t bytes) {
    struct sim_mapping mapping;

    if (!is_granular(bytes) || gshare_sim_mapping_within(pointer, bytes, &mapping))
        return CUDA_ERROR_INVALID_VALUE;
    return munmap((void *)pointer, bytes) == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
                     const CUmemAllocationProp *properties, unsigned long long flags) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);

    if (result)
        return result;
    if (!handle || !properties || flags || !is_granular(bytes) ||
        properties->type != SIM_TYPE_PINNED || properties->location.type != SIM_LOCATION_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    struct sim_board *board = gshare_sim_board(properties->location.id);
    if (!board || board->gpu.client == SIM_NONE)
        return CUDA_ERROR_INVALID_DEVICE;
    if (gshare_sim_charge(&board->gpu, bytes) != 0)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct sim_backing *backing =
        gshare_sim_backing_make(board, bytes, gshare_sim_file_make(board, bytes));
    if (!backing) {
        gshare_sim_refund(&board->gpu, bytes);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    backing->properties = *properties;
    *handle = (CUmemGenericAllocationHandle)backing;
    return CUDA_SUCCESS;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    gshare_sim_backing_release(sim_backing_of(handle));
    return CUDA_SUCCESS;
}

/* What was mapped there goes; the addresses stay reserved. */
static void clear_range(CUdeviceptr pointer, size_t bytes) {
    mmap((void *)pointer, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
         -1, 0);
}

/* Nobody may read or write there before cuMemSetAccess. */
CUresult cuMemMap(CUdeviceptr pointer, size_t bytes, size_t offset,
                  CUmemGenericAllocationHandle handle, unsigned long long flags) {
    struct sim_backing *backing = sim_backing_of(handle);
    struct sim_mapping mapping;

    if (!backing || flags || offset || !is_granular(bytes) || bytes > backing->bytes ||
        pointer % SIM_HEAP_CHUNK)
        return CUDA_ERROR_INVALID_VALUE;
    if (gshare_sim_mapping_within(pointer, bytes, &mapping))
        return CUDA_ERROR_ALREADY_MAPPED;
    if (mmap((void *)pointer, bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, backing->fd, 0) ==
        MAP_FAILED)
        return CUDA_ERROR_OPERATING_SYSTEM;
    backing->references++;
    CUresult result = gshare_sim_add_mapping((struct sim_mapping){
        .board = backing->board, .backing = backing, .base = pointer, .bytes = bytes});
    if (result) {
        clear_range(pointer, bytes);
        gshare_sim_backing_release(backing);
    }
    return result;
}

/* Whether mappings, each of them whole, fill a range. */
static bool is_filled(CUdeviceptr pointer, size_t bytes) {
    struct sim_mapping mapping = {0};

    for (size_t done = 0; done < bytes; done += mapping.bytes)
        if (!gshare_sim_mapping_at(pointer + done, &mapping) || !mapping.backing ||
            mapping.base != pointer + done || mapping.bytes > bytes - done)
            return false;
    return bytes > 0;
}

CUresult cuMemUnmap(CUdeviceptr pointer, size_t bytes) {
    struct sim_mapping mapping = {0};

    if (!is_filled(pointer, bytes))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t done = 0; done < bytes; done += mapping.bytes) {
        CUresult result = gshare_sim_remove_mapping(pointer + done, &mapping);
        if (result)
            return result;
        clear_range(mapping.base, mapping.bytes);
        gshare_sim_backing_release(mapping.backing);
    }
    return CUDA_SUCCESS;
}

/* What the descriptions give the device that the memory lies on; -1: nothing that can be. */
static int rights_in(const struct sim_backing *backing, const CUmemAccessDesc *accesses,
                     size_t count) {
    int rights = -1;

    for (size_t i = 0; i < count; i++) {
        const CUmemLocation *place = &accesses[i].location;
        if (place->type != SIM_LOCATION_DEVICE || place->id != backing->properties.location.id)
            return -1; /* the host, or a peer */
        rights = accesses[i].flags == ACCESS_READ_WRITE ? PROT_READ | PROT_WRITE
                 : accesses[i].flags == ACCESS_READ     ? PROT_READ
                 : accesses[i].flags == ACCESS_NONE     ? PROT_NONE
                                                        : -1;
    }
    return rights;
}

/* Memory whose descriptor was sealed against writing before it was mapped can only be read. */
CUresult cuMemSetAccess(CUdeviceptr pointer, size_t bytes, const CUmemAccessDesc *accesses,
                        size_t count) {
    struct sim_mapping mapping = {0};

    if (!accesses || !is_filled(pointer, bytes))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t done = 0; done < bytes; done += mapping.bytes) {
        gshare_sim_mapping_at(pointer + done, &mapping);
        int rights = rights_in(mapping.backing, accesses, count);
        if (rights < 0)
            return CUDA_ERROR_INVALID_VALUE;
        if (mprotect((void *)mapping.base, mapping.bytes, rights) != 0)
            return CUDA_ERROR_NOT_PERMITTED;
        gshare_sim_set_rights(mapping.base, rights);
    }
    return CUDA_SUCCESS;
}

CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location,
                        CUdeviceptr pointer) {
    struct sim_mapping mapping;

    if (!flags || !location || !gshare_sim_mapping_at(pointer, &mapping) || !mapping.backing)
        return CUDA_ERROR_INVALID_VALUE;
    bool is_own = location->type == SIM_LOCATION_DEVICE &&
                  location->id == mapping.backing->properties.location.id;
    *flags = !is_own || mapping.rights == PROT_NONE ? ACCESS_NONE
             : mapping.rights == PROT_READ          ? ACCESS_READ
                                                    : ACCESS_READ_WRITE;
    return CUDA_SUCCESS;
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *properties,
                                                CUmemGenericAllocationHandle handle) {
    if (!properties || !handle)
        return CUDA_ERROR_INVALID_VALUE;
    *properties = sim_backing_of(handle)->properties;
    return CUDA_SUCCESS;
}
