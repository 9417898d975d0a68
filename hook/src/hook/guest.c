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

bool gshare_guest_is_asked(void) {
    const char *directory = getenv("GSHARE_LEASE_DIR");
    return directory && *directory;
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
    if (!gshare_guest_is_asked()) {
        atomic_store(&gshare_guest_mode, GSHARE_GUEST_INERT);
        return;
    }
    watch_forks();
    const char *directory = getenv("GSHARE_LEASE_DIR");
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
