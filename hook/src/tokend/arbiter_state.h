/* What the arbiter's files share: its state, and the steps that gshare_arbiter_advance takes. */
#ifndef GSHARE_ARBITER_STATE_H
#define GSHARE_ARBITER_STATE_H

#include "arbiter.h"

#define FULL_PERCENT 100u
#define GSHARE_PER_MILLE 1000u

enum gshare_token_state {
    TOKEN_NONE = 0,
    TOKEN_HOLDING,
    TOKEN_DRAINING,
    TOKEN_OUT, /* did not drain in time; counts as gone, gets nothing until it is back */
};

/* Who goes first where time is free. */
enum gshare_rank {
    RANK_NONE = 0,
    RANK_CLAIM,   /* lost something that shortens nobody's slot */
    RANK_UNSPENT, /* has quota left */
    RANK_OWED,    /* of it, what was given up for this very time */
};

struct gshare_party {
    struct gshare_shape shape;
    bool present;
    bool leaving;
    bool wants;
    enum gshare_token_state state;

    /* The present or next slot: a slice of a round of the timetable. */
    uint64_t round;
    uint32_t slice;
    bool open;     /* its tag has come */
    bool punctual; /* wanted ever since; only then may the slot run late in full */
    int64_t right_ns;

    int64_t balance_ns;
    uint64_t
        claim_ns; /* lost to slips and to gaps in holds; only ever repaid in time that is free */
    int64_t bucket_ns; /* limit's token bucket, as of bucket_at */
    uint64_t bucket_at;

    /* Exchange: see arbiter_exchange.c. */
    bool woke;               /* wants again, and had no token since */
    uint64_t exchange_until; /* others made way for it, until then at most; 0: nobody */
    uint32_t yields_to;      /* 1 + the lease for which this one's slot makes way; 0: none */
    bool yields_for_slot;    /* in return for the other's slot to come, not for time lent to it */
    int64_t surplus_ns;      /* borrowed, and not given up for a waking lease since */
    uint64_t owed_ns;        /* of the balance: given up for a slot to come of another lease */
    uint64_t prepaid_ns;     /* to be taken off the slots to come */

    /* The hold in force: charged as if all of it were used, refunded when it is back. */
    bool reserved;
    bool gave_back;
    uint32_t held_sm;
    uint64_t granted_at;
    uint64_t settled_at;
    uint64_t deadline;
    uint64_t hard_end; /* of a borrowed hold: beyond it, time is debt */
    uint64_t drain_from;
    uint64_t back_at; /* when its last token came back, or its slot was to go on */
    uint64_t by_right_ns;
    uint64_t by_loan_ns;

    uint64_t usual_drain_ns; /* falls slowly, rises at once */
    uint32_t usual_busy;     /* per mille of a hold; likewise */
    uint64_t got_ns;         /* recent use, halved every window */
    uint64_t used_ns;
    uint64_t busy_ns;
    uint64_t reserved_ns;
    uint64_t borrowed_ns;
    uint64_t grants;
};

struct gshare_arbiter {
    uint64_t window_ns;
    uint64_t percent_ns; /* of the window */
    uint64_t drain_timeout_ns;
    uint64_t origin; /* start of round 0; slips move it */
    uint64_t halved_at;
    uint32_t count; /* numbers at and above were never used */
    uint32_t sm_in_use;
    uint32_t max_sm;
    uint32_t instruction_count;
    uint64_t grants;
    uint64_t slips;
    /* Reserved slots that are due and do not fit yet. */
    uint32_t blocked_sm;
    uint32_t beside_sm; /* what still runs when they start */
    uint64_t blocked_until;
    uint32_t cleared_sm; /* room that borrowers are revoked for: no loan may take it again */
    struct gshare_party parties[GSHARE_ARBITER_LEASES];
    struct gshare_instruction instructions[GSHARE_ARBITER_INSTRUCTIONS];
};

static inline uint64_t gshare_share(const struct gshare_arbiter *a, uint32_t percent) {
    return a->percent_ns * percent;
}
static inline int64_t gshare_skip_ns(const struct gshare_arbiter *a) {
    return (int64_t)(a->window_ns / 400);
}
static inline uint64_t gshare_loan_ns(const struct gshare_arbiter *a) {
    return a->window_ns / 8;
}
static inline uint64_t gshare_least_loan_ns(const struct gshare_arbiter *a) {
    return a->window_ns / 80;
}
/* What a lease may save up of its quota or of a claim. */
static inline uint64_t gshare_quota(const struct gshare_arbiter *a, const struct gshare_party *p) {
    return gshare_share(a, p->shape.request_percent);
}
static inline bool gshare_waits(const struct gshare_party *p) {
    return p->present && !p->leaving && p->wants && p->state == TOKEN_NONE;
}
static inline uint64_t gshare_least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* arbiter_slots.c: the timetable. */
uint64_t gshare_tag(const struct gshare_arbiter *a, const struct gshare_party *p);
uint64_t gshare_next_tag(const struct gshare_arbiter *a, const struct gshare_party *p);
uint64_t gshare_place_end(const struct gshare_arbiter *a, const struct gshare_party *p);
uint64_t gshare_next_width(const struct gshare_arbiter *a, const struct gshare_party *p);
bool gshare_has_right(const struct gshare_arbiter *a, const struct gshare_party *p);
void gshare_find_slot(const struct gshare_arbiter *a, struct gshare_party *p, uint64_t now);
int64_t gshare_credited_percent(const struct gshare_arbiter *a, const struct gshare_party *p,
                                uint64_t now);
void gshare_open_slots(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now);
void gshare_close_slot(struct gshare_party *p);
void gshare_slip(struct gshare_arbiter *a, uint64_t now);

/* arbiter_account.c: what was used, and what may be. */
uint64_t gshare_credit(const struct gshare_party *p);
void gshare_settle(struct gshare_party *p, uint64_t now);
void gshare_charge(struct gshare_arbiter *a, struct gshare_party *p, uint64_t used, uint64_t busy,
                   uint64_t now);
uint64_t gshare_loan_allowed(const struct gshare_arbiter *a, const struct gshare_party *p,
                             uint64_t now);
uint64_t gshare_unspent_allowed(const struct gshare_arbiter *a, const struct gshare_party *p,
                                uint64_t now);
uint64_t gshare_loan_at(const struct gshare_arbiter *a, const struct gshare_party *p, uint64_t now);
bool gshare_has_credit(const struct gshare_arbiter *a, const struct gshare_party *p);
bool gshare_has_unspent(const struct gshare_arbiter *a, const struct gshare_party *p);
enum gshare_rank gshare_rank(const struct gshare_arbiter *a, const struct gshare_party *p);
void gshare_claim(const struct gshare_arbiter *a, struct gshare_party *p, uint64_t lost);
bool gshare_got_less(const struct gshare_party *p, const struct gshare_party *q);
void gshare_fill_bucket(const struct gshare_arbiter *a, struct gshare_party *p, uint64_t now);

/* arbiter_grant.c: who gets a token. */
void gshare_grant_reserved(struct gshare_arbiter *a, uint64_t now);
uint64_t gshare_unspent_length(const struct gshare_arbiter *a, const struct gshare_party *p,
                               uint64_t now, uint64_t *end);
void gshare_grant_loans(struct gshare_arbiter *a, uint64_t now);
bool gshare_extend_loan(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now);

/* arbiter_exchange.c: whose slot makes way for a waking lease. */
void gshare_resume(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now);
void gshare_call_off(struct gshare_arbiter *a, struct gshare_party *taker, uint64_t now);
void gshare_end_exchanges(struct gshare_arbiter *a, uint64_t now);
bool gshare_exchange(struct gshare_arbiter *a, uint64_t now);
uint64_t gshare_exchange_ends(const struct gshare_arbiter *a, const struct gshare_party *p);

/* arbiter_room.c: what fits, now and later. */
bool gshare_fits(const struct gshare_arbiter *a, uint32_t sm);
bool gshare_loan_fits(const struct gshare_arbiter *a, uint32_t sm);
void gshare_block(struct gshare_arbiter *a, uint32_t sm, uint64_t now);
void gshare_make_room(struct gshare_arbiter *a, uint32_t sm, bool for_unspent, uint64_t now);
bool gshare_room_without_loans(const struct gshare_arbiter *a, uint32_t sm, bool for_unspent);
uint64_t gshare_loan_end(const struct gshare_arbiter *a, const struct gshare_party *p,
                         uint64_t most, uint64_t now);

/* arbiter.c: the three things that can happen to a token. */
void gshare_give(struct gshare_arbiter *a, struct gshare_party *p, bool reserved, uint64_t length,
                 uint64_t hard_end, uint64_t now);
void gshare_extend(struct gshare_arbiter *a, struct gshare_party *p, bool reserved,
                   uint64_t deadline, uint64_t hard_end, uint64_t now);
void gshare_take(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now);

#endif
