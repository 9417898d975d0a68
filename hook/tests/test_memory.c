/* The memory account: what a client under the hook may take, and what the lease's page shows. Run
 * with OUT set: OUT/tests/test_memory [test]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease.h"

#define MIB (1ull << 20)

static struct lease lease;

static struct gshare_slot *slot(void) {
    return &lease.counters->slots[0];
}

static void run(const char *scenario) {
    CHECK(lease_join(lease_run(&lease, scenario, "")) == 0);
}

static void memory_is_capped_with_the_drivers_own_errors(void) {
    run("capped");
}

static void pitch_that_the_driver_chose_counts(void) {
    run("pitched");
}

static void arrays_and_mipmaps_count_by_their_shape(void) {
    run("arrays");
}

static void physical_memory_counts_until_its_last_handle_and_mapping_are_gone(void) {
    run("maps");
}

static void pinned_and_imported_memory_are_counted_apart(void) {
    run("apart");

    CHECK(slot()->memory_bytes == 0);
    CHECK(slot()->host_bytes == 10 * MIB);
    CHECK(slot()->imported_bytes == 96 * MIB);
}

static void import_counts_once_however_often_it_is_mapped(void) {
    run("mapped_imports");

    CHECK(slot()->memory_bytes == 0);
    CHECK(slot()->imported_bytes == 64 * MIB);
}

static void imports_leave_nothing_and_another_processs_pool_never_counts(void) {
    run("ended_imports");

    CHECK(slot()->memory_bytes == 0);
    CHECK(slot()->imported_bytes == 0);
}

static void what_a_raised_pool_keeps_counts_and_is_trimmed_on_need(void) {
    run("pools");
}

static void other_processes_see_what_a_raised_pool_keeps(void) {
    run("kept");

    CHECK(slot()->memory_bytes == 600 * MIB);
}

static void memory_of_graphs_counts_by_its_peak_until_it_is_trimmed(void) {
    run("graph_memory");
}

static void captured_allocations_are_not_allocations(void) {
    run("captured_memory");
}

static void threads_that_take_and_free_leave_nothing(void) {
    run("in_threads");

    CHECK(slot()->host_bytes == 0);
}

static void memory_goes_with_its_context(void) {
    run("contexts");

    CHECK(slot()->memory_bytes == 0);
    CHECK(slot()->imported_bytes == 0);
}

int main(int count, char **arguments) {
    (void)count;
    static const struct test tests[] = {
        TEST(memory_is_capped_with_the_drivers_own_errors),
        TEST(pitch_that_the_driver_chose_counts),
        TEST(arrays_and_mipmaps_count_by_their_shape),
        TEST(physical_memory_counts_until_its_last_handle_and_mapping_are_gone),
        TEST(pinned_and_imported_memory_are_counted_apart),
        TEST(import_counts_once_however_often_it_is_mapped),
        TEST(imports_leave_nothing_and_another_processs_pool_never_counts),
        TEST(what_a_raised_pool_keeps_counts_and_is_trimmed_on_need),
        TEST(other_processes_see_what_a_raised_pool_keeps),
        TEST(memory_of_graphs_counts_by_its_peak_until_it_is_trimmed),
        TEST(captured_allocations_are_not_allocations),
        TEST(threads_that_take_and_free_leave_nothing),
        TEST(memory_goes_with_its_context),
    };
    return LEASE_TEST(&lease, NULL, tests, arguments);
}
