/* Contexts and streams: their events go before they do, and a context's own memory is counted.
 *
 * No driver call tells what a context costs, and the device's free memory before and after it also
 * moves with the neighbours. So the cost is a documented constant, CONTEXT_BYTES, counted once a
 * device while this process has a context there: further contexts of one MPS client share most of
 * it. */
#include "hook/account.h"
#include "hook/gate.h"
#include "hook/guest.h"
#include "hook/symbols.h"
#include "hook/track.h"

#define CONTEXT_BYTES                                                                              \
    (300ull << 20)   /* an MPS client's context on a V100; 100-500 MiB elsewhere                   \
                      */
#define PRIMARY 1ull /* stands for a device's primary context in the table */

/* Holdings of kind GSHARE_CONTEXT: a device's overhead under device_key, and under the handle of
 * each context that the program made, or the primary one's key, the device's key again. */
static uint64_t device_key(CUdevice device) {
    return (uint64_t)device << 2 | 2;
}

static uint64_t primary_key(CUdevice device) {
    return (uint64_t)device << 2 | PRIMARY;
}

static bool is_leased(void) {
    return gshare_guest_start() == GSHARE_GUEST_LEASED;
}

/* Asks for room for one more context on a device; only the first one costs. */
static CUresult admit_context(CUdevice device) {
    uint64_t count = 0;
    if (gshare_guest_start() == GSHARE_GUEST_REFUSED)
        return CUDA_ERROR_NOT_PERMITTED;
    if (!is_leased())
        return CUDA_SUCCESS;
    bool is_first = !gshare_account_recall(GSHARE_CONTEXT, device_key(device), &count);
    if (is_first && !gshare_account_take(CONTEXT_BYTES))
        return CUDA_ERROR_OUT_OF_MEMORY;
    gshare_account_remember(GSHARE_CONTEXT, device_key(device), count + 1);
    return CUDA_SUCCESS;
}

static void drop_device(CUdevice device) {
    uint64_t count = 0;
    if (!gshare_account_recall(GSHARE_CONTEXT, device_key(device), &count))
        return;
    if (count > 1)
        gshare_account_remember(GSHARE_CONTEXT, device_key(device), count - 1);
    else
        gshare_account_give(CONTEXT_BYTES);
}

static CUresult settle_context(CUresult result, uint64_t key, CUdevice device) {
    if (!is_leased())
        return result;
    if (result == CUDA_SUCCESS)
        gshare_account_remember(GSHARE_CONTEXT, key, device_key(device));
    else
        drop_device(device);
    gshare_gate_forget_stream();
    return result;
}

static void drop_context(uint64_t key) {
    uint64_t device = 0;
    if (gshare_account_recall(GSHARE_CONTEXT, key, &device))
        drop_device((CUdevice)(device >> 2));
}

#define CREATE(call)                                                                               \
    do {                                                                                           \
        CUresult refusal = admit_context(device);                                                  \
        if (refusal != CUDA_SUCCESS)                                                               \
            return refusal;                                                                        \
        CUresult result = gshare_real.call;                                                        \
        return settle_context(result, (uint64_t)(uintptr_t)*context, device);                      \
    } while (0)

CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device) {
    CREATE(cuCtxCreate_v2(context, flags, device));
}

CUresult cuCtxCreate_v3(CUcontext *context, void *affinity, int count, unsigned int flags,
                        CUdevice device) {
    CREATE(cuCtxCreate_v3(context, affinity, count, flags, device));
}

CUresult cuCtxCreate_v4(CUcontext *context, void *params, unsigned int flags, CUdevice device) {
    CREATE(cuCtxCreate_v4(context, params, flags, device));
}

/* Ends the tracks of one context, or of all where it is NULL. */
static void end_tracks(CUcontext context) {
    gshare_gate_lock_still();
    gshare_track_end_context(context);
    gshare_gate_unlock();
}

CUresult cuCtxDestroy_v2(CUcontext context) {
    if (!is_leased())
        return gshare_real.cuCtxDestroy_v2(context);
    end_tracks(context);
    gshare_gate_forget_stream();
    CUresult result = gshare_real.cuCtxDestroy_v2(context);
    if (result == CUDA_SUCCESS)
        drop_context((uint64_t)(uintptr_t)context);
    return result;
}

/* Retained again, the primary context costs nothing more. */
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    uint64_t known = 0;
    if (is_leased() && gshare_account_recall(GSHARE_CONTEXT, primary_key(device), &known)) {
        gshare_account_remember(GSHARE_CONTEXT, primary_key(device), known);
        return gshare_real.cuDevicePrimaryCtxRetain(context, device);
    }
    CUresult refusal = admit_context(device);
    if (refusal != CUDA_SUCCESS)
        return refusal;
    return settle_context(gshare_real.cuDevicePrimaryCtxRetain(context, device),
                          primary_key(device), device);
}

/* The last release and a reset destroy the context; only the driver knows which one is the last. */
static CUresult after_release(CUresult result, CUdevice device) {
    unsigned int flags = 0;
    int is_active = 1;
    if (result == CUDA_SUCCESS &&
        gshare_real.cuDevicePrimaryCtxGetState(device, &flags, &is_active) == CUDA_SUCCESS &&
        !is_active)
        drop_context(primary_key(device));
    return result;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    if (!is_leased())
        return gshare_real.cuDevicePrimaryCtxRelease_v2(device);
    end_tracks(NULL);
    gshare_gate_forget_stream();
    return after_release(gshare_real.cuDevicePrimaryCtxRelease_v2(device), device);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
    if (!is_leased())
        return gshare_real.cuDevicePrimaryCtxReset_v2(device);
    end_tracks(NULL);
    gshare_gate_forget_stream();
    return after_release(gshare_real.cuDevicePrimaryCtxReset_v2(device), device);
}

CUresult cuCtxSetCurrent(CUcontext context) {
    gshare_guest_start();
    gshare_gate_forget_stream();
    return gshare_real.cuCtxSetCurrent(context);
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
    gshare_guest_start();
    gshare_gate_forget_stream();
    return gshare_real.cuCtxPushCurrent_v2(context);
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    gshare_guest_start();
    gshare_gate_forget_stream();
    return gshare_real.cuCtxPopCurrent_v2(context);
}

CUresult cuStreamDestroy_v2(CUstream stream) {
    if (is_leased()) {
        gshare_gate_lock_still();
        gshare_track_end_stream(stream);
        gshare_gate_unlock();
    }
    return gshare_real.cuStreamDestroy_v2(stream);
}
