/* The token arbiter: decides who may launch on one GPU, and until when. Pure: events in,
 * instructions out, `now` as an argument; no clock, no I/O, no memory of its own.
 *
 * Idea. A GPU's timetable lays each lease's slots (pieces of its quota) into a window W. The
 * timetable gives the ORDER of slots and their earliest starts (tags), and nothing more: a slot
 * begins when its tag has come and the SM partitions of all holders leave room, and it ends when
 * its time is spent. So nothing is lost when a predecessor runs over; the successor starts later
 * and still gets all of its time.
 *
 * Invariant. The SM partitions of all leases that hold a token, or have lost it and still drain,
 * add up to at most 100 percent. (A lease that has not drained within the drain time-out is a
 * stopped process; it counts as drained, and gets nothing until it has given its token back.)
 *
 * Order that keeps promises, applied at each call of gshare_arbiter_advance:
 *   1. drain time-outs; 2. slots whose tag has come are opened; 3. holders at their deadline are
 *   extended where nobody could use their SMs, else revoked; 4. if the oldest waiting tag lags by
 *   more than 5 % of W, ALL tags move by half the lag (loss is shared; ratios stay right);
 *   5. reserved grants in order of tags, where a later tag passes a waiting earlier one only if
 *   both fit side by side; 6. exchanges; 7. borrowed grants.
 *
 * Accounts. A lease's balance is its unspent entitlement. Opening a slot adds the slot's width to
 * a balance of at most one window's quota; GPU time used by right is taken off. Overrun makes the
 * balance negative, so the next slot is shorter by the same: debt, repaid exactly. A slot that
 * would be W/400 or shorter is skipped and its time repays debt. A slot's `right` is what may be
 * used in it by right: the balance, at most its width, so that credit is never repaid out of
 * another lease's reserved time. A lease that is idle at its tag loses the passing time of that
 * slot's right, but keeps the balance: the rest is its credit.
 *
 * Claims. A slot pays for all the time it was held (from the first work to the last): nobody else
 * could use the SMs. What of it the GPU was not busy comes back as a claim, as does what a slip of
 * the grid costs; claims are repaid in free time only, and shorten nobody's slot. So a lease that
 * synchronises after each kernel reaches its quota in GPU time where the GPU has room, and costs
 * its neighbours nothing where it has none.
 *
 * Borrowing. Time that no slot claims goes first to leases with credit, then to those with a claim
 * (make-up, up to both), then to the least got/quota, in grants of W/8. A borrowed grant ends, less
 * the borrower's usual drain, before the tag of any wanting lease that could not start beside it.
 * It is revoked at once when a lease wakes that has a right or credit and would fit in its place.
 * A token bucket (rate: the limit L; depth: L (1 - L) W + W/20) is charged with all busy time. It
 * never holds up a slot, but a loan is only as long as leaves enough for the lease's next slot. So
 * use in any interval T is at most L T plus the depth: at most 0.3 W too much, once, after idling.
 *
 * Exchange. A lease that wakes with credit, outside its slot, while no slot is late, may also
 * interrupt RESERVED holders, once, for at most W/4. The interrupted slot makes way; it goes on
 * when the waker's token is back, and ends when it would have ended. It loses the time between, at
 * most C (agreed beforehand: the waker's time and the drains), and only where that is paid for:
 *   - by surplus: what the victim borrowed and has not paid with before, at most one window's
 *     quota. It has had that time already; the account goes down by what it loses. Or
 *   - by the waker's own slot to come, which begins after the victim's place, ends before its next
 *     tag, is at least C long and as high as the victim's partition. That slot is shortened by
 *     what the victim loses, and the victim, who keeps the balance, is first of all borrowers.
 * So a lease that always wants has, in any interval T, q T less a constant (hand-overs, one
 * window's surplus, one window's quota owed), however often others wake. Only one who woke asks, so
 * victim and waker cannot revoke each other in turn; nobody yields to two, nor while another slot
 * waits. Example: A is (50 % SM, 100 %), B (50, 90) from 10 on, L (50, 10) from 0 on. L wakes at 20
 * ms with 8 ms unspent. A's place is never over; B's ends where L's next slot begins, so B yields
 * for C = 4 ms: it loses, say, 3 ms, L's next slot is 1 ms long, and B runs 3 ms in the rest of it.
 *
 * Worked example (W = 40 ms). A and B are (50 % SM, 60 % quota), a1-a4 (12, 40), c1-c2 (24, 40).
 * Timetable: [0,40) A a1 a2 c1 = 98 % SM; [40,60) A B = 100 %; [60,100) B a3 a4 c2 = 98 %.
 * At 16 ms a1, a2 and c1 are revoked and drain for, say, 0.6 ms; B, whose tag was 16 ms, starts
 * when all three are back, at 16.6 ms, and still gets its 24 ms. a1 used 16.6 ms: its next slot
 * is 15.4 ms long and again drains for 0.6, so in the next window it leaves on time.
 */
#ifndef GSHARE_ARBITER_H
#define GSHARE_ARBITER_H

#include <stdbool.h>
#include <stdint.h>

#include "gshare/wire.h"

#define GSHARE_ARBITER_LEASES 128u
#define GSHARE_ARBITER_INSTRUCTIONS (4u * GSHARE_ARBITER_LEASES)
#define GSHARE_NEVER UINT64_MAX

/* What the node promises a lease. Slice widths add up to request_percent. */
struct gshare_shape {
    uint32_t sm_percent;
    uint32_t request_percent;
    uint32_t limit_percent;
    uint32_t slice_count;
    struct gshare_slice slices[GSHARE_MAX_SLICES];
};

/* All percents in range, slices ascending, apart, and adding up to the request. */
bool gshare_shape_is_valid(const struct gshare_shape *shape);

enum gshare_instruction_kind {
    GSHARE_GRANT = 1,  /* lease may launch until deadline_ns */
    GSHARE_EXTEND = 2, /* its deadline moves to deadline_ns, the token stays */
    GSHARE_REVOKE = 3, /* take the token; report gshare_arbiter_returned when it is back */
    GSHARE_FORGET = 4, /* a removed lease holds nothing any more; its number is free */
};

struct gshare_instruction {
    uint32_t kind;
    uint32_t lease;
    uint64_t deadline_ns;
};

/* Counters of one lease, all since it was added. */
struct gshare_lease_account {
    uint64_t used_ns;     /* GPU time charged */
    uint64_t busy_ns;     /* of it: the GPU had work of the lease */
    uint64_t reserved_ns; /* of it: within the request */
    uint64_t borrowed_ns; /* of it: beyond the request */
    uint64_t grants;
    int64_t balance_ns; /* entitlement unspent; negative: debt */
    uint32_t holds;     /* 1: holds a token or drains */
    uint32_t wants;
};

struct gshare_gpu_account {
    uint64_t grants;
    uint64_t slips;
    uint32_t sm_in_use;
    uint32_t max_concurrent_sm_percent;
};

struct gshare_arbiter;

uint64_t gshare_arbiter_size(void);
void gshare_arbiter_init(struct gshare_arbiter *arbiter, uint64_t window_ns,
                         uint64_t drain_timeout_ns, uint64_t now);

/* Adds lease number `lease`, or changes it; the balance is kept. 0 or -EINVAL. */
int gshare_arbiter_put(struct gshare_arbiter *arbiter, uint32_t lease,
                       const struct gshare_shape *shape, uint64_t now);
/* Ends a lease. Its number may be used again after GSHARE_FORGET. */
void gshare_arbiter_remove(struct gshare_arbiter *arbiter, uint32_t lease, uint64_t now);

/* Some process of the lease waits for a token or launches under one; or none does. */
void gshare_arbiter_wants(struct gshare_arbiter *arbiter, uint32_t lease, bool wants, uint64_t now);
/* A holder has nothing in flight and joins this grant no more; the token is to be revoked. */
void gshare_arbiter_gave_back(struct gshare_arbiter *arbiter, uint32_t lease, uint64_t now);
/* A revoked token is back; used_ns of GPU time went by under it (bounded by the hold time), in
 * busy_ns of which (bounded by used_ns) the GPU had work. */
void gshare_arbiter_returned(struct gshare_arbiter *arbiter, uint32_t lease, uint64_t used_ns,
                             uint64_t busy_ns, uint64_t now);

/* Decides. Returns when to call again at the latest, or GSHARE_NEVER. Instructions are those of
 * this call, to be carried out in order; events that follow from them are reported before the
 * next call. */
uint64_t gshare_arbiter_advance(struct gshare_arbiter *arbiter, uint64_t now);
uint32_t gshare_arbiter_instructions(const struct gshare_arbiter *arbiter,
                                     const struct gshare_instruction **first);

/* False where no such lease is present. */
bool gshare_arbiter_lease(const struct gshare_arbiter *arbiter, uint32_t lease,
                          struct gshare_lease_account *account, struct gshare_shape *shape);
void gshare_arbiter_gpu(const struct gshare_arbiter *arbiter, struct gshare_gpu_account *account);

#endif
