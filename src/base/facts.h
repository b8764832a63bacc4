/* facts.h - facts that outlive a process and that several processes share: verdicts, measured
 * choices, history.  One SQLite file in the user's cache folder; a key is unique in its space.
 *
 * Losing the file loses nothing but time: whoever reads it can find out again. */
#ifndef ZX_BASE_FACTS_H
#define ZX_BASE_FACTS_H

#include "base/text.h"

typedef struct zx_facts zx_facts;

/* Appends the path of the usual file: $ZMLX_STORE, or zmlx/store.sqlite below $XDG_CACHE_HOME or
 * ~/.cache; fails where none of the three is set. */
ZMLX_MUST_CHECK zmlx_status zx_facts_path(zx_text *path);

/* With 'create' the file and its folder are made where they are missing; else *facts is NULL then.
 * ZMLX_ERROR_IO names the file and what SQLite said. */
ZMLX_MUST_CHECK zmlx_status zx_facts_open(const char *path, bool create, zx_facts **facts);
void zx_facts_close(zx_facts *facts);

ZMLX_MUST_CHECK zmlx_status zx_facts_put(zx_facts *facts, const char *space, const char *key,
                                         const char *value);
/* Removes every key of the space that begins with 'prefix'. */
ZMLX_MUST_CHECK zmlx_status zx_facts_remove(zx_facts *facts, const char *space, const char *prefix);
/* Calls 'visit' with every key of the space that begins with 'prefix', in the order of keys. */
typedef zmlx_status (*zx_facts_visit)(const char *key, const char *value, void *user);
ZMLX_MUST_CHECK zmlx_status zx_facts_each(zx_facts *facts, const char *space, const char *prefix,
                                          zx_facts_visit visit, void *user);

/* All between them happens together or not at all. */
ZMLX_MUST_CHECK zmlx_status zx_facts_begin(zx_facts *facts);
ZMLX_MUST_CHECK zmlx_status zx_facts_commit(zx_facts *facts);

#endif
