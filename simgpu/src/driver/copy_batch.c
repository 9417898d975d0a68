/* Batches of copies. */
#include "driver.h"

/* CUmemorytype */
enum { MEMORY_ARRAY = 3, MEMORY_UNIFIED = 4 };
/* CUmemcpy3DOperandType: 1 is a pointer */
enum { OPERAND_ARRAY = 2 };

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

/* The bytes of an element: those of the array that takes part; between pointers, one. */
static size_t element_bytes(const CUDA_MEMCPY3D_BATCH_OP *copy) {
    const CUmemcpy3DOperand *side =
        copy->source.type == OPERAND_ARRAY ? &copy->source : &copy->target;
    return side->type == OPERAND_ARRAY ? gshare_sim_element_bytes(side->array.array) : 1;
}

static CUDA_MEMCPY3D box_of(const CUDA_MEMCPY3D_BATCH_OP *copy) {
    size_t element = element_bytes(copy);
    CUDA_MEMCPY3D box = {
        .source_type = copy->source.type == OPERAND_ARRAY ? MEMORY_ARRAY : MEMORY_UNIFIED,
        .target_type = copy->target.type == OPERAND_ARRAY ? MEMORY_ARRAY : MEMORY_UNIFIED,
        .width_bytes = copy->width * element,
        .height = copy->height,
        .depth = copy->depth,
    };

    if (copy->source.type == OPERAND_ARRAY) {
        box.source_array = copy->source.array.array;
        box.source_x = copy->source.array.x * element;
        box.source_y = copy->source.array.y;
        box.source_z = copy->source.array.z;
    } else {
        box.source_device = copy->source.pointer.start;
        box.source_pitch = copy->source.pointer.row_length * element;
        box.source_height = copy->source.pointer.layer_height;
    }
    if (copy->target.type == OPERAND_ARRAY) {
        box.target_array = copy->target.array.array;
        box.target_x = copy->target.array.x * element;
        box.target_y = copy->target.array.y;
        box.target_z = copy->target.array.z;
    } else {
        box.target_device = copy->target.pointer.start;
        box.target_pitch = copy->target.pointer.row_length * element;
        box.target_height = copy->target.pointer.layer_height;
    }
    return box;
}

CUresult cuMemcpy3DBatchAsync(size_t count, CUDA_MEMCPY3D_BATCH_OP *copies, size_t *failed,
                              unsigned long long flags, CUstream stream) {
    CUresult result = copies && count && !flags ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

    for (size_t i = 0; i < count && !result; i++) {
        CUDA_MEMCPY3D box = box_of(&copies[i]);
        result = gshare_sim_queue_copy(&box, stream, false, i == 0 ? SIM_OP_CALL : 0);
        if (result && failed)
            *failed = i;
    }
    return result;
}

CUresult cuMemcpy3DBatchAsync_v2(size_t count, CUDA_MEMCPY3D_BATCH_OP *copies,
                                 unsigned long long flags, CUstream stream) {
    return cuMemcpy3DBatchAsync(count, copies, NULL, flags, stream);
}
