/* region.h - a large zeroed range of addresses whose memory the system gives when it is first
 * touched: pages for keys and values that no sequence has used cost nothing. */
#ifndef ZX_BASE_REGION_H
#define ZX_BASE_REGION_H

#include <stddef.h>

#include "zmlx/status.h"

/* Page-aligned; 'what' names it where the system refuses (ZMLX_ERROR_MEMORY). */
ZMLX_MUST_CHECK zmlx_status zx_region_map(size_t bytes, const char *what, void **memory);
void zx_region_unmap(void *memory, size_t bytes); /* NULL does nothing */

/* Bytes of memory this machine can still give (the control group's limit counted). */
size_t zx_memory_available(void);

/* The most memory this process has had resident so far, in bytes. */
size_t zx_memory_peak(void);

#endif
