/* What the simulated driver keeps in a process, and the calls between its files.
 * Everything shared between processes is in the engine's state. */
#ifndef GSHARE_SIMGPU_DRIVER_H
#define GSHARE_SIMGPU_DRIVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "../engine/engine.h"
#include "cuda_types.h"
#include "version.h"

#define SIM_API __attribute__((visibility("default")))

#define CALL(name, since, symbol, parameters) SIM_API CUresult symbol parameters;
#define THREAD CALL
#include "functions.def"
#undef THREAD
#undef CALL

struct sim_heap;

/* A GPU that this process may see, at its ordinal. Written once, at initialisation, but for the
 * members under `lock`. */
struct sim_board {
    struct sim_gpu gpu;
    uint32_t cap_sms; /* SMs under the MPS percentage; all of them without */
    uint64_t memory_limit_bytes;
    pthread_mutex_t lock;
    struct sim_heap *heap;
    struct sim_context *primary;
    unsigned int primary_references;
    unsigned int primary_flags;
    unsigned int contexts;
    _Atomic unsigned int attachment;   /* counts the times that the process left the GPU */
    struct sim_context *first_context; /* all live contexts of the board */
};

/* A context: CUcontext. Never freed: threads may hold it as current after it is destroyed. */
struct sim_context {
    struct sim_board *board;
    struct sim_context *next;
    _Atomic bool is_destroyed;
    CUdevice device;
    unsigned int flags;
    uint32_t cap_sms;
    unsigned long long id;
    struct sim_queue *legacy;
    struct sim_queue *streams; /* every live stream; under board->lock */
};

/* A stream: CUstream. */
struct sim_queue {
    struct sim_context *context; /* destroyed with it, and then freed by cuStreamDestroy */
    struct sim_queue *next;
    uint32_t index; /* of the engine's stream */
    unsigned int flags;
    int priority;
    unsigned long long id;
};

/* An event: CUevent. */
struct sim_mark {
    struct sim_board *board;
    unsigned int attachment; /* of the board, at creation: an older event is dead */
    uint32_t index;          /* of the engine's event */
    unsigned int flags;
};

/* A kernel: CUfunction and CUkernel. */
struct sim_function {
    struct sim_module *module;
    char *name;
    uint32_t demand_sms; /* 0: from grid and block */
    uint64_t duration_ns;
    unsigned int parameter_count;
    uint32_t *parameter_sizes;
    int dynamic_shared_bytes;
};

/* A module or a library: CUmodule and CUlibrary. */
struct sim_module {
    struct sim_function *functions;
    unsigned int function_count;
};

/* A range of addresses that shows a file's memory. */
struct sim_mapping {
    struct sim_mapping *next;
    struct sim_board *board;
    struct sim_backing *backing; /* NULL: another process's, opened by IPC */
    CUdeviceptr base;
    size_t bytes;
};

/* process.c */
CUresult gshare_sim_ready(void); /* CUDA_SUCCESS once cuInit has passed in this process */
int gshare_sim_board_count(void);
struct sim_board *gshare_sim_board(CUdevice device); /* NULL: no such ordinal */
CUresult gshare_sim_attach_board(struct sim_board *board);

/* context.c */
CUresult gshare_sim_current(struct sim_context **context); /* CUDA_ERROR_INVALID_CONTEXT: none */
CUresult gshare_sim_context_open(CUdevice device, unsigned int flags, uint32_t cap_sms,
                                 struct sim_context **context);
void gshare_sim_context_close(struct sim_context *context);
void gshare_sim_make_current(struct sim_context *context);
void gshare_sim_context_wait(struct sim_context *context);

/* heap.c: device memory, in host pages that cost nothing until touched. */
enum { SIM_HEAP_GRANULE = 512, SIM_HEAP_CHUNK = 2 << 20 };
CUresult gshare_sim_heap_open(struct sim_board *board);
void gshare_sim_heap_clear(struct sim_board *board);
CUresult gshare_sim_allocate(struct sim_board *board, size_t bytes, CUdeviceptr *pointer);
CUresult gshare_sim_free(CUdeviceptr pointer);
/* The allocation around an address; NULL: not device memory. */
struct sim_board *gshare_sim_find(CUdeviceptr pointer, CUdeviceptr *base, size_t *bytes);
CUresult gshare_sim_share(CUdeviceptr pointer, int *fd, size_t *offset, size_t *bytes);

/* mapping.c: device memory that is mapped from files: virtual memory management and IPC. */
bool gshare_sim_mapping_at(CUdeviceptr pointer, struct sim_mapping *found);
CUresult gshare_sim_add_mapping(struct sim_mapping mapping);
CUresult gshare_sim_remove_mapping(CUdeviceptr base, struct sim_mapping *removed);

/* copy.c: whether a range is device memory; the time of a copy in a stream. */
CUresult gshare_sim_check_range(CUdeviceptr pointer, size_t bytes);
CUresult gshare_sim_transfer(enum sim_op_kind kind, size_t bytes, CUstream stream, bool waits);

/* memory.c: host memory that the driver allocated or registered. */
bool gshare_sim_find_host(const void *address, unsigned int *flags);

/* stream.c */
extern _Thread_local int gshare_sim_per_thread; /* per_thread.c */
CUresult gshare_sim_queue_of(CUstream stream, struct sim_queue **queue);
CUresult gshare_sim_queue_open(struct sim_context *context, uint32_t engine_flags,
                               unsigned int flags, int priority, struct sim_queue **queue);
void gshare_sim_queue_end(struct sim_queue *queue);
void gshare_sim_queue_wait(struct sim_queue *queue);

/* image.c */
CUresult gshare_sim_read_image(const void *image, struct sim_module *module);
CUresult gshare_sim_read_ptx(const char *text, struct sim_module *module);
CUresult gshare_sim_add_function(struct sim_module *module, const char *name, size_t length);

/* Launch geometry. */
struct sim_grid {
    uint64_t blocks;
    uint64_t threads; /* of a block */
};
CUresult gshare_sim_launch(struct sim_function *function, struct sim_grid grid, CUstream stream);
uint32_t gshare_sim_blocks_per_sm(const struct sim_device *device, uint64_t threads);

/* host_func.c: runs what cuLaunchHostFunc queued. */
struct sim_callback {
    CUhostFn function;
    CUstreamCallback stream_function; /* instead of function, where set */
    CUstream stream;
    void *argument;
};
CUresult gshare_sim_queue_callback(struct sim_callback callback);

#endif
