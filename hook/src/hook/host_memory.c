/* Pinned host memory: no GPU's, so it has no cap, but it is counted, apart. */
#include "hook/allocate.h"

#define AT(address) ((uintptr_t)(address))

CUresult cuMemAllocHost(void **address, unsigned int bytes) {
    GSHARE_ALLOCATE(GSHARE_CHARGE_HOST, AT(*address), bytes, cuMemAllocHost(address, bytes));
}

CUresult cuMemAllocHost_v2(void **address, size_t bytes) {
    GSHARE_ALLOCATE(GSHARE_CHARGE_HOST, AT(*address), bytes, cuMemAllocHost_v2(address, bytes));
}

CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned int flags) {
    GSHARE_ALLOCATE(GSHARE_CHARGE_HOST, AT(*address), bytes, cuMemHostAlloc(address, bytes, flags));
}

CUresult cuMemHostRegister(void *address, size_t bytes, unsigned int flags) {
    GSHARE_ALLOCATE(GSHARE_CHARGE_HOST, AT(address), bytes,
                    cuMemHostRegister(address, bytes, flags));
}

CUresult cuMemHostRegister_v2(void *address, size_t bytes, unsigned int flags) {
    GSHARE_ALLOCATE(GSHARE_CHARGE_HOST, AT(address), bytes,
                    cuMemHostRegister_v2(address, bytes, flags));
}

CUresult cuMemFreeHost(void *address) {
    GSHARE_FREE(AT(address), cuMemFreeHost(address));
}

CUresult cuMemHostUnregister(void *address) {
    GSHARE_FREE(AT(address), cuMemHostUnregister(address));
}
