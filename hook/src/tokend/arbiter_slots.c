/* The timetable: when a lease's slots begin, what right each gives, and how the grid slips. */
#include "arbiter_state.h"

/* A slice of a round. */
struct place {
    uint64_t round;
    uint32_t slice;
};

static struct place place_of(const struct gshare_party *p) {
    return (struct place){.round = p->round, .slice = p->slice};
}

static struct place place_after(const struct gshare_party *p) {
    bool last = p->slice + 1 >= p->shape.slice_count;
    return (struct place){.round = p->round + (last ? 1 : 0), .slice = last ? 0 : p->slice + 1};
}

/* The place of the slot after the open one, or of the one that is not open yet. */
static struct place upcoming(const struct gshare_party *p) {
    return p->open ? place_after(p) : place_of(p);
}

static uint64_t start_of(const struct gshare_arbiter *a, const struct gshare_party *p,
                         struct place place) {
    uint64_t start = gshare_share(a, p->shape.slices[place.slice].start_percent);
    return a->origin + place.round * a->window_ns + start;
}

static uint64_t width_of(const struct gshare_arbiter *a, const struct gshare_party *p,
                         struct place place) {
    return gshare_share(a, p->shape.slices[place.slice].width_percent);
}

static void go_on(struct gshare_party *p) {
    p->open = false;
    p->punctual = false;
    p->right_ns = 0;
    struct place next = place_after(p);
    p->round = next.round;
    p->slice = next.slice;
}

uint64_t gshare_tag(const struct gshare_arbiter *a, const struct gshare_party *p) {
    return start_of(a, p, place_of(p));
}

uint64_t gshare_place_end(const struct gshare_arbiter *a, const struct gshare_party *p) {
    return gshare_tag(a, p) + width_of(a, p, place_of(p));
}

uint64_t gshare_next_tag(const struct gshare_arbiter *a, const struct gshare_party *p) {
    return start_of(a, p, upcoming(p));
}

/* What the upcoming slot will be worth, as far as the balance tells; 0 where it will be skipped. */
uint64_t gshare_next_width(const struct gshare_arbiter *a, const struct gshare_party *p) {
    int64_t width = (int64_t)width_of(a, p, upcoming(p));
    int64_t left = p->balance_ns - (p->right_ns > 0 ? p->right_ns : 0);
    int64_t worth = (left < 0 ? width + left : width) - (int64_t)p->prepaid_ns;
    return worth > gshare_skip_ns(a) ? (uint64_t)worth : 0;
}

bool gshare_has_right(const struct gshare_arbiter *a, const struct gshare_party *p) {
    return p->open && !p->yields_to && p->right_ns > gshare_skip_ns(a);
}

/* Stands before the first slot of the timetable that is not over. */
void gshare_find_slot(const struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    p->round = now > a->origin ? (now - a->origin) / a->window_ns : 0;
    p->slice = 0;
    p->open = p->punctual = false;
    p->right_ns = 0;
    while (gshare_place_end(a, p) <= now) {
        go_on(p);
    }
}

/* Percent of a window credited so far, counted from the start of the window that holds `now`. */
int64_t gshare_credited_percent(const struct gshare_arbiter *a, const struct gshare_party *p,
                                uint64_t now) {
    uint64_t round = now > a->origin ? (now - a->origin) / a->window_ns : 0;
    int64_t sum = ((int64_t)p->round - (int64_t)round) * (int64_t)p->shape.request_percent;
    uint32_t credited = p->slice + (p->open ? 1u : 0u);
    for (uint32_t i = 0; i < credited; i++) {
        sum += p->shape.slices[i].width_percent;
    }
    return sum;
}

/* A long idle time is one step, whatever its length. */
static void skip_rounds(const struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    uint64_t tag = gshare_tag(a, p);
    if (p->open || now < tag + 2 * a->window_ns) {
        return;
    }
    uint64_t rounds = (now - tag) / a->window_ns - 1;
    int64_t quota = (int64_t)gshare_share(a, p->shape.request_percent);
    int64_t missing = quota - p->balance_ns;
    if (missing <= 0 || (uint64_t)(missing / quota) < rounds) {
        p->balance_ns = quota;
    } else {
        p->balance_ns += (int64_t)rounds * quota;
    }
    p->round += rounds;
}

static void open_one(const struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    int64_t quota = (int64_t)gshare_share(a, p->shape.request_percent);
    int64_t width = (int64_t)width_of(a, p, place_of(p));
    p->owed_ns = p->balance_ns > 0 ? gshare_least(p->owed_ns, (uint64_t)p->balance_ns) : 0;
    p->balance_ns = (p->balance_ns < quota ? p->balance_ns : quota) + width;
    uint64_t given = gshare_least(p->prepaid_ns, (uint64_t)width);
    int64_t left = width - (int64_t)given;
    p->prepaid_ns -= given;
    p->right_ns = p->balance_ns < left ? p->balance_ns : left;
    p->open = true;
    p->punctual = p->wants && now - gshare_tag(a, p) <= a->window_ns / 20;
}

/* A lease that was not there in time has only what is left of its place in the timetable. */
static void trim(const struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    uint64_t end = gshare_place_end(a, p);
    int64_t left = end > now ? (int64_t)(end - now) : 0;
    if (!p->punctual && p->right_ns > left) {
        p->right_ns = left;
    }
}

/* Brings the lease to the slot of `now`; a borrowed token goes on by right in its own slot. */
void gshare_open_slots(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    if (p->state == TOKEN_DRAINING || p->state == TOKEN_OUT || p->yields_to ||
        (p->state == TOKEN_HOLDING && p->reserved)) {
        return;
    }
    for (;;) {
        skip_rounds(a, p, now);
        if (!p->open) {
            if (now < gshare_tag(a, p)) {
                return;
            }
            if (p->state == TOKEN_HOLDING) {
                gshare_settle(p, now);
            }
            open_one(a, p, now);
        }
        trim(a, p, now);
        if (gshare_has_right(a, p)) {
            break;
        }
        go_on(p);
    }
    if (p->state == TOKEN_HOLDING) {
        gshare_extend(a, p, true, now + (uint64_t)p->right_ns, GSHARE_NEVER, now);
    }
}

/* A slot that has had its time. */
void gshare_close_slot(struct gshare_party *p) {
    if (p->open) {
        go_on(p);
    }
}

/* All tags move; what each lease loses by that is its claim on free time. */
static void move_tags(struct gshare_arbiter *a, uint64_t by) {
    a->origin += by;
    a->slips++;
    for (uint32_t i = 0; i < a->count; i++) {
        struct gshare_party *p = &a->parties[i];
        p->back_at += gshare_waits(p) ? by : 0;
        gshare_claim(a, p, by / FULL_PERCENT * p->shape.request_percent);
    }
}

/* The oldest tag that waits lags by too much: all tags move by half of it. */
void gshare_slip(struct gshare_arbiter *a, uint64_t now) {
    uint64_t lag = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct gshare_party *p = &a->parties[i];
        if (gshare_waits(p) && p->punctual && gshare_has_right(a, p)) {
            uint64_t tag = gshare_tag(a, p);
            uint64_t due = tag > p->back_at ? tag : p->back_at;
            lag = now > due && now - due > lag ? now - due : lag;
        }
    }
    if (lag > a->window_ns / 20) {
        move_tags(a, lag / 2);
    }
}
