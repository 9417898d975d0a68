/* The files of a simulated GPU: gpu-N.state (mapped by all) and gpu-N.alive (one lock byte a
 * client; open-file-description locks, so a process's death shows across pid namespaces). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"

static int path_of(char path[PATH_MAX], const char *directory, uint32_t index, const char *suffix) {
    int length = snprintf(path, PATH_MAX, "%s/gpu-%u.%s", directory, index, suffix);
    return length > 0 && length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int open_file(const char *directory, uint32_t index, const char *suffix, int flags) {
    char path[PATH_MAX];
    int error = path_of(path, directory, index, suffix);

    if (error)
        return error;
    int fd = open(path, flags | O_RDWR | O_CLOEXEC, 0666);
    return fd < 0 ? -errno : fd;
}

static int map_state(int fd, struct sim_state **state) {
    void *mapping = mmap(NULL, sizeof **state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (mapping == MAP_FAILED)
        return -errno;
    *state = mapping;
    return 0;
}

static int init_mutex(pthread_mutex_t *mutex) {
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);

    if (error)
        return -error;
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    error = pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return -error;
}

static int init_state(struct sim_state *state, const struct sim_device *device) {
    state->device = *device;
    state->created_ns = gshare_sim_now();
    state->time_ns = state->created_ns;
    state->turn_client = SIM_NONE;
    state->version = SIM_VERSION;
    int error = init_mutex(&state->mutex);
    state->magic = error ? 0 : SIM_MAGIC;
    return error;
}

/* Makes the files of one GPU, idle and empty. Fails with -EEXIST where they exist. */
int gshare_sim_create(const char *directory, const struct sim_device *device) {
    struct sim_state *state = NULL;
    int alive = -1;
    int error = 0;
    int fd = open_file(directory, device->index, "state", O_CREAT | O_EXCL);

    if (fd < 0)
        return fd;
    if (ftruncate(fd, sizeof *state) != 0) {
        error = -errno;
        goto out;
    }
    alive = open_file(directory, device->index, "alive", O_CREAT);
    error = alive < 0 ? alive : map_state(fd, &state);
    if (error)
        goto out;
    error = init_state(state, device);
    munmap(state, sizeof *state);
out:
    if (alive >= 0)
        close(alive);
    close(fd);
    return error;
}

int gshare_sim_open(const char *directory, uint32_t index, struct sim_gpu *gpu) {
    struct stat status;
    int fd = open_file(directory, index, "state", 0);
    int error = 0;

    if (fd < 0)
        return fd;
    gpu->client = SIM_NONE;
    gpu->lock_fd = open_file(directory, index, "alive", 0);
    if (gpu->lock_fd < 0)
        error = gpu->lock_fd;
    else if (fstat(fd, &status) != 0)
        error = -errno;
    else if ((size_t)status.st_size != sizeof *gpu->state)
        error = -EPROTO;
    else
        error = map_state(fd, &gpu->state);
    close(fd);
    if (!error && (gpu->state->magic != SIM_MAGIC || gpu->state->version != SIM_VERSION)) {
        munmap(gpu->state, sizeof *gpu->state);
        error = -EPROTO;
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
