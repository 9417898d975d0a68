/* What the files of the client share. */
#ifndef GSHARE_STORE_INTERNAL_H
#define GSHARE_STORE_INTERNAL_H

#include "gshare_store.h"

#include "gshare/store_wire.h"

struct gshare_cuda;

/* A map of weights. The caller has `seen`; everything else is ours to give back. */
struct gshare_map {
    struct gshare_weights seen;
    struct gshare_map *next;
    struct gshare_tensor *tensors;
    uint64_t *shapes;
    char *index; /* its lines are cut into the names and dtypes of the tensors */
    unsigned long long address;
    uint64_t bytes;
    uint32_t mechanism;
    int is_mapped;
};

struct gshare_client {
    struct gshare_store seen; /* first: what the caller has is a pointer to it */
    int socket;
    uint32_t serial;
    struct gshare_map *maps;
    struct gshare_cuda *cuda; /* loaded at the first weights on a GPU */
};

/* Notes why a call fails, and returns `code`. */
__attribute__((format(printf, 3, 4))) int gshare_store_fail(struct gshare_client *client, int code,
                                                            const char *format, ...);

/* Cuts `index`, `length` bytes long with a NUL behind them, into the tensors of `map`, which is
 * mapped. Fails where a line is none, or a tensor lies outside the map. */
int gshare_store_read_index(struct gshare_client *client, struct gshare_map *map, size_t length);

/* Maps weights on a GPU that a reply shows, for reading; gives one back. */
int gshare_store_map_device(struct gshare_client *client, const struct gshare_store_reply *reply,
                            int descriptor, struct gshare_map *map);
void gshare_store_unmap_device(struct gshare_cuda *cuda, const struct gshare_map *map);
void gshare_store_close_cuda(struct gshare_cuda *cuda);

#endif
