/* Memory that another process or another API owns: counted apart, since its owner is charged. */
#ifndef GSHARE_IMPORT_H
#define GSHARE_IMPORT_H

void gshare_import_forget(void);

#endif
