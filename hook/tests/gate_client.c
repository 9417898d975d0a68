/* A program that uses the driver, for the tests of gaps and of limits that change: OUT/tests/
 * gate_client <scenario> <argument>. It knows nothing of the hook. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define GAP_NS 150000ull

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static CUresult launch(CUstream stream) {
    return cuLaunchKernel((CUfunction)8, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL);
}

static CUresult wait_in_stream(CUstream stream) {
    return cuStreamSynchronize(stream);
}

static CUresult wait_in_context(CUstream stream) {
    (void)stream;
    return cuCtxSynchronize();
}

static CUresult wait_by_asking(CUstream stream) {
    CUresult result;
    while ((result = cuStreamQuery(stream)) == CUDA_ERROR_NOT_READY) {
    }
    return result;
}

/* Launches, waits, and leaves the GPU empty for GAP_NS, for a time. */
static int with_gaps(const char *ms, CUstream stream, CUresult (*wait)(CUstream)) {
    uint64_t end_ns = now_ns() + strtoull(ms, NULL, 10) * 1000000;
    while (now_ns() < end_ns) {
        EXPECT(launch(stream) == 0 && launch(stream) == 0 && wait(stream) == 0);
        for (uint64_t until_ns = now_ns() + GAP_NS; now_ns() < until_ns;) {
        }
    }
    return 0;
}

static int gaps_in_stream(const char *ms) {
    CUcontext context;
    EXPECT(cuCtxCreate_v2(&context, 0, 0) == 0);
    return with_gaps(ms, NULL, wait_in_stream);
}

static int gaps_in_context(const char *ms) {
    CUcontext context;
    EXPECT(cuCtxCreate_v2(&context, 0, 0) == 0);
    return with_gaps(ms, NULL, wait_in_context);
}

static int gaps_by_asking(const char *ms) {
    CUcontext context;
    EXPECT(cuCtxCreate_v2(&context, 0, 0) == 0);
    return with_gaps(ms, NULL, wait_by_asking);
}

static CUcontext shared_context;

static void *gaps_in_own_stream(void *ms) {
    CUstream stream;
    if (cuCtxSetCurrent(shared_context) != 0 || cuStreamCreate(&stream, 0) != 0)
        return ms;
    return with_gaps(ms, stream, wait_in_stream) == 0 ? NULL : ms;
}

/* One thread never leaves the GPU empty, the other does. */
static int gaps_beside_work(const char *ms) {
    pthread_t thread;
    EXPECT(cuCtxCreate_v2(&shared_context, 0, 0) == 0);
    EXPECT(pthread_create(&thread, NULL, gaps_in_own_stream, (void *)ms) == 0);
    uint64_t end_ns = now_ns() + strtoull(ms, NULL, 10) * 1000000;
    while (now_ns() < end_ns)
        EXPECT(launch(NULL) == 0);
    void *failed = NULL;
    EXPECT(pthread_join(thread, &failed) == 0 && !failed);
    return 0;
}

/* Asks for 900 MiB until it gets them. */
static int awaits_memory(const char *ms) {
    CUdeviceptr address;
    uint64_t end_ns = now_ns() + strtoull(ms, NULL, 10) * 1000000;
    while (cuMemAlloc_v2(&address, 900ull << 20) != 0) {
        EXPECT(now_ns() < end_ns);
        usleep(500);
    }
    return 0;
}

/* Is refused 2 GiB all the time, and launches all the while. */
static int is_held(const char *ms) {
    CUcontext context;
    CUdeviceptr address;
    EXPECT(cuCtxCreate_v2(&context, 0, 0) == 0);
    uint64_t end_ns = now_ns() + strtoull(ms, NULL, 10) * 1000000;
    while (now_ns() < end_ns) {
        EXPECT(launch(NULL) == 0);
        EXPECT(cuMemAlloc_v2(&address, 2ull << 30) == CUDA_ERROR_OUT_OF_MEMORY);
    }
    return 0;
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        int (*run)(const char *argument);
    } scenarios[] = {
        {"gaps_in_stream", gaps_in_stream}, {"gaps_in_context", gaps_in_context},
        {"gaps_by_asking", gaps_by_asking}, {"gaps_beside_work", gaps_beside_work},
        {"awaits_memory", awaits_memory},   {"is_held", is_held},
    };
    for (size_t i = 0; count == 3 && i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(arguments[1], scenarios[i].name) == 0)
            return scenarios[i].run(arguments[2]);
    return 2;
}
