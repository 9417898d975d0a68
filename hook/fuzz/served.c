#include "served.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tokend/state.h"

#define WINDOW_NS 2000000u

static const char *const IDS[GSHARE_SERVED_LEASES] = {"a", "b"};
static const char TIMETABLE[] = "gshare-timetable 1\n"
                                "lease a sm=60 request=40 limit=60 slices=0+40\n"
                                "lease b sm=60 request=50 limit=100 slices=40+30,80+20\n";

static struct gshare_state state;
static struct gshare_served served;

static void must(int good, const char *what) {
    if (!good) {
        perror(what);
        abort();
    }
}

static void path_in(char *path, size_t bytes, const char *format, const char *name) {
    int length = snprintf(path, bytes, format, served.folder, name);
    must(length > 0 && (size_t)length < bytes, "path");
}

static void write_timetable(void) {
    char path[128];
    path_in(path, sizeof(path), "%s/%s", "timetable");
    FILE *file = fopen(path, "w");
    must(file && fputs(TIMETABLE, file) >= 0 && fclose(file) == 0, "timetable");
}

static void make_folder(void) {
    char path[128];
    snprintf(served.folder, sizeof(served.folder), "served-XXXXXX");
    must(mkdtemp(served.folder) != NULL, "mkdtemp");
    path_in(path, sizeof(path), "%s/%s", "leases");
    must(mkdir(path, 0700) == 0, "mkdir");
    for (unsigned i = 0; i < GSHARE_SERVED_LEASES; i++) {
        path_in(path, sizeof(path), "%s/leases/%s", IDS[i]);
        must(mkdir(path, 0700) == 0, "mkdir");
    }
    write_timetable();
}

static void remove_folder(void) {
    char command[128];
    path_in(command, sizeof(command), "rm -rf %s%s", "");
    must(system(command) == 0, "rm");
}

static void *serve(void *unused) {
    (void)unused;
    must(gshare_server_run(&state) == 0, "server");
    return NULL;
}

static int dial(const char *format, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval second = {.tv_sec = 1};
    path_in(address.sun_path, sizeof(address.sun_path), format, name);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    must(fd >= 0, "socket");
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) == 0, "timeout");
    for (unsigned tries = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)); tries++) {
        must(tries < 1000, "connect");
        usleep(1000);
    }
    return fd;
}

static void map_counters(unsigned lease) {
    char path[128];
    path_in(path, sizeof(path), "%s/leases/%s/counters", IDS[lease]);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    must(fd >= 0, "counters");
    void *page =
        mmap(NULL, sizeof(struct gshare_counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(page != MAP_FAILED, "mmap");
    close(fd);
    served.counters[lease] = page;
}

static void start(void) {
    const struct gshare_settings settings = {.folder = served.folder,
                                             .window_ns = WINDOW_NS,
                                             .drain_timeout_ns = WINDOW_NS,
                                             .reconnect_ns = WINDOW_NS};
    pthread_t threads[2];
    make_folder();
    atexit(remove_folder);
    must(gshare_state_init(&state, &settings) == 0, "state");
    must(pthread_create(&threads[0], NULL, gshare_tokens_run, &state) == 0, "thread");
    must(pthread_create(&threads[1], NULL, serve, NULL) == 0, "thread");
    close(gshare_served_dial_control()); /* it listens once the leases are made */
    for (unsigned i = 0; i < GSHARE_SERVED_LEASES; i++) {
        map_counters(i);
    }
}

struct gshare_served *gshare_served(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
    return &served;
}

int gshare_served_dial_control(void) {
    return dial("%s/%s", "control.sock");
}

int gshare_served_dial_lease(unsigned lease) {
    return dial("%s/leases/%s/token.sock", IDS[lease % GSHARE_SERVED_LEASES]);
}

ssize_t gshare_served_receive(int fd, char *answer, size_t bytes) {
    ssize_t got = 0;
    do {
        got = recv(fd, answer, bytes, 0);
    } while (got < 0 && errno == EINTR);
    return got;
}

void gshare_served_ring(void) {
    gshare_state_ring(&state);
}

void gshare_served_check(void) {
    char answer[4096] = "";
    unsigned max = 101;
    int fd = gshare_served_dial_control();
    must(send(fd, "stats", 5, MSG_NOSIGNAL) == 5, "send");
    must(gshare_served_receive(fd, answer, sizeof(answer) - 1) > 0, "the daemon does not answer");
    const char *found = strstr(answer, "max_concurrent_sm_percent=");
    must(found && sscanf(found, "max_concurrent_sm_percent=%u", &max) == 1, answer);
    must(max <= 100, answer);
    close(fd);
}
