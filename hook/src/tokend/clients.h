/* Processes of leases: accepted, welcomed, and cleared away when they are gone. */
#ifndef GSHARE_TOKEND_CLIENTS_H
#define GSHARE_TOKEND_CLIENTS_H

#include "server.h"

/* Takes one connection from a lease's listener. */
void gshare_clients_accept(struct gshare_server *server, struct gshare_source *source);
/* Frees what was closed. */
void gshare_clients_free(struct gshare_server *server);
/* Hangs up on processes of leases that are gone. */
void gshare_clients_follow_leases(struct gshare_server *server);
/* Hangs up on all; their slots stay, for the next daemon. */
void gshare_clients_close_all(struct gshare_server *server);

#endif
