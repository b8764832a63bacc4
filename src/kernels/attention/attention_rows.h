/* attention_rows.h - which keys a query sees, and how spans of keys are cut. */
#ifndef ZX_KERNELS_ATTENTION_ATTENTION_ROWS_H
#define ZX_KERNELS_ATTENTION_ATTENTION_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/batch.h"

enum { ZX_SPAN_TOKENS = ZX_SPAN_TILES * ZX_PAGE_TOKENS };

typedef struct zx_key_range {
    size_t first, end;
} zx_key_range;

/* The keys that the query at 'position' sees; never empty. */
static inline zx_key_range zx_visible_keys(size_t position, size_t window)
{
    const size_t end = position + 1;
    return (zx_key_range){window > 0 && end > window ? end - window : 0, end};
}

/* The part of a range inside [first, first + count), counted from there; {0, 0} when empty. */
static inline zx_key_range zx_clip_keys(zx_key_range keys, size_t first, size_t count)
{
    const size_t begin = keys.first > first ? keys.first - first : 0;
    const size_t end = keys.end > first ? keys.end - first : 0;
    const size_t stop = end < count ? end : count;
    return begin < stop ? (zx_key_range){begin, stop} : (zx_key_range){0, 0};
}

#endif
