#include "hook/account.h"

#include <sched.h>
#include <stdatomic.h>

#include "hook/os.h"
#include "hook/session.h"
#include "hook/table.h"

#define SPINS 200 /* then the holder is likely off its CPU: yield */

/* Guards everything below and the choice of the slot. Held for tens of nanoseconds, never while the
 * driver is called. */
static _Atomic uint32_t lock;
static uint64_t held_bytes;
static struct gshare_table holdings;

static void enter(void) {
    for (unsigned spins = 0; atomic_exchange_explicit(&lock, 1, memory_order_acquire); spins++) {
        if (spins < SPINS)
            gshare_cpu_relax();
        else
            sched_yield();
    }
}

static void leave(void) {
    atomic_store_explicit(&lock, 0, memory_order_release);
}

static void publish(void) {
    atomic_store(&gshare_session_slot()->memory_bytes, held_bytes);
}

static uint64_t key_of(enum gshare_holding kind, uint64_t key) {
    return key ^ (uint64_t)kind << 62; /* device addresses and handles leave the top bits 0 */
}

static uint64_t saturating_add(uint64_t left, uint64_t right) {
    return left + right < left ? UINT64_MAX : left + right;
}

/* That there is less may be seen late: nobody passes the cap by it. */
static void remove_bytes(uint64_t bytes) {
    held_bytes -= bytes < held_bytes ? bytes : held_bytes;
    atomic_store_explicit(&gshare_session_slot()->memory_bytes, held_bytes, memory_order_release);
}

bool gshare_account_take(uint64_t bytes) {
    uint64_t cap = gshare_session.limits->memory_limit_bytes;
    enter();
    uint64_t before = held_bytes;
    held_bytes = saturating_add(held_bytes, bytes);
    publish(); /* sequentially consistent: our claim is seen before we read the others' */
    bool fits = cap == 0 || gshare_session_memory_bytes() <= cap;
    if (!fits) {
        held_bytes = before;
        publish();
    }
    leave();
    return fits;
}

void gshare_account_charge(uint64_t bytes) {
    enter();
    held_bytes = saturating_add(held_bytes, bytes);
    publish();
    leave();
}

void gshare_account_give(uint64_t bytes) {
    enter();
    remove_bytes(bytes);
    leave();
}

void gshare_account_remember(enum gshare_holding kind, uint64_t key, uint64_t bytes) {
    enter();
    gshare_table_put(&holdings, key_of(kind, key), bytes);
    leave();
}

bool gshare_account_recall(enum gshare_holding kind, uint64_t key, uint64_t *bytes) {
    enter();
    bool known = gshare_table_take(&holdings, key_of(kind, key), bytes);
    leave();
    return known;
}

void gshare_account_move(struct gshare_slot *slot) {
    enter();
    atomic_store(&gshare_session.slot, slot);
    publish();
    leave();
}

void gshare_account_before_fork(void) {
    enter();
}

void gshare_account_after_fork(void) {
    leave();
}

void gshare_account_forget(void) {
    gshare_table_clear(&holdings);
    held_bytes = 0;
    leave();
}
