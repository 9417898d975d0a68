/* A program's waits for the GPU: what is complete after one is known
 * without asking the driver (gap.h). */
#include "hook/gate.h"
#include "hook/guest.h"
#include "hook/symbols.h"

#define WAIT(call, scope, stream)                                                                  \
    do {                                                                                           \
        gshare_guest_start();                                                                      \
        gshare_gate_begin_wait();                                                                  \
        CUresult result = gshare_real.call;                                                        \
        gshare_gate_end_wait(result == CUDA_SUCCESS ? scope : GSHARE_DONE_NOTHING, stream);        \
        return result;                                                                             \
    } while (0)

CUresult cuCtxSynchronize(void) {
    WAIT(cuCtxSynchronize(), GSHARE_DONE_CONTEXT, NULL);
}

CUresult cuCtxSynchronize_v2(CUcontext context) {
    WAIT(cuCtxSynchronize_v2(context), GSHARE_DONE_PART, NULL);
}

CUresult cuStreamSynchronize(CUstream stream) {
    WAIT(cuStreamSynchronize(stream), GSHARE_DONE_STREAM, stream);
}

CUresult cuStreamSynchronize_ptsz(CUstream stream) {
    CUstream used = stream ? stream : GSHARE_STREAM_PER_THREAD;
    WAIT(cuStreamSynchronize_ptsz(stream), GSHARE_DONE_STREAM, used);
}

CUresult cuEventSynchronize(CUevent event) {
    WAIT(cuEventSynchronize(event), GSHARE_DONE_PART, NULL);
}

/* A program may also ask until the answer is yes. */
#define QUERY(call, scope, stream)                                                                 \
    do {                                                                                           \
        gshare_guest_start();                                                                      \
        CUresult result = gshare_real.call;                                                        \
        if (result == CUDA_SUCCESS)                                                                \
            gshare_gate_saw_complete(scope, stream);                                               \
        else if (result == CUDA_ERROR_NOT_READY)                                                   \
            gshare_gate_saw_work();                                                                \
        return result;                                                                             \
    } while (0)

CUresult cuStreamQuery(CUstream stream) {
    QUERY(cuStreamQuery(stream), GSHARE_DONE_STREAM, stream);
}

CUresult cuStreamQuery_ptsz(CUstream stream) {
    QUERY(cuStreamQuery_ptsz(stream), GSHARE_DONE_STREAM,
          stream ? stream : GSHARE_STREAM_PER_THREAD);
}

CUresult cuEventQuery(CUevent event) {
    QUERY(cuEventQuery(event), GSHARE_DONE_PART, NULL);
}
