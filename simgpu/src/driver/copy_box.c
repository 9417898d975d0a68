/* Copies of boxes of bytes between host memory, pitched device memory and arrays. */
#include <string.h>
#include <sys/mman.h>

#include "capture.h"
#include "driver.h"

/* CUmemorytype */
enum { MEMORY_HOST = 1, MEMORY_DEVICE = 2, MEMORY_ARRAY = 3, MEMORY_UNIFIED = 4 };

/* One side of a copy: where its first row begins, and how far apart rows and layers lie. */
struct side {
    int rights; /* that the copy needs */
    char *start;
    size_t pitch;
    size_t layer;
    bool is_device;
};

static CUresult start_of(int type, const void *host, CUdeviceptr device, CUarray array,
                         struct side *side) {
    CUdeviceptr base = 0;
    size_t bytes = 0;

    if (type < MEMORY_HOST || type > MEMORY_UNIFIED || (type == MEMORY_ARRAY && !array))
        return CUDA_ERROR_INVALID_VALUE;
    side->is_device = type == MEMORY_DEVICE || type == MEMORY_ARRAY ||
                      (type == MEMORY_UNIFIED && gshare_sim_find(device, &base, &bytes));
    side->start = (char *)(type == MEMORY_HOST ? (uintptr_t)host : (uintptr_t)device);
    if (type == MEMORY_ARRAY)
        side->start = (char *)array->memory;
    return side->start ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Moves the side to its first byte, and checks that the box lies within what is there. */
static CUresult place(struct side *side, CUarray array, const size_t at[3],
                      const CUDA_MEMCPY3D *copy) {
    if (array) {
        side->pitch = array->pitch;
        side->layer = array->pitch * array->rows;
    }
    if (side->pitch < copy->width_bytes || (array && at[0] + copy->width_bytes > array->pitch))
        return CUDA_ERROR_INVALID_VALUE;
    side->start += at[2] * side->layer + at[1] * side->pitch + at[0];
    if (!side->is_device)
        return gshare_sim_allows((CUdeviceptr)side->start, side->rights) ? CUDA_SUCCESS
                                                                         : CUDA_ERROR_INVALID_VALUE;
    size_t span = (copy->depth - 1) * side->layer + (copy->height - 1) * side->pitch;
    return gshare_sim_check_range((CUdeviceptr)side->start, span + copy->width_bytes, side->rights);
}

static CUresult find_sides(const CUDA_MEMCPY3D *copy, struct side *from, struct side *to) {
    const size_t source[3] = {copy->source_x, copy->source_y, copy->source_z};
    const size_t target[3] = {copy->target_x, copy->target_y, copy->target_z};
    CUarray source_array = copy->source_type == MEMORY_ARRAY ? copy->source_array : NULL;
    CUarray target_array = copy->target_type == MEMORY_ARRAY ? copy->target_array : NULL;
    CUresult result = start_of(copy->source_type, copy->source_host, copy->source_device,
                               copy->source_array, from);

    if (!result)
        result = start_of(copy->target_type, copy->target_host, copy->target_device,
                          copy->target_array, to);
    if (result)
        return result;
    from->rights = PROT_READ;
    to->rights = PROT_WRITE;
    from->pitch = copy->source_pitch ? copy->source_pitch : copy->width_bytes;
    from->layer = from->pitch * (copy->source_height ? copy->source_height : copy->height);
    to->pitch = copy->target_pitch ? copy->target_pitch : copy->width_bytes;
    to->layer = to->pitch * (copy->target_height ? copy->target_height : copy->height);
    result = place(from, source_array, source, copy);
    return result ? result : place(to, target_array, target, copy);
}

static bool is_empty(const CUDA_MEMCPY3D *copy) {
    return !copy->width_bytes || !copy->height || !copy->depth;
}

CUresult gshare_sim_check_copy(const CUDA_MEMCPY3D *copy) {
    struct side from;
    struct side to;

    return is_empty(copy) ? CUDA_SUCCESS : find_sides(copy, &from, &to);
}

/* Moves the bytes of a checked copy. A side that has gone since then moves nothing. */
struct sim_op gshare_sim_copy(const struct sim_board *board, const CUDA_MEMCPY3D *copy) {
    struct side from = {0};
    struct side to = {0};
    size_t bytes = copy->width_bytes * copy->height * copy->depth;

    if (is_empty(copy) || find_sides(copy, &from, &to) != CUDA_SUCCESS)
        return (struct sim_op){.kind = SIM_COPY_WITHIN};
    gshare_sim_begin_write();
    for (size_t layer = 0; layer < copy->depth; layer++)
        for (size_t row = 0; row < copy->height; row++)
            memmove(to.start + layer * to.layer + row * to.pitch,
                    from.start + layer * from.layer + row * from.pitch, copy->width_bytes);
    gshare_sim_end_write();
    if (from.is_device && to.is_device)
        return gshare_sim_transfer(board, SIM_COPY_WITHIN, 2 * bytes);
    return gshare_sim_transfer(board, to.is_device ? SIM_COPY_IN : SIM_COPY_OUT, bytes);
}

CUresult gshare_sim_queue_copy(const CUDA_MEMCPY3D *copy, CUstream stream, bool waits,
                               uint8_t flags) {
    struct sim_queue *queue = NULL;
    CUresult result = copy ? gshare_sim_check_copy(copy) : CUDA_ERROR_INVALID_VALUE;

    result = result ? result : gshare_sim_use(stream, &queue);
    if (result || is_empty(copy))
        return result;
    if (queue->capture && waits)
        return gshare_sim_refuse(queue);
    if (queue->capture) {
        CUgraphNodeParams node = {.type = NODE_COPY, .copy = {.copy = *copy}};
        return gshare_sim_capture(queue, &node);
    }
    struct sim_gpu *gpu = &queue->context->board->gpu;
    struct sim_op op = gshare_sim_copy(queue->context->board, copy);
    op.flags = flags;
    uint64_t position = gshare_sim_submit(gpu, queue->index, op);
    if (waits && op.kind != SIM_COPY_WITHIN)
        gshare_sim_wait(gpu, queue->index, position);
    return waits ? gshare_sim_sticky(queue->context->board) : CUDA_SUCCESS;
}

static CUDA_MEMCPY3D box_of(const CUDA_MEMCPY2D *copy) {
    return (CUDA_MEMCPY3D){
        .source_x = copy->source_x,
        .source_y = copy->source_y,
        .source_type = copy->source_type,
        .source_host = copy->source_host,
        .source_device = copy->source_device,
        .source_array = copy->source_array,
        .source_pitch = copy->source_pitch,
        .target_x = copy->target_x,
        .target_y = copy->target_y,
        .target_type = copy->target_type,
        .target_host = copy->target_host,
        .target_device = copy->target_device,
        .target_array = copy->target_array,
        .target_pitch = copy->target_pitch,
        .width_bytes = copy->width_bytes,
        .height = copy->height,
        .depth = 1,
    };
}

static CUresult copy_plane(const CUDA_MEMCPY2D *copy, CUstream stream, bool waits) {
    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    CUDA_MEMCPY3D box = box_of(copy);
    return gshare_sim_queue_copy(&box, stream, waits, SIM_OP_CALL);
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy) {
    return copy_plane(copy, NULL, true);
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *copy) {
    return copy_plane(copy, NULL, true);
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream) {
    return copy_plane(copy, stream, false);
}

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D *copy) {
    return gshare_sim_queue_copy(copy, NULL, true, SIM_OP_CALL);
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *copy, CUstream stream) {
    return gshare_sim_queue_copy(copy, stream, false, SIM_OP_CALL);
}

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D *copy) {
    return gshare_sim_queue_copy(copy, NULL, true, SIM_OP_CALL);
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D *copy, CUstream stream) {
    return gshare_sim_queue_copy(copy, stream, false, SIM_OP_CALL);
}
