/* Physical memory (cuMemCreate) and where it is mapped. It is free again when its last handle is
 * released and its last mapping gone; it belongs to no context. */
#ifndef GSHARE_VIRTUAL_H
#define GSHARE_VIRTUAL_H

void gshare_virtual_forget(void);

#endif
