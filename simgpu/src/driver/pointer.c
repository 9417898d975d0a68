/* What is known of an address. */
#include <string.h>

#include "driver.h"

/* CUpointer_attribute */
enum {
    POINTER_CONTEXT = 1,
    POINTER_MEMORY_TYPE = 2,
    POINTER_DEVICE_POINTER = 3,
    POINTER_HOST_POINTER = 4,
    POINTER_SYNC_MEMOPS = 6,
    POINTER_BUFFER_ID = 7,
    POINTER_IS_MANAGED = 8,
    POINTER_DEVICE_ORDINAL = 9,
    POINTER_RANGE_START = 11,
    POINTER_RANGE_SIZE = 12,
    POINTER_MAPPED = 13,
};
enum { MEMORY_HOST = 1, MEMORY_DEVICE = 2 };

struct place {
    struct sim_board *board; /* NULL: host memory */
    CUdeviceptr base;
    size_t bytes;
};

static int ordinal_of(const struct sim_board *board) {
    for (int i = 0; i < gshare_sim_board_count(); i++)
        if (gshare_sim_board(i) == board)
            return i;
    return -1;
}

static CUresult answer_number(void *data, int attribute, const struct place *place) {
    unsigned int value = 0;

    if (attribute == POINTER_MEMORY_TYPE)
        value = place->board ? MEMORY_DEVICE : MEMORY_HOST;
    else if (attribute == POINTER_DEVICE_ORDINAL)
        value = place->board ? (unsigned int)ordinal_of(place->board) : 0;
    else if (attribute == POINTER_IS_MANAGED || attribute == POINTER_MAPPED) {
        *(unsigned char *)data = attribute == POINTER_MAPPED;
        return CUDA_SUCCESS;
    } else if (attribute != POINTER_SYNC_MEMOPS)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(data, &value, sizeof value);
    return CUDA_SUCCESS;
}

static CUresult answer(void *data, int attribute, const struct place *place, CUdeviceptr pointer) {
    uint64_t value = 0;

    switch (attribute) {
    case POINTER_CONTEXT:
        value = place->board ? (uint64_t)(uintptr_t)place->board->first_context : 0;
        break;
    case POINTER_DEVICE_POINTER:
        value = pointer;
        break;
    case POINTER_HOST_POINTER:
        if (place->board)
            return CUDA_ERROR_INVALID_VALUE;
        value = pointer;
        break;
    case POINTER_BUFFER_ID:
    case POINTER_RANGE_START:
        value = place->base;
        break;
    case POINTER_RANGE_SIZE:
        value = place->bytes;
        break;
    default:
        return answer_number(data, attribute, place);
    }
    memcpy(data, &value, sizeof value);
    return CUDA_SUCCESS;
}

static bool locate(CUdeviceptr pointer, struct place *place) {
    *place = (struct place){.base = pointer};
    place->board = gshare_sim_find(pointer, &place->base, &place->bytes);
    return place->board || gshare_sim_find_host((const void *)(uintptr_t)pointer, NULL);
}

CUresult cuPointerGetAttribute(void *data, int attribute, CUdeviceptr pointer) {
    struct place place;
    CUresult result = gshare_sim_ready();

    if (result)
        return result;
    if (!data || !locate(pointer, &place))
        return CUDA_ERROR_INVALID_VALUE;
    return answer(data, attribute, &place, pointer);
}

/* Of an address that is nobody's, every attribute is 0, and that is no error. */
CUresult cuPointerGetAttributes(unsigned int count, int *attributes, void **data,
                                CUdeviceptr pointer) {
    struct place place;
    CUresult result = gshare_sim_ready();

    if (result)
        return result;
    bool known = locate(pointer, &place);
    for (unsigned int i = 0; i < count; i++) {
        if (known && answer(data[i], attributes[i], &place, pointer) == CUDA_SUCCESS)
            continue;
        bool is_wide =
            attributes[i] <= POINTER_HOST_POINTER && attributes[i] != POINTER_MEMORY_TYPE;
        bool is_flag = attributes[i] == POINTER_IS_MANAGED || attributes[i] == POINTER_MAPPED;
        is_wide |= attributes[i] == POINTER_RANGE_START || attributes[i] == POINTER_RANGE_SIZE;
        memset(data[i], 0, is_wide ? sizeof(uint64_t) : is_flag ? 1 : sizeof(int));
    }
    return CUDA_SUCCESS;
}

CUresult cuPointerSetAttribute(const void *value, int attribute, CUdeviceptr pointer) {
    struct place place;

    if (!value || attribute != POINTER_SYNC_MEMOPS || !locate(pointer, &place))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}
