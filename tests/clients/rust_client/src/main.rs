//! A CUDA client in Rust: it opens libcuda.so.1 by libloading and knows nothing of gshare.
//!
//! Four threads launch by cuLaunchKernel, found by dlsym, and by what cuGetProcAddress answers for
//! it. Prints "ready", and leaves when its stdin ends.

use libloading::{Library, Symbol};
use std::ffi::{c_char, c_int, c_uint, c_void, CStr};
use std::io::Read;
use std::ptr::{null, null_mut};
use std::thread;

const WORKERS: usize = 4;
const LAUNCHES: usize = 50;
const KERNEL: &CStr = c".version 7.0
.target sm_70
.address_size 64
.visible .entry work() {
    .pragma \"gshare.simulated sm_demand=8 duration_us=100\";
    ret;
}
";

type Handle = *mut c_void;
type Launch = unsafe extern "C" fn(
    Handle,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    Handle,
    *mut Handle,
    *mut Handle,
) -> c_int;
type ProcAddress =
    unsafe extern "C" fn(*const c_char, *mut Option<Launch>, c_int, u64, *mut c_int) -> c_int;

/// Handles of the driver are good in every thread.
#[derive(Clone, Copy)]
struct Shared(Handle);
unsafe impl Send for Shared {}

struct Driver(Library);

impl Driver {
    /// Calls a function of the driver whose arguments are all pointers or integers of their size.
    unsafe fn call<F: Copy>(&self, name: &str) -> F {
        let found: Symbol<F> = self.0.get(name.as_bytes()).expect(name);
        *found
    }
}

fn must(result: c_int) {
    assert_eq!(result, 0, "CUDA error");
}

unsafe fn load(driver: &Driver) -> (Shared, Shared) {
    let (mut context, mut module, mut function) = (null_mut(), null_mut(), null_mut());
    must(driver
        .call::<unsafe extern "C" fn(c_uint) -> c_int>("cuInit")(
        0
    ));
    let retain: unsafe extern "C" fn(*mut Handle, c_int) -> c_int =
        driver.call("cuDevicePrimaryCtxRetain");
    must(retain(&mut context, 0));
    make_current(driver, Shared(context));
    let load: unsafe extern "C" fn(*mut Handle, *const c_char) -> c_int =
        driver.call("cuModuleLoadData");
    must(load(&mut module, KERNEL.as_ptr()));
    let get: unsafe extern "C" fn(*mut Handle, Handle, *const c_char) -> c_int =
        driver.call("cuModuleGetFunction");
    must(get(&mut function, module, c"work".as_ptr()));
    (Shared(context), Shared(function))
}

unsafe fn make_current(driver: &Driver, context: Shared) {
    let set: unsafe extern "C" fn(Handle) -> c_int = driver.call("cuCtxSetCurrent");
    must(set(context.0));
}

unsafe fn launches(driver: &Driver) -> [Launch; 2] {
    let ask: ProcAddress = driver.call("cuGetProcAddress_v2");
    let (mut answered, mut status) = (None, -1);
    must(ask(
        c"cuLaunchKernel".as_ptr(),
        &mut answered,
        12000,
        0,
        &mut status,
    ));
    [
        driver.call("cuLaunchKernel"),
        answered.expect("cuLaunchKernel"),
    ]
}

unsafe fn work(driver: &Driver, context: Shared, function: Shared) {
    make_current(driver, context);
    for launch in launches(driver) {
        for _ in 0..LAUNCHES / 2 {
            must(launch(
                function.0,
                1,
                1,
                1,
                1,
                1,
                1,
                0,
                null_mut(),
                null_mut(),
                null::<Handle>() as _,
            ));
        }
    }
    must(driver
        .call::<unsafe extern "C" fn() -> c_int>("cuCtxSynchronize")(
    ));
}

fn main() {
    let driver = Driver(unsafe { Library::new("libcuda.so.1") }.expect("libcuda.so.1"));
    let (context, function) = unsafe { load(&driver) };
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            let driver = &driver;
            scope.spawn(move || {
                let (context, function) = (context, function);
                unsafe { work(driver, context, function) }
            });
        }
    });
    println!("ready");
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .expect("stdin");
}
