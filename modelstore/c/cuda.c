/* Maps weights on a GPU, through a driver that is found when the first ones lie there. */
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

/* As in cuda.h, whose types users of the client need not have. */
enum {
    CUDA_OK = 0,
    CUDA_INVALID_VALUE = 1,
    CUDA_NOT_SUPPORTED = 801,
    HANDLE_POSIX_FD = 1,
    LOCATION_DEVICE = 1,
    ACCESS_READ = 1,
    ACCESS_READ_WRITE = 3,
    IPC_LAZY_PEER_ACCESS = 1,
    UUID_BYTES = 16,
};

struct cuda_access {
    int location_type;
    int location_id;
    int flags;
};

struct cuda_ipc_handle {
    unsigned char reserved[GSHARE_STORE_IPC_BYTES];
};

/* `context` is the one that weights are mapped in: the caller's own where there was one, else the
 * device's primary one, held until the store is closed. */
struct gshare_cuda {
#define CUDA_SYMBOL(name, symbol, arguments) int(*name) arguments;
#include "cuda_symbols.def"
#undef CUDA_SYMBOL
    void *library;
    void *context;
    int device;
    int is_retained;
};

static int failed(struct gshare_client *client, const struct gshare_cuda *cuda, const char *call,
                  int result) {
    const char *name = NULL;

    cuda->cuGetErrorName(result, &name);
    return gshare_store_fail(client, -ENODEV, "%s: %s", call, name ? name : "unknown error");
}

static int resolve(struct gshare_client *client, struct gshare_cuda *cuda) {
    cuda->library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!cuda->library)
        return gshare_store_fail(client, -ENODEV, "weights lie on a GPU: %s", dlerror());
#define CUDA_SYMBOL(name, symbol, arguments)                                                       \
    *(void **)&cuda->name = dlsym(cuda->library, symbol);                                          \
    if (!cuda->name)                                                                               \
        return gshare_store_fail(client, -ENODEV, "the CUDA driver has no %s", symbol);
#include "cuda_symbols.def"
#undef CUDA_SYMBOL
    int result = cuda->cuInit(0);
    return result ? failed(client, cuda, "cuInit", result) : 0;
}

/* "GPU-" and the bytes as a UUID is written. */
static void uuid_text(const unsigned char *bytes, char *text) {
    text += sprintf(text, "GPU-");
    for (int at = 0; at < UUID_BYTES; at++)
        text +=
            sprintf(text, at == 4 || at == 6 || at == 8 || at == 10 ? "-%02x" : "%02x", bytes[at]);
}

static int find_device(struct gshare_client *client, struct gshare_cuda *cuda, const char *uuid) {
    char text[GSHARE_STORE_UUID_BYTES];
    unsigned char bytes[UUID_BYTES];
    int count = 0;

    int result = cuda->cuDeviceGetCount(&count);
    for (int ordinal = 0; !result && ordinal < count; ordinal++) {
        result = cuda->cuDeviceGet(&cuda->device, ordinal);
        if (!result)
            result = cuda->cuDeviceGetUuid(bytes, cuda->device);
        if (result)
            break;
        uuid_text(bytes, text);
        if (strcmp(text, uuid) == 0)
            return 0;
    }
    if (result)
        return failed(client, cuda, "looking for the store's GPU", result);
    return gshare_store_fail(client, -ENODEV, "%s is not among this process's GPUs", uuid);
}

static int take_context(struct gshare_client *client, struct gshare_cuda *cuda) {
    int device = -1;
    int result = cuda->cuCtxGetCurrent(&cuda->context);

    if (!result && cuda->context)
        result = cuda->cuCtxGetDevice(&device);
    if (!result && (!cuda->context || device != cuda->device)) {
        result = cuda->cuDevicePrimaryCtxRetain(&cuda->context, cuda->device);
        cuda->is_retained = !result;
    }
    return result ? failed(client, cuda, "making a context", result) : 0;
}

static int load(struct gshare_client *client, const char *uuid) {
    struct gshare_cuda *cuda = calloc(1, sizeof *cuda);

    if (!cuda)
        return gshare_store_fail(client, -ENOMEM, "no memory");
    int code = resolve(client, cuda);
    if (!code)
        code = find_device(client, cuda, uuid);
    if (!code)
        code = take_context(client, cuda);
    if (code)
        gshare_store_close_cuda(cuda);
    else
        client->cuda = cuda;
    return code;
}

/* Real drivers may know no read-only map of an import: then it can be written. */
static int make_readable(const struct gshare_cuda *cuda, unsigned long long address,
                         uint64_t bytes) {
    struct cuda_access access = {LOCATION_DEVICE, cuda->device, ACCESS_READ};
    int result = cuda->cuMemSetAccess(address, bytes, &access, 1);

    if (result == CUDA_NOT_SUPPORTED || result == CUDA_INVALID_VALUE) {
        access.flags = ACCESS_READ_WRITE;
        result = cuda->cuMemSetAccess(address, bytes, &access, 1);
    }
    return result;
}

static int map_import(const struct gshare_cuda *cuda, uint64_t bytes, int descriptor,
                      unsigned long long *address) {
    unsigned long long shared = 0;
    int is_mapped = 0;
    int result = cuda->cuMemImportFromShareableHandle(&shared, (void *)(intptr_t)descriptor,
                                                      HANDLE_POSIX_FD);

    if (result)
        return result;
    result = cuda->cuMemAddressReserve(address, bytes, 0, 0, 0);
    if (result)
        goto release;
    result = cuda->cuMemMap(*address, bytes, 0, shared, 0);
    is_mapped = !result;
    if (!result)
        result = make_readable(cuda, *address, bytes);
    if (result && is_mapped)
        cuda->cuMemUnmap(*address, bytes);
    if (result)
        cuda->cuMemAddressFree(*address, bytes);
release:
    cuda->cuMemRelease(shared); /* the map holds the memory from here on */
    return result;
}

int gshare_store_map_device(struct gshare_client *client, const struct gshare_store_reply *reply,
                            int descriptor, struct gshare_map *map) {
    struct cuda_ipc_handle handle;
    void *popped;
    int code = client->cuda ? 0 : load(client, reply->gpu_uuid);

    if (code)
        return code;
    struct gshare_cuda *cuda = client->cuda;
    int result = cuda->cuCtxPushCurrent(cuda->context);
    if (result)
        return failed(client, cuda, "cuCtxPushCurrent", result);
    if (reply->mechanism == GSHARE_STORE_MECHANISM_VMM) {
        result = map_import(cuda, reply->mapped_bytes, descriptor, &map->address);
    } else {
        memcpy(handle.reserved, reply->ipc_handle, sizeof handle.reserved);
        result = cuda->cuIpcOpenMemHandle(&map->address, handle, IPC_LAZY_PEER_ACCESS);
    }
    cuda->cuCtxPopCurrent(&popped);
    return result ? failed(client, cuda, "mapping weights", result) : 0;
}

void gshare_store_unmap_device(struct gshare_cuda *cuda, const struct gshare_map *map) {
    void *popped;
    int is_current = cuda->cuCtxPushCurrent(cuda->context) == CUDA_OK;

    if (is_current)
        cuda->cuCtxSynchronize(); /* work that still reads the weights */
    if (map->mechanism == GSHARE_STORE_MECHANISM_VMM) {
        cuda->cuMemUnmap(map->address, map->bytes);
        cuda->cuMemAddressFree(map->address, map->bytes);
    } else {
        cuda->cuIpcCloseMemHandle(map->address);
    }
    if (is_current)
        cuda->cuCtxPopCurrent(&popped);
}

void gshare_store_close_cuda(struct gshare_cuda *cuda) {
    if (!cuda)
        return;
    if (cuda->is_retained)
        cuda->cuDevicePrimaryCtxRelease(cuda->device);
    if (cuda->library)
        dlclose(cuda->library);
    free(cuda);
}
