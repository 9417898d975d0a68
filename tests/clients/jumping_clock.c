/* A library to preload: every reading of the wall clock is some hours from the one before, forward
 * and back, and a part of gshare that reads it is ended. The monotonic clock runs as it does. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define JUMP_S 25000
#define CALLER __builtin_return_address(0)

static const char COMPLAINT[] = "gshare reads the wall clock\n";
static _Atomic int readings;

static int read_clock(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    return real(clock, now);
}

static void read_wall(struct timespec *now, void *caller) {
    Dl_info from;
    const char *name = dladdr(caller, &from) ? strrchr(from.dli_fname, '/') : NULL;
    if (name && (strstr(name, "libgshare_hook") || strstr(name, "gshare-tokend"))) {
        ssize_t told = write(STDERR_FILENO, COMPLAINT, sizeof COMPLAINT - 1);
        (void)told;
        abort();
    }
    int number = atomic_fetch_add(&readings, 1);
    read_clock(CLOCK_REALTIME, now);
    now->tv_sec += number % 2 ? -JUMP_S * (number % 7) : JUMP_S * (number % 5);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
        return read_clock(clock, now);
    read_wall(now, CALLER);
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec read;
    (void)zone;
    read_wall(&read, CALLER);
    *now = (struct timeval){.tv_sec = read.tv_sec, .tv_usec = read.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *now) {
    struct timespec read;
    read_wall(&read, CALLER);
    if (now)
        *now = read.tv_sec;
    return read.tv_sec;
}
