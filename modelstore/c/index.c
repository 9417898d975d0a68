/* Reads the index of weights: one line a tensor, `offset bytes dtype shape name`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

/* Reads a decimal number, and moves behind it and the `end` that follows. */
static int number(char **at, char end, uint64_t *value) {
    uint64_t read = 0;
    char *digit = *at;

    for (; *digit >= '0' && *digit <= '9'; digit++) {
        if (read > (UINT64_MAX - 9) / 10)
            return -EPROTO;
        read = read * 10 + (uint64_t)(*digit - '0');
    }
    if (digit == *at || *digit != end)
        return -EPROTO;
    *at = digit + 1;
    *value = read;
    return 0;
}

/* Cuts a word off, ended by `end`. */
static char *word(char **at, char end) {
    char *begin = *at;
    char *stop = strchr(begin, end);

    if (!stop || stop == begin)
        return NULL;
    *stop = '\0';
    *at = stop + 1;
    return begin;
}

/* "2x3", or "-" for a scalar. */
static int read_shape(char *text, struct gshare_tensor *tensor, uint64_t **shapes) {
    size_t length = strlen(text);

    tensor->shape = *shapes;
    if (strcmp(text, "-") == 0)
        return 0;
    text[length] = 'x'; /* so that every side ends alike; the byte is within the line */
    for (char *at = text; at < text + length + 1; tensor->dimensions++)
        if (number(&at, 'x', (*shapes)++))
            return -EPROTO;
    return 0;
}

static int read_line(char **at, const struct gshare_map *map, struct gshare_tensor *tensor,
                     uint64_t **shapes) {
    uint64_t offset = 0;

    if (number(at, ' ', &offset) || number(at, ' ', &tensor->bytes))
        return -EPROTO;
    tensor->dtype = word(at, ' ');
    char *shape = tensor->dtype ? word(at, ' ') : NULL;
    tensor->name = shape ? word(at, '\n') : NULL;
    if (!tensor->name || read_shape(shape, tensor, shapes))
        return -EPROTO;
    if (tensor->bytes > map->bytes || offset > map->bytes - tensor->bytes)
        return -EPROTO;
    tensor->data = (const void *)(uintptr_t)(map->address + offset);
    return 0;
}

static size_t count(const char *text, size_t length, char wanted) {
    size_t found = 0;

    for (size_t at = 0; at < length; at++)
        found += text[at] == wanted;
    return found;
}

int gshare_store_read_index(struct gshare_client *client, struct gshare_map *map, size_t length) {
    size_t lines = count(map->index, length, '\n');
    /* Each side of a shape ends in an x or with its word: an upper bound, names counted too. */
    uint64_t *shapes = map->shapes =
        calloc(lines + count(map->index, length, 'x') + 1, sizeof *map->shapes);
    char *at = map->index;

    map->tensors = calloc(lines + 1, sizeof *map->tensors);
    if (!map->tensors || !map->shapes)
        return gshare_store_fail(client, -ENOMEM, "no memory for the index of %zu tensors", lines);
    for (size_t line = 0; line < lines; line++)
        if (read_line(&at, map, &map->tensors[line], &shapes))
            return gshare_store_fail(client, -EPROTO, "line %zu of the index is none", line + 1);
    map->seen.tensors = map->tensors;
    map->seen.count = lines;
    return 0;
}
