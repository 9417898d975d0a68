/* The lanes: each thread's place at the gate, from its first launch to its end. */
#include <pthread.h>
#include <sys/mman.h>

#include "hook/gate.h"
#include "hook/track.h"

#define LANES_A_CHUNK 32

/* What a thread points to before it has a lane: never passes, and is nobody's to read. */
static struct gshare_lane no_lane = {.stream = GSHARE_NO_STREAM};
__thread struct gshare_lane *gshare_own_lane __attribute__((tls_model("initial-exec"))) = &no_lane;

static pthread_key_t lane_key; /* its destructor gives a thread's lane back */
static bool has_lane_key;      /* written by gshare_lane_init */

bool gshare_lane_is_own(void) {
    return gshare_own_lane != &no_lane;
}

void gshare_lane_clear(struct gshare_lane *lane) {
    lane->track = NULL;
    lane->is_parked = false;
    atomic_store(&lane->stream, GSHARE_NO_STREAM);
}

static void release_lane(void *argument) {
    struct gshare_lane *lane = argument;
    gshare_own_lane = &no_lane;
    gshare_gate_lock_still();
    gshare_gate_count(lane);
    gshare_track_orphan(lane);
    gshare_lane_clear(lane);
    atomic_fetch_sub(&gshare_gate.lane_count, 1);
    gshare_gate_unlock();
    atomic_store(&lane->is_owned, 0);
}

static struct gshare_lane *free_lane(void) {
    for (struct gshare_lane *lane = atomic_load(&gshare_gate.lanes); lane; lane = lane->next)
        if (atomic_load(&lane->is_owned) == 0 && atomic_exchange(&lane->is_owned, 1) == 0)
            return lane;
    return NULL;
}

/* Maps a chunk of lanes and publishes them. Under the lock. */
static void add_lanes(void) {
    struct gshare_lane *chunk = mmap(NULL, LANES_A_CHUNK * sizeof *chunk, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED)
        return;
    for (int i = 0; i < LANES_A_CHUNK; i++) {
        atomic_store(&chunk[i].stream, GSHARE_NO_STREAM);
        chunk[i].next = atomic_load(&gshare_gate.lanes);
        atomic_store(&gshare_gate.lanes, &chunk[i]);
    }
}

struct gshare_lane *gshare_gate_lane(void) {
    if (gshare_lane_is_own())
        return gshare_own_lane;
    gshare_gate_lock();
    struct gshare_lane *lane = free_lane();
    if (!lane) {
        add_lanes();
        lane = free_lane();
    }
    if (lane)
        atomic_fetch_add(&gshare_gate.lane_count, 1);
    gshare_gate_unlock();
    if (!lane)
        return NULL;
    atomic_store(&lane->credit, 0);
    lane->granted = 0;
    if (has_lane_key)
        pthread_setspecific(lane_key, lane);
    return gshare_own_lane = lane;
}

void gshare_gate_forget_stream(void) {
    struct gshare_lane *lane = gshare_own_lane;
    if (!gshare_lane_is_own())
        return;
    gshare_gate_lock();
    gshare_gate_count(lane);
    gshare_lane_clear(lane);
    gshare_gate_unlock();
}

void gshare_lane_init(void) {
    if (!has_lane_key)
        has_lane_key = pthread_key_create(&lane_key, release_lane) == 0;
}

void gshare_lane_forget(void) {
    struct gshare_lane *lane = atomic_load(&gshare_gate.lanes);
    while (lane) {
        struct gshare_lane *next = lane->next;
        *lane = (struct gshare_lane){.stream = GSHARE_NO_STREAM, .next = next};
        lane = next;
    }
    gshare_own_lane = &no_lane;
    if (has_lane_key)
        pthread_setspecific(lane_key, NULL);
}
