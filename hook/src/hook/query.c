/* What a program is told of its memory by the driver.
 *
 * Memory queries answer with the lease's cap as the total and what the lease holds as used, where
 * the GPU's own figures do not bind tighter. */
#include "hook/query.h"

#include "hook/allocate.h"
#include "hook/guest.h"
#include "hook/session.h"
#include "hook/symbols.h"

static uint64_t least(uint64_t left, uint64_t right) {
    return left < right ? left : right;
}

uint64_t gshare_query_cap(void) {
    return gshare_guest_start() == GSHARE_GUEST_LEASED ? gshare_session.limits->memory_limit_bytes
                                                       : 0;
}

uint64_t gshare_query_free(uint64_t cap) {
    gshare_allocate_refresh();
    uint64_t held = gshare_session_memory_bytes();
    return held < cap ? cap - held : 0;
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    uint64_t cap = gshare_query_cap();
    CUresult result = gshare_real.cuMemGetInfo_v2(free_bytes, total_bytes);
    if (result != CUDA_SUCCESS || cap == 0)
        return result;
    *free_bytes = (size_t)least(*free_bytes, gshare_query_free(cap));
    *total_bytes = (size_t)least(*total_bytes, cap);
    return result;
}

/* Version 1 has 32 bits, and the cap may have more. */
static unsigned int narrow(unsigned int said, uint64_t most) {
    return (unsigned int)least(said, least(most, UINT32_MAX));
}

CUresult cuMemGetInfo(unsigned int *free_bytes, unsigned int *total_bytes) {
    uint64_t cap = gshare_query_cap();
    CUresult result = gshare_real.cuMemGetInfo(free_bytes, total_bytes);
    if (result != CUDA_SUCCESS || cap == 0)
        return result;
    *free_bytes = narrow(*free_bytes, gshare_query_free(cap));
    *total_bytes = narrow(*total_bytes, cap);
    return result;
}

CUresult cuDeviceTotalMem(unsigned int *bytes, CUdevice device) {
    uint64_t cap = gshare_query_cap();
    CUresult result = gshare_real.cuDeviceTotalMem(bytes, device);
    if (result == CUDA_SUCCESS && cap != 0)
        *bytes = narrow(*bytes, cap);
    return result;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    uint64_t cap = gshare_query_cap();
    CUresult result = gshare_real.cuDeviceTotalMem_v2(bytes, device);
    if (result == CUDA_SUCCESS && cap != 0)
        *bytes = (size_t)least(*bytes, cap);
    return result;
}
