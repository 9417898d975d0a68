/* Modules and libraries, which are the same here: a list of kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

static void discard(struct sim_module *module) {
    for (unsigned int i = 0; i < module->function_count; i++) {
        free(module->functions[i].name);
        free(module->functions[i].parameter_sizes);
    }
    free(module->functions);
    free(module);
}

static CUresult load(const void *image, struct sim_module **module) {
    if (!image || !module)
        return CUDA_ERROR_INVALID_VALUE;
    struct sim_module *made = calloc(1, sizeof *made);
    CUresult result = made ? gshare_sim_read_image(image, made) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result && made)
        discard(made);
    if (!result)
        *module = made;
    return result;
}

static CUresult load_file(const char *path, struct sim_module **module) {
    FILE *file = path ? fopen(path, "rbe") : NULL;
    char *content = NULL;
    size_t room = 0;
    CUresult result = CUDA_ERROR_FILE_NOT_FOUND;

    if (!file)
        return result;
    if (getdelim(&content, &room, EOF, file) > 0)
        result = load(content, module);
    free(content);
    fclose(file);
    return result;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);
    return result ? result : load(image, module);
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int count, int *options,
                            void **values) {
    (void)count;
    (void)options;
    (void)values;
    return cuModuleLoadData(module, image);
}

CUresult cuModuleLoadFatBinary(CUmodule *module, const void *image) {
    return cuModuleLoadData(module, image);
}

CUresult cuModuleLoad(CUmodule *module, const char *path) {
    struct sim_context *context = NULL;
    CUresult result = gshare_sim_current(&context);
    return result ? result : load_file(path, module);
}

CUresult cuModuleUnload(CUmodule module) {
    if (!module)
        return CUDA_ERROR_INVALID_HANDLE;
    discard(module);
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    if (!function || !module || !name)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; i < module->function_count; i++) {
        if (strcmp(module->functions[i].name, name) != 0)
            continue;
        *function = &module->functions[i];
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuModuleGetFunctionCount(unsigned int *count, CUmodule module) {
    if (!count || !module)
        return CUDA_ERROR_INVALID_VALUE;
    *count = module->function_count;
    return CUDA_SUCCESS;
}

CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned int count, CUmodule module) {
    if (!functions || !module)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; i < count && i < module->function_count; i++)
        functions[i] = &module->functions[i];
    return CUDA_SUCCESS;
}

/* Kernels here have no code, so modules have no variables. */
CUresult cuModuleGetGlobal_v2(CUdeviceptr *pointer, size_t *bytes, CUmodule module,
                              const char *name) {
    (void)pointer;
    (void)bytes;
    return module && name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuModuleGetLoadingMode(int *mode) {
    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    *mode = 2; /* lazy */
    return CUDA_SUCCESS;
}

CUresult cuLibraryLoadData(CUlibrary *library, const void *code, int *jit_options,
                           void **jit_values, unsigned int jit_count, int *options, void **values,
                           unsigned int count) {
    CUresult result = gshare_sim_ready();

    (void)jit_options;
    (void)jit_values;
    (void)jit_count;
    (void)options;
    (void)values;
    (void)count;
    return result ? result : load(code, library);
}

CUresult cuLibraryLoadFromFile(CUlibrary *library, const char *path, int *jit_options,
                               void **jit_values, unsigned int jit_count, int *options,
                               void **values, unsigned int count) {
    CUresult result = gshare_sim_ready();

    (void)jit_options;
    (void)jit_values;
    (void)jit_count;
    (void)options;
    (void)values;
    (void)count;
    return result ? result : load_file(path, library);
}

CUresult cuLibraryUnload(CUlibrary library) {
    return cuModuleUnload(library);
}

CUresult cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name) {
    return cuModuleGetFunction(kernel, library, name);
}

CUresult cuLibraryGetKernelCount(unsigned int *count, CUlibrary library) {
    return cuModuleGetFunctionCount(count, library);
}

CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int count, CUlibrary library) {
    return cuModuleEnumerateFunctions(kernels, count, library);
}

CUresult cuLibraryGetModule(CUmodule *module, CUlibrary library) {
    if (!module || !library)
        return CUDA_ERROR_INVALID_VALUE;
    *module = library;
    return CUDA_SUCCESS;
}

CUresult cuLibraryGetGlobal(CUdeviceptr *pointer, size_t *bytes, CUlibrary library,
                            const char *name) {
    return cuModuleGetGlobal_v2(pointer, bytes, library, name);
}

CUresult cuLibraryGetManaged(CUdeviceptr *pointer, size_t *bytes, CUlibrary library,
                             const char *name) {
    return cuModuleGetGlobal_v2(pointer, bytes, library, name);
}
