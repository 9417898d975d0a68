/* Memory that graphs own: allocation nodes, added by hand or by capture.
 *
 * The driver backs them when an executable graph is first uploaded or launched, and keeps the
 * memory until cuDeviceGraphMemTrim. We count an executable graph when it is instantiated, by the
 * most that its nodes hold at once in the order of their making; where the driver says that it has
 * reserved more than the executable graphs that live need, that counts. */
#ifndef GSHARE_GRAPH_MEMORY_H
#define GSHARE_GRAPH_MEMORY_H

#include <stdbool.h>

#include "hook/driver_api.h"

/* True where calls on `stream` become nodes of a graph. Costs nothing before the first capture. */
bool gshare_graph_memory_captures(CUstream stream);

/* Has the driver give back what no executable graph needs; false where there can be none. */
bool gshare_graph_memory_reclaim(void);

/* Asks the driver what graphs have reserved. */
void gshare_graph_memory_refresh(void);

void gshare_graph_memory_forget(void);

#endif
