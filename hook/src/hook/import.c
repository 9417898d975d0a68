#include "hook/import.h"

#include "hook/allocate.h"
#include "hook/guest.h"
#include "hook/table.h"

#define BYTES_BITS 48 /* of an opened handle's entry; above are its opens */

static struct gshare_table opened; /* address: opens and bytes; under the account's lock */

/* A handle that is open already yields the same address, and is closed as often. */
static void note_open(CUdeviceptr address) {
    CUdeviceptr base = 0;
    size_t size = 0;
    if (gshare_real.cuMemGetAddressRange_v2(&base, &size, address) != CUDA_SUCCESS)
        return;
    uint64_t entry = 0;
    gshare_account_lock();
    bool known = gshare_table_take(&opened, address, &entry);
    if (!known)
        entry = (uint64_t)size & ((1ull << BYTES_BITS) - 1);
    gshare_table_put(&opened, address, entry + (1ull << BYTES_BITS));
    gshare_account_unlock();
    if (!known)
        gshare_account_charge(GSHARE_CHARGE_IMPORT, entry);
}

static void note_close(CUdeviceptr address) {
    uint64_t entry = 0, most = (1ull << BYTES_BITS) - 1;
    gshare_account_lock();
    bool known = gshare_table_take(&opened, address, &entry);
    if (known && entry >> BYTES_BITS > 1)
        gshare_table_put(&opened, address, entry - (1ull << BYTES_BITS));
    gshare_account_unlock();
    if (known && entry >> BYTES_BITS <= 1)
        gshare_account_give(GSHARE_CHARGE_IMPORT, entry & most);
}

#define OPEN(call)                                                                                 \
    do {                                                                                           \
        bool leased = gshare_guest_start() == GSHARE_GUEST_LEASED;                                 \
        CUresult result = gshare_real.call;                                                        \
        if (leased && result == CUDA_SUCCESS)                                                      \
            note_open(*address);                                                                   \
        return result;                                                                             \
    } while (0)

CUresult cuIpcOpenMemHandle(CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags) {
    OPEN(cuIpcOpenMemHandle(address, handle, flags));
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags) {
    OPEN(cuIpcOpenMemHandle_v2(address, handle, flags));
}

CUresult cuIpcCloseMemHandle(CUdeviceptr address) {
    bool leased = gshare_guest_start() == GSHARE_GUEST_LEASED;
    CUresult result = gshare_real.cuIpcCloseMemHandle(address);
    if (leased && result == CUDA_SUCCESS)
        note_close(address);
    return result;
}

/* Freed by cuMemFree or cuMemFreeAsync, as if it were the process's own. */
CUresult cuMemPoolImportPointer(CUdeviceptr *address, CUmemoryPool pool, void *shared) {
    bool leased = gshare_guest_start() == GSHARE_GUEST_LEASED;
    CUdeviceptr base = 0;
    size_t bytes = 0;
    CUresult result = gshare_real.cuMemPoolImportPointer(address, pool, shared);
    if (!leased || result != CUDA_SUCCESS ||
        gshare_real.cuMemGetAddressRange_v2(&base, &bytes, *address) != CUDA_SUCCESS)
        return result;
    struct gshare_held before; /* it may have been imported already, to the same address */
    if (gshare_allocate_recall(*address, &before))
        gshare_account_give(before.charge, before.bytes);
    gshare_account_charge(GSHARE_CHARGE_IMPORT, bytes);
    return gshare_allocate_settle(GSHARE_COUNTED, result, *address, GSHARE_CHARGE_IMPORT, bytes);
}

/* A buffer of Vulkan, Direct3D or NvSci, freed by cuMemFree. */
CUresult cuExternalMemoryGetMappedBuffer(CUdeviceptr *address, void *memory,
                                         const CUDA_EXTERNAL_MEMORY_BUFFER_DESC *buffer) {
    uint64_t bytes = buffer ? buffer->size : 0;
    GSHARE_ALLOCATE(GSHARE_CHARGE_IMPORT, *address, bytes,
                    cuExternalMemoryGetMappedBuffer(address, memory, buffer));
}

static bool ends(uint64_t address, uint64_t entry, void *total) {
    (void)address;
    *(uint64_t *)total += entry & ((1ull << BYTES_BITS) - 1);
    return false;
}

void gshare_import_end_contexts(void) {
    uint64_t total = 0;
    gshare_account_lock();
    gshare_table_sift(&opened, ends, &total);
    gshare_account_unlock();
    gshare_account_give(GSHARE_CHARGE_IMPORT, total);
}

void gshare_import_forget(void) {
    gshare_table_clear(&opened);
}
