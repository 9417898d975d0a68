/* Device memory: every byte that a process takes counts against the lease's cap.
 *
 * The order is: take from the account, ask the driver, remember the size by address. A refusal of
 * ours looks like the driver's own, CUDA_ERROR_OUT_OF_MEMORY with nothing changed; the driver's own
 * failure gives the bytes back. A free is forgotten first, so that a new owner of the address
 * cannot be mistaken for the old, and given back when the driver has freed it. */
#include "hook/account.h"
#include "hook/guest.h"
#include "hook/symbols.h"

#define PITCH_BYTES 512u /* row alignment assumed before the driver says its own */

/* What becomes of a request: the driver is asked, or the result is known already. */
enum verdict { PASS, COUNTED, DENIED, REFUSED };

static enum verdict request(uint64_t bytes) {
    switch (gshare_guest_start()) {
    case GSHARE_GUEST_LEASED:
        return gshare_account_take(bytes) ? COUNTED : DENIED;
    case GSHARE_GUEST_REFUSED:
        return REFUSED;
    default:
        return PASS;
    }
}

static CUresult error_of(enum verdict verdict) {
    return verdict == DENIED ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_NOT_PERMITTED;
}

/* Closes a request that the driver has answered. */
static CUresult settle(enum verdict verdict, CUresult result, enum gshare_holding kind,
                       const unsigned long long *key, uint64_t bytes) {
    if (verdict == COUNTED && result == CUDA_SUCCESS)
        gshare_account_remember(kind, *key, bytes);
    else if (verdict == COUNTED)
        gshare_account_give(bytes);
    return result;
}

/* The common form: one call that yields a key for `bytes`. */
#define ALLOCATE(kind, key, bytes, call)                                                           \
    do {                                                                                           \
        enum verdict verdict = request(bytes);                                                     \
        if (verdict >= DENIED)                                                                     \
            return error_of(verdict);                                                              \
        return settle(verdict, gshare_real.call, kind, key, bytes);                                \
    } while (0)

#define FREE(kind, key, call)                                                                      \
    do {                                                                                           \
        uint64_t bytes = 0;                                                                        \
        bool known = gshare_guest_start() == GSHARE_GUEST_LEASED &&                                \
                     gshare_account_recall(kind, key, &bytes);                                     \
        CUresult result = gshare_real.call;                                                        \
        if (known && result == CUDA_SUCCESS)                                                       \
            gshare_account_give(bytes);                                                            \
        else if (known)                                                                            \
            gshare_account_remember(kind, key, bytes);                                             \
        return result;                                                                             \
    } while (0)

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
    ALLOCATE(GSHARE_ADDRESS, address, bytes, cuMemAlloc_v2(address, bytes));
}

CUresult cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned int flags) {
    ALLOCATE(GSHARE_ADDRESS, address, bytes, cuMemAllocManaged(address, bytes, flags));
}

CUresult cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream) {
    ALLOCATE(GSHARE_ADDRESS, address, bytes, cuMemAllocAsync(address, bytes, stream));
}

CUresult cuMemAllocAsync_ptsz(CUdeviceptr *address, size_t bytes, CUstream stream) {
    ALLOCATE(GSHARE_ADDRESS, address, bytes, cuMemAllocAsync_ptsz(address, bytes, stream));
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool pool,
                                 CUstream stream) {
    ALLOCATE(GSHARE_ADDRESS, address, bytes, cuMemAllocFromPoolAsync(address, bytes, pool, stream));
}

CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr *address, size_t bytes, CUmemoryPool pool,
                                      CUstream stream) {
    ALLOCATE(GSHARE_ADDRESS, address, bytes,
             cuMemAllocFromPoolAsync_ptsz(address, bytes, pool, stream));
}

/* The driver chooses the pitch: what it adds beyond our guess is charged afterwards. */
CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height,
                            unsigned int element) {
    uint64_t row = (width + PITCH_BYTES - 1) / PITCH_BYTES * PITCH_BYTES;
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(row, (uint64_t)height, &bytes))
        bytes = UINT64_MAX;
    enum verdict verdict = request(bytes);
    if (verdict >= DENIED)
        return error_of(verdict);
    CUresult result = gshare_real.cuMemAllocPitch_v2(address, pitch, width, height, element);
    if (verdict == COUNTED && result == CUDA_SUCCESS && *pitch > row) {
        gshare_account_charge((*pitch - row) * height);
        bytes = *pitch * height;
    }
    return settle(verdict, result, GSHARE_ADDRESS, address, bytes);
}

CUresult cuMemFree_v2(CUdeviceptr address) {
    FREE(GSHARE_ADDRESS, address, cuMemFree_v2(address));
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
    FREE(GSHARE_ADDRESS, address, cuMemFreeAsync(address, stream));
}

CUresult cuMemFreeAsync_ptsz(CUdeviceptr address, CUstream stream) {
    FREE(GSHARE_ADDRESS, address, cuMemFreeAsync_ptsz(address, stream));
}

/* Memory on the host, which newer drivers offer by the same call, is not the GPU's. */
CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
                     const CUmemAllocationProp *property, unsigned long long flags) {
    if (gshare_guest_start() == GSHARE_GUEST_INERT ||
        (property && property->location_type != CU_MEM_LOCATION_TYPE_DEVICE))
        return gshare_real.cuMemCreate(handle, bytes, property, flags);
    ALLOCATE(GSHARE_VMM_HANDLE, handle, bytes, cuMemCreate(handle, bytes, property, flags));
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
    FREE(GSHARE_VMM_HANDLE, handle, cuMemRelease(handle));
}
