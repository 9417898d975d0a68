/* Open, get, close: the connection, and weights in host memory. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "store.h"

enum { SILENCE_S = 60, MOST_DESCRIPTORS = 4 };

/* A reply and the descriptors beside it, -1 where there is none. */
struct answer {
    struct gshare_store_reply reply;
    int descriptors[MOST_DESCRIPTORS];
};

int gshare_store_fail(struct gshare_client *client, int code, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(client->seen.error, sizeof client->seen.error, format, arguments);
    va_end(arguments);
    return code;
}

static void close_descriptors(struct answer *answer) {
    for (int at = 0; at < MOST_DESCRIPTORS; at++)
        if (answer->descriptors[at] >= 0)
            close(answer->descriptors[at]);
}

/* The socket's path in `buffer`, or NULL. */
static const char *find_path(const char *path, char *buffer, size_t size) {
    const char *folder = getenv("GSHARE_LEASE_DIR");

    if (!path)
        path = getenv("GSHARE_STORE_SOCKET");
    if (path && *path)
        return path;
    if (!folder || !*folder)
        return NULL;
    return (size_t)snprintf(buffer, size, "%s/store.sock", folder) < size ? buffer : NULL;
}

static int connect_to(struct gshare_client *client, const char *path) {
    struct timeval silence = {.tv_sec = SILENCE_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path)
        return gshare_store_fail(client, -ENAMETOOLONG, "%s: longer than %zu bytes", path,
                                 sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);
    client->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (client->socket < 0)
        return gshare_store_fail(client, -errno, "socket: %s", strerror(errno));
    setsockopt(client->socket, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
    setsockopt(client->socket, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence);
    if (connect(client->socket, (struct sockaddr *)&address, sizeof address) == 0)
        return 0;
    return gshare_store_fail(client, -errno, "%s: %s", path, strerror(errno));
}

int gshare_store_open(struct gshare_store **store, const char *path) {
    char buffer[sizeof(struct sockaddr_un)];
    struct gshare_client *client = calloc(1, sizeof *client);

    *store = client ? &client->seen : NULL;
    if (!client)
        return -ENOMEM;
    client->socket = -1;
    path = find_path(path, buffer, sizeof buffer);
    if (!path)
        return gshare_store_fail(client, -ENOENT,
                                 "GSHARE_STORE_SOCKET and GSHARE_LEASE_DIR are not set");
    return connect_to(client, path);
}

/* The failure of a call on the socket. */
static int socket_failed(struct gshare_client *client, int error) {
    if (error == EAGAIN || error == EWOULDBLOCK)
        return gshare_store_fail(client, -ETIMEDOUT, "no answer for %d s", SILENCE_S);
    return gshare_store_fail(client, -ECONNRESET, "the store ended the connection: %s",
                             error ? strerror(error) : "closed");
}

static void take_descriptors(struct msghdr *message, struct answer *answer) {
    int taken = 0;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t sent = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t at = 0; at < sent && taken < MOST_DESCRIPTORS; at++)
            memcpy(&answer->descriptors[taken++], CMSG_DATA(part) + at * sizeof(int), sizeof(int));
    }
}

static int receive(struct gshare_client *client, struct answer *answer) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
    struct iovec packet = {&answer->reply, sizeof answer->reply};
    struct msghdr message = {.msg_iov = &packet,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t length;

    memset(answer->descriptors, -1, sizeof answer->descriptors);
    do
        length = recvmsg(client->socket, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length <= 0)
        return socket_failed(client, length ? errno : 0);
    take_descriptors(&message, answer);
    struct gshare_store_reply *reply = &answer->reply;
    if ((size_t)length == sizeof *reply && !(message.msg_flags & MSG_TRUNC) &&
        reply->magic == GSHARE_STORE_MAGIC && reply->version == GSHARE_STORE_VERSION &&
        memchr(reply->text, 0, sizeof reply->text) &&
        memchr(reply->gpu_uuid, 0, sizeof reply->gpu_uuid))
        return 0;
    close_descriptors(answer);
    return gshare_store_fail(client, -EPROTO, "what answers is no model store of version %u",
                             GSHARE_STORE_VERSION);
}

/* Sends a request for `key` and waits for its answer; others' are passed over. */
static int ask(struct gshare_client *client, const char *key, uint32_t tier,
               struct answer *answer) {
    struct gshare_store_request request = {.magic = GSHARE_STORE_MAGIC,
                                           .version = GSHARE_STORE_VERSION,
                                           .op = GSHARE_STORE_GET,
                                           .tier = tier,
                                           .serial = ++client->serial};
    ssize_t sent;

    if (client->socket < 0)
        return gshare_store_fail(client, -ENOTCONN, "not connected");
    if (strlen(key) >= sizeof request.key)
        return gshare_store_fail(client, -EINVAL, "a key has at most 200 characters");
    strcpy(request.key, key);
    do
        sent = send(client->socket, &request, sizeof request, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return socket_failed(client, errno);
    for (;;) {
        int code = receive(client, answer);
        if (code)
            return code;
        if (answer->reply.serial == request.serial &&
            answer->reply.status != GSHARE_STORE_STATUS_PROGRESS)
            return 0;
        close_descriptors(answer);
    }
}

/* The failure that a reply other than READY is. */
static int refused(struct gshare_client *client, const char *key,
                   const struct gshare_store_reply *reply) {
    static const int codes[] = {
        [GSHARE_STORE_STATUS_ABSENT] = -ENOENT, [GSHARE_STORE_STATUS_DENIED] = -EACCES,
        [GSHARE_STORE_STATUS_FULL] = -ENOMEM,   [GSHARE_STORE_STATUS_INVALID] = -EINVAL,
        [GSHARE_STORE_STATUS_ERROR] = -EIO,
    };
    int code = reply->status < sizeof codes / sizeof *codes ? codes[reply->status] : 0;

    return gshare_store_fail(client, code ? code : -EPROTO, "model %s: %s", key,
                             reply->text[0] ? reply->text : "nothing is kept as that");
}

static int map_host(struct gshare_client *client, const struct answer *answer,
                    struct gshare_map *map) {
    /* A private map: kernels before 6.7 refuse a shared one of a file sealed against writing. */
    void *data =
        mmap(NULL, answer->reply.mapped_bytes, PROT_READ, MAP_PRIVATE, answer->descriptors[1], 0);

    if (data == MAP_FAILED)
        return gshare_store_fail(client, -errno, "mapping weights: %s", strerror(errno));
    map->address = (uintptr_t)data;
    return 0;
}

static int read_index_text(struct gshare_client *client, const struct answer *answer,
                           struct gshare_map *map) {
    uint64_t length = answer->reply.index_bytes;

    map->index = length < SIZE_MAX ? calloc(length + 1, 1) : NULL;
    if (!map->index)
        return gshare_store_fail(client, -ENOMEM, "no memory for the index");
    for (uint64_t at = 0; at < length;) {
        ssize_t got = pread(answer->descriptors[0], map->index + at, length - at, (off_t)at);
        if (got <= 0)
            return gshare_store_fail(client, -EPROTO, "the index ends early");
        at += (uint64_t)got;
    }
    return 0;
}

static int fill(struct gshare_client *client, const struct answer *answer, struct gshare_map *map) {
    const struct gshare_store_reply *reply = &answer->reply;
    int shown = reply->mechanism == GSHARE_STORE_MECHANISM_IPC ? 1 : 2;

    if (reply->mechanism < GSHARE_STORE_MECHANISM_VMM ||
        reply->mechanism > GSHARE_STORE_MECHANISM_MEMFD || answer->descriptors[shown - 1] < 0)
        return gshare_store_fail(client, -EPROTO, "weights by mechanism %u", reply->mechanism);
    map->mechanism = reply->mechanism;
    map->bytes = reply->mapped_bytes;
    map->seen.is_on_device = reply->mechanism != GSHARE_STORE_MECHANISM_MEMFD;
    for (int at = 0; at < GSHARE_STORE_DIGEST_BYTES; at++)
        sprintf(map->seen.digest + 2 * at, "%02x", reply->digest[at]);
    int code = read_index_text(client, answer, map);
    if (!code)
        code = map->seen.is_on_device
                   ? gshare_store_map_device(client, reply, answer->descriptors[1], map)
                   : map_host(client, answer, map);
    map->is_mapped = !code;
    return code ? code : gshare_store_read_index(client, map, reply->index_bytes);
}

static void forget(struct gshare_client *client, struct gshare_map *map) {
    if (map->is_mapped && map->seen.is_on_device)
        gshare_store_unmap_device(client->cuda, map);
    else if (map->is_mapped)
        munmap((void *)(uintptr_t)map->address, map->bytes);
    free(map->tensors);
    free(map->shapes);
    free(map->index);
    free(map);
}

int gshare_store_get(struct gshare_store *store, const char *key, enum gshare_weights_place place,
                     const struct gshare_weights **weights) {
    struct gshare_client *client = (struct gshare_client *)store;
    struct answer answer;

    client->seen.error[0] = '\0';
    int code = ask(client, key, (uint32_t)place, &answer);
    if (code)
        return code;
    struct gshare_map *map = calloc(1, sizeof *map);
    if (answer.reply.status != GSHARE_STORE_STATUS_READY)
        code = refused(client, key, &answer.reply);
    else
        code = map ? fill(client, &answer, map) : gshare_store_fail(client, -ENOMEM, "no memory");
    close_descriptors(&answer);
    if (code) {
        if (map)
            forget(client, map);
        return code;
    }
    map->next = client->maps;
    client->maps = map;
    *weights = &map->seen;
    return 0;
}

void gshare_store_close(struct gshare_store *store) {
    struct gshare_client *client = (struct gshare_client *)store;

    if (!client)
        return;
    for (struct gshare_map *map = client->maps, *next; map; map = next) {
        next = map->next;
        forget(client, map);
    }
    gshare_store_close_cuda(client->cuda);
    if (client->socket >= 0)
        close(client->socket);
    free(client);
}
