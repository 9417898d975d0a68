/* The hook reads any bytes as a limits page, or leaves the limits in force as they are; with what
 * it takes it can pace itself. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hook/limits.h"
#include "hook/pace.h"
#include "hook/session.h"

#define NOW_NS 123456789012345u

struct gshare_session gshare_session; /* of which limits.c uses the limits alone */

static char folder[64];
static int directory = -1;
static int file = -1;

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

static void check(int good) {
    if (!good) {
        abort();
    }
}

static void remove_folder(void) {
    unlinkat(directory, "limits", 0);
    rmdir(folder);
}

static void make_folder(void) {
    snprintf(folder, sizeof(folder), "served-XXXXXX");
    check(mkdtemp(folder) != NULL);
    directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    file = openat(directory, "limits", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    check(directory >= 0 && file >= 0);
    atexit(remove_folder);
}

static void check_limits(const struct gshare_limits *limits) {
    check(limits->sm_percent >= 1 && limits->sm_percent <= 100);
    check(limits->quota_request_percent >= 1 && limits->quota_request_percent <= 100);
    check(limits->window_us > 0 && limits->slice_count <= GSHARE_MAX_SLICES);
    struct gshare_opening next = gshare_pace_next(limits, NOW_NS);
    uint64_t window_ns = limits->window_us * UINT64_C(1000);
    bool is_never = next.start_ns == UINT64_MAX; /* slices of no width */
    check(is_never || (next.start_ns < next.end_ns && next.end_ns > NOW_NS));
    check(is_never || next.end_ns - next.start_ns <= window_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes) {
    if (file < 0) {
        make_folder();
    }
    check(ftruncate(file, 0) == 0 && pwrite(file, input, bytes, 0) == (ssize_t)bytes);
    const struct gshare_limits *before = gshare_session.limits;
    int error = gshare_limits_read(directory);
    check(error == 0 || error == -EBADMSG || error == -EAGAIN);
    if (error) {
        check(gshare_session.limits == before);
    } else {
        check(bytes >= sizeof(struct gshare_limits));
        check_limits(gshare_session.limits);
    }
    return 0;
}
