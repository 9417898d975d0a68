/* A token daemon within the fuzzer's process: the daemon's own threads on a folder of their own, so
 * that what is fuzzed is all that a message meets, from the socket to the arbiter. */
#ifndef GSHARE_FUZZ_SERVED_H
#define GSHARE_FUZZ_SERVED_H

#include <stddef.h>
#include <sys/types.h>

#include "gshare/wire.h"

#define GSHARE_SERVED_LEASES 2

struct gshare_served {
    char folder[64];
    struct gshare_counters *counters[GSHARE_SERVED_LEASES]; /* as a client maps them */
};

/* Starts it at the first call. It ends, and its folder goes, with the process. */
struct gshare_served *gshare_served(void);

/* A connection to the control socket, or to a lease's; it waits for answers, a second at most. */
int gshare_served_dial_control(void);
int gshare_served_dial_lease(unsigned lease);

/* Receives an answer, also across libFuzzer's own signals. As recv. */
ssize_t gshare_served_receive(int fd, char *answer, size_t bytes);

/* Adds a ring to the doorbell, as a client does. */
void gshare_served_ring(void);

/* Ends the process unless the daemon answers, and keeps its promise: at most 100 % of the SMs. */
void gshare_served_check(void);

#endif
