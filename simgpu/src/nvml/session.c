/* Initialisation, and finding devices. NVML shows every GPU of the node, whatever
 * CUDA_VISIBLE_DEVICES says, as the real one does. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../driver/version.h"
#include "nvml.h"

/* Written under session_lock; the mappings stay until the process ends, so that a handle held
 * across nvmlShutdown cannot crash it. */
static struct sim_gpu gpus[SIM_MAX_GPUS];
static unsigned int gpu_count;
static int references;
static bool is_forked; /* in a child of fork: the files that show life are the parent's */
static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER;

/* Lock held. */
static nvmlReturn_t open_all(void) {
    const char *directory = getenv("GSHARE_SIMGPU_DIR");
    struct sim_device *devices = calloc(SIM_MAX_GPUS, sizeof *devices);
    int count = directory && devices ? gshare_sim_topology(directory, devices) : -1;
    unsigned int opened = 0;

    while (count > 0 && opened < (unsigned int)count &&
           gshare_sim_open(directory, devices[opened].index, &gpus[opened]) == 0)
        opened++;
    free(devices);
    gpu_count = opened;
    return count > 0 && opened == (unsigned int)count ? NVML_SUCCESS : NVML_ERROR_DRIVER_NOT_LOADED;
}

static void after_fork_in_child(void) {
    for (unsigned int i = 0; i < gpu_count; i++)
        gshare_sim_forget(&gpus[i]);
    is_forked = gpu_count != 0;
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, after_fork_in_child);
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)flags;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&session_lock);
    nvmlReturn_t result = gpu_count ? NVML_SUCCESS : open_all();
    references += result == NVML_SUCCESS;
    pthread_mutex_unlock(&session_lock);
    return result;
}

nvmlReturn_t nvmlInit_v2(void) {
    return nvmlInitWithFlags(0);
}

nvmlReturn_t nvmlInit(void) {
    return nvmlInitWithFlags(0);
}

nvmlReturn_t nvmlShutdown(void) {
    pthread_mutex_lock(&session_lock);
    nvmlReturn_t result = references ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
    references -= references > 0;
    pthread_mutex_unlock(&session_lock);
    return result;
}

nvmlReturn_t gshare_sim_check(nvmlDevice_t gpu, const void *answer) {
    pthread_mutex_lock(&session_lock);
    if (is_forked)
        open_all();
    is_forked = false;
    int is_open = references;
    pthread_mutex_unlock(&session_lock);
    if (!is_open)
        return NVML_ERROR_UNINITIALIZED;
    return gpu >= gpus && gpu < gpus + gpu_count && answer ? NVML_SUCCESS
                                                           : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t gshare_sim_answers(nvmlDevice_t gpu, const void *answer) {
    nvmlReturn_t result = gshare_sim_check(gpu, answer);
    return !result && gpu->state->is_lost ? NVML_ERROR_GPU_IS_LOST : result;
}

nvmlReturn_t gshare_sim_text(char *target, unsigned int length, const char *text) {
    if (!target)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (strlen(text) >= length)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(target, text, strlen(text) + 1);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) {
    nvmlReturn_t result = gshare_sim_check(gpus, count);

    if (!result)
        *count = gpu_count;
    return result;
}

nvmlReturn_t nvmlDeviceGetCount(unsigned int *count) {
    return nvmlDeviceGetCount_v2(count);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *gpu) {
    nvmlReturn_t result = gshare_sim_check(gpus + index, gpu);

    if (!result)
        *gpu = gpus + index;
    return result;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *gpu) {
    return nvmlDeviceGetHandleByIndex_v2(index, gpu);
}

/* Finds the device of which the call `get` answers `wanted`. */
static nvmlReturn_t find(nvmlReturn_t (*get)(nvmlDevice_t, char *, unsigned int),
                         const char *wanted, nvmlDevice_t *gpu) {
    char text[SIM_NAME_BYTES * 2];
    nvmlReturn_t result = gshare_sim_check(gpus, gpu);

    if (result || !wanted)
        return result ? result : NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int i = 0; i < gpu_count; i++) {
        if (get(&gpus[i], text, sizeof text) != NVML_SUCCESS || strcmp(text, wanted) != 0)
            continue;
        *gpu = &gpus[i];
        return NVML_SUCCESS;
    }
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *gpu) {
    return find(nvmlDeviceGetUUID, uuid, gpu);
}

nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *gpu) {
    return find(nvmlDeviceGetSerial, serial, gpu);
}

static nvmlReturn_t bus_id(nvmlDevice_t gpu, char *text, unsigned int length) {
    nvmlPciInfo_t pci;
    nvmlReturn_t result = nvmlDeviceGetPciInfo_v3(gpu, &pci);
    return result ? result : gshare_sim_text(text, length, pci.bus_id);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *wanted, nvmlDevice_t *gpu) {
    return find(bus_id, wanted, gpu);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *wanted, nvmlDevice_t *gpu) {
    return find(bus_id, wanted, gpu);
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *text, unsigned int length) {
    return gshare_sim_text(text, length, SIM_DRIVER_RELEASE);
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *text, unsigned int length) {
    return gshare_sim_text(text, length, "12." SIM_DRIVER_RELEASE);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version) {
    if (!version)
        return NVML_ERROR_INVALID_ARGUMENT;
    *version = SIM_DRIVER_VERSION;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) {
    return nvmlSystemGetCudaDriverVersion_v2(version);
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *text, unsigned int length) {
    char path[64];
    char name[4096] = "";

    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return NVML_ERROR_NOT_FOUND;
    size_t count = fread(name, 1, sizeof name - 1, file);
    fclose(file);
    return count ? gshare_sim_text(text, length, name) : NVML_ERROR_NOT_FOUND;
}

const char *nvmlErrorString(nvmlReturn_t result) {
    switch (result) {
    case NVML_SUCCESS:
        return "The operation was successful";
    case NVML_ERROR_UNINITIALIZED:
        return "NVML was not first initialized with nvmlInit()";
    case NVML_ERROR_INVALID_ARGUMENT:
        return "A supplied argument is invalid";
    case NVML_ERROR_NOT_SUPPORTED:
        return "The requested operation is not available on target device";
    case NVML_ERROR_NOT_FOUND:
        return "A query to find an object was unsuccessful";
    case NVML_ERROR_INSUFFICIENT_SIZE:
        return "An input argument is not large enough";
    case NVML_ERROR_TIMEOUT:
        return "Timeout";
    case NVML_ERROR_GPU_IS_LOST:
        return "GPU is lost";
    case NVML_ERROR_DRIVER_NOT_LOADED:
        return "Driver is not loaded: GSHARE_SIMGPU_DIR names no simulated GPU";
    default:
        return "Unknown Error";
    }
}
