/* The launches of CUDA before 4.0, which drivers still have: a function keeps the shape of its next
 * launch. */
#include "driver.h"

CUresult cuFuncSetBlockShape(CUfunction function, int x, int y, int z) {
    if (!function || x <= 0 || y <= 0 || z <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    function->block[0] = (unsigned int)x;
    function->block[1] = (unsigned int)y;
    function->block[2] = (unsigned int)z;
    return CUDA_SUCCESS;
}

CUresult cuFuncSetSharedSize(CUfunction function, unsigned int bytes) {
    if (!function)
        return CUDA_ERROR_INVALID_VALUE;
    function->shared_bytes = bytes;
    return CUDA_SUCCESS;
}

/* Kernels read no parameters. */
CUresult cuParamSetSize(CUfunction function, unsigned int bytes) {
    (void)bytes;
    return function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuParamSeti(CUfunction function, int offset, unsigned int value) {
    (void)value;
    return function && offset >= 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuParamSetf(CUfunction function, int offset, float value) {
    (void)value;
    return function && offset >= 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuParamSetv(CUfunction function, int offset, void *value, unsigned int bytes) {
    (void)bytes;
    return function && offset >= 0 && value ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuLaunchGridAsync(CUfunction function, int width, int height, CUstream stream) {
    if (!function || width <= 0 || height <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    return cuLaunchKernel(function, (unsigned int)width, (unsigned int)height, 1,
                          function->block[0], function->block[1], function->block[2],
                          function->shared_bytes, stream, NULL, NULL);
}

CUresult cuLaunchGrid(CUfunction function, int width, int height) {
    return cuLaunchGridAsync(function, width, height, NULL);
}

CUresult cuLaunch(CUfunction function) {
    return cuLaunchGridAsync(function, 1, 1, NULL);
}
