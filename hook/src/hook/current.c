/* Which context is current in a thread, and streams that end. */
#include "hook/gate.h"
#include "hook/guest.h"
#include "hook/symbols.h"
#include "hook/track.h"

/* Stream 0 of this thread means another stream from here on. */
#define SWITCH(call)                                                                               \
    do {                                                                                           \
        gshare_guest_start();                                                                      \
        gshare_gate_forget_stream();                                                               \
        return gshare_real.call;                                                                   \
    } while (0)

CUresult cuCtxSetCurrent(CUcontext context) {
    SWITCH(cuCtxSetCurrent(context));
}

CUresult cuCtxPushCurrent(CUcontext context) {
    SWITCH(cuCtxPushCurrent(context));
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
    SWITCH(cuCtxPushCurrent_v2(context));
}

CUresult cuCtxPopCurrent(CUcontext *context) {
    SWITCH(cuCtxPopCurrent(context));
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    SWITCH(cuCtxPopCurrent_v2(context));
}

/* Its events go before it does. */
static void end_stream(CUstream stream) {
    if (gshare_guest_start() != GSHARE_GUEST_LEASED)
        return;
    gshare_gate_lock_still();
    gshare_track_end_stream(stream);
    gshare_gate_unlock();
}

CUresult cuStreamDestroy(CUstream stream) {
    end_stream(stream);
    return gshare_real.cuStreamDestroy(stream);
}

CUresult cuStreamDestroy_v2(CUstream stream) {
    end_stream(stream);
    return gshare_real.cuStreamDestroy_v2(stream);
}
