/* The lease's memory account: what this process holds, and whether more may be had.
 *
 * The lease's total is the sum over its processes' slots. Each process adds to its own slot first
 * and sums then, so two processes that race may both be refused but never both pass the cap. */
#ifndef GSHARE_ACCOUNT_H
#define GSHARE_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "gshare/wire.h"

/* What a key names: addresses and VMM handles are counted in one table. */
enum gshare_holding { GSHARE_ADDRESS, GSHARE_VMM_HANDLE, GSHARE_CONTEXT, GSHARE_ARRAY };

/* Adds bytes if the lease's total stays within its cap; else changes nothing, returns false. */
bool gshare_account_take(uint64_t bytes);

/* Adds bytes whatever the cap says: what the driver has given already. */
void gshare_account_charge(uint64_t bytes);

/* Takes bytes back out; saturates at 0. */
void gshare_account_give(uint64_t bytes);

/* Remembers the size of what was taken, until it is freed. */
void gshare_account_remember(enum gshare_holding kind, uint64_t key, uint64_t bytes);

/* Forgets a holding; returns whether it was known, and its size, which is still counted. */
bool gshare_account_recall(enum gshare_holding kind, uint64_t key, uint64_t *bytes);

/* Counts in `slot` from here on, beginning with what this process holds now. */
void gshare_account_move(struct gshare_slot *slot);

void gshare_account_before_fork(void);
void gshare_account_after_fork(void);
void gshare_account_forget(void);

#endif
