/* The model store's client for servers that are not Python: open, get, close.
 *
 *     struct gshare_store *store;
 *     const struct gshare_weights *weights;
 *     if (gshare_store_open(&store, NULL) == 0 &&
 *         gshare_store_get(store, "resnet50", GSHARE_WEIGHTS_ANYWHERE, &weights) == 0)
 *         use(weights->tensors, weights->count);
 *
 * It maps what somebody has stored, a Python server or `ModelStore.store` of a job; it loads
 * nothing. Weights are mapped for reading only: a write faults. They stay until the store is
 * closed, also when the process that serves it dies.
 *
 * Functions return 0 or a negative errno, and then say why in `error`. Calls on one store come
 * from one thread at a time. A fork keeps weights in host memory, and does not use the store.
 * Link with -ldl; libcuda.so.1 is looked for only when weights lie on a GPU.
 */
#ifndef GSHARE_STORE_H
#define GSHARE_STORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A connection to the store. `error` is the last failure, on one line, or empty. */
struct gshare_store {
    char error[512];
};

/* One tensor, its elements row-major. `data` is a device pointer where its weights are on a GPU. */
struct gshare_tensor {
    const char *name;
    const char *dtype; /* as safetensors names it: F32, BF16, ... */
    const void *data;
    uint64_t bytes;
    const uint64_t *shape;
    size_t dimensions; /* 0: a scalar */
};

struct gshare_weights {
    const struct gshare_tensor *tensors;
    size_t count;
    int is_on_device;
    char digest[65]; /* SHA-256 of the safetensors content, in hexadecimal */
};

enum gshare_weights_place {
    GSHARE_WEIGHTS_ANYWHERE = 0, /* where the store keeps them */
    GSHARE_WEIGHTS_ON_DEVICE = 1,
    GSHARE_WEIGHTS_ON_HOST = 2,
};

/* Connects to the socket at `path`; NULL: $GSHARE_STORE_SOCKET, else the container's lease's.
 *
 * On failure *store is NULL where memory is short (-ENOMEM), else it holds the error and is to be
 * closed. -ENOENT: no socket is there, or known. -ECONNREFUSED: nobody serves it. */
int gshare_store_open(struct gshare_store **store, const char *path);

/* Maps the weights kept as `key`. Asked again, maps them again.
 *
 * -ENOENT: there are none. -EACCES: not to be seen. -ENOMEM: no room on the GPU. -EINVAL: no key.
 * -ENODEV: they lie on a GPU that this process cannot use. -ECONNRESET: the store has ended; close
 * and open to go on, once the weights are not needed any more. -ETIMEDOUT: no answer in a minute.
 * -EPROTO: what answers is no store of this version. -EIO: the store's own trouble. */
int gshare_store_get(struct gshare_store *store, const char *key, enum gshare_weights_place place,
                     const struct gshare_weights **weights);

/* Unmaps all weights, once the GPU has done the work that reads them, and ends the connection. */
void gshare_store_close(struct gshare_store *store);

#ifdef __cplusplus
}
#endif

#endif
