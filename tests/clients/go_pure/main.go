// A CUDA client in Go without cgo: it opens libcuda.so.1 itself and knows nothing of gshare.
//
// Four goroutines, each on a thread of its own, copy to the GPU, launch, and copy back. Prints
// "ready", and leaves as Go does, without destructors, when its stdin ends.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/ebitengine/purego"
)

const (
	workers  = 4
	launches = 50
	kernel   = `.version 7.0
.target sm_70
.address_size 64
.visible .entry work() {
    .pragma "gshare.simulated sm_demand=8 duration_us=100";
    ret;
}
` + "\x00"
)

var (
	cuInit                   func(flags uint32) int32
	cuDevicePrimaryCtxRetain func(context *uintptr, device int32) int32
	cuCtxSetCurrent          func(context uintptr) int32
	cuCtxSynchronize         func() int32
	cuModuleLoadData         func(module *uintptr, image *byte) int32
	cuModuleGetFunction      func(function *uintptr, module uintptr, name string) int32
	cuMemAlloc               func(address *uint64, size uintptr) int32
	cuMemcpyHtoD             func(to uint64, from *byte, size uintptr) int32
	cuMemcpyDtoH             func(to *byte, from uint64, size uintptr) int32
	cuLaunchKernel           func(function uintptr, gridX, gridY, gridZ, blockX, blockY, blockZ,
		sharedBytes uint32, stream, parameters, extra uintptr) int32
)

func open() {
	driver, err := purego.Dlopen("libcuda.so.1", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		fail(err)
	}
	for name, function := range map[string]any{
		"cuInit":                   &cuInit,
		"cuDevicePrimaryCtxRetain": &cuDevicePrimaryCtxRetain,
		"cuCtxSetCurrent":          &cuCtxSetCurrent,
		"cuCtxSynchronize":         &cuCtxSynchronize,
		"cuModuleLoadData":         &cuModuleLoadData,
		"cuModuleGetFunction":      &cuModuleGetFunction,
		"cuMemAlloc_v2":            &cuMemAlloc,
		"cuMemcpyHtoD_v2":          &cuMemcpyHtoD,
		"cuMemcpyDtoH_v2":          &cuMemcpyDtoH,
		"cuLaunchKernel":           &cuLaunchKernel,
	} {
		purego.RegisterLibFunc(function, driver, name)
	}
}

func fail(reason any) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(1)
}

func must(result int32) {
	if result != 0 {
		fail(fmt.Sprintf("CUDA error %d", result))
	}
}

func work(context, function uintptr) {
	runtime.LockOSThread()
	must(cuCtxSetCurrent(context))
	var memory uint64
	there := bytes.Repeat([]byte{7}, 4096)
	back := make([]byte, len(there))
	must(cuMemAlloc(&memory, uintptr(len(there))))
	must(cuMemcpyHtoD(memory, &there[0], uintptr(len(there))))
	for range [launches]struct{}{} {
		must(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0))
	}
	must(cuMemcpyDtoH(&back[0], memory, uintptr(len(back))))
	if !bytes.Equal(there, back) {
		fail("memory came back changed")
	}
	must(cuCtxSynchronize())
}

func main() {
	var context, module, function uintptr
	image := []byte(kernel)
	runtime.LockOSThread()
	open()
	must(cuInit(0))
	must(cuDevicePrimaryCtxRetain(&context, 0))
	must(cuCtxSetCurrent(context))
	must(cuModuleLoadData(&module, &image[0]))
	must(cuModuleGetFunction(&function, module, "work"))
	var all sync.WaitGroup
	for range [workers]struct{}{} {
		all.Add(1)
		go func() {
			defer all.Done()
			work(context, function)
		}()
	}
	all.Wait()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}
