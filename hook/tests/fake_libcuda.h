/* What the fake driver counts, shared with the test through a file. */
#ifndef GSHARE_FAKE_LIBCUDA_H
#define GSHARE_FAKE_LIBCUDA_H

#include <stdatomic.h>
#include <stdint.h>

#include "hook/driver_api.h"

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
    _Atomic uint64_t trims;
    _Atomic uint64_t pool_used;
    _Atomic uint64_t pool_reserved;
    _Atomic uint64_t graph_reserved;
    _Atomic uint64_t primary_uses;
};

struct fake_stats *fake_stats(void);

/* The device's pool. */
#define FAKE_POOL ((CUmemoryPool)0x80)

/* Makes a graph of memory nodes: n allocates n bytes, -n frees what has n bytes. */
CUgraph fake_graph(const int64_t *sizes, size_t count);

CUresult cuCtxSetCurrent(CUcontext context);

#endif
