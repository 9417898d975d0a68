/* Devices and their properties. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

static CUresult board_of(CUdevice ordinal, struct sim_board **board) {
    CUresult result = gshare_sim_ready();

    if (result)
        return result;
    *board = gshare_sim_board(ordinal);
    return *board ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetCount(int *count) {
    CUresult result = gshare_sim_ready();

    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *count = gshare_sim_board_count();
    return result;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    struct sim_board *board = NULL;
    CUresult result = board_of(ordinal, &board);

    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *device = ordinal;
    return result;
}

CUresult cuDeviceGetName(char *name, int length, CUdevice ordinal) {
    struct sim_board *board = NULL;
    CUresult result = board_of(ordinal, &board);

    if (!name || length <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (!result)
        snprintf(name, (size_t)length, "%s", board->gpu.state->device.name);
    return result;
}

/* The 16 bytes of a text like GPU-6b1f9e52-.... */
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice ordinal) {
    struct sim_board *board = NULL;
    CUresult result = board_of(ordinal, &board);
    size_t filled = 0;

    if (!uuid)
        return CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    memset(uuid, 0, sizeof *uuid);
    for (const char *at = board->gpu.state->device.uuid + strlen("GPU-"); at[0] && at[1];) {
        char pair[3] = {at[0], at[1], '\0'};
        if (*at == '-') {
            at++;
            continue;
        }
        if (filled == sizeof uuid->bytes)
            break;
        uuid->bytes[filled++] = (char)strtoul(pair, NULL, 16);
        at += 2;
    }
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice ordinal) {
    return cuDeviceGetUuid(uuid, ordinal);
}

CUresult cuDeviceGetLuid(char *luid, unsigned int *mask, CUdevice ordinal) {
    (void)luid;
    (void)mask;
    (void)ordinal;
    return CUDA_ERROR_NOT_SUPPORTED; /* a notion of another operating system */
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice ordinal) {
    struct sim_board *board = NULL;
    CUresult result = board_of(ordinal, &board);

    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *bytes = board->gpu.state->device.memory_bytes;
    return result;
}

CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice ordinal) {
    struct sim_board *board = NULL;
    CUresult result = board_of(ordinal, &board);

    if (!value || attribute < 1)
        return CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    const struct sim_device *device = &board->gpu.state->device;
    switch (attribute) {
#define ATTRIBUTE(number, expression)                                                              \
    case number:                                                                                   \
        *value = expression;                                                                       \
        break;
#include "attributes.def"
#undef ATTRIBUTE
    default:
        *value = 0;
    }
    return CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice ordinal) {
    CUresult result = cuDeviceGetAttribute(major, 75, ordinal);
    return result ? result : cuDeviceGetAttribute(minor, 76, ordinal);
}

static void bus_id(const struct sim_board *board, char text[16]) {
    snprintf(text, 16, "0000:%02X:00.0", (board->gpu.state->device.index + 1) & 0xff);
}

CUresult cuDeviceGetPCIBusId(char *text, int length, CUdevice ordinal) {
    struct sim_board *board = NULL;
    CUresult result = board_of(ordinal, &board);
    char id[16];

    if (!text || length < (int)sizeof "0000:00:00.0")
        return CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    bus_id(board, id);
    snprintf(text, (size_t)length, "%s", id);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetByPCIBusId(CUdevice *ordinal, const char *text) {
    char id[16];

    if (!ordinal || !text)
        return CUDA_ERROR_INVALID_VALUE;
    for (CUdevice i = 0; i < gshare_sim_board_count(); i++) {
        bus_id(gshare_sim_board(i), id);
        if (strcmp(id, text) != 0)
            continue;
        *ordinal = i;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice ordinal, CUdevice peer) {
    struct sim_board *board = NULL;
    CUresult result = board_of(ordinal, &board);

    if (!can)
        return CUDA_ERROR_INVALID_VALUE;
    *can = 0;
    return result ? result : board_of(peer, &board);
}

CUresult cuDeviceGetP2PAttribute(int *value, int attribute, CUdevice ordinal, CUdevice peer) {
    (void)attribute;
    return cuDeviceCanAccessPeer(value, ordinal, peer);
}

CUresult cuDeviceGetExecAffinitySupport(int *supported, int type, CUdevice ordinal) {
    struct sim_board *board = NULL;
    CUresult result = board_of(ordinal, &board);

    if (!supported)
        return CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *supported = type == 0 && board->gpu.state->device.mps;
    return result;
}
