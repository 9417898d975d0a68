/* Serves shims. A shim is loaded by the dynamic loader, which has loaded us and the driver for it;
 * its initialiser runs before any code that could jump through it. Nothing is started here: the
 * guest begins with the first call, as always. */
#include "hook/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hook/lookup.h"
#include "hook/symbols.h"

/* One for each library that may have a shim. A handle is written by the initialiser of the shim,
 * under the loader's lock, and stays: the driver is never unloaded. */
static struct behind {
    const char *soname;
    void *_Atomic handle;
} drivers[] = {{"libcuda.so.1", NULL}, {"libnvidia-ml.so.1", NULL}};
#define DRIVERS (sizeof drivers / sizeof drivers[0])

void *gshare_shim_behind(const char *soname) {
    for (size_t i = 0; i < DRIVERS; i++)
        if (strcmp(drivers[i].soname, soname) == 0)
            return atomic_load_explicit(&drivers[i].handle, memory_order_acquire);
    return NULL;
}

static void remember(const char *soname, void *handle) {
    for (size_t i = 0; i < DRIVERS; i++)
        if (strcmp(drivers[i].soname, soname) == 0)
            atomic_store_explicit(&drivers[i].handle, handle, memory_order_release);
}

/* In the place of a function that the driver lacks. Every call of CUDA and of NVML returns an int;
 * this value is CUDA_ERROR_NOT_FOUND, and no success of NVML's. */
static CUresult lacking(void) {
    return CUDA_ERROR_NOT_FOUND;
}

static void complain(const char *driver, const char *reason, const char *detail) {
    char line[256];
    int length =
        snprintf(line, sizeof line, "gshare: shim of %.100s: %s%.100s\n", driver, reason, detail);
    if (length > 0 && write(STDERR_FILENO, line, strnlen(line, sizeof line)) < 0)
        return; /* nobody to tell */
}

static void *answer(void *driver, const char *name) {
    void *found = driver ? gshare_true_dlsym(driver, name) : NULL;
    void *hook = found ? gshare_symbols_hook(name) : NULL;
    return hook ? hook : found;
}

void gshare_shim_fill(const char *driver, const char *soname, const char *names, void **table,
                      size_t count) {
    int saved = errno;
    void *handle = dlopen(driver, RTLD_LAZY);
    const char *lacks = NULL;
    for (size_t i = 0; i < count; i++, names += strlen(names) + 1) {
        table[i] = answer(handle, names);
        if (!table[i]) {
            table[i] = (void *)lacking;
            lacks = names;
        }
    }
    remember(soname, handle);
    if (!handle)
        complain(driver, "cannot be loaded: ", "no call succeeds");
    else if (lacks)
        complain(driver, "made for another driver, this one lacks ", lacks);
    errno = saved;
}
