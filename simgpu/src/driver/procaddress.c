/* Look-up of calls by name and CUDA version: of the rows of a name that are not newer than what
 * is asked for, the newest. */
#include <string.h>

#include "driver.h"

enum { PER_THREAD_DEFAULT_STREAM = 2 }; /* flag of cuGetProcAddress */
enum { FOUND = 0, NOT_FOUND = 1, VERSION_NOT_SUFFICIENT = 2 };

static const struct row {
    const char *name;
    int since;
    int is_per_thread;
    void (*address)(void);
} rows[] = {
#define CALL(name, since, symbol, parameters) {#name, since, 0, (void (*)(void))symbol},
#define THREAD(name, since, symbol, parameters) {#name, since, 1, (void (*)(void))symbol},
#include "functions.def"
#undef THREAD
#undef CALL
};

/* Per-thread rows win where they are asked for, whatever their version. */
static int is_better(const struct row *row, const struct row *best, int per_thread) {
    if (!best)
        return 1;
    if (per_thread && row->is_per_thread != best->is_per_thread)
        return row->is_per_thread;
    return row->since > best->since;
}

CUresult cuGetProcAddress_v2(const char *name, void **address, int version, uint64_t flags,
                             int *status) {
    const struct row *best = NULL;
    int result = NOT_FOUND;

    if (!name || !address)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        if (strcmp(row->name, name) != 0)
            continue;
        if (row->is_per_thread && !(flags & PER_THREAD_DEFAULT_STREAM))
            continue;
        if (row->since > version)
            result = result == NOT_FOUND ? VERSION_NOT_SUFFICIENT : result;
        else if (is_better(row, best, (flags & PER_THREAD_DEFAULT_STREAM) != 0))
            best = row;
    }
    *address = NULL;
    if (best)
        memcpy(address, &best->address, sizeof *address);
    if (status)
        *status = best ? FOUND : result;
    return best ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char *name, void **address, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, address, version, flags, NULL);
}

/* Private tables of the vendor's runtime are not part of the public ABI: there are none here. */
CUresult cuGetExportTable(const void **table, const CUuuid *id) {
    if (!table || !id)
        return CUDA_ERROR_INVALID_VALUE;
    *table = NULL;
    return CUDA_ERROR_NOT_FOUND;
}
