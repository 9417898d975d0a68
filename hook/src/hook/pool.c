#include "hook/pool.h"

#include <stdatomic.h>

#include "hook/allocate.h"
#include "hook/graph_memory.h"
#include "hook/guest.h"

#define MAX_POOLS 64 /* a raised pool beyond is counted as one that keeps nothing */

struct pool {
    CUmemoryPool handle;       /* NULL: free */
    enum gshare_charge charge; /* of its memory: POOL where raised, HOST, or IMPORT */
    uint64_t threshold;        /* bytes that it keeps unused */
};

/* Raised pools, pools of host memory, and those of other processes, which alone are charged for
 * what these hold. Written under the account's lock. */
static struct pool pools[MAX_POOLS];
static _Atomic uint32_t pool_count;

static struct pool *find(CUmemoryPool handle) {
    for (int i = 0; i < MAX_POOLS; i++)
        if (pools[i].handle == handle)
            return &pools[i];
    return NULL;
}

static void set_pool(CUmemoryPool handle, struct pool as) {
    uint64_t kept = 0;
    gshare_account_lock();
    struct pool *pool = find(handle);
    bool is_noted = as.charge != GSHARE_CHARGE_DEVICE;
    if (!pool && is_noted && (pool = find(NULL)))
        atomic_fetch_add(&pool_count, 1);
    else if (pool && !is_noted)
        atomic_fetch_sub(&pool_count, 1);
    if (pool)
        *pool = is_noted ? as : (struct pool){0};
    for (int i = 0; i < MAX_POOLS; i++)
        if (__builtin_add_overflow(kept, pools[i].threshold, &kept))
            kept = UINT64_MAX;
    gshare_account_unlock();
    gshare_account_keep_at_most(kept);
}

/* Returns which kind of memory the pool hands out. */
static enum gshare_charge charge_of(CUmemoryPool handle) {
    enum gshare_charge charge = GSHARE_CHARGE_DEVICE;
    gshare_account_lock();
    struct pool *pool = handle ? find(handle) : NULL;
    if (pool)
        charge = pool->charge;
    gshare_account_unlock();
    return charge;
}

static enum gshare_charge charge_of_current_pool(void) {
    CUdevice device = 0;
    CUmemoryPool pool = NULL;
    if (atomic_load(&pool_count) == 0 || gshare_real.cuCtxGetDevice(&device) != CUDA_SUCCESS ||
        gshare_real.cuDeviceGetMemPool(&pool, device) != CUDA_SUCCESS)
        return GSHARE_CHARGE_DEVICE;
    return charge_of(pool);
}

/* Copies the raised pools out, since the driver may not be asked under the lock. */
static int raised(CUmemoryPool handles[MAX_POOLS]) {
    int count = 0;
    if (atomic_load(&pool_count) == 0)
        return 0;
    gshare_account_lock();
    for (int i = 0; i < MAX_POOLS; i++)
        if (pools[i].charge == GSHARE_CHARGE_POOL)
            handles[count++] = pools[i].handle;
    gshare_account_unlock();
    return count;
}

static void measure(CUmemoryPool *handles, int count) {
    uint64_t total = 0;
    for (int i = 0; i < count; i++) {
        uint64_t held = 0;
        if (gshare_real.cuMemPoolGetAttribute(handles[i], CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT,
                                              &held) == CUDA_SUCCESS)
            total += held;
    }
    gshare_account_pools_hold(total);
}

void gshare_pool_refresh(void) {
    CUmemoryPool handles[MAX_POOLS];
    int count = raised(handles);
    if (count > 0)
        measure(handles, count);
}

bool gshare_pool_reclaim(void) {
    CUmemoryPool handles[MAX_POOLS];
    int count = raised(handles);
    for (int i = 0; i < count; i++)
        gshare_real.cuMemPoolTrimTo(handles[i], 0);
    if (count > 0)
        measure(handles, count);
    return count > 0;
}

void gshare_pool_forget(void) {
    for (int i = 0; i < MAX_POOLS; i++)
        pools[i] = (struct pool){0};
    atomic_store(&pool_count, 0);
}

/* In a stream under capture an allocation becomes a node, which graph_memory.c counts. */
#define ALLOCATE_IN_ORDER(stream_used, charge, call)                                               \
    do {                                                                                           \
        bool leased = gshare_guest_start() == GSHARE_GUEST_LEASED;                                 \
        if (leased && gshare_graph_memory_captures(stream_used))                                   \
            return gshare_real.call;                                                               \
        enum gshare_charge charged = leased ? charge : GSHARE_CHARGE_DEVICE;                       \
        GSHARE_ALLOCATE(charged, *address, bytes, call);                                           \
    } while (0)

#define FREE_IN_ORDER(stream_used, call)                                                           \
    do {                                                                                           \
        if (gshare_guest_start() == GSHARE_GUEST_LEASED &&                                         \
            gshare_graph_memory_captures(stream_used))                                             \
            return gshare_real.call;                                                               \
        GSHARE_FREE(address, call);                                                                \
    } while (0)

#define OWN(stream) ((stream) ? (stream) : GSHARE_STREAM_PER_THREAD)

CUresult cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream) {
    ALLOCATE_IN_ORDER(stream, charge_of_current_pool(), cuMemAllocAsync(address, bytes, stream));
}

CUresult cuMemAllocAsync_ptsz(CUdeviceptr *address, size_t bytes, CUstream stream) {
    ALLOCATE_IN_ORDER(OWN(stream), charge_of_current_pool(),
                      cuMemAllocAsync_ptsz(address, bytes, stream));
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool pool,
                                 CUstream stream) {
    ALLOCATE_IN_ORDER(stream, charge_of(pool),
                      cuMemAllocFromPoolAsync(address, bytes, pool, stream));
}

CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr *address, size_t bytes, CUmemoryPool pool,
                                      CUstream stream) {
    ALLOCATE_IN_ORDER(OWN(stream), charge_of(pool),
                      cuMemAllocFromPoolAsync_ptsz(address, bytes, pool, stream));
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
    FREE_IN_ORDER(stream, cuMemFreeAsync(address, stream));
}

CUresult cuMemFreeAsync_ptsz(CUdeviceptr address, CUstream stream) {
    FREE_IN_ORDER(OWN(stream), cuMemFreeAsync_ptsz(address, stream));
}

static bool is_leased(void) {
    return gshare_guest_start() == GSHARE_GUEST_LEASED;
}

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemAllocationProp *properties) {
    bool leased = is_leased();
    CUresult result = gshare_real.cuMemPoolCreate(pool, properties);
    if (leased && result == CUDA_SUCCESS && gshare_is_on_host(properties))
        set_pool(*pool, (struct pool){.handle = *pool, .charge = GSHARE_CHARGE_HOST});
    return result;
}

CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool *pool, void *shared, int type,
                                            unsigned long long flags) {
    bool leased = is_leased();
    CUresult result = gshare_real.cuMemPoolImportFromShareableHandle(pool, shared, type, flags);
    if (leased && result == CUDA_SUCCESS)
        set_pool(*pool, (struct pool){.handle = *pool, .charge = GSHARE_CHARGE_IMPORT});
    return result;
}

/* A threshold of 0 makes a pool one that keeps nothing. */
static void set_threshold(CUmemoryPool pool, uint64_t threshold) {
    enum gshare_charge charge = charge_of(pool);
    if (charge == GSHARE_CHARGE_HOST || charge == GSHARE_CHARGE_IMPORT)
        return;
    charge = threshold != 0 ? GSHARE_CHARGE_POOL : GSHARE_CHARGE_DEVICE;
    set_pool(pool, (struct pool){.handle = pool, .charge = charge, .threshold = threshold});
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, int attribute, void *value) {
    bool leased = is_leased();
    CUresult result = gshare_real.cuMemPoolSetAttribute(pool, attribute, value);
    if (leased && result == CUDA_SUCCESS && attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD)
        set_threshold(pool, *(uint64_t *)value);
    return result;
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t bytes) {
    bool leased = is_leased();
    CUresult result = gshare_real.cuMemPoolTrimTo(pool, bytes);
    if (leased && result == CUDA_SUCCESS)
        gshare_pool_refresh();
    return result;
}

/* What the pool kept goes with it. */
CUresult cuMemPoolDestroy(CUmemoryPool pool) {
    bool leased = is_leased();
    CUresult result = gshare_real.cuMemPoolDestroy(pool);
    if (!leased || result != CUDA_SUCCESS || charge_of(pool) == GSHARE_CHARGE_DEVICE)
        return result;
    set_pool(pool, (struct pool){0});
    CUmemoryPool handles[MAX_POOLS];
    measure(handles, raised(handles));
    return result;
}
