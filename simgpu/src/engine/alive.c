/* Life shown by a byte of a file: locked while its process lives. Open-file-description locks, so a
 * death shows across pid namespaces, and no pid is compared with another namespace's. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine.h"

static struct flock lock_of(uint32_t byte, short type) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

int gshare_sim_byte_take(int fd, uint32_t byte) {
    struct flock lock = lock_of(byte, F_WRLCK);
    return fcntl(fd, F_OFD_SETLK, &lock) != 0 ? -errno : 0;
}

void gshare_sim_byte_leave(int fd, uint32_t byte) {
    struct flock lock = lock_of(byte, F_UNLCK);
    fcntl(fd, F_OFD_SETLK, &lock);
}

bool gshare_sim_byte_is_held(int fd, uint32_t byte) {
    struct flock lock = lock_of(byte, F_WRLCK);
    return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}
