#include "common/clock.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000u

uint64_t gshare_clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct timespec time_of(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

void gshare_clock_sleep(uint64_t until_ns) {
    struct timespec until = time_of(until_ns);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* FUTEX_WAIT_BITSET takes absolute CLOCK_MONOTONIC time; plain FUTEX_WAIT takes a duration. */
void gshare_futex_sleep(const _Atomic uint32_t *word, uint32_t seen, uint64_t until_ns) {
    struct timespec t = time_of(until_ns);
    struct timespec *until = until_ns == UINT64_MAX ? NULL : &t;
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen, until, NULL, FUTEX_BITSET_MATCH_ANY);
}

void gshare_futex_wake(_Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
