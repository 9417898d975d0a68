#include "hook/graph_memory.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "hook/allocate.h"
#include "hook/gate.h"
#include "hook/guest.h"
#include "hook/pool.h"
#include "hook/table.h"

#define MAX_DEPTH 8    /* of graphs within graphs */
#define MAX_DEVICES 64 /* one bit each */

static _Atomic bool has_captured;   /* a capture has begun in this process */
static _Atomic uint64_t device_set; /* devices whose memory graphs have used */
static _Atomic uint64_t live_bytes; /* what the executable graphs that live hold at most */
static uint64_t standing;           /* what is counted; under the account's lock */
static struct gshare_table execs;   /* executable graph: bytes; under the account's lock */

bool gshare_graph_memory_captures(CUstream stream) {
    int status = CU_STREAM_CAPTURE_STATUS_NONE;
    return atomic_load_explicit(&has_captured, memory_order_relaxed) &&
           gshare_real.cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS &&
           status != CU_STREAM_CAPTURE_STATUS_NONE;
}

static uint64_t reserved_bytes(void) {
    uint64_t devices = atomic_load(&device_set), total = 0;
    for (CUdevice device = 0; device < MAX_DEVICES; device++) {
        uint64_t bytes = 0;
        if ((devices >> device & 1) &&
            gshare_real.cuDeviceGetGraphMemAttribute(device, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT,
                                                     &bytes) == CUDA_SUCCESS)
            total += bytes;
    }
    return total;
}

void gshare_graph_memory_refresh(void) {
    if (atomic_load(&device_set) == 0)
        return;
    uint64_t reserved = reserved_bytes(), live = atomic_load(&live_bytes);
    gshare_account_restate(&standing, reserved > live ? reserved : live, false);
}

bool gshare_graph_memory_reclaim(void) {
    uint64_t devices = atomic_load(&device_set);
    for (CUdevice device = 0; device < MAX_DEVICES; device++)
        if (devices >> device & 1)
            gshare_real.cuDeviceGraphMemTrim(device);
    gshare_graph_memory_refresh();
    return devices != 0;
}

void gshare_graph_memory_forget(void) {
    gshare_table_clear(&execs);
    atomic_store(&live_bytes, 0);
    atomic_store(&device_set, 0);
    standing = 0;
}

/* What the nodes of a graph hold: now, and the most so far. */
struct tally {
    struct gshare_table sizes; /* of what is held, by address */
    uint64_t now_bytes;
    uint64_t most_bytes;
};

static void tally_graph(struct tally *tally, CUgraph graph, int depth);

static void tally_allocation(struct tally *tally, CUgraphNode node) {
    CUDA_MEM_ALLOC_NODE_PARAMS allocation = {0};
    if (gshare_real.cuGraphMemAllocNodeGetParams(node, &allocation) != CUDA_SUCCESS)
        return;
    if (__builtin_add_overflow(tally->now_bytes, allocation.bytes, &tally->now_bytes))
        tally->now_bytes = UINT64_MAX;
    if (tally->now_bytes > tally->most_bytes)
        tally->most_bytes = tally->now_bytes;
    if (allocation.address != 0)
        gshare_table_put(&tally->sizes, allocation.address, allocation.bytes);
    atomic_fetch_or(&device_set, 1ull << (allocation.pool.location.id % MAX_DEVICES));
}

static void tally_free(struct tally *tally, CUgraphNode node) {
    CUdeviceptr address = 0;
    uint64_t bytes = 0;
    if (gshare_real.cuGraphMemFreeNodeGetParams(node, &address) == CUDA_SUCCESS && address != 0 &&
        gshare_table_take(&tally->sizes, address, &bytes))
        tally->now_bytes -= bytes < tally->now_bytes ? bytes : tally->now_bytes;
}

static void tally_node(struct tally *tally, CUgraphNode node, int depth) {
    int type = -1;
    CUgraph child = NULL;
    if (gshare_real.cuGraphNodeGetType(node, &type) != CUDA_SUCCESS)
        return;
    if (type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
        tally_allocation(tally, node);
    else if (type == CU_GRAPH_NODE_TYPE_MEM_FREE)
        tally_free(tally, node);
    else if (type == CU_GRAPH_NODE_TYPE_GRAPH && depth < MAX_DEPTH &&
             gshare_real.cuGraphChildGraphNodeGetGraph(node, &child) == CUDA_SUCCESS)
        tally_graph(tally, child, depth + 1);
}

static void tally_graph(struct tally *tally, CUgraph graph, int depth) {
    size_t count = 0;
    if (gshare_real.cuGraphGetNodes(graph, NULL, &count) != CUDA_SUCCESS || count == 0)
        return;
    size_t bytes = count * sizeof(CUgraphNode);
    CUgraphNode *nodes =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (nodes == MAP_FAILED)
        return;
    if (gshare_real.cuGraphGetNodes(graph, nodes, &count) == CUDA_SUCCESS)
        for (size_t i = 0; i < count; i++)
            tally_node(tally, nodes[i], depth);
    munmap(nodes, bytes);
}

static uint64_t most_bytes(CUgraph graph) {
    struct tally tally = {0};
    tally_graph(&tally, graph, 0);
    gshare_table_clear(&tally.sizes);
    return tally.most_bytes;
}

/* Counts a graph that is about to be instantiated; false where it passes the cap. */
static bool admit(uint64_t bytes) {
    uint64_t live = atomic_fetch_add(&live_bytes, bytes) + bytes;
    for (int tries = 0; tries < 2; tries++) {
        uint64_t reserved = reserved_bytes();
        if (gshare_account_restate(&standing, reserved > live ? reserved : live, true))
            return true;
        atomic_fetch_sub(&live_bytes, bytes);
        gshare_pool_reclaim();
        gshare_graph_memory_reclaim();
        live = atomic_fetch_add(&live_bytes, bytes) + bytes;
    }
    atomic_fetch_sub(&live_bytes, bytes);
    return false;
}

static void remember(CUgraphExec exec, uint64_t bytes) {
    gshare_account_lock();
    gshare_table_put(&execs, (uintptr_t)exec, bytes);
    gshare_account_unlock();
}

static CUresult settle(CUresult result, CUgraphExec *exec, uint64_t bytes) {
    if (result == CUDA_SUCCESS) {
        remember(*exec, bytes);
    } else {
        atomic_fetch_sub(&live_bytes, bytes);
        gshare_graph_memory_refresh();
    }
    return result;
}

#define INSTANTIATE(call)                                                                          \
    do {                                                                                           \
        bool leased = gshare_guest_start() == GSHARE_GUEST_LEASED;                                 \
        uint64_t bytes = leased ? most_bytes(graph) : 0;                                           \
        if (bytes == 0)                                                                            \
            return gshare_real.call;                                                               \
        if (!admit(bytes))                                                                         \
            return CUDA_ERROR_OUT_OF_MEMORY;                                                       \
        return settle(gshare_real.call, exec, bytes);                                              \
    } while (0)

CUresult cuGraphInstantiate(CUgraphExec *exec, CUgraph graph, CUgraphNode *failed, char *log,
                            size_t log_bytes) {
    INSTANTIATE(cuGraphInstantiate(exec, graph, failed, log, log_bytes));
}

CUresult cuGraphInstantiate_v2(CUgraphExec *exec, CUgraph graph, CUgraphNode *failed, char *log,
                               size_t log_bytes) {
    INSTANTIATE(cuGraphInstantiate_v2(exec, graph, failed, log, log_bytes));
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
    INSTANTIATE(cuGraphInstantiateWithFlags(exec, graph, flags));
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *exec, CUgraph graph, void *parameters) {
    INSTANTIATE(cuGraphInstantiateWithParams(exec, graph, parameters));
}

CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec *exec, CUgraph graph, void *parameters) {
    INSTANTIATE(cuGraphInstantiateWithParams_ptsz(exec, graph, parameters));
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
    uint64_t bytes = 0;
    gshare_account_lock();
    bool known = gshare_table_take(&execs, (uintptr_t)exec, &bytes);
    gshare_account_unlock();
    CUresult result = gshare_real.cuGraphExecDestroy(exec);
    if (known && result != CUDA_SUCCESS) {
        remember(exec, bytes);
    } else if (known) {
        atomic_fetch_sub(&live_bytes, bytes);
        gshare_graph_memory_refresh();
    }
    return result;
}

CUresult cuDeviceGraphMemTrim(CUdevice device) {
    gshare_guest_start();
    CUresult result = gshare_real.cuDeviceGraphMemTrim(device);
    gshare_graph_memory_refresh();
    return result;
}

#define CAPTURE(call)                                                                              \
    do {                                                                                           \
        gshare_guest_start();                                                                      \
        gshare_gate_forget_stream(); /* what is launched into it is no work from here on */        \
        atomic_store_explicit(&has_captured, true, memory_order_relaxed);                          \
        return gshare_real.call;                                                                   \
    } while (0)

CUresult cuStreamBeginCapture(CUstream stream) {
    CAPTURE(cuStreamBeginCapture(stream));
}

CUresult cuStreamBeginCapture_ptsz(CUstream stream) {
    CAPTURE(cuStreamBeginCapture_ptsz(stream));
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
    CAPTURE(cuStreamBeginCapture_v2(stream, mode));
}

CUresult cuStreamBeginCapture_v2_ptsz(CUstream stream, int mode) {
    CAPTURE(cuStreamBeginCapture_v2_ptsz(stream, mode));
}

CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode *nodes,
                                     const void *edges, size_t count, int mode) {
    CAPTURE(cuStreamBeginCaptureToGraph(stream, graph, nodes, edges, count, mode));
}

CUresult cuStreamBeginCaptureToGraph_ptsz(CUstream stream, CUgraph graph, const CUgraphNode *nodes,
                                          const void *edges, size_t count, int mode) {
    CAPTURE(cuStreamBeginCaptureToGraph_ptsz(stream, graph, nodes, edges, count, mode));
}

CUresult cuStreamBeginCaptureToCig(CUstream stream, void *parameters) {
    CAPTURE(cuStreamBeginCaptureToCig(stream, parameters));
}

CUresult cuStreamBeginCaptureToCig_ptsz(CUstream stream, void *parameters) {
    CAPTURE(cuStreamBeginCaptureToCig_ptsz(stream, parameters));
}

CUresult cuStreamBeginRecaptureToGraph(CUstream stream, int mode, CUgraph graph, void *callback,
                                       void *argument) {
    CAPTURE(cuStreamBeginRecaptureToGraph(stream, mode, graph, callback, argument));
}

CUresult cuStreamBeginRecaptureToGraph_ptsz(CUstream stream, int mode, CUgraph graph,
                                            void *callback, void *argument) {
    CAPTURE(cuStreamBeginRecaptureToGraph_ptsz(stream, mode, graph, callback, argument));
}
