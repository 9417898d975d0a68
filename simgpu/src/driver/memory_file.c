/* Files of device memory that may be shared: memfds. Their name tells which GPU's memory they are,
 * and their size is sealed: nobody who has got one can have others fault by cutting it short.
 *
 * Seals can be added. Who maps a file that is sealed against future writing may read it only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "driver.h"

#define NAME "gshare-simgpu-"
static const int SIZE_SEALS = F_SEAL_SHRINK | F_SEAL_GROW;

int gshare_sim_file_make(const struct sim_board *board, size_t bytes) {
    char name[32];

    snprintf(name, sizeof name, NAME "%u", board->gpu.state->device.index);
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)bytes) == 0 && fcntl(fd, F_ADD_SEALS, SIZE_SEALS) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The kernel's own call: glibc has had a function `fstat` only since 2.33. */
static bool read_size(int fd, struct sim_file *file) {
    struct stat stat;

    if (syscall(SYS_fstat, fd, &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_size <= 0)
        return false;
    file->number = stat.st_ino;
    file->bytes = (size_t)stat.st_size;
    return true;
}

uint64_t gshare_sim_file_number(int fd) {
    struct sim_file file;
    return read_size(fd, &file) ? file.number : 0;
}

static struct sim_board *board_of(const char *name) {
    char *end = NULL;
    unsigned long index = strtoul(name, &end, 10);

    for (int i = 0; i < gshare_sim_board_count(); i++)
        if (gshare_sim_board(i)->gpu.state->device.index == index && end != name && *end == ' ')
            return gshare_sim_board(i);
    return NULL;
}

/* Anything else may come over a socket: a file of the disk, or memory that could be cut short. */
bool gshare_sim_file_read(int fd, struct sim_file *file) {
    static const char prefix[] = "/memfd:" NAME;
    char path[64];
    char name[64] = "";

    int seals = fcntl(fd, F_GET_SEALS);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (seals < 0 || (seals & SIZE_SEALS) != SIZE_SEALS ||
        readlink(path, name, sizeof name - 1) < 0 || strncmp(name, prefix, sizeof prefix - 1) != 0)
        return false;
    file->board = board_of(name + sizeof prefix - 1);
    return file->board && read_size(fd, file);
}
