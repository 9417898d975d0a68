/* How a process finds driver functions: dlsym, dlvsym and cuGetProcAddress. */
#ifndef GSHARE_LOOKUP_H
#define GSHARE_LOOKUP_H

/* The C library's own dlsym. NULL only where no C library offers dlvsym (musl). */
void *gshare_true_dlsym(void *handle, const char *symbol);

#endif
