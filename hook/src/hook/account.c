#include "hook/account.h"

#include <sched.h>
#include <stdatomic.h>

#include "hook/allocate.h"
#include "hook/os.h"
#include "hook/session.h"
#include "hook/table.h"

#define SPINS 200 /* then the holder is likely off its CPU: yield */
#define MAX_CONTEXTS 64

/* Guards everything below and the choice of the slot. */
static _Atomic uint32_t lock;
static uint64_t device_bytes; /* what the slot shows as memory_bytes; kept_bytes
                                 are in it */
static uint64_t kept_bytes;   /* held by raised pools and not allocated */
static uint64_t pool_bytes;   /* allocated from raised pools */
static uint64_t keep_limit;
static uint64_t host_bytes;
static uint64_t import_bytes;
static struct gshare_table holdings;
static const void *contexts[MAX_CONTEXTS]; /* [i] has the number i + 1 */

void gshare_account_lock(void) {
    for (unsigned spins = 0; atomic_exchange_explicit(&lock, 1, memory_order_acquire); spins++) {
        if (spins < SPINS)
            gshare_cpu_relax();
        else
            sched_yield();
    }
}

void gshare_account_unlock(void) {
    atomic_store_explicit(&lock, 0, memory_order_release);
}

static uint64_t sum(uint64_t left, uint64_t right) {
    return left + right < left ? UINT64_MAX : left + right;
}

static uint64_t less(uint64_t from, uint64_t bytes) {
    return from - (bytes < from ? bytes : from);
}

static uint64_t least(uint64_t left, uint64_t right) {
    return left < right ? left : right;
}

/* Sequentially consistent: our claim is seen before we read the others'. */
static void claim(uint64_t bytes) {
    device_bytes = sum(device_bytes, bytes);
    atomic_store(&gshare_session_slot()->memory_bytes, device_bytes);
}

/* That there is less may be seen late: nobody passes the cap by it. */
static void disclaim(uint64_t bytes) {
    device_bytes = less(device_bytes, bytes);
    atomic_store_explicit(&gshare_session_slot()->memory_bytes, device_bytes, memory_order_release);
}

static void set_apart(uint64_t *counter, uint64_t bytes) {
    struct gshare_slot *slot = gshare_session_slot();
    *counter = bytes;
    atomic_store_explicit(&slot->host_bytes, host_bytes, memory_order_relaxed);
    atomic_store_explicit(&slot->imported_bytes, import_bytes, memory_order_relaxed);
}

static bool claim_within_cap(uint64_t bytes) {
    uint64_t cap = gshare_session.limits->memory_limit_bytes;
    uint64_t before = device_bytes;
    claim(bytes);
    if (cap == 0 || gshare_session_memory_bytes() <= cap)
        return true;
    device_bytes = before;
    claim(0);
    return false;
}

/* What a pool has kept is allocated again first: that much is counted already. */
static bool add(enum gshare_charge charge, uint64_t bytes, bool must_fit) {
    uint64_t reused = charge == GSHARE_CHARGE_POOL ? least(kept_bytes, bytes) : 0;
    if (charge == GSHARE_CHARGE_HOST)
        set_apart(&host_bytes, sum(host_bytes, bytes));
    else if (charge == GSHARE_CHARGE_IMPORT)
        set_apart(&import_bytes, sum(import_bytes, bytes));
    else if (must_fit && !claim_within_cap(bytes - reused))
        return false;
    else if (!must_fit)
        claim(bytes - reused);
    kept_bytes -= reused;
    if (charge == GSHARE_CHARGE_POOL)
        pool_bytes = sum(pool_bytes, bytes);
    return true;
}

static void take_out(enum gshare_charge charge, uint64_t bytes) {
    uint64_t kept = charge == GSHARE_CHARGE_POOL ? least(bytes, less(keep_limit, kept_bytes)) : 0;
    if (charge == GSHARE_CHARGE_HOST)
        set_apart(&host_bytes, less(host_bytes, bytes));
    else if (charge == GSHARE_CHARGE_IMPORT)
        set_apart(&import_bytes, less(import_bytes, bytes));
    else
        disclaim(bytes - kept);
    kept_bytes += kept;
    if (charge == GSHARE_CHARGE_POOL)
        pool_bytes = less(pool_bytes, bytes);
}

bool gshare_account_take(enum gshare_charge charge, uint64_t bytes) {
    gshare_account_lock();
    bool fits = add(charge, bytes, true);
    gshare_account_unlock();
    return fits;
}

void gshare_account_charge(enum gshare_charge charge, uint64_t bytes) {
    gshare_account_lock();
    add(charge, bytes, false);
    gshare_account_unlock();
}

void gshare_account_give(enum gshare_charge charge, uint64_t bytes) {
    gshare_account_lock();
    take_out(charge, bytes);
    gshare_account_unlock();
}

bool gshare_account_restate(uint64_t *standing, uint64_t bytes, bool must_fit) {
    gshare_account_lock();
    bool grows = bytes > *standing;
    bool fits = true;
    if (grows)
        fits = add(GSHARE_CHARGE_DEVICE, bytes - *standing, must_fit);
    else
        disclaim(*standing - bytes);
    if (fits)
        *standing = bytes;
    gshare_account_unlock();
    return fits;
}

static void set_kept(uint64_t bytes) {
    if (bytes > kept_bytes)
        claim(bytes - kept_bytes);
    else
        disclaim(kept_bytes - bytes);
    kept_bytes = bytes;
}

void gshare_account_keep_at_most(uint64_t bytes) {
    gshare_account_lock();
    keep_limit = bytes;
    gshare_account_unlock();
}

void gshare_account_pools_hold(uint64_t bytes) {
    gshare_account_lock();
    set_kept(less(bytes, pool_bytes));
    gshare_account_unlock();
}

/* Addresses and handles leave the top bits 0. */
static uint64_t key_of(enum gshare_holding kind, uint64_t key) {
    return key ^ (uint64_t)kind << 62;
}

#define BYTES_BITS 44
#define CONTEXT_BITS 16

static uint64_t pack(struct gshare_held held) {
    uint64_t most = (1ull << BYTES_BITS) - 1;
    return (uint64_t)held.charge << (BYTES_BITS + CONTEXT_BITS) |
           (uint64_t)held.context << BYTES_BITS | least(held.bytes, most);
}

static struct gshare_held unpack(uint64_t value) {
    return (struct gshare_held){
        .charge = (enum gshare_charge)(value >> (BYTES_BITS + CONTEXT_BITS)),
        .context = (uint16_t)(value >> BYTES_BITS),
        .bytes = value & ((1ull << BYTES_BITS) - 1),
    };
}

void gshare_account_remember(enum gshare_holding kind, uint64_t key, struct gshare_held held) {
    gshare_account_lock();
    gshare_table_put(&holdings, key_of(kind, key), pack(held));
    gshare_account_unlock();
}

static uint16_t number_of(const void *context) {
    for (uint16_t i = 0; i < MAX_CONTEXTS; i++)
        if (contexts[i] == context)
            return (uint16_t)(i + 1);
    return 0;
}

/* Returns the number of a context, which may be a new one; 0 where none is free. */
static uint16_t enlist(const void *context) {
    uint16_t number = number_of(context);
    if (number == 0 && (number = number_of(NULL)) != 0)
        contexts[number - 1] = context;
    return number;
}

void gshare_account_remember_in(const void *context, uint64_t address, struct gshare_held held) {
    gshare_account_lock();
    held.context = context ? enlist(context) : 0;
    gshare_table_put(&holdings, key_of(GSHARE_HELD_ADDRESS, address), pack(held));
    gshare_account_unlock();
}

bool gshare_account_recall(enum gshare_holding kind, uint64_t key, struct gshare_held *held) {
    uint64_t value = 0;
    gshare_account_lock();
    bool known = gshare_table_take(&holdings, key_of(kind, key), &value);
    gshare_account_unlock();
    *held = unpack(value);
    return known;
}

uint64_t gshare_account_count(enum gshare_holding kind, uint64_t key, int by) {
    uint64_t value = 0;
    gshare_account_lock();
    gshare_table_take(&holdings, key_of(kind, key), &value);
    uint64_t count = unpack(value).bytes;
    count = by < 0 ? less(count, (uint64_t)-by) : count + (uint64_t)by;
    if (count != 0)
        gshare_table_put(&holdings, key_of(kind, key), pack((struct gshare_held){.bytes = count}));
    gshare_account_unlock();
    return count;
}

/* Gives back and drops an entry that goes with the context of this number; 0: with any. */
static bool stays(uint64_t key, uint64_t value, void *argument) {
    struct gshare_held held = unpack(value);
    uint16_t ending = *(const uint16_t *)argument;
    if (key >> 62 != GSHARE_HELD_ADDRESS || (ending != 0 && held.context != ending))
        return true;
    take_out(held.charge, held.bytes);
    return false;
}

void gshare_account_end_context(const void *context) {
    gshare_account_lock();
    uint16_t ending = context ? number_of(context) : 0;
    if (ending != 0)
        contexts[ending - 1] = NULL;
    if (ending != 0 || !context)
        gshare_table_sift(&holdings, stays, &ending);
    gshare_account_unlock();
}

void gshare_account_move(struct gshare_slot *slot) {
    gshare_account_lock();
    atomic_store(&gshare_session.slot, slot);
    claim(0);
    set_apart(&host_bytes, host_bytes);
    gshare_account_unlock();
}

void gshare_account_before_fork(void) {
    gshare_account_lock();
}

void gshare_account_after_fork(void) {
    gshare_account_unlock();
}

void gshare_account_forget(void) {
    gshare_table_clear(&holdings);
    device_bytes = kept_bytes = pool_bytes = keep_limit = host_bytes = import_bytes = 0;
    for (size_t i = 0; i < MAX_CONTEXTS; i++)
        contexts[i] = NULL;
    gshare_allocate_forget();
    gshare_account_unlock();
}
