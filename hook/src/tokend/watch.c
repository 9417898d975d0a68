#include "watch.h"

#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/clock.h"
#include "log.h"

#define RETRY_NS 100000000u /* after a lease could not be opened */
#define EVENT_BYTES 4096

/* What has changed is seen by the look that follows each batch of events. */
static void on_change(struct gshare_server *server, struct gshare_source *source) {
    char events[EVENT_BYTES];
    (void)server;
    while (read(source->fd, events, sizeof(events)) > 0) {
    }
}

void gshare_watch_start(struct gshare_server *server) {
    char folder[32];
    snprintf(folder, sizeof(folder), "/proc/self/fd/%d", server->state->folder);
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) {
        return;
    }
    server->changes = (struct gshare_source){.ready = on_change, .fd = fd};
    if (inotify_add_watch(fd, folder, IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR) < 0 ||
        gshare_server_watch(server, &server->changes) < 0) {
        gshare_server_drop(server, &server->changes);
    }
}

/* A problem that lasts is logged once. */
static void note(struct gshare_server *server, const char *problem) {
    if (strcmp(server->problem, problem) != 0) {
        snprintf(server->problem, sizeof(server->problem), "%s", problem);
        gshare_log("event=reload-failed reason=\"%s\"", problem);
    }
}

void gshare_watch_look(struct gshare_server *server) {
    char reply[sizeof(server->problem)];
    struct gshare_file_mark mark = gshare_timetable_mark(server->state);
    uint64_t now = gshare_clock_ns();
    bool is_due = server->retry_at && now >= server->retry_at;
    if (memcmp(&mark, &server->mark, sizeof(mark)) == 0 && !is_due) {
        return;
    }
    server->mark = mark;
    server->retry_at = 0;
    if (gshare_reload(server->state, reply, sizeof(reply))) {
        server->problem[0] = '\0';
    } else {
        server->retry_at = now + RETRY_NS;
        note(server, reply);
    }
    gshare_server_follow_leases(server);
}
