/* cache.h - the keys and values of all sequences: a pool of pages, and each sequence's table of
 * them.
 *
 * A sequence that begins like an earlier one starts with the earlier one's full pages.
 * Pages of unused capacity cost no memory. */
#ifndef ZX_KV_CACHE_H
#define ZX_KV_CACHE_H

#include "kv/blocks.h"
#include "tensor/batch.h"

typedef struct zx_cache {
    zx_kv_pages pages;
    zx_blocks *blocks;
    zx_kv_layer *layers;
} zx_cache;

typedef struct zx_sequence { /* {0} is no sequence */
    int32_t *tokens;         /* [capacity]; those whose keys and values are in the pages */
    int32_t *table;          /* [capacity / ZX_PAGE_TOKENS, rounded up] */
    size_t length, capacity; /* tokens */
    size_t page_count, published;
    zx_prefix prefix; /* what the published pages together are known as */
    uint64_t salt;
    size_t rope_length; /* for which the rope is meant, 0: the general one; engine/ropes.h */
} zx_sequence;

/* A layer's heads and sizes, as the graph needs them; offsets are filled in here. */
ZMLX_MUST_CHECK zmlx_status zx_cache_create(const zx_kv_layer layers[], size_t layer_count,
                                            zx_dtype dtype, size_t pages, zx_cache *cache);
void zx_cache_destroy(zx_cache *cache);

/* Bytes of a page of all layers; ZMLX_ERROR_MEMORY where they exceed the address space. */
ZMLX_MUST_CHECK zmlx_status zx_cache_page_bytes(const zx_kv_layer layers[], size_t layer_count,
                                                zx_dtype dtype, size_t *bytes);

/* What zx_cache_create takes: the pages, and the tables that say what they are. */
ZMLX_MUST_CHECK zmlx_status zx_cache_bytes(const zx_kv_layer layers[], size_t layer_count,
                                           zx_dtype dtype, size_t pages, size_t *bytes);

/* What zx_sequence_open takes. */
ZMLX_MUST_CHECK zmlx_status zx_sequence_bytes(size_t capacity, size_t *bytes);

/* Opens an empty sequence of at most 'capacity' tokens. */
ZMLX_MUST_CHECK zmlx_status zx_sequence_open(size_t capacity, uint64_t salt, zx_sequence *sequence);
void zx_sequence_close(zx_cache *cache, zx_sequence *sequence);

/* Takes over pages that hold a prefix of these ids, but not all of them: at least one token is left
 * to compute. The sequence must be empty; its length is then the number of tokens found. */
void zx_sequence_reuse(zx_cache *cache, zx_sequence *sequence, const int32_t *ids, size_t count);

/* Makes room for 'count' more tokens; ZMLX_ERROR_MEMORY, and nothing changes, where pages run out.
 */
ZMLX_MUST_CHECK zmlx_status zx_sequence_reserve(zx_cache *cache, zx_sequence *sequence,
                                                size_t count);

/* Gives up reserved room beyond the sequence's tokens. */
void zx_sequence_trim(zx_cache *cache, zx_sequence *sequence);

/* Says that a step has computed these tokens into the reserved room; full pages can be found from
 * now on. */
void zx_sequence_commit(zx_cache *cache, zx_sequence *sequence, const int32_t *ids, size_t count);

#endif
