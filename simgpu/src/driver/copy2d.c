/* Copies of rectangles between pitched memory. Arrays are not modelled. */
#include <string.h>

#include "driver.h"

/* CUmemorytype */
enum { MEMORY_HOST = 1, MEMORY_DEVICE = 2, MEMORY_UNIFIED = 4 };

/* One side of a copy: where its first row begins, and how far apart rows lie. */
struct side {
    char *start;
    size_t pitch;
    bool is_device;
};

static CUresult side_of(int type, const void *host, CUdeviceptr device, struct side *side) {
    CUdeviceptr base = 0;
    size_t bytes = 0;

    if (type != MEMORY_HOST && type != MEMORY_DEVICE && type != MEMORY_UNIFIED)
        return CUDA_ERROR_NOT_SUPPORTED;
    side->start = (char *)(type == MEMORY_HOST ? (uintptr_t)host : (uintptr_t)device);
    side->is_device =
        type == MEMORY_DEVICE || (type == MEMORY_UNIFIED && gshare_sim_find(device, &base, &bytes));
    return side->start ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult place(struct side *side, size_t x, size_t y, size_t pitch,
                      const CUDA_MEMCPY2D *copy) {
    side->pitch = pitch ? pitch : copy->width_bytes;
    side->start += y * side->pitch + x;
    if (side->pitch < copy->width_bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (!side->is_device)
        return CUDA_SUCCESS;
    size_t span = (copy->height - 1) * side->pitch + copy->width_bytes;
    return gshare_sim_check_range((CUdeviceptr)side->start, span);
}

static CUresult copy_rows(const CUDA_MEMCPY2D *copy, CUstream stream, bool waits) {
    struct side from;
    struct side to;

    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    if (!copy->width_bytes || !copy->height)
        return CUDA_SUCCESS;
    CUresult result = side_of(copy->source_type, copy->source_host, copy->source_device, &from);
    if (!result)
        result = side_of(copy->target_type, copy->target_host, copy->target_device, &to);
    if (!result)
        result = place(&from, copy->source_x, copy->source_y, copy->source_pitch, copy);
    if (!result)
        result = place(&to, copy->target_x, copy->target_y, copy->target_pitch, copy);
    if (result)
        return result;
    for (size_t row = 0; row < copy->height; row++)
        memcpy(to.start + row * to.pitch, from.start + row * from.pitch, copy->width_bytes);
    size_t bytes = copy->width_bytes * copy->height;
    if (from.is_device && to.is_device)
        return gshare_sim_transfer(SIM_COPY_WITHIN, 2 * bytes, stream, false);
    return gshare_sim_transfer(to.is_device ? SIM_COPY_IN : SIM_COPY_OUT, bytes, stream, waits);
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy) {
    return copy_rows(copy, NULL, true);
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *copy) {
    return copy_rows(copy, NULL, true);
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream) {
    return copy_rows(copy, stream, false);
}
