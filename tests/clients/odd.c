/* A CUDA program that finds its driver in ways that a preloaded hook does not see: `odd WAY COUNT`.
 *
 *   dlmopen   loads the driver into a namespace of its own
 *   deepbind  opens it with RTLD_DEEPBIND, and asks that handle
 *   walk      reads the symbol table of the library of that name by hand
 *   reopen    as deepbind, closes the driver, and goes on by another handle
 *   new       as deepbind, and calls a function that no hook has heard of, COUNT times
 *
 * Built with LINKED it is a library that is linked with the driver: `odd_work(COUNT)`. Prints
 * "ready" after COUNT launches, and leaves when its stdin ends. */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int call();

static const char PTX[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                          ".visible .entry work(.param .u64 values, .param .u32 count)\n{\n"
                          ".pragma \"gshare.simulated sm_demand=10 duration_us=50\";\nret;\n}\n";

#ifdef LINKED
#define FIND(name) name
int cuInit(), cuDevicePrimaryCtxRetain(), cuCtxSetCurrent(), cuModuleLoadData();
int cuModuleGetFunction(), cuLaunchKernel(), cuCtxSynchronize();
#else
#define FIND(name) find(#name)

static void *driver;
static const char *way;

struct table {
    ElfW(Addr) base;
    const ElfW(Sym) * symbols;
    const char *names;
    const ElfW(Word) * hash;
};

static int visit(struct dl_phdr_info *object, size_t size, void *argument) {
    struct table *table = argument;
    const char *name = strrchr(object->dlpi_name, '/');
    (void)size;
    if (!name || strncmp(name, "/libcuda.so", 11) != 0)
        return 0;
    table->base = object->dlpi_addr;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        if (object->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *entry = (const void *)(table->base + object->dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++) {
            if (entry->d_tag == DT_SYMTAB)
                table->symbols = (const void *)entry->d_un.d_ptr;
            if (entry->d_tag == DT_STRTAB)
                table->names = (const void *)entry->d_un.d_ptr;
            if (entry->d_tag == DT_HASH)
                table->hash = (const void *)entry->d_un.d_ptr;
        }
    }
    return 1; /* the first of that name, as the loader takes it */
}

static void *walk(const char *symbol) {
    struct table table = {0};
    dl_iterate_phdr(visit, &table);
    for (ElfW(Word) i = 1; table.hash && i < table.hash[1]; i++)
        if (strcmp(table.names + table.symbols[i].st_name, symbol) == 0)
            return (void *)(table.base + table.symbols[i].st_value);
    return NULL;
}

static call *find(const char *symbol) {
    void *found = strcmp(way, "walk") == 0 ? walk(symbol) : dlsym(driver, symbol);
    if (!found) {
        fprintf(stderr, "%s: not found by %s\n", symbol, way);
        exit(3);
    }
    return (call *)found;
}
#endif

static void check(int result) {
    if (result) {
        fprintf(stderr, "a call returned %d\n", result);
        exit(2);
    }
}

int odd_work(int count) {
    void *context, *module, *function;
    check(FIND(cuInit)(0u));
    check(FIND(cuDevicePrimaryCtxRetain)(&context, 0));
    check(FIND(cuCtxSetCurrent)(context));
    check(FIND(cuModuleLoadData)(&module, PTX));
    check(FIND(cuModuleGetFunction)(&function, module, "work"));
    for (int i = 0; i < count; i++)
        check(FIND(cuLaunchKernel)(function, 1u, 1u, 1u, 1u, 1u, 1u, 0u, NULL, NULL, NULL));
    check(FIND(cuCtxSynchronize)());
    return 0;
}

#ifndef LINKED
int main(int argc, char **argv) {
    char byte;
    if (argc != 3)
        return 1;
    way = argv[1];
    driver = strcmp(way, "dlmopen") == 0
                 ? dlmopen(LM_ID_NEWLM, "libcuda.so.1", RTLD_NOW)
                 : dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!driver) {
        fprintf(stderr, "%s\n", dlerror());
        return 4;
    }
    if (strcmp(way, "new") == 0)
        for (int i = atoi(argv[2]); i > 0; i--)
            check(find("cuBrandNewCall")() != 4711);
    else
        odd_work(atoi(argv[2]));
    if (strcmp(way, "reopen") == 0) {
        dlclose(driver);
        usleep(50000); /* whoever still runs in it meets that it is gone */
        driver = dlopen("libcuda.so.1", RTLD_NOW);
        check(find("cuCtxSynchronize")());
    }
    puts("ready");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    return 0;
}
#endif
