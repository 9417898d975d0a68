/* A hash table from 64-bit keys to 64-bit values: open addressing, linear probing, no tombstones (a
 * removal shifts its cluster back, Knuth 6.4 algorithm R). Its memory comes from mmap, so that no
 * allocator of the program is entered. Not locked: the owner is. */
#ifndef GSHARE_TABLE_H
#define GSHARE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gshare_entry {
    uint64_t key; /* 0: empty */
    uint64_t value;
};

struct gshare_table {
    struct gshare_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

/* Stores value under key (not 0), replacing. Returns false where no memory could be had. */
bool gshare_table_put(struct gshare_table *table, uint64_t key, uint64_t value);

/* Removes key; returns whether it was there, and its value. */
bool gshare_table_take(struct gshare_table *table, uint64_t key, uint64_t *value);

/* Drops the entries for which `stays` is false. It may not touch the table. */
void gshare_table_sift(struct gshare_table *table,
                       bool (*stays)(uint64_t key, uint64_t value, void *argument), void *argument);

/* Gives the table's memory back. */
void gshare_table_clear(struct gshare_table *table);

#endif
