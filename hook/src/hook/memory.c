/* Device memory by the plain calls. Version 1 has sizes and addresses of 32 bits. */
#include "hook/allocate.h"

#define PITCH_BYTES 512u /* row alignment assumed before the driver says its own */

#define ALLOCATE(call)                                                                             \
    GSHARE_ALLOCATE(GSHARE_CHARGE_DEVICE, *address, gshare_allocate_pages(bytes), call)

CUresult cuMemAlloc(unsigned int *address, unsigned int bytes) {
    ALLOCATE(cuMemAlloc(address, bytes));
}

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
    ALLOCATE(cuMemAlloc_v2(address, bytes));
}

CUresult cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned int flags) {
    ALLOCATE(cuMemAllocManaged(address, bytes, flags));
}

static uint64_t pitched(uint64_t width, uint64_t height, uint64_t *row) {
    uint64_t bytes = 0;
    if (__builtin_add_overflow(width, PITCH_BYTES - 1, row))
        return UINT64_MAX;
    *row = *row / PITCH_BYTES * PITCH_BYTES;
    return __builtin_mul_overflow(*row, height, &bytes) ? UINT64_MAX : gshare_allocate_pages(bytes);
}

/* The driver chooses the pitch: what it adds beyond our guess is charged afterwards. */
#define ALLOCATE_PITCHED(call)                                                                     \
    do {                                                                                           \
        uint64_t row = 0, bytes = pitched(width, height, &row);                                    \
        enum gshare_verdict verdict = gshare_allocate_request(GSHARE_CHARGE_DEVICE, bytes);        \
        if (verdict >= GSHARE_DENIED)                                                              \
            return gshare_allocate_error(verdict);                                                 \
        CUresult result = gshare_real.call;                                                        \
        if (verdict == GSHARE_COUNTED && result == CUDA_SUCCESS && *pitch > row) {                 \
            uint64_t taken = gshare_allocate_pages((uint64_t)*pitch * height);                     \
            gshare_account_charge(GSHARE_CHARGE_DEVICE, taken - bytes);                            \
            bytes = taken;                                                                         \
        }                                                                                          \
        uint64_t key = result == CUDA_SUCCESS ? *address : 0;                                      \
        return gshare_allocate_settle(verdict, result, key, GSHARE_CHARGE_DEVICE, bytes);          \
    } while (0)

CUresult cuMemAllocPitch(unsigned int *address, unsigned int *pitch, unsigned int width,
                         unsigned int height, unsigned int element) {
    ALLOCATE_PITCHED(cuMemAllocPitch(address, pitch, width, height, element));
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height,
                            unsigned int element) {
    ALLOCATE_PITCHED(cuMemAllocPitch_v2(address, pitch, width, height, element));
}

CUresult cuMemFree(unsigned int address) {
    GSHARE_FREE(address, cuMemFree(address));
}

CUresult cuMemFree_v2(CUdeviceptr address) {
    GSHARE_FREE(address, cuMemFree_v2(address));
}
