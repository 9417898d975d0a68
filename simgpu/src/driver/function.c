/* Properties of kernels, under their two names: function and kernel. */
#include "driver.h"

/* CUfunction_attribute */
enum {
    FUNCTION_MAX_THREADS = 0,
    FUNCTION_REGISTERS = 4,
    FUNCTION_PTX_VERSION = 5,
    FUNCTION_BINARY_VERSION = 6,
    FUNCTION_MAX_DYNAMIC_SHARED = 8,
    FUNCTION_ATTRIBUTES = 17,
    DEFAULT_DYNAMIC_SHARED_BYTES = 49152,
};

CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
    if (!value || !function || attribute < 0 || attribute >= FUNCTION_ATTRIBUTES)
        return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
    case FUNCTION_MAX_THREADS:
        *value = 1024;
        break;
    case FUNCTION_REGISTERS:
        *value = 32;
        break;
    case FUNCTION_PTX_VERSION:
    case FUNCTION_BINARY_VERSION:
        *value = 70;
        break;
    case FUNCTION_MAX_DYNAMIC_SHARED:
        *value = function->dynamic_shared_bytes ? function->dynamic_shared_bytes
                                                : DEFAULT_DYNAMIC_SHARED_BYTES;
        break;
    default:
        *value = 0;
    }
    return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
    if (!function || attribute < FUNCTION_MAX_DYNAMIC_SHARED || attribute >= FUNCTION_ATTRIBUTES)
        return CUDA_ERROR_INVALID_VALUE;
    if (attribute == FUNCTION_MAX_DYNAMIC_SHARED)
        function->dynamic_shared_bytes = value;
    return CUDA_SUCCESS;
}

CUresult cuFuncSetCacheConfig(CUfunction function, int config) {
    return function && config >= 0 && config <= 3 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuFuncGetModule(CUmodule *module, CUfunction function) {
    if (!module || !function)
        return CUDA_ERROR_INVALID_VALUE;
    *module = function->module;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetName(const char **name, CUfunction function) {
    if (!name || !function)
        return CUDA_ERROR_INVALID_VALUE;
    *name = function->name;
    return CUDA_SUCCESS;
}

/* Parameters lie at offsets aligned to their own size, as the ABI lays out scalars. */
CUresult cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset, size_t *size) {
    size_t at = 0;

    if (!function || !offset || index >= function->parameter_count)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i <= index; i++) {
        size_t bytes = function->parameter_sizes[i];
        size_t alignment = bytes && bytes <= 8 && (bytes & (bytes - 1)) == 0 ? bytes : 8;
        at = (at + alignment - 1) / alignment * alignment;
        *offset = at;
        at += bytes;
    }
    if (size)
        *size = function->parameter_sizes[index];
    return CUDA_SUCCESS;
}

CUresult cuFuncIsLoaded(int *state, CUfunction function) {
    if (!state || !function)
        return CUDA_ERROR_INVALID_VALUE;
    *state = 1;
    return CUDA_SUCCESS;
}

CUresult cuFuncLoad(CUfunction function) {
    return function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuKernelGetFunction(CUfunction *function, CUkernel kernel) {
    if (!function || !kernel)
        return CUDA_ERROR_INVALID_VALUE;
    *function = kernel;
    return CUDA_SUCCESS;
}

CUresult cuKernelGetLibrary(CUlibrary *library, CUkernel kernel) {
    return cuFuncGetModule(library, kernel);
}

CUresult cuKernelGetAttribute(int *value, int attribute, CUkernel kernel, CUdevice device) {
    if (!gshare_sim_board(device))
        return CUDA_ERROR_INVALID_DEVICE;
    return cuFuncGetAttribute(value, attribute, kernel);
}

CUresult cuKernelSetAttribute(int attribute, int value, CUkernel kernel, CUdevice device) {
    if (!gshare_sim_board(device))
        return CUDA_ERROR_INVALID_DEVICE;
    return cuFuncSetAttribute(kernel, attribute, value);
}

CUresult cuKernelSetCacheConfig(CUkernel kernel, int config, CUdevice device) {
    if (!gshare_sim_board(device))
        return CUDA_ERROR_INVALID_DEVICE;
    return cuFuncSetCacheConfig(kernel, config);
}

CUresult cuKernelGetName(const char **name, CUkernel kernel) {
    return cuFuncGetName(name, kernel);
}

CUresult cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t *offset, size_t *size) {
    return cuFuncGetParamInfo(kernel, index, offset, size);
}
