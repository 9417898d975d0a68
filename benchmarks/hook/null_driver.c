/* A libcuda.so.1 whose calls return at once, so that what the hook adds to them can be seen. Its
 * events are complete when they are recorded, at the time of the clock. It plays no kernels: what
 * takes time or keeps books is measured on the simulated driver. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda.h"

typedef struct CUevent_st {
    int64_t at_ns;
} *CUevent;

static struct CUctx_st {
    int any;
} the_context;
static _Thread_local CUcontext current;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

#define EXPORT __attribute__((visibility("default")))
/* A call that does nothing and succeeds. */
#define NOTHING(name, parameters)                                                                  \
    EXPORT CUresult name parameters;                                                               \
    EXPORT CUresult name parameters {                                                              \
        return 0;                                                                                  \
    }
/* A call that gives out `value` and succeeds. */
#define GIVES(name, parameters, out, value)                                                        \
    EXPORT CUresult name parameters;                                                               \
    EXPORT CUresult name parameters {                                                              \
        *out = value;                                                                              \
        return 0;                                                                                  \
    }
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wredundant-decls"

#define SHAPE                                                                                      \
    unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by,           \
        unsigned int bz, unsigned int shared, CUstream stream, void **parameters

NOTHING(cuInit, (unsigned int flags))
NOTHING(cuCtxSynchronize, (void))
NOTHING(cuLaunchKernel, (CUfunction function, SHAPE, void **extra))
NOTHING(cuLaunchCooperativeKernel, (CUfunction function, SHAPE))
NOTHING(cuLaunchKernelEx,
        (const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra))
NOTHING(cuGraphLaunch, (CUgraphExec exec, CUstream stream))
NOTHING(cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream))
NOTHING(cuMemsetD8Async, (CUdeviceptr to, unsigned char value, size_t count, CUstream stream))
NOTHING(cuMemFree_v2, (CUdeviceptr address))
NOTHING(cuStreamSynchronize, (CUstream stream))
NOTHING(cuStreamQuery, (CUstream stream))
NOTHING(cuStreamBeginCapture_v2, (CUstream stream, int mode))
NOTHING(cuThreadExchangeStreamCaptureMode, (int *mode))
NOTHING(cuEventQuery, (CUevent event))
NOTHING(cuEventSynchronize, (CUevent event))

GIVES(cuDriverGetVersion, (int *version), version, 12080)
GIVES(cuDeviceGet, (CUdevice * device, int ordinal), device, 0)
GIVES(cuCtxGetDevice, (CUdevice * device), device, 0)
GIVES(cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device), context, &the_context)
GIVES(cuDevicePrimaryCtxGetState, (CUdevice device, unsigned int *flags, int *active), active, 1)
GIVES(cuCtxGetCurrent, (CUcontext * context), context, current)
GIVES(cuModuleLoadData, (CUmodule * module, const void *image), module, (CUmodule)8)
GIVES(cuModuleGetFunction, (CUfunction * function, CUmodule module, const char *name), function,
      (CUfunction)8)
GIVES(cuStreamCreate, (CUstream * stream, unsigned int flags), stream, malloc(8))
GIVES(cuStreamIsCapturing, (CUstream stream, int *status), status, 0)
GIVES(cuStreamEndCapture, (CUstream stream, CUgraph *graph), graph, (CUgraph)8)
GIVES(cuGraphInstantiateWithFlags, (CUgraphExec * exec, CUgraph graph, unsigned long long flags),
      exec, (CUgraphExec)8)
GIVES(cuGraphGetNodes, (CUgraph graph, void *nodes, size_t *count), count, 0)
GIVES(cuMemAlloc_v2, (CUdeviceptr * address, size_t bytes), address, 0x700000000000)
GIVES(cuEventCreate, (CUevent * event, unsigned int flags), event, calloc(1, sizeof **event))
GIVES(cuEventRecord, (CUevent event, CUstream stream), &event->at_ns, now_ns())
GIVES(cuEventElapsedTime, (float *ms, CUevent start, CUevent end), ms,
      (float)((double)(end->at_ns - start->at_ns) / 1e6))

EXPORT CUresult cuCtxSetCurrent(CUcontext context) {
    current = context;
    return 0;
}

EXPORT CUresult cuEventDestroy_v2(CUevent event);
EXPORT CUresult cuEventDestroy_v2(CUevent event) {
    free(event);
    return 0;
}

EXPORT CUresult cuGetProcAddress_v2(const char *name, void **address, int version, uint64_t flags,
                                    int *status) {
    static const struct {
        const char *name;
        void *address;
    } found[] = {
        {"cuLaunchKernel", (void *)cuLaunchKernel},
        {"cuLaunchKernelEx", (void *)cuLaunchKernelEx},
        {"cuLaunchCooperativeKernel", (void *)cuLaunchCooperativeKernel},
        {"cuGraphLaunch", (void *)cuGraphLaunch},
        {"cuMemcpyDtoDAsync", (void *)cuMemcpyDtoDAsync_v2},
        {"cuMemsetD8Async", (void *)cuMemsetD8Async},
        {"cuMemAlloc", (void *)cuMemAlloc_v2},
        {"cuMemFree", (void *)cuMemFree_v2},
    };
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        if (strcmp(found[i].name, name) == 0) {
            *address = found[i].address;
            return 0;
        }
    }
    *address = NULL;
    return 500;
}
