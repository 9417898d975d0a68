/* What a lease is promised: new, or changed while it runs. */
#include <errno.h>
#include <string.h>

#include "arbiter_state.h"

bool gshare_shape_is_valid(const struct gshare_shape *s) {
    uint32_t end = 0;
    uint32_t sum = 0;
    if (s->sm_percent < 1 || s->sm_percent > FULL_PERCENT || s->request_percent < 1 ||
        s->limit_percent < s->request_percent || s->limit_percent > FULL_PERCENT ||
        s->slice_count < 1 || s->slice_count > GSHARE_MAX_SLICES) {
        return false;
    }
    for (uint32_t i = 0; i < s->slice_count; i++) {
        const struct gshare_slice *slice = &s->slices[i];
        if (slice->start_percent < end || slice->width_percent < 1) {
            return false;
        }
        end = (uint32_t)slice->start_percent + slice->width_percent;
        sum += slice->width_percent;
    }
    return end <= FULL_PERCENT && sum == s->request_percent;
}

/* What the old timetable has credited too much or too little of this window is made good, so
 * that a window with a change in it is worth the old quota before and the new one after. What was
 * used by right is no debt beyond this window: the new quota is in force in the next. */
static void lay_anew(struct gshare_arbiter *a, struct gshare_party *p,
                     const struct gshare_shape *shape, uint64_t now) {
    int64_t before = gshare_credited_percent(a, p, now);
    uint64_t gone = now > a->origin ? (now - a->origin) % a->window_ns : 0;
    int64_t fewer = (int64_t)p->shape.request_percent - (int64_t)shape->request_percent;
    if (p->state == TOKEN_HOLDING) {
        gshare_settle(p, now);
    }
    if (p->reserved) {
        p->reserved = false;
        p->hard_end = p->deadline;
    }
    p->shape = *shape;
    gshare_find_slot(a, p, now);
    int64_t credited = gshare_credited_percent(a, p, now);
    int64_t change = (credited - before) * (int64_t)a->percent_ns;
    int64_t to_come = ((int64_t)shape->request_percent - credited) * (int64_t)a->percent_ns;
    int64_t least = (p->balance_ns < 0 ? p->balance_ns : 0) - (to_come > 0 ? to_come : 0);
    p->balance_ns += change + fewer * (int64_t)(gone / FULL_PERCENT);
    p->balance_ns = p->balance_ns > least ? p->balance_ns : least;
}

int gshare_arbiter_put(struct gshare_arbiter *a, uint32_t lease, const struct gshare_shape *shape,
                       uint64_t now) {
    if (lease >= GSHARE_ARBITER_LEASES || !gshare_shape_is_valid(shape) ||
        a->parties[lease].leaving) {
        return -EINVAL;
    }
    struct gshare_party *p = &a->parties[lease];
    if (p->present) {
        bool moves = p->shape.request_percent != shape->request_percent ||
                     p->shape.slice_count != shape->slice_count ||
                     memcmp(p->shape.slices, shape->slices,
                            shape->slice_count * sizeof(shape->slices[0])) != 0;
        if (p->yields_to) {
            gshare_resume(a, p, now);
        }
        gshare_open_slots(a, p, now);
        if (moves) {
            lay_anew(a, p, shape, now);
        }
        p->shape = *shape;
        return 0;
    }
    *p = (struct gshare_party){
        .shape = *shape, .present = true, .bucket_at = now, .usual_busy = GSHARE_PER_MILLE};
    a->count = lease >= a->count ? lease + 1 : a->count;
    gshare_find_slot(a, p, now);
    return 0;
}
