/* store.h - writing the cache: folders, locks, blobs under their digests, links, refs.
 *
 * The layout of hub/cache.h, with what its other writers agree on: a blob takes its name when it is
 * whole, under flock(2) of CACHE/.locks/models--ORG--NAME/ETAG.lock; a ref comes last. */
#ifndef ZX_HUB_STORE_H
#define ZX_HUB_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "hub/cache.h"
#include "hub/plan.h"

typedef struct zx_store {          /* {0} is empty */
    zx_text repo, snapshot, locks; /* folders */
} zx_store;

/* Makes the folders of the repository and of the commit. */
ZMLX_MUST_CHECK zmlx_status zx_store_open(const zx_hub_name *name, const char *commit,
                                          zx_store *store);
void zx_store_close(zx_store *store);

/* Whether the file stands in the snapshot with its size. */
ZMLX_MUST_CHECK zmlx_status zx_store_has(const zx_store *store, const zx_plan_file *file,
                                         bool *has);
/* Appends the path of the file's blob, or of its part as far as it came. */
ZMLX_MUST_CHECK zmlx_status zx_store_blob(const zx_store *store, const zx_plan_file *file,
                                          bool part, zx_text *path);
/* Fails where the disk has not that many bytes free. */
ZMLX_MUST_CHECK zmlx_status zx_store_check_space(const zx_store *store, size_t bytes);

/* Waits until no other process writes the blob, or 'stop' says so: *lock stays -1 then. */
ZMLX_MUST_CHECK zmlx_status zx_store_lock(const zx_store *store, const zx_plan_file *file,
                                          bool (*stop)(void *user), void *user, int *lock);
void zx_store_unlock(int lock);

/* Gives the part, on the disk by now, its name. */
ZMLX_MUST_CHECK zmlx_status zx_store_finish(const zx_store *store, const zx_plan_file *file);
/* Links the snapshot's file to its blob. */
ZMLX_MUST_CHECK zmlx_status zx_store_link(const zx_store *store, const zx_plan_file *file);
/* refs/REVISION holds the commit, as a whole or not at all. */
ZMLX_MUST_CHECK zmlx_status zx_store_set_ref(const zx_store *store, const char *revision,
                                             const char *commit);

#endif
