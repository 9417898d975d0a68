/* The server thread's own state; no other thread sees it. */
#ifndef GSHARE_TOKEND_SERVER_H
#define GSHARE_TOKEND_SERVER_H

#include "state.h"

#define GSHARE_CONTROLLERS 16

struct gshare_server;
struct gshare_client;

/* Something that epoll watches. */
struct gshare_source {
    void (*ready)(struct gshare_server *server, struct gshare_source *source);
    int fd; /* -1: none */
};

struct gshare_listener {
    struct gshare_source source; /* first: it is found from its source */
    uint32_t lease;
    uint64_t serial;
};

struct gshare_server {
    struct gshare_state *state;
    int epoll;
    bool stops;
    uint64_t sweep_at;            /* when processes of an earlier daemon count as gone; 0: done */
    struct gshare_file_mark mark; /* of the timetable that was read last */
    uint64_t retry_at;            /* when it is read again all the same; 0: never */
    char problem[256];            /* of it, as was logged last */
    int spare;                    /* descriptor to be used where no other is left */
    struct gshare_source signals;
    struct gshare_source control;
    struct gshare_source changes; /* of the timetable */
    struct gshare_source controllers[GSHARE_CONTROLLERS];
    uint32_t controls; /* accepted so far */
    struct gshare_listener listeners[GSHARE_ARBITER_LEASES];
    struct gshare_client *clients; /* connected */
    struct gshare_client *closed;  /* to be freed after this batch of events */
};

int gshare_server_watch(struct gshare_server *server, struct gshare_source *source);
void gshare_server_drop(struct gshare_server *server, struct gshare_source *source);
/* One connection of a listening source, or a negative number. */
int gshare_server_accept(struct gshare_server *server, const struct gshare_source *source);
void gshare_server_follow_leases(struct gshare_server *server);

#endif
