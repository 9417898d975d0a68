#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "pages.h"

void gshare_state_reap(struct gshare_state *state) {
    pthread_mutex_lock(&state->lock);
    for (uint32_t i = 0; i < GSHARE_ARBITER_LEASES; i++) {
        struct gshare_lease *lease = &state->leases[i];
        if (lease->present && lease->leaving && lease->forgotten) {
            gshare_lease_close(lease);
        }
    }
    pthread_mutex_unlock(&state->lock);
}

/* One daemon a folder; the lock goes with the process. */
static int lock_folder(int folder) {
    int fd = openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return -errno;
    }
    return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int open_folders(struct gshare_state *state) {
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    state->folder = open(state->settings.folder, flags);
    if (state->folder < 0) {
        return -errno;
    }
    int error = lock_folder(state->folder);
    if (error) {
        return error;
    }
    if (mkdirat(state->folder, "leases", 0755) < 0 && errno != EEXIST) {
        return -errno;
    }
    state->leases_folder = openat(state->folder, "leases", flags);
    return state->leases_folder < 0 ? -errno : 0;
}

static int init_lock(pthread_mutex_t *lock) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    int error = pthread_mutex_init(lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return -error;
}

int gshare_state_init(struct gshare_state *state, const struct gshare_settings *settings) {
    memset(state, 0, sizeof(*state));
    state->settings = *settings;
    for (uint32_t i = 0; i < GSHARE_ARBITER_LEASES; i++) {
        state->leases[i].folder = state->leases[i].listener = -1;
    }
    int error = open_folders(state);
    if (error) {
        return error;
    }
    void *page = NULL;
    state->doorbell_fd =
        gshare_page_unnamed("gshare-doorbell", (size_t)sysconf(_SC_PAGESIZE), &page);
    if (state->doorbell_fd < 0) {
        return state->doorbell_fd;
    }
    state->doorbell = page;
    state->arbiter = malloc(gshare_arbiter_size());
    if (!state->arbiter) {
        return -ENOMEM;
    }
    /* The grid by which processes pace themselves while there is no daemon (hook, pace.c): those
     * that have not come back yet then run in their own slots. */
    uint64_t now = gshare_clock_ns();
    gshare_arbiter_init(state->arbiter, settings->window_ns, settings->drain_timeout_ns,
                        now - now % settings->window_ns);
    return init_lock(&state->lock);
}

void gshare_state_close(struct gshare_state *state) {
    for (uint32_t i = 0; i < GSHARE_ARBITER_LEASES; i++) {
        if (state->leases[i].present) {
            gshare_lease_revoke(&state->leases[i]);
            gshare_lease_close(&state->leases[i]);
        }
    }
    free(state->arbiter);
    munmap(state->doorbell, (size_t)sysconf(_SC_PAGESIZE));
    close(state->doorbell_fd);
    close(state->leases_folder);
    close(state->folder);
    pthread_mutex_destroy(&state->lock);
}

void gshare_state_ring(struct gshare_state *state) {
    atomic_fetch_add(&state->doorbell->rings, 1);
    gshare_futex_wake(&state->doorbell->rings);
}
