/* Memory that several processes hold: charged once, to one of its holders, until the last is gone.
 *
 * Memory is known by the inode number of its memfd: all memfds of a kernel are numbered together,
 * in whatever container they were made. A process can be killed at any line: what it held is let
 * go when it is reaped, and who is charged is one word.
 */
#include <errno.h>
#include <string.h>

#include "engine.h"

static struct sim_share *find(struct sim_state *state, uint64_t file) {
    for (uint32_t i = 0; i < state->share_high; i++)
        if (state->shares[i].file == file)
            return &state->shares[i];
    return NULL;
}

/* Notes memory that `client` holds once and is charged for; -ENOSPC: the table is full. */
static int add(struct sim_state *state, uint64_t file, uint64_t bytes, uint32_t client) {
    uint32_t index = 0;

    while (index < state->share_high && state->shares[index].file != 0)
        index++;
    if (index == SIM_SHARES)
        return -ENOSPC;
    struct sim_share *share = &state->shares[index];
    memset(share, 0, sizeof *share);
    share->bytes = bytes;
    share->payer = client;
    share->holds[client] = 1;
    share->file = file;
    if (index == state->share_high)
        state->share_high = index + 1;
    return 0;
}

/* Has somebody who holds it charged; without one it is gone. */
static void settle(struct sim_state *state, struct sim_share *share) {
    if (share->holds[share->payer])
        return;
    for (uint32_t client = 0; client < state->client_high; client++) {
        if (!share->holds[client])
            continue;
        share->payer = client;
        return;
    }
    share->file = 0;
    while (state->share_high > 0 && state->shares[state->share_high - 1].file == 0)
        state->share_high--;
}

/* Until both have happened it is charged twice, never less: whoever dies between them is ours. */
int gshare_sim_offer(struct sim_gpu *gpu, uint64_t file, uint64_t bytes) {
    gshare_sim_lock(gpu);
    int error = add(gpu->state, file, bytes, gpu->client);
    if (!error)
        gpu->state->clients[gpu->client].memory_bytes -= bytes;
    gshare_sim_unlock(gpu);
    return error;
}

/* Memory that only its descriptor kept is charged to who opens it. */
static int adopt(struct sim_gpu *gpu, uint64_t file, uint64_t bytes) {
    if (bytes > gshare_sim_room(gpu))
        gshare_sim_reap(gpu);
    return bytes > gshare_sim_room(gpu) ? -ENOMEM : add(gpu->state, file, bytes, gpu->client);
}

int gshare_sim_hold(struct sim_gpu *gpu, uint64_t file, uint64_t bytes) {
    int error = 0;

    gshare_sim_lock(gpu);
    struct sim_share *share = find(gpu->state, file);
    if (!share)
        error = adopt(gpu, file, bytes);
    else if (share->holds[gpu->client] == UINT32_MAX)
        error = -ENOSPC;
    else
        share->holds[gpu->client]++;
    gshare_sim_unlock(gpu);
    return error;
}

void gshare_sim_let_go(struct sim_gpu *gpu, uint64_t file) {
    gshare_sim_lock(gpu);
    struct sim_share *share = find(gpu->state, file);
    if (share && share->holds[gpu->client] && --share->holds[gpu->client] == 0)
        settle(gpu->state, share);
    gshare_sim_unlock(gpu);
}

void gshare_sim_let_go_all(struct sim_state *state, uint32_t client) {
    for (uint32_t i = 0; i < state->share_high; i++) {
        struct sim_share *share = &state->shares[i];
        if (share->file == 0)
            continue;
        share->holds[client] = 0;
        settle(state, share);
    }
}

uint64_t gshare_sim_shared_bytes(const struct sim_state *state, uint32_t payer) {
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < state->share_high; i++) {
        const struct sim_share *share = &state->shares[i];
        if (share->file != 0 && (payer == SIM_NONE || payer == share->payer))
            bytes += share->bytes;
    }
    return bytes;
}
