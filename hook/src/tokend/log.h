/* One event a line to stderr, key=value. */
#ifndef GSHARE_TOKEND_LOG_H
#define GSHARE_TOKEND_LOG_H

#include <stdio.h>

#define gshare_log(format, ...) fprintf(stderr, "tokend " format "\n", ##__VA_ARGS__)

#endif
