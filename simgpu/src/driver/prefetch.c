/* Prefetches of managed memory, and advice about it. */
#include <sys/mman.h>

#include "capture.h"
#include "driver.h"

/* Managed memory lies on the device throughout (memory.c); a prefetch takes the link's time all the
 * same, as it would the first time. */
CUresult cuMemPrefetchAsync_v2(CUdeviceptr pointer, size_t bytes, CUmemLocation location,
                               unsigned int flags, CUstream stream) {
    enum { LOCATION_DEVICE = 1 };
    struct sim_queue *queue = NULL;
    CUresult result =
        flags ? CUDA_ERROR_INVALID_VALUE : gshare_sim_check_range(pointer, bytes, PROT_NONE);
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
    return advice > 0 ? gshare_sim_check_range(pointer, bytes, PROT_NONE)
                      : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemAdvise_v2(CUdeviceptr pointer, size_t bytes, int advice, CUmemLocation location) {
    return cuMemAdvise(pointer, bytes, advice, location.id);
}
