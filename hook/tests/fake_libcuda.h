/* What the fake driver counts, shared with the test through a file. */
#ifndef GSHARE_FAKE_LIBCUDA_H
#define GSHARE_FAKE_LIBCUDA_H

#include <stdatomic.h>
#include <stdint.h>

struct fake_stats {
    _Atomic uint64_t kernel_ns; /* set by the test: what a kernel takes; 0: nothing */
    _Atomic uint64_t launches;
    _Atomic uint64_t twin_launches;
    _Atomic uint64_t captured;
    _Atomic uint64_t busy_ns;
    _Atomic uint64_t most_queued; /* in any stream, the running kernel included */
    _Atomic uint64_t last_launch_ns;
    _Atomic uint64_t records;
    _Atomic uint64_t allocations;
};

struct fake_stats *fake_stats(void);

#endif
