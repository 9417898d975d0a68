/* Finds a function in a loaded library by reading the library's own symbol table. */
#ifndef GSHARE_ELF_SYMBOL_H
#define GSHARE_ELF_SYMBOL_H

/* Returns the address of `symbol` in the first loaded object whose file name starts with one of
 * `files` (NULL-terminated), or NULL. Takes no dlsym: it is how dlsym itself is found. */
void *gshare_elf_symbol(const char *const *files, const char *symbol);

#endif
