/* Arrays and mipmaps: their size is computed from their shape, since the driver tells it of sparse
 * ones only. Sparse arrays and those that are mapped later take no memory of their own. */
#include "hook/allocate.h"

/* Returns the bits of one texel: of all its channels for plain formats, whole for the others. */
static uint64_t texel_bits(unsigned int format, unsigned int channels) {
    switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
        return 8ull * channels;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
        return 16ull * channels;
    case CU_AD_FORMAT_UNORM_INT8X1:
    case CU_AD_FORMAT_SNORM_INT8X1:
        return 8;
    case CU_AD_FORMAT_UNORM_INT8X2:
    case CU_AD_FORMAT_SNORM_INT8X2:
    case CU_AD_FORMAT_UNORM_INT16X1:
    case CU_AD_FORMAT_SNORM_INT16X1:
        return 16;
    case CU_AD_FORMAT_UNORM_INT16X4:
    case CU_AD_FORMAT_SNORM_INT16X4:
        return 64;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
        return 32ull * channels;
    default:
        break;
    }
    if (format == CU_AD_FORMAT_BC1_UNORM || format == CU_AD_FORMAT_BC1_UNORM + 1 ||
        format == CU_AD_FORMAT_BC4_UNORM || format == CU_AD_FORMAT_BC4_UNORM + 1)
        return 4; /* block-compressed: 8 bytes for 4 x 4 texels; the others take 16
                   */
    if (format > CU_AD_FORMAT_BC1_UNORM && format <= CU_AD_FORMAT_BC7_UNORM_SRGB)
        return 8;
    return 32; /* 8X4 and 16X2, 10-bit RGB, video: 12 to 64 bits, mostly 32 or
                  fewer */
}

static uint64_t times(uint64_t left, uint64_t right) {
    uint64_t product = 0;
    return __builtin_mul_overflow(left, right, &product) ? UINT64_MAX : product;
}

static uint64_t at_least_1(uint64_t extent) {
    return extent == 0 ? 1 : extent;
}

static uint64_t level_bytes(const CUDA_ARRAY3D_DESCRIPTOR *shape, unsigned int level) {
    bool is_layered = shape->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
    uint64_t texels = times(at_least_1(shape->Width >> level), at_least_1(shape->Height >> level));
    texels = times(texels, at_least_1(is_layered ? shape->Depth : shape->Depth >> level));
    uint64_t bits = times(texels, texel_bits(shape->Format, shape->NumChannels));
    return bits == UINT64_MAX ? bits : (bits + 7) / 8;
}

static uint64_t array_bytes(const CUDA_ARRAY3D_DESCRIPTOR *shape, unsigned int levels) {
    uint64_t bytes = 0;
    if (!shape || (shape->Flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING)))
        return 0;
    for (unsigned int level = 0; level < levels && level < 32; level++)
        if (__builtin_add_overflow(bytes, level_bytes(shape, level), &bytes))
            return UINT64_MAX;
    return gshare_allocate_pages(bytes);
}

#define CREATE(shape_in_3d, levels, call)                                                          \
    do {                                                                                           \
        CUDA_ARRAY3D_DESCRIPTOR full = {0};                                                        \
        if (shape)                                                                                 \
            full = (CUDA_ARRAY3D_DESCRIPTOR)shape_in_3d;                                           \
        uint64_t bytes = shape ? array_bytes(&full, levels) : 0;                                   \
        GSHARE_ALLOCATE(GSHARE_CHARGE_DEVICE, (uintptr_t)*array, bytes, call);                     \
    } while (0)

#define FLAT                                                                                       \
    {.Width = shape->Width,                                                                        \
     .Height = shape->Height,                                                                      \
     .Format = shape->Format,                                                                      \
     .NumChannels = shape->NumChannels}
#define DEEP                                                                                       \
    {.Width = shape->Width,                                                                        \
     .Height = shape->Height,                                                                      \
     .Depth = shape->Depth,                                                                        \
     .Format = shape->Format,                                                                      \
     .NumChannels = shape->NumChannels,                                                            \
     .Flags = shape->Flags}

CUresult cuArrayCreate(CUarray *array, const CUDA_ARRAY_DESCRIPTOR_v1 *shape) {
    CREATE(FLAT, 1, cuArrayCreate(array, shape));
}

CUresult cuArrayCreate_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *shape) {
    CREATE(FLAT, 1, cuArrayCreate_v2(array, shape));
}

CUresult cuArray3DCreate(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR_v1 *shape) {
    CREATE(DEEP, 1, cuArray3DCreate(array, shape));
}

CUresult cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *shape) {
    CREATE(DEEP, 1, cuArray3DCreate_v2(array, shape));
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *array, const CUDA_ARRAY3D_DESCRIPTOR *shape,
                                unsigned int levels) {
    CREATE(DEEP, levels, cuMipmappedArrayCreate(array, shape, levels));
}

CUresult cuArrayDestroy(CUarray array) {
    GSHARE_FREE((uintptr_t)array, cuArrayDestroy(array));
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray array) {
    GSHARE_FREE((uintptr_t)array, cuMipmappedArrayDestroy(array));
}
