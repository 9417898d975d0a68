/* What a shim (core/gshare/shim.py) asks of the hook: the functions behind its jumps. */
#ifndef GSHARE_SHIM_H
#define GSHARE_SHIM_H

#include <stddef.h>

#define GSHARE_SHIM_EXPORT __attribute__((visibility("default")))

/* Called by a shim when it is loaded, which stands in the place of the library `soname` and needs
 * the true one by the path `driver`. `names` are `count` names, one behind the other, each ended by
 * a 0. Sets table[i] to our function for the i-th name, to the driver's where we have none, or to
 * one that returns an error where the driver lacks it. Keeps errno. */
GSHARE_SHIM_EXPORT void gshare_shim_fill(const char *driver, const char *soname, const char *names,
                                         void **table, size_t count);

/* Returns the handle of the library that a shim stands before, or NULL where none does. */
void *gshare_shim_behind(const char *soname);

#endif
