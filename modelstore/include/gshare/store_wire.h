/* The contract between the model store and its clients, on one SOCK_SEQPACKET connection.
 *
 * A lease's folder holds the store's socket, store.sock. The socket's path is the identity of
 * whoever connects: nothing a client says of itself is trusted beyond it. One packet is one
 * struct; numbers are in the machine's own order; texts are NUL-terminated and NUL-padded. Any
 * other packet (size, magic, version, op, descriptors that do not belong) costs its connection.
 *
 * Requests. Each is answered by one final reply that carries its serial, except LIST, which is
 * answered by one READY an entry and then END. PROGRESS and FLAG_QUIET are not answered.
 *   GET       a reference on the weights of `key`. `digest`, if not zero, is what they must be:
 *             weights of that digest that the namespace already keeps serve, whatever the key
 *             names; a key of other weights counts as absent. With FLAG_LOAD an absent key is
 *             answered LOAD for the first who asks, who then loads and sends STORE (or ABANDON);
 *             others wait, hear PROGRESS, and at the end READY, or LOAD in their turn where the
 *             loader died or abandoned. A request other than PROGRESS that follows on the same
 *             connection takes back what waits: a GET, or a STORE whose copy is under way.
 *   STORE     hands over `content_bytes` of safetensors in a memfd (one descriptor), sealed against
 *             writing, growing, shrinking and further seals. Answered READY as a GET is: whoever
 *             stores holds a reference. FLAG_PIN pins the key.
 *   PROGRESS  of a load: `content_bytes` of `total_bytes`.
 *   ABANDON   of a load. OK.
 *   RELEASE   gives back the references of this connection on `key` (with `digest`: on these
 *             weights only). OK. The end of the connection gives back all of them.
 *   DROP      forgets `key`; weights in use stay until their last user goes. OK, ABSENT, DENIED.
 *   PIN       keeps `key` from being evicted for others; without FLAG_PIN, no longer.
 *   LIST      every key that the namespace sees. A key that loads has FLAG_LOADING and no digest.
 *
 * READY carries descriptors by mechanism: MEMFD and VMM two (index, weights), IPC one (index, and
 * the handle in `ipc_handle`). The index is a sealed memfd of `index_bytes` bytes of text, one
 * line a tensor, `offset bytes dtype shape name`: offset in the mapping, bytes of the tensor, dtype
 * as safetensors writes it (F32, BF16, ...), shape as 2x3 or - for a scalar, and the name, which
 * may hold spaces. Descriptors may be shared with other clients: use mmap or pread, never read,
 * whose position is shared too. Map a MEMFD for reading and MAP_PRIVATE: before Linux 6.7 one that
 * is sealed against writing can not be mapped MAP_SHARED at all. The mapping is `mapped_bytes`
 * long. On a device every offset is a multiple of 256; in a MEMFD, which is the safetensors file
 * itself, of what the file has.
 *
 * FULL, INVALID, DENIED and ERROR say in `text` why, on one line.
 * Python's twin is modelstore/gshare_modelstore/protocol.py; a test compares every offset.
 */
#ifndef GSHARE_STORE_WIRE_H
#define GSHARE_STORE_WIRE_H

#include <stdint.h>

#define GSHARE_STORE_MAGIC 0x4c444f4du /* "MODL" */
#define GSHARE_STORE_VERSION 1u

#define GSHARE_STORE_KEY_BYTES 208 /* keys of at most 200 characters */
#define GSHARE_STORE_DIGEST_BYTES 32
#define GSHARE_STORE_UUID_BYTES 48
#define GSHARE_STORE_IPC_BYTES 64
#define GSHARE_STORE_TEXT_BYTES 416

enum gshare_store_op {
    GSHARE_STORE_GET = 1,
    GSHARE_STORE_STORE = 2,
    GSHARE_STORE_PROGRESS = 3,
    GSHARE_STORE_ABANDON = 4,
    GSHARE_STORE_RELEASE = 5,
    GSHARE_STORE_DROP = 6,
    GSHARE_STORE_PIN = 7,
    GSHARE_STORE_LIST = 8,
};

enum gshare_store_status {
    GSHARE_STORE_STATUS_READY = 0,
    GSHARE_STORE_STATUS_LOAD = 1,     /* absent: load it, then STORE or ABANDON */
    GSHARE_STORE_STATUS_PROGRESS = 2, /* not final: whom you wait for has loaded so much */
    GSHARE_STORE_STATUS_ABSENT = 3,
    GSHARE_STORE_STATUS_DENIED = 4,  /* not this namespace's to store, drop or pin */
    GSHARE_STORE_STATUS_FULL = 5,    /* no memory, or beyond the namespace's quota */
    GSHARE_STORE_STATUS_INVALID = 6, /* no such key, no sealed memfd, no safetensors, digest */
    GSHARE_STORE_STATUS_ERROR = 7,   /* the store's own trouble, or its GPU's */
    GSHARE_STORE_STATUS_END = 8,     /* of a list */
    GSHARE_STORE_STATUS_OK = 9,
};

/* Where weights are wanted, or lie. ANY: on the GPU where the store has one and room on it. */
enum gshare_store_tier {
    GSHARE_STORE_TIER_ANY = 0,
    GSHARE_STORE_TIER_DEVICE = 1,
    GSHARE_STORE_TIER_HOST = 2,
};

enum gshare_store_mechanism {
    GSHARE_STORE_MECHANISM_NONE = 0,
    GSHARE_STORE_MECHANISM_VMM = 1, /* cuMemImportFromShareableHandle, POSIX descriptor */
    GSHARE_STORE_MECHANISM_IPC = 2, /* cuIpcOpenMemHandle */
    GSHARE_STORE_MECHANISM_MEMFD = 3,
};

/* Flags of requests. */
#define GSHARE_STORE_FLAG_LOAD 1u  /* GET: ready to load it */
#define GSHARE_STORE_FLAG_PIN 2u   /* STORE, PIN */
#define GSHARE_STORE_FLAG_QUIET 4u /* ABANDON, RELEASE: no OK */
/* Flags of replies. */
#define GSHARE_STORE_FLAG_PINNED 1u
#define GSHARE_STORE_FLAG_SHARED 2u /* seen by every namespace */
#define GSHARE_STORE_FLAG_LOADING 4u
#define GSHARE_STORE_FLAG_IN_DEVICE 8u
#define GSHARE_STORE_FLAG_IN_HOST 16u
#define GSHARE_STORE_FLAG_SEALED 32u /* the kernel refuses a mapping that can be written */

struct gshare_store_request {
    uint32_t magic;
    uint32_t version;
    uint32_t op;
    uint32_t flags;
    uint32_t tier;
    uint32_t serial;                           /* the client's own; the reply repeats it */
    uint64_t content_bytes;                    /* STORE: of the memfd. PROGRESS: loaded so far */
    uint64_t total_bytes;                      /* PROGRESS: 0 where not known */
    uint8_t digest[GSHARE_STORE_DIGEST_BYTES]; /* SHA-256 of the safetensors bytes; zero: none */
    char key[GSHARE_STORE_KEY_BYTES];
};

struct gshare_store_reply {
    uint32_t magic;
    uint32_t version;
    uint32_t status;
    uint32_t flags;
    uint32_t tier;
    uint32_t mechanism;
    uint32_t serial;
    uint32_t references;    /* LIST: connections that use it */
    uint64_t content_bytes; /* of the safetensors; PROGRESS: loaded so far */
    uint64_t total_bytes;   /* PROGRESS: 0 where not known */
    uint64_t mapped_bytes;  /* of what the second descriptor, or the handle, shows */
    uint64_t index_bytes;
    uint8_t digest[GSHARE_STORE_DIGEST_BYTES];
    char gpu_uuid[GSHARE_STORE_UUID_BYTES]; /* "GPU-..."; empty where the store has no GPU */
    uint8_t ipc_handle[GSHARE_STORE_IPC_BYTES];
    char key[GSHARE_STORE_KEY_BYTES];
    char text[GSHARE_STORE_TEXT_BYTES];
};

_Static_assert(sizeof(struct gshare_store_request) == 280, "protocol.py reads this size");
_Static_assert(sizeof(struct gshare_store_reply) == 832, "protocol.py reads this size");

#endif
