/* A limits page that changes, or breaks, while its processes run. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lease.h"

#define MS 1000000ull
#define WINDOW_NS (40 * MS)
#define SLACK_NS (15 * MS) /* of a machine that others use too */

static struct lease lease;

/* As the node does it: odd, the change, even. */
#define REWRITE(field, value)                                                                      \
    do {                                                                                           \
        atomic_fetch_add(&lease.limits->sequence, 1);                                              \
        lease.limits->field = (value);                                                             \
        atomic_fetch_add(&lease.limits->sequence, 1);                                              \
    } while (0)

static void limits_path(char *path, size_t bytes) {
    snprintf(path, bytes, "%s/limits", lease.directory);
}

static void a_raised_cap_is_in_force_within_a_window(void) {
    lease.limits->memory_limit_bytes = 512ull << 20;
    pid_t client = lease_run(&lease, "awaits_memory", "2000");
    test_sleep_ms(60);
    CHECK(lease.stats->allocations == 0);

    REWRITE(memory_limit_bytes, 1ull << 30);
    uint64_t end_ns = test_now_ns() + WINDOW_NS + SLACK_NS;
    while (lease.stats->allocations == 0 && test_now_ns() < end_ns)
        test_sleep_ms(1);

    CHECK(lease.stats->allocations == 1);
    CHECK(lease_join(client) == 0);
}

static void a_page_that_is_being_written_is_not_in_force_yet(void) {
    lease.limits->memory_limit_bytes = 512ull << 20;
    pid_t client = lease_run(&lease, "awaits_memory", "2000");
    test_sleep_ms(30);

    atomic_fetch_add(&lease.limits->sequence, 1);
    lease.limits->memory_limit_bytes = 1ull << 30;
    test_sleep_ms(100);
    CHECK(lease.stats->allocations == 0);
    atomic_fetch_add(&lease.limits->sequence, 1);

    CHECK(lease_join(client) == 0);
}

static void a_changed_depth_is_in_force_with_the_next_token(void) {
    lease.stats->kernel_ns = 2 * MS;
    pid_t client = lease_run(&lease, "is_held", "300");
    CHECK(lease_await_wants(&lease, 1));
    lease_grant(&lease, 1, 10000 * MS);
    CHECK(lease_await_joined(&lease, 1));
    test_sleep_ms(60);
    CHECK(lease.stats->most_queued == 2);

    REWRITE(launch_depth, 5);
    test_sleep_ms((unsigned)(WINDOW_NS / MS));
    lease_revoke(&lease);
    CHECK(lease_await_ack(&lease, 1));
    lease_grant(&lease, 2, 10000 * MS);

    CHECK(lease_finish(&lease, client) == 0);
    CHECK(lease.stats->most_queued == 5);
}

static void keeps_its_limits(void (*damage)(const char *path)) {
    char path[200];
    limits_path(path, sizeof path);
    lease.stats->kernel_ns = 500000;
    lease_grant(&lease, 1, 10000 * MS);
    pid_t client = lease_run(&lease, "is_held", "300");
    CHECK(lease_await_wants(&lease, 1));

    damage(path);

    CHECK(lease_finish(&lease, client) == 0);
    CHECK(lease.stats->launches > 100 && lease.stats->allocations == 0);
}

static void cut(const char *path) {
    CHECK(truncate(path, 0) == 0);
}

static void fill(const char *path, int byte) {
    char bytes[sizeof *lease.limits];
    memset(bytes, byte, sizeof bytes);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(file >= 0 && pwrite(file, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    close(file);
}

static void zero(const char *path) {
    fill(path, 0);
}

static void scribble(const char *path) {
    fill(path, 0x55);
}

static void widen(const char *path) {
    (void)path;
    REWRITE(quota_request_percent, 10000);
    REWRITE(memory_limit_bytes, 0);
}

static void take_away(const char *path) {
    CHECK(unlink(path) == 0);
}

static void a_page_cut_short_changes_nothing(void) {
    keeps_its_limits(cut);
}

static void a_page_of_zeros_changes_nothing(void) {
    keeps_its_limits(zero);
}

static void a_page_of_garbage_changes_nothing(void) {
    keeps_its_limits(scribble);
}

static void a_page_with_one_impossible_value_changes_nothing(void) {
    keeps_its_limits(widen);
}

static void an_absent_page_changes_nothing(void) {
    keeps_its_limits(take_away);
}

int main(int count, char **arguments) {
    (void)count;
    static const struct test tests[] = {
        TEST(a_raised_cap_is_in_force_within_a_window),
        TEST(a_page_that_is_being_written_is_not_in_force_yet),
        TEST(a_changed_depth_is_in_force_with_the_next_token),
        TEST(a_page_cut_short_changes_nothing),
        TEST(a_page_of_zeros_changes_nothing),
        TEST(a_page_of_garbage_changes_nothing),
        TEST(a_page_with_one_impossible_value_changes_nothing),
        TEST(an_absent_page_changes_nothing),
    };
    return LEASE_TEST(&lease, "gate_client", tests, arguments);
}
