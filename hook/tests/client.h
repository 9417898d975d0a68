/* What the scenarios of OUT/tests/client share. */
#ifndef GSHARE_TEST_CLIENT_H
#define GSHARE_TEST_CLIENT_H

#include <stdio.h>

#include "fake_libcuda.h"
#include "hook/driver_api.h"

#define GSHARE_LAUNCH(symbol, base, since, streams, stream, weight, PARAMS, ARGS)                  \
    CUresult symbol PARAMS;
#define GSHARE_HOOKED(symbol, base, since, streams, PARAMS) CUresult symbol PARAMS;
#include "hook/symbols.def"
CUresult cuStreamCreate(CUstream *stream, unsigned int flags);

#define EXPECT(claim)                                                                              \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "client: %s:%d: not so: %s\n", __func__, __LINE__, #claim);            \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

int client_open_context(void);

/* client_memory.c: returns what the scenario returned, or 2 where there is none of that name. */
int client_memory(const char *scenario);

#endif
