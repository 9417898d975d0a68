#include "hook/symbols.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "hook/lookup.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GSHARE_LAUNCH(symbol, base, since, streams, stream, weight, PARAMS, ARGS)                  \
    static CUresult missing_##symbol PARAMS {                                                      \
        return CUDA_ERROR_NOT_FOUND;                                                               \
    }
#define GSHARE_HOOKED(symbol, base, since, streams, PARAMS)                                        \
    static CUresult missing_##symbol PARAMS {                                                      \
        return CUDA_ERROR_NOT_FOUND;                                                               \
    }
#define GSHARE_REAL(symbol, PARAMS)                                                                \
    static CUresult missing_##symbol PARAMS {                                                      \
        return CUDA_ERROR_NOT_FOUND;                                                               \
    }
#include "hook/symbols.def"

struct gshare_driver gshare_real = {
#define GSHARE_LAUNCH(symbol, base, since, streams, stream, weight, PARAMS, ARGS)                  \
    .symbol = missing_##symbol,
#define GSHARE_HOOKED(symbol, base, since, streams, PARAMS) .symbol = missing_##symbol,
#define GSHARE_REAL(symbol, PARAMS) .symbol = missing_##symbol,
#include "hook/symbols.def"
};

struct row {
    const char *symbol;
    const char *base;
    int since;
    enum gshare_streams streams;
    void *hook;
    void **real;   /* NULL: the driver's function is not kept */
    void *missing; /* what *real is while the driver has shown no such function */
};

static const struct row rows[] = {
#define GSHARE_LAUNCH(symbol, base, since, streams, stream, weight, PARAMS, ARGS)                  \
    {#symbol,                                                                                      \
     #base,                                                                                        \
     since,                                                                                        \
     GSHARE_##streams,                                                                             \
     (void *)symbol,                                                                               \
     (void **)&gshare_real.symbol,                                                                 \
     (void *)missing_##symbol},
#define GSHARE_HOOKED(symbol, base, since, streams, PARAMS)                                        \
    {#symbol,                                                                                      \
     #base,                                                                                        \
     since,                                                                                        \
     GSHARE_##streams,                                                                             \
     (void *)symbol,                                                                               \
     (void **)&gshare_real.symbol,                                                                 \
     (void *)missing_##symbol},
#define GSHARE_NVML(symbol, PARAMS) {#symbol, "", 0, GSHARE_ANY, (void *)symbol, NULL, NULL},
#include "hook/symbols.def"
};
#define ROWS (sizeof rows / sizeof rows[0])

/* Written by gshare_symbols_nvml under its once; immutable after. */
static struct gshare_nvml nvml;
static pthread_once_t nvml_once = PTHREAD_ONCE_INIT;

/* Opens a library by the first name that is loaded already, else by the first that loads. */
static void *library(const char *first, const char *second) {
    void *found = dlopen(first, RTLD_LAZY | RTLD_NOLOAD);
    if (!found)
        found = dlopen(second, RTLD_LAZY | RTLD_NOLOAD);
    if (!found)
        found = dlopen(first, RTLD_LAZY);
    return found ? found : dlopen(second, RTLD_LAZY);
}

static void fill(void *driver, const char *symbol, void **place) {
    void *found = gshare_true_dlsym(driver, symbol);
    if (found)
        *place = found;
}

void gshare_symbols_resolve(void) {
    void *driver = library("libcuda.so.1", "libcuda.so");
    if (!driver)
        return;
#define GSHARE_LAUNCH(symbol, base, since, streams, stream, weight, PARAMS, ARGS)                  \
    fill(driver, #symbol, (void **)&gshare_real.symbol);
#define GSHARE_HOOKED(symbol, base, since, streams, PARAMS)                                        \
    fill(driver, #symbol, (void **)&gshare_real.symbol);
#define GSHARE_REAL(symbol, PARAMS) fill(driver, #symbol, (void **)&gshare_real.symbol);
#include "hook/symbols.def"
}

static void resolve_nvml(void) {
    void *driver = library("libnvidia-ml.so.1", "libnvidia-ml.so");
    if (!driver)
        return;
#define GSHARE_NVML(symbol, PARAMS) fill(driver, #symbol, (void **)&nvml.symbol);
#include "hook/symbols.def"
    fill(driver, "nvmlDeviceGetUUID", (void **)&nvml.nvmlDeviceGetUUID);
}

const struct gshare_nvml *gshare_symbols_nvml(void) {
    pthread_once(&nvml_once, resolve_nvml);
    return &nvml;
}

void *gshare_symbols_hook(const char *symbol) {
    if (strncmp(symbol, "cu", 2) != 0 && strncmp(symbol, "nvml", 4) != 0)
        return NULL;
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].symbol, symbol) == 0)
            return rows[i].hook;
    return NULL;
}

/* The rule of cuGetProcAddress: the newest version not above the one asked; where the flag asks for
 * it, the per-thread twin, if that version has one. */
static const struct row *by_rule(const char *base, int version, bool per_thread) {
    const struct row *best = NULL;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        if ((row->streams == GSHARE_THREAD && !per_thread) || row->since > version ||
            strcmp(row->base, base) != 0)
            continue;
        bool is_newer = !best || row->since > best->since;
        if (is_newer || (row->since == best->since && row->streams == GSHARE_THREAD))
            best = row;
    }
    return best;
}

/* A driver newer than the table may answer with a version that the table does not have. It shows by
 * its exported name. */
static bool is_another_version(void *answer) {
    Dl_info info;
    return dladdr(answer, &info) != 0 && info.dli_sname && info.dli_saddr == answer;
}

void *gshare_symbols_versioned(const char *base, int version, uint64_t flags, void *answer) {
    bool is_known = false;
    for (size_t i = 0; i < ROWS; i++) {
        if (!rows[i].real || strcmp(rows[i].base, base) != 0)
            continue;
        is_known = true;
        if (*rows[i].real == answer)
            return rows[i].hook;
    }
    if (!is_known || is_another_version(answer))
        return NULL;
    bool per_thread = flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    const struct row *row = by_rule(base, version, per_thread);
    if (row && *row->real == row->missing)
        *row->real = answer;
    return row ? row->hook : NULL;
}
