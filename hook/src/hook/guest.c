#include "hook/guest.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hook/account.h"
#include "hook/gate.h"
#include "hook/session.h"
#include "hook/symbols.h"
#include "hook/track.h"
#include "hook/watcher.h"

_Atomic int gshare_guest_mode = GSHARE_GUEST_NEW;

/* Replaced by fresh ones in a forked child, which has one thread then. */
static pthread_once_t resolve_once = PTHREAD_ONCE_INIT;
static pthread_once_t start_once = PTHREAD_ONCE_INIT;

/* glibc's own entry behind pthread_atfork, weak: musl has none, and nothing to hook either. */
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *)
    __attribute__((weak));

/* Where a container finds its lease (gshare/names.py: CONTAINER_LEASE_DIR), though its programs
 * were started with an empty environment. */
#define CONTAINER_LEASE "/run/gshare/lease"

/* Whether that folder is there: 0 until the first question. Every writer stores the same. */
enum { UNKNOWN, PRESENT, ABSENT };
static _Atomic int container_lease;

static bool is_in_container(void) {
    int known = atomic_load_explicit(&container_lease, memory_order_relaxed);
    if (known == UNKNOWN) {
        int saved = errno;
        known = access(CONTAINER_LEASE, F_OK) == 0 ? PRESENT : ABSENT;
        errno = saved;
        atomic_store_explicit(&container_lease, known, memory_order_relaxed);
    }
    return known == PRESENT;
}

/* Returns the lease's folder, or NULL where the process has none. */
static const char *lease_directory(void) {
    const char *named = getenv("GSHARE_LEASE_DIR");
    if (named)
        return *named ? named : NULL;
    return is_in_container() ? CONTAINER_LEASE : NULL;
}

bool gshare_guest_is_asked(void) {
    return lease_directory() != NULL;
}

void gshare_guest_resolve(void) {
    int saved = errno;
    pthread_once(&resolve_once, gshare_symbols_resolve);
    errno = saved;
}

static void before_fork(void) {
    gshare_account_before_fork();
    gshare_gate_lock();
}

static void after_fork_in_parent(void) {
    gshare_gate_unlock();
    gshare_account_after_fork();
}

/* The child has no watcher and no connection. It starts anew with its first intercepted call. */
static void after_fork_in_child(void) {
    gshare_watcher_forget();
    gshare_session_forget();
    gshare_track_forget();
    gshare_gate_forget();
    gshare_account_forget();
    start_once = (pthread_once_t)PTHREAD_ONCE_INIT;
    atomic_store(&gshare_guest_mode, GSHARE_GUEST_NEW);
}

static void watch_forks(void) {
    static _Atomic int registered;
    if (atomic_exchange(&registered, 1) == 0 && __register_atfork)
        __register_atfork(before_fork, after_fork_in_parent, after_fork_in_child, NULL);
}

static void complain(const char *directory, int error) {
    char line[256];
    int length = snprintf(line, sizeof line,
                          "gshare: limits of lease %.150s unreadable (%s): GPU calls are refused\n",
                          directory, error == EBADMSG ? "not a limits page" : strerror(error));
    if (length > 0 && write(STDERR_FILENO, line, strnlen(line, sizeof line)) < 0)
        return; /* nobody to tell */
}

static void start(void) {
    gshare_guest_resolve();
    const char *directory = lease_directory();
    if (!directory) {
        atomic_store(&gshare_guest_mode, GSHARE_GUEST_INERT);
        return;
    }
    watch_forks();
    int error = gshare_session_open(directory);
    if (error == 0)
        error = gshare_watcher_start();
    if (error)
        complain(directory, -error);
    atomic_store(&gshare_guest_mode, error ? GSHARE_GUEST_REFUSED : GSHARE_GUEST_LEASED);
}

enum gshare_guest_mode gshare_guest_begin(void) {
    int saved = errno;
    pthread_once(&start_once, start);
    errno = saved;
    return (enum gshare_guest_mode)atomic_load(&gshare_guest_mode);
}
