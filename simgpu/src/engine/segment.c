/* The files of a simulated GPU: gpu-N.state (mapped by all) and gpu-N.alive (see alive.c). Whoever
 * makes them, every user may use them, as it may use the device files of a real GPU. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"

enum { FOR_ALL = 0666 };

static int path_of(char path[PATH_MAX], const char *directory, uint32_t index, const char *suffix) {
    int length = snprintf(path, PATH_MAX, "%s/gpu-%u.%s", directory, index, suffix);
    return length > 0 && length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int open_file(const char *directory, uint32_t index, const char *suffix, int flags) {
    char path[PATH_MAX];
    int error = path_of(path, directory, index, suffix);

    if (error)
        return error;
    int fd = open(path, flags | O_RDWR | O_CLOEXEC, FOR_ALL);
    return fd < 0 ? -errno : fd;
}

static int map_state(int fd, struct sim_state **state) {
    void *mapping = mmap(NULL, sizeof **state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (mapping == MAP_FAILED)
        return -errno;
    *state = mapping;
    return 0;
}

static void init_state(struct sim_state *state, const struct sim_device *device) {
    state->device = *device;
    state->created_ns = gshare_sim_now();
    state->time_ns = state->created_ns;
    state->turn_client = SIM_NONE;
    state->version = SIM_VERSION;
    state->magic = SIM_MAGIC;
}

/* Makes the files of one GPU, idle and empty. Fails with -EEXIST where they exist. */
int gshare_sim_create(const char *directory, const struct sim_device *device) {
    struct sim_state *state = NULL;
    int alive = -1;
    int error = 0;
    int fd = open_file(directory, device->index, "state", O_CREAT | O_EXCL);

    if (fd < 0)
        return fd;
    if (fchmod(fd, FOR_ALL) != 0 || ftruncate(fd, sizeof *state) != 0) {
        error = -errno;
        goto out;
    }
    alive = open_file(directory, device->index, "alive", O_CREAT);
    error = alive < 0 ? alive : map_state(fd, &state);
    if (!error && fchmod(alive, FOR_ALL) != 0)
        error = -errno;
    if (error)
        goto out;
    init_state(state, device);
    munmap(state, sizeof *state);
out:
    if (alive >= 0)
        close(alive);
    close(fd);
    return error;
}

int gshare_sim_open(const char *directory, uint32_t index, struct sim_gpu *gpu) {
    int fd = open_file(directory, index, "state", 0);
    int error = 0;

    if (fd < 0)
        return fd;
    gpu->client = SIM_NONE;
    gpu->lock_fd = open_file(directory, index, "alive", 0);
    if (gpu->lock_fd < 0)
        error = gpu->lock_fd;
    else if (lseek(fd, 0, SEEK_END) != (off_t)sizeof *gpu->state)
        error = -EPROTO;
    else
        error = map_state(fd, &gpu->state);
    close(fd);
    if (!error) {
        bool is_ours = gpu->state->magic == SIM_MAGIC && gpu->state->version == SIM_VERSION;
        error = is_ours ? gshare_sim_visit(gpu) : -EPROTO;
        if (error)
            munmap(gpu->state, sizeof *gpu->state);
    }
    if (error && gpu->lock_fd >= 0)
        close(gpu->lock_fd);
    return error;
}

void gshare_sim_forget(struct sim_gpu *gpu) {
    close(gpu->lock_fd);
    gpu->lock_fd = -1;
    gpu->client = SIM_NONE;
}
