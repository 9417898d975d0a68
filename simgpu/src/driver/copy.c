/* Copies of one range, and memsets. Bytes move when the call is made; the time they take is queued.
 *
 * That is safe because no simulated kernel writes memory: nothing that is queued can change what
 * a later copy reads.
 */
#include <string.h>
#include <sys/mman.h>

#include "capture.h"
#include "driver.h"

static const double NS_PER_S = 1e9;

struct sim_op gshare_sim_transfer(const struct sim_board *board, enum sim_op_kind kind,
                                  size_t bytes) {
    const struct sim_device *device = &board->gpu.state->device;
    uint64_t rate = kind == SIM_COPY_WITHIN ? device->memory_bytes_per_s : device->link_bytes_per_s;
    double ns = (double)bytes / (double)rate * NS_PER_S;

    return (struct sim_op){.kind = (uint8_t)kind, .work_ns = ns * device->time_scale};
}

static enum sim_op_kind kind_of(CUdeviceptr target, CUdeviceptr source) {
    CUdeviceptr base = 0;
    size_t bytes = 0;

    if (!gshare_sim_find(source, &base, &bytes))
        return SIM_COPY_IN;
    return gshare_sim_find(target, &base, &bytes) ? SIM_COPY_WITHIN : SIM_COPY_OUT;
}

/* A range may go over mappings that lie side by side, but not over allocations. */
CUresult gshare_sim_check_range(CUdeviceptr pointer, size_t bytes, int rights) {
    struct sim_mapping mapping;
    CUdeviceptr base = 0;
    size_t length = 0;

    for (;;) {
        if (!gshare_sim_find(pointer, &base, &length) || !gshare_sim_allows(pointer, rights))
            return CUDA_ERROR_INVALID_VALUE;
        size_t here = pointer - base < length ? length - (pointer - base) : 0;
        if (bytes <= here)
            return CUDA_SUCCESS;
        if (!gshare_sim_mapping_at(pointer, &mapping))
            return CUDA_ERROR_INVALID_VALUE;
        pointer += here;
        bytes -= here;
    }
}

/* A copy of one range. */
struct range {
    CUdeviceptr target;
    CUdeviceptr source;
    size_t bytes;
    enum sim_op_kind kind;
};

static CUresult capture_range(struct sim_queue *queue, const struct range *range) {
    enum { MEMORY_HOST = 1, MEMORY_DEVICE = 2 };
    CUgraphNodeParams node = {.type = NODE_COPY};
    CUDA_MEMCPY3D *copy = &node.copy.copy;

    copy->source_type = range->kind == SIM_COPY_IN ? MEMORY_HOST : MEMORY_DEVICE;
    copy->target_type = range->kind == SIM_COPY_OUT ? MEMORY_HOST : MEMORY_DEVICE;
    copy->source_host = (const void *)range->source;
    copy->source_device = range->source;
    copy->target_host = (void *)range->target;
    copy->target_device = range->target;
    copy->width_bytes = range->bytes;
    copy->height = 1;
    copy->depth = 1;
    return gshare_sim_capture(queue, &node);
}

/* One side of a copy. Host memory that is device memory after all is held to its rights. */
static CUresult check_side(CUdeviceptr pointer, size_t bytes, int rights, bool is_device) {
    if (is_device)
        return gshare_sim_check_range(pointer, bytes, rights);
    return pointer && gshare_sim_allows(pointer, rights) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult check(const struct range *range) {
    CUresult result =
        check_side(range->target, range->bytes, PROT_WRITE, range->kind != SIM_COPY_OUT);
    if (result)
        return result;
    return check_side(range->source, range->bytes, PROT_READ, range->kind != SIM_COPY_IN);
}

static CUresult copy_flagged(struct range range, CUstream stream, bool waits, uint8_t flags) {
    struct sim_queue *queue = NULL;
    CUresult result = check(&range);

    result = result ? result : gshare_sim_use(stream, &queue);
    if (result || range.bytes == 0)
        return result;
    if (queue->capture)
        return waits ? gshare_sim_refuse(queue) : capture_range(queue, &range);
    gshare_sim_begin_write();
    memmove((void *)range.target, (const void *)range.source, range.bytes);
    gshare_sim_end_write();
    struct sim_board *board = queue->context->board;
    size_t moved = range.kind == SIM_COPY_WITHIN ? 2 * range.bytes : range.bytes;
    struct sim_op op = gshare_sim_transfer(board, range.kind, moved);
    op.flags = flags;
    uint64_t position = gshare_sim_submit(&board->gpu, queue->index, op);
    if (waits && range.kind != SIM_COPY_WITHIN)
        gshare_sim_wait(&board->gpu, queue->index, position);
    return waits ? gshare_sim_sticky(board) : CUDA_SUCCESS;
}

static CUresult copy(struct range range, CUstream stream, bool waits) {
    return copy_flagged(range, stream, waits, SIM_OP_CALL);
}

CUresult gshare_sim_copy_part(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream,
                              bool is_first) {
    struct range range = {target, source, bytes, kind_of(target, source)};
    return copy_flagged(range, stream, false, is_first ? SIM_OP_CALL : 0);
}

static CUresult copy_any(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream,
                         bool waits) {
    return copy((struct range){target, source, bytes, kind_of(target, source)}, stream, waits);
}

CUresult gshare_sim_check_fill(const CUDA_MEMSET_NODE_PARAMS *fill) {
    size_t width = fill->width * fill->element_bytes;
    bool is_pitched = fill->height > 1;

    if (fill->element_bytes != 1 && fill->element_bytes != 2 && fill->element_bytes != 4)
        return CUDA_ERROR_INVALID_VALUE;
    if (!width || !fill->height)
        return CUDA_SUCCESS;
    if (is_pitched && fill->pitch < width)
        return CUDA_ERROR_INVALID_VALUE;
    return gshare_sim_check_range(
        fill->target, is_pitched ? (fill->height - 1) * fill->pitch + width : width, PROT_WRITE);
}

static void fill_row(char *row, const CUDA_MEMSET_NODE_PARAMS *fill) {
    if (fill->element_bytes == 1)
        memset(row, (int)fill->value, fill->width);
    for (size_t i = 0; fill->element_bytes > 1 && i < fill->width; i++)
        memcpy(row + i * fill->element_bytes, &fill->value, fill->element_bytes);
}

/* A graph's fill was checked when it was made: memory that may no longer be written stays as it is.
 */
struct sim_op gshare_sim_fill(const struct sim_board *board, const CUDA_MEMSET_NODE_PARAMS *fill) {
    bool is_allowed = gshare_sim_check_fill(fill) == CUDA_SUCCESS;

    gshare_sim_begin_write();
    for (size_t row = 0; row < fill->height && is_allowed; row++)
        fill_row((char *)fill->target + row * fill->pitch, fill);
    gshare_sim_end_write();
    return gshare_sim_transfer(board, SIM_COPY_WITHIN,
                               fill->width * fill->element_bytes * fill->height);
}

static CUresult set(CUDA_MEMSET_NODE_PARAMS fill, CUstream stream, bool is_async) {
    struct sim_queue *queue = NULL;
    CUresult result = gshare_sim_check_fill(&fill);

    result = result ? result : gshare_sim_use(stream, &queue);
    if (result || !fill.width || !fill.height)
        return result;
    if (queue->capture && !is_async)
        return gshare_sim_refuse(queue);
    if (queue->capture)
        return gshare_sim_capture(queue, &(CUgraphNodeParams){.type = NODE_FILL, .fill = fill});
    struct sim_op op = gshare_sim_fill(queue->context->board, &fill);
    op.flags = SIM_OP_CALL;
    gshare_sim_submit(&queue->context->board->gpu, queue->index, op);
    return CUDA_SUCCESS;
}

CUresult cuMemcpy(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
    return copy_any(target, source, bytes, NULL, true);
}

CUresult cuMemcpyAsync(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream) {
    return copy_any(target, source, bytes, stream, false);
}

#define COPY(name, target_type, source_type, kind)                                                 \
    CUresult cuMemcpy##name##_v2(target_type target, source_type source, size_t bytes) {           \
        return copy((struct range){(CUdeviceptr)target, (CUdeviceptr)source, bytes, kind}, NULL,   \
                    true);                                                                         \
    }                                                                                              \
    CUresult cuMemcpy##name##Async_v2(target_type target, source_type source, size_t bytes,        \
                                      CUstream stream) {                                           \
        return copy((struct range){(CUdeviceptr)target, (CUdeviceptr)source, bytes, kind}, stream, \
                    false);                                                                        \
    }

COPY(HtoD, CUdeviceptr, const void *, SIM_COPY_IN)
COPY(DtoH, void *, CUdeviceptr, SIM_COPY_OUT)
COPY(DtoD, CUdeviceptr, CUdeviceptr, SIM_COPY_WITHIN)

/* One address space, and one GPU's memory at a time: a copy between peers is a copy. */
CUresult cuMemcpyPeer(CUdeviceptr target, CUcontext target_context, CUdeviceptr source,
                      CUcontext source_context, size_t bytes) {
    (void)target_context;
    (void)source_context;
    return cuMemcpyDtoD_v2(target, source, bytes);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr target, CUcontext target_context, CUdeviceptr source,
                           CUcontext source_context, size_t bytes, CUstream stream) {
    (void)target_context;
    (void)source_context;
    return cuMemcpyDtoDAsync_v2(target, source, bytes, stream);
}

#define FILL(bits, type, symbol)                                                                   \
    CUresult symbol(CUdeviceptr target, type value, size_t count) {                                \
        return set((CUDA_MEMSET_NODE_PARAMS){target, 0, value, bits / 8, count, 1, NULL}, NULL,    \
                   false);                                                                         \
    }                                                                                              \
    CUresult cuMemsetD##bits##Async(CUdeviceptr target, type value, size_t count,                  \
                                    CUstream stream) {                                             \
        return set((CUDA_MEMSET_NODE_PARAMS){target, 0, value, bits / 8, count, 1, NULL}, stream,  \
                   true);                                                                          \
    }                                                                                              \
    CUresult cuMemsetD2D##bits##_v2(CUdeviceptr target, size_t pitch, type value, size_t width,    \
                                    size_t height) {                                               \
        return set((CUDA_MEMSET_NODE_PARAMS){target, pitch, value, bits / 8, width, height, NULL}, \
                   NULL, false);                                                                   \
    }                                                                                              \
    CUresult cuMemsetD2D##bits##Async(CUdeviceptr target, size_t pitch, type value, size_t width,  \
                                      size_t height, CUstream stream) {                            \
        return set((CUDA_MEMSET_NODE_PARAMS){target, pitch, value, bits / 8, width, height, NULL}, \
                   stream, true);                                                                  \
    }

FILL(8, unsigned char, cuMemsetD8_v2)
FILL(16, unsigned short, cuMemsetD16_v2)
FILL(32, unsigned int, cuMemsetD32_v2)
