/* gshare-tokend: reads flags, starts the token thread, serves until SIGTERM. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "log.h"
#include "pages.h"
#include "state.h"

#define NS_PER_US 1000u
#define WINDOW_US_MIN 1000u
#define WINDOW_US_MAX 10000000u

static const struct option FLAGS[] = {
    {"dir", required_argument, NULL, 'd'},
    {"window-us", required_argument, NULL, 'w'},
    {"drain-timeout-us", required_argument, NULL, 't'},
    {"reconnect-us", required_argument, NULL, 'r'},
    {"no-fifo", no_argument, NULL, 'n'},
    {NULL, 0, NULL, 0},
};

static const char USAGE[] =
    "usage: gshare-tokend --dir DIR [--window-us 40000] [--drain-timeout-us WINDOW]\n"
    "                     [--reconnect-us 5000000] [--no-fifo]\n";

/* Microseconds of `text` in ns; 0 where it is none or out of range. */
static uint64_t duration(const char *text) {
    char *end = NULL;
    unsigned long us = strtoul(text, &end, 10);
    bool good =
        *text >= '0' && *text <= '9' && *end == '\0' && us >= WINDOW_US_MIN && us <= WINDOW_US_MAX;
    return good ? (uint64_t)us * NS_PER_US : 0;
}

static bool read_flags(int count, char **words, struct gshare_settings *settings) {
    int flag = 0;
    bool good = true;
    while ((flag = getopt_long(count, words, "", FLAGS, NULL)) != -1) {
        switch (flag) {
        case 'd':
            settings->folder = optarg;
            break;
        case 'w':
            settings->window_ns = duration(optarg);
            good = good && settings->window_ns;
            break;
        case 't':
            settings->drain_timeout_ns = duration(optarg);
            good = good && settings->drain_timeout_ns;
            break;
        case 'r':
            settings->reconnect_ns = duration(optarg);
            good = good && settings->reconnect_ns;
            break;
        case 'n':
            settings->fifo = false;
            break;
        default:
            return false;
        }
    }
    return good && settings->folder && optind == count;
}

/* Signals wait for the server thread's signalfd, from before the second thread starts. */
static void block_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void allow_many_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int run(struct gshare_state *state) {
    pthread_t tokens;
    int error = pthread_create(&tokens, NULL, gshare_tokens_run, state);
    if (error) {
        return -error;
    }
    error = gshare_server_run(state);
    atomic_store(&state->stops, true);
    gshare_state_ring(state);
    pthread_join(tokens, NULL);
    gshare_state_close(state);
    return error;
}

int main(int count, char **words) {
    static struct gshare_state state;
    struct gshare_settings settings = {
        .window_ns = 40000000, .reconnect_ns = 5000000000, .fifo = true};
    setvbuf(stderr, NULL, _IOLBF, 0);
    if (!read_flags(count, words, &settings)) {
        fputs(USAGE, stderr);
        return 2;
    }
    if (settings.drain_timeout_ns == 0) {
        settings.drain_timeout_ns = settings.window_ns;
    }
    block_signals();
    allow_many_files();
    gshare_page_survive_cuts();
    int error = gshare_state_init(&state, &settings);
    error = error ? error : run(&state);
    if (error == -EWOULDBLOCK) {
        gshare_log("event=refused reason=\"another daemon serves %s\"", settings.folder);
    } else {
        gshare_log("event=end error=\"%s\"", error ? strerror(-error) : "none");
    }
    return error ? 1 : 0;
}
