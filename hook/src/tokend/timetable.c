#include "timetable.h"

#include <stdlib.h>
#include <string.h>

#define TITLE "gshare-timetable 1"

/* Reads a whole number of at most 100 at *text, moves past it and past `stop` where present. */
static bool number(char **text, char stop, uint32_t *value) {
    char *end = NULL;
    if (**text < '0' || **text > '9') {
        return false;
    }
    unsigned long read = strtoul(*text, &end, 10);
    if (read > 100) {
        return false;
    }
    *value = (uint32_t)read;
    if (*end == stop && stop != '\0') {
        end++;
    } else if (stop != '\0' && stop != ',') {
        return false;
    }
    *text = end;
    return true;
}

static bool slices(char *text, struct gshare_shape *shape) {
    while (*text != '\0') {
        uint32_t start = 0;
        uint32_t width = 0;
        if (shape->slice_count == GSHARE_MAX_SLICES || !number(&text, '+', &start) ||
            !number(&text, ',', &width)) {
            return false;
        }
        shape->slices[shape->slice_count++] = (struct gshare_slice){
            .start_percent = (uint16_t)start, .width_percent = (uint16_t)width};
    }
    return true;
}

static bool field(char *word, struct gshare_shape *shape) {
    char *value = strchr(word, '=');
    if (!value) {
        return false;
    }
    *value++ = '\0';
    if (strcmp(word, "slices") == 0) {
        return slices(value, shape);
    }
    uint32_t *target = strcmp(word, "sm") == 0        ? &shape->sm_percent
                       : strcmp(word, "request") == 0 ? &shape->request_percent
                       : strcmp(word, "limit") == 0   ? &shape->limit_percent
                                                      : NULL;
    return target && number(&value, '\0', target) && *value == '\0';
}

static bool is_id(const char *id) {
    size_t length = strlen(id);
    return length >= 1 && length < GSHARE_LEASE_ID_BYTES &&
           strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static const char *entry(char *line, struct gshare_entry *entry) {
    char *rest = NULL;
    const char *noun = strtok_r(line, " ", &rest);
    const char *id = strtok_r(NULL, " ", &rest);
    if (!noun || strcmp(noun, "lease") != 0 || !id || !is_id(id)) {
        return "expected: lease <id of 1-39 of a-z 0-9 ->";
    }
    memset(entry, 0, sizeof(*entry));
    strcpy(entry->id, id);
    for (char *word = strtok_r(NULL, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (!field(word, &entry->shape)) {
            return "expected: sm= request= limit= slices=<start>+<width>,..";
        }
    }
    return gshare_shape_is_valid(&entry->shape)
               ? NULL
               : "percents out of range, or slices that do not add up to the request";
}

static bool is_named(const struct gshare_timetable *table, const char *id) {
    for (uint32_t i = 0; i < table->count; i++) {
        if (strcmp(table->entries[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

const char *gshare_timetable_parse(char *text, struct gshare_timetable *table, uint32_t *line) {
    char *next = text;
    table->count = 0;
    *line = 0;
    for (char *at = strsep(&next, "\n"); at; at = strsep(&next, "\n")) {
        ++*line;
        if (*line == 1) {
            if (strcmp(at, TITLE) != 0) {
                return "expected: " TITLE;
            }
            continue;
        }
        if (*at == '\0') {
            continue;
        }
        struct gshare_entry found;
        const char *problem = entry(at, &found);
        if (problem) {
            return problem;
        }
        if (table->count == GSHARE_ARBITER_LEASES) {
            return "more leases than a GPU can have";
        }
        if (is_named(table, found.id)) {
            return "a lease is named twice";
        }
        table->entries[table->count++] = found;
    }
    return *line ? NULL : "empty";
}
