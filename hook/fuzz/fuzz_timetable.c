/* Any text is a timetable or is refused with a line's number; one that is taken holds only leases
 * that the arbiter takes, and under which it never gives more than 100 % of the SMs. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tokend/timetable.h"

#define WINDOW_NS 40000000u
#define STEP_NS 3700000u
#define STEPS 40

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

static void check(int good) {
    if (!good) {
        abort();
    }
}

static void follow(struct gshare_arbiter *arbiter, uint64_t now) {
    const struct gshare_instruction *first = NULL;
    check(gshare_arbiter_advance(arbiter, now) > now);
    uint32_t count = gshare_arbiter_instructions(arbiter, &first);
    for (uint32_t i = 0; i < count; i++) {
        if (first[i].kind == GSHARE_REVOKE) {
            gshare_arbiter_returned(arbiter, first[i].lease, STEP_NS, STEP_NS / 2, now);
        }
    }
}

static void play(const struct gshare_timetable *table) {
    struct gshare_gpu_account gpu;
    struct gshare_arbiter *arbiter = malloc(gshare_arbiter_size());
    check(arbiter != NULL);
    gshare_arbiter_init(arbiter, WINDOW_NS, WINDOW_NS, 0);
    for (uint32_t i = 0; i < table->count; i++) {
        check(gshare_arbiter_put(arbiter, i, &table->entries[i].shape, 0) == 0);
        gshare_arbiter_wants(arbiter, i, true, 0);
    }
    for (uint64_t step = 0; step < STEPS; step++) {
        follow(arbiter, step * STEP_NS);
    }
    gshare_arbiter_gpu(arbiter, &gpu);
    check(gpu.max_concurrent_sm_percent <= 100);
    free(arbiter);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes) {
    static struct gshare_timetable table;
    uint32_t line = 0;
    char *text = malloc(bytes + 1);
    check(text != NULL);
    memcpy(text, input, bytes);
    text[bytes] = '\0';
    const char *problem = gshare_timetable_parse(text, &table, &line);
    free(text);
    if (problem) {
        check(line <= bytes + 1 && strchr(problem, '\n') == NULL);
        return 0;
    }
    for (uint32_t i = 0; i < table.count; i++) {
        check(gshare_shape_is_valid(&table.entries[i].shape));
        check(strchr(table.entries[i].id, '/') == NULL && table.entries[i].id[0] != '\0');
    }
    play(&table);
    return 0;
}
