/* Any message on the control socket is answered in a known form, or costs its connection. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "served.h"

static int connection = -1;

int LLVMFuzzerTestOneInput(const uint8_t *message, size_t bytes);

static int begins(const char *answer, const char *with) {
    return strncmp(answer, with, strlen(with)) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *message, size_t bytes) {
    char answer[4096] = "";
    gshare_served();
    if (connection < 0) {
        connection = gshare_served_dial_control();
    }
    if (send(connection, message, bytes, MSG_NOSIGNAL) < 0) {
        return 0; /* longer than a socket takes */
    }
    ssize_t got = gshare_served_receive(connection, answer, sizeof(answer) - 1);
    if (got <= 0) {
        close(connection);
        connection = -1;
        gshare_served_check();
    } else if (!begins(answer, "ok") && !begins(answer, "error ") && !begins(answer, "gpu ")) {
        abort();
    }
    return 0;
}
