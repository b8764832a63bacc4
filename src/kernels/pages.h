/* pages.h - where the keys and values of a token lie (the layout is that of tensor/batch.h). */
#ifndef ZX_KERNELS_PAGES_H
#define ZX_KERNELS_PAGES_H

#include <assert.h>

#include "kernels/kernels.h"

static inline const zx_kv_layer *zx_launch_layer(const zx_launch *launch)
{
    const size_t layer = launch->attributes->layer;
    assert(layer > 0 && layer <= launch->kv->layer_count);
    return &launch->kv->layers[layer - 1];
}

/* The page that holds the token of that position. */
static inline uint8_t *zx_page_of(const zx_launch *launch, size_t sequence, size_t position)
{
    const zx_batch *batch = launch->batch;
    const size_t entry = (size_t)batch->page_start[sequence] + position / ZX_PAGE_TOKENS;
    assert(entry < (size_t)batch->page_start[sequence + 1]);
    const size_t page = (size_t)batch->pages[entry];
    assert(page < launch->kv->page_count);
    return launch->kv->memory + page * launch->kv->page_bytes;
}

/* [key_size][ZX_PAGE_TOKENS] of one head */
static inline void *zx_page_keys(const zx_launch *launch, const zx_kv_layer *layer, uint8_t *page,
                                 size_t head)
{
    const size_t bytes = zx_dtypes[launch->kv->dtype].bytes;
    return page + layer->keys_offset + head * layer->key_size * ZX_PAGE_TOKENS * bytes;
}

/* [ZX_PAGE_TOKENS][value_size] of one head */
static inline void *zx_page_values(const zx_launch *launch, const zx_kv_layer *layer, uint8_t *page,
                                   size_t head)
{
    const size_t bytes = zx_dtypes[launch->kv->dtype].bytes;
    return page + layer->values_offset + head * layer->value_size * ZX_PAGE_TOKENS * bytes;
}

/* The sequence of a token, found from one that is not behind it. */
static inline size_t zx_sequence_of(const zx_batch *batch, size_t token, size_t sequence)
{
    while (token >= (size_t)batch->token_start[sequence + 1]) sequence++;
    return sequence;
}

#endif
