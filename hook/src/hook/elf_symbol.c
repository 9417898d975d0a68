/* The GNU and the System V hash tables, as the dynamic loader reads them (ELF gABI, chapter 5;
 * "GNU Hash ELF Sections", A. Roenneburg). Address sanitizers are kept out: this runs before they
 * have set themselves up. */
#include "hook/elf_symbol.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EARLY __attribute__((no_sanitize("address", "undefined", "thread")))

struct search {
    const char *const *files;
    const char *symbol;
    void *found;
};

struct tables {
    ElfW(Addr) base;
    const ElfW(Sym) * symbols;
    const char *names;
    const uint32_t *gnu_hash;
    const ElfW(Word) * hash;
};

EARLY static int same(const char *left, const char *right) {
    while (*left && *left == *right)
        left++, right++;
    return *left == *right;
}

EARLY static int is_one_of(const char *const *files, const char *path) {
    const char *name = path;
    for (const char *at = path; *at; at++)
        if (*at == '/')
            name = at + 1;
    for (; *files; files++) {
        size_t i = 0;
        while ((*files)[i] && (*files)[i] == name[i])
            i++;
        if (!(*files)[i])
            return 1;
    }
    return 0;
}

/* glibc relocates these pointers in place, musl and the vdso leave them relative. */
EARLY static const void *pointer(ElfW(Addr) base, ElfW(Addr) value) {
    return (const void *)(value < base ? base + value : value);
}

EARLY static struct tables read_tables(ElfW(Addr) base, const ElfW(Dyn) * entry) {
    struct tables tables = {.base = base};
    for (; entry->d_tag != DT_NULL; entry++) {
        const void *at = pointer(base, entry->d_un.d_ptr);
        if (entry->d_tag == DT_SYMTAB)
            tables.symbols = at;
        else if (entry->d_tag == DT_STRTAB)
            tables.names = at;
        else if (entry->d_tag == DT_GNU_HASH)
            tables.gnu_hash = at;
        else if (entry->d_tag == DT_HASH)
            tables.hash = at;
    }
    return tables;
}

EARLY static void *if_defined(const struct tables *tables, uint32_t index, const char *symbol) {
    const ElfW(Sym) *entry = &tables->symbols[index];
    if (entry->st_shndx == SHN_UNDEF || !same(tables->names + entry->st_name, symbol))
        return NULL;
    return (void *)(tables->base + entry->st_value);
}

EARLY static void *by_gnu_hash(const struct tables *tables, const char *symbol) {
    uint32_t hash = 5381;
    for (const char *at = symbol; *at; at++)
        hash = hash * 33 + (uint8_t)*at;
    uint32_t count = tables->gnu_hash[0], first = tables->gnu_hash[1];
    size_t bloom_words = tables->gnu_hash[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
    const uint32_t *buckets = tables->gnu_hash + 4 + bloom_words;
    const uint32_t *chain = buckets + count;
    uint32_t index = count ? buckets[hash % count] : 0;
    for (; index >= first && index != 0; index++) {
        uint32_t link = chain[index - first];
        void *found = (link | 1) == (hash | 1) ? if_defined(tables, index, symbol) : NULL;
        if (found || (link & 1))
            return found;
    }
    return NULL;
}

EARLY static void *by_hash(const struct tables *tables, const char *symbol) {
    for (uint32_t i = 0; i < tables->hash[1]; i++) {
        void *found = if_defined(tables, i, symbol);
        if (found)
            return found;
    }
    return NULL;
}

EARLY static int visit(struct dl_phdr_info *object, size_t size, void *argument) {
    (void)size;
    struct search *search = argument;
    if (!object->dlpi_name || !is_one_of(search->files, object->dlpi_name))
        return 0;
    for (int i = 0; i < object->dlpi_phnum && !search->found; i++) {
        if (object->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        ElfW(Addr) at = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
        struct tables tables = read_tables(object->dlpi_addr, (const ElfW(Dyn) *)at);
        if (tables.gnu_hash)
            search->found = by_gnu_hash(&tables, search->symbol);
        else if (tables.hash)
            search->found = by_hash(&tables, search->symbol);
    }
    return search->found != NULL;
}

EARLY void *gshare_elf_symbol(const char *const *files, const char *symbol) {
    struct search search = {.files = files, .symbol = symbol};
    dl_iterate_phdr(visit, &search);
    return search.found;
}
