/* Contexts: their events go before they do, and their own memory is counted.
 *
 * No driver call tells what a context costs, and the device's free memory before and after it also
 * moves with the neighbours. So the cost is a documented constant, CONTEXT_BYTES, counted once a
 * device while this process has a context there: further contexts of one MPS client share most of
 * it. */
#include <stdatomic.h>

#include "hook/allocate.h"
#include "hook/gate.h"
#include "hook/guest.h"
#include "hook/import.h"
#include "hook/symbols.h"
#include "hook/track.h"

#define CONTEXT_BYTES                                                                              \
    (300ull << 20)   /* an MPS client's context on a V100; 100-500 MiB elsewhere                   \
                      */
#define PRIMARY 1ull /* stands for a device's primary context in the table */

/* Holdings of kind GSHARE_HELD_CONTEXT: how many contexts a device has, under device_key, and under
 * ALL_DEVICES, and under the handle of each context that the program made, or the primary one's
 * key, the device's key. */
static uint64_t device_key(CUdevice device) {
    return (uint64_t)device << 2 | 2;
}

static uint64_t primary_key(CUdevice device) {
    return (uint64_t)device << 2 | PRIMARY;
}

#define ALL_DEVICES 3ull /* stands for all of them */

static uint64_t key_of(const void *context) {
    return (uintptr_t)context;
}

static bool is_leased(void) {
    return gshare_guest_start() == GSHARE_GUEST_LEASED;
}

static bool recall(enum gshare_holding kind, uint64_t key, uint64_t *value) {
    struct gshare_held held;
    bool known = gshare_account_recall(kind, key, &held);
    *value = held.bytes;
    return known;
}

static void remember(enum gshare_holding kind, uint64_t key, uint64_t value) {
    gshare_account_remember(kind, key, (struct gshare_held){.bytes = value});
}

/* Asks for room for one more context on a device; only the first one costs. */
static CUresult admit_context(CUdevice device) {
    if (gshare_guest_start() == GSHARE_GUEST_REFUSED)
        return CUDA_ERROR_NOT_PERMITTED;
    if (!is_leased())
        return CUDA_SUCCESS;
    if (gshare_account_count(GSHARE_HELD_CONTEXT, device_key(device), 1) == 1 &&
        gshare_allocate_request(GSHARE_CHARGE_DEVICE, CONTEXT_BYTES) != GSHARE_COUNTED) {
        gshare_account_count(GSHARE_HELD_CONTEXT, device_key(device), -1);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    gshare_account_count(GSHARE_HELD_CONTEXT, ALL_DEVICES, 1);
    return CUDA_SUCCESS;
}

/* With the last context go all allocations, whatever they were made in. */
static void drop_device(CUdevice device) {
    if (gshare_account_count(GSHARE_HELD_CONTEXT, device_key(device), -1) == 0)
        gshare_account_give(GSHARE_CHARGE_DEVICE, CONTEXT_BYTES);
    if (gshare_account_count(GSHARE_HELD_CONTEXT, ALL_DEVICES, -1) == 0) {
        gshare_account_end_context(NULL);
        gshare_import_end_contexts();
    }
}

static CUresult settle_context(CUresult result, uint64_t key, CUdevice device) {
    if (!is_leased())
        return result;
    if (result == CUDA_SUCCESS)
        remember(GSHARE_HELD_CONTEXT, key, device_key(device));
    else
        drop_device(device);
    gshare_gate_forget_stream();
    return result;
}

static void drop_context(uint64_t key) {
    uint64_t device = 0;
    if (recall(GSHARE_HELD_CONTEXT, key, &device))
        drop_device((CUdevice)(device >> 2));
}

#define CREATE(call)                                                                               \
    do {                                                                                           \
        CUresult refusal = admit_context(device);                                                  \
        if (refusal != CUDA_SUCCESS)                                                               \
            return refusal;                                                                        \
        CUresult result = gshare_real.call;                                                        \
        return settle_context(result, result == CUDA_SUCCESS ? key_of(*context) : 0, device);      \
    } while (0)

CUresult cuCtxCreate(CUcontext *context, unsigned int flags, CUdevice device) {
    CREATE(cuCtxCreate(context, flags, device));
}

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

CUresult cuGLCtxCreate(CUcontext *context, unsigned int flags, CUdevice device) {
    CREATE(cuGLCtxCreate(context, flags, device));
}

CUresult cuGLCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device) {
    CREATE(cuGLCtxCreate_v2(context, flags, device));
}

CUresult cuVDPAUCtxCreate(CUcontext *context, unsigned int flags, CUdevice device,
                          unsigned int display, void *lookup) {
    CREATE(cuVDPAUCtxCreate(context, flags, device, display, lookup));
}

CUresult cuVDPAUCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device,
                             unsigned int display, void *lookup) {
    CREATE(cuVDPAUCtxCreate_v2(context, flags, device, display, lookup));
}

/* A green context keeps the device's primary context alive. */
CUresult cuGreenCtxCreate(CUgreenCtx *context, void *resources, CUdevice device,
                          unsigned int flags) {
    CREATE(cuGreenCtxCreate(context, resources, device, flags));
}

/* Ends the tracks of one context, or of all where it is NULL. */
static void end_tracks(CUcontext context) {
    gshare_gate_lock_still();
    gshare_track_end_context(context);
    gshare_gate_unlock();
}

/* Before a context may go. False where nothing is counted. */
static bool begin_end(CUcontext context) {
    if (!is_leased())
        return false;
    end_tracks(context);
    gshare_gate_forget_stream();
    return true;
}

#define DESTROY(call)                                                                              \
    do {                                                                                           \
        bool counted = begin_end(context);                                                         \
        CUresult result = gshare_real.call;                                                        \
        if (counted && result == CUDA_SUCCESS) {                                                   \
            gshare_account_end_context(context);                                                   \
            drop_context(key_of(context));                                                         \
        }                                                                                          \
        return result;                                                                             \
    } while (0)

CUresult cuCtxDestroy(CUcontext context) {
    DESTROY(cuCtxDestroy(context));
}

CUresult cuCtxDestroy_v2(CUcontext context) {
    DESTROY(cuCtxDestroy_v2(context));
}

CUresult cuGreenCtxDestroy(CUgreenCtx context) {
    bool counted = begin_end(NULL);
    CUresult result = gshare_real.cuGreenCtxDestroy(context);
    if (counted && result == CUDA_SUCCESS)
        drop_context(key_of(context));
    return result;
}

/* CUDA 2 counted a context's uses: it goes with the last. */
CUresult cuCtxAttach(CUcontext *context, unsigned int flags) {
    bool leased = is_leased();
    CUresult result = gshare_real.cuCtxAttach(context, flags);
    if (leased && result == CUDA_SUCCESS)
        gshare_account_count(GSHARE_HELD_USES, key_of(*context), 1);
    return result;
}

CUresult cuCtxDetach(CUcontext context) {
    uint64_t uses = 0;
    if (is_leased() && recall(GSHARE_HELD_USES, key_of(context), &uses)) {
        gshare_account_count(GSHARE_HELD_USES, key_of(context), (int)uses - 1);
        return gshare_real.cuCtxDetach(context);
    }
    DESTROY(cuCtxDetach(context));
}

/* The handle of a device's primary context, from the last time that it was retained. Written under
 * no lock: every writer stores what the driver said. */
#define MAX_DEVICES 64
static _Atomic(CUcontext) primaries[MAX_DEVICES];

static CUresult note_primary(CUresult result, const CUcontext *context, CUdevice device) {
    if (result == CUDA_SUCCESS && device >= 0 && device < MAX_DEVICES)
        atomic_store(&primaries[device], *context);
    return result;
}

/* Retained again, the primary context costs nothing more. */
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    uint64_t known = 0;
    if (is_leased() && recall(GSHARE_HELD_CONTEXT, primary_key(device), &known)) {
        remember(GSHARE_HELD_CONTEXT, primary_key(device), known);
        return gshare_real.cuDevicePrimaryCtxRetain(context, device);
    }
    CUresult refusal = admit_context(device);
    if (refusal != CUDA_SUCCESS)
        return refusal;
    CUresult result = gshare_real.cuDevicePrimaryCtxRetain(context, device);
    return settle_context(note_primary(result, context, device), primary_key(device), device);
}

/* The last release and a reset destroy the context; only the driver knows which one is the last. */
static CUresult after_release(CUresult result, CUdevice device) {
    unsigned int flags = 0;
    int is_active = 1;
    if (result != CUDA_SUCCESS || device < 0 || device >= MAX_DEVICES ||
        gshare_real.cuDevicePrimaryCtxGetState(device, &flags, &is_active) != CUDA_SUCCESS ||
        is_active)
        return result;
    CUcontext context = atomic_load(&primaries[device]);
    if (context)
        gshare_account_end_context(context);
    drop_context(primary_key(device));
    return result;
}

#define RELEASE(call)                                                                              \
    do {                                                                                           \
        bool counted = begin_end(NULL);                                                            \
        CUresult result = gshare_real.call;                                                        \
        return counted ? after_release(result, device) : result;                                   \
    } while (0)

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    RELEASE(cuDevicePrimaryCtxRelease(device));
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    RELEASE(cuDevicePrimaryCtxRelease_v2(device));
}

CUresult cuDevicePrimaryCtxReset(CUdevice device) {
    RELEASE(cuDevicePrimaryCtxReset(device));
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
    RELEASE(cuDevicePrimaryCtxReset_v2(device));
}
