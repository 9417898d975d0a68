/* Stream-ordered memory. A pool keeps what is freed up to its release threshold, 0 at first; a pool
 * whose threshold was raised is asked what it holds before a request is denied. */
#ifndef GSHARE_POOL_H
#define GSHARE_POOL_H

#include <stdbool.h>

/* Has raised pools give back what they do not use; false where there are none. */
bool gshare_pool_reclaim(void);

/* Asks raised pools what they hold. */
void gshare_pool_refresh(void);

void gshare_pool_forget(void);

#endif
