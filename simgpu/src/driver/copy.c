/* Copies and memsets. Bytes move when the call is made; the time they take is queued.
 *
 * That is safe because no simulated kernel writes memory: nothing that is queued can change what
 * a later copy reads.
 */
#include <string.h>

#include "driver.h"

static const double NS_PER_S = 1e9;

static double work_ns(const struct sim_device *device, enum sim_op_kind kind, size_t bytes) {
    uint64_t rate = kind == SIM_COPY_WITHIN ? device->memory_bytes_per_s : device->link_bytes_per_s;
    return (double)bytes / (double)rate * NS_PER_S * device->time_scale;
}

static enum sim_op_kind kind_of(CUdeviceptr target, CUdeviceptr source) {
    CUdeviceptr base = 0;
    size_t bytes = 0;

    if (!gshare_sim_find(source, &base, &bytes))
        return SIM_COPY_IN;
    return gshare_sim_find(target, &base, &bytes) ? SIM_COPY_WITHIN : SIM_COPY_OUT;
}

CUresult gshare_sim_check_range(CUdeviceptr pointer, size_t bytes) {
    CUdeviceptr base = 0;
    size_t length = 0;

    if (!gshare_sim_find(pointer, &base, &length))
        return CUDA_ERROR_INVALID_VALUE;
    return pointer - base + bytes <= length ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Queues the time of a transfer; waits for its end where asked. */
CUresult gshare_sim_transfer(enum sim_op_kind kind, size_t bytes, CUstream stream, bool waits) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_queue_of(stream, &queue);

    if (result || bytes == 0)
        return result;
    struct sim_gpu *gpu = &queue->context->board->gpu;
    struct sim_op op = {.kind = (uint8_t)kind,
                        .work_ns = work_ns(&gpu->state->device, kind, bytes)};
    uint64_t position = gshare_sim_submit(gpu, queue->index, op);
    if (waits)
        gshare_sim_wait(gpu, queue->index, position);
    return CUDA_SUCCESS;
}

static CUresult copy_in(CUdeviceptr target, const void *source, size_t bytes, CUstream stream,
                        bool waits) {
    CUresult result = gshare_sim_check_range(target, bytes);

    if (result || !source)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy((void *)target, source, bytes);
    return gshare_sim_transfer(SIM_COPY_IN, bytes, stream, waits);
}

static CUresult copy_out(void *target, CUdeviceptr source, size_t bytes, CUstream stream,
                         bool waits) {
    CUresult result = gshare_sim_check_range(source, bytes);

    if (result || !target)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(target, (const void *)source, bytes);
    return gshare_sim_transfer(SIM_COPY_OUT, bytes, stream, waits);
}

static CUresult copy_within(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream) {
    CUresult result = gshare_sim_check_range(target, bytes);

    result = result ? result : gshare_sim_check_range(source, bytes);
    if (result)
        return result;
    memmove((void *)target, (const void *)source, bytes);
    return gshare_sim_transfer(SIM_COPY_WITHIN, 2 * bytes, stream, false);
}

static CUresult copy_any(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream,
                         bool waits) {
    enum sim_op_kind kind = kind_of(target, source);

    if (!target || !source)
        return CUDA_ERROR_INVALID_VALUE;
    if (kind == SIM_COPY_WITHIN)
        return copy_within(target, source, bytes, stream);
    if (kind == SIM_COPY_IN)
        return copy_in(target, (const void *)source, bytes, stream, waits);
    return copy_out((void *)target, source, bytes, stream, waits);
}

static CUresult fill(CUdeviceptr target, const void *pattern, size_t width, size_t count,
                     CUstream stream) {
    CUresult result = gshare_sim_check_range(target, width * count);

    if (result)
        return result;
    if (width == 1)
        memset((void *)target, *(const unsigned char *)pattern, count);
    for (size_t i = 0; width > 1 && i < count; i++)
        memcpy((char *)target + i * width, pattern, width);
    return gshare_sim_transfer(SIM_COPY_WITHIN, width * count, stream, false);
}

CUresult cuMemcpy(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
    return copy_any(target, source, bytes, NULL, true);
}

CUresult cuMemcpyAsync(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream) {
    return copy_any(target, source, bytes, stream, false);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr target, const void *source, size_t bytes) {
    return copy_in(target, source, bytes, NULL, true);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr target, const void *source, size_t bytes,
                              CUstream stream) {
    return copy_in(target, source, bytes, stream, false);
}

CUresult cuMemcpyDtoH_v2(void *target, CUdeviceptr source, size_t bytes) {
    return copy_out(target, source, bytes, NULL, true);
}

CUresult cuMemcpyDtoHAsync_v2(void *target, CUdeviceptr source, size_t bytes, CUstream stream) {
    return copy_out(target, source, bytes, stream, false);
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
    return copy_within(target, source, bytes, NULL);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes,
                              CUstream stream) {
    return copy_within(target, source, bytes, stream);
}

CUresult cuMemsetD8_v2(CUdeviceptr target, unsigned char value, size_t count) {
    return fill(target, &value, sizeof value, count, NULL);
}

CUresult cuMemsetD16_v2(CUdeviceptr target, unsigned short value, size_t count) {
    return fill(target, &value, sizeof value, count, NULL);
}

CUresult cuMemsetD32_v2(CUdeviceptr target, unsigned int value, size_t count) {
    return fill(target, &value, sizeof value, count, NULL);
}

CUresult cuMemsetD8Async(CUdeviceptr target, unsigned char value, size_t count, CUstream stream) {
    return fill(target, &value, sizeof value, count, stream);
}

CUresult cuMemsetD16Async(CUdeviceptr target, unsigned short value, size_t count, CUstream stream) {
    return fill(target, &value, sizeof value, count, stream);
}

CUresult cuMemsetD32Async(CUdeviceptr target, unsigned int value, size_t count, CUstream stream) {
    return fill(target, &value, sizeof value, count, stream);
}
