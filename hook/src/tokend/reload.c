/* The timetable file and the leases, brought in line. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "log.h"
#include "state.h"
#include "timetable.h"

#define TEXT_BYTES 65536
#define NOWHERE GSHARE_ARBITER_LEASES

static int read_text(const struct gshare_state *state, char *text) {
    int fd = openat(state->folder, "timetable", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    size_t length = 0;
    ssize_t got = 0;
    while (length < TEXT_BYTES - 1 &&
           (got = read(fd, text + length, TEXT_BYTES - 1 - length)) > 0) {
        length += (size_t)got;
    }
    int error = got < 0 ? -errno : length == TEXT_BYTES - 1 ? -EFBIG : 0;
    text[length] = '\0';
    close(fd);
    return error;
}

static uint32_t find(const struct gshare_state *state, const char *id) {
    for (uint32_t i = 0; i < GSHARE_ARBITER_LEASES; i++) {
        if (state->leases[i].present && strcmp(state->leases[i].id, id) == 0) {
            return i;
        }
    }
    return NOWHERE;
}

static bool is_named(const struct gshare_timetable *table, const char *id) {
    for (uint32_t i = 0; i < table->count; i++) {
        if (strcmp(table->entries[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

static uint32_t free_place(const struct gshare_state *state) {
    uint32_t place = 0;
    while (place < NOWHERE && state->leases[place].present) {
        place++;
    }
    return place;
}

static void end_lease(struct gshare_state *state, uint32_t place) {
    struct gshare_lease *lease = &state->leases[place];
    gshare_log("event=lease-ended lease=%s", lease->id);
    lease->leaving = true;
    gshare_lease_unlisten(lease);
    gshare_arbiter_remove(state->arbiter, place, gshare_clock_ns());
}

static void end_unnamed(struct gshare_state *state, const struct gshare_timetable *table) {
    for (uint32_t i = 0; i < GSHARE_ARBITER_LEASES; i++) {
        const struct gshare_lease *lease = &state->leases[i];
        if (lease->present && !lease->leaving && !is_named(table, lease->id)) {
            end_lease(state, i);
        }
    }
}

/* A folder that was made anew is another lease, though it has the same name. */
static void end_replaced(struct gshare_state *state) {
    pthread_mutex_lock(&state->lock);
    for (uint32_t i = 0; i < GSHARE_ARBITER_LEASES; i++) {
        const struct gshare_lease *lease = &state->leases[i];
        struct stat ours;
        struct stat named;
        if (lease->present && !lease->leaving && fstat(lease->folder, &ours) == 0 &&
            fstatat(state->leases_folder, lease->id, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
            ours.st_ino != named.st_ino) {
            end_lease(state, i);
        }
    }
    pthread_mutex_unlock(&state->lock);
    gshare_state_ring(state);
}

/* Where a lease that is new was opened; NOWHERE, and why, where it could not be. */
static uint32_t open_lease(struct gshare_state *state, const char *id, int *error) {
    static uint64_t serial; /* server thread only */
    struct gshare_lease lease;
    uint32_t place = free_place(state);
    if (place == NOWHERE) {
        *error = -ENOSPC;
        return NOWHERE;
    }
    *error = gshare_lease_open(&lease, state->leases_folder, id, gshare_clock_ns());
    if (*error) {
        return NOWHERE;
    }
    lease.forgotten = true; /* until the arbiter knows it */
    lease.serial = ++serial;
    pthread_mutex_lock(&state->lock);
    state->leases[place] = lease;
    state->count = place >= state->count ? place + 1 : state->count;
    pthread_mutex_unlock(&state->lock);
    return place;
}

/* Opens the leases that are new, outside the lock: an entry is unseen by the token thread until it
 * is forgotten no more. Returns the last error, and whose it is. */
static int open_new(struct gshare_state *state, const struct gshare_timetable *table,
                    uint32_t *places, const char **id) {
    int error = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        int failed = 0;
        places[i] = NOWHERE;
        uint32_t known = find(state, table->entries[i].id);
        if (known == NOWHERE) {
            places[i] = open_lease(state, table->entries[i].id, &failed);
        } else if (state->leases[known].leaving) {
            failed = -EBUSY; /* its predecessor of the same name still drains */
        }
        if (failed) {
            error = failed;
            *id = table->entries[i].id;
        }
    }
    return error;
}

static void take_up(struct gshare_state *state, struct gshare_lease *lease, uint64_t now) {
    gshare_log("event=lease-made lease=%s", lease->id);
    lease->forgotten = false;
    if (!gshare_lease_is_quiet(lease)) {
        state->quiet_until = now + state->settings.drain_timeout_ns;
    }
    if (gshare_lease_has_absent(lease)) {
        state->absent_until = now + state->settings.window_ns;
    }
}

static void apply(struct gshare_state *state, const struct gshare_timetable *table,
                  const uint32_t *places) {
    pthread_mutex_lock(&state->lock);
    uint64_t now = gshare_clock_ns();
    end_unnamed(state, table);
    for (uint32_t i = 0; i < table->count; i++) {
        uint32_t place = places[i];
        if (place == NOWHERE) {
            place = find(state, table->entries[i].id);
        } else {
            take_up(state, &state->leases[place], now);
        }
        if (place != NOWHERE) {
            gshare_arbiter_put(state->arbiter, place, &table->entries[i].shape, now);
        }
    }
    pthread_mutex_unlock(&state->lock);
    gshare_state_ring(state);
}

/* A lease may come back while its predecessor of the same name still drains. */
static void await_leavers(struct gshare_state *state, const struct gshare_timetable *table) {
    uint64_t limit = gshare_clock_ns() + 2 * state->settings.drain_timeout_ns;
    for (uint32_t i = 0; i < table->count; i++) {
        uint32_t place = find(state, table->entries[i].id);
        while (place != NOWHERE && state->leases[place].leaving && gshare_clock_ns() < limit) {
            gshare_state_reap(state);
            place = find(state, table->entries[i].id);
            usleep(1000);
        }
    }
}

struct gshare_file_mark gshare_timetable_mark(const struct gshare_state *state) {
    struct gshare_file_mark mark;
    struct stat status;
    memset(&mark, 0, sizeof(mark));
    if (fstatat(state->folder, "timetable", &status, 0) == 0) {
        mark.inode = status.st_ino;
        mark.size = status.st_size;
        mark.seconds = status.st_mtim.tv_sec;
        mark.nanoseconds = status.st_mtim.tv_nsec;
    }
    return mark;
}

bool gshare_reload(struct gshare_state *state, char *reply, size_t bytes) {
    static char text[TEXT_BYTES];         /* server thread only */
    static struct gshare_timetable table; /* server thread only */
    uint32_t places[GSHARE_ARBITER_LEASES];
    uint32_t line = 0;
    const char *id = "";
    int error = read_text(state, text);
    if (error) {
        snprintf(reply, bytes, "error timetable: %s", strerror(-error));
        return false;
    }
    const char *problem = gshare_timetable_parse(text, &table, &line);
    if (problem) {
        snprintf(reply, bytes, "error timetable line %u: %s", line, problem);
        return false;
    }
    end_replaced(state);
    await_leavers(state, &table);
    error = open_new(state, &table, places, &id);
    apply(state, &table, places);
    if (error) {
        snprintf(reply, bytes, "error lease %s: %s", id, strerror(-error));
        return false;
    }
    snprintf(reply, bytes, "ok leases=%u", table.count);
    return true;
}
