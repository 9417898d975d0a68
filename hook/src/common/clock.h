/* Monotonic time and shared futexes. */
#ifndef GSHARE_COMMON_CLOCK_H
#define GSHARE_COMMON_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

/* CLOCK_MONOTONIC in ns. */
uint64_t gshare_clock_ns(void);

/* Sleeps while *word is `seen`, until the absolute time `until_ns` (UINT64_MAX: for ever). May
 * return early. */
void gshare_futex_sleep(const _Atomic uint32_t *word, uint32_t seen, uint64_t until_ns);

/* Sleeps until the absolute time `until_ns`. May return early. */
void gshare_clock_sleep(uint64_t until_ns);

/* Wakes all who sleep on the word, in any process. */
void gshare_futex_wake(_Atomic uint32_t *word);

#endif
