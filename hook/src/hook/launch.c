/* Calls that occupy the GPU. Their bodies are one and the same, so symbols.def generates them.
 *
 * The slow path is a function of the same signature in tail position: arguments that lie on the
 * stack stay where the caller put them. */
#include <stddef.h>

#include "hook/gate.h"
#include "hook/symbols.h"

#define LIGHT false
#define HEAVY true

/* Stream 0 means the legacy stream, or, to the _ptsz and _ptds twins, the thread's own. */
#define STREAM_OF_ANY(stream) (stream)
#define STREAM_OF_LEGACY(stream) (stream)
#define STREAM_OF_THREAD(stream) ((stream) ? (stream) : GSHARE_STREAM_PER_THREAD)

#define GSHARE_LAUNCH(symbol, base, since, streams, stream_, weight, PARAMS, ARGS)                 \
    __attribute__((noinline)) static CUresult waiting_##symbol PARAMS {                            \
        CUresult refusal = gshare_gate_wait(STREAM_OF_##streams((CUstream)(stream_)), weight);     \
        if (refusal != CUDA_SUCCESS)                                                               \
            return refusal;                                                                        \
        CUresult result = gshare_real.symbol ARGS;                                                 \
        gshare_gate_leave();                                                                       \
        return result;                                                                             \
    }                                                                                              \
    CUresult symbol PARAMS {                                                                       \
        CUstream stream_used = STREAM_OF_##streams((CUstream)(stream_));                           \
        if (weight || !gshare_gate_pass(gshare_own_lane, stream_used))                             \
            return waiting_##symbol ARGS;                                                          \
        CUresult result = gshare_real.symbol ARGS;                                                 \
        gshare_gate_leave();                                                                       \
        return result;                                                                             \
    }
#include "hook/symbols.def"
