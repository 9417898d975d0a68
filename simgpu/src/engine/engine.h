/* The engine: a lazy discrete-event simulation under one lock per GPU, without threads or daemon.
 *
 * Whoever takes the lock first plays the model forward to now; so times of completion are exact
 * whoever looks, and however late. Functions return 0 or a negative errno.
 */
#ifndef GSHARE_SIMGPU_ENGINE_H
#define GSHARE_SIMGPU_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "state.h"

enum { SIM_MAX_GPUS = 16 };

/* A waiter sleeps to this long before the predicted finish and spins through the rest: a timer
 * wake-up of a virtual machine is late by about this much. */
#define SIM_SPIN_NS 60000u

/* One GPU as a process sees it. */
struct sim_gpu {
    struct sim_state *state;
    int lock_fd;      /* its bytes of `client` and `visitor` are write-locked while we live */
    uint32_t client;  /* SIM_NONE until attached */
    uint32_t visitor; /* who we are to the lock: from 1 on */
};

/* topology.c: reads DIR/topology; returns the number of GPUs or a negative errno. */
int gshare_sim_topology(const char *directory, struct sim_device devices[SIM_MAX_GPUS]);

/* segment.c */
int gshare_sim_create(const char *directory, const struct sim_device *device);
int gshare_sim_open(const char *directory, uint32_t index, struct sim_gpu *gpu);
void gshare_sim_forget(struct sim_gpu *gpu); /* in a forked child: drop the parent's life line */

/* alive.c: bytes of the lock file by which a process's life shows, across pid namespaces. Clients
 * have those from 0 on, visitors (whoever has opened the GPU) those from SIM_VISITOR_BYTES on. */
enum { SIM_VISITORS = 1024, SIM_VISITOR_BYTES = 4096 };
int gshare_sim_byte_take(int fd, uint32_t byte);
void gshare_sim_byte_leave(int fd, uint32_t byte);
bool gshare_sim_byte_is_held(int fd, uint32_t byte); /* by another than `fd` */

/* lock.c: takes the lock and plays the model to now. */
int gshare_sim_visit(struct sim_gpu *gpu); /* gives us an identity; -EUSERS: none is left */
void gshare_sim_lock(struct sim_gpu *gpu);
void gshare_sim_unlock(struct sim_gpu *gpu);
uint32_t gshare_sim_holder(const struct sim_gpu *gpu); /* 0: nobody */
uint64_t gshare_sim_now(void);

/* clients.c: with the lock held, but for attach and detach, which take it. */
struct sim_terms {
    uint32_t cap_sms;
    uint64_t memory_limit_bytes; /* UINT64_MAX: none */
    const char *label;
};
int gshare_sim_attach(struct sim_gpu *gpu, const struct sim_terms *terms);
void gshare_sim_detach(struct sim_gpu *gpu);
void gshare_sim_reap(struct sim_gpu *gpu);      /* all that are dead */
void gshare_sim_reap_next(struct sim_gpu *gpu); /* the next one in turn, if it is dead */
uint64_t gshare_sim_memory_used(const struct sim_state *state);
uint64_t gshare_sim_memory_of(const struct sim_state *state, uint32_t client);
uint64_t gshare_sim_room(struct sim_gpu *gpu);              /* bytes that we may still be charged */
int gshare_sim_charge(struct sim_gpu *gpu, uint64_t bytes); /* takes the lock; -ENOMEM: full */
void gshare_sim_refund(struct sim_gpu *gpu, uint64_t bytes);
/* Counts memory of the host that the client pins; there is no limit. Takes the lock. */
void gshare_sim_pin(struct sim_gpu *gpu, int64_t bytes);

/* shares.c: take the lock, but for the last two, which are called with it. Memory is told by its
 * file's inode number. */
int gshare_sim_offer(struct sim_gpu *gpu, uint64_t file, uint64_t bytes); /* what was ours alone */
int gshare_sim_hold(struct sim_gpu *gpu, uint64_t file, uint64_t bytes);  /* once more */
void gshare_sim_let_go(struct sim_gpu *gpu, uint64_t file);               /* once */
void gshare_sim_let_go_all(struct sim_state *state, uint32_t client);
uint64_t gshare_sim_shared_bytes(const struct sim_state *state, uint32_t payer); /* SIM_NONE: all */

/* streams.c: with the lock held. */
int gshare_sim_stream_open(struct sim_gpu *gpu, uint32_t group, uint32_t flags, uint32_t cap_sms,
                           uint32_t *stream);
void gshare_sim_stream_close(struct sim_gpu *gpu, uint32_t stream);
int gshare_sim_event_open(struct sim_gpu *gpu, uint32_t *event);
void gshare_sim_event_close(struct sim_gpu *gpu, uint32_t event);
void gshare_sim_release_client(struct sim_state *state, uint32_t client);
void gshare_sim_repair(struct sim_state *state);

/* queue.c: submit takes the lock, waits while the ring is full, and returns the position after
 * the operation. */
uint64_t gshare_sim_submit(struct sim_gpu *gpu, uint32_t stream, struct sim_op op);
uint64_t gshare_sim_record(struct sim_gpu *gpu, uint32_t stream, uint32_t event);

/* wait.c */
void gshare_sim_wait(struct sim_gpu *gpu, uint32_t stream, uint64_t position);
void gshare_sim_wait_group(struct sim_gpu *gpu, uint32_t group);
void gshare_sim_sleep_until(uint64_t time_ns);
void gshare_sim_relax(void); /* a pause of a spinning thread */
uint64_t gshare_sim_earliest(struct sim_state *state, uint32_t stream, uint64_t position);

/* schedule.c: who runs, at what rate, from state->time_ns on. */
void gshare_sim_settle(struct sim_state *state);
void gshare_sim_schedule(struct sim_state *state);

/* advance.c */
void gshare_sim_advance(struct sim_state *state, uint64_t now_ns);
uint64_t gshare_sim_next_change(struct sim_state *state);

static inline struct sim_op *sim_head(struct sim_stream *stream) {
    return &stream->ring[stream->head % SIM_RING];
}

#endif
