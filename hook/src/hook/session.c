#include "hook/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "hook/account.h"
#include "hook/limits.h"
#include "hook/os.h"

#define LIMITS_TRIES 50
#define LIMITS_NAP_US 200
#define WELCOME_WAIT_MS 500 /* a daemon that accepts but does not answer counts as away */

struct gshare_session gshare_session = {
    .slot = &gshare_session.own_slot, .socket = -1, .directory = -1, .slot_index = -1};

static bool is_ours(const struct gshare_header *header) {
    return header->magic == GSHARE_MAGIC && header->version == GSHARE_WIRE_VERSION;
}

/* Maps `bytes` of a page, at `place` where one is given: readers of an earlier mapping go on. */
static void *map(int file, size_t bytes, int protection, void *place) {
    int flags = MAP_SHARED | (place ? MAP_FIXED : 0);
    void *at = mmap(place, bytes, protection, flags, file, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void *reserve(size_t bytes) {
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* Opens and maps one page of the lease; refuses a short file, whose tail would fault. */
static int map_named(const char *name, size_t bytes, bool writable, void **place) {
    int file = openat(gshare_session.directory, name, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (file < 0)
        return -errno;
    int error = 0;
    off_t size = lseek(file, 0, SEEK_END);
    if (size < 0 || (size_t)size < bytes)
        error = -EBADMSG;
    void *at = error ? NULL : map(file, bytes, PROT_READ | (writable ? PROT_WRITE : 0), *place);
    if (!error && !at)
        error = -errno;
    if (!error && !is_ours(at))
        error = -EBADMSG;
    if (at)
        *place = at;
    close(file);
    return error;
}

/* A page that is being written is whole in a moment. */
static int read_limits(void) {
    int error = -EAGAIN;
    for (int tries = 0; error == -EAGAIN && tries < LIMITS_TRIES; tries++) {
        if (tries > 0)
            usleep(LIMITS_NAP_US);
        error = gshare_limits_read(gshare_session.directory);
    }
    return error == -EAGAIN ? -EBADMSG : error;
}

int gshare_session_open(const char *directory) {
    struct gshare_session *s = &gshare_session;
    s->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->directory < 0)
        return -errno;
    int error = read_limits();
    if (error)
        return error;
    s->grant_page = reserve(sizeof *s->grant_page);
    s->counters = reserve(sizeof *s->counters);
    s->doorbell = reserve(sizeof *s->doorbell);
    if (!s->grant_page || !s->counters || !s->doorbell)
        return -ENOMEM;
    gshare_session_connect(); /* a daemon that is away is met again by the watcher */
    return 0;
}

/* Connects to token.sock through the folder's descriptor: its path may exceed sun_path. */
static int dial(void) {
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct timeval limit = {.tv_usec = WELCOME_WAIT_MS * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/token.sock",
             gshare_session.directory);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

/* Sends the hello and reads the welcome; *doorbell is the descriptor that came with it, or -1. */
static int greet(int fd, int32_t slot, struct gshare_welcome *welcome, int *doorbell) {
    struct gshare_hello hello = {
        .header = {GSHARE_MAGIC, GSHARE_WIRE_VERSION}, .slot = slot, .pid = (uint32_t)getpid()};
    *doorbell = -1;
    if (send(fd, &hello, sizeof hello, MSG_NOSIGNAL) != (ssize_t)sizeof hello)
        return -errno;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {.iov_base = welcome, .iov_len = sizeof *welcome};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0)
        return -errno;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
        memcpy(doorbell, CMSG_DATA(head), sizeof *doorbell);
    bool whole = got == (ssize_t)sizeof *welcome && is_ours(&welcome->header);
    return whole ? 0 : -EPROTO;
}

/* Takes over the pages and the slot that the welcome names. */
static int settle(const struct gshare_welcome *welcome, int doorbell) {
    struct gshare_session *s = &gshare_session;
    if (welcome->status != GSHARE_WELCOME_OK)
        return welcome->status == GSHARE_WELCOME_FULL ? -EUSERS : -EPERM;
    if (welcome->slot < 0 || welcome->slot >= GSHARE_MAX_SLOTS || doorbell < 0)
        return -EPROTO;
    void *grant = s->grant_page, *counters = s->counters;
    int error = map_named("grant", sizeof *s->grant_page, false, &grant);
    if (!error)
        error = map_named("counters", sizeof *s->counters, true, &counters);
    if (!error && !map(doorbell, sizeof *s->doorbell, PROT_READ | PROT_WRITE, s->doorbell))
        error = -errno;
    if (error)
        return error;
    s->slot_index = welcome->slot;
    gshare_account_move(&s->counters->slots[welcome->slot]);
    return 0;
}

int gshare_session_connect(void) {
    struct gshare_welcome welcome = {.status = GSHARE_WELCOME_REFUSED};
    int doorbell;
    int fd = dial();
    if (fd < 0)
        return fd;
    int error = greet(fd, gshare_session.slot_index, &welcome, &doorbell);
    if (!error)
        error = settle(&welcome, doorbell);
    if (doorbell >= 0)
        close(doorbell);
    if (error) {
        close(fd);
        if (error == -EPERM)
            gshare_session.slot_index = -1; /* the kept slot is gone: ask for any */
        return error;
    }
    gshare_session.socket = fd;
    atomic_store(&gshare_session.is_connected, true);
    return 0;
}

bool gshare_session_is_lost(void) {
    struct pollfd watched = {.fd = gshare_session.socket, .events = POLLIN};
    return poll(&watched, 1, 0) > 0;
}

void gshare_session_drop(void) {
    if (gshare_session.socket >= 0)
        close(gshare_session.socket);
    gshare_session.socket = -1;
    atomic_store(&gshare_session.is_connected, false);
}

void gshare_session_forget(void) {
    struct gshare_session *s = &gshare_session;
    gshare_session_drop();
    if (s->directory >= 0)
        close(s->directory);
    if (s->grant_page)
        munmap(s->grant_page, sizeof *s->grant_page);
    if (s->counters)
        munmap(s->counters, sizeof *s->counters);
    if (s->doorbell)
        munmap(s->doorbell, sizeof *s->doorbell);
    gshare_limits_forget();
    *s = (struct gshare_session){.socket = -1, .directory = -1, .slot_index = -1};
    atomic_store(&s->slot, &s->own_slot);
}

void gshare_session_ring(void) {
    if (!atomic_load(&gshare_session.is_connected))
        return;
    atomic_fetch_add(&gshare_session.doorbell->rings, 1);
    gshare_futex_wake_all(&gshare_session.doorbell->rings);
}

uint64_t gshare_session_memory_bytes(void) {
    const struct gshare_session *s = &gshare_session;
    const struct gshare_slot *own = gshare_session_slot();
    uint64_t total = own == &s->own_slot ? atomic_load(&own->memory_bytes) : 0;
    uint32_t count = atomic_load(&s->counters->slot_high_water);
    for (uint32_t i = 0; i < count && i < GSHARE_MAX_SLOTS; i++) {
        uint64_t held = atomic_load(&s->counters->slots[i].memory_bytes);
        total = total + held < total ? UINT64_MAX : total + held;
    }
    return total;
}
