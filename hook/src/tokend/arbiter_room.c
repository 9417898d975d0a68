/* What fits on the GPU: now, when blocked slots start, and at the tags to come. */
#include <stddef.h>

#include "arbiter_state.h"

static bool uses_sm(const struct gshare_party *p) {
    return p->state == TOKEN_HOLDING || p->state == TOKEN_DRAINING;
}

static uint64_t end_of(const struct gshare_party *p, uint64_t now) {
    return p->state == TOKEN_DRAINING || p->deadline < now ? now : p->deadline;
}

/* Beside all that runs, and beside the blocked slots once they start. */
bool gshare_fits(const struct gshare_arbiter *a, uint32_t sm) {
    return a->sm_in_use + sm <= FULL_PERCENT &&
           (a->blocked_sm == 0 || a->beside_sm + a->blocked_sm + sm <= FULL_PERCENT);
}

/* Not into room that borrowers were just revoked for: it would be revoked again, without end. */
bool gshare_loan_fits(const struct gshare_arbiter *a, uint32_t sm) {
    uint32_t holding = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct gshare_party *p = &a->parties[i];
        holding += p->state == TOKEN_HOLDING ? p->held_sm : 0;
    }
    return gshare_fits(a, sm) &&
           (a->cleared_sm == 0 || holding + sm + a->cleared_sm <= FULL_PERCENT);
}

/* Notes that `sm` more waits for room: those who run leave in the order of their ends. */
void gshare_block(struct gshare_arbiter *a, uint32_t sm, uint64_t now) {
    bool gone[GSHARE_ARBITER_LEASES] = {false};
    bool first = a->blocked_sm == 0;
    uint64_t until = now;
    a->blocked_sm += sm;
    a->beside_sm = a->sm_in_use;
    while (a->beside_sm > 0 && a->beside_sm + a->blocked_sm > FULL_PERCENT) {
        uint32_t next = a->count;
        for (uint32_t i = 0; i < a->count; i++) {
            const struct gshare_party *p = &a->parties[i];
            if (!gone[i] && uses_sm(p) &&
                (next == a->count || end_of(p, now) < end_of(&a->parties[next], now))) {
                next = i;
            }
        }
        if (next == a->count) {
            break;
        }
        gone[next] = true;
        until = end_of(&a->parties[next], now);
        a->beside_sm -= a->parties[next].held_sm;
    }
    if (first) {
        a->blocked_until = until;
    }
}

static bool is_victim(const struct gshare_arbiter *a, const struct gshare_party *p,
                      bool for_unspent) {
    return p->state == TOKEN_HOLDING && !p->reserved && !(for_unspent && gshare_has_unspent(a, p));
}

/* Whether `sm` would fit if borrowers left and drains were over. */
bool gshare_room_without_loans(const struct gshare_arbiter *a, uint32_t sm, bool for_unspent) {
    uint32_t firm = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct gshare_party *p = &a->parties[i];
        if (p->state == TOKEN_HOLDING && !is_victim(a, p, for_unspent)) {
            firm += p->held_sm;
        }
    }
    return firm + sm <= FULL_PERCENT;
}

/* Revokes as many borrowed tokens as `sm` needs, those who got most first; none if that is not
 * enough. */
void gshare_make_room(struct gshare_arbiter *a, uint32_t sm, bool for_unspent, uint64_t now) {
    if (!gshare_room_without_loans(a, sm, for_unspent)) {
        return;
    }
    a->cleared_sm = sm > a->cleared_sm ? sm : a->cleared_sm;
    for (;;) {
        uint32_t staying = 0;
        struct gshare_party *victim = NULL;
        for (uint32_t i = 0; i < a->count; i++) {
            struct gshare_party *p = &a->parties[i];
            staying += p->state == TOKEN_HOLDING ? p->held_sm : 0;
            if (is_victim(a, p, for_unspent) && (!victim || gshare_got_less(victim, p))) {
                victim = p;
            }
        }
        if (!victim || staying + sm <= FULL_PERCENT) {
            return;
        }
        gshare_take(a, victim, now);
    }
}

/* Whether `p` is expected to run at the time `then`. */
static bool runs_at(const struct gshare_arbiter *a, const struct gshare_party *p, uint64_t then) {
    if (p->state == TOKEN_HOLDING && p->deadline > then && !p->yields_to) {
        return true;
    }
    if (gshare_waits(p) && gshare_has_right(a, p)) {
        return true;
    }
    if (!p->present || p->leaving || !p->wants) {
        return false;
    }
    uint64_t tag = gshare_next_tag(a, p);
    return tag <= then && then < tag + gshare_next_width(a, p);
}

static uint32_t load_at(const struct gshare_arbiter *a, const struct gshare_party *besides,
                        uint64_t then) {
    uint32_t load = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct gshare_party *p = &a->parties[i];
        if (p != besides && runs_at(a, p, then)) {
            load += p->shape.sm_percent;
        }
    }
    return load;
}

/* When a loan of `p`, `most` long, must be over: the first slot to come that could not start beside
 * it. */
uint64_t gshare_loan_end(const struct gshare_arbiter *a, const struct gshare_party *p,
                         uint64_t most, uint64_t now) {
    uint64_t horizon = now + most + p->usual_drain_ns;
    uint64_t end = GSHARE_NEVER;
    if (a->blocked_sm && a->beside_sm + a->blocked_sm + p->shape.sm_percent > FULL_PERCENT) {
        end = a->blocked_until;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        const struct gshare_party *other = &a->parties[i];
        if (other == p || !other->present || other->leaving || !other->wants) {
            continue;
        }
        uint64_t tag = gshare_next_tag(a, other);
        if (tag <= now || tag >= horizon || tag >= end || !gshare_next_width(a, other)) {
            continue;
        }
        if (load_at(a, p, tag) + p->shape.sm_percent > FULL_PERCENT) {
            end = tag;
        }
    }
    return end;
}
