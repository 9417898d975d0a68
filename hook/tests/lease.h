/* A lease made by a test: its pages, and a token daemon of a few lines in a thread. */
#ifndef GSHARE_TEST_LEASE_H
#define GSHARE_TEST_LEASE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "fake_libcuda.h"
#include "gshare/wire.h"

struct lease {
    char directory[48];
    char stats_path[80];
    struct gshare_limits *limits;
    struct gshare_grant *grant;
    struct gshare_counters *counters;
    struct gshare_doorbell *doorbell;
    struct fake_stats *stats;
    int doorbell_fd;
    int listener;
    int clients[GSHARE_MAX_SLOTS];
    const char *program; /* what lease_run runs, under OUT/tests; NULL: client */
    pthread_t server;
    bool is_serving;
};

/* Makes a lease of 40 % in a 40 ms window, with 1 GiB, under $OUT. Ends the test where it cannot.
 */
void lease_make(struct lease *lease);
void lease_remove(struct lease *lease);

/* Starts and ends the daemon that answers token.sock. */
void lease_serve(struct lease *lease);
void lease_stop_serving(struct lease *lease);

void lease_grant(struct lease *lease, uint32_t epoch, uint64_t length_ns);
void lease_revoke(struct lease *lease);

/* Wait until a condition on slot 0 holds; false after two seconds. */
bool lease_await_wants(struct lease *lease, uint32_t wants);
bool lease_await_joined(struct lease *lease, uint32_t epoch);
bool lease_await_ack(struct lease *lease, uint32_t epoch);

/* Grants slot 0 a token that it wants, holds it for hold_ms after it was taken up, revokes it and
 * waits until it is back. */
void lease_hold(struct lease *lease, uint32_t epoch, unsigned hold_ms);

/* Runs the lease's program under the hook with these arguments; returns its pid. */
pid_t lease_run(struct lease *lease, const char *scenario, const char *argument);

/* Waits for the client, granting again what it gave back; returns as lease_join. */
int lease_finish(struct lease *lease, pid_t client);

/* Waits for the client; returns its exit status, or 256 + the signal. */
int lease_join(pid_t client);

uint64_t test_now_ns(void);
void test_sleep_ms(unsigned ms);

struct test {
    const char *name;
    void (*run)(void);
};
#define TEST(name) {#name, name}

/* Runs each of `tests`, or the one that the first argument names, on a served lease of its own,
 * whose client is `program`. Returns main's status. */
int lease_test(struct lease *lease, const char *program, const struct test *tests, size_t count,
               char **arguments);
#define LEASE_TEST(lease, program, tests, arguments)                                               \
    lease_test(lease, program, tests, sizeof(tests) / sizeof((tests)[0]), arguments)

#define CHECK(claim)                                                                               \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #claim);      \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
