/* Who gets a token: reserved slots in the order of their tags, then loans. */
#include <stddef.h>

#include "arbiter_state.h"

static uint32_t due_in_order(struct gshare_arbiter *a, struct gshare_party **due) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        struct gshare_party *p = &a->parties[i];
        if (!gshare_waits(p) || !gshare_has_right(a, p)) {
            continue;
        }
        uint32_t at = count++;
        for (; at > 0 && gshare_tag(a, due[at - 1]) > gshare_tag(a, p); at--) {
            due[at] = due[at - 1];
        }
        due[at] = p;
    }
    return count;
}

void gshare_grant_reserved(struct gshare_arbiter *a, uint64_t now) {
    struct gshare_party *due[GSHARE_ARBITER_LEASES];
    uint32_t count = due_in_order(a, due);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t sm = due[i]->shape.sm_percent;
        if (gshare_fits(a, sm)) {
            gshare_give(a, due[i], true, (uint64_t)due[i]->right_ns, GSHARE_NEVER, now);
            continue;
        }
        gshare_block(a, sm, now);
        gshare_make_room(a, a->blocked_sm, false, now);
    }
}

static bool may_borrow(const struct gshare_arbiter *a, const struct gshare_party *p, uint64_t now) {
    return gshare_waits(p) && !gshare_has_right(a, p) && !p->yields_to &&
           gshare_loan_allowed(a, p, now) > 0;
}

static bool goes_before(const struct gshare_arbiter *a, const struct gshare_party *p,
                        const struct gshare_party *q) {
    enum gshare_rank p_rank = gshare_rank(a, p);
    enum gshare_rank q_rank = gshare_rank(a, q);
    return p_rank != q_rank ? p_rank > q_rank : gshare_got_less(p, q);
}

/* How long a loan of `most` given now would be; its end in *end. 0 where it is not worth while. */
static uint64_t fitted(const struct gshare_arbiter *a, const struct gshare_party *p, uint64_t most,
                       uint64_t now, uint64_t *end) {
    *end = gshare_loan_end(a, p, most, now);
    uint64_t drained = now + p->usual_drain_ns;
    if (*end <= drained) {
        return 0;
    }
    uint64_t length = gshare_least(most, *end - drained);
    return length >= gshare_least_loan_ns(a) ? length : 0;
}

static uint64_t loan_length(const struct gshare_arbiter *a, const struct gshare_party *p,
                            uint64_t now, uint64_t *end) {
    return fitted(a, p, gshare_loan_allowed(a, p, now), now, end);
}

uint64_t gshare_unspent_length(const struct gshare_arbiter *a, const struct gshare_party *p,
                               uint64_t now, uint64_t *end) {
    return fitted(a, p, gshare_unspent_allowed(a, p, now), now, end);
}

/* Grants, or keeps the room for it that borrowers will leave. */
static void lend(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    uint64_t end = 0;
    uint32_t sm = p->shape.sm_percent;
    bool unspent = gshare_has_unspent(a, p);
    bool fits = gshare_loan_fits(a, sm);
    if (!fits && !gshare_room_without_loans(a, a->blocked_sm + sm, unspent)) {
        return;
    }
    uint64_t length = loan_length(a, p, now, &end);
    if (length == 0) {
        return;
    }
    if (fits) {
        gshare_give(a, p, false, length, end, now);
        return;
    }
    gshare_block(a, sm, now);
    if (unspent) {
        gshare_make_room(a, a->blocked_sm, true, now);
    }
}

static uint32_t borrowers(struct gshare_arbiter *a, struct gshare_party **all, uint64_t now) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        if (may_borrow(a, &a->parties[i], now)) {
            all[count++] = &a->parties[i];
        }
    }
    return count;
}

/* What a loan to one changes for the others is room alone, so they are asked for once. */
void gshare_grant_loans(struct gshare_arbiter *a, uint64_t now) {
    struct gshare_party *all[GSHARE_ARBITER_LEASES];
    uint32_t count = borrowers(a, all, now);
    for (uint32_t left = count; left > 0; left--) {
        uint32_t best = count;
        for (uint32_t i = 0; i < count; i++) {
            if (all[i] && (best == count || goes_before(a, all[i], all[best]))) {
                best = i;
            }
        }
        if (a->sm_in_use == FULL_PERCENT && !gshare_has_unspent(a, all[best])) {
            return; /* those who follow may revoke nobody either */
        }
        lend(a, all[best], now);
        all[best] = NULL;
    }
}

/* Whether somebody waits who could start if borrowers left, and cannot start beside them. */
static bool in_the_way(const struct gshare_arbiter *a, const struct gshare_party *p, uint64_t now) {
    uint32_t loans = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct gshare_party *other = &a->parties[i];
        loans += other->state == TOKEN_HOLDING && !other->reserved ? other->held_sm : 0;
    }
    loans += p->reserved ? p->held_sm : 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct gshare_party *other = &a->parties[i];
        bool waits = gshare_waits(other) && !other->yields_to &&
                     (gshare_has_right(a, other) || gshare_loan_allowed(a, other, now) > 0);
        uint32_t with = a->sm_in_use + other->shape.sm_percent;
        if (waits && with > FULL_PERCENT && with - loans <= FULL_PERCENT) {
            return true;
        }
    }
    return false;
}

/* A token that need not change hands stays where it is, for another loan. */
bool gshare_extend_loan(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    uint64_t end = 0;
    if (in_the_way(a, p, now)) {
        return false;
    }
    uint64_t length = loan_length(a, p, now, &end);
    if (length == 0) {
        return false;
    }
    gshare_extend(a, p, false, now + length, end, now);
    return true;
}
