/* Starts a process every 10 ms for some seconds: each comes to the GPU, takes memory, launches and
 * is gone; every second one is killed with its kernel in flight. Prints "ready", and at the end how
 * many processes there were and how many of them met an error.
 *
 *     churn SECONDS */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cuda.h"

#define A_SECOND 100
#define PAUSE_NS 10000000
#define MEMORY_BYTES (4u << 20)

int cuMemAlloc_v2(unsigned long long *, size_t);

static const char PTX[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                          ".visible .entry work() {\n    .pragma \"gshare.simulated "
                          "sm_demand=48 duration_us=200\";\n    ret;\n}\n";

/* Returns 0, or which call failed. */
static int use_gpu(void) {
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUfunction kernel;
    unsigned long long memory;
    if (cuInit(0) || cuDeviceGet(&device, 0) || cuDevicePrimaryCtxRetain(&context, device))
        return 1;
    if (cuCtxSetCurrent(context) || cuModuleLoadData(&module, PTX) ||
        cuModuleGetFunction(&kernel, module, "work"))
        return 2;
    if (cuMemAlloc_v2(&memory, MEMORY_BYTES))
        return 3;
    return cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL) ? 4 : 0;
}

static void start(int number) {
    if (fork() != 0)
        return;
    int failed = use_gpu();
    if (failed == 0 && number % 2 == 0)
        kill(getpid(), SIGKILL);
    _exit(failed);
}

static void rest(struct timespec *at) {
    at->tv_nsec += PAUSE_NS;
    at->tv_sec += at->tv_nsec / 1000000000;
    at->tv_nsec %= 1000000000;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, at, NULL);
}

int main(int count, char **words) {
    int processes = A_SECOND * (count > 1 ? atoi(words[1]) : 1), failed = 0, status;
    struct timespec at;
    puts("ready");
    fflush(stdout);
    clock_gettime(CLOCK_MONOTONIC, &at);
    for (int number = 0; number < processes; number++) {
        start(number);
        rest(&at);
    }
    while (wait(&status) > 0)
        failed += WIFEXITED(status) && WEXITSTATUS(status) != 0;
    printf("%d %d\n", processes, failed);
    return 0;
}
