/* The one lock of a GPU. Taking it means: the model is at now, and the dead are gone.
 *
 * Not a robust pthread mutex: that one names its holder by thread id, and the kernel compares ids
 * when a thread dies. Two containers have the same ids, so the death of one that waits would look
 * like the death of the other one that holds. Here the holder is a visitor, whose life is a locked
 * byte of the lock file. A waiter looks at it each LOOK_NS.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

/* Looking whether a client is dead costs a system call, so this often one of them is looked at. */
static const uint64_t REAP_INTERVAL_NS = 250000;
static const long LOOK_NS = 4000000;
enum { SPINS = 100 };
static const uint32_t WAITED = 0x80000000u; /* in the lock: somebody sleeps until it is free */

uint64_t gshare_sim_now(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t visitor_byte(uint32_t visitor) {
    return SIM_VISITOR_BYTES + visitor - 1;
}

/* Who died with the lock is still its holder until a waiter has looked, so nobody takes its
 * identity before that. Our byte is locked first: from then on the lock cannot come to name us. */
int gshare_sim_visit(struct sim_gpu *gpu) {
    uint32_t start = (uint32_t)getpid() * 31;

    for (uint32_t i = 0; i < SIM_VISITORS; i++) {
        uint32_t visitor = (start + i) % SIM_VISITORS + 1;
        if (gshare_sim_byte_take(gpu->lock_fd, visitor_byte(visitor)) != 0)
            continue;
        if ((atomic_load(&gpu->state->lock) & ~WAITED) != visitor) {
            gpu->visitor = visitor;
            return 0;
        }
        gshare_sim_byte_leave(gpu->lock_fd, visitor_byte(visitor));
    }
    return -EUSERS;
}

/* `holder` may be another thread of ours. */
static bool is_dead(const struct sim_gpu *gpu, uint32_t holder) {
    return holder != gpu->visitor && !gshare_sim_byte_is_held(gpu->lock_fd, visitor_byte(holder));
}

/* Sleeps while the lock is `seen`; tells whether the time for a look has come. */
static bool sleep_on(_Atomic uint32_t *lock, uint32_t seen) {
    struct timespec look = {.tv_nsec = LOOK_NS};
    return syscall(SYS_futex, lock, FUTEX_WAIT, seen, &look, NULL, 0) != 0 && errno == ETIMEDOUT;
}

/* Tells whether the lock was taken from a dead holder. */
static bool wait_for(struct sim_gpu *gpu) {
    _Atomic uint32_t *lock = &gpu->state->lock;
    uint32_t ours = gpu->visitor | WAITED;

    for (;;) {
        uint32_t seen = atomic_load(lock);
        if (seen == 0) {
            if (atomic_compare_exchange_strong(lock, &seen, ours))
                return false;
            continue;
        }
        if (!(seen & WAITED) && !atomic_compare_exchange_strong(lock, &seen, seen | WAITED))
            continue;
        seen |= WAITED;
        if (sleep_on(lock, seen) && is_dead(gpu, seen & ~WAITED) &&
            atomic_compare_exchange_strong(lock, &seen, ours))
            return true;
    }
}

static bool try_take(struct sim_gpu *gpu) {
    uint32_t nobody = 0;
    return atomic_compare_exchange_strong_explicit(&gpu->state->lock, &nobody, gpu->visitor,
                                                   memory_order_acquire, memory_order_relaxed);
}

/* The lock is held for a fraction of a microsecond, and a sleeper wakes tens of them late. */
static bool spin(struct sim_gpu *gpu) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&gpu->state->lock, memory_order_relaxed) == 0 && try_take(gpu))
            return true;
        gshare_sim_relax();
    }
    return false;
}

static bool take(struct sim_gpu *gpu) {
    int error = errno;

    if (try_take(gpu) || spin(gpu))
        return false;
    bool is_from_dead = wait_for(gpu);
    errno = error;
    return is_from_dead;
}

void gshare_sim_lock(struct sim_gpu *gpu) {
    struct sim_state *state = gpu->state;

    bool is_from_dead = take(gpu);
    if (is_from_dead)
        gshare_sim_repair(state);
    uint64_t now = gshare_sim_now();
    gshare_sim_advance(state, now);
    if (is_from_dead) {
        gshare_sim_reap(gpu);
    } else if (now - state->reaped_ns > REAP_INTERVAL_NS) {
        state->reaped_ns = now;
        gshare_sim_reap_next(gpu);
    }
}

uint32_t gshare_sim_holder(const struct sim_gpu *gpu) {
    return atomic_load(&gpu->state->lock) & ~WAITED;
}

void gshare_sim_unlock(struct sim_gpu *gpu) {
    int error = errno;

    if (atomic_exchange_explicit(&gpu->state->lock, 0, memory_order_release) & WAITED) {
        syscall(SYS_futex, &gpu->state->lock, FUTEX_WAKE, 1, NULL, NULL, 0);
        errno = error;
    }
}
