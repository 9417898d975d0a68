/* Unix sockets in a folder given by descriptor: its path may be longer than an address can hold. */
#ifndef GSHARE_TOKEND_LISTENER_H
#define GSHARE_TOKEND_LISTENER_H

/* A listening, non-blocking SOCK_SEQPACKET socket in place of whatever has the name. Its
 * descriptor, or a negative errno. */
int gshare_listen(int folder, const char *name);

#endif
