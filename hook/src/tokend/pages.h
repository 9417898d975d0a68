/* The pages that the daemon shares with hooks. */
#ifndef GSHARE_TOKEND_PAGES_H
#define GSHARE_TOKEND_PAGES_H

#include <stddef.h>
#include <sys/types.h>

/* Maps file `name` of folder `dir` for reading and writing, keeping what a page of the right size,
 * magic and version holds, and making it anew otherwise. Its space is set aside, so that a full
 * disk is an error here and no SIGBUS later. Returns 0 and *page, or a negative errno. */
int gshare_page_map(int dir, const char *name, size_t bytes, mode_t mode, void **page);

/* Makes an unnamed, sealed page. Returns its descriptor, or a negative errno. */
int gshare_page_unnamed(const char *name, size_t bytes, void **page);

/* A client can cut off the file under a mapping. From now on such a page turns into private zeroes
 * instead of ending the daemon: only that client's lease is out of order. */
void gshare_page_survive_cuts(void);

#endif
