#include "kv/cache.h"

#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/region.h"

/* A layer's part of a page begins at a multiple of this, so that vector loads are aligned. */
enum { ALIGNMENT = 64 };

static zmlx_status too_large(const char *what)
{
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s exceed the address space", what);
}

/* Moves *offset behind a layer's keys or values of one page. */
static bool add_part(const zx_kv_layer *layer, size_t head_size, zx_dtype dtype, size_t *offset)
{
    size_t bytes = 0;
    if (!zx_multiply_fits(layer->kv_heads, head_size, &bytes) ||
        !zx_multiply_fits(bytes, ZX_PAGE_TOKENS * zx_dtypes[dtype].bytes, &bytes) ||
        !zx_add_fits(bytes, ALIGNMENT - 1, &bytes))
        return false;
    return zx_add_fits(*offset, bytes / ALIGNMENT * ALIGNMENT, offset);
}

/* Where the layers' parts begin within a page; 'placed' may be NULL. */
static zmlx_status place_layers(const zx_kv_layer layers[], size_t layer_count, zx_dtype dtype,
                                zx_kv_layer *placed, size_t *page_bytes)
{
    size_t offset = 0;
    for (size_t i = 0; i < layer_count; i++) {
        zx_kv_layer layer = layers[i];
        layer.keys_offset = offset;
        if (!add_part(&layer, layer.key_size, dtype, &offset)) return too_large("keys of a page");
        layer.values_offset = offset;
        if (!add_part(&layer, layer.value_size, dtype, &offset))
            return too_large("values of a page");
        if (placed != NULL) placed[i] = layer;
    }
    *page_bytes = offset;
    return ZMLX_OK;
}

zmlx_status zx_cache_page_bytes(const zx_kv_layer layers[], size_t layer_count, zx_dtype dtype,
                                size_t *bytes)
{
    return place_layers(layers, layer_count, dtype, NULL, bytes);
}

zmlx_status zx_cache_bytes(const zx_kv_layer layers[], size_t layer_count, zx_dtype dtype,
                           size_t pages, size_t *bytes)
{
    size_t all = 0, tables = 0;
    ZX_TRY(zx_cache_page_bytes(layers, layer_count, dtype, &all));
    ZX_TRY(zx_blocks_bytes(pages, &tables));
    if (!zx_multiply_fits(all, pages, &all) || !zx_add_fits(all, tables, &all) ||
        !zx_multiply_fits(layer_count + 1, sizeof *layers, &tables) ||
        !zx_add_fits(all, tables, bytes))
        return too_large("keys and values");
    return ZMLX_OK;
}

zmlx_status zx_cache_create(const zx_kv_layer layers[], size_t layer_count, zx_dtype dtype,
                            size_t pages, zx_cache *cache)
{
    *cache = (zx_cache){0};
    void *memory = NULL;
    ZX_TRY(zx_alloc_array(layer_count + 1, sizeof *layers, "cache layers", &memory));
    cache->layers = memory;
    size_t page_bytes = 0, bytes = 0;
    zmlx_status status = place_layers(layers, layer_count, dtype, cache->layers, &page_bytes);
    if (status == ZMLX_OK && !zx_multiply_fits(page_bytes, pages, &bytes))
        status = too_large("keys and values");
    cache->pages = (zx_kv_pages){NULL, page_bytes, pages, dtype, layer_count, cache->layers};
    if (status == ZMLX_OK) status = zx_blocks_create(pages, &cache->blocks);
    if (status == ZMLX_OK) status = zx_region_map(bytes, "keys and values", &memory);
    if (status == ZMLX_OK)
        cache->pages.memory = memory;
    else
        zx_cache_destroy(cache);
    return status;
}

void zx_cache_destroy(zx_cache *cache)
{
    zx_blocks_destroy(cache->blocks);
    zx_region_unmap(cache->pages.memory, cache->pages.page_bytes * cache->pages.page_count);
    zx_free(cache->layers);
    *cache = (zx_cache){0};
}

static size_t pages_for(size_t tokens)
{
    return tokens / ZX_PAGE_TOKENS + (tokens % ZX_PAGE_TOKENS != 0);
}

zmlx_status zx_sequence_bytes(size_t capacity, size_t *bytes)
{
    size_t items = 0;
    if (!zx_add_fits(capacity, pages_for(capacity) + 2, &items) ||
        !zx_multiply_fits(items, sizeof(int32_t), bytes))
        return too_large("a sequence's tokens");
    return ZMLX_OK;
}

zmlx_status zx_sequence_open(size_t capacity, uint64_t salt, zx_sequence *sequence)
{
    *sequence = (zx_sequence){.capacity = capacity, .salt = salt};
    void *memory = NULL;
    ZX_TRY(zx_alloc_array(capacity + 1, sizeof(int32_t), "a sequence's tokens", &memory));
    sequence->tokens = memory;
    const zmlx_status status =
        zx_alloc_array(pages_for(capacity) + 1, sizeof(int32_t), "a block table", &memory);
    if (status == ZMLX_OK) {
        sequence->table = memory;
    } else {
        zx_free(sequence->tokens);
        *sequence = (zx_sequence){0};
    }
    return status;
}

void zx_sequence_close(zx_cache *cache, zx_sequence *sequence)
{
    while (sequence->page_count > 0)
        zx_blocks_release(cache->blocks, sequence->table[--sequence->page_count]);
    zx_free(sequence->tokens);
    zx_free(sequence->table);
    *sequence = (zx_sequence){0};
}

void zx_sequence_reuse(zx_cache *cache, zx_sequence *sequence, const int32_t *ids, size_t count)
{
    assert(sequence->length == 0 && sequence->page_count == 0 && count <= sequence->capacity);
    while (count > 0 && sequence->length + ZX_PAGE_TOKENS <= count - 1) {
        const int32_t *tokens = ids + sequence->length;
        const zx_prefix longer =
            zx_blocks_find(cache->blocks, sequence->prefix, sequence->salt, tokens);
        if (longer.page == 0) break;
        zx_blocks_share(cache->blocks, longer.page);
        sequence->table[sequence->page_count++] = longer.page;
        sequence->prefix = longer;
        memcpy(sequence->tokens + sequence->length, tokens, ZX_PAGE_TOKENS * sizeof *tokens);
        sequence->length += ZX_PAGE_TOKENS;
        sequence->published++;
    }
}

zmlx_status zx_sequence_reserve(zx_cache *cache, zx_sequence *sequence, size_t count)
{
    if (count > sequence->capacity - sequence->length)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%zu tokens after %zu do not fit a sequence of %zu",
                       count, sequence->length, sequence->capacity);
    const size_t needed = pages_for(sequence->length + count);
    if (needed > sequence->page_count &&
        needed - sequence->page_count > zx_blocks_free_count(cache->blocks))
        return ZX_FAIL(ZMLX_ERROR_MEMORY,
                       "%zu more pages of keys and values needed, %zu free; use a larger context",
                       needed - sequence->page_count, zx_blocks_free_count(cache->blocks));
    while (sequence->page_count < needed)
        sequence->table[sequence->page_count++] = zx_blocks_take(cache->blocks);
    return ZMLX_OK;
}

void zx_sequence_trim(zx_cache *cache, zx_sequence *sequence)
{
    while (sequence->page_count > pages_for(sequence->length))
        zx_blocks_release(cache->blocks, sequence->table[--sequence->page_count]);
}

void zx_sequence_commit(zx_cache *cache, zx_sequence *sequence, const int32_t *ids, size_t count)
{
    assert(sequence->length + count <= sequence->page_count * ZX_PAGE_TOKENS);
    memcpy(sequence->tokens + sequence->length, ids, count * sizeof *ids);
    sequence->length += count;
    while ((sequence->published + 1) * ZX_PAGE_TOKENS <= sequence->length) {
        const size_t page = sequence->published++;
        sequence->prefix =
            zx_blocks_publish(cache->blocks, sequence->table[page], sequence->prefix,
                              sequence->salt, sequence->tokens + page * ZX_PAGE_TOKENS);
    }
}
