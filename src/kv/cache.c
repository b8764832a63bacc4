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
static zmlx_status place_layers(const zx_cache_layers *layers, zx_dtype dtype, zx_kv_layer *placed,
                                size_t *page_bytes)
{
    size_t offset = 0;
    for (size_t i = 0; i < layers->kv_count; i++) {
        zx_kv_layer layer = layers->kv[i];
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

/* The same within a slot. */
static zmlx_status place_states(const zx_cache_layers *layers, zx_state_layer *placed,
                                size_t *slot_bytes)
{
    size_t offset = 0, bytes = 0;
    for (size_t i = 0; i < layers->state_count; i++) {
        const zx_state_layer layer = {layers->states[i].values, offset};
        if (!zx_multiply_fits(layer.values, sizeof(float), &bytes) ||
            !zx_add_fits(bytes, ALIGNMENT - 1, &bytes) ||
            !zx_add_fits(offset, bytes / ALIGNMENT * ALIGNMENT, &offset))
            return too_large("a sequence's states");
        if (placed != NULL) placed[i] = layer;
    }
    *slot_bytes = offset;
    return ZMLX_OK;
}

static zmlx_status measure(const zx_cache_layers *layers, zx_dtype dtype, const zx_cache_size *size,
                           zx_cache *cache)
{
    size_t bytes = 0;
    zx_kv_pages *const pages = &cache->pages;
    *pages = (zx_kv_pages){.page_count = size->pages,
                           .dtype = dtype,
                           .layer_count = layers->kv_count,
                           .layers = cache->layers};
    ZX_TRY(place_layers(layers, dtype, cache->layers, &pages->page_bytes));
    if (!zx_multiply_fits(pages->page_bytes, size->pages, &bytes))
        return too_large("keys and values");
    if (layers->state_count == 0) return ZMLX_OK;
    pages->states = (zx_state_slots){.slot_count = size->slots,
                                     .layer_count = layers->state_count,
                                     .layers = cache->state_layers};
    ZX_TRY(place_states(layers, cache->state_layers, &pages->states.slot_bytes));
    return zx_multiply_fits(pages->states.slot_bytes, size->slots, &bytes) ? ZMLX_OK
                                                                           : too_large("states");
}

zmlx_status zx_cache_measure(const zx_cache_layers *layers, zx_dtype dtype,
                             const zx_cache_size *size, zx_kv_pages *pages)
{
    zx_cache cache = {0};
    ZX_TRY(measure(layers, dtype, size, &cache));
    *pages = cache.pages;
    pages->layers = layers->kv;
    pages->states.layers = layers->states;
    return ZMLX_OK;
}

/* Slot 0 has no memory. */
static size_t bytes_of_slots(const zx_kv_pages *pages)
{
    const zx_state_slots *states = &pages->states;
    return states->slot_count > 0 ? states->slot_bytes * (states->slot_count - 1) : 0;
}

zmlx_status zx_cache_bytes(const zx_cache_layers *layers, zx_dtype dtype, const zx_cache_size *size,
                           size_t *bytes)
{
    zx_kv_pages pages;
    size_t blocks = 0, states = 0, kv_layers = 0, state_layers = 0;
    ZX_TRY(zx_cache_measure(layers, dtype, size, &pages));
    ZX_TRY(zx_blocks_bytes(size->pages, &blocks));
    bool fits = zx_multiply_fits(layers->kv_count + 1, sizeof(zx_kv_layer), &kv_layers);
    if (layers->state_count > 0) {
        ZX_TRY(zx_states_bytes(size->slots, size->pages, &states));
        fits = fits && zx_multiply_fits(layers->state_count, sizeof(zx_state_layer), &state_layers);
    }
    const size_t parts[] = {blocks, states, kv_layers, state_layers, bytes_of_slots(&pages)};
    *bytes = pages.page_bytes * pages.page_count;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        fits = fits && zx_add_fits(*bytes, parts[i], bytes);
    return fits ? ZMLX_OK : too_large("keys and values");
}

zmlx_status zx_cache_usual_slots(const zx_cache_layers *layers, zx_dtype dtype, size_t pages,
                                 size_t sequences, size_t *slots)
{
    enum { LEAST = 4, SHARE = 4 };
    const zx_cache_size size = {pages, 1};
    zx_kv_pages measured;
    *slots = 0;
    if (layers->state_count == 0) return ZMLX_OK;
    ZX_TRY(zx_cache_measure(layers, dtype, &size, &measured));
    const size_t each = measured.states.slot_bytes > 0 ? measured.states.slot_bytes : 1;
    size_t snapshots = measured.page_bytes * pages / SHARE / each;
    if (snapshots < LEAST) snapshots = LEAST;
    if (snapshots > pages) snapshots = pages;
    return zx_add_fits(snapshots, sequences, slots) && zx_add_fits(*slots, 1, slots)
               ? ZMLX_OK
               : too_large("states");
}

static zmlx_status create_states(const zx_cache_layers *layers, const zx_cache_size *size,
                                 zx_cache *cache)
{
    void *memory = NULL;
    if (layers->state_count == 0) return ZMLX_OK;
    ZX_TRY(zx_states_create(size->slots, size->pages, &cache->states));
    ZX_TRY(zx_region_map(bytes_of_slots(&cache->pages), "states", &memory));
    cache->pages.states.memory = memory;
    return ZMLX_OK;
}

static zmlx_status create(const zx_cache_layers *layers, zx_dtype dtype, const zx_cache_size *size,
                          zx_cache *cache)
{
    void *memory = NULL;
    ZX_TRY(zx_alloc_array(layers->kv_count + 1, sizeof(zx_kv_layer), "cache layers", &memory));
    cache->layers = memory;
    if (layers->state_count > 0) {
        ZX_TRY(zx_alloc_array(layers->state_count, sizeof(zx_state_layer), "states", &memory));
        cache->state_layers = memory;
    }
    ZX_TRY(measure(layers, dtype, size, cache));
    ZX_TRY(zx_blocks_create(size->pages, &cache->blocks));
    ZX_TRY(create_states(layers, size, cache));
    ZX_TRY(zx_region_map(cache->pages.page_bytes * size->pages, "keys and values", &memory));
    cache->pages.memory = memory;
    return ZMLX_OK;
}

zmlx_status zx_cache_create(const zx_cache_layers *layers, zx_dtype dtype,
                            const zx_cache_size *size, zx_cache *cache)
{
    *cache = (zx_cache){0};
    const zmlx_status status = create(layers, dtype, size, cache);
    if (status != ZMLX_OK) zx_cache_destroy(cache);
    return status;
}

void zx_cache_destroy(zx_cache *cache)
{
    zx_blocks_destroy(cache->blocks);
    zx_states_destroy(cache->states);
    zx_region_unmap(cache->pages.memory, cache->pages.page_bytes * cache->pages.page_count);
    zx_region_unmap(cache->pages.states.memory, bytes_of_slots(&cache->pages));
    zx_free(cache->layers);
    zx_free(cache->state_layers);
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

/* The slots that a step would have filled. */
static void drop_snapshots(zx_cache *cache, zx_sequence *sequence)
{
    while (sequence->snapshot_count > 0)
        zx_states_release(cache->states, sequence->snapshots[--sequence->snapshot_count].slot);
}

void zx_sequence_close(zx_cache *cache, zx_sequence *sequence)
{
    while (sequence->page_count > 0)
        zx_blocks_release(cache->blocks, sequence->table[--sequence->page_count]);
    drop_snapshots(cache, sequence);
    if (sequence->state != 0) zx_states_release(cache->states, sequence->state);
    zx_free(sequence->tokens);
    zx_free(sequence->table);
    *sequence = (zx_sequence){0};
}

static uint8_t *state_memory(const zx_cache *cache, int32_t slot)
{
    const zx_state_slots *states = &cache->pages.states;
    return states->memory + (size_t)(slot - 1) * states->slot_bytes;
}

/* Copies the page's snapshot into a slot of the sequence's own; false where none is left. */
static bool restore_state(zx_cache *cache, zx_sequence *sequence, int32_t page)
{
    zx_states_touch(cache->states, page);
    const int32_t own = zx_states_take(cache->states);
    const int32_t snapshot = zx_states_find(cache->states, page);
    if (own == 0) return false;
    if (snapshot == 0) { /* it was the only slot left, and is the sequence's now: as it lies */
        sequence->state = own;
        return true;
    }
    memcpy(state_memory(cache, own), state_memory(cache, snapshot), cache->pages.states.slot_bytes);
    sequence->state = own;
    return true;
}

/* Keeps the first 'count' of the pages that the sequence has taken over. */
static void keep_pages(zx_cache *cache, zx_sequence *sequence, size_t count, zx_prefix prefix)
{
    while (sequence->page_count > count)
        zx_blocks_release(cache->blocks, sequence->table[--sequence->page_count]);
    sequence->length = count * ZX_PAGE_TOKENS;
    sequence->published = count;
    sequence->prefix = prefix;
}

void zx_sequence_reuse(zx_cache *cache, zx_sequence *sequence, const int32_t *ids, size_t count)
{
    assert(sequence->length == 0 && sequence->page_count == 0 && count <= sequence->capacity);
    zx_prefix prefix = {0}, useful = {0};
    size_t useful_pages = 0;
    while (count > 0 && (sequence->page_count + 1) * ZX_PAGE_TOKENS <= count - 1) {
        const int32_t *tokens = ids + sequence->page_count * ZX_PAGE_TOKENS;
        prefix = zx_blocks_find(cache->blocks, prefix, sequence->salt, tokens);
        if (prefix.page == 0) break;
        zx_blocks_share(cache->blocks, prefix.page);
        sequence->table[sequence->page_count++] = prefix.page;
        if (cache->states != NULL && zx_states_find(cache->states, prefix.page) == 0) continue;
        useful = prefix;
        useful_pages = sequence->page_count;
    }
    if (cache->states != NULL && useful_pages > 0 && !restore_state(cache, sequence, useful.page))
        useful_pages = 0;
    keep_pages(cache, sequence, useful_pages, useful_pages > 0 ? useful : (zx_prefix){0});
    memcpy(sequence->tokens, ids, sequence->length * sizeof *ids);
}

/* A slot for the sequence's state, where it needs one. */
static zmlx_status reserve_state(zx_cache *cache, zx_sequence *sequence)
{
    if (sequence->torn)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                       "the sequence's state was lost in a step that failed; open it anew");
    if (cache->states == NULL || sequence->state != 0) return ZMLX_OK;
    sequence->state = zx_states_take(cache->states);
    if (sequence->state != 0) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "all %zu states are taken; close a sequence",
                   cache->pages.states.slot_count - 1);
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
    ZX_TRY(reserve_state(cache, sequence));
    while (sequence->page_count < needed) {
        const int32_t page = zx_blocks_take(cache->blocks);
        sequence->table[sequence->page_count++] = page;
        if (cache->states != NULL) zx_states_forget(cache->states, page);
    }
    return ZMLX_OK;
}

void zx_sequence_trim(zx_cache *cache, zx_sequence *sequence)
{
    while (sequence->page_count > pages_for(sequence->length))
        zx_blocks_release(cache->blocks, sequence->table[--sequence->page_count]);
    if (sequence->length > 0 || sequence->state == 0) return;
    zx_states_release(cache->states, sequence->state);
    sequence->state = 0;
}

/* The last page that the step completes; where the step ends with it also the one before: a prompt
 * that is repeated must find one that leaves a token to compute. */
void zx_sequence_plan_snapshots(zx_cache *cache, zx_sequence *sequence, size_t count)
{
    const size_t end = sequence->length + count, first = sequence->length / ZX_PAGE_TOKENS;
    size_t full = end / ZX_PAGE_TOKENS;
    size_t wanted = end % ZX_PAGE_TOKENS == 0 ? ZX_STEP_SNAPSHOTS : 1;
    if (cache->states == NULL) return;
    sequence->rolling = count == 1;
    for (; full > first && wanted > 0; wanted--) {
        const int32_t slot = zx_states_take(cache->states);
        if (slot == 0) return;
        full--;
        sequence->snapshots[sequence->snapshot_count].page = full;
        sequence->snapshots[sequence->snapshot_count++].slot = slot;
    }
}

/* The page just published: its snapshot is kept, if the step left one. */
static void keep_snapshot(zx_cache *cache, zx_sequence *sequence, size_t page)
{
    for (size_t i = 0; i < sequence->snapshot_count; i++) {
        if (sequence->snapshots[i].page != page) continue;
        const int32_t slot = sequence->snapshots[i].slot, at = sequence->prefix.page;
        if (sequence->rolling && sequence->rolling_slot != 0)
            zx_states_replace(cache->states, sequence->rolling_slot, sequence->rolling_page);
        sequence->rolling_page = at;
        sequence->rolling_slot = 0;
        if (sequence->rolling)
            sequence->rolling_slot = zx_states_roll(cache->states, slot, at);
        else
            zx_states_keep(cache->states, slot, at);
        sequence->snapshots[i] = sequence->snapshots[--sequence->snapshot_count];
        return;
    }
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
        keep_snapshot(cache, sequence, page);
    }
}

void zx_sequence_tear(zx_cache *cache, zx_sequence *sequence)
{
    drop_snapshots(cache, sequence);
    sequence->torn = sequence->state != 0;
}
