/* Reads DIR/topology, which the Python control writes: one GPU a line,
 *   gpu index=0 uuid=GPU-... sm_count=80 ... name=Tesla V100-SXM2-16GB
 * `name` comes last and may hold spaces. Unknown keys are refused: the file and the library are
 * of one version. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

struct field {
    const char *key;
    size_t offset;
    size_t size; /* 4 or 8 */
};

#define FIELD(member)                                                                              \
    {#member, offsetof(struct sim_device, member), sizeof(((struct sim_device *)0)->member)}

static const struct field fields[] = {
    FIELD(index),
    FIELD(sm_count),
    FIELD(memory_bytes),
    FIELD(context_bytes),
    FIELD(link_bytes_per_s),
    FIELD(memory_bytes_per_s),
    FIELD(compute_major),
    FIELD(compute_minor),
    FIELD(clock_khz),
    FIELD(memory_clock_khz),
    FIELD(bus_bits),
    FIELD(l2_bytes),
    FIELD(shared_bytes_per_sm),
    FIELD(threads_per_sm),
    FIELD(blocks_per_sm),
    FIELD(power_limit_mw),
    FIELD(block_ns),
    FIELD(mps),
    FIELD(turn_us),
    FIELD(time_scale),
};

static int set_number(struct sim_device *device, const char *key, const char *text) {
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(fields[i].key, key) != 0)
            continue;
        if (end == text || *end || (fields[i].size == 4 && value > UINT32_MAX))
            return -EINVAL;
        uint32_t narrow = (uint32_t)value;
        uint64_t wide = value;
        memcpy((char *)device + fields[i].offset, fields[i].size == 4 ? (void *)&narrow : &wide,
               fields[i].size);
        return 0;
    }
    return -EINVAL;
}

static int parse_gpu(char *line, struct sim_device *device) {
    char *rest = NULL;
    char *name = strstr(line, " name=");

    memset(device, 0, sizeof *device);
    if (!name)
        return -EINVAL;
    snprintf(device->name, sizeof device->name, "%s", name + strlen(" name="));
    *name = '\0';
    for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(word, '=');
        int error = 0;
        if (!equals)
            continue;
        *equals = '\0';
        if (strcmp(word, "uuid") == 0)
            snprintf(device->uuid, sizeof device->uuid, "%s", equals + 1);
        else
            error = set_number(device, word, equals + 1);
        if (error)
            return error;
    }
    return device->sm_count && device->memory_bytes && device->uuid[0] && device->time_scale
               ? 0
               : -EINVAL;
}

int gshare_sim_topology(const char *directory, struct sim_device devices[SIM_MAX_GPUS]) {
    char path[PATH_MAX];
    char *line = NULL;
    size_t room = 0;
    int count = 0;

    if (snprintf(path, sizeof path, "%s/topology", directory) >= (int)sizeof path)
        return -ENAMETOOLONG;
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    while (count >= 0 && count < SIM_MAX_GPUS && getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "gpu ", 4) != 0)
            continue;
        int error = parse_gpu(line, &devices[count]);
        count = error ? error : count + 1;
    }
    free(line);
    fclose(file);
    return count;
}
