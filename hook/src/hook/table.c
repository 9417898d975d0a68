#include "hook/table.h"

#include <sys/mman.h>

#define FIRST_CAPACITY 256 /* one page of entries */

/* Fibonacci hashing: device addresses differ in their middle bits. */
static size_t home(const struct gshare_table *table, uint64_t key) {
    return (size_t)((key * 0x9E3779B97F4A7C15ull) >> 20) & (table->capacity - 1);
}

static struct gshare_entry *find(const struct gshare_table *table, uint64_t key) {
    size_t at = home(table, key);
    while (table->entries[at].key != 0 && table->entries[at].key != key)
        at = (at + 1) & (table->capacity - 1);
    return &table->entries[at];
}

static bool grow(struct gshare_table *table) {
    struct gshare_table larger = {.capacity =
                                      table->capacity ? table->capacity * 2 : FIRST_CAPACITY};
    void *at = mmap(NULL, larger.capacity * sizeof *larger.entries, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return false;
    larger.entries = at;
    larger.count = table->count;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->entries[i].key != 0)
            *find(&larger, table->entries[i].key) = table->entries[i];
    gshare_table_clear(table);
    *table = larger;
    return true;
}

bool gshare_table_put(struct gshare_table *table, uint64_t key, uint64_t value) {
    if (table->count * 2 >= table->capacity && !grow(table))
        return false;
    struct gshare_entry *entry = find(table, key);
    table->count += entry->key == 0;
    *entry = (struct gshare_entry){key, value};
    return true;
}

bool gshare_table_take(struct gshare_table *table, uint64_t key, uint64_t *value) {
    struct gshare_entry *entry = table->capacity ? find(table, key) : NULL;
    if (!entry || entry->key == 0)
        return false;
    *value = entry->value;
    table->count--;
    size_t mask = table->capacity - 1, hole = (size_t)(entry - table->entries);
    for (size_t at = (hole + 1) & mask; table->entries[at].key != 0; at = (at + 1) & mask) {
        size_t wanted = home(table, table->entries[at].key);
        if (((at - wanted) & mask) < ((at - hole) & mask))
            continue; /* it lies between its home and the hole: it may stay */
        table->entries[hole] = table->entries[at];
        hole = at;
    }
    table->entries[hole].key = 0;
    return true;
}

/* A removal moves later entries into the hole, perhaps from the table's start to its end: an entry
 * that was asked about already may be met again, none is missed. So `stays` is asked until a whole
 * round removes nothing. */
void gshare_table_sift(struct gshare_table *table,
                       bool (*stays)(uint64_t key, uint64_t value, void *argument),
                       void *argument) {
    bool has_changed = true;
    while (has_changed) {
        has_changed = false;
        for (size_t i = 0; i < table->capacity; i++) {
            struct gshare_entry entry = table->entries[i];
            if (entry.key == 0 || stays(entry.key, entry.value, argument))
                continue;
            gshare_table_take(table, entry.key, &entry.value);
            has_changed = true;
            i--;
        }
    }
}

void gshare_table_clear(struct gshare_table *table) {
    if (table->entries)
        munmap(table->entries, table->capacity * sizeof *table->entries);
    *table = (struct gshare_table){0};
}
