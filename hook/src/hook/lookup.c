/* Answers look-ups with our functions.
 *
 * The C library's own dlsym and dlvsym are read from its symbol table (elf_symbol.c). The usual
 * way, dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34"), is closed to a library that interposes dlvsym as
 * well, needs a list of glibc versions and makes the library unloadable under musl.
 *
 * dlsym and dlvsym take RTLD_NEXT to mean "after the caller", which they learn from the return
 * address. So names that are not ours go on by a jump that leaves the caller's frame untouched.
 */
#include "hook/lookup.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "hook/elf_symbol.h"
#include "hook/guest.h"
#include "hook/symbols.h"

#define HIDDEN __attribute__((visibility("hidden")))
#define EARLY __attribute__((no_sanitize("address", "undefined", "thread")))

typedef void *dlsym_function(void *handle, const char *symbol);
typedef void *dlvsym_function(void *handle, const char *symbol, const char *version);

HIDDEN void *gshare_dlsym_answer(void *handle, const char *symbol);
HIDDEN void *gshare_dlvsym_answer(void *handle, const char *symbol, const char *version);
GSHARE_EXPORT void *dlsym(void *handle, const char *symbol);
GSHARE_EXPORT void *dlvsym(void *handle, const char *symbol, const char *version);

/* Written by whichever thread looks up first; every writer stores the same value. */
HIDDEN _Atomic(dlsym_function *) gshare_libc_dlsym;
HIDDEN _Atomic(dlvsym_function *) gshare_libc_dlvsym;

EARLY static void *no_symbol(void *handle, const char *symbol) {
    (void)handle, (void)symbol;
    return NULL;
}

EARLY static void *no_version(void *handle, const char *symbol, const char *version) {
    (void)handle, (void)symbol, (void)version;
    return NULL;
}

EARLY static void find_libc(void) {
    static const char *const files[] = {"libc.so", "libdl.so", "ld-musl", "libc.musl", NULL};
    if (atomic_load_explicit(&gshare_libc_dlsym, memory_order_acquire))
        return;
    void *versioned = gshare_elf_symbol(files, "dlvsym");
    void *plain = gshare_elf_symbol(files, "dlsym");
    atomic_store(&gshare_libc_dlvsym, versioned ? (dlvsym_function *)versioned : no_version);
    atomic_store(&gshare_libc_dlsym, plain ? (dlsym_function *)plain : no_symbol);
}

void *gshare_true_dlsym(void *handle, const char *symbol) {
#ifdef __SANITIZE_THREAD__
    return dlsym(handle, symbol);
#endif
    find_libc();
    return atomic_load(&gshare_libc_dlsym)(handle, symbol);
}

/* Returns the function of ours that stands for `symbol`, or NULL. */
EARLY static void *ours(const char *symbol) {
    if (symbol[0] == 'd' && strcmp(symbol, "dlsym") == 0)
        return (void *)dlsym;
    if (symbol[0] == 'd' && strcmp(symbol, "dlvsym") == 0)
        return (void *)dlvsym;
    bool is_driver = symbol[0] == 'c' && symbol[1] == 'u';
    bool is_nvml = symbol[0] == 'n' && symbol[1] == 'v';
    if (!is_driver && !is_nvml)
        return NULL; /* before all else: sanitizers look up their own names before they can run us
                      */
    return gshare_guest_is_asked() ? gshare_symbols_hook(symbol) : NULL;
}

/* Returns our function, or NULL to send the caller on to the C library. A name is ours only where
 * the driver has it too; the default scope, in which we stand first, is searched behind us. */
EARLY void *gshare_dlsym_answer(void *handle, const char *symbol) {
    find_libc();
    void *hook = symbol ? ours(symbol) : NULL;
    if (!hook)
        return NULL;
    void *scope = handle == RTLD_DEFAULT ? RTLD_NEXT : handle;
    return atomic_load(&gshare_libc_dlsym)(scope, symbol) ? hook : NULL;
}

EARLY void *gshare_dlvsym_answer(void *handle, const char *symbol, const char *version) {
    find_libc();
    void *hook = symbol ? ours(symbol) : NULL;
    if (!hook)
        return NULL;
    return atomic_load(&gshare_libc_dlvsym)(handle, symbol, version) ? hook : NULL;
}

#if defined(__x86_64__)
#define INTERPOSE(name)                                                                            \
    __asm__(".text\n.globl " #name "\n.type " #name ", @function\n" #name ":\n"                    \
            "    push %rdi\n    push %rsi\n    push %rdx\n"                                        \
            "    call gshare_" #name "_answer\n"                                                   \
            "    pop %rdx\n    pop %rsi\n    pop %rdi\n"                                           \
            "    test %rax, %rax\n    jz 1f\n    ret\n"                                            \
            "1:  jmp *gshare_libc_" #name "(%rip)\n"                                               \
            ".size " #name ", . - " #name "\n")
#elif defined(__aarch64__)
#define INTERPOSE(name)                                                                            \
    __asm__(".text\n.globl " #name "\n.type " #name ", %function\n" #name ":\n"                    \
            "    stp x29, x30, [sp, #-48]!\n    stp x0, x1, [sp, #16]\n    str x2, [sp, #32]\n"    \
            "    bl gshare_" #name "_answer\n    mov x16, x0\n"                                    \
            "    ldr x2, [sp, #32]\n    ldp x0, x1, [sp, #16]\n    ldp x29, x30, [sp], #48\n"      \
            "    cbz x16, 1f\n    mov x0, x16\n    ret\n"                                          \
            "1:  adrp x16, gshare_libc_" #name "\n"                                                \
            "    ldr x16, [x16, :lo12:gshare_libc_" #name "]\n    br x16\n"                        \
            ".size " #name ", . - " #name "\n")
#else
#error "the look-up trampolines are written for x86-64 and arm64"
#endif
/* The thread sanitizer intercepts what the search for libc uses, and looks itself up by dlsym
 * before it can run that: its builds leave dlsym alone. */
#ifndef __SANITIZE_THREAD__
INTERPOSE(dlsym);
INTERPOSE(dlvsym);
#endif

/* Puts our function in the place of what the driver found, and of nothing else. */
static void divert(const char *name, void **address, int version, uint64_t flags) {
    if (!name || !address || !*address || !gshare_guest_is_asked())
        return;
    void *hook = gshare_symbols_versioned(name, version, flags, *address);
    if (hook)
        *address = hook;
}

CUresult cuGetProcAddress(const char *name, void **address, int version, uint64_t flags) {
    gshare_guest_resolve();
    CUresult result = gshare_real.cuGetProcAddress(name, address, version, flags);
    if (result == CUDA_SUCCESS)
        divert(name, address, version, flags);
    return result;
}

CUresult cuGetProcAddress_v2(const char *name, void **address, int version, uint64_t flags,
                             int *status) {
    gshare_guest_resolve();
    int own_status = CU_GET_PROC_ADDRESS_SUCCESS;
    int *said = status ? status : &own_status;
    CUresult result = gshare_real.cuGetProcAddress_v2(name, address, version, flags, said);
    if (result == CUDA_SUCCESS && *said == CU_GET_PROC_ADDRESS_SUCCESS)
        divert(name, address, version, flags);
    return result;
}
