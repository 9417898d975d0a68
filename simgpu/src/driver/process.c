/* What a process learns once: which simulated GPUs it sees, and its share of their SMs.
 *
 * GSHARE_SIMGPU_DIR must be set, so that the simulated driver is never used by accident.
 * CUDA_VISIBLE_DEVICES and CUDA_MPS_ACTIVE_THREAD_PERCENTAGE mean what they mean to the real one.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"

/* Written by load(), under pthread_once; constant afterwards, but for the boards' own members. */
static struct sim_board boards[SIM_MAX_GPUS];
static int board_count;
static CUresult load_result = CUDA_ERROR_NOT_INITIALIZED;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static _Atomic int is_initialised;
static _Atomic int is_forked; /* set in a child of fork: the parent's contexts are not ours */

static void after_fork_in_child(void) {
    for (int i = 0; i < board_count; i++)
        gshare_sim_forget(&boards[i].gpu);
    is_forked = 1;
}

/* Whole SMs, rounded down, at least one. Anything unusable means no limit. */
static uint32_t capped_sms(const struct sim_device *device) {
    const char *text = getenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE");
    char *end = NULL;
    double percent = text ? strtod(text, &end) : 100;

    if (!device->mps || end == text || !(percent > 0 && percent < 100))
        return device->sm_count;
    double sms = floor(percent * device->sm_count / 100 + 1e-9);
    return sms < 1 ? 1 : (uint32_t)sms;
}

/* CUDA_MPS_PINNED_DEVICE_MEM_LIMIT is a list like "0=1G,1=512M", by the process's ordinals. */
static uint64_t memory_limit(int ordinal) {
    const char *at = getenv("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT");
    char *end = NULL;

    for (; at && *at; at = end + strspn(end, ",")) {
        bool is_ours = strtol(at, &end, 10) == ordinal;
        if (*end != '=')
            break;
        uint64_t bytes = strtoull(end + 1, &end, 10);
        bytes <<= *end == 'G' ? 30 : *end == 'M' ? 20 : *end == 'K' ? 10 : 0;
        if (is_ours)
            return bytes;
        end += strcspn(end, ",");
    }
    return UINT64_MAX;
}

/* Recursive: closing a context closes its streams. */
static void init_lock(pthread_mutex_t *lock) {
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static int open_board(const char *directory, const struct sim_device *device) {
    struct sim_board *board = &boards[board_count];
    int error = gshare_sim_open(directory, device->index, &board->gpu);

    if (error)
        return error;
    const struct sim_device *own = &board->gpu.state->device;
    board->cap_sms = capped_sms(own);
    board->memory_limit_bytes = own->mps ? memory_limit(board_count) : UINT64_MAX;
    init_lock(&board->lock);
    board_count++;
    return 0;
}

/* An entry of CUDA_VISIBLE_DEVICES: an index, or a UUID or the beginning of one. */
static const struct sim_device *find_device(const struct sim_device *devices, int count,
                                            const char *entry) {
    char *end = NULL;
    long index = strtol(entry, &end, 10);

    if (end != entry && *end == '\0')
        return index >= 0 && index < count ? &devices[index] : NULL;
    for (int i = 0; i < count; i++)
        if (*entry && strncmp(devices[i].uuid, entry, strlen(entry)) == 0)
            return &devices[i];
    return NULL;
}

/* Opens what is visible, in the order of the list, up to the first entry that names no GPU. */
static int open_visible(const char *directory, const struct sim_device *devices, int count) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    char list[1024];
    char *rest = NULL;
    int error = 0;

    if (!visible) {
        for (int i = 0; i < count && !error; i++)
            error = open_board(directory, &devices[i]);
        return error;
    }
    snprintf(list, sizeof list, "%s", visible);
    for (char *entry = strtok_r(list, ", ", &rest); entry; entry = strtok_r(NULL, ", ", &rest)) {
        const struct sim_device *device = find_device(devices, count, entry);
        if (!device || board_count == SIM_MAX_GPUS)
            break;
        error = open_board(directory, device);
        if (error)
            break;
    }
    return error;
}

static void announce(const char *directory) {
    char line[512];
    const struct sim_device *device = &boards[0].gpu.state->device;
    int length = snprintf(line, sizeof line, "gshare: simulated GPU (%d x %s, time scale %u, %s)\n",
                          board_count, device->name, device->time_scale, directory);

    if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0)
        return;
}

static void load(void) {
    static struct sim_device devices[SIM_MAX_GPUS];
    const char *directory = getenv("GSHARE_SIMGPU_DIR");
    int count = directory ? gshare_sim_topology(directory, devices) : -ENOENT;

    load_result = CUDA_ERROR_NO_DEVICE;
    if (count <= 0 || open_visible(directory, devices, count) != 0 || board_count == 0)
        return;
    pthread_atfork(NULL, NULL, after_fork_in_child);
    announce(directory);
    load_result = CUDA_SUCCESS;
}

CUresult cuInit(unsigned int flags) {
    int error = errno;

    if (flags != 0)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_once(&load_once, load);
    errno = error;
    if (is_forked)
        return CUDA_ERROR_NOT_INITIALIZED;
    is_initialised = load_result == CUDA_SUCCESS;
    return load_result;
}

CUresult gshare_sim_ready(void) {
    return is_initialised && !is_forked ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

int gshare_sim_board_count(void) {
    return board_count;
}

struct sim_board *gshare_sim_board(CUdevice device) {
    return device >= 0 && device < board_count ? &boards[device] : NULL;
}

CUresult gshare_sim_sticky(const struct sim_board *board) {
    const struct sim_gpu *gpu = &board->gpu;
    return gpu->client == SIM_NONE ? CUDA_SUCCESS
                                   : (CUresult)gpu->state->clients[gpu->client].error;
}

/* Makes the process a client of the GPU, with its context overhead. Board lock held. */
CUresult gshare_sim_attach_board(struct sim_board *board) {
    char own[32];
    const char *label = getenv("GSHARE_SIMGPU_LABEL");

    if (board->gpu.client != SIM_NONE)
        return CUDA_SUCCESS;
    snprintf(own, sizeof own, "pid-%d", (int)getpid());
    struct sim_terms terms = {board->cap_sms, board->memory_limit_bytes,
                              label && *label ? label : own};
    int error = gshare_sim_attach(&board->gpu, &terms);
    if (error == -ENOMEM)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (error == -EUSERS)
        return CUDA_ERROR_MPS_MAX_CLIENTS_REACHED;
    return error ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = SIM_DRIVER_VERSION;
    return CUDA_SUCCESS;
}
