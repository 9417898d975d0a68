/* What a program is told of its memory by NVML: the cap instead of the whole GPU, and the lease's
 * processes, with what the account says of them, instead of all that use the GPU. */
#include <stdatomic.h>
#include <string.h>

#include "hook/guest.h"
#include "hook/query.h"
#include "hook/session.h"
#include "hook/symbols.h"

static uint64_t least(uint64_t left, uint64_t right) {
    return left < right ? left : right;
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
    uint64_t cap = gshare_query_cap();
    const struct gshare_nvml *nvml = gshare_symbols_nvml();
    if (!nvml->nvmlDeviceGetMemoryInfo)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    int result = nvml->nvmlDeviceGetMemoryInfo(device, memory);
    if (result != 0 || cap == 0 || !is_leased_gpu(device))
        return result;
    memory->total = least(memory->total, cap);
    memory->free = least(memory->free, gshare_query_free(cap));
    memory->used = memory->total - memory->free;
    return result;
}

int nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory) {
    uint64_t cap = gshare_query_cap();
    const struct gshare_nvml *nvml = gshare_symbols_nvml();
    if (!nvml->nvmlDeviceGetMemoryInfo_v2)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    int result = nvml->nvmlDeviceGetMemoryInfo_v2(device, memory);
    if (result != 0 || cap == 0 || !is_leased_gpu(device))
        return result;
    memory->total = least(memory->total, cap);
    memory->free = least(memory->free, gshare_query_free(cap));
    memory->reserved = 0; /* the driver's own share lies outside the cap */
    memory->used = memory->total - memory->free;
    return result;
}

/* Returns what a process of the lease holds, or false where it is none. */
static bool holds(unsigned int pid, uint64_t *bytes) {
    const struct gshare_counters *counters = gshare_session.counters;
    uint32_t count = atomic_load(&counters->slot_high_water);
    for (uint32_t i = 0; i < count && i < GSHARE_MAX_SLOTS; i++) {
        const struct gshare_slot *slot = &counters->slots[i];
        if (atomic_load(&slot->pid) != pid)
            continue;
        *bytes = atomic_load(&slot->memory_bytes);
        return true;
    }
    return false;
}

/* Keeps the lease's own entries of a list, whose entries begin as nvmlProcessInfo_v1_t does. */
static void keep_own(char *entries, size_t entry_bytes, unsigned int *count) {
    unsigned int kept = 0;
    for (unsigned int i = 0; i < *count; i++) {
        nvmlProcessInfo_v1_t head;
        char *entry = entries + i * entry_bytes;
        uint64_t bytes = 0;
        memcpy(&head, entry, sizeof head);
        if (!holds(head.pid, &bytes))
            continue;
        head.usedGpuMemory = bytes;
        memmove(entries + kept * entry_bytes, entry, entry_bytes);
        memcpy(entries + kept * entry_bytes, &head, sizeof head);
        kept++;
    }
    *count = kept;
}

#define LIST(symbol, type)                                                                         \
    int symbol(nvmlDevice_t device, unsigned int *count, void *entries) {                          \
        const struct gshare_nvml *nvml = gshare_symbols_nvml();                                    \
        bool leased = gshare_guest_start() == GSHARE_GUEST_LEASED && is_leased_gpu(device);        \
        if (!nvml->symbol)                                                                         \
            return NVML_ERROR_FUNCTION_NOT_FOUND;                                                  \
        int result = nvml->symbol(device, count, entries);                                         \
        if (result == 0 && leased && entries)                                                      \
            keep_own(entries, sizeof(type), count);                                                \
        return result;                                                                             \
    }

LIST(nvmlDeviceGetComputeRunningProcesses, nvmlProcessInfo_v1_t)
LIST(nvmlDeviceGetComputeRunningProcesses_v2, nvmlProcessInfo_v2_t)
LIST(nvmlDeviceGetComputeRunningProcesses_v3, nvmlProcessInfo_v2_t)
LIST(nvmlDeviceGetGraphicsRunningProcesses, nvmlProcessInfo_v1_t)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlProcessInfo_v2_t)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, nvmlProcessInfo_v2_t)
LIST(nvmlDeviceGetMPSComputeRunningProcesses, nvmlProcessInfo_v1_t)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, nvmlProcessInfo_v2_t)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, nvmlProcessInfo_v2_t)

int nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device, nvmlProcessDetailList_t *list) {
    const struct gshare_nvml *nvml = gshare_symbols_nvml();
    bool leased = gshare_guest_start() == GSHARE_GUEST_LEASED && is_leased_gpu(device);
    if (!nvml->nvmlDeviceGetRunningProcessDetailList)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    int result = nvml->nvmlDeviceGetRunningProcessDetailList(device, list);
    if (result == 0 && leased && list->entries)
        keep_own(list->entries, sizeof(nvmlProcessDetail_v1_t), &list->count);
    return result;
}
