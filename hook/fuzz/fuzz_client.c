/* Whatever a lease's processes say, write into their page and ring, in whatever order: the daemon
 * answers on, and SMs are not given twice. An input is a list of steps. */
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "served.h"

#define CONNECTIONS 4
#define LONGEST 64u

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

struct steps {
    const uint8_t *at;
    size_t left;
    int connections[CONNECTIONS];
};

static uint8_t take(struct steps *steps) {
    if (steps->left == 0) {
        return 0;
    }
    steps->left--;
    return *steps->at++;
}

static size_t take_bytes(struct steps *steps, void *to, size_t most) {
    size_t count = take(steps) % (most + 1);
    count = count < steps->left ? count : steps->left;
    memcpy(to, steps->at, count);
    steps->at += count;
    steps->left -= count;
    return count;
}

static void say(int connection, const void *message, size_t bytes) {
    struct gshare_welcome answer;
    struct pollfd ready = {.fd = connection, .events = POLLIN};
    if (send(connection, message, bytes, MSG_NOSIGNAL) >= 0 && poll(&ready, 1, 1) > 0) {
        recv(connection, &answer, sizeof(answer), 0);
    }
}

static void say_hello(struct steps *steps, int connection) {
    struct gshare_hello hello = {
        .header = {.magic = GSHARE_MAGIC, .version = GSHARE_WIRE_VERSION},
        .slot = (int8_t)take(steps),
        .pid = take(steps),
    };
    say(connection, &hello, sizeof(hello));
}

static void say_anything(struct steps *steps, int connection) {
    uint8_t message[LONGEST];
    say(connection, message, take_bytes(steps, message, sizeof(message)));
}

/* Slots 0 to 3 and the head, where the daemon reads. */
static void write_page(struct steps *steps) {
    uint8_t noise[LONGEST];
    struct gshare_counters *page = gshare_served()->counters[take(steps) % GSHARE_SERVED_LEASES];
    size_t offset = take(steps) * 4u % (sizeof(page->slots[0]) * 5u - LONGEST);
    memcpy((char *)page + offset, noise, take_bytes(steps, noise, sizeof(noise)));
    gshare_served_ring();
}

/* As an honest process: wants, or joins and gives back whatever is in force. */
static void behave(struct steps *steps) {
    struct gshare_counters *page = gshare_served()->counters[take(steps) % GSHARE_SERVED_LEASES];
    struct gshare_slot *slot = &page->slots[take(steps) % 4u];
    uint32_t active = atomic_load(&slot->active_epoch);
    atomic_store(&slot->wants, 1);
    atomic_store(&slot->acked_epoch, active);
    atomic_store(&slot->active_epoch, active + take(steps) % 2u);
    gshare_served_ring();
}

static void step(struct steps *steps) {
    uint8_t what = take(steps);
    int *connection = &steps->connections[what / 8u % CONNECTIONS];
    if (*connection < 0 && what % 8u < 4) {
        *connection = gshare_served_dial_lease(what / 8u % GSHARE_SERVED_LEASES);
    }
    switch (what % 8u) {
    case 0:
    case 1:
        say_hello(steps, *connection);
        break;
    case 2:
        say_anything(steps, *connection);
        break;
    case 3:
        close(*connection);
        *connection = -1;
        break;
    case 4:
    case 5:
        write_page(steps);
        break;
    case 6:
        behave(steps);
        break;
    default:
        usleep(take(steps) * 8u); /* up to a window */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes) {
    struct steps steps = {.at = input, .left = bytes, .connections = {-1, -1, -1, -1}};
    gshare_served();
    for (unsigned count = 0; steps.left > 0 && count < 32; count++) {
        step(&steps);
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        if (steps.connections[i] >= 0) {
            close(steps.connections[i]);
        }
    }
    gshare_served_check();
    return 0;
}
