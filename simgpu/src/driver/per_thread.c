/* The forms of calls for programs built with per-thread default streams: the same calls, with the
 * default stream meaning the calling thread's own. */
#include "driver.h"

/* While positive, the calling thread's default stream is its own; see gshare_sim_queue_of(). */
_Thread_local int gshare_sim_per_thread;

#define FORM(symbol, plain, parameters, arguments)                                                 \
    CUresult symbol parameters {                                                                   \
        gshare_sim_per_thread++;                                                                   \
        CUresult result = plain arguments;                                                         \
        gshare_sim_per_thread--;                                                                   \
        return result;                                                                             \
    }

FORM(cuMemAllocAsync_ptsz, cuMemAllocAsync, (CUdeviceptr * a, size_t b, CUstream c), (a, b, c))
FORM(cuMemAllocFromPoolAsync_ptsz, cuMemAllocFromPoolAsync,
     (CUdeviceptr * a, size_t b, CUmemoryPool c, CUstream d), (a, b, c, d))
FORM(cuMemFreeAsync_ptsz, cuMemFreeAsync, (CUdeviceptr a, CUstream b), (a, b))
FORM(cuMemcpy_ptds, cuMemcpy, (CUdeviceptr a, CUdeviceptr b, size_t c), (a, b, c))
FORM(cuMemcpyAsync_ptsz, cuMemcpyAsync, (CUdeviceptr a, CUdeviceptr b, size_t c, CUstream d),
     (a, b, c, d))
FORM(cuMemcpyHtoD_v2_ptds, cuMemcpyHtoD_v2, (CUdeviceptr a, const void *b, size_t c), (a, b, c))
FORM(cuMemcpyHtoDAsync_v2_ptsz, cuMemcpyHtoDAsync_v2,
     (CUdeviceptr a, const void *b, size_t c, CUstream d), (a, b, c, d))
FORM(cuMemcpyDtoH_v2_ptds, cuMemcpyDtoH_v2, (void *a, CUdeviceptr b, size_t c), (a, b, c))
FORM(cuMemcpyDtoHAsync_v2_ptsz, cuMemcpyDtoHAsync_v2,
     (void *a, CUdeviceptr b, size_t c, CUstream d), (a, b, c, d))
FORM(cuMemcpyDtoD_v2_ptds, cuMemcpyDtoD_v2, (CUdeviceptr a, CUdeviceptr b, size_t c), (a, b, c))
FORM(cuMemcpyDtoDAsync_v2_ptsz, cuMemcpyDtoDAsync_v2,
     (CUdeviceptr a, CUdeviceptr b, size_t c, CUstream d), (a, b, c, d))
FORM(cuMemsetD8_v2_ptds, cuMemsetD8_v2, (CUdeviceptr a, unsigned char b, size_t c), (a, b, c))
FORM(cuMemsetD16_v2_ptds, cuMemsetD16_v2, (CUdeviceptr a, unsigned short b, size_t c), (a, b, c))
FORM(cuMemsetD32_v2_ptds, cuMemsetD32_v2, (CUdeviceptr a, unsigned int b, size_t c), (a, b, c))
FORM(cuMemsetD8Async_ptsz, cuMemsetD8Async, (CUdeviceptr a, unsigned char b, size_t c, CUstream d),
     (a, b, c, d))
FORM(cuMemsetD16Async_ptsz, cuMemsetD16Async,
     (CUdeviceptr a, unsigned short b, size_t c, CUstream d), (a, b, c, d))
FORM(cuMemsetD32Async_ptsz, cuMemsetD32Async, (CUdeviceptr a, unsigned int b, size_t c, CUstream d),
     (a, b, c, d))
FORM(cuStreamQuery_ptsz, cuStreamQuery, (CUstream a), (a))
FORM(cuStreamSynchronize_ptsz, cuStreamSynchronize, (CUstream a), (a))
FORM(cuStreamWaitEvent_ptsz, cuStreamWaitEvent, (CUstream a, CUevent b, unsigned int c), (a, b, c))
FORM(cuStreamGetCtx_ptsz, cuStreamGetCtx, (CUstream a, CUcontext *b), (a, b))
FORM(cuStreamGetDevice_ptsz, cuStreamGetDevice, (CUstream a, CUdevice *b), (a, b))
FORM(cuStreamGetFlags_ptsz, cuStreamGetFlags, (CUstream a, unsigned int *b), (a, b))
FORM(cuStreamGetPriority_ptsz, cuStreamGetPriority, (CUstream a, int *b), (a, b))
FORM(cuStreamGetId_ptsz, cuStreamGetId, (CUstream a, unsigned long long *b), (a, b))
FORM(cuStreamIsCapturing_ptsz, cuStreamIsCapturing, (CUstream a, int *b), (a, b))
FORM(cuStreamAddCallback_ptsz, cuStreamAddCallback,
     (CUstream a, CUstreamCallback b, void *c, unsigned int d), (a, b, c, d))
FORM(cuEventRecord_ptsz, cuEventRecord, (CUevent a, CUstream b), (a, b))
FORM(cuEventRecordWithFlags_ptsz, cuEventRecordWithFlags, (CUevent a, CUstream b, unsigned int c),
     (a, b, c))
FORM(cuLaunchKernel_ptsz, cuLaunchKernel,
     (CUfunction a, unsigned int b, unsigned int c, unsigned int d, unsigned int e, unsigned int f,
      unsigned int g, unsigned int h, CUstream i, void **j, void **k),
     (a, b, c, d, e, f, g, h, i, j, k))
FORM(cuLaunchKernelEx_ptsz, cuLaunchKernelEx,
     (const CUlaunchConfig *a, CUfunction b, void **c, void **d), (a, b, c, d))
FORM(cuLaunchCooperativeKernel_ptsz, cuLaunchCooperativeKernel,
     (CUfunction a, unsigned int b, unsigned int c, unsigned int d, unsigned int e, unsigned int f,
      unsigned int g, unsigned int h, CUstream i, void **j),
     (a, b, c, d, e, f, g, h, i, j))
FORM(cuLaunchHostFunc_ptsz, cuLaunchHostFunc, (CUstream a, CUhostFn b, void *c), (a, b, c))
FORM(cuMemcpy2D_v2_ptds, cuMemcpy2D_v2, (const CUDA_MEMCPY2D *a), (a))
FORM(cuMemcpy2DUnaligned_v2_ptds, cuMemcpy2DUnaligned_v2, (const CUDA_MEMCPY2D *a), (a))
FORM(cuMemcpy2DAsync_v2_ptsz, cuMemcpy2DAsync_v2, (const CUDA_MEMCPY2D *a, CUstream b), (a, b))
FORM(cuMemcpyDtoA_v2_ptds, cuMemcpyDtoA_v2, (CUarray a, size_t b, CUdeviceptr c, size_t d),
     (a, b, c, d))
FORM(cuMemcpyAtoD_v2_ptds, cuMemcpyAtoD_v2, (CUdeviceptr a, CUarray b, size_t c, size_t d),
     (a, b, c, d))
FORM(cuMemcpyHtoA_v2_ptds, cuMemcpyHtoA_v2, (CUarray a, size_t b, const void *c, size_t d),
     (a, b, c, d))
FORM(cuMemcpyAtoH_v2_ptds, cuMemcpyAtoH_v2, (void *a, CUarray b, size_t c, size_t d), (a, b, c, d))
FORM(cuMemcpyAtoA_v2_ptds, cuMemcpyAtoA_v2, (CUarray a, size_t b, CUarray c, size_t d, size_t e),
     (a, b, c, d, e))
FORM(cuMemcpyHtoAAsync_v2_ptsz, cuMemcpyHtoAAsync_v2,
     (CUarray a, size_t b, const void *c, size_t d, CUstream e), (a, b, c, d, e))
FORM(cuMemcpyAtoHAsync_v2_ptsz, cuMemcpyAtoHAsync_v2,
     (void *a, CUarray b, size_t c, size_t d, CUstream e), (a, b, c, d, e))
FORM(cuMemcpy3D_v2_ptds, cuMemcpy3D_v2, (const CUDA_MEMCPY3D *a), (a))
FORM(cuMemcpy3DAsync_v2_ptsz, cuMemcpy3DAsync_v2, (const CUDA_MEMCPY3D *a, CUstream b), (a, b))
FORM(cuMemcpy3DPeer_ptds, cuMemcpy3DPeer, (const CUDA_MEMCPY3D *a), (a))
FORM(cuMemcpy3DPeerAsync_ptsz, cuMemcpy3DPeerAsync, (const CUDA_MEMCPY3D *a, CUstream b), (a, b))
FORM(cuMemcpyPeer_ptds, cuMemcpyPeer,
     (CUdeviceptr a, CUcontext b, CUdeviceptr c, CUcontext d, size_t e), (a, b, c, d, e))
FORM(cuMemcpyPeerAsync_ptsz, cuMemcpyPeerAsync,
     (CUdeviceptr a, CUcontext b, CUdeviceptr c, CUcontext d, size_t e, CUstream f),
     (a, b, c, d, e, f))
FORM(cuMemsetD2D8_v2_ptds, cuMemsetD2D8_v2,
     (CUdeviceptr a, size_t b, unsigned char c, size_t d, size_t e), (a, b, c, d, e))
FORM(cuMemsetD2D16_v2_ptds, cuMemsetD2D16_v2,
     (CUdeviceptr a, size_t b, unsigned short c, size_t d, size_t e), (a, b, c, d, e))
FORM(cuMemsetD2D32_v2_ptds, cuMemsetD2D32_v2,
     (CUdeviceptr a, size_t b, unsigned int c, size_t d, size_t e), (a, b, c, d, e))
FORM(cuMemsetD2D8Async_ptsz, cuMemsetD2D8Async,
     (CUdeviceptr a, size_t b, unsigned char c, size_t d, size_t e, CUstream f), (a, b, c, d, e, f))
FORM(cuMemsetD2D16Async_ptsz, cuMemsetD2D16Async,
     (CUdeviceptr a, size_t b, unsigned short c, size_t d, size_t e, CUstream f),
     (a, b, c, d, e, f))
FORM(cuMemsetD2D32Async_ptsz, cuMemsetD2D32Async,
     (CUdeviceptr a, size_t b, unsigned int c, size_t d, size_t e, CUstream f), (a, b, c, d, e, f))
FORM(cuMemPrefetchAsync_ptsz, cuMemPrefetchAsync, (CUdeviceptr a, size_t b, CUdevice c, CUstream d),
     (a, b, c, d))
FORM(cuMemPrefetchAsync_v2_ptsz, cuMemPrefetchAsync_v2,
     (CUdeviceptr a, size_t b, CUmemLocation c, unsigned int d, CUstream e), (a, b, c, d, e))
FORM(cuMemcpyBatchAsync_ptsz, cuMemcpyBatchAsync,
     (CUdeviceptr * a, CUdeviceptr *b, size_t *c, size_t d, const void *e, size_t *f, size_t g,
      size_t *h, CUstream i),
     (a, b, c, d, e, f, g, h, i))
FORM(cuMemcpyBatchAsync_v2_ptsz, cuMemcpyBatchAsync_v2,
     (CUdeviceptr * a, CUdeviceptr *b, size_t *c, size_t d, const void *e, size_t *f, size_t g,
      CUstream h),
     (a, b, c, d, e, f, g, h))
FORM(cuGraphInstantiateWithParams_ptsz, cuGraphInstantiateWithParams,
     (CUgraphExec * a, CUgraph b, CUDA_GRAPH_INSTANTIATE_PARAMS *c), (a, b, c))
FORM(cuGraphUpload_ptsz, cuGraphUpload, (CUgraphExec a, CUstream b), (a, b))
FORM(cuGraphLaunch_ptsz, cuGraphLaunch, (CUgraphExec a, CUstream b), (a, b))
FORM(cuStreamBeginCapture_ptsz, cuStreamBeginCapture, (CUstream a), (a))
FORM(cuStreamBeginCapture_v2_ptsz, cuStreamBeginCapture_v2, (CUstream a, int b), (a, b))
FORM(cuStreamBeginCaptureToGraph_ptsz, cuStreamBeginCaptureToGraph,
     (CUstream a, CUgraph b, const CUgraphNode *c, const CUgraphEdgeData *d, size_t e, int f),
     (a, b, c, d, e, f))
FORM(cuStreamEndCapture_ptsz, cuStreamEndCapture, (CUstream a, CUgraph *b), (a, b))
FORM(cuStreamGetCaptureInfo_ptsz, cuStreamGetCaptureInfo, (CUstream a, int *b, uint64_t *c),
     (a, b, c))
FORM(cuStreamGetCaptureInfo_v2_ptsz, cuStreamGetCaptureInfo_v2,
     (CUstream a, int *b, uint64_t *c, CUgraph *d, const CUgraphNode **e, size_t *f),
     (a, b, c, d, e, f))
FORM(cuStreamGetCaptureInfo_v3_ptsz, cuStreamGetCaptureInfo_v3,
     (CUstream a, int *b, uint64_t *c, CUgraph *d, const CUgraphNode **e, const CUgraphEdgeData **f,
      size_t *g),
     (a, b, c, d, e, f, g))
FORM(cuStreamUpdateCaptureDependencies_ptsz, cuStreamUpdateCaptureDependencies,
     (CUstream a, CUgraphNode *b, size_t c, unsigned int d), (a, b, c, d))
FORM(cuStreamUpdateCaptureDependencies_v2_ptsz, cuStreamUpdateCaptureDependencies_v2,
     (CUstream a, CUgraphNode *b, const CUgraphEdgeData *c, size_t d, unsigned int e),
     (a, b, c, d, e))
FORM(cuStreamSetAttribute_ptsz, cuStreamSetAttribute, (CUstream a, int b, const void *c), (a, b, c))
FORM(cuStreamGetAttribute_ptsz, cuStreamGetAttribute, (CUstream a, int b, void *c), (a, b, c))
FORM(cuStreamCopyAttributes_ptsz, cuStreamCopyAttributes, (CUstream a, CUstream b), (a, b))
FORM(cuStreamAttachMemAsync_ptsz, cuStreamAttachMemAsync,
     (CUstream a, CUdeviceptr b, size_t c, unsigned int d), (a, b, c, d))
FORM(cuMemcpy3DBatchAsync_ptsz, cuMemcpy3DBatchAsync,
     (size_t a, CUDA_MEMCPY3D_BATCH_OP *b, size_t *c, unsigned long long d, CUstream e),
     (a, b, c, d, e))
FORM(cuMemcpy3DBatchAsync_v2_ptsz, cuMemcpy3DBatchAsync_v2,
     (size_t a, CUDA_MEMCPY3D_BATCH_OP *b, unsigned long long c, CUstream d), (a, b, c, d))
