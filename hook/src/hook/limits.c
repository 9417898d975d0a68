#include "hook/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "hook/session.h"

#define MAX_WINDOW_US 10000000u

/* The copies in turn. A reader keeps the one it found for some instructions; the watcher looks once
 * a window at most, so a copy is written again after that many changes, not before. */
#define COPIES 8

static struct gshare_limits copies[COPIES];
static unsigned in_force; /* the reader's: at the start, then the watcher */

static bool are_slices_sane(const struct gshare_limits *limits) {
    if (limits->slice_count > GSHARE_MAX_SLICES)
        return false;
    for (uint32_t i = 0; i < limits->slice_count; i++)
        if (limits->slices[i].start_percent + limits->slices[i].width_percent > 100)
            return false;
    return true;
}

static bool are_sane(const struct gshare_limits *limits) {
    return limits->header.magic == GSHARE_MAGIC && limits->header.version == GSHARE_WIRE_VERSION &&
           limits->sm_percent >= 1 && limits->sm_percent <= 100 &&
           limits->quota_request_percent >= 1 && limits->quota_request_percent <= 100 &&
           limits->window_us > 0 && limits->window_us <= MAX_WINDOW_US && are_slices_sane(limits);
}

/* Reads one page between two equal, even values of its sequence word. */
static int read_page(int file, struct gshare_limits *page) {
    uint32_t after = 0;
    ssize_t got = pread(file, page, sizeof *page, 0);
    if (got < 0)
        return -errno;
    if (got != (ssize_t)sizeof *page ||
        pread(file, &after, sizeof after, offsetof(struct gshare_limits, sequence)) !=
            (ssize_t)sizeof after)
        return -EBADMSG;
    if (page->sequence % 2 != 0 || page->sequence != after)
        return -EAGAIN;
    return are_sane(page) ? 0 : -EBADMSG;
}

int gshare_limits_read(int directory) {
    struct gshare_limits page;
    int file = openat(directory, "limits", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return -errno;
    int error = read_page(file, &page);
    close(file);
    if (error || (gshare_session.limits && memcmp(&page, &copies[in_force], sizeof page) == 0))
        return error;
    in_force = (in_force + 1) % COPIES;
    memcpy(&copies[in_force], &page, sizeof page);
    gshare_session.limits = &copies[in_force];
    return 0;
}

void gshare_limits_forget(void) {
    gshare_session.limits = NULL;
}
