/* What the calls that take memory have in common.
 *
 * The order is: take from the account, ask the driver, remember the size by key. A refusal of ours
 * looks like the driver's own, CUDA_ERROR_OUT_OF_MEMORY with nothing changed; the driver's own
 * failure gives the bytes back. A free is forgotten first, so that a new owner of the key cannot be
 * mistaken for the old, and given back when the driver has freed it. */
#ifndef GSHARE_ALLOCATE_H
#define GSHARE_ALLOCATE_H

#include "hook/account.h"
#include "hook/driver_api.h"
#include "hook/symbols.h"

/* What becomes of a request: the driver is asked, or the result is known already. */
enum gshare_verdict { GSHARE_PASS, GSHARE_COUNTED, GSHARE_DENIED, GSHARE_REFUSED };

/* Returns what the driver takes for one allocation of `bytes`: memory is handed out in pages of 2
 * MiB; pieces of up to 1 MiB share pages, and count as they are. */
uint64_t gshare_allocate_pages(uint64_t bytes);

/* Counts `bytes` where a lease is in force. Before it denies it has pools and graphs give back what
 * they keep unused. */
enum gshare_verdict gshare_allocate_request(enum gshare_charge charge, uint64_t bytes);

/* What the call returns where the driver is not asked. */
CUresult gshare_allocate_error(enum gshare_verdict verdict);

/* Closes a request that the driver has answered; returns the answer. */
CUresult gshare_allocate_settle(enum gshare_verdict verdict, CUresult result, uint64_t key,
                                enum gshare_charge charge, uint64_t bytes);

/* Forgets what lies at an address; true where it was counted. */
bool gshare_allocate_recall(uint64_t key, struct gshare_held *held);

/* Closes a free that the driver has answered; returns the answer. */
CUresult gshare_allocate_freed(bool known, CUresult result, uint64_t key, struct gshare_held held);

/* Raised pools and graphs are asked again what they hold. */
void gshare_allocate_refresh(void);

/* Called by the account in a forked child. */
void gshare_allocate_forget(void);

/* The common form: one call that yields the key of `bytes`. */
#define GSHARE_ALLOCATE(charge, key, bytes, call)                                                  \
    do {                                                                                           \
        enum gshare_verdict verdict_ = gshare_allocate_request(charge, bytes);                     \
        if (verdict_ >= GSHARE_DENIED)                                                             \
            return gshare_allocate_error(verdict_);                                                \
        CUresult result_ = gshare_real.call;                                                       \
        uint64_t key_ = result_ == CUDA_SUCCESS ? (uint64_t)(key) : 0;                             \
        return gshare_allocate_settle(verdict_, result_, key_, charge, bytes);                     \
    } while (0)

#define GSHARE_FREE(key, call)                                                                     \
    do {                                                                                           \
        struct gshare_held held_;                                                                  \
        bool known_ = gshare_allocate_recall((uint64_t)(key), &held_);                             \
        return gshare_allocate_freed(known_, gshare_real.call, (uint64_t)(key), held_);            \
    } while (0)

#endif
