/* The server thread: one epoll over signals, the control socket and the leases' sockets. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients.h"
#include "common/clock.h"
#include "listener.h"
#include "log.h"
#include "server.h"
#include "watch.h"

#define LOOK_MS 100 /* how soon a changed timetable is seen without `reload` */
#define EVENTS 64
#define REQUEST_BYTES 64
#define REPLY_BYTES 131072 /* 128 leases, all counters at their longest */

int gshare_server_watch(struct gshare_server *server, struct gshare_source *source) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    return epoll_ctl(server->epoll, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

void gshare_server_drop(struct gshare_server *server, struct gshare_source *source) {
    if (source->fd >= 0) {
        epoll_ctl(server->epoll, EPOLL_CTL_DEL, source->fd, NULL);
        close(source->fd);
        source->fd = -1;
    }
}

static void on_signal(struct gshare_server *server, struct gshare_source *source) {
    struct signalfd_siginfo signal;
    if (read(source->fd, &signal, sizeof(signal)) == (ssize_t)sizeof(signal)) {
        server->stops = true;
    }
}

static void on_request(struct gshare_server *server, struct gshare_source *source) {
    static char reply[REPLY_BYTES]; /* server thread only */
    char request[REQUEST_BYTES];
    ssize_t length = recv(source->fd, request, sizeof(request) - 1, MSG_TRUNC);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (length <= 0 || (size_t)length >= sizeof(request)) {
        gshare_server_drop(server, source);
        return;
    }
    request[length] = '\0';
    gshare_control(server->state, request, reply, sizeof(reply));
    gshare_server_follow_leases(server);
    if (send(source->fd, reply, strlen(reply), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        gshare_server_drop(server, source);
    }
}

/* Without a descriptor left a connection would stay, and be told of, for ever: it is taken with a
 * descriptor kept for that, and closed. */
int gshare_server_accept(struct gshare_server *server, const struct gshare_source *source) {
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && server->spare >= 0) {
        close(server->spare);
        fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            close(fd);
        }
        server->spare = open("/", O_PATH | O_CLOEXEC);
        return -1;
    }
    return fd;
}

/* As many at once as there are places; each takes the place of the one that came first. */
static void on_control(struct gshare_server *server, struct gshare_source *source) {
    int fd = gshare_server_accept(server, source);
    if (fd < 0) {
        return;
    }
    struct gshare_source *place = &server->controllers[server->controls++ % GSHARE_CONTROLLERS];
    gshare_server_drop(server, place);
    *place = (struct gshare_source){.ready = on_request, .fd = fd};
    if (gshare_server_watch(server, place) < 0) {
        gshare_server_drop(server, place);
    }
}

/* Listeners come and go with the leases. */
void gshare_server_follow_leases(struct gshare_server *server) {
    gshare_state_reap(server->state);
    for (uint32_t i = 0; i < GSHARE_ARBITER_LEASES; i++) {
        struct gshare_source *source = &server->listeners[i].source;
        int fd = server->state->leases[i].listener;
        if (source->fd == fd && server->listeners[i].serial == server->state->leases[i].serial) {
            continue;
        }
        *source = (struct gshare_source){.ready = gshare_clients_accept, .fd = fd};
        server->listeners[i].lease = i;
        server->listeners[i].serial = server->state->leases[i].serial;
        if (fd >= 0 && gshare_server_watch(server, source) < 0) {
            gshare_log("event=watch-failed lease=%s", server->state->leases[i].id);
        }
    }
    gshare_clients_follow_leases(server);
}

static int start(struct gshare_server *server) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    gshare_watch_start(server);
    gshare_watch_look(server); /* who reaches the control socket finds the leases made */
    int control = gshare_listen(server->state->folder, "control.sock");
    if (server->epoll < 0 || signal_fd < 0 || control < 0) {
        return control < 0 ? control : -EMFILE;
    }
    server->signals = (struct gshare_source){.ready = on_signal, .fd = signal_fd};
    server->control = (struct gshare_source){.ready = on_control, .fd = control};
    int error = gshare_server_watch(server, &server->signals);
    return error ? error : gshare_server_watch(server, &server->control);
}

static void sweep_once(struct gshare_server *server) {
    if (server->sweep_at == 0 || gshare_clock_ns() < server->sweep_at) {
        return;
    }
    server->sweep_at = 0;
    pthread_mutex_lock(&server->state->lock);
    for (uint32_t i = 0; i < GSHARE_ARBITER_LEASES; i++) {
        if (server->state->leases[i].present) {
            gshare_lease_sweep(&server->state->leases[i]);
        }
    }
    pthread_mutex_unlock(&server->state->lock);
    gshare_state_ring(server->state);
}

static void serve(struct gshare_server *server) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(server->epoll, events, EVENTS, LOOK_MS);
    for (int i = 0; i < count; i++) {
        struct gshare_source *source = events[i].data.ptr;
        if (source->fd >= 0) { /* not dropped by an earlier event of this batch */
            source->ready(server, source);
        }
    }
    gshare_clients_free(server);
    gshare_watch_look(server);
    sweep_once(server);
    gshare_server_follow_leases(server);
}

static void finish(struct gshare_server *server) {
    gshare_clients_close_all(server);
    for (uint32_t i = 0; i < GSHARE_CONTROLLERS; i++) {
        gshare_server_drop(server, &server->controllers[i]);
    }
    gshare_server_drop(server, &server->signals);
    gshare_server_drop(server, &server->changes);
    gshare_server_drop(server, &server->control);
    unlinkat(server->state->folder, "control.sock", 0);
    close(server->epoll);
    close(server->spare);
}

int gshare_server_run(struct gshare_state *state) {
    struct gshare_server *server = calloc(1, sizeof(*server));
    if (!server) {
        return -ENOMEM;
    }
    server->state = state;
    server->spare = open("/", O_PATH | O_CLOEXEC);
    server->sweep_at = gshare_clock_ns() + state->settings.reconnect_ns;
    server->signals.fd = server->control.fd = server->changes.fd = -1;
    for (uint32_t i = 0; i < GSHARE_CONTROLLERS; i++) {
        server->controllers[i].fd = -1;
    }
    for (uint32_t i = 0; i < GSHARE_ARBITER_LEASES; i++) {
        server->listeners[i].source.fd = -1;
    }
    int error = start(server);
    while (!error && !server->stops) {
        serve(server);
    }
    finish(server);
    free(server);
    return error;
}
