/* memory_layout.h - where values lie that are not alive at the same time: offsets in one block, so
 * that the block is small. */
#ifndef ZX_ENGINE_MEMORY_LAYOUT_H
#define ZX_ENGINE_MEMORY_LAYOUT_H

#include <stddef.h>

#include "zmlx/status.h"

typedef struct zx_span_of_life {
    size_t bytes;
    size_t first, last; /* steps: written in 'first', read up to 'last', both included */
    size_t offset;      /* the result, a multiple of 64 */
} zx_span_of_life;

/* Places the largest values first, each at the lowest offset that no value alive with it covers;
 * 'total' is the size of the block. */
ZMLX_MUST_CHECK zmlx_status zx_memory_layout(zx_span_of_life values[], size_t count, size_t *total);

#endif
