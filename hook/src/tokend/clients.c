#include "clients.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

#define CONNECTIONS_MAX (2u * GSHARE_MAX_SLOTS) /* of one lease */

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

struct gshare_client {
    struct gshare_source socket;  /* readable: hello, or hang-up */
    struct gshare_source process; /* pidfd; readable: the process has ended */
    uint32_t lease;
    uint64_t serial;
    int32_t slot; /* -1: not welcomed yet */
    struct gshare_client *next;
};

/* A forked child may keep the socket open after its parent's death; the pidfd tells. */
static int process_of(int socket) {
    int fd = -1;
    socklen_t bytes = sizeof(fd);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &bytes) == 0) {
        return fd;
    }
    struct ucred peer;
    bytes = sizeof(peer);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0) {
        return -1;
    }
    return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

static struct gshare_lease *lease_of(struct gshare_server *server,
                                     const struct gshare_client *client) {
    struct gshare_lease *lease = &server->state->leases[client->lease];
    return lease->present && lease->serial == client->serial ? lease : NULL;
}

static void hang_up(struct gshare_server *server, struct gshare_client *client) {
    struct gshare_client **at = &server->clients;
    while (*at && *at != client) {
        at = &(*at)->next;
    }
    if (!*at) {
        return;
    }
    *at = client->next;
    gshare_server_drop(server, &client->socket);
    gshare_server_drop(server, &client->process);
    client->next = server->closed;
    server->closed = client;
}

static void leave(struct gshare_server *server, struct gshare_client *client) {
    pthread_mutex_lock(&server->state->lock);
    struct gshare_lease *lease = lease_of(server, client);
    if (lease) {
        lease->connections--;
        if (client->slot >= 0) {
            gshare_lease_unseat(lease, (uint32_t)client->slot);
        }
    }
    pthread_mutex_unlock(&server->state->lock);
    hang_up(server, client);
    if (client->slot >= 0) {
        gshare_state_ring(server->state);
    }
}

static int send_welcome(const struct gshare_server *server, int socket,
                        const struct gshare_welcome *welcome) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control = {.bytes = {0}};
    struct iovec part = {.iov_base = (void *)welcome, .iov_len = sizeof(*welcome)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (welcome->status == GSHARE_WELCOME_OK) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &server->state->doorbell_fd, sizeof(int));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int seat(struct gshare_server *server, struct gshare_client *client,
                const struct gshare_hello *hello) {
    if (hello->header.magic != GSHARE_MAGIC || hello->header.version != GSHARE_WIRE_VERSION) {
        return -GSHARE_WELCOME_REFUSED;
    }
    pthread_mutex_lock(&server->state->lock);
    struct gshare_lease *lease = lease_of(server, client);
    int slot = lease ? gshare_lease_seat(lease, hello->slot, hello->pid) : -GSHARE_WELCOME_REFUSED;
    pthread_mutex_unlock(&server->state->lock);
    return slot;
}

static void welcome(struct gshare_server *server, struct gshare_client *client,
                    const struct gshare_hello *hello) {
    int slot = seat(server, client, hello);
    struct gshare_welcome answer = {
        .header = {.magic = GSHARE_MAGIC, .version = GSHARE_WIRE_VERSION},
        .slot = slot < 0 ? -1 : slot,
        .status = slot < 0 ? (uint32_t)-slot : GSHARE_WELCOME_OK,
    };
    client->slot = answer.slot;
    if (send_welcome(server, client->socket.fd, &answer) < 0 || slot < 0) {
        leave(server, client);
    } else {
        gshare_state_ring(server->state); /* it may be the one that others wait for */
    }
}

/* One hello; then nothing until the hang-up. Anything else costs the sender its connection. */
static void on_socket(struct gshare_server *server, struct gshare_source *source) {
    struct gshare_client *client =
        (struct gshare_client *)((char *)source - offsetof(struct gshare_client, socket));
    struct gshare_hello hello;
    ssize_t length = recv(source->fd, &hello, sizeof(hello), MSG_TRUNC);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (length == (ssize_t)sizeof(hello) && client->slot < 0) {
        welcome(server, client, &hello);
    } else {
        leave(server, client);
    }
}

static void on_death(struct gshare_server *server, struct gshare_source *source) {
    leave(server,
          (struct gshare_client *)((char *)source - offsetof(struct gshare_client, process)));
}

static struct gshare_client *admit(struct gshare_server *server, int fd,
                                   const struct gshare_listener *listener) {
    struct gshare_client *client = calloc(1, sizeof(*client));
    if (!client) {
        return NULL;
    }
    *client = (struct gshare_client){.socket = {.ready = on_socket, .fd = fd},
                                     .process = {.ready = on_death, .fd = process_of(fd)},
                                     .lease = listener->lease,
                                     .serial = listener->serial,
                                     .slot = -1,
                                     .next = server->clients};
    server->clients = client;
    return client;
}

void gshare_clients_accept(struct gshare_server *server, struct gshare_source *source) {
    const struct gshare_listener *listener = (const struct gshare_listener *)source;
    struct gshare_lease *lease = &server->state->leases[listener->lease];
    int fd = gshare_server_accept(server, source);
    if (fd < 0) {
        return;
    }
    struct gshare_client *client =
        lease->connections < CONNECTIONS_MAX ? admit(server, fd, listener) : NULL;
    if (!client) {
        close(fd);
        return;
    }
    lease->connections++;
    if (gshare_server_watch(server, &client->socket) < 0) {
        leave(server, client);
    } else if (client->process.fd >= 0) {
        gshare_server_watch(server, &client->process); /* else the hang-up has to do */
    }
}

void gshare_clients_free(struct gshare_server *server) {
    while (server->closed) {
        struct gshare_client *next = server->closed->next;
        free(server->closed);
        server->closed = next;
    }
}

void gshare_clients_follow_leases(struct gshare_server *server) {
    struct gshare_client *next = NULL;
    for (struct gshare_client *client = server->clients; client; client = next) {
        next = client->next;
        if (!lease_of(server, client)) {
            hang_up(server, client);
        }
    }
}

void gshare_clients_close_all(struct gshare_server *server) {
    while (server->clients) {
        hang_up(server, server->clients);
    }
    gshare_clients_free(server);
}
