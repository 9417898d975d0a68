#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "listener.h"
#include "pages.h"

_Static_assert(GSHARE_MAX_SLOTS == 64, "slots are bits of a uint64_t");

static uint64_t bit(uint32_t slot) {
    return UINT64_C(1) << slot;
}

static uint32_t max_of(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* An earlier daemon's processes keep their slots; its token, if one was out, is revoked here and
 * reported as draining until it is back. */
static void adopt(struct gshare_lease *lease, uint64_t now) {
    uint32_t last = atomic_load(&lease->grant->epoch);
    atomic_store(&lease->grant->daemon_start_ns, now);
    gshare_lease_revoke(lease);
    lease->draining = false;
    for (uint32_t i = 0; i < GSHARE_MAX_SLOTS; i++) {
        struct gshare_slot *slot = &lease->counters->slots[i];
        if (atomic_load(&slot->pid) == 0) {
            continue;
        }
        uint32_t active = atomic_load(&slot->active_epoch);
        uint32_t acked = atomic_load(&slot->acked_epoch);
        lease->taken |= bit(i);
        lease->used_before[i] = atomic_load(&slot->used_ns);
        lease->busy_before[i] = atomic_load(&slot->busy_ns);
        last = max_of(last, max_of(active, acked));
    }
    lease->epoch = last;
}

int gshare_lease_open(struct gshare_lease *lease, int leases, const char *id, uint64_t now) {
    memset(lease, 0, sizeof(*lease));
    strncpy(lease->id, id, sizeof(lease->id) - 1);
    lease->listener = -1;
    lease->present = true;
    lease->folder = openat(leases, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int error = lease->folder < 0 ? -errno : 0;
    void *grant = NULL;
    void *counters = NULL;
    if (!error) {
        error = gshare_page_map(lease->folder, "grant", sizeof(*lease->grant), 0644, &grant);
    }
    if (!error) {
        lease->grant = grant;
        error =
            gshare_page_map(lease->folder, "counters", sizeof(*lease->counters), 0666, &counters);
    }
    if (!error) {
        lease->counters = counters;
        adopt(lease, now);
        lease->listener = gshare_listen(lease->folder, "token.sock");
        error = lease->listener < 0 ? lease->listener : 0;
    }
    if (error) {
        gshare_lease_close(lease);
    }
    return error;
}

void gshare_lease_unlisten(struct gshare_lease *lease) {
    if (lease->listener >= 0) {
        unlinkat(lease->folder, "token.sock", 0);
        close(lease->listener);
        lease->listener = -1;
    }
}

void gshare_lease_close(struct gshare_lease *lease) {
    gshare_lease_unlisten(lease);
    if (lease->grant) {
        munmap(lease->grant, sizeof(*lease->grant));
    }
    if (lease->counters) {
        munmap(lease->counters, sizeof(*lease->counters));
    }
    if (lease->folder >= 0) {
        close(lease->folder);
    }
    memset(lease, 0, sizeof(*lease));
    lease->folder = lease->listener = -1;
}

void gshare_lease_grant(struct gshare_lease *lease, uint64_t deadline_ns, uint64_t now) {
    for (uint64_t left = lease->taken; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(left);
        lease->used_before[i] = atomic_load(&lease->counters->slots[i].used_ns);
        lease->busy_before[i] = atomic_load(&lease->counters->slots[i].busy_ns);
    }
    lease->epoch = lease->epoch + 1 ? lease->epoch + 1 : 1;
    lease->held = true;
    lease->granted_at = now;
    lease->draining = lease->joined = lease->died = false;
    atomic_store(&lease->grant->deadline_ns, deadline_ns);
    atomic_store(&lease->grant->epoch, lease->epoch);
    gshare_futex_wake(&lease->grant->epoch);
}

void gshare_lease_extend(struct gshare_lease *lease, uint64_t deadline_ns) {
    atomic_store(&lease->grant->deadline_ns, deadline_ns);
}

void gshare_lease_revoke(struct gshare_lease *lease) {
    atomic_store(&lease->grant->epoch, 0);
    atomic_fetch_add(&lease->grant->revoke_count, 1);
    gshare_futex_wake(&lease->grant->revoke_count);
    lease->held = false;
    lease->draining = true;
}

static uint64_t since(_Atomic uint64_t *counter, uint64_t before) {
    uint64_t now = atomic_load(counter);
    return now > before ? now - before : 0;
}

static uint64_t most(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

struct gshare_reading gshare_lease_read(const struct gshare_lease *lease) {
    uint64_t least = lease->died ? UINT64_MAX : 0;
    struct gshare_reading reading = {.used_ns = least, .busy_ns = least};
    for (uint64_t left = lease->taken; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(left);
        struct gshare_slot *slot = &lease->counters->slots[i];
        reading.wants |= atomic_load(&slot->wants) != 0;
        if (atomic_load(&slot->active_epoch) != lease->epoch) {
            continue;
        }
        reading.joined = true;
        reading.pending |= atomic_load(&slot->acked_epoch) != lease->epoch;
        reading.used_ns = most(reading.used_ns, since(&slot->used_ns, lease->used_before[i]));
        reading.busy_ns = most(reading.busy_ns, since(&slot->busy_ns, lease->busy_before[i]));
    }
    return reading;
}

static void take_seat(struct gshare_lease *lease, uint32_t slot, uint32_t pid) {
    struct gshare_counters *page = lease->counters;
    lease->taken |= bit(slot);
    lease->connected |= bit(slot);
    lease->used_before[slot] = atomic_load(&page->slots[slot].used_ns);
    lease->busy_before[slot] = atomic_load(&page->slots[slot].busy_ns);
    atomic_store(&page->slots[slot].pid, pid);
    if (atomic_load(&page->slot_high_water) <= slot) {
        atomic_store(&page->slot_high_water, slot + 1);
    }
}

int gshare_lease_seat(struct gshare_lease *lease, int32_t wanted, uint32_t pid) {
    if (pid == 0 || wanted < -1 || wanted >= GSHARE_MAX_SLOTS) {
        return -GSHARE_WELCOME_REFUSED;
    }
    uint32_t slot = (uint32_t)wanted;
    if (wanted < 0) {
        if (lease->taken == UINT64_MAX) {
            return -GSHARE_WELCOME_FULL;
        }
        slot = (uint32_t)__builtin_ctzll(~lease->taken);
    } else if (lease->connected & bit(slot) ||
               (lease->taken & bit(slot) &&
                atomic_load(&lease->counters->slots[slot].pid) != pid)) {
        return -GSHARE_WELCOME_REFUSED;
    }
    take_seat(lease, slot, pid);
    return (int)slot;
}

void gshare_lease_unseat(struct gshare_lease *lease, uint32_t slot) {
    struct gshare_slot *of = &lease->counters->slots[slot];
    uint32_t active = atomic_load(&of->active_epoch);
    if (active == lease->epoch && atomic_load(&of->acked_epoch) != active) {
        lease->died = lease->held || lease->draining;
    }
    atomic_store(&of->memory_bytes, 0);
    atomic_store(&of->wants, 0);
    atomic_store(&of->active_epoch, 0);
    atomic_store(&of->acked_epoch, 0);
    atomic_store(&of->used_ns, 0);
    atomic_store(&of->busy_ns, 0);
    atomic_store(&of->host_bytes, 0);
    atomic_store(&of->imported_bytes, 0);
    atomic_store(&of->launches, 0);
    atomic_store(&of->waits, 0);
    atomic_store(&of->wait_ns, 0);
    atomic_store(&of->pid, 0);
    lease->taken &= ~bit(slot);
    lease->connected &= ~bit(slot);
}

void gshare_lease_sweep(struct gshare_lease *lease) {
    for (uint64_t left = lease->taken & ~lease->connected; left; left &= left - 1) {
        gshare_lease_unseat(lease, (uint32_t)__builtin_ctzll(left));
    }
}

bool gshare_lease_is_quiet(const struct gshare_lease *lease) {
    for (uint64_t left = lease->taken; left; left &= left - 1) {
        const struct gshare_slot *slot = &lease->counters->slots[__builtin_ctzll(left)];
        if (atomic_load(&slot->active_epoch) != atomic_load(&slot->acked_epoch)) {
            return false;
        }
    }
    return true;
}

bool gshare_lease_has_absent(const struct gshare_lease *lease) {
    return (lease->taken & ~lease->connected) != 0;
}

struct gshare_lease_sums gshare_lease_sum(const struct gshare_lease *lease) {
    struct gshare_lease_sums sums = {.processes = (uint32_t)__builtin_popcountll(lease->taken)};
    for (uint64_t left = lease->taken; left; left &= left - 1) {
        const struct gshare_slot *slot = &lease->counters->slots[__builtin_ctzll(left)];
        sums.memory_bytes += atomic_load(&slot->memory_bytes);
        sums.host_bytes += atomic_load(&slot->host_bytes);
        sums.imported_bytes += atomic_load(&slot->imported_bytes);
        sums.waits += atomic_load(&slot->waits);
    }
    return sums;
}
