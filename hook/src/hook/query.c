/* What a program is told of its memory.
 *
 * Memory queries answer with the lease's cap as the total and what the lease holds as used, where
 * the GPU's own figures do not bind tighter. */
#include <string.h>

#include "hook/allocate.h"
#include "hook/guest.h"
#include "hook/session.h"
#include "hook/symbols.h"

static uint64_t least(uint64_t left, uint64_t right) {
    return left < right ? left : right;
}

/* Returns the cap in bytes, or 0 where none is in force. */
static uint64_t cap_in_force(void) {
    return gshare_guest_start() == GSHARE_GUEST_LEASED ? gshare_session.limits->memory_limit_bytes
                                                       : 0;
}

/* What pools and graphs keep unused is asked for first: it may have become less. */
static uint64_t free_of(uint64_t cap) {
    gshare_allocate_refresh();
    uint64_t held = gshare_session_memory_bytes();
    return held < cap ? cap - held : 0;
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    uint64_t cap = cap_in_force();
    CUresult result = gshare_real.cuMemGetInfo_v2(free_bytes, total_bytes);
    if (result != CUDA_SUCCESS || cap == 0)
        return result;
    *free_bytes = (size_t)least(*free_bytes, free_of(cap));
    *total_bytes = (size_t)least(*total_bytes, cap);
    return result;
}

/* Version 1 has 32 bits, and the cap may have more. */
static unsigned int narrow(unsigned int said, uint64_t most) {
    return (unsigned int)least(said, least(most, UINT32_MAX));
}

CUresult cuMemGetInfo(unsigned int *free_bytes, unsigned int *total_bytes) {
    uint64_t cap = cap_in_force();
    CUresult result = gshare_real.cuMemGetInfo(free_bytes, total_bytes);
    if (result != CUDA_SUCCESS || cap == 0)
        return result;
    *free_bytes = narrow(*free_bytes, free_of(cap));
    *total_bytes = narrow(*total_bytes, cap);
    return result;
}

CUresult cuDeviceTotalMem(unsigned int *bytes, CUdevice device) {
    uint64_t cap = cap_in_force();
    CUresult result = gshare_real.cuDeviceTotalMem(bytes, device);
    if (result == CUDA_SUCCESS && cap != 0)
        *bytes = narrow(*bytes, cap);
    return result;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    uint64_t cap = cap_in_force();
    CUresult result = gshare_real.cuDeviceTotalMem_v2(bytes, device);
    if (result == CUDA_SUCCESS && cap != 0)
        *bytes = (size_t)least(*bytes, cap);
    return result;
}

/* NVML shows every GPU of the node; the cap is that of the lease's own. */
static bool is_leased_gpu(nvmlDevice_t device) {
    char uuid[96] = "";
    const struct gshare_nvml *nvml = gshare_symbols_nvml();
    if (!nvml->nvmlDeviceGetUUID || nvml->nvmlDeviceGetUUID(device, uuid, sizeof uuid) != 0)
        return false;
    return strncmp(uuid, gshare_session.limits->gpu_uuid, GSHARE_UUID_BYTES) == 0;
}

#define NVML_ERROR_FUNCTION_NOT_FOUND 13

int nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    uint64_t cap = cap_in_force();
    const struct gshare_nvml *nvml = gshare_symbols_nvml();
    if (!nvml->nvmlDeviceGetMemoryInfo)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    int result = nvml->nvmlDeviceGetMemoryInfo(device, memory);
    if (result != 0 || cap == 0 || !is_leased_gpu(device))
        return result;
    memory->total = least(memory->total, cap);
    memory->free = least(memory->free, free_of(cap));
    memory->used = memory->total - memory->free;
    return result;
}

int nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory) {
    uint64_t cap = cap_in_force();
    const struct gshare_nvml *nvml = gshare_symbols_nvml();
    if (!nvml->nvmlDeviceGetMemoryInfo_v2)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    int result = nvml->nvmlDeviceGetMemoryInfo_v2(device, memory);
    if (result != 0 || cap == 0 || !is_leased_gpu(device))
        return result;
    memory->total = least(memory->total, cap);
    memory->free = least(memory->free, free_of(cap));
    memory->reserved = 0; /* the driver's own share lies outside the cap */
    memory->used = memory->total - memory->free;
    return result;
}
