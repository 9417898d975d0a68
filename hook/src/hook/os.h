/* The kernel's services as the hook uses them: the clock and futexes. */
#ifndef GSHARE_OS_H
#define GSHARE_OS_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/relax.h"

#define GSHARE_NS_PER_US 1000ull
#define GSHARE_NS_PER_MS 1000000ull
#define GSHARE_NS_PER_SECOND 1000000000ull

static inline uint64_t gshare_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * GSHARE_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static inline struct timespec gshare_timespec(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / GSHARE_NS_PER_SECOND),
                             .tv_nsec = (long)(ns % GSHARE_NS_PER_SECOND)};
}

/* Sleeps while *word is `seen`, for `ns` at most. Wakes without cause now and then: look again. */
static inline void gshare_futex_wait(const _Atomic uint32_t *word, uint32_t seen, uint64_t ns) {
    struct timespec limit = gshare_timespec(ns);
    syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0);
}

static inline void gshare_futex_wake_all(const _Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

#endif
