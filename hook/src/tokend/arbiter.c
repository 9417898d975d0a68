/* Events in, instructions out: the life of a token, and the order of decisions. */
#include "arbiter.h"

#include <string.h>

#include "arbiter_state.h"

static void instruct(struct gshare_arbiter *a, uint32_t kind, const struct gshare_party *p) {
    if (a->instruction_count < GSHARE_ARBITER_INSTRUCTIONS) {
        a->instructions[a->instruction_count++] = (struct gshare_instruction){
            .kind = kind, .lease = (uint32_t)(p - a->parties), .deadline_ns = p->deadline};
    }
}

uint64_t gshare_arbiter_size(void) {
    return sizeof(struct gshare_arbiter);
}

void gshare_arbiter_init(struct gshare_arbiter *a, uint64_t window_ns, uint64_t drain_timeout_ns,
                         uint64_t now) {
    memset(a, 0, sizeof(*a));
    a->window_ns = window_ns;
    a->percent_ns = window_ns / FULL_PERCENT;
    a->drain_timeout_ns = drain_timeout_ns;
    a->origin = a->halved_at = now;
}

static struct gshare_party *party(struct gshare_arbiter *a, uint32_t lease) {
    return lease < GSHARE_ARBITER_LEASES && a->parties[lease].present ? &a->parties[lease] : NULL;
}

void gshare_arbiter_remove(struct gshare_arbiter *a, uint32_t lease, uint64_t now) {
    (void)now;
    struct gshare_party *p = party(a, lease);
    if (p) {
        p->leaving = true;
        p->wants = false;
    }
}

void gshare_arbiter_wants(struct gshare_arbiter *a, uint32_t lease, bool wants, uint64_t now) {
    struct gshare_party *p = party(a, lease);
    if (!p || p->leaving || p->wants == wants) {
        return;
    }
    gshare_open_slots(a, p, now); /* as it was until now */
    p->wants = wants;
    p->woke = wants;
    p->punctual = p->punctual && wants;
}

void gshare_arbiter_gave_back(struct gshare_arbiter *a, uint32_t lease, uint64_t now) {
    (void)now;
    struct gshare_party *p = party(a, lease);
    if (p && p->state == TOKEN_HOLDING) {
        p->gave_back = true;
    }
}

void gshare_arbiter_returned(struct gshare_arbiter *a, uint32_t lease, uint64_t used_ns,
                             uint64_t busy_ns, uint64_t now) {
    struct gshare_party *p = party(a, lease);
    if (!p || (p->state != TOKEN_DRAINING && p->state != TOKEN_OUT)) {
        return;
    }
    gshare_charge(a, p, used_ns, busy_ns, now);
    if (p->state == TOKEN_DRAINING) {
        uint64_t took = now > p->drain_from ? now - p->drain_from : 0;
        uint64_t faded = p->usual_drain_ns - p->usual_drain_ns / 8;
        a->sm_in_use -= p->held_sm;
        if (p->wants && !p->gave_back) {
            p->usual_drain_ns = took > faded ? took : faded;
        }
    }
    p->state = TOKEN_NONE;
    p->reserved = p->gave_back = false;
    p->back_at = now;
    if (p->exchange_until) {
        gshare_call_off(a, p, now);
    }
}

void gshare_give(struct gshare_arbiter *a, struct gshare_party *p, bool reserved, uint64_t length,
                 uint64_t hard_end, uint64_t now) {
    gshare_fill_bucket(a, p, now);
    p->state = TOKEN_HOLDING;
    p->reserved = reserved;
    p->gave_back = p->woke = false;
    p->held_sm = p->shape.sm_percent;
    p->granted_at = p->settled_at = now;
    p->deadline = now + length;
    p->hard_end = hard_end;
    p->grants++;
    a->grants++;
    a->sm_in_use += p->held_sm;
    a->max_sm = a->sm_in_use > a->max_sm ? a->sm_in_use : a->max_sm;
    instruct(a, GSHARE_GRANT, p);
}

void gshare_extend(struct gshare_arbiter *a, struct gshare_party *p, bool reserved,
                   uint64_t deadline, uint64_t hard_end, uint64_t now) {
    gshare_settle(p, now);
    p->reserved = reserved;
    p->deadline = deadline;
    p->hard_end = hard_end;
    instruct(a, GSHARE_EXTEND, p);
}

void gshare_take(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    gshare_settle(p, now);
    p->state = TOKEN_DRAINING;
    p->drain_from = now;
    instruct(a, GSHARE_REVOKE, p);
}

/* At its deadline a token goes on by right (the next slot adjoins), on loan, or back. After a
 * window it goes back in any case: only then is its use known. */
static void expire(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    bool is_old = now - p->granted_at >= a->window_ns;
    gshare_settle(p, now);
    if (p->reserved) {
        p->reserved = false;
        p->hard_end = now;
        gshare_close_slot(p);
        if (!is_old) {
            gshare_open_slots(a, p, now);
        }
    }
    if (!p->reserved && (is_old || p->exchange_until || !gshare_extend_loan(a, p, now))) {
        gshare_take(a, p, now);
    }
}

static void forget(struct gshare_arbiter *a, struct gshare_party *p) {
    instruct(a, GSHARE_FORGET, p);
    memset(p, 0, sizeof(*p));
}

static void step(struct gshare_arbiter *a, struct gshare_party *p, uint64_t now) {
    if (p->state == TOKEN_DRAINING && now - p->drain_from >= a->drain_timeout_ns) {
        p->state = TOKEN_OUT;
        a->sm_in_use -= p->held_sm;
    }
    if (p->leaving && (p->state == TOKEN_NONE || p->state == TOKEN_OUT)) {
        forget(a, p);
        return;
    }
    gshare_open_slots(a, p, now);
    if (p->state == TOKEN_HOLDING && (p->gave_back || !p->wants)) {
        gshare_take(a, p, now);
    }
}

static void halve_gains(struct gshare_arbiter *a, uint64_t now) {
    uint64_t halvings = (now - a->halved_at) / a->window_ns;
    for (uint32_t i = 0; halvings && i < a->count; i++) {
        a->parties[i].got_ns = halvings < 64 ? a->parties[i].got_ns >> halvings : 0;
    }
    a->halved_at += halvings * a->window_ns;
}

static uint64_t next_of(const struct gshare_arbiter *a, const struct gshare_party *p,
                        uint64_t now) {
    if (p->state == TOKEN_DRAINING) {
        return p->drain_from + a->drain_timeout_ns;
    }
    uint64_t tag = p->wants ? gshare_next_tag(a, p) : GSHARE_NEVER;
    if (p->state == TOKEN_HOLDING) {
        return p->reserved ? p->deadline : gshare_least(p->deadline, tag);
    }
    if (!gshare_waits(p) || gshare_has_right(a, p) || p->yields_to) {
        return GSHARE_NEVER;
    }
    return gshare_least(gshare_least(tag, gshare_exchange_ends(a, p)), gshare_loan_at(a, p, now));
}

uint64_t gshare_arbiter_advance(struct gshare_arbiter *a, uint64_t now) {
    uint64_t next = GSHARE_NEVER;
    a->instruction_count = 0;
    halve_gains(a, now);
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->parties[i].present) {
            step(a, &a->parties[i], now);
        }
    }
    gshare_end_exchanges(a, now);
    for (uint32_t i = 0; i < a->count; i++) {
        struct gshare_party *p = &a->parties[i];
        if (p->state == TOKEN_HOLDING && now >= p->deadline) {
            expire(a, p, now);
        }
    }
    gshare_slip(a, now);
    do {
        a->blocked_sm = a->beside_sm = a->cleared_sm = 0;
        gshare_grant_reserved(a, now);
    } while (!gshare_exchange(a, now));
    gshare_grant_loans(a, now);
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->parties[i].present) {
            next = gshare_least(next, next_of(a, &a->parties[i], now));
        }
    }
    return next;
}

uint32_t gshare_arbiter_instructions(const struct gshare_arbiter *a,
                                     const struct gshare_instruction **first) {
    *first = a->instructions;
    return a->instruction_count;
}

bool gshare_arbiter_lease(const struct gshare_arbiter *a, uint32_t lease,
                          struct gshare_lease_account *account, struct gshare_shape *shape) {
    if (lease >= GSHARE_ARBITER_LEASES || !a->parties[lease].present) {
        return false;
    }
    const struct gshare_party *p = &a->parties[lease];
    *shape = p->shape;
    *account = (struct gshare_lease_account){
        .used_ns = p->used_ns,
        .busy_ns = p->busy_ns,
        .reserved_ns = p->reserved_ns,
        .borrowed_ns = p->borrowed_ns,
        .grants = p->grants,
        .balance_ns = p->balance_ns,
        .holds = p->state == TOKEN_HOLDING || p->state == TOKEN_DRAINING,
        .wants = p->wants,
    };
    return true;
}

void gshare_arbiter_gpu(const struct gshare_arbiter *a, struct gshare_gpu_account *account) {
    *account = (struct gshare_gpu_account){.grants = a->grants,
                                           .slips = a->slips,
                                           .sm_in_use = a->sm_in_use,
                                           .max_concurrent_sm_percent = a->max_sm};
}
