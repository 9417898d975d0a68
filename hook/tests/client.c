/* A program that uses the driver, for tests: OUT/tests/client <scenario> <argument>. It is linked
 * with the (fake) driver and knows nothing of the hook. Exit status 0 means that what the scenario
 * claims was so. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

typedef CUresult kernel_launcher(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned,
                                 unsigned, unsigned, CUstream, void **, void **);

static CUresult launch_by(kernel_launcher *launcher, CUstream stream) {
    return launcher((CUfunction)8, 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL);
}

static CUresult launch(CUstream stream) {
    return launch_by(cuLaunchKernel, stream);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

int client_open_context(void) {
    CUcontext context;
    return cuCtxCreate_v2(&context, 0, 0);
}

static int launches(const char *count) {
    EXPECT(client_open_context() == 0);
    for (int i = atoi(count); i > 0; i--) {
        errno = 77;
        EXPECT(launch(NULL) == 0);
        EXPECT(errno == 77);
    }
    return 0;
}

static int for_time(const char *ms, CUstream stream, int synchronises) {
    uint64_t end_ns = now_ns() + strtoull(ms, NULL, 10) * 1000000;
    while (now_ns() < end_ns) {
        EXPECT(launch(stream) == 0);
        if (synchronises)
            EXPECT(cuStreamSynchronize(stream) == 0);
    }
    return 0;
}

static int saturates(const char *ms) {
    EXPECT(client_open_context() == 0);
    return for_time(ms, NULL, 0);
}

static int synchronises(const char *ms) {
    EXPECT(client_open_context() == 0);
    return for_time(ms, NULL, 1);
}

static void *saturate_own_stream(void *ms) {
    CUstream stream;
    if (client_open_context() != 0 || cuStreamCreate(&stream, 0) != 0 ||
        for_time(ms, stream, 0) != 0)
        return ms;
    return cuStreamDestroy_v2(stream) == 0 ? NULL : ms;
}

static int threads(const char *ms) {
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        EXPECT(pthread_create(&thread[i], NULL, saturate_own_stream, (void *)ms) == 0);
    int failed = 0;
    for (int i = 0; i < 4; i++) {
        void *result = NULL;
        pthread_join(thread[i], &result);
        failed |= result != NULL;
    }
    return failed;
}

static int idles(const char *ms) {
    EXPECT(client_open_context() == 0 && launch(NULL) == 0);
    usleep((useconds_t)atoi(ms) * 1000);
    return 0;
}

static int graph_and_kernel(const char *ms) {
    EXPECT(client_open_context() == 0);
    uint64_t end_ns = now_ns() + strtoull(ms, NULL, 10) * 1000000;
    while (now_ns() < end_ns)
        EXPECT(cuGraphLaunch((CUgraphExec)8, NULL) == 0);
    return 0;
}

static int captures(const char *unused) {
    (void)unused;
    CUstream stream;
    EXPECT(client_open_context() == 0 && cuStreamCreate(&stream, 0) == 0);
    EXPECT(cuStreamBeginCapture_v2(stream, 0) == 0);
    for (int i = 0; i < 100; i++)
        EXPECT(launch(stream) == 0);
    EXPECT(fake_stats()->captured == 100);
    return 0;
}

static int routes(const char *unused) {
    (void)unused;
    kernel_launcher *direct = cuLaunchKernel, *opened, *next, *asked = NULL, *twin = NULL;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW), *other = NULL, *old = NULL;
    opened = (kernel_launcher *)dlsym(driver, "cuLaunchKernel");
    next = (kernel_launcher *)dlsym(RTLD_NEXT, "cuLaunchKernel");
    void *(*libc_dlsym)(void *, const char *) =
        (void *(*)(void *, const char *))dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
    EXPECT(direct == opened && direct == next);
    EXPECT(libc_dlsym && libc_dlsym(driver, "cuLaunchKernel") == (void *)direct);
    EXPECT(dlsym(RTLD_DEFAULT, "cuLaunchKernel") == (void *)direct);
    EXPECT(dlsym(driver, "cuNoSuchCall") == NULL && dlsym(driver, "cuMemPoolCreate") == NULL);
    Dl_info info;
    EXPECT(dladdr((void *)direct, &info) && strstr(info.dli_fname, "libgshare_hook"));
    EXPECT(dladdr(dlsym(driver, "cuInit"), &info) && strstr(info.dli_fname, "libcuda"));

    int status = 9;
    EXPECT(cuGetProcAddress_v2("cuLaunchKernel", (void **)&asked, 12000, 0, &status) == 0);
    EXPECT(asked == direct && status == 0);
    EXPECT(cuGetProcAddress_v2("cuLaunchKernel", (void **)&twin, 12000, 2, &status) == 0);
    EXPECT(twin == cuLaunchKernel_ptsz && twin != direct);
    EXPECT(cuGetProcAddress("cuMemAlloc", &other, 12000, 0) == 0);
    EXPECT(other == (void *)cuMemAlloc_v2);
    EXPECT(cuGetProcAddress("cuMemAlloc", &old, 2000, 0) == 0);
    EXPECT(old == (void *)cuMemAlloc);
    EXPECT(cuGetProcAddress("cuMemFree", &other, 99000, 0) == 0); /* a version from the future */
    EXPECT(dladdr(other, &info) && strcmp(info.dli_sname, "cuMemFree_v3") == 0);
    EXPECT(cuGetProcAddress("cuMemFree", &other, 12000, 2) == 0 && other == (void *)cuMemFree_v2);
    EXPECT(cuGetProcAddress_v2("cuLaunchKernelEx", &other, 11000, 0, &status) == 0);
    EXPECT(other == NULL && status == 2);
    EXPECT(cuGetProcAddress_v2("cuNoSuchCall", &other, 12000, 0, &status) != 0 && status == 1);
    EXPECT(cuGetProcAddress("cuInit", &other, 12000, 0) == 0);
    EXPECT(dladdr(other, &info) && strstr(info.dli_fname, "libcuda"));

    EXPECT(client_open_context() == 0);
    EXPECT(launch_by(asked, NULL) == 0 && launch_by(twin, NULL) == 0);
    EXPECT(fake_stats()->launches == 2 && fake_stats()->twin_launches == 1);
    return 0;
}

static int forks(const char *unused) {
    (void)unused;
    CUdeviceptr address;
    EXPECT(client_open_context() == 0 && launch(NULL) == 0 &&
           cuMemAlloc_v2(&address, 1 << 20) == 0);
    pid_t child = fork();
    if (child == 0) {
        size_t free_bytes, total;
        int failed = launch(NULL) != 0 || cuMemGetInfo_v2(&free_bytes, &total) != 0;
        _exit(failed || free_bytes != (1ull << 30) - (301ull << 20));
    }
    int status = 1;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    EXPECT(launch(NULL) == 0);
    return 0;
}

static int refused(const char *unused) {
    (void)unused;
    CUdeviceptr address;
    EXPECT(launch(NULL) == CUDA_ERROR_NOT_PERMITTED);
    EXPECT(cuMemAlloc_v2(&address, 1) == CUDA_ERROR_NOT_PERMITTED);
    return 0;
}

static int inert(const char *count) {
    Dl_info info;
    void *found = dlsym(dlopen("libcuda.so.1", RTLD_NOW), "cuLaunchKernel");
    EXPECT(dladdr(found, &info) && strstr(info.dli_fname, "libcuda"));
    CUdeviceptr address;
    size_t free_bytes, total;
    EXPECT(cuMemAlloc_v2(&address, 2ull << 30) == 0);
    EXPECT(cuMemGetInfo_v2(&free_bytes, &total) == 0 && total == 32ull << 30);
    return launches(count);
}

/* Prints ns a launch and ns an allocation with its free, the least of several runs. */
static int speed(const char *count) {
    EXPECT(client_open_context() == 0);
    CUdeviceptr address;
    double best_launch = 1e9, best_memory = 1e9;
    for (int round = 0; round < 40; round++) {
        uint64_t start = now_ns();
        for (int i = atoi(count); i > 0; i--)
            launch(NULL);
        double each = (double)(now_ns() - start) / atoi(count);
        best_launch = each < best_launch ? each : best_launch;
    }
    for (int round = 0; round < 40; round++) {
        uint64_t start = now_ns();
        for (int i = atoi(count); i > 0; i--) {
            cuMemAlloc_v2(&address, 65536);
            cuMemFree_v2(address);
        }
        double each = (double)(now_ns() - start) / atoi(count);
        best_memory = each < best_memory ? each : best_memory;
    }
    printf("launch_ns=%.2f alloc_free_ns=%.2f\n", best_launch, best_memory);
    return 0;
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        int (*run)(const char *argument);
    } scenarios[] = {
        {"launches", launches}, {"saturates", saturates}, {"synchronises", synchronises},
        {"threads", threads},   {"idles", idles},         {"graphs", graph_and_kernel},
        {"captures", captures}, {"routes", routes},       {"forks", forks},
        {"refused", refused},   {"inert", inert},         {"speed", speed},
    };
    for (size_t i = 0; count == 3 && i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(arguments[1], scenarios[i].name) == 0)
            return scenarios[i].run(arguments[2]);
    return count == 3 ? client_memory(arguments[1]) : 2;
}
