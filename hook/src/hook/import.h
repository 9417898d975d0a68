/* Memory that another process or another API owns: counted apart, since its owner is charged. */
#ifndef GSHARE_IMPORT_H
#define GSHARE_IMPORT_H

/* The last context is gone, and with it what CUDA IPC had opened in any. */
void gshare_import_end_contexts(void);

void gshare_import_forget(void);

#endif
