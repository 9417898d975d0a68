/* The shared state of one simulated GPU: a file in GSHARE_SIMGPU_DIR that every client maps.
 *
 * Everything is guarded by `lock`, which survives its holder's death. Nothing here is a derived sum
 * that a killed holder could leave half updated, except `active`, which gshare_sim_repair()
 * rebuilds. Times are CLOCK_MONOTONIC ns. The file is sparse: only touched rings, events and slots
 * cost RAM.
 */
#ifndef GSHARE_SIMGPU_STATE_H
#define GSHARE_SIMGPU_STATE_H

#include <stdatomic.h>
#include <stdint.h>

#define SIM_MAGIC 0x53555047u
#define SIM_VERSION 7u

enum {
    SIM_CLIENTS = 256,
    SIM_STREAMS = 2048,
    SIM_RING = 1024,
    SIM_EVENTS = 1 << 18,
    SIM_ACCOUNTS = 1024,
    SIM_SHARES = 2048,
    SIM_LABEL_BYTES = 64,
    SIM_NAME_BYTES = 64,
    SIM_BUCKETS = 16,
    SIM_XIDS = 32,
    SIM_SPANS = 1 << 16,
};

#define SIM_BUCKET_NS 100000000u /* utilisation is kept in pieces of 100 ms */
#define SIM_NONE UINT32_MAX

enum sim_op_kind {
    SIM_KERNEL,
    SIM_COPY_IN,     /* host to device */
    SIM_COPY_OUT,    /* device to host */
    SIM_COPY_WITHIN, /* device to device, and memset: at memory bandwidth */
    SIM_RECORD,      /* takes no time from here on */
    SIM_WAIT,
    SIM_HOST,
};
enum { SIM_COPY_ENGINES = 3 };

enum sim_op_flags {
    SIM_OP_CALL = 1,     /* the first operation of a client's call that puts work on the GPU */
    SIM_OP_GRAPH = 2,    /* that call launches a graph */
    SIM_OP_RELEASED = 4, /* SIM_HOST: the callback has returned */
    SIM_OP_FAULT = 8,    /* SIM_KERNEL: it ends with the error `target` */
};

/* One piece of queued work. */
struct sim_op {
    uint8_t kind;
    uint8_t flags;
    uint16_t demand;   /* SIM_KERNEL: SMs that it can fill */
    uint32_t target;   /* SIM_RECORD: event; SIM_WAIT: stream; SIM_KERNEL: error, if it faults */
    uint64_t position; /* SIM_WAIT: the target stream's head must reach it */
    uint64_t order;    /* submission number on this GPU */
    double work_ns;    /* time at full demand, or at the whole link */
};

enum sim_stream_flags { SIM_STREAM_LEGACY = 1, SIM_STREAM_NON_BLOCKING = 2 };

struct sim_stream {
    uint32_t client; /* owner, SIM_NONE when free */
    uint32_t group;  /* the legacy stream of its context */
    uint32_t flags;
    uint32_t cap_sms; /* of its context; the client's cap holds besides */
    uint32_t closing; /* destroyed by its owner: freed when drained */
    uint32_t started; /* the head runs or may run; `remaining_ns` counts */
    uint64_t head;    /* operations completed, ever: never reset, so positions stay valid */
    uint64_t tail;    /* operations submitted, ever */
    uint64_t ready_ns;
    double remaining_ns;
    double share_sms; /* set by the scheduler for the current step */
    double rate;      /* the same; 0: does not run */
    struct sim_op ring[SIM_RING];
};

struct sim_event {
    uint32_t client; /* SIM_NONE when free */
    uint32_t stream; /* SIM_NONE before the first record */
    uint64_t position;
    uint64_t time_ns;
};

struct sim_bucket {
    uint64_t index; /* time / SIM_BUCKET_NS */
    double kernel_ns;
    double sm_ns;
    double copy_ns;
};

/* One process on this GPU. Alive while it holds the lock on its byte of the lock file. */
struct sim_client {
    uint32_t in_use;
    uint32_t pid;
    uint32_t account;
    uint32_t cap_sms;
    uint64_t memory_bytes; /* context overhead and chunks, without shared memory */
    uint64_t memory_limit_bytes;
    uint64_t host_bytes; /* of the host, pinned for this GPU */
    uint64_t attached_ns;
    double want_sms;        /* scratch of the scheduler */
    uint32_t counted;       /* the same */
    uint32_t stamp;         /* scratch of the accounts */
    _Atomic uint32_t error; /* of a kernel that faulted: every later call fails with it */
    struct sim_bucket buckets[SIM_BUCKETS];
};

/* Memory that other processes may open. One of its holders is charged for it, beside its own
 * `memory_bytes`; when that one lets go or dies, another holder is. */
struct sim_share {
    uint64_t file; /* inode number of its memory's file; 0: free */
    uint64_t bytes;
    uint32_t payer; /* the client that is charged */
    uint32_t reserved;
    uint32_t holds[SIM_CLIENTS]; /* how often each client holds it */
};

/* What processes of one label have used; outlives them. */
struct sim_account {
    char label[SIM_LABEL_BYTES];
    uint64_t busy_ns;   /* any of its kernels or copies ran */
    uint64_t kernel_ns; /* any of its kernels ran */
    double sm_time_ns;
    uint64_t calls;    /* that put work on the GPU: launches, copies, memsets, host functions */
    uint64_t launches; /* of them, launches of kernels and graphs */
    uint64_t kernels;  /* queued, also by graphs */
    uint64_t stamp;
    uint64_t kernel_stamp;
    uint64_t span; /* number of its last span, from 1 on */
};

/* A time in which kernels of one account ran without a gap. */
struct sim_span {
    uint64_t begin_ns;
    uint64_t end_ns; /* grows while they run */
    uint32_t account;
    uint32_t reserved;
};

/* Constants of the device, from the topology file. */
struct sim_device {
    char uuid[SIM_NAME_BYTES];
    char name[SIM_NAME_BYTES];
    uint32_t index;
    uint32_t sm_count;
    uint64_t memory_bytes;
    uint64_t context_bytes;
    uint64_t link_bytes_per_s;
    uint64_t memory_bytes_per_s;
    uint32_t compute_major;
    uint32_t compute_minor;
    uint32_t clock_khz;
    uint32_t memory_clock_khz;
    uint32_t bus_bits;
    uint32_t l2_bytes;
    uint32_t shared_bytes_per_sm;
    uint32_t threads_per_sm;
    uint32_t blocks_per_sm;
    uint32_t power_limit_mw;
    uint32_t block_ns; /* time of one block of a kernel that states no cost */
    uint32_t mps;      /* 0: clients take turns */
    uint32_t turn_us;
    uint32_t time_scale;
};

struct sim_state {
    uint32_t magic;
    uint32_t version;
    struct sim_device device;      /* immutable after creation */
    _Atomic uint32_t lock;         /* lock.c: 0, or who holds it */
    _Atomic uint32_t compute_mode; /* NVML's number; nothing here depends on it */
    _Atomic uint32_t is_lost;      /* NVML answers that the GPU is lost */
    _Atomic uint64_t xid_count;    /* faults reported, ever; the last ones in `xids` */
    uint32_t xids[SIM_XIDS];
    uint64_t created_ns;
    uint64_t time_ns; /* the model's clock: everything up to here has happened */
    uint64_t reaped_ns;
    uint32_t reap_at; /* the slot that is looked at next */
    uint64_t orders;
    uint64_t steps;
    uint64_t busy_ns;
    uint64_t kernel_ns;
    uint64_t overcommitted_ns;
    uint64_t stalled_ns; /* work was queued and none of it ran */
    double sm_time_ns;
    double used_sms; /* scratch of the scheduler: what runs takes */
    double want_sms; /* and what it would take of an endless GPU */
    uint32_t turn_client;
    uint64_t turn_end_ns; /* 0: nobody else waits */
    struct sim_bucket buckets[SIM_BUCKETS];
    uint64_t span_count;  /* spans begun, ever; the last ones in `spans` */
    uint32_t client_high; /* slots at and above were never used */
    uint32_t stream_high;
    uint32_t event_high;
    uint32_t event_hint;
    uint32_t account_high;
    uint32_t share_high;
    uint32_t active_count;
    uint16_t active[SIM_STREAMS]; /* streams with work, in no order */
    struct sim_client clients[SIM_CLIENTS];
    struct sim_account accounts[SIM_ACCOUNTS];
    struct sim_span spans[SIM_SPANS];
    struct sim_share shares[SIM_SHARES];
    struct sim_event events[SIM_EVENTS];
    struct sim_stream streams[SIM_STREAMS];
};

#endif
