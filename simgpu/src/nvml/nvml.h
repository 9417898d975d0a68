/* The part of NVML's public ABI that the simulated library speaks, and its internals. */
#ifndef GSHARE_SIMGPU_NVML_H
#define GSHARE_SIMGPU_NVML_H

#include "../engine/engine.h"

#define SIM_API __attribute__((visibility("default")))

typedef int nvmlReturn_t;
typedef struct sim_gpu *nvmlDevice_t;

enum {
    NVML_SUCCESS = 0,
    NVML_ERROR_UNINITIALIZED = 1,
    NVML_ERROR_INVALID_ARGUMENT = 2,
    NVML_ERROR_NOT_SUPPORTED = 3,
    NVML_ERROR_NOT_FOUND = 6,
    NVML_ERROR_INSUFFICIENT_SIZE = 7,
    NVML_ERROR_DRIVER_NOT_LOADED = 9,
    NVML_ERROR_TIMEOUT = 10,
    NVML_ERROR_GPU_IS_LOST = 15,
};

typedef struct {
    char legacy_bus_id[16];
    unsigned int domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
} nvmlPciInfo_t;

typedef struct {
    unsigned long long total, free, used;
} nvmlMemory_t;

typedef struct {
    unsigned int version;
    unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;

typedef struct {
    unsigned int gpu, memory;
} nvmlUtilization_t;

typedef struct {
    unsigned int pid;
    unsigned long long memory;
    unsigned int gpu_instance, compute_instance;
} nvmlProcessInfo_t;

typedef struct {
    unsigned int pid;
    unsigned long long time_us;
    unsigned int sm, memory, encoder, decoder;
} nvmlProcessUtilizationSample_t;

typedef struct {
    unsigned int version;
    int sensor;
    int temperature;
} nvmlTemperature_t;

typedef struct sim_event_set *nvmlEventSet_t;

typedef struct {
    nvmlDevice_t device;
    unsigned long long type, data;
    unsigned int gpu_instance, compute_instance;
} nvmlEventData_t;

#define CALL(symbol, parameters) SIM_API nvmlReturn_t symbol parameters;
#include "functions.def"
#undef CALL
#define NUMBER(symbol, value) SIM_API nvmlReturn_t symbol(nvmlDevice_t, unsigned int *);
#include "numbers.def"
#undef NUMBER
#define UNSUPPORTED(symbol) SIM_API nvmlReturn_t symbol(nvmlDevice_t);
#include "unsupported.def"
#undef UNSUPPORTED
SIM_API const char *nvmlErrorString(nvmlReturn_t);

/* session.c: whether `gpu` is a device of the initialised library. */
nvmlReturn_t gshare_sim_check(nvmlDevice_t gpu, const void *answer);
/* The same, and that the GPU is there: for what NVML asks the hardware. */
nvmlReturn_t gshare_sim_answers(nvmlDevice_t gpu, const void *answer);
nvmlReturn_t gshare_sim_text(char *target, unsigned int length, const char *text);

#endif
