/* The slow paths of the calls that occupy the GPU: wait at the gate, launch, leave. */
#ifndef GSHARE_LAUNCH_H
#define GSHARE_LAUNCH_H

#include "hook/driver_api.h"

/* Sanitizers see C only. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define GSHARE_STACKED_IN_ASSEMBLY
#endif

#define GSHARE_LAUNCH(symbol, base, since, streams, stream, weight, PARAMS, ARGS)                  \
    CUresult gshare_waiting_##symbol PARAMS;
#include "hook/symbols.def"

#endif
