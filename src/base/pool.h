/* pool.h - the threads that run a kernel's parts.
 *
 * One thread calls zx_pool_run; it works too, as thread 0.  Workers spin for a bounded time after a
 * run, then sleep, so that back-to-back kernels cost a fraction of a microsecond and an idle or
 * oversubscribed machine none.  A run never waits for a worker that has not begun: parts are taken
 * from an atomic counter and the caller takes what no worker takes, so a worker whose core another
 * process holds delays only the part it has begun. */
#ifndef ZX_BASE_POOL_H
#define ZX_BASE_POOL_H

#include <stddef.h>

#include "zmlx/status.h"

typedef struct zx_pool zx_pool;

/* Runs part 'part' of 'parts'; 'thread' is below zx_pool_threads and never runs two parts at once.
 */
typedef void (*zx_part_fn)(const void *context, size_t part, size_t parts, size_t thread);

ZMLX_MUST_CHECK zmlx_status zx_pool_create(size_t threads, zx_pool **pool);
/* The same, but starts no thread: for counting what a pool of that size would need. */
ZMLX_MUST_CHECK zmlx_status zx_pool_create_unstarted(size_t threads, zx_pool **pool);
void zx_pool_destroy(zx_pool *pool);
size_t zx_pool_threads(const zx_pool *pool); /* 1 for NULL */

/* Runs all parts and returns when all are done; allocates nothing.  pool NULL runs them here. */
void zx_pool_run(zx_pool *pool, size_t parts, zx_part_fn run, const void *context);

/* How many cores this process may use (affinity and cgroup quota counted), at least 1. */
size_t zx_usable_cores(void);

/* [*first, *end) of 'count' items for this part, cut at multiples of 'step'. */
void zx_split(size_t count, size_t step, size_t part, size_t parts, size_t *first, size_t *end);

#endif
