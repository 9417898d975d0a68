/* Writes what the fuzzers start from: seeds FOLDER. Made from wire.h, so they age with it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gshare/wire.h"

static void save(const char *target, const char *name, const void *bytes, size_t count) {
    char path[64];
    mkdir(target, 0755);
    snprintf(path, sizeof(path), "%s/%s", target, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, bytes, count) != (ssize_t)count || close(fd) < 0) {
        perror(path);
        exit(1);
    }
}

static void save_text(const char *target, const char *name, const char *text) {
    save(target, name, text, strlen(text));
}

static void save_timetables(void) {
    save_text("timetable", "empty", "gshare-timetable 1\n");
    save_text("timetable", "one",
              "gshare-timetable 1\n"
              "lease a sm=60 request=40 limit=40 slices=0+40\n");
    save_text("timetable", "two",
              "gshare-timetable 1\n\n"
              "lease a-1 sm=12 request=40 limit=100 slices=0+30,60+10\n"
              "lease b sm=100 request=30 limit=30 slices=30+30\n");
}

static void save_requests(void) {
    save_text("control", "ping", "ping");
    save_text("control", "stats", "stats");
    save_text("control", "reload", "reload");
}

static void save_limits(void) {
    struct gshare_limits limits = {
        .header = {.magic = GSHARE_MAGIC, .version = GSHARE_WIRE_VERSION},
        .sm_percent = 50,
        .quota_request_percent = 40,
        .quota_limit_percent = 60,
        .window_us = 40000,
        .launch_depth = 2,
        .queue_budget_us = 500,
        .slice_count = 2,
        .memory_limit_bytes = 1u << 30,
        .slices = {{.start_percent = 0, .width_percent = 30}, {60, 10}},
        .lease_id = "a",
        .gpu_uuid = "GPU-0",
    };
    save("limits", "whole", &limits, sizeof(limits));
    save("limits", "short", &limits, sizeof(limits) / 2);
    limits.sequence = 1;
    save("limits", "torn", &limits, sizeof(limits));
}

static void save_clients(void) {
    const struct gshare_hello hello = {
        .header = {.magic = GSHARE_MAGIC, .version = GSHARE_WIRE_VERSION}, .slot = -1, .pid = 7};
    const unsigned char honest[] = {0, 0xff, 7, 6, 0, 0, 1, 7, 99, 6, 0, 0, 0, 7, 99, 3};
    const unsigned char noise[] = {0, 0xff, 7, 4, 0, 32, 8, 1, 2, 3, 4, 5, 6, 7, 8, 7, 50, 8, 0, 7};
    unsigned char raw[2 + sizeof(hello)] = {2, sizeof(hello)};
    memcpy(raw + 2, &hello, sizeof(hello));
    save("client", "honest", honest, sizeof(honest));
    save("client", "noise", noise, sizeof(noise));
    save("client", "raw", raw, sizeof(raw));
}

int main(int count, char **words) {
    if (count != 2 || (mkdir(words[1], 0755) < 0 && access(words[1], W_OK) < 0) ||
        chdir(words[1]) < 0) {
        fprintf(stderr, "usage: seeds FOLDER\n");
        return 2;
    }
    save_timetables();
    save_requests();
    save_limits();
    save_clients();
    return 0;
}
