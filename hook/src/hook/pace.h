/* The timetable of one lease as openings of its gate: pure, no clock of its own. */
#ifndef GSHARE_PACE_H
#define GSHARE_PACE_H

#include <stdint.h>

#include "gshare/wire.h"

struct gshare_opening {
    uint64_t start_ns;
    uint64_t end_ns;
};

/* Returns the slice that contains `now_ns`, else the next one. Windows start at multiples of
 * window_us of CLOCK_MONOTONIC, so all processes of a node agree without a word. A limits page
 * without slices is read as one slice of quota_request_percent from the window's start. */
struct gshare_opening gshare_pace_next(const struct gshare_limits *limits, uint64_t now_ns);

#endif
