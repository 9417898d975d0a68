/* When the timetable file is read: whenever it is not the one that was read last. */
#ifndef GSHARE_TOKEND_WATCH_H
#define GSHARE_TOKEND_WATCH_H

#include "server.h"

/* Has the kernel tell of changes to the timetable's folder, so that they are in force at once.
 * Where it cannot (too many watches), the looks that the server takes have to do. */
void gshare_watch_start(struct gshare_server *server);
/* Looks at the file; reads it if it has changed, or if a lease of it could not be opened lately. */
void gshare_watch_look(struct gshare_server *server);

#endif
