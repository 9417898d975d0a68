/* The memory account: what this process holds of the lease, and whether more may be had.
 *
 * The lease's total is the sum over its processes' slots. Each process adds to its own slot first
 * and sums then, so two processes that race may both be refused but never both pass the cap.
 *
 * Device memory counts against the cap; pinned host memory and what another process has exported
 * are counted apart. A pool whose release threshold was raised keeps what is freed: those bytes
 * stay counted, as kept, until they are allocated again or the pool is known to hold less. */
#ifndef GSHARE_ACCOUNT_H
#define GSHARE_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "gshare/wire.h"

enum gshare_charge {
    GSHARE_CHARGE_DEVICE,
    GSHARE_CHARGE_POOL, /* device memory of a pool that keeps what is freed */
    GSHARE_CHARGE_HOST,
    GSHARE_CHARGE_IMPORT,
};

/* What a key names. */
enum gshare_holding { GSHARE_HELD_ADDRESS, GSHARE_HELD_CONTEXT, GSHARE_HELD_USES };

/* What is remembered under a key. */
struct gshare_held {
    enum gshare_charge charge;
    uint16_t context; /* gshare_account_context's; 0: it outlives every context
                         but the last */
    uint64_t bytes;   /* at most 2^44 - 1 */
};

/* Adds bytes if the lease's total stays within its cap; else changes nothing, returns false. What
 * is counted apart always fits. */
bool gshare_account_take(enum gshare_charge charge, uint64_t bytes);

/* Adds bytes whatever the cap says: what the driver has given already. */
void gshare_account_charge(enum gshare_charge charge, uint64_t bytes);

/* Takes bytes back out; saturates at 0. */
void gshare_account_give(enum gshare_charge charge, uint64_t bytes);

/* Replaces a standing charge of device memory by `bytes`. Returns false, with nothing changed,
 * where it would grow past the cap and `must_fit`. */
bool gshare_account_restate(uint64_t *standing, uint64_t bytes, bool must_fit);

/* Raised pools keep up to `bytes` from here on. */
void gshare_account_keep_at_most(uint64_t bytes);

/* Raised pools hold `bytes` of the device now, allocated or kept. */
void gshare_account_pools_hold(uint64_t bytes);

/* Remembers what was taken, until it is freed. */
void gshare_account_remember(enum gshare_holding kind, uint64_t key, struct gshare_held held);

/* Remembers what was taken at an address, as something of a context; NULL: of none. */
void gshare_account_remember_in(const void *context, uint64_t address, struct gshare_held held);

/* Forgets a holding; returns whether it was known, and what it was, which is still counted. */
bool gshare_account_recall(enum gshare_holding kind, uint64_t key, struct gshare_held *held);

/* Counts uses of what a key names, up or down; returns how many there are now. */
uint64_t gshare_account_count(enum gshare_holding kind, uint64_t key, int by);

/* A context is gone, and with it its memory; NULL: the last one, and all memory under addresses. */
void gshare_account_end_context(const void *context);

/* Guards what else hangs on the account (virtual.c, import.c). Held for tens of nanoseconds, never
 * while the driver is called. */
void gshare_account_lock(void);
void gshare_account_unlock(void);

/* Counts in `slot` from here on, beginning with what this process holds now. */
void gshare_account_move(struct gshare_slot *slot);

void gshare_account_before_fork(void);
void gshare_account_after_fork(void);
void gshare_account_forget(void); /* in a forked child */

#endif
