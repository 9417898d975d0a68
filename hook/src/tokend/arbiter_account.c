/* What a lease has used, what it is owed, and what it may borrow. */
#include "arbiter_state.h"

__extension__ typedef unsigned __int128 wide;

static uint64_t scaled(uint64_t value, uint64_t times, uint64_t by) {
    return by ? (uint64_t)((wide)value * times / by) : 0;
}

static void by_right(struct gshare_party *p, uint64_t elapsed) {
    p->by_right_ns += elapsed;
    p->balance_ns -= (int64_t)elapsed;
}

/* Charges the hold in force up to `now` as if all of it were used; gshare_charge refunds. */
void gshare_settle(struct gshare_party *p, uint64_t now) {
    uint64_t from = p->settled_at;
    uint64_t elapsed = now > from ? now - from : 0;
    p->settled_at = now;
    if (p->reserved) {
        by_right(p, elapsed);
        p->right_ns -= (int64_t)elapsed;
        return;
    }
    uint64_t past = now > p->hard_end ? now - p->hard_end : 0;
    uint64_t debt = gshare_least(past, elapsed);
    uint64_t loan = elapsed - debt;
    uint64_t repaid = gshare_least(gshare_credit(p), loan);
    uint64_t balance = p->balance_ns > 0 ? (uint64_t)p->balance_ns : 0;
    uint64_t unspent = gshare_least(balance, repaid);
    by_right(p, unspent + debt);
    p->by_right_ns += repaid - unspent;
    p->claim_ns -= repaid - unspent;
    p->owed_ns -= gshare_least(p->owed_ns, unspent);
    p->by_loan_ns += loan - repaid;
}

/* The rate is the limit; the depth lets a whole slot be used ahead of the rate. */
static int64_t bucket_depth(const struct gshare_arbiter *a, const struct gshare_party *p) {
    uint32_t limit = p->shape.limit_percent;
    uint64_t ahead = gshare_share(a, limit) * (FULL_PERCENT - limit) / FULL_PERCENT;
    return (int64_t)(ahead + a->window_ns / 20);
}

/* The level, less `pending` that was used since bucket_at and is not charged yet. */
static int64_t bucket_less(const struct gshare_arbiter *a, const struct gshare_party *p,
                           uint64_t pending, uint64_t now) {
    int64_t depth = bucket_depth(a, p);
    uint64_t elapsed = now > p->bucket_at ? now - p->bucket_at : 0;
    int64_t gain = (int64_t)scaled(elapsed, p->shape.limit_percent, FULL_PERCENT);
    int64_t level = p->bucket_ns + gain - (int64_t)pending;
    return level < depth ? level : depth;
}

static int64_t bucket_now(const struct gshare_arbiter *a, const struct gshare_party *p,
                          uint64_t now) {
    bool holds = p->state != TOKEN_NONE && now > p->granted_at;
    uint64_t held = holds ? now - p->granted_at : 0;
    return bucket_less(a, p, scaled(held, p->usual_busy, GSHARE_PER_MILLE), now);
}

void gshare_fill_bucket(const struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    p->bucket_ns = bucket_less(a, p, 0, now);
    p->bucket_at = now;
}

/* Rises at once, so that a bucket is not overdrawn for long; falls slowly. */
static void learn_busy(struct gshare_party *p, uint64_t used, uint64_t busy) {
    uint32_t seen = used ? (uint32_t)scaled(busy, GSHARE_PER_MILLE, used) : p->usual_busy;
    uint32_t faded = p->usual_busy - p->usual_busy / 4;
    p->usual_busy = seen > faded ? seen : faded;
}

/* What a slip or a gap in a hold cost it, or less: one window's quota and a little. */
void gshare_claim(const struct gshare_arbiter *a, struct gshare_party *p, uint64_t lost) {
    p->claim_ns = gshare_least(p->claim_ns + lost, gshare_quota(a, p) + a->window_ns / 40);
}

static void charge_loan(const struct gshare_arbiter *a, struct gshare_party *p, uint64_t loan) {
    int64_t most = (int64_t)gshare_quota(a, p);
    p->borrowed_ns += loan;
    p->surplus_ns += (int64_t)loan;
    p->surplus_ns = p->surplus_ns < most ? p->surplus_ns : most;
}

/* The token is back: what was used of the hold is final, the rest is refunded. Slots pay for all
 * that was held; what was not busy of it comes back as a claim. The limit is one of busy time. */
void gshare_charge(struct gshare_arbiter *a, struct gshare_party *p, uint64_t used, uint64_t busy,
                   uint64_t now) {
    gshare_settle(p, now);
    uint64_t hold = p->by_right_ns + p->by_loan_ns;
    used = gshare_least(used, hold);
    uint64_t refund = hold - used;
    uint64_t refund_right = scaled(refund, p->by_right_ns, hold);
    uint64_t by_right_used = p->by_right_ns - refund_right;
    busy = gshare_least(busy, used);
    p->balance_ns += (int64_t)refund_right;
    p->reserved_ns += by_right_used;
    charge_loan(a, p, p->by_loan_ns - (refund - refund_right));
    gshare_claim(a, p, scaled(used - busy, by_right_used, used));
    learn_busy(p, used, busy);
    p->used_ns += used;
    p->busy_ns += busy;
    p->got_ns += used;
    p->by_right_ns = p->by_loan_ns = 0;
    p->bucket_ns = bucket_less(a, p, busy, now);
    p->bucket_at = now;
}

/* Quota that is unspent, or was lost to slips and gaps. */
uint64_t gshare_credit(const struct gshare_party *p) {
    return (p->balance_ns > 0 ? (uint64_t)p->balance_ns : 0) + p->claim_ns;
}

bool gshare_has_credit(const struct gshare_arbiter *a, const struct gshare_party *p) {
    return gshare_credit(p) > gshare_least_loan_ns(a);
}

bool gshare_has_unspent(const struct gshare_arbiter *a, const struct gshare_party *p) {
    return p->balance_ns > (int64_t)gshare_least_loan_ns(a);
}

enum gshare_rank gshare_rank(const struct gshare_arbiter *a, const struct gshare_party *p) {
    if (!gshare_has_unspent(a, p)) {
        return gshare_has_credit(a, p) ? RANK_CLAIM : RANK_NONE;
    }
    return p->owed_ns > gshare_least_loan_ns(a) ? RANK_OWED : RANK_UNSPENT;
}

/* The shortest loan that the limit hands out: more is saved up, unless credit is repaid. */
static uint64_t least_by_limit(const struct gshare_arbiter *a, const struct gshare_party *p) {
    return gshare_has_credit(a, p) ? gshare_least_loan_ns(a) : gshare_loan_ns(a) / 2;
}

/* How long the limit lets it run on from now, and still use all of its next slot. */
static uint64_t limit_allows(const struct gshare_arbiter *a, const struct gshare_party *p,
                             uint64_t now) {
    uint32_t limit = p->shape.limit_percent;
    uint32_t rest = FULL_PERCENT - limit;
    if (rest == 0) {
        return GSHARE_NEVER;
    }
    int64_t level = bucket_now(a, p, now);
    if (level <= 0) {
        return 0;
    }
    uint64_t tag = gshare_next_tag(a, p);
    uint64_t gain = tag > now ? scaled(tag - now, limit, FULL_PERCENT) : 0;
    uint64_t kept = scaled(gshare_next_width(a, p), rest, FULL_PERCENT);
    uint64_t ahead = (uint64_t)level + gain > kept ? (uint64_t)level + gain - kept : 0;
    uint64_t length = gshare_least(ahead, scaled((uint64_t)level, FULL_PERCENT, rest));
    return length >= least_by_limit(a, p) ? length : 0;
}

/* How long it may run beyond its slots: 0, or at least W/80. */
uint64_t gshare_loan_allowed(const struct gshare_arbiter *a, const struct gshare_party *p,
                             uint64_t now) {
    uint64_t length = gshare_least(limit_allows(a, p, now), gshare_loan_ns(a));
    if (p->shape.limit_percent <= p->shape.request_percent) {
        length = gshare_least(length, gshare_credit(p));
    }
    return length >= gshare_least_loan_ns(a) ? length : 0;
}

/* What a waking lease may use of its unspent quota at once: 0, or W/80 to W/4. */
uint64_t gshare_unspent_allowed(const struct gshare_arbiter *a, const struct gshare_party *p,
                                uint64_t now) {
    uint64_t unspent = gshare_has_unspent(a, p) ? (uint64_t)p->balance_ns : 0;
    uint64_t most = gshare_least(unspent, 2 * gshare_loan_ns(a));
    uint64_t length = gshare_least(limit_allows(a, p, now), most);
    return length >= gshare_least_loan_ns(a) ? length : 0;
}

/* When the bucket will let it borrow again; the tag of its next slot may come before. */
uint64_t gshare_loan_at(const struct gshare_arbiter *a, const struct gshare_party *p,
                        uint64_t now) {
    uint32_t limit = p->shape.limit_percent;
    bool barred = limit <= p->shape.request_percent && !gshare_has_credit(a, p);
    int64_t need = (int64_t)scaled(least_by_limit(a, p), FULL_PERCENT - limit, FULL_PERCENT) + 1;
    int64_t missing = need - bucket_now(a, p, now);
    if (barred || missing <= 0) {
        return GSHARE_NEVER;
    }
    return now + scaled((uint64_t)missing, FULL_PERCENT, limit) + 1;
}

/* Compares by recent use per quota. */
bool gshare_got_less(const struct gshare_party *p, const struct gshare_party *q) {
    return p->got_ns * q->shape.request_percent < q->got_ns * p->shape.request_percent;
}
