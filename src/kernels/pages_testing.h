/* pages_testing.h - for tests: a cache of two layers (the second is used) and steps of several
 * sequences on it.  Page ids are permuted; what no step has written is NaN. */
#ifndef ZX_KERNELS_PAGES_TESTING_H
#define ZX_KERNELS_PAGES_TESTING_H

#include "kernels/rows_testing.h"

enum { TESTING_SEQUENCES = 4, TESTING_PAGES = 512, TESTING_TOKENS = 8192, TESTING_LAYER = 2 };

typedef struct testing_cache {
    zx_kv_pages kv;
    zx_kv_layer layers[TESTING_LAYER];
    zx_batch batch;
    size_t sequences;
    int32_t positions[TESTING_TOKENS];
    int32_t token_start[TESTING_SEQUENCES + 1], page_start[TESTING_SEQUENCES + 1];
    int32_t pages[TESTING_PAGES];
} testing_cache;

/* Room for 'lengths[s]' tokens of each sequence. */
static inline void testing_cache_open(zx_dtype dtype, zx_kv_layer shape, size_t sequences,
                                      const size_t *lengths, testing_cache *cache)
{
    size_t count = 0;
    cache->sequences = sequences;
    cache->page_start[0] = 0;
    for (size_t s = 0; s < sequences; s++) {
        count += (lengths[s] + ZX_PAGE_TOKENS - 1) / ZX_PAGE_TOKENS;
        cache->page_start[s + 1] = (int32_t)count;
    }
    for (size_t i = 0; i < count; i++) { /* page 0 is never handed out */
        const size_t other = zx_test_below(i + 1);
        cache->pages[i] = cache->pages[other];
        cache->pages[other] = (int32_t)(i + 1);
    }
    size_t offset = 64;
    for (size_t i = 0; i < TESTING_LAYER; i++) {
        const size_t bytes = zx_dtypes[dtype].bytes * ZX_PAGE_TOKENS * shape.kv_heads;
        cache->layers[i] = shape;
        cache->layers[i].keys_offset = offset;
        cache->layers[i].values_offset = offset + zx_round_up(bytes * shape.key_size, 64);
        offset = cache->layers[i].values_offset + zx_round_up(bytes * shape.value_size, 64);
    }
    cache->kv = (zx_kv_pages){.page_bytes = offset,
                              .page_count = count + 1,
                              .dtype = dtype,
                              .layer_count = TESTING_LAYER,
                              .layers = cache->layers};
    cache->kv.memory = testing_alloc(cache->kv.page_bytes * cache->kv.page_count);
}

static inline void testing_cache_close(testing_cache *cache)
{
    testing_free(cache->kv.memory);
}

/* The next step: tokens [from[s], to[s]) of every sequence.  Returns their number. */
static inline size_t testing_cache_step(testing_cache *cache, const size_t *from, const size_t *to)
{
    size_t tokens = 0;
    for (size_t s = 0; s < cache->sequences; s++) {
        cache->token_start[s] = (int32_t)tokens;
        for (size_t p = from[s]; p < to[s]; p++) cache->positions[tokens++] = (int32_t)p;
    }
    cache->token_start[cache->sequences] = (int32_t)tokens;
    cache->batch = (zx_batch){.tokens = tokens,
                              .sequences = cache->sequences,
                              .positions = cache->positions,
                              .token_start = cache->token_start,
                              .page_start = cache->page_start,
                              .pages = cache->pages};
    return tokens;
}

/* What the cache holds: element 'd' of the key or value of a position. */
static inline float testing_cached(const testing_cache *cache, bool value, size_t sequence,
                                   size_t head, size_t position, size_t d)
{
    const zx_kv_layer *layer = &cache->layers[TESTING_LAYER - 1];
    const size_t page =
        (size_t)cache->pages[(size_t)cache->page_start[sequence] + position / ZX_PAGE_TOKENS];
    const size_t slot = position % ZX_PAGE_TOKENS;
    const uint8_t *base = cache->kv.memory + page * cache->kv.page_bytes;
    if (value)
        return zx_load(cache->kv.dtype, base + layer->values_offset,
                       (head * ZX_PAGE_TOKENS + slot) * layer->value_size + d);
    return zx_load(cache->kv.dtype, base + layer->keys_offset,
                   (head * layer->key_size + d) * ZX_PAGE_TOKENS + slot);
}

#endif
