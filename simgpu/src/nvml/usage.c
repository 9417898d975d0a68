/* What a device does: memory, utilisation, processes, power. All from the state in which the
 * driver plays the kernels, so that NVML and the counters agree.
 *
 * Utilisation is of the last second, as on hardware: `gpu` is the share of time in which any kernel
 * ran, whatever it filled; a process's `sm` is its share of all SM-time.
 */
#include <time.h>

#include "nvml.h"

enum { WINDOW_BUCKETS = 10, IDLE_CELSIUS = 32, BUSY_CELSIUS = 30 };

struct usage {
    double window_ns;
    double kernel_ns;
    double copy_ns;
    double sm_ns;
};

/* Sums the whole buckets of the last second and the one that is filling. Lock held. */
static struct usage recent(const struct sim_state *state, const struct sim_bucket *buckets) {
    uint64_t now = state->time_ns / SIM_BUCKET_NS;
    struct usage usage = {.window_ns = (double)(state->time_ns % SIM_BUCKET_NS) +
                                       (double)(WINDOW_BUCKETS - 1) * SIM_BUCKET_NS};

    for (int i = 0; i < SIM_BUCKETS; i++) {
        if (buckets[i].index + WINDOW_BUCKETS <= now || buckets[i].index > now)
            continue;
        usage.kernel_ns += buckets[i].kernel_ns;
        usage.copy_ns += buckets[i].copy_ns;
        usage.sm_ns += buckets[i].sm_ns;
    }
    return usage;
}

static unsigned int percent(double part, double whole) {
    return (unsigned int)(part * 100 / whole + 0.5);
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t gpu, nvmlUtilization_t *rates) {
    nvmlReturn_t result = gshare_sim_answers(gpu, rates);

    if (result)
        return result;
    gshare_sim_lock(gpu);
    struct usage usage = recent(gpu->state, gpu->state->buckets);
    gshare_sim_unlock(gpu);
    rates->gpu = percent(usage.kernel_ns, usage.window_ns);
    rates->memory = percent(usage.copy_ns, usage.window_ns);
    return NVML_SUCCESS;
}

/* NVML's time stamps are of the wall clock, unlike the model's. */
static unsigned long long wall_clock_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (unsigned long long)now.tv_sec * 1000000u + (unsigned long long)now.tv_nsec / 1000;
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t gpu,
                                             nvmlProcessUtilizationSample_t *samples,
                                             unsigned int *count, unsigned long long since_us) {
    nvmlReturn_t result = gshare_sim_answers(gpu, count);
    unsigned int found = 0;
    unsigned long long now_us = wall_clock_us();

    if (result)
        return result;
    struct sim_state *state = gpu->state;
    gshare_sim_lock(gpu);
    gshare_sim_reap(gpu);
    for (uint32_t i = 0; i < state->client_high && since_us < now_us; i++) {
        struct usage usage = recent(state, state->clients[i].buckets);
        if (!state->clients[i].in_use || usage.sm_ns <= 0)
            continue;
        if (samples && found < *count)
            samples[found] = (nvmlProcessUtilizationSample_t){
                .pid = state->clients[i].pid,
                .time_us = now_us,
                .sm = percent(usage.sm_ns, usage.window_ns * state->device.sm_count)};
        found++;
    }
    gshare_sim_unlock(gpu);
    bool fits = samples && found <= *count;
    *count = found;
    if (found == 0)
        return NVML_ERROR_NOT_FOUND;
    return fits ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

static nvmlReturn_t memory(nvmlDevice_t gpu, uint64_t *total, uint64_t *used) {
    gshare_sim_lock(gpu);
    gshare_sim_reap(gpu);
    *total = gpu->state->device.memory_bytes;
    *used = gshare_sim_memory_used(gpu->state);
    gshare_sim_unlock(gpu);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t gpu, nvmlMemory_t *answer) {
    uint64_t total = 0;
    uint64_t used = 0;
    nvmlReturn_t result = gshare_sim_answers(gpu, answer);

    result = result ? result : memory(gpu, &total, &used);
    if (!result)
        *answer = (nvmlMemory_t){.total = total, .free = total - used, .used = used};
    return result;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t gpu, nvmlMemory_v2_t *answer) {
    uint64_t total = 0;
    uint64_t used = 0;
    nvmlReturn_t result = gshare_sim_answers(gpu, answer);

    result = result ? result : memory(gpu, &total, &used);
    if (result)
        return result;
    answer->total = total;
    answer->reserved = 0;
    answer->free = total - used;
    answer->used = used;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t gpu, nvmlMemory_t *answer) {
    nvmlReturn_t result = gshare_sim_answers(gpu, answer);

    if (!result)
        *answer = (nvmlMemory_t){.total = gpu->state->device.memory_bytes,
                                 .free = gpu->state->device.memory_bytes};
    return result;
}

/* Processes that have a context; of MPS clients or of others, as asked. */
static nvmlReturn_t processes(nvmlDevice_t gpu, unsigned int *count, nvmlProcessInfo_t *answer,
                              bool shown) {
    nvmlReturn_t result = gshare_sim_answers(gpu, count);
    unsigned int found = 0;

    if (result)
        return result;
    struct sim_state *state = gpu->state;
    gshare_sim_lock(gpu);
    gshare_sim_reap(gpu);
    for (uint32_t i = 0; i < state->client_high && shown; i++) {
        if (!state->clients[i].in_use)
            continue;
        if (answer && found < *count)
            answer[found] = (nvmlProcessInfo_t){.pid = state->clients[i].pid,
                                                .memory = gshare_sim_memory_of(state, i),
                                                .gpu_instance = UINT32_MAX,
                                                .compute_instance = UINT32_MAX};
        found++;
    }
    gshare_sim_unlock(gpu);
    bool fits = found <= *count && (answer || found == 0);
    *count = found;
    return fits ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

/* Newer drivers list MPS clients as compute processes too (type M+C). */
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t gpu, unsigned int *count,
                                                     nvmlProcessInfo_t *answer) {
    return processes(gpu, count, answer, true);
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t gpu, unsigned int *count,
                                                     nvmlProcessInfo_t *answer) {
    return processes(gpu, count, answer, true);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t gpu, unsigned int *count,
                                                        nvmlProcessInfo_t *answer) {
    nvmlReturn_t result = gshare_sim_answers(gpu, count);
    return result ? result : processes(gpu, count, answer, gpu->state->device.mps);
}

nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v2(nvmlDevice_t gpu, unsigned int *count,
                                                        nvmlProcessInfo_t *answer) {
    return nvmlDeviceGetMPSComputeRunningProcesses_v3(gpu, count, answer);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t gpu, unsigned int *count,
                                                      nvmlProcessInfo_t *answer) {
    return processes(gpu, count, answer, false);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(nvmlDevice_t gpu, unsigned int *count,
                                                      nvmlProcessInfo_t *answer) {
    return processes(gpu, count, answer, false);
}

/* The share of all SM-time of the last second, 0-1. Power and temperature follow it in a straight
 * line; they are invented, and nothing should be concluded from them. */
static double load(nvmlDevice_t gpu) {
    gshare_sim_lock(gpu);
    struct usage usage = recent(gpu->state, gpu->state->buckets);
    gshare_sim_unlock(gpu);
    return usage.sm_ns / (usage.window_ns * gpu->state->device.sm_count);
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t gpu, unsigned int *milliwatts) {
    enum { IDLE_PART = 6 }; /* an idle card draws a sixth of its limit */
    nvmlReturn_t result = gshare_sim_answers(gpu, milliwatts);

    if (result)
        return result;
    double limit = gpu->state->device.power_limit_mw;
    *milliwatts = (unsigned int)(limit / IDLE_PART + (limit - limit / IDLE_PART) * load(gpu));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t gpu, int sensor, unsigned int *celsius) {
    nvmlReturn_t result = gshare_sim_answers(gpu, celsius);

    if (result || sensor != 0)
        return result ? result : NVML_ERROR_INVALID_ARGUMENT;
    *celsius = IDLE_CELSIUS + (unsigned int)(BUSY_CELSIUS * load(gpu));
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t gpu, nvmlTemperature_t *answer) {
    unsigned int celsius = 0;
    nvmlReturn_t result = gshare_sim_answers(gpu, answer);

    result = result ? result : nvmlDeviceGetTemperature(gpu, answer->sensor, &celsius);
    if (!result)
        answer->temperature = (int)celsius;
    return result;
}
