/* Faults as NVML tells them: event sets, of which the simulated GPU knows XIDs alone. A fault is
 * reported by the control (gshare_simgpu_report_xid); a set sees those after its registration. */
#include <stdlib.h>

#include "nvml.h"

enum { XID_EVENT = 0x8, POLL_NS = 10000000 };

struct sim_event_set {
    nvmlDevice_t gpus[SIM_MAX_GPUS];
    uint64_t seen[SIM_MAX_GPUS]; /* of the GPU's `xid_count` */
    unsigned int count;
};

nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t gpu, unsigned long long *types) {
    nvmlReturn_t result = gshare_sim_check(gpu, types);

    if (!result)
        *types = XID_EVENT;
    return result;
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set) {
    *set = calloc(1, sizeof **set);
    return *set ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) {
    free(set);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t gpu, unsigned long long types,
                                      nvmlEventSet_t set) {
    nvmlReturn_t result = gshare_sim_answers(gpu, set);

    if (result)
        return result;
    if (types & ~(unsigned long long)XID_EVENT)
        return NVML_ERROR_NOT_SUPPORTED;
    if (set->count == SIM_MAX_GPUS)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    set->seen[set->count] = gpu->state->xid_count;
    set->gpus[set->count++] = gpu;
    return NVML_SUCCESS;
}

/* The next fault that the set has not seen; one that was pushed out by newer ones is passed over.
 */
static bool next_fault(nvmlEventSet_t set, nvmlEventData_t *event) {
    for (unsigned int i = 0; i < set->count; i++) {
        struct sim_state *state = set->gpus[i]->state;
        if (set->seen[i] == state->xid_count)
            continue;
        gshare_sim_lock(set->gpus[i]);
        if (state->xid_count - set->seen[i] > SIM_XIDS)
            set->seen[i] = state->xid_count - SIM_XIDS;
        uint32_t xid = state->xids[set->seen[i]++ % SIM_XIDS];
        gshare_sim_unlock(set->gpus[i]);
        *event = (nvmlEventData_t){.device = set->gpus[i], .type = XID_EVENT, .data = xid};
        return true;
    }
    return false;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *event,
                                 unsigned int timeout_ms) {
    uint64_t end = gshare_sim_now() + (uint64_t)timeout_ms * 1000000;

    if (!set || !event)
        return NVML_ERROR_INVALID_ARGUMENT;
    while (!next_fault(set, event)) {
        uint64_t now = gshare_sim_now();
        if (now >= end)
            return NVML_ERROR_TIMEOUT;
        gshare_sim_sleep_until(end - now < POLL_NS ? end : now + POLL_NS);
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *event, unsigned int timeout_ms) {
    return nvmlEventSetWait_v2(set, event, timeout_ms);
}
