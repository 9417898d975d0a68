/* The driver's functions, resolved once, and the table of names that the hook answers for. */
#ifndef GSHARE_SYMBOLS_H
#define GSHARE_SYMBOLS_H

#include "hook/driver_api.h"

/* Pointers to the true functions. Until gshare_symbols_resolve, and for a name that the driver
 * lacks, each points to a function that returns CUDA_ERROR_NOT_FOUND. Written once, by the thread
 * that starts the guest, and by look-ups that meet a newer driver's own pointer. */
struct gshare_driver {
#define GSHARE_LAUNCH(symbol, base, since, streams, stream, weight, PARAMS, ARGS)                  \
    CUresult(*symbol) PARAMS;
#define GSHARE_HOOKED(symbol, base, since, streams, PARAMS) CUresult(*symbol) PARAMS;
#define GSHARE_REAL(symbol, PARAMS) CUresult(*symbol) PARAMS;
#include "hook/symbols.def"
};
extern struct gshare_driver gshare_real;

struct gshare_nvml {
#define GSHARE_NVML(symbol, PARAMS) int(*symbol) PARAMS;
#include "hook/symbols.def"
    int (*nvmlDeviceGetUUID)(nvmlDevice_t device, char *uuid, unsigned int bytes);
};

/* The hooked calls themselves, which exports.map makes visible. */
#define GSHARE_EXPORT __attribute__((visibility("default")))
#define GSHARE_LAUNCH(symbol, base, since, streams, stream, weight, PARAMS, ARGS)                  \
    GSHARE_EXPORT CUresult symbol PARAMS;
#define GSHARE_HOOKED(symbol, base, since, streams, PARAMS) GSHARE_EXPORT CUresult symbol PARAMS;
#define GSHARE_NVML(symbol, PARAMS) GSHARE_EXPORT int symbol PARAMS;
#include "hook/symbols.def"

enum gshare_streams { GSHARE_ANY, GSHARE_LEGACY, GSHARE_THREAD };

/* Fills gshare_real and `nvml` from the libraries that the process has loaded, or loads them. */
void gshare_symbols_resolve(void);
const struct gshare_nvml *gshare_symbols_nvml(void);

/* Returns our function for an exported name ("cuMemAlloc_v2"), or NULL where it is not hooked. */
void *gshare_symbols_hook(const char *symbol);

/* Returns our function for what cuGetProcAddress found: a base name ("cuMemAlloc"), the CUDA
 * version and the flags that were asked, and the driver's own answer. NULL: leave it untouched. */
void *gshare_symbols_versioned(const char *base, int version, uint64_t flags, void *answer);

#endif
