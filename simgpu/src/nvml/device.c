/* What a device is. Serial and part number say that it is simulated. */
#include <stdio.h>
#include <string.h>

#include "nvml.h"

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t gpu, char *text, unsigned int length) {
    nvmlReturn_t result = gshare_sim_check(gpu, text);
    return result ? result : gshare_sim_text(text, length, gpu->state->device.name);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t gpu, char *text, unsigned int length) {
    nvmlReturn_t result = gshare_sim_check(gpu, text);
    return result ? result : gshare_sim_text(text, length, gpu->state->device.uuid);
}

nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t gpu, char *text, unsigned int length) {
    char serial[32];
    nvmlReturn_t result = gshare_sim_check(gpu, text);

    if (result)
        return result;
    snprintf(serial, sizeof serial, "simulated-%u", gpu->state->device.index);
    return gshare_sim_text(text, length, serial);
}

nvmlReturn_t nvmlDeviceGetBoardPartNumber(nvmlDevice_t gpu, char *text, unsigned int length) {
    nvmlReturn_t result = gshare_sim_check(gpu, text);
    return result ? result : gshare_sim_text(text, length, "gshare simulated GPU");
}

nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t gpu, char *text, unsigned int length) {
    nvmlReturn_t result = gshare_sim_check(gpu, text);
    return result ? result : gshare_sim_text(text, length, "simulated");
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t gpu, nvmlPciInfo_t *pci) {
    nvmlReturn_t result = gshare_sim_check(gpu, pci);

    if (result)
        return result;
    memset(pci, 0, sizeof *pci);
    pci->bus = gpu->state->device.index + 1;
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", pci->bus & 0xff);
    snprintf(pci->legacy_bus_id, sizeof pci->legacy_bus_id, "0000:%02X:00.0", pci->bus & 0xff);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t gpu, nvmlPciInfo_t *pci) {
    return nvmlDeviceGetPciInfo_v3(gpu, pci);
}

nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t gpu, nvmlPciInfo_t *pci) {
    return nvmlDeviceGetPciInfo_v3(gpu, pci);
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t gpu, int *major, int *minor) {
    nvmlReturn_t result = gshare_sim_check(gpu, major ? minor : NULL);

    if (result)
        return result;
    *major = (int)gpu->state->device.compute_major;
    *minor = (int)gpu->state->device.compute_minor;
    return NVML_SUCCESS;
}

/* Type 2 is the memory's clock, all others the SMs'. */
nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t gpu, int type, unsigned int *mhz) {
    nvmlReturn_t result = gshare_sim_check(gpu, mhz);

    if (result)
        return result;
    const struct sim_device *device = &gpu->state->device;
    *mhz = (type == 2 ? device->memory_clock_khz : device->clock_khz) / 1000;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t gpu, int type, unsigned int *mhz) {
    return nvmlDeviceGetClockInfo(gpu, type, mhz);
}

/* Any process may connect whatever the mode says: the model has no more than its `mps`. */
nvmlReturn_t nvmlDeviceSetComputeMode(nvmlDevice_t gpu, unsigned int mode) {
    enum { MODES = 4 };
    nvmlReturn_t result = gshare_sim_answers(gpu, gpu);

    if (result || mode >= MODES)
        return result ? result : NVML_ERROR_INVALID_ARGUMENT;
    gpu->state->compute_mode = mode;
    return NVML_SUCCESS;
}

static nvmlReturn_t pair(nvmlDevice_t gpu, unsigned int *first, unsigned int *second,
                         unsigned int value) {
    nvmlReturn_t result = gshare_sim_check(gpu, first ? second : NULL);

    if (!result)
        *first = *second = value;
    return result;
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t gpu, unsigned int *current, unsigned int *pending) {
    return pair(gpu, current, pending, 0);
}

nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t gpu, unsigned int *current, unsigned int *pending) {
    return pair(gpu, current, pending, 1);
}

nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t gpu, unsigned int *percent,
                                             unsigned int *period_us) {
    return pair(gpu, percent, period_us, 0);
}

nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t gpu, unsigned int *percent,
                                             unsigned int *period_us) {
    return pair(gpu, percent, period_us, 0);
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t gpu, int type, int counter,
                                         unsigned long long *count) {
    nvmlReturn_t result = gshare_sim_check(gpu, count);

    (void)type;
    (void)counter;
    if (!result)
        *count = 0;
    return result;
}

#define NUMBER(symbol, value)                                                                      \
    nvmlReturn_t symbol(nvmlDevice_t gpu, unsigned int *answer) {                                  \
        nvmlReturn_t result = gshare_sim_check(gpu, answer);                                       \
        if (result)                                                                                \
            return result;                                                                         \
        const struct sim_device *device = &gpu->state->device;                                     \
        (void)device;                                                                              \
        *answer = value;                                                                           \
        return NVML_SUCCESS;                                                                       \
    }
#include "numbers.def"
#undef NUMBER

/* Whatever further arguments a caller passes are left alone. */
#define UNSUPPORTED(symbol)                                                                        \
    nvmlReturn_t symbol(nvmlDevice_t gpu) {                                                        \
        nvmlReturn_t result = gshare_sim_check(gpu, gpu);                                          \
        return result ? result : NVML_ERROR_NOT_SUPPORTED;                                         \
    }
#include "unsupported.def"
#undef UNSUPPORTED
