/* Copies of a range between arrays and memory. */
#include "driver.h"

/* CUmemorytype */
enum { MEMORY_HOST = 1, MEMORY_DEVICE = 2, MEMORY_ARRAY = 3 };

/* One end of a copy of a range. */
struct end {
    int type;
    uint64_t at; /* an address, or an offset within the array's first row */
    CUarray array;
};

static CUresult copy_range(struct end target, struct end source, size_t bytes, CUstream stream,
                           bool waits) {
    CUDA_MEMCPY3D copy = {
        .source_x = source.array ? source.at : 0,
        .source_type = source.type,
        .source_host = (const void *)source.at,
        .source_device = source.at,
        .source_array = source.array,
        .target_x = target.array ? target.at : 0,
        .target_type = target.type,
        .target_host = (void *)target.at,
        .target_device = target.at,
        .target_array = target.array,
        .width_bytes = bytes,
        .height = 1,
        .depth = 1,
    };
    return gshare_sim_queue_copy(&copy, stream, waits, SIM_OP_CALL);
}

static struct end in_array(CUarray array, size_t offset) {
    return (struct end){MEMORY_ARRAY, offset, array};
}

static struct end on_device(CUdeviceptr pointer) {
    return (struct end){MEMORY_DEVICE, pointer, NULL};
}

static struct end on_host(const void *pointer) {
    return (struct end){MEMORY_HOST, (uint64_t)(uintptr_t)pointer, NULL};
}

CUresult cuMemcpyDtoA_v2(CUarray target, size_t offset, CUdeviceptr source, size_t bytes) {
    return copy_range(in_array(target, offset), on_device(source), bytes, NULL, true);
}

CUresult cuMemcpyAtoD_v2(CUdeviceptr target, CUarray source, size_t offset, size_t bytes) {
    return copy_range(on_device(target), in_array(source, offset), bytes, NULL, true);
}

CUresult cuMemcpyHtoA_v2(CUarray target, size_t offset, const void *source, size_t bytes) {
    return copy_range(in_array(target, offset), on_host(source), bytes, NULL, true);
}

CUresult cuMemcpyAtoH_v2(void *target, CUarray source, size_t offset, size_t bytes) {
    return copy_range(on_host(target), in_array(source, offset), bytes, NULL, true);
}

CUresult cuMemcpyAtoA_v2(CUarray target, size_t target_offset, CUarray source, size_t source_offset,
                         size_t bytes) {
    return copy_range(in_array(target, target_offset), in_array(source, source_offset), bytes, NULL,
                      true);
}

CUresult cuMemcpyHtoAAsync_v2(CUarray target, size_t offset, const void *source, size_t bytes,
                              CUstream stream) {
    return copy_range(in_array(target, offset), on_host(source), bytes, stream, false);
}

CUresult cuMemcpyAtoHAsync_v2(void *target, CUarray source, size_t offset, size_t bytes,
                              CUstream stream) {
    return copy_range(on_host(target), in_array(source, offset), bytes, stream, false);
}
