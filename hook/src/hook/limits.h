/* The limits in force: this process's own copy of the lease's limits page.
 *
 * The page is read, never mapped: a file that is cut short would fault in the middle of a launch,
 * and a guest handles no signals. What is read is checked as a whole; a page that is absent, short,
 * torn or not sane changes nothing, so no damage to it lifts a limit or ends a process. */
#ifndef GSHARE_HOOK_LIMITS_H
#define GSHARE_HOOK_LIMITS_H

#include "gshare/wire.h"

/* Reads the page in `directory` and, where it differs, puts it in force: gshare_session.limits.
 * Returns 0, -EBADMSG for a page that is none, -EAGAIN for one that is being written, or what the
 * system said. At the start, and then by the watcher alone. */
int gshare_limits_read(int directory);

/* In a forked child: none are in force. */
void gshare_limits_forget(void);

#endif
