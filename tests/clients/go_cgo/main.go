// A CUDA client in Go with cgo: C opens libcuda.so.1, and the linker has never heard of it.
//
// Launches from four threads; prints "ready", and leaves when its stdin ends.
package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stddef.h>

typedef int (*init_call)(unsigned);
typedef int (*retain_call)(void **, int);
typedef int (*current_call)(void *);
typedef int (*load_call)(void **, const char *);
typedef int (*function_call)(void **, void *, const char *);
typedef int (*launch_call)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                           unsigned, void *, void **, void **);
typedef int (*synchronize_call)(void);

static const char kernel[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                             ".visible .entry work() {\n    .pragma \"gshare.simulated "
                             "sm_demand=8 duration_us=100\";\n    ret;\n}\n";
static void *driver, *context, *function;

static int open_driver(void) {
    void *module;
    driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!driver)
        return -1;
    int result = ((init_call)dlsym(driver, "cuInit"))(0);
    if (!result)
        result = ((retain_call)dlsym(driver, "cuDevicePrimaryCtxRetain"))(&context, 0);
    if (!result)
        result = ((current_call)dlsym(driver, "cuCtxSetCurrent"))(context);
    if (!result)
        result = ((load_call)dlsym(driver, "cuModuleLoadData"))(&module, kernel);
    if (!result)
        result = ((function_call)dlsym(driver, "cuModuleGetFunction"))(&function, module, "work");
    return result;
}

static int work(int launches) {
    launch_call launch = (launch_call)dlsym(driver, "cuLaunchKernel");
    int result = ((current_call)dlsym(driver, "cuCtxSetCurrent"))(context);
    for (int i = 0; i < launches && !result; i++)
        result = launch(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL);
    return result ? result : ((synchronize_call)dlsym(driver, "cuCtxSynchronize"))();
}
*/
import "C"

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
)

const (
	workers  = 4
	launches = 50
)

func must(result C.int) {
	if result != 0 {
		fmt.Fprintf(os.Stderr, "CUDA error %d\n", result)
		os.Exit(1)
	}
}

func main() {
	must(C.open_driver())
	var all sync.WaitGroup
	for range [workers]struct{}{} {
		all.Add(1)
		go func() {
			defer all.Done()
			runtime.LockOSThread()
			must(C.work(launches))
		}()
	}
	all.Wait()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}
