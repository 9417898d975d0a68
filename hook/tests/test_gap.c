/* The gaps in which a token's holder leaves the GPU empty, against the fake driver, which knows how
 * long its kernels ran. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease.h"

#define MS 1000000ull
#define RUN_MS "20000" /* until it is killed */

static struct lease lease;

static void end(pid_t client) {
    CHECK(kill(client, SIGKILL) == 0);
    CHECK(lease_join(client) == 256 + SIGKILL);
}

/* Runs a scenario under tokens that are revoked; returns slot 0, in which what was busy is right.
 */
static struct gshare_slot *run(const char *scenario) {
    lease.stats->kernel_ns = 100000;
    pid_t client = lease_run(&lease, scenario, RUN_MS);
    struct gshare_slot *slot = &lease.counters->slots[0];
    for (uint32_t epoch = 1; epoch <= 6; epoch++) {
        lease_hold(&lease, epoch, 20);
    }
    uint64_t busy_ns = lease.stats->busy_ns;
    CHECK(slot->busy_ns < busy_ns + 4 * MS && slot->busy_ns + MS > busy_ns);
    end(client);
    return slot;
}

static void waits_for_a_stream_show_gaps(void) {
    struct gshare_slot *slot = run("gaps_in_stream");

    CHECK(slot->used_ns > slot->busy_ns + slot->busy_ns / 5);
}

static void waits_for_a_context_show_gaps(void) {
    struct gshare_slot *slot = run("gaps_in_context");

    CHECK(slot->used_ns > slot->busy_ns + slot->busy_ns / 5);
}

static void asking_until_it_is_complete_shows_gaps(void) {
    struct gshare_slot *slot = run("gaps_by_asking");

    CHECK(slot->used_ns > slot->busy_ns + slot->busy_ns / 5);
}

static void work_of_another_thread_fills_a_gap(void) {
    lease.stats->kernel_ns = 400000;
    pid_t client = lease_run(&lease, "gaps_beside_work", RUN_MS);
    lease_hold(&lease, 1, 120);
    struct gshare_slot *slot = &lease.counters->slots[0];
    uint64_t used_ns = slot->used_ns, busy_ns = slot->busy_ns;
    end(client);

    CHECK(used_ns > 60 * MS && busy_ns + 2 * MS > used_ns);
}

int main(int count, char **arguments) {
    (void)count;
    static const struct test tests[] = {
        TEST(waits_for_a_stream_show_gaps),
        TEST(waits_for_a_context_show_gaps),
        TEST(asking_until_it_is_complete_shows_gaps),
        TEST(work_of_another_thread_fills_a_gap),
    };
    return LEASE_TEST(&lease, "gate_client", tests, arguments);
}
