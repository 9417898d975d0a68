/* Calls that occupy the GPU. Their bodies are one and the same, so symbols.def generates them.
 *
 * The slow path is a function of the same signature in tail position: arguments that lie on the
 * stack stay where the caller put them. Fast paths of calls with stack arguments are written in
 * assembly where we have it (launch_stacked.c). */
#include <stddef.h>

#include "hook/gate.h"
#include "hook/launch.h"
#include "hook/symbols.h"

/* Stream 0 means the legacy stream, or, to the _ptsz and _ptds twins, the thread's own. */
#define STREAM_OF_ANY(stream) (stream)
#define STREAM_OF_LEGACY(stream) (stream)
#define STREAM_OF_THREAD(stream) ((stream) ? (stream) : GSHARE_STREAM_PER_THREAD)

#define IS_HEAVY_LIGHT false
#define IS_HEAVY_STACKED false
#define IS_HEAVY_HEAVY true

/* A call that takes no stream (its row says NULL) holds the caller while its work runs. */
#define LEAVE(stream_)                                                                             \
    (__builtin_constant_p(stream_) ? gshare_gate_leave_done() : gshare_gate_leave())
#define LEAVE_SLOWLY(stream_)                                                                      \
    (__builtin_constant_p(stream_) ? gshare_gate_leave_done() : gshare_gate_leave_slowly())

#define FAST_LIGHT(symbol, stream_, stream, PARAMS, ARGS)                                          \
    CUresult symbol PARAMS {                                                                       \
        CUstream used = stream;                                                                    \
        if (!gshare_gate_pass(gshare_own_lane, used))                                              \
            return gshare_waiting_##symbol ARGS;                                                   \
        CUresult result = gshare_real.symbol ARGS;                                                 \
        LEAVE(stream_);                                                                            \
        return result;                                                                             \
    }
#define FAST_HEAVY(symbol, stream_, stream, PARAMS, ARGS)                                          \
    CUresult symbol PARAMS {                                                                       \
        return gshare_waiting_##symbol ARGS;                                                       \
    }
#ifdef GSHARE_STACKED_IN_ASSEMBLY
#define FAST_STACKED(symbol, stream_, stream, PARAMS, ARGS) /* launch_stacked.c */
#else
#define FAST_STACKED FAST_LIGHT
#endif

#define GSHARE_LAUNCH(symbol, base, since, streams, stream_, weight, PARAMS, ARGS)                 \
    CUresult gshare_waiting_##symbol PARAMS {                                                      \
        CUstream used = STREAM_OF_##streams((CUstream)(stream_));                                  \
        CUresult refusal = gshare_gate_wait(used, IS_HEAVY_##weight);                              \
        if (refusal != CUDA_SUCCESS)                                                               \
            return refusal;                                                                        \
        CUresult result = gshare_real.symbol ARGS;                                                 \
        LEAVE_SLOWLY(stream_);                                                                     \
        return result;                                                                             \
    }                                                                                              \
    FAST_##weight(symbol, stream_, STREAM_OF_##streams((CUstream)(stream_)), PARAMS, ARGS)
#include "hook/symbols.def"
