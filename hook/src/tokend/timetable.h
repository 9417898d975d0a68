/* The timetable file: text to values. Pure. */
#ifndef GSHARE_TOKEND_TIMETABLE_H
#define GSHARE_TOKEND_TIMETABLE_H

#include "arbiter.h"

struct gshare_entry {
    char id[GSHARE_LEASE_ID_BYTES];
    struct gshare_shape shape;
};

struct gshare_timetable {
    uint32_t count;
    struct gshare_entry entries[GSHARE_ARBITER_LEASES];
};

/* Parses NUL-terminated `text`, which it overwrites. Returns NULL, or what is wrong; `*line` is the
 * line's number. */
const char *gshare_timetable_parse(char *text, struct gshare_timetable *table, uint32_t *line);

#endif
