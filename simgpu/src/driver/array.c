/* Arrays and mipmapped arrays: memory that copies can reach. There are no textures. */
#include <stdlib.h>

#include "capture.h"
#include "driver.h"

enum { PITCH_BYTES = 512, MAX_LEVELS = 20, LAYERED = 1, CUBE = 4, CUBE_FACES = 6 };

struct sim_mipmap {
    CUdeviceptr memory;
    unsigned int level_count;
    struct sim_array levels[MAX_LEVELS];
};

/* CUarray_format: bytes of one channel of the plain formats; 0: not one of them. */
static size_t channel_bytes(unsigned int format) {
    switch (format) {
    case 0x01: /* unsigned and signed, 8 bits */
    case 0x08:
        return 1;
    case 0x02: /* 16 bits, and half */
    case 0x09:
    case 0x10:
        return 2;
    case 0x03: /* 32 bits, and float */
    case 0x0a:
    case 0x20:
        return 4;
    default:
        return 0;
    }
}

size_t gshare_sim_element_bytes(const struct sim_array *array) {
    return array ? channel_bytes(array->format) * array->channels : 0;
}

/* Fills in where rows and layers lie; returns the bytes, 0 where the shape cannot be. */
static size_t shape(struct sim_array *array, const CUDA_ARRAY3D_DESCRIPTOR *asked) {
    size_t bytes = channel_bytes(asked->format) * asked->channels;
    bool has_channels = asked->channels == 1 || asked->channels == 2 || asked->channels == 4;
    bool is_cube = asked->flags & CUBE;

    if (!bytes || !has_channels || !asked->width || (is_cube && asked->depth % CUBE_FACES))
        return 0;
    array->pitch = (asked->width * bytes + PITCH_BYTES - 1) / PITCH_BYTES * PITCH_BYTES;
    array->rows = asked->height ? asked->height : 1;
    array->layers = asked->depth ? asked->depth : 1;
    array->format = asked->format;
    array->channels = asked->channels;
    array->flags = asked->flags;
    array->width = asked->width;
    array->height = asked->height;
    array->depth = asked->depth;
    return array->pitch * array->rows * array->layers;
}

CUresult cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *asked) {
    struct sim_array *made = array && asked ? calloc(1, sizeof *made) : NULL;

    if (!made)
        return array && asked ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    size_t bytes = shape(made, asked);
    CUresult result = bytes ? cuMemAlloc_v2(&made->memory, bytes) : CUDA_ERROR_INVALID_VALUE;
    if (result)
        free(made);
    else
        *array = made;
    return result;
}

CUresult cuArrayCreate_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *asked) {
    if (!asked)
        return CUDA_ERROR_INVALID_VALUE;
    CUDA_ARRAY3D_DESCRIPTOR shaped = {.width = asked->width,
                                      .height = asked->height,
                                      .format = asked->format,
                                      .channels = asked->channels};
    return cuArray3DCreate_v2(array, &shaped);
}

CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *descriptor, CUarray array) {
    if (!descriptor || !array)
        return CUDA_ERROR_INVALID_VALUE;
    *descriptor = (CUDA_ARRAY3D_DESCRIPTOR){array->width,  array->height,   array->depth,
                                            array->format, array->channels, array->flags};
    return CUDA_SUCCESS;
}

CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR *descriptor, CUarray array) {
    if (!descriptor || !array)
        return CUDA_ERROR_INVALID_VALUE;
    *descriptor =
        (CUDA_ARRAY_DESCRIPTOR){array->width, array->height, array->format, array->channels};
    return CUDA_SUCCESS;
}

CUresult cuArrayDestroy(CUarray array) {
    if (!array || array->is_level)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = cuMemFree_v2(array->memory);
    if (!result)
        free(array);
    return result;
}

static size_t halved(size_t size) {
    return size > 1 ? size / 2 : size;
}

/* The levels lie one after the other; a level has half the extent of the one before. */
static size_t shape_levels(struct sim_mipmap *mipmap, CUDA_ARRAY3D_DESCRIPTOR asked,
                           unsigned int count) {
    size_t total = 0;

    for (unsigned int i = 0; i < count; i++) {
        size_t bytes = shape(&mipmap->levels[i], &asked);
        if (!bytes)
            return 0;
        mipmap->levels[i].is_level = true;
        mipmap->levels[i].memory = total; /* until the whole has its place */
        total += bytes;
        asked.width = halved(asked.width);
        asked.height = halved(asked.height);
        if (!(asked.flags & LAYERED))
            asked.depth = halved(asked.depth);
    }
    return total;
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *mipmap, const CUDA_ARRAY3D_DESCRIPTOR *asked,
                                unsigned int levels) {
    if (!mipmap || !asked || levels == 0 || levels > MAX_LEVELS)
        return CUDA_ERROR_INVALID_VALUE;
    struct sim_mipmap *made = calloc(1, sizeof *made);
    if (!made)
        return CUDA_ERROR_OUT_OF_MEMORY;
    made->level_count = levels;
    size_t bytes = shape_levels(made, *asked, levels);
    CUresult result = bytes ? cuMemAlloc_v2(&made->memory, bytes) : CUDA_ERROR_INVALID_VALUE;
    if (result) {
        free(made);
        return result;
    }
    for (unsigned int i = 0; i < levels; i++)
        made->levels[i].memory += made->memory;
    *mipmap = made;
    return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayGetLevel(CUarray *array, CUmipmappedArray mipmap, unsigned int level) {
    if (!array || !mipmap || level >= mipmap->level_count)
        return CUDA_ERROR_INVALID_VALUE;
    *array = &mipmap->levels[level];
    return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray mipmap) {
    if (!mipmap)
        return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = cuMemFree_v2(mipmap->memory);
    if (!result)
        free(mipmap);
    return result;
}
