/* Copies between arrays, rows of them, and memory; prefetches and batches. */
#include "capture.h"
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
    return gshare_sim_queue_copy(&copy, stream, waits);
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

/* Managed memory lies on the device throughout (memory.c); a prefetch takes the link's time all the
 * same, as it would the first time. */
CUresult cuMemPrefetchAsync_v2(CUdeviceptr pointer, size_t bytes, CUmemLocation location,
                               unsigned int flags, CUstream stream) {
    enum { LOCATION_DEVICE = 1 };
    struct sim_queue *queue = NULL;
    CUresult result = flags ? CUDA_ERROR_INVALID_VALUE : gshare_sim_check_range(pointer, bytes);
    bool is_in = location.type == LOCATION_DEVICE;

    if (!result && is_in && !gshare_sim_board(location.id))
        result = CUDA_ERROR_INVALID_DEVICE;
    result = result ? result : gshare_sim_use(stream, &queue);
    if (result || !bytes)
        return result;
    if (queue->capture)
        return gshare_sim_refuse(queue);
    struct sim_board *board = queue->context->board;
    struct sim_op op = gshare_sim_transfer(board, is_in ? SIM_COPY_IN : SIM_COPY_OUT, bytes);
    op.flags = SIM_OP_CALL;
    gshare_sim_submit(&board->gpu, queue->index, op);
    return CUDA_SUCCESS;
}

CUresult cuMemPrefetchAsync(CUdeviceptr pointer, size_t bytes, CUdevice device, CUstream stream) {
    enum { CPU = -1, LOCATION_DEVICE = 1, LOCATION_HOST = 2 };
    CUmemLocation location = {.type = device == CPU ? LOCATION_HOST : LOCATION_DEVICE,
                              .id = device};
    return cuMemPrefetchAsync_v2(pointer, bytes, location, 0, stream);
}

CUresult cuMemAdvise(CUdeviceptr pointer, size_t bytes, int advice, CUdevice device) {
    (void)device;
    return advice > 0 ? gshare_sim_check_range(pointer, bytes) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemAdvise_v2(CUdeviceptr pointer, size_t bytes, int advice, CUmemLocation location) {
    return cuMemAdvise(pointer, bytes, advice, location.id);
}

/* Each copy of a batch is queued by itself; the batch is one call of the client. */
CUresult cuMemcpyBatchAsync(CUdeviceptr *targets, CUdeviceptr *sources, size_t *sizes, size_t count,
                            const void *attributes, size_t *attribute_indexes,
                            size_t attribute_count, size_t *failed, CUstream stream) {
    CUresult result = CUDA_SUCCESS;
    size_t at = 0;

    (void)attributes;
    if (!targets || !sources || !sizes || !count || !attribute_indexes || !attribute_count)
        return CUDA_ERROR_INVALID_VALUE;
    for (; at < count && !result; at++)
        result = gshare_sim_copy_part(targets[at], sources[at], sizes[at], stream, at == 0);
    if (result && failed)
        *failed = at - 1;
    return result;
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr *targets, CUdeviceptr *sources, size_t *sizes,
                               size_t count, const void *attributes, size_t *attribute_indexes,
                               size_t attribute_count, CUstream stream) {
    return cuMemcpyBatchAsync(targets, sources, sizes, count, attributes, attribute_indexes,
                              attribute_count, NULL, stream);
}
