#include "hook/symbols.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "hook/lookup.h"
#include "hook/shim.h"

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

/* The same, but where a shim stands in its place, the library behind the shim. */
static void *true_library(const char *first, const char *second) {
    void *found = library(first, second);
    void *behind = gshare_shim_behind(first);
    return behind ? behind : found;
}

static void fill(void *driver, const char *symbol, void **place) {
    void *found = gshare_true_dlsym(driver, symbol);
    if (found)
        *place = found;
}

void gshare_symbols_resolve(void) {
    void *driver = true_library("libcuda.so.1", "libcuda.so");
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
    void *driver = true_library("libnvidia-ml.so.1", "libnvidia-ml.so");
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

/* Rows by symbol and by base name: a client looks up some five hundred names at its start. An entry
 * is the number of a row plus 1; rows of one base are chained. Written under index_once. */
#define BUCKETS 1024
_Static_assert(ROWS * 2 < BUCKETS, "the index is at most half full");

struct index {
    uint16_t by_symbol[BUCKETS];
    uint16_t by_base[BUCKETS];
    uint16_t next_of_base[ROWS];
};
static struct index names;
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

/* FNV-1a. */
static size_t bucket_of(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return (hash ^ hash >> 15) % BUCKETS;
}

/* Returns where a name stands, or would. */
static uint16_t *place_of_symbol(const char *symbol) {
    size_t at = bucket_of(symbol);
    while (names.by_symbol[at] && strcmp(rows[names.by_symbol[at] - 1].symbol, symbol) != 0)
        at = (at + 1) % BUCKETS;
    return &names.by_symbol[at];
}

static uint16_t *place_of_base(const char *base) {
    size_t at = bucket_of(base);
    while (names.by_base[at] && strcmp(rows[names.by_base[at] - 1].base, base) != 0)
        at = (at + 1) % BUCKETS;
    return &names.by_base[at];
}

static void fill_index(void) {
    for (uint16_t i = 0; i < ROWS; i++) {
        uint16_t *base = place_of_base(rows[i].base);
        *place_of_symbol(rows[i].symbol) = (uint16_t)(i + 1);
        names.next_of_base[i] = *base;
        *base = (uint16_t)(i + 1);
    }
}

void *gshare_symbols_hook(const char *symbol) {
    if (strncmp(symbol, "cu", 2) != 0 && strncmp(symbol, "nvml", 4) != 0)
        return NULL;
    pthread_once(&index_once, fill_index);
    uint16_t row = *place_of_symbol(symbol);
    return row ? rows[row - 1].hook : NULL;
}

static const struct row *first_of_base(const char *base) {
    pthread_once(&index_once, fill_index);
    uint16_t row = *place_of_base(base);
    return row ? &rows[row - 1] : NULL;
}

static const struct row *next_of_base(const struct row *row) {
    uint16_t next = names.next_of_base[row - rows];
    return next ? &rows[next - 1] : NULL;
}

/* The rule of cuGetProcAddress: the newest version not above the one asked; where the flag asks for
 * it, the per-thread twin, if that version has one. */
static const struct row *by_rule(const char *base, int version, bool per_thread) {
    const struct row *best = NULL;
    for (const struct row *row = first_of_base(base); row; row = next_of_base(row)) {
        if ((row->streams == GSHARE_THREAD && !per_thread) || row->since > version)
            continue;
        bool is_twin = row->streams == GSHARE_THREAD;
        if (!best || row->since > best->since || (row->since == best->since && is_twin))
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
    for (const struct row *row = first_of_base(base); row; row = next_of_base(row))
        if (row->real && *row->real == answer)
            return row->hook;
    if (!first_of_base(base) || is_another_version(answer))
        return NULL;
    bool per_thread = flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    const struct row *row = by_rule(base, version, per_thread);
    if (!row || !row->real)
        return NULL;
    if (*row->real == row->missing)
        *row->real = answer;
    return row->hook;
}
