/* Exchange: whose slot makes way for a waking lease, and who pays for it. The rule and why it
 * costs nobody its quota stand in arbiter.h. */
#include <stddef.h>

#include "arbiter_state.h"

static uint64_t rest_of(const struct gshare_party *p) {
    return p->right_ns > 0 ? (uint64_t)p->right_ns : 0;
}

/* Whether what others made way for is still to come, or under way. */
static bool goes_on(const struct gshare_arbiter *a, const struct gshare_party *p) {
    if (!p->exchange_until) {
        return false;
    }
    return p->state == TOKEN_DRAINING || (p->state == TOKEN_HOLDING && !p->reserved) ||
           (gshare_waits(p) && !gshare_has_right(a, p));
}

/* The slot goes on with what is left of it. What passed is paid for. */
void gshare_resume(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    struct gshare_party *taker = &a->parties[p->yields_to - 1];
    uint64_t elapsed = now > p->back_at ? now - p->back_at : 0;
    uint64_t lost = gshare_least(elapsed, rest_of(p));
    p->yields_to = 0;
    p->back_at = elapsed ? now : p->back_at;
    p->right_ns -= (int64_t)lost;
    if (p->yields_for_slot) {
        p->owed_ns = gshare_least(p->owed_ns + lost, gshare_quota(a, p));
        taker->prepaid_ns = gshare_least(taker->prepaid_ns + lost, gshare_quota(a, taker));
    } else {
        p->surplus_ns -= (int64_t)lost; /* it had that time before, so it is not owed it */
        p->balance_ns -= (int64_t)lost;
    }
    gshare_open_slots(a, p, now);
}

void gshare_call_off(struct gshare_arbiter *a, struct gshare_party *taker, uint64_t now) {
    taker->exchange_until = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        struct gshare_party *p = &a->parties[i];
        if (p->present && p->yields_to == 1 + (uint32_t)(taker - a->parties)) {
            gshare_resume(a, p, now);
        }
    }
}

/* Ends what is over, before anybody is granted anything. */
void gshare_end_exchanges(struct gshare_arbiter *a, uint64_t now) {
    for (uint32_t i = 0; i < a->count; i++) {
        struct gshare_party *p = &a->parties[i];
        if (p->yields_to && !goes_on(a, &a->parties[p->yields_to - 1])) {
            gshare_call_off(a, &a->parties[p->yields_to - 1], now);
        }
        if (p->exchange_until && !goes_on(a, p)) {
            gshare_call_off(a, p, now);
        }
    }
}

/* An exchange in the making. */
struct deal {
    struct gshare_party *taker;
    uint64_t cost_ns; /* the most that a slot loses by it */
    uint32_t need_sm; /* still missing */
    uint32_t slot_sm; /* of the taker's slot to come: not promised away yet */
};

/* The slot lies wholly between this one and its next, so it can be used in its stead. */
static bool slot_repays(const struct gshare_arbiter *a, const struct deal *deal,
                        const struct gshare_party *p) {
    uint64_t tag = gshare_next_tag(a, deal->taker);
    return p->reserved && p->held_sm <= deal->slot_sm && gshare_place_end(a, p) <= tag &&
           tag + deal->cost_ns <= gshare_next_tag(a, p) &&
           deal->cost_ns <= gshare_next_width(a, deal->taker) &&
           p->owed_ns + deal->cost_ns <= gshare_quota(a, p);
}

static bool surplus_repays(const struct deal *deal, const struct gshare_party *p) {
    return p->surplus_ns >= (int64_t)deal->cost_ns;
}

static bool may_yield(const struct gshare_arbiter *a, const struct deal *deal,
                      const struct gshare_party *p, uint64_t now) {
    bool firm = p->reserved || gshare_has_unspent(a, p);
    bool near = p->deadline <= now + gshare_least_loan_ns(a);
    return p->state == TOKEN_HOLDING && firm && !near && !p->gave_back && !p->exchange_until &&
           !p->yields_to && (surplus_repays(deal, p) || slot_repays(a, deal, p));
}

/* One alone, as small as will do; else the largest first, so that few are disturbed. */
static bool yields_better(const struct deal *deal, const struct gshare_party *p,
                          const struct gshare_party *q) {
    bool p_will_do = p->held_sm >= deal->need_sm;
    bool q_will_do = q->held_sm >= deal->need_sm;
    if (p_will_do != q_will_do) {
        return p_will_do;
    }
    return p_will_do ? p->held_sm < q->held_sm : p->held_sm > q->held_sm;
}

static struct gshare_party *next_to_yield(struct gshare_arbiter *a, const struct deal *deal,
                                          uint64_t now) {
    struct gshare_party *best = NULL;
    for (uint32_t i = 0; i < a->count; i++) {
        struct gshare_party *p = &a->parties[i];
        if (may_yield(a, deal, p, now) && (!best || yields_better(deal, p, best))) {
            best = p;
        }
    }
    return best;
}

/* Marks who would make way; whether that is enough. */
static bool choose(struct gshare_arbiter *a, struct deal *deal, uint64_t now) {
    while (deal->need_sm > 0) {
        struct gshare_party *p = next_to_yield(a, deal, now);
        if (!p) {
            return false;
        }
        p->yields_to = 1 + (uint32_t)(deal->taker - a->parties);
        p->yields_for_slot = !surplus_repays(deal, p);
        p->back_at = GSHARE_NEVER; /* draining is use of its own slot */
        deal->slot_sm -= p->yields_for_slot ? p->held_sm : 0;
        deal->need_sm -= p->held_sm < deal->need_sm ? p->held_sm : deal->need_sm;
    }
    return true;
}

static bool makes_way(const struct gshare_arbiter *a, const struct deal *deal,
                      const struct gshare_party *p) {
    return p->present && p->yields_to == 1 + (uint32_t)(deal->taker - a->parties);
}

static void dismiss(struct gshare_arbiter *a, const struct deal *deal) {
    for (uint32_t i = 0; i < a->count; i++) {
        if (makes_way(a, deal, &a->parties[i])) {
            a->parties[i].yields_to = 0;
        }
    }
}

/* Takes the tokens. A loan has no place to go back to: it is paid for at once. */
static void conclude(struct gshare_arbiter *a, const struct deal *deal, uint64_t now) {
    for (uint32_t i = 0; i < a->count; i++) {
        struct gshare_party *p = &a->parties[i];
        if (!makes_way(a, deal, p)) {
            continue;
        }
        gshare_take(a, p, now);
        if (!p->reserved) {
            p->surplus_ns -= (int64_t)deal->cost_ns;
            p->yields_to = 0;
        }
    }
    deal->taker->exchange_until = now + deal->cost_ns;
    gshare_make_room(a, deal->taker->shape.sm_percent, true, now);
}

/* What stays if all leave whom a lease with unspent quota may send away without paying. */
static uint32_t firm_sm(const struct gshare_arbiter *a) {
    uint32_t firm = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct gshare_party *p = &a->parties[i];
        bool lent = !p->reserved && !gshare_has_unspent(a, p);
        firm += p->state == TOKEN_HOLDING && !lent ? p->held_sm : 0;
    }
    return firm;
}

/* Until others have drained and it is back itself. */
static uint64_t overhead(const struct gshare_arbiter *a) {
    uint64_t drain = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct gshare_party *p = &a->parties[i];
        bool slower = p->state == TOKEN_HOLDING && p->usual_drain_ns > drain;
        drain = slower ? p->usual_drain_ns : drain;
    }
    return drain + gshare_least_loan_ns(a);
}

static bool propose(struct gshare_arbiter *a, struct gshare_party *p, uint64_t cost, uint64_t now) {
    uint32_t sm = p->shape.sm_percent;
    uint32_t firm = firm_sm(a);
    if (gshare_loan_fits(a, sm) || firm + sm <= FULL_PERCENT) {
        return false; /* room is there, or can be had for nothing */
    }
    struct deal deal = {
        .taker = p, .cost_ns = cost, .need_sm = firm + sm - FULL_PERCENT, .slot_sm = sm};
    uint64_t end = 0;
    if (!choose(a, &deal, now) || gshare_unspent_length(a, p, now, &end) == 0) {
        dismiss(a, &deal);
        return false;
    }
    conclude(a, &deal, now);
    return true;
}

/* For all that it may use, or for what its slot to come is worth. */
static void ask(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    uint64_t length = gshare_unspent_allowed(a, p, now);
    uint64_t width = gshare_next_width(a, p);
    uint64_t beside = overhead(a);
    if (length == 0 || propose(a, p, length + beside, now)) {
        return;
    }
    if (width < length + beside && width >= gshare_least_loan_ns(a) + beside) {
        propose(a, p, width, now);
    }
}

/* Takes the room that was made, or keeps it until it is there. False: there is no use in it. */
static bool carry_on(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    uint64_t end = 0;
    uint64_t left = p->exchange_until > now ? p->exchange_until - now : 0;
    uint64_t length = gshare_least(gshare_unspent_length(a, p, now, &end), left);
    if (length < gshare_least_loan_ns(a)) {
        p->woke = false;
        gshare_call_off(a, p, now);
        return false;
    }
    if (gshare_fits(a, p->shape.sm_percent)) {
        gshare_give(a, p, false, length, end, now);
    } else {
        gshare_block(a, p->shape.sm_percent, now);
    }
    return true;
}

/* False if a slot goes on that had made way: who has a right has to be looked at again. */
bool gshare_exchange(struct gshare_arbiter *a, uint64_t now) {
    for (uint32_t i = 0; i < a->count; i++) {
        struct gshare_party *p = &a->parties[i];
        if (!gshare_waits(p) || gshare_has_right(a, p) || p->yields_to) {
            continue;
        }
        if (p->woke && !p->exchange_until && a->blocked_sm == 0 && gshare_has_unspent(a, p)) {
            ask(a, p, now);
        }
        if (p->exchange_until && !carry_on(a, p, now)) {
            return false;
        }
    }
    return true;
}

/* When an exchange that is still to come is called off. */
uint64_t gshare_exchange_ends(const struct gshare_arbiter *a, const struct gshare_party *p) {
    return p->exchange_until ? p->exchange_until - gshare_least_loan_ns(a) + 1 : GSHARE_NEVER;
}
