/* The figures that memory queries show instead of the GPU's own. */
#ifndef GSHARE_QUERY_H
#define GSHARE_QUERY_H

#include <stdint.h>

/* Returns the cap in bytes, or 0 where none is in force. */
uint64_t gshare_query_cap(void);

/* Returns what the lease may still take. Asks first what pools and graphs keep unused. */
uint64_t gshare_query_free(uint64_t cap);

#endif
