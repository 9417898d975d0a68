/* The ABI of graphs; see cuda_types.h, which includes this file. */
#ifndef GSHARE_SIMGPU_CUDA_GRAPH_TYPES_H
#define GSHARE_SIMGPU_CUDA_GRAPH_TYPES_H

/* CUgraphNodeType */
enum {
    NODE_KERNEL = 0,
    NODE_COPY = 1,
    NODE_FILL = 2,
    NODE_HOST = 3,
    NODE_GRAPH = 4,
    NODE_EMPTY = 5,
    NODE_EVENT_WAIT = 6,
    NODE_EVENT_RECORD = 7,
    NODE_ALLOCATE = 10,
    NODE_FREE = 11,
};

/* The first version of these parameters ends before `kernel`. */
typedef struct {
    CUfunction function;
    unsigned int grid_x, grid_y, grid_z;
    unsigned int block_x, block_y, block_z;
    unsigned int shared_bytes;
    void **parameters;
    void **extra;
    CUkernel kernel; /* instead of function, where that is NULL */
    CUcontext context;
} CUDA_KERNEL_NODE_PARAMS;

typedef struct {
    int flags;
    int reserved;
    CUcontext context;
    CUDA_MEMCPY3D copy;
} CUDA_MEMCPY_NODE_PARAMS;

/* The first version of these parameters ends before `context`. */
typedef struct {
    CUdeviceptr target;
    size_t pitch;
    unsigned int value;
    unsigned int element_bytes;
    size_t width; /* in elements */
    size_t height;
    CUcontext context;
} CUDA_MEMSET_NODE_PARAMS;

typedef struct {
    CUhostFn function;
    void *argument;
} CUDA_HOST_NODE_PARAMS;

typedef struct {
    CUmemPoolProps pool;
    const CUmemAccessDesc *accesses;
    size_t access_count;
    size_t bytes;
    CUdeviceptr pointer;
} CUDA_MEM_ALLOC_NODE_PARAMS;

typedef struct {
    CUgraph graph;
    int ownership;
} CUDA_CHILD_GRAPH_NODE_PARAMS;

typedef struct {
    int type;
    int reserved[3];
    union {
        long long room[29];
        CUDA_KERNEL_NODE_PARAMS kernel;
        CUDA_MEMCPY_NODE_PARAMS copy;
        CUDA_MEMSET_NODE_PARAMS fill;
        CUDA_HOST_NODE_PARAMS host;
        CUDA_CHILD_GRAPH_NODE_PARAMS child;
        CUDA_MEM_ALLOC_NODE_PARAMS allocation;
        CUdeviceptr freed;
        CUevent event;
    };
    long long reserved2;
} CUgraphNodeParams;

typedef struct {
    unsigned char from_port, to_port, type, reserved[5];
} CUgraphEdgeData;

typedef struct {
    uint64_t flags;
    CUstream upload_stream;
    CUgraphNode error_node;
    int result;
} CUDA_GRAPH_INSTANTIATE_PARAMS;

typedef struct {
    int result;
    CUgraphNode error_node;
    CUgraphNode error_from_node;
} CUgraphExecUpdateResultInfo;

#endif
