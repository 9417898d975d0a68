/* The tokens that a process grants itself while its daemon is away: by the slices of its limits on
 * CLOCK_MONOTONIC, less what the last one overran. So a lease has its quota request and no more,
 * and all processes of a node agree without a word. The watcher's alone. */
#ifndef GSHARE_OWN_GRANT_H
#define GSHARE_OWN_GRANT_H

#include <stdint.h>

/* Opens the own grant where the timetable says so. Returns when to look again. */
uint64_t gshare_own_grant_pace(uint64_t now_ns);

/* An own grant has been drained: books its overrun, or offers the rest of an opening that lay idle.
 */
void gshare_own_grant_end(void);

/* The daemon was lost: nothing is granted yet, nor before `from_ns`. */
void gshare_own_grant_begin(uint64_t from_ns);

#endif
