/* The launch gate, against the fake driver and a daemon of a few lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lease.h"

#define MS 1000000ull

static struct lease lease;

static void launch_waits_for_a_token(void) {
    pid_t client = lease_run(&lease, "launches", "10");

    CHECK(lease_await_wants(&lease, 1));
    test_sleep_ms(20);
    CHECK(lease.stats->launches == 0);
    lease_grant(&lease, 1, 1000 * MS);

    CHECK(lease_finish(&lease, client) == 0);
    CHECK(lease.stats->launches == 10);
    CHECK(lease.counters->slots[0].active_epoch == 1);
}

static void no_launch_reaches_the_driver_after_the_ack(void) {
    pid_t client = lease_run(&lease, "saturates", "400");

    for (uint32_t epoch = 1; epoch <= 30; epoch++) {
        lease_hold(&lease, epoch, 3);
        uint64_t launches = lease.stats->launches;
        test_sleep_ms(2);
        CHECK(lease.stats->launches == launches);
    }
    lease_grant(&lease, 31, 10000 * MS);

    CHECK(lease_finish(&lease, client) == 0);
}

static void threads_and_streams_are_closed_and_drained_together(void) {
    lease.stats->kernel_ns = 200000;
    pid_t client = lease_run(&lease, "threads", "400");

    for (uint32_t epoch = 1; epoch <= 20; epoch++) {
        lease_hold(&lease, epoch, 5);
        uint64_t launches = lease.stats->launches;
        test_sleep_ms(2);
        CHECK(lease.stats->launches == launches);
    }
    lease_grant(&lease, 21, 10000 * MS);

    CHECK(lease_finish(&lease, client) == 0);
    CHECK(lease.stats->most_queued <= 3);
}

static void used_time_is_that_of_the_kernels(void) {
    lease.stats->kernel_ns = 1 * MS;
    pid_t client = lease_run(&lease, "saturates", "60");

    lease_hold(&lease, 1, 30);
    uint64_t busy_ns = lease.stats->busy_ns, used_ns = lease.counters->slots[0].used_ns;
    lease_grant(&lease, 2, 10000 * MS);

    CHECK(lease_finish(&lease, client) == 0);
    CHECK(used_ns + MS / 100 >= busy_ns && used_ns < busy_ns + 12 * MS);
}

static void long_kernels_are_queued_two_deep(void) {
    lease.stats->kernel_ns = 2 * MS;
    lease_grant(&lease, 1, 10000 * MS);

    CHECK(lease_finish(&lease, lease_run(&lease, "saturates", "50")) == 0);

    CHECK(lease.stats->most_queued == 2);
    CHECK(lease.stats->launches >= 15 && lease.stats->launches <= 28);
}

static void short_kernels_are_queued_up_to_the_budget(void) {
    lease.stats->kernel_ns = 10000;
    lease_grant(&lease, 1, 10000 * MS);

    CHECK(lease_finish(&lease, lease_run(&lease, "saturates", "100")) == 0);

    CHECK(lease.stats->most_queued > 20 && lease.stats->most_queued <= 60);
    CHECK(lease.stats->records < lease.stats->launches / 8);
}

static void each_graph_is_checkpointed_by_itself(void) {
    lease.stats->kernel_ns = 100000;
    lease_grant(&lease, 1, 10000 * MS);

    CHECK(lease_finish(&lease, lease_run(&lease, "graphs", "60")) == 0);

    CHECK(lease.stats->launches <= 62 && lease.stats->launches >= 30);
}

static void captured_launches_are_not_work(void) {
    lease_grant(&lease, 1, 10000 * MS);

    CHECK(lease_finish(&lease, lease_run(&lease, "captures", "")) == 0);
}

static void idle_process_gives_its_token_back(void) {
    lease.stats->kernel_ns = 2 * MS;
    lease_grant(&lease, 1, 10000 * MS);
    pid_t client = lease_run(&lease, "idles", "300");

    CHECK(lease_await_ack(&lease, 1));
    uint64_t idle_ns = test_now_ns() - lease.stats->last_launch_ns;
    uint64_t used_ns = lease.counters->slots[0].used_ns;

    CHECK(lease.counters->slots[0].wants == 0);
    CHECK(idle_ns >= 2 * MS && idle_ns < 100 * MS);
    CHECK(used_ns >= 2 * MS && used_ns <= 4 * MS);
    CHECK(lease_finish(&lease, client) == 0);
}

static void synchronising_client_keeps_its_token(void) {
    lease.stats->kernel_ns = 3 * MS;
    lease_grant(&lease, 1, 10000 * MS);

    CHECK(lease_finish(&lease, lease_run(&lease, "synchronises", "100")) == 0);

    CHECK(lease.stats->launches >= 20);
    CHECK(lease.counters->slots[0].waits <= 5); /* 33 kernels: a wait each would show */
}

static void gate_closes_by_itself_when_the_daemon_is_late(void) {
    lease.stats->kernel_ns = 100000;
    pid_t client = lease_run(&lease, "saturates", "100");

    CHECK(lease_await_wants(&lease, 1));
    lease_grant(&lease, 1, 20 * MS);
    uint64_t deadline_ns = lease.grant->deadline_ns;
    CHECK(lease_await_ack(&lease, 1));
    uint64_t last_ns = lease.stats->last_launch_ns;
    lease_grant(&lease, 2, 10000 * MS);

    CHECK(last_ns < deadline_ns + 10 * MS);
    CHECK(lease_finish(&lease, client) == 0);
}

static void without_a_daemon_a_process_paces_itself(void) {
    lease_stop_serving(&lease);
    lease.stats->kernel_ns = 500000;

    CHECK(lease_join(lease_run(&lease, "saturates", "800")) == 0);

    uint64_t share_percent = lease.stats->busy_ns * 100 / (800 * MS);
    CHECK(share_percent >= 32 && share_percent <= 44);
}

static void killed_daemon_is_met_again_with_the_same_slot(void) {
    lease.stats->kernel_ns = 500000;
    lease_grant(&lease, 1, 50 * MS);
    pid_t client = lease_run(&lease, "saturates", "600");
    CHECK(lease_await_ack(&lease, 1));

    lease_stop_serving(&lease);
    test_sleep_ms(150);
    uint64_t paced = lease.stats->launches;
    CHECK(paced > 100);
    lease_serve(&lease);
    test_sleep_ms(250);
    uint64_t waiting = lease.stats->launches;
    test_sleep_ms(60);
    CHECK(lease.stats->launches == waiting);
    lease_grant(&lease, 9, 10000 * MS);

    CHECK(lease_finish(&lease, client) == 0);
    CHECK(lease.stats->launches > waiting);
    CHECK(lease.counters->slot_high_water == 1);
}

static void forked_child_starts_anew(void) {
    lease_grant(&lease, 1, 10000 * MS);

    CHECK(lease_finish(&lease, lease_run(&lease, "forks", "")) == 0);

    CHECK(lease.counters->slot_high_water == 2);
    CHECK(lease.stats->launches == 3);
}

static void corrupt_limits_refuse_everything(void) {
    lease.limits->header.magic = 0;

    CHECK(lease_join(lease_run(&lease, "refused", "")) == 0);

    CHECK(lease.stats->launches == 0);
}

static void routes_all_lead_to_the_hook(void) {
#ifdef __SANITIZE_THREAD__
    return; /* dlsym is not interposed there */
#endif
    lease_grant(&lease, 1, 10000 * MS);

    CHECK(lease_finish(&lease, lease_run(&lease, "routes", "")) == 0);
}

static void without_a_lease_the_hook_is_inert(void) {
    struct lease inert = lease;
    inert.directory[0] = 0;

    CHECK(lease_join(lease_run(&inert, "inert", "100")) == 0);

    CHECK(lease.stats->launches == 100 && lease.counters->slot_high_water == 0);
}

int main(int count, char **arguments) {
    (void)count;
    static const struct test tests[] = {
        TEST(launch_waits_for_a_token),
        TEST(no_launch_reaches_the_driver_after_the_ack),
        TEST(threads_and_streams_are_closed_and_drained_together),
        TEST(used_time_is_that_of_the_kernels),
        TEST(long_kernels_are_queued_two_deep),
        TEST(short_kernels_are_queued_up_to_the_budget),
        TEST(each_graph_is_checkpointed_by_itself),
        TEST(captured_launches_are_not_work),
        TEST(idle_process_gives_its_token_back),
        TEST(synchronising_client_keeps_its_token),
        TEST(gate_closes_by_itself_when_the_daemon_is_late),
        TEST(without_a_daemon_a_process_paces_itself),
        TEST(killed_daemon_is_met_again_with_the_same_slot),
        TEST(forked_child_starts_anew),
        TEST(corrupt_limits_refuse_everything),
        TEST(routes_all_lead_to_the_hook),
        TEST(without_a_lease_the_hook_is_inert),
    };
    return LEASE_TEST(&lease, NULL, tests, arguments);
}
