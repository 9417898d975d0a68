/* A test double of libcuda.so.1: kernels that take time and do nothing.
 *
 * A stream is a time at which its last work ends; an event is the end time of the stream when it
 * was recorded. FAKE_CUDA_STATS names a file of struct fake_stats, which test and double share. */
#include "fake_libcuda.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "hook/driver_api.h"

struct CUctx_st {
    int is_alive;
};
struct CUstream_st {
    _Atomic uint64_t end_ns;
    int is_capturing;
};
struct CUevent_st {
    _Atomic uint64_t at_ns;
};

static struct fake_stats private_stats;
static struct fake_stats *stats = &private_stats;
static struct CUstream_st legacy_stream;
static __thread struct CUstream_st thread_stream;
static __thread CUcontext current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t next_address = 0x700000000000;

__attribute__((constructor)) static void open_stats(void) {
    const char *path = getenv("FAKE_CUDA_STATS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *at = mmap(NULL, sizeof *stats, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (at != MAP_FAILED)
        stats = at;
}

struct fake_stats *fake_stats(void) {
    return stats;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t at_ns) {
    struct timespec at = {(time_t)(at_ns / 1000000000ull), (long)(at_ns % 1000000000ull)};
    while (now_ns() < at_ns)
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static struct CUstream_st *stream_of(CUstream stream, int is_twin) {
    uintptr_t handle = (uintptr_t)stream;
    if (handle == 2 || (handle == 0 && is_twin))
        return &thread_stream;
    return handle <= 1 ? &legacy_stream : stream;
}

static CUresult launch(CUstream handle, int is_twin, unsigned int weight) {
    struct CUstream_st *stream = stream_of(handle, is_twin);
    if (stream->is_capturing) {
        atomic_fetch_add(&stats->captured, 1);
        return CUDA_SUCCESS;
    }
    uint64_t kernel_ns = atomic_load_explicit(&stats->kernel_ns, memory_order_relaxed) * weight;
    if (kernel_ns == 0) {
        atomic_store_explicit(&stats->launches,
                              atomic_load_explicit(&stats->launches, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        return CUDA_SUCCESS;
    }
    pthread_mutex_lock(&lock);
    uint64_t now = now_ns(), start = stream->end_ns > now ? stream->end_ns : now;
    stream->end_ns = start + kernel_ns;
    uint64_t ahead = (start - now + kernel_ns - 1) / kernel_ns + 1;
    if (ahead > atomic_load(&stats->most_queued))
        atomic_store(&stats->most_queued, ahead);
    atomic_store(&stats->last_launch_ns, now);
    atomic_fetch_add(&stats->busy_ns, kernel_ns);
    atomic_fetch_add(&stats->launches, 1);
    pthread_mutex_unlock(&lock);
    return CUDA_SUCCESS;
}

#define KERNEL                                                                                     \
    (CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,   \
     unsigned shared, CUstream stream, void **params, void **extra)
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

CUresult cuLaunchKernel KERNEL {
    return launch(stream, 0, 1);
}

CUresult cuLaunchKernel_ptsz KERNEL {
    atomic_fetch_add(&stats->twin_launches, 1);
    return launch(stream, 1, 1);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **params, void **extra) {
    return launch(config->hStream, 0, 1);
}

CUresult cuGraphLaunch(CUgraphExec graph, CUstream stream) {
    return launch(stream, 0, 10);
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    return launch(stream, 0, 1);
}

CUresult cuInit(unsigned int flags) {
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
    *version = 12080;
    return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device) {
    *context = calloc(1, sizeof **context);
    current = *context;
    return CUDA_SUCCESS;
}

CUresult cuCtxDestroy_v2(CUcontext context) {
    free(context);
    current = NULL;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context) {
    *context = current;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
    current = context;
    return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags) {
    *stream = calloc(1, sizeof **stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream stream) {
    free(stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
    stream->is_capturing = 1;
    return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream stream, int *status) {
    *status = stream_of(stream, 0)->is_capturing;
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream) {
    sleep_until(stream_of(stream, 0)->end_ns);
    return CUDA_SUCCESS;
}

CUresult cuStreamQuery(CUstream stream) {
    return now_ns() >= stream_of(stream, 0)->end_ns ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuCtxSynchronize(void) {
    sleep_until(legacy_stream.end_ns);
    return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *event, unsigned int flags) {
    *event = calloc(1, sizeof **event);
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event) {
    free(event);
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream handle) {
    struct CUstream_st *stream = stream_of(handle, 0);
    atomic_fetch_add(&stats->records, 1);
    if (stream->is_capturing)
        return CUDA_ERROR_INVALID_VALUE;
    uint64_t now = now_ns();
    event->at_ns = stream->end_ns > now ? stream->end_ns : now;
    return CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent event) {
    return now_ns() >= event->at_ns ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuEventSynchronize(CUevent event) {
    sleep_until(event->at_ns);
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end) {
    *ms = (float)((double)(int64_t)(end->at_ns - start->at_ns) / 1e6);
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
    if (bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    atomic_fetch_add_explicit(&stats->allocations, 1, memory_order_relaxed);
    *address =
        atomic_fetch_add_explicit(&next_address, (bytes + 511) / 512 * 512, memory_order_relaxed);
    return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr address) {
    return address & 1 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
                     const CUmemAllocationProp *property, unsigned long long flags) {
    *handle = atomic_fetch_add(&next_address, 1);
    return CUDA_SUCCESS;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
    return CUDA_SUCCESS;
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    *free_bytes = 30ull << 30;
    *total_bytes = 32ull << 30;
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    *bytes = 32ull << 30;
    return CUDA_SUCCESS;
}

/* A version that the hook's table does not have. */
CUresult cuMemFree_v3(CUdeviceptr address, int how) {
    return CUDA_SUCCESS;
}

/* Version 1 has 32 bits. */
CUresult cuMemAlloc(unsigned int *address, unsigned int bytes) {
    *address = 1;
    return CUDA_SUCCESS;
}

static CUresult answer(const char *name, void **address, int version, uint64_t flags, int *status) {
    int twin = flags & 2 && version >= 7000;
    *address = NULL;
    *status = 0;
    if (strcmp(name, "cuLaunchKernel") == 0)
        *address = twin ? (void *)cuLaunchKernel_ptsz : (void *)cuLaunchKernel;
    else if (strcmp(name, "cuMemAlloc") == 0)
        *address = version >= 3020 ? (void *)cuMemAlloc_v2 : (void *)cuMemAlloc;
    else if (strcmp(name, "cuMemFree") == 0)
        *address = version >= 99000 ? (void *)cuMemFree_v3 : (void *)cuMemFree_v2;
    else if (strcmp(name, "cuInit") == 0)
        *address = (void *)cuInit;
    else if (strcmp(name, "cuLaunchKernelEx") == 0 && version >= 11060)
        *address = (void *)cuLaunchKernelEx;
    else
        *status = strcmp(name, "cuLaunchKernelEx") == 0 ? 2 : 1;
    return *status == 1 ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}

CUresult cuGetProcAddress_v2(const char *name, void **address, int version, uint64_t flags,
                             int *status) {
    int own;
    return answer(name, address, version, flags, status ? status : &own);
}

CUresult cuGetProcAddress(const char *name, void **address, int version, uint64_t flags) {
    int own;
    return answer(name, address, version, flags, &own);
}
