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
    uint64_t graph_used_bytes;         /* memory of graphs; see graph_memory.c */
    uint64_t graph_reserved_bytes;     /* the same, charged: kept until it is trimmed */
    uint64_t graph_highs[2];           /* the most that each of them was */
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
    _Atomic unsigned int
        blocking_captures; /* live ones, in streams that the legacy one waits for */
    struct sim_queue *legacy;
    struct sim_queue *streams; /* every live stream; under board->lock */
};

/* Nodes of a graph that the next node of a captured stream, or an event, depends on. */
struct sim_tips {
    struct sim_node **nodes;
    size_t count;
};

/* A stream: CUstream. */
struct sim_queue {
    struct sim_context *context; /* destroyed with it, and then freed by cuStreamDestroy */
    struct sim_queue *next;
    uint32_t index; /* of the engine's stream */
    unsigned int flags;
    int priority;
    unsigned long long id;
    _Atomic(struct sim_capture *) capture; /* NULL: what is put here runs; under capture_lock */
    struct sim_queue *next_member;         /* of the same capture; the same */
    struct sim_tips tips;                  /* what the next captured call depends on; the same */
    struct sim_queue **lanes;              /* where branches of its graphs run; under lane_lock */
    uint32_t lane_count;
    pthread_mutex_t lane_lock;
};

/* An event: CUevent. */
struct sim_mark {
    struct sim_board *board;
    unsigned int attachment; /* of the board, at creation: an older event is dead */
    uint32_t index;          /* of the engine's event */
    unsigned int flags;
    _Atomic uint64_t not_before_ns;     /* it cannot come earlier; 0: not known */
    _Atomic unsigned long long capture; /* id of the capture it was last recorded in; 0: none */
    struct sim_tips tips;               /* of that recording; under capture_lock */
};

/* A kernel: CUfunction and CUkernel. */
struct sim_function {
    struct sim_module *module;
    char *name;
    uint32_t demand_sms; /* 0: from grid and block */
    uint64_t duration_ns;
    uint32_t error; /* that it ends with; 0: none */
    unsigned int parameter_count;
    uint32_t *parameter_sizes;
    int dynamic_shared_bytes;
    unsigned int block[3]; /* of the launches of launch_old.c; the same: */
    unsigned int shared_bytes;
};

/* A module or a library: CUmodule and CUlibrary. */
struct sim_module {
    struct sim_function *functions;
    unsigned int function_count;
};

/* A file of device memory, as memory_file.c reads it. */
struct sim_file {
    struct sim_board *board;
    uint64_t number; /* of its inode: what the engine knows shared memory by */
    size_t bytes;
};

/* A range of addresses that shows a file's memory. */
struct sim_mapping {
    struct sim_mapping *next;
    struct sim_board *board;
    struct sim_backing *backing; /* NULL: another process's, opened by IPC, or a graph's */
    struct sim_opened *opened;   /* the former, in ipc.c */
    int rights;                  /* what copies and fills may do: PROT_READ, PROT_WRITE */
    CUdeviceptr base;
    size_t bytes;
};

/* process.c */
CUresult gshare_sim_ready(void); /* CUDA_SUCCESS once cuInit has passed in this process */
int gshare_sim_board_count(void);
struct sim_board *gshare_sim_board(CUdevice device); /* NULL: no such ordinal */
CUresult gshare_sim_attach_board(struct sim_board *board);

/* The error of a kernel of this process that faulted on the board; CUDA_SUCCESS: none has. */
CUresult gshare_sim_sticky(const struct sim_board *board);

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
/* share.c: around every write into device memory, which meanwhile stays on the pages it is on. */
void gshare_sim_begin_write(void);
void gshare_sim_end_write(void);

/* mapping.c: device memory that is mapped from files: virtual memory management and IPC. */
bool gshare_sim_mapping_at(CUdeviceptr pointer, struct sim_mapping *found);
bool gshare_sim_mapping_within(CUdeviceptr pointer, size_t bytes, struct sim_mapping *found);
bool gshare_sim_allows(CUdeviceptr pointer, int rights); /* of no mapping: true */
void gshare_sim_set_rights(CUdeviceptr base, int rights);
CUresult gshare_sim_add_mapping(struct sim_mapping mapping);
CUresult gshare_sim_remove_mapping(CUdeviceptr base, struct sim_mapping *removed);

/* memory_file.c */
int gshare_sim_file_make(const struct sim_board *board, size_t bytes); /* a descriptor, or -1 */
uint64_t gshare_sim_file_number(int fd);
bool gshare_sim_file_read(int fd, struct sim_file *file); /* false: not such a file */

/* copy.c: whether a range is device memory that may be read or written (PROT_...); a copy's time.
 */
CUresult gshare_sim_check_range(CUdeviceptr pointer, size_t bytes, int rights);
struct sim_op gshare_sim_transfer(const struct sim_board *board, enum sim_op_kind kind,
                                  size_t bytes);
/* One copy of a batch; the first one stands for the call. */
CUresult gshare_sim_copy_part(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream,
                              bool is_first);
/* Fills a rectangle at once, and tells the operation that stands for its time. */
CUresult gshare_sim_check_fill(const CUDA_MEMSET_NODE_PARAMS *fill);
struct sim_op gshare_sim_fill(const struct sim_board *board, const CUDA_MEMSET_NODE_PARAMS *fill);

/* copy_box.c: the same of a copy, which is a box of bytes whatever call it came by. */
CUresult gshare_sim_check_copy(const CUDA_MEMCPY3D *copy);
struct sim_op gshare_sim_copy(const struct sim_board *board, const CUDA_MEMCPY3D *copy);
CUresult gshare_sim_queue_copy(const CUDA_MEMCPY3D *copy, CUstream stream, bool waits,
                               uint8_t flags);

/* array.c: arrays are pitched device memory. */
struct sim_array {
    CUdeviceptr memory; /* 0: a level of a mipmap that is gone */
    size_t pitch;
    size_t rows;
    size_t layers;
    bool is_level; /* of a mipmap, which owns the memory */
    unsigned int format;
    unsigned int channels;
    unsigned int flags;
    size_t width, height, depth; /* as asked for */
};
size_t gshare_sim_element_bytes(const struct sim_array *array); /* 0: NULL */

/* memory.c: host memory that the driver allocated or registered. */
bool gshare_sim_find_host(const void *address, unsigned int *flags);

/* stream.c. A stream in a call: `capture.c` has looked whether it may be used in one. */
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
    size_t shared_bytes;
};
CUresult gshare_sim_check_grid(struct sim_function *function, struct sim_grid grid);
struct sim_op gshare_sim_kernel(const struct sim_board *board, struct sim_function *function,
                                struct sim_grid grid);
/* Whether all blocks of a cooperative launch fit at once. */
CUresult gshare_sim_check_cooperative(const struct sim_context *context, struct sim_grid grid);
uint32_t gshare_sim_blocks_per_sm(const struct sim_device *device, struct sim_grid grid);

/* event.c */
CUresult gshare_sim_check_event(CUevent event, const struct sim_queue *queue);
uint64_t gshare_sim_record_event(struct sim_queue *queue, CUevent event);
/* Has the queue wait for the event's last recording; position is left alone where it is past. */
CUresult gshare_sim_wait_event(struct sim_queue *queue, CUevent event, uint64_t *position);

/* host_func.c: runs what cuLaunchHostFunc queued. */
struct sim_callback {
    CUhostFn function;
    CUstreamCallback stream_function; /* instead of function, where set */
    CUstream stream;
    void *argument;
};
CUresult gshare_sim_queue_callback(struct sim_queue *queue, struct sim_callback callback,
                                   uint8_t flags, uint64_t *position);

#endif
