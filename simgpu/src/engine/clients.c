/* Processes on a GPU: attach, detach, and the return of what the dead held. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

static bool is_alive(struct sim_gpu *gpu, uint32_t client) {
    return client == gpu->client || gshare_sim_byte_is_held(gpu->lock_fd, client);
}

/* Frees what a client owns. Its account keeps the figures. */
static void end_client(struct sim_state *state, uint32_t index) {
    struct sim_client *client = &state->clients[index];

    gshare_sim_release_client(state, index);
    gshare_sim_let_go_all(state, index);
    client->memory_bytes = 0;
    client->host_bytes = 0;
    client->in_use = 0;
}

void gshare_sim_reap(struct sim_gpu *gpu) {
    struct sim_state *state = gpu->state;

    for (uint32_t i = 0; i < state->client_high; i++)
        if (state->clients[i].in_use && !is_alive(gpu, i))
            end_client(state, i);
}

void gshare_sim_reap_next(struct sim_gpu *gpu) {
    struct sim_state *state = gpu->state;

    for (uint32_t i = 0; i < state->client_high; i++) {
        uint32_t slot = (state->reap_at + i) % state->client_high;
        if (!state->clients[slot].in_use)
            continue;
        state->reap_at = slot + 1;
        if (!is_alive(gpu, slot))
            end_client(state, slot);
        return;
    }
}

static bool account_in_use(const struct sim_state *state, uint32_t account) {
    for (uint32_t i = 0; i < state->client_high; i++)
        if (state->clients[i].in_use && state->clients[i].account == account)
            return true;
    return false;
}

/* The account of a label: the old one, a new one, or, when all are taken, one that no process
 * uses any more. */
static uint32_t find_account(struct sim_state *state, const char *label) {
    uint32_t index = 0;

    for (; index < state->account_high; index++)
        if (strncmp(state->accounts[index].label, label, SIM_LABEL_BYTES - 1) == 0)
            return index;
    if (index == SIM_ACCOUNTS) {
        for (index = 0; index < SIM_ACCOUNTS - 1 && account_in_use(state, index);)
            index++;
    } else {
        state->account_high++;
    }
    struct sim_account *account = &state->accounts[index];
    memset(account, 0, sizeof *account);
    strncpy(account->label, label, SIM_LABEL_BYTES - 1);
    return index;
}

static uint32_t free_slot(const struct sim_state *state) {
    for (uint32_t i = 0; i < SIM_CLIENTS; i++)
        if (!state->clients[i].in_use)
            return i;
    return SIM_NONE;
}

static int occupy(struct sim_gpu *gpu, uint32_t slot, const struct sim_terms *terms) {
    struct sim_state *state = gpu->state;
    struct sim_client *client = &state->clients[slot];

    if (gshare_sim_memory_used(state) + state->device.context_bytes > state->device.memory_bytes ||
        state->device.context_bytes > terms->memory_limit_bytes)
        return -ENOMEM;
    int error = gshare_sim_byte_take(gpu->lock_fd, slot);
    if (error)
        return error;
    memset(client, 0, sizeof *client);
    client->pid = (uint32_t)getpid();
    client->account = find_account(state, terms->label);
    client->cap_sms = terms->cap_sms;
    client->memory_limit_bytes = terms->memory_limit_bytes;
    client->memory_bytes = state->device.context_bytes;
    client->attached_ns = state->time_ns;
    if (slot >= state->client_high)
        state->client_high = slot + 1;
    client->in_use = 1;
    gpu->client = slot;
    return 0;
}

/* Takes a slot, with the memory of a context. -ENOMEM: the GPU is full; -EUSERS: no slot left. */
int gshare_sim_attach(struct sim_gpu *gpu, const struct sim_terms *terms) {
    gshare_sim_lock(gpu);
    gshare_sim_reap(gpu);
    uint32_t slot = free_slot(gpu->state);
    int error = slot == SIM_NONE ? -EUSERS : occupy(gpu, slot, terms);
    gshare_sim_unlock(gpu);
    return error;
}

void gshare_sim_detach(struct sim_gpu *gpu) {
    if (gpu->client == SIM_NONE)
        return;
    gshare_sim_lock(gpu);
    end_client(gpu->state, gpu->client);
    gshare_sim_byte_leave(gpu->lock_fd, gpu->client);
    gpu->client = SIM_NONE;
    gshare_sim_unlock(gpu);
}

uint64_t gshare_sim_memory_used(const struct sim_state *state) {
    uint64_t used = 0;

    for (uint32_t i = 0; i < state->client_high; i++)
        used += state->clients[i].in_use ? state->clients[i].memory_bytes : 0;
    return used + gshare_sim_shared_bytes(state, SIM_NONE);
}

uint64_t gshare_sim_memory_of(const struct sim_state *state, uint32_t client) {
    return state->clients[client].memory_bytes + gshare_sim_shared_bytes(state, client);
}

static uint64_t left_of(uint64_t limit, uint64_t used) {
    return used < limit ? limit - used : 0;
}

/* Shared memory that fell to us may have taken us above our limit. */
uint64_t gshare_sim_room(struct sim_gpu *gpu) {
    const struct sim_state *state = gpu->state;

    uint64_t device = left_of(state->device.memory_bytes, gshare_sim_memory_used(state));
    uint64_t own = left_of(state->clients[gpu->client].memory_limit_bytes,
                           gshare_sim_memory_of(state, gpu->client));
    return own < device ? own : device;
}

int gshare_sim_charge(struct sim_gpu *gpu, uint64_t bytes) {
    int error = 0;

    gshare_sim_lock(gpu);
    if (bytes > gshare_sim_room(gpu))
        gshare_sim_reap(gpu);
    if (bytes > gshare_sim_room(gpu))
        error = -ENOMEM;
    else
        gpu->state->clients[gpu->client].memory_bytes += bytes;
    gshare_sim_unlock(gpu);
    return error;
}

void gshare_sim_refund(struct sim_gpu *gpu, uint64_t bytes) {
    gshare_sim_lock(gpu);
    gpu->state->clients[gpu->client].memory_bytes -= bytes;
    gshare_sim_unlock(gpu);
}

void gshare_sim_pin(struct sim_gpu *gpu, int64_t bytes) {
    gshare_sim_lock(gpu);
    gpu->state->clients[gpu->client].host_bytes += (uint64_t)bytes;
    gshare_sim_unlock(gpu);
}
