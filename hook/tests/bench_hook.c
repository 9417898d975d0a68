/* Prints what the hook adds to a launch and to an allocation with its free, over the bare (fake)
 * driver: OUT/tests/bench_hook. Each figure is the least of many rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lease.h"

#define COUNT "200000"

int main(void) {
    struct lease lease;
    lease_make(&lease);
    lease_serve(&lease);
    lease.limits->queue_budget_us = 500;
    lease_grant(&lease, 1, 60000000000ull);
    printf("hooked ");
    fflush(stdout);
    CHECK(lease_finish(&lease, lease_run(&lease, "speed", COUNT)) == 0);
    struct lease bare = lease;
    bare.directory[0] = 0;
    printf("inert  ");
    fflush(stdout);
    CHECK(lease_join(lease_run(&bare, "speed", COUNT)) == 0);
    setenv("GSHARE_TEST_NO_HOOK", "1", 1);
    printf("bare   ");
    fflush(stdout);
    CHECK(lease_join(lease_run(&bare, "speed", COUNT)) == 0);
    lease_remove(&lease);
    return 0;
}
