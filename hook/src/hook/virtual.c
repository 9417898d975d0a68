#include "hook/virtual.h"

#include "hook/allocate.h"
#include "hook/guest.h"
#include "hook/table.h"

/* One piece of physical memory, as the table keeps it. */
struct piece {
    enum gshare_charge charge;
    uint16_t uses;  /* handles that were given out, and mappings; at most MAX_USES */
    uint64_t bytes; /* of an import: of its largest mapping so far */
};

#define BYTES_BITS 48
#define USES_BITS 14
#define MAX_USES ((1u << USES_BITS) - 1) /* a piece used more often stays counted for good */

/* All under the account's lock. */
static struct gshare_table pieces;   /* handle: piece */
static struct gshare_table mapped;   /* address: handle */
static struct gshare_table map_size; /* address: bytes */

static uint64_t pack(struct piece piece) {
    uint64_t most = (1ull << BYTES_BITS) - 1;
    return (uint64_t)piece.charge << (BYTES_BITS + USES_BITS) | (uint64_t)piece.uses << BYTES_BITS |
           (piece.bytes < most ? piece.bytes : most);
}

static struct piece unpack(uint64_t value) {
    return (struct piece){
        .charge = (enum gshare_charge)(value >> (BYTES_BITS + USES_BITS)),
        .uses = value >> BYTES_BITS & MAX_USES,
        .bytes = value & ((1ull << BYTES_BITS) - 1),
    };
}

static bool is_leased(void) {
    return gshare_guest_start() == GSHARE_GUEST_LEASED;
}

/* Adds a use of a known piece. Under the lock. */
static bool use(CUmemGenericAllocationHandle handle, struct piece *piece) {
    uint64_t value = 0;
    if (!gshare_table_take(&pieces, handle, &value))
        return false;
    *piece = unpack(value);
    if (piece->uses < MAX_USES)
        piece->uses++;
    gshare_table_put(&pieces, handle, pack(*piece));
    return true;
}

/* Ends a use of a known piece; true where it was the last. Under the lock. */
static bool end_use(CUmemGenericAllocationHandle handle, struct piece *piece) {
    uint64_t value = 0;
    if (!gshare_table_take(&pieces, handle, &value))
        return false;
    *piece = unpack(value);
    if (piece->uses < MAX_USES)
        piece->uses--;
    if (piece->uses != 0)
        gshare_table_put(&pieces, handle, pack(*piece));
    return piece->uses == 0;
}

/* No call tells how large an import is. It is mapped from its beginning on, as the driver demands,
 * so its largest mapping is all that this process has of it, however often it is mapped. Returns
 * what that adds to the import. Under the lock. */
static uint64_t widen(CUmemGenericAllocationHandle handle, uint64_t bytes) {
    uint64_t value = 0;
    if (!gshare_table_take(&pieces, handle, &value))
        return 0;
    struct piece piece = unpack(value);
    bool is_wider = piece.charge == GSHARE_CHARGE_IMPORT && bytes > piece.bytes;
    uint64_t more = is_wider ? bytes - piece.bytes : 0;
    piece.bytes += more;
    gshare_table_put(&pieces, handle, pack(piece));
    return more;
}

/* Notes a handle that the driver gave out; it may be one that is known. */
static void note(CUmemGenericAllocationHandle handle, enum gshare_charge charge, uint64_t bytes) {
    struct piece piece = {.charge = charge, .uses = 1, .bytes = bytes};
    gshare_account_lock();
    if (!use(handle, &piece))
        gshare_table_put(&pieces, handle, pack(piece));
    gshare_account_unlock();
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
                     const CUmemAllocationProp *property, unsigned long long flags) {
    enum gshare_charge charge =
        gshare_is_on_host(property) ? GSHARE_CHARGE_HOST : GSHARE_CHARGE_DEVICE;
    enum gshare_verdict verdict = gshare_allocate_request(charge, bytes);
    if (verdict >= GSHARE_DENIED)
        return gshare_allocate_error(verdict);
    CUresult result = gshare_real.cuMemCreate(handle, bytes, property, flags);
    if (verdict == GSHARE_COUNTED && result == CUDA_SUCCESS)
        note(*handle, charge, bytes);
    else if (verdict == GSHARE_COUNTED)
        gshare_account_give(charge, bytes);
    return result;
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *shared,
                                        int type) {
    bool leased = is_leased();
    CUresult result = gshare_real.cuMemImportFromShareableHandle(handle, shared, type);
    if (leased && result == CUDA_SUCCESS)
        note(*handle, GSHARE_CHARGE_IMPORT, 0);
    return result;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address) {
    bool leased = is_leased();
    struct piece piece;
    CUresult result = gshare_real.cuMemRetainAllocationHandle(handle, address);
    if (leased && result == CUDA_SUCCESS) {
        gshare_account_lock();
        use(*handle, &piece);
        gshare_account_unlock();
    }
    return result;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
    struct piece piece = {0};
    bool known = false, is_last = false;
    if (is_leased()) {
        gshare_account_lock();
        is_last = end_use(handle, &piece);
        known = is_last || piece.uses != 0;
        gshare_account_unlock();
    }
    CUresult result = gshare_real.cuMemRelease(handle);
    if (known && result != CUDA_SUCCESS)
        note(handle, piece.charge, piece.bytes);
    else if (is_last)
        gshare_account_give(piece.charge, piece.bytes);
    return result;
}

CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset,
                  CUmemGenericAllocationHandle handle, unsigned long long flags) {
    struct piece piece = {0};
    bool known = false;
    if (is_leased()) {
        gshare_account_lock();
        known = use(handle, &piece);
        gshare_account_unlock();
    }
    CUresult result = gshare_real.cuMemMap(address, bytes, offset, handle, flags);
    if (!known)
        return result;
    uint64_t more = 0;
    gshare_account_lock();
    if (result == CUDA_SUCCESS) {
        gshare_table_put(&mapped, address, handle);
        gshare_table_put(&map_size, address, bytes);
        more = widen(handle, bytes);
    } else {
        end_use(handle, &piece);
    }
    gshare_account_unlock();
    if (more != 0)
        gshare_account_charge(GSHARE_CHARGE_IMPORT, more);
    return result;
}

/* Forgets the mapping that begins at an address; returns its bytes, 0 where there is none. */
static uint64_t forget_mapping(CUdeviceptr address) {
    uint64_t handle = 0, bytes = 0;
    struct piece piece = {0};
    gshare_account_lock();
    bool known = gshare_table_take(&mapped, address, &handle) &&
                 gshare_table_take(&map_size, address, &bytes);
    bool is_last = known && end_use(handle, &piece);
    gshare_account_unlock();
    if (is_last)
        gshare_account_give(piece.charge, piece.bytes);
    return bytes;
}

/* One call may end any number of mappings that lie side by side. They are forgotten afterwards:
 * nobody maps anew at an address before the call that unmaps it has returned. */
CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
    bool leased = is_leased();
    CUresult result = gshare_real.cuMemUnmap(address, bytes);
    if (!leased || result != CUDA_SUCCESS)
        return result;
    for (uint64_t done = 0, step = 0; done < bytes; done += step) {
        step = forget_mapping(address + done);
        if (step == 0)
            break;
    }
    return result;
}

void gshare_virtual_forget(void) {
    gshare_table_clear(&pieces);
    gshare_table_clear(&mapped);
    gshare_table_clear(&map_size);
}
