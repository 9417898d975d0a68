#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gshare/wire.h"

static bool is_kept(int fd, size_t bytes) {
    struct gshare_header header;
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (size_t)status.st_size == bytes &&
           pread(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
           header.magic == GSHARE_MAGIC && header.version == GSHARE_WIRE_VERSION;
}

/* -ENOENT where there is none worth keeping. A good page on a full disk is kept, and an error: its
 * processes have it mapped. */
static int open_kept(int dir, const char *name, size_t bytes) {
    int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return -ENOENT;
    }
    int error = is_kept(fd, bytes) ? posix_fallocate(fd, 0, (off_t)bytes) : ENOENT;
    if (error) {
        close(fd);
        return -error;
    }
    return fd;
}

static int make_anew(int dir, const char *name, size_t bytes, mode_t mode) {
    const struct gshare_header header = {.magic = GSHARE_MAGIC, .version = GSHARE_WIRE_VERSION};
    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT) {
        return -errno;
    }
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        return -errno;
    }
    int error = fchmod(fd, mode) < 0 ? errno : posix_fallocate(fd, 0, (off_t)bytes);
    if (!error && pwrite(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header)) {
        error = EIO;
    }
    if (error) {
        close(fd);
        unlinkat(dir, name, 0);
        return -error;
    }
    return fd;
}

int gshare_page_map(int dir, const char *name, size_t bytes, mode_t mode, void **page) {
    int fd = open_kept(dir, name, bytes);
    if (fd == -ENOENT) {
        fd = make_anew(dir, name, bytes, mode);
    }
    if (fd < 0) {
        return fd;
    }
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int error = at == MAP_FAILED ? -errno : 0;
    close(fd);
    *page = at;
    return error;
}

int gshare_page_unnamed(const char *name, size_t bytes, void **page) {
    struct gshare_header header = {.magic = GSHARE_MAGIC, .version = GSHARE_WIRE_VERSION};
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return -errno;
    }
    *page = MAP_FAILED;
    if (ftruncate(fd, (off_t)bytes) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (*page == MAP_FAILED) {
        int error = -errno;
        close(fd);
        return error;
    }
    memcpy(*page, &header, sizeof(header));
    return fd;
}

/* mmap is not on POSIX's list of async-signal-safe calls; on Linux it is a bare system call. The
 * fault comes from our own access to a page, never from inside the C library. */
static void on_cut(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
    void *page = (void *)((uintptr_t)info->si_addr & ~(size - 1));
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    if (mmap(page, size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) {
        signal(SIGBUS, SIG_DFL);
    }
}

void gshare_page_survive_cuts(void) {
    struct sigaction action = {.sa_sigaction = on_cut, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
