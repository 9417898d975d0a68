#include "hook/allocate.h"

#include "hook/graph_memory.h"
#include "hook/guest.h"
#include "hook/import.h"
#include "hook/pool.h"
#include "hook/virtual.h"

#define PAGE_BYTES (2ull << 20)
#define SHARED_BYTES (1ull << 20)

uint64_t gshare_allocate_pages(uint64_t bytes) {
    uint64_t up = 0;
    if (bytes <= SHARED_BYTES)
        return bytes;
    return __builtin_add_overflow(bytes, PAGE_BYTES - 1, &up) ? UINT64_MAX : up & ~(PAGE_BYTES - 1);
}

static bool take(enum gshare_charge charge, uint64_t bytes) {
    if (gshare_account_take(charge, bytes))
        return true;
    bool pools = gshare_pool_reclaim(), graphs = gshare_graph_memory_reclaim();
    return (pools || graphs) && gshare_account_take(charge, bytes);
}

enum gshare_verdict gshare_allocate_request(enum gshare_charge charge, uint64_t bytes) {
    switch (gshare_guest_start()) {
    case GSHARE_GUEST_LEASED:
        return take(charge, bytes) ? GSHARE_COUNTED : GSHARE_DENIED;
    case GSHARE_GUEST_REFUSED:
        return GSHARE_REFUSED;
    default:
        return GSHARE_PASS;
    }
}

CUresult gshare_allocate_error(enum gshare_verdict verdict) {
    return verdict == GSHARE_DENIED ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_NOT_PERMITTED;
}

/* Memory of a pool belongs to its device, all other to the context in which it was allocated. */
static CUcontext context_of(enum gshare_charge charge) {
    CUcontext context = NULL;
    if (charge != GSHARE_CHARGE_POOL && gshare_real.cuCtxGetCurrent(&context) != CUDA_SUCCESS)
        return NULL;
    return context;
}

CUresult gshare_allocate_settle(enum gshare_verdict verdict, CUresult result, uint64_t key,
                                enum gshare_charge charge, uint64_t bytes) {
    if (verdict != GSHARE_COUNTED)
        return result;
    if (result != CUDA_SUCCESS) {
        gshare_account_give(charge, bytes);
        return result;
    }
    struct gshare_held held = {.charge = charge, .bytes = bytes};
    gshare_account_remember_in(context_of(charge), key, held);
    return result;
}

bool gshare_allocate_recall(uint64_t key, struct gshare_held *held) {
    *held = (struct gshare_held){0};
    return gshare_guest_start() == GSHARE_GUEST_LEASED &&
           gshare_account_recall(GSHARE_HELD_ADDRESS, key, held);
}

CUresult gshare_allocate_freed(bool known, CUresult result, uint64_t key, struct gshare_held held) {
    if (known && result == CUDA_SUCCESS)
        gshare_account_give(held.charge, held.bytes);
    else if (known)
        gshare_account_remember(GSHARE_HELD_ADDRESS, key, held);
    return result;
}

void gshare_allocate_refresh(void) {
    gshare_pool_refresh();
    gshare_graph_memory_refresh();
}

void gshare_allocate_forget(void) {
    gshare_pool_forget();
    gshare_graph_memory_forget();
    gshare_virtual_forget();
    gshare_import_forget();
}
