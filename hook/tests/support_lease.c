#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

uint64_t test_now_ns(void) {
    return gshare_clock_ns();
}

void test_sleep_ms(unsigned ms) {
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static void *page(struct lease *lease, const char *name, size_t bytes, char *path_out) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", lease->directory, name);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(file >= 0 && ftruncate(file, (off_t)bytes) == 0);
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(at != MAP_FAILED);
    close(file);
    if (path_out)
        strcpy(path_out, path);
    return at;
}

void lease_make(struct lease *lease) {
    *lease = (struct lease){.listener = -1};
    struct gshare_header header = {GSHARE_MAGIC, GSHARE_WIRE_VERSION};
    snprintf(lease->directory, sizeof lease->directory, "/dev/shm/gshare-test-XXXXXX");
    CHECK(mkdtemp(lease->directory) != NULL);
    lease->limits = page(lease, "limits", sizeof *lease->limits, NULL);
    lease->grant = page(lease, "grant", sizeof *lease->grant, NULL);
    lease->counters = page(lease, "counters", sizeof *lease->counters, NULL);
    lease->stats = page(lease, "stats", sizeof *lease->stats, lease->stats_path);
    *lease->limits = (struct gshare_limits){.header = header,
                                            .sm_percent = 50,
                                            .quota_request_percent = 40,
                                            .quota_limit_percent = 40,
                                            .window_us = 40000,
                                            .launch_depth = 2,
                                            .queue_budget_us = 500,
                                            .slice_count = 1,
                                            .memory_limit_bytes = 1ull << 30,
                                            .slices = {{0, 40}},
                                            .lease_id = "test-0",
                                            .gpu_uuid = "GPU-0"};
    lease->grant->header = lease->counters->header = header;
    lease->doorbell_fd = memfd_create("doorbell", MFD_CLOEXEC);
    CHECK(lease->doorbell_fd >= 0 && ftruncate(lease->doorbell_fd, 4096) == 0);
    lease->doorbell = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, lease->doorbell_fd, 0);
    lease->doorbell->header = header;
}

void lease_remove(struct lease *lease) {
    static const char *const names[] = {"limits", "grant", "counters", "stats", "token.sock"};
    lease_stop_serving(lease);
    close(lease->doorbell_fd);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", lease->directory, names[i]);
        unlink(path);
    }
    CHECK(rmdir(lease->directory) == 0);
}

static int32_t slot_for(struct lease *lease, const struct gshare_hello *hello) {
    int32_t slot = hello->slot;
    if (slot < 0) {
        slot = (int32_t)lease->counters->slot_high_water;
        atomic_store(&lease->counters->slot_high_water, (uint32_t)slot + 1);
    }
    atomic_store(&lease->counters->slots[slot].pid, hello->pid);
    return slot;
}

static void welcome(struct lease *lease, int client) {
    struct gshare_hello hello;
    if (recv(client, &hello, sizeof hello, 0) != (ssize_t)sizeof hello) {
        close(client);
        return;
    }
    struct gshare_welcome answer = {.header = {GSHARE_MAGIC, GSHARE_WIRE_VERSION},
                                    .slot = slot_for(lease, &hello)};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&answer, sizeof answer};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &lease->doorbell_fd, sizeof(int));
    lease->clients[answer.slot] = client;
    sendmsg(client, &message, MSG_NOSIGNAL);
}

static void *serve(void *argument) {
    struct lease *lease = argument;
    for (;;) {
        int client = accept4(lease->listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            return NULL;
        welcome(lease, client);
    }
}

void lease_serve(struct lease *lease) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/token.sock", lease->directory);
    unlink(address.sun_path);
    lease->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(bind(lease->listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(lease->listener, 64) == 0);
    CHECK(pthread_create(&lease->server, NULL, serve, lease) == 0);
    lease->is_serving = true;
}

void lease_stop_serving(struct lease *lease) {
    if (!lease->is_serving)
        return;
    shutdown(lease->listener, SHUT_RDWR);
    pthread_join(lease->server, NULL);
    close(lease->listener);
    for (int i = 0; i < GSHARE_MAX_SLOTS; i++)
        if (lease->clients[i] > 0)
            close(lease->clients[i]);
    memset(lease->clients, 0, sizeof lease->clients);
    lease->is_serving = false;
}

void lease_grant(struct lease *lease, uint32_t epoch, uint64_t length_ns) {
    atomic_store(&lease->grant->deadline_ns, test_now_ns() + length_ns);
    atomic_store(&lease->grant->epoch, epoch);
    gshare_futex_wake(&lease->grant->epoch);
}

void lease_revoke(struct lease *lease) {
    atomic_store(&lease->grant->epoch, 0);
    atomic_fetch_add(&lease->grant->revoke_count, 1);
    gshare_futex_wake(&lease->grant->revoke_count);
}

static bool await(_Atomic uint32_t *word, uint32_t value) {
    for (int i = 0; i < 20000 && atomic_load(word) != value; i++)
        usleep(100);
    return atomic_load(word) == value;
}

bool lease_await_wants(struct lease *lease, uint32_t wants) {
    return await(&lease->counters->slots[0].wants, wants);
}

bool lease_await_joined(struct lease *lease, uint32_t epoch) {
    return await(&lease->counters->slots[0].active_epoch, epoch);
}

bool lease_await_ack(struct lease *lease, uint32_t epoch) {
    return await(&lease->counters->slots[0].acked_epoch, epoch);
}

static void become_client(struct lease *lease, const char *scenario, const char *argument) {
    const char *out = getenv("OUT");
    char program[400], library[400], hook[400];
    snprintf(program, sizeof program, "%s/tests/%s", out,
             lease->program ? lease->program : "client");
    snprintf(library, sizeof library, "%s/tests/fake", out);
    snprintf(hook, sizeof hook, "%s/lib/libgshare_hook.so", out);
    setenv("LD_LIBRARY_PATH", library, 1);
    setenv("GSHARE_LEASE_DIR", lease->directory, 1);
    setenv("FAKE_CUDA_STATS", lease->stats_path, 1);
    const char *runtime = getenv("SANITIZER_RUNTIME"); /* comes before the hook, or is empty */
    char preload[900];
    snprintf(preload, sizeof preload, "%s%s%s", runtime ? runtime : "",
             runtime && *runtime ? ":" : "", hook);
    if (!getenv("GSHARE_TEST_NO_HOOK"))
        setenv("LD_PRELOAD", preload, 1);
    execl(program, program, scenario, argument, (char *)NULL);
    _exit(127);
}

pid_t lease_run(struct lease *lease, const char *scenario, const char *argument) {
    pid_t client = fork();
    CHECK(client >= 0);
    if (client == 0)
        become_client(lease, scenario, argument);
    return client;
}

/* A client that the machine keeps from running looks idle and loses its token: grant again. */
static void grant_anew(struct lease *lease) {
    uint32_t acked = atomic_load(&lease->counters->slots[0].acked_epoch);
    if (acked != 0 && acked == atomic_load(&lease->grant->epoch) &&
        atomic_load(&lease->counters->slots[0].wants) != 0)
        lease_grant(lease, acked + 1, 60000000000ull);
}

int lease_finish(struct lease *lease, pid_t client) {
    int status = 0;
    while (waitpid(client, &status, WNOHANG) == 0) {
        grant_anew(lease);
        usleep(200);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

int lease_join(pid_t client) {
    int status = 0;
    CHECK(waitpid(client, &status, 0) == client);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

void lease_hold(struct lease *lease, uint32_t epoch, unsigned hold_ms) {
    CHECK(lease_await_wants(lease, 1));
    lease_grant(lease, epoch, 10000000000ull);
    CHECK(lease_await_joined(lease, epoch));
    test_sleep_ms(hold_ms);
    lease_revoke(lease);
    CHECK(lease_await_ack(lease, epoch));
}

int lease_test(struct lease *lease, const char *program, const struct test *tests, size_t count,
               char **arguments) {
    for (size_t i = 0; i < count; i++) {
        if (arguments[1] && strcmp(arguments[1], tests[i].name) != 0)
            continue;
        lease_make(lease);
        lease->program = program;
        lease_serve(lease);
        tests[i].run();
        lease_remove(lease);
        printf("ok %s\n", tests[i].name);
        fflush(stdout);
    }
    return 0;
}
