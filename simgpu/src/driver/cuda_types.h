/* The part of the public CUDA driver ABI that the simulated driver speaks: types and numbers only,
 * written from the published API reference, so that no vendor header is needed to build. */
#ifndef GSHARE_SIMGPU_CUDA_TYPES_H
#define GSHARE_SIMGPU_CUDA_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef int CUresult;
typedef int CUdevice;
typedef uint64_t CUdeviceptr;
typedef struct sim_context *CUcontext;
typedef struct sim_module *CUmodule;
typedef struct sim_module *CUlibrary;
typedef struct sim_function *CUfunction;
typedef struct sim_function *CUkernel;
typedef struct sim_queue *CUstream;
typedef struct sim_mark *CUevent;
typedef struct sim_pool *CUmemoryPool;
typedef struct sim_linker *CUlinkState;
typedef struct sim_array *CUarray;
typedef struct sim_mipmap *CUmipmappedArray;
typedef struct sim_graph *CUgraph;
typedef struct sim_node *CUgraphNode;
typedef struct sim_exec *CUgraphExec;
typedef void (*CUhostFn)(void *);
typedef void (*CUstreamCallback)(CUstream, CUresult, void *);
typedef size_t (*CUoccupancyB2DSize)(int);

#define CU_STREAM_LEGACY ((CUstream)1)
#define CU_STREAM_PER_THREAD ((CUstream)2)

enum {
#define ERROR(number, name, text) name = number,
#include "errors.def"
#undef ERROR
};

typedef struct {
    char bytes[16];
} CUuuid;

typedef struct {
    int type;
    union {
        struct {
            unsigned int value;
        } sm_count;
    } param;
} CUexecAffinityParam;

typedef struct {
    CUexecAffinityParam *affinity;
    int affinity_count;
    void *cig;
} CUctxCreateParams;

typedef struct {
    int id;
    char pad[4];
    char value[64];
} CUlaunchAttribute;

typedef struct {
    unsigned int grid_x, grid_y, grid_z;
    unsigned int block_x, block_y, block_z;
    unsigned int shared_bytes;
    CUstream stream;
    CUlaunchAttribute *attributes;
    unsigned int attribute_count;
} CUlaunchConfig;

typedef struct {
    CUfunction function;
    unsigned int grid_x, grid_y, grid_z;
    unsigned int block_x, block_y, block_z;
    unsigned int shared_bytes;
    CUstream stream;
    void **parameters;
} CUDA_LAUNCH_PARAMS;

typedef struct {
    int type;
    int id;
} CUmemLocation;

typedef struct {
    CUmemLocation location;
    int flags;
} CUmemAccessDesc;

typedef uint64_t CUmemGenericAllocationHandle;

typedef struct {
    int type;
    int handle_types;
    CUmemLocation location;
    void *security;
    unsigned char flags[8];
} CUmemAllocationProp;

typedef struct {
    char bytes[64];
} CUipcMemHandle;

typedef struct {
    int allocation_type;
    int handle_types;
    CUmemLocation location;
    void *security;
    size_t max_size;
    unsigned short usage;
    unsigned char reserved[54];
} CUmemPoolProps;

typedef struct {
    size_t source_x, source_y;
    int source_type;
    const void *source_host;
    CUdeviceptr source_device;
    CUarray source_array;
    size_t source_pitch;
    size_t target_x, target_y;
    int target_type;
    void *target_host;
    CUdeviceptr target_device;
    CUarray target_array;
    size_t target_pitch;
    size_t width_bytes;
    size_t height;
} CUDA_MEMCPY2D;

/* Also CUDA_MEMCPY3D_PEER, whose contexts lie where the reserved members are. */
typedef struct {
    size_t source_x, source_y, source_z, source_lod;
    int source_type;
    const void *source_host;
    CUdeviceptr source_device;
    CUarray source_array;
    void *source_reserved;
    size_t source_pitch;
    size_t source_height;
    size_t target_x, target_y, target_z, target_lod;
    int target_type;
    void *target_host;
    CUdeviceptr target_device;
    CUarray target_array;
    void *target_reserved;
    size_t target_pitch;
    size_t target_height;
    size_t width_bytes;
    size_t height;
    size_t depth;
} CUDA_MEMCPY3D;

typedef struct {
    size_t width;
    size_t height;
    unsigned int format;
    unsigned int channels;
} CUDA_ARRAY_DESCRIPTOR;

typedef struct {
    size_t width;
    size_t height;
    size_t depth;
    unsigned int format;
    unsigned int channels;
    unsigned int flags;
} CUDA_ARRAY3D_DESCRIPTOR;

/* One side of a copy of cuMemcpy3DBatchAsync: type 1 a pointer, 2 an array. */
typedef struct {
    int type;
    union {
        struct {
            CUdeviceptr start;
            size_t row_length; /* 0: as the copy is wide */
            size_t layer_height;
            CUmemLocation location;
        } pointer;
        struct {
            CUarray array;
            size_t x, y, z; /* in elements */
        } array;
    };
} CUmemcpy3DOperand;

typedef struct {
    CUmemcpy3DOperand source;
    CUmemcpy3DOperand target;
    size_t width, height, depth;
    int order;
    unsigned int flags;
} CUDA_MEMCPY3D_BATCH_OP;

#include "cuda_graph_types.h"

#endif
