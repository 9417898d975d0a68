/* Included before every file of a library that containers load: names the oldest version of what
 * glibc has since moved or made anew, so that the library loads under glibc 2.27 and later. With a
 * library that needs a newer glibc than the image has, ld.so prints one line and goes on without
 * it, which for the hook would mean without limits.
 *
 * glibc 2.34 merged libpthread and libdl into libc; before that the two must be loaded, so they are
 * named as needed in the Makefile. Sanitizers intercept the default versions and are left those.
 */
#ifndef GSHARE_OLD_GLIBC_H
#define GSHARE_OLD_GLIBC_H

#include <features.h>

#if defined(__x86_64__)
#define GSHARE_OLDEST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define GSHARE_OLDEST "GLIBC_2.17"
#endif

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define GSHARE_OLD(symbol) __asm__(".symver " #symbol "," #symbol "@" GSHARE_OLDEST)
GSHARE_OLD(dladdr);
GSHARE_OLD(dlopen);
GSHARE_OLD(pthread_attr_setstacksize);
GSHARE_OLD(pthread_create);
GSHARE_OLD(pthread_detach);
GSHARE_OLD(pthread_getspecific);
GSHARE_OLD(pthread_key_create);
GSHARE_OLD(pthread_mutexattr_destroy);
GSHARE_OLD(pthread_mutexattr_init);
GSHARE_OLD(pthread_mutexattr_settype);
GSHARE_OLD(pthread_once);
GSHARE_OLD(pthread_rwlock_rdlock);
GSHARE_OLD(pthread_rwlock_unlock);
GSHARE_OLD(pthread_rwlock_wrlock);
GSHARE_OLD(pthread_setspecific);
GSHARE_OLD(pthread_sigmask);
#undef GSHARE_OLD
#endif

#endif
