#include "hook/pace.h"

#include "hook/os.h"

static struct gshare_slice slice_at(const struct gshare_limits *limits, uint32_t index) {
    if (limits->slice_count == 0)
        return (struct gshare_slice){0, (uint16_t)limits->quota_request_percent};
    return limits->slices[index];
}

struct gshare_opening gshare_pace_next(const struct gshare_limits *limits, uint64_t now_ns) {
    uint64_t window_ns = limits->window_us * GSHARE_NS_PER_US;
    uint64_t window_start_ns = now_ns / window_ns * window_ns;
    uint32_t count = limits->slice_count ? limits->slice_count : 1;
    count = count < GSHARE_MAX_SLICES ? count : GSHARE_MAX_SLICES;
    struct gshare_opening next = {UINT64_MAX, UINT64_MAX};
    for (uint32_t i = 0; i < 2 * count; i++) {
        struct gshare_slice slice = slice_at(limits, i % count);
        uint64_t start_ns =
            window_start_ns + (i / count) * window_ns + window_ns * slice.start_percent / 100;
        uint64_t end_ns = start_ns + window_ns * slice.width_percent / 100;
        if (end_ns > now_ns && end_ns > start_ns && start_ns < next.start_ns)
            next = (struct gshare_opening){start_ns, end_ns};
    }
    return next;
}
