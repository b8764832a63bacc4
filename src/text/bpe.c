/* bpe.c - byte pair encoding: the neighbours whose merge has the lowest rank become one, the
 * leftmost first, until none can.
 *
 * A short piece is an array in which the lowest rank is searched; a long one is a linked list with
 * a heap of (rank, place), so a piece of n characters costs n log n.  Both give the same ids.
 * A heap entry is stale when the rank kept at its place has changed. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/model.h"
#include "text/unicode.h"

enum { MERGE_BATCH = 64, SHORT_PIECE = 24 };

static const uint32_t no_rank = UINT32_MAX, no_place = UINT32_MAX;

static size_t home(const zx_model *model, uint64_t key)
{
    return (size_t)(((key ^ model->pair_seed) * 0x9E3779B97F4A7C15u) >> 32) &
           (model->pair_slots - 1);
}

static uint64_t key_of(int32_t left, int32_t right)
{
    return ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) + 1;
}

static const zx_pair *find_pair(const zx_model *model, int32_t left, int32_t right)
{
    const uint64_t key = key_of(left, right);
    for (size_t at = home(model, key);; at = (at + 1) & (model->pair_slots - 1)) {
        const zx_pair *const pair = &model->pairs[at];
        if (pair->key == key) return pair;
        if (pair->key == 0) return NULL;
    }
}

static zmlx_status grow_pairs(zx_model *model, size_t count)
{
    size_t slots = 64;
    while (slots / 3 * 2 < count) slots *= 2;
    if (slots <= model->pair_slots) return ZMLX_OK;
    if (model->pair_slots == 0) model->pair_seed = zx_random_seed();
    void *memory;
    ZX_TRY(zx_alloc_array(slots, sizeof(zx_pair), "merges", &memory));
    zx_pair *const old = model->pairs;
    const size_t old_slots = model->pair_slots;
    model->pairs = memory;
    model->pair_slots = slots;
    for (size_t i = 0; i < old_slots; i++) {
        if (old[i].key == 0) continue;
        size_t at = home(model, old[i].key);
        while (model->pairs[at].key != 0) at = (at + 1) & (slots - 1);
        model->pairs[at] = old[i];
    }
    zx_free(old);
    return ZMLX_OK;
}

/* A pair that comes twice keeps its later rank, as in the format's own reader. */
static void put_pair(zx_model *model, int32_t left, int32_t right, uint32_t rank, int32_t merged)
{
    const uint64_t key = key_of(left, right);
    size_t at = home(model, key);
    while (model->pairs[at].key != 0 && model->pairs[at].key != key)
        at = (at + 1) & (model->pair_slots - 1);
    if (model->pairs[at].key == 0) model->pair_count++;
    model->pairs[at] = (zx_pair){key, rank, merged};
}

static zmlx_status refuse_merge(const char *source, const zx_merge *merge)
{
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: merge \"%.*s\" with \"%.*s\": the vocabulary lacks one of the two or "
                   "what they become",
                   source, (int)(merge->left.length < 64 ? merge->left.length : 64),
                   merge->left.bytes, (int)(merge->right.length < 64 ? merge->right.length : 64),
                   merge->right.bytes);
}

/* Whether the token with this id is what the merge makes. */
static bool is_joined(const zx_model *model, int32_t id, const zx_merge *merge, size_t cut)
{
    if (id < 0 || (size_t)id >= model->vocabulary.size) return false;
    const zx_string_view token = model->vocabulary.tokens[id];
    const size_t left = merge->left.length;
    return token.bytes != NULL && merge->right.length >= cut &&
           token.length == left + merge->right.length - cut &&
           memcmp(token.bytes, merge->left.bytes, left) == 0 &&
           memcmp(token.bytes + left, merge->right.bytes + cut, token.length - left) == 0;
}

/* The id of what a merge makes.  Mostly it is the one of the merge before or the next. */
static zmlx_status find_joined(zx_model *model, const zx_merge *merge, int32_t *id)
{
    const size_t cut = model->prefix.length;
    for (int32_t guess = model->last_merged; guess <= model->last_merged + 1; guess++) {
        *id = guess;
        if (is_joined(model, guess, merge, cut)) return ZMLX_OK;
    }
    const size_t skipped = merge->right.length < cut ? merge->right.length : cut;
    zx_text *const text = &model->joined;
    zx_text_clear(text);
    ZX_TRY(zx_text_add(text, merge->left.bytes, merge->left.length));
    ZX_TRY(zx_text_add(text, merge->right.bytes + skipped, merge->right.length - skipped));
    *id =
        zx_vocabulary_find(&model->vocabulary, text->length == 0 ? "" : text->bytes, text->length);
    return ZMLX_OK;
}

static zmlx_status add_batch(zx_model *model, const char *source, const zx_merge *merges,
                             size_t count, bool lenient)
{
    zx_string_view texts[2 * MERGE_BATCH] = {{0}};
    int32_t ids[2 * MERGE_BATCH], joined[MERGE_BATCH];
    for (size_t i = 0; i < count; i++) {
        texts[2 * i] = merges[i].left;
        texts[2 * i + 1] = merges[i].right;
    }
    zx_vocabulary_find_many(&model->vocabulary, texts, 2 * count, ids);
    for (size_t i = 0; i < count; i++) {
        ZX_TRY(find_joined(model, &merges[i], &joined[i]));
        if (joined[i] >= 0) model->last_merged = joined[i];
        __builtin_prefetch(&model->pairs[home(model, key_of(ids[2 * i], ids[2 * i + 1]))], 1);
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t rank = model->ranks++;
        if (ids[2 * i] >= 0 && ids[2 * i + 1] >= 0 && joined[i] >= 0)
            put_pair(model, ids[2 * i], ids[2 * i + 1], rank, joined[i]);
        else if (!lenient)
            return refuse_merge(source, &merges[i]);
    }
    return ZMLX_OK;
}

zmlx_status zx_bpe_put_merge(zx_model *model, int32_t left, int32_t right, uint32_t rank,
                             int32_t merged)
{
    if (model->pair_count + 1 > model->pair_slots / 3 * 2)
        ZX_TRY(grow_pairs(model, model->pair_count * 2 + 1));
    put_pair(model, left, right, rank, merged);
    return ZMLX_OK;
}

zmlx_status zx_bpe_expect_merges(zx_model *model, size_t count)
{
    return grow_pairs(model, count);
}

zmlx_status zx_bpe_add_merges(zx_model *model, const char *source, const zx_merge *merges,
                              size_t count, bool lenient)
{
    size_t wanted = model->pair_count + count;
    if (wanted > model->pair_slots / 3 * 2 && model->pair_slots > 0) wanted *= 2;
    ZX_TRY(grow_pairs(model, wanted));
    for (size_t at = 0; at < count; at += MERGE_BATCH)
        ZX_TRY(add_batch(model, source, merges + at,
                         count - at < MERGE_BATCH ? count - at : MERGE_BATCH, lenient));
    return ZMLX_OK;
}

void zx_model_find_bytes(zx_model *model)
{
    for (int i = 0; i < 256; i++) {
        char text[8];
        const int length = snprintf(text, sizeof text, "<0x%02X>", (unsigned)i);
        model->bytes[i] = zx_vocabulary_find(&model->vocabulary, text, (size_t)length);
    }
}

static bool has_bytes(const zx_model *model, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (model->bytes[(unsigned char)bytes[i]] < 0) return false;
    return true;
}

zmlx_status zx_model_add_bytes(const zx_model *model, const char *bytes, size_t length, zx_ids *ids,
                               bool *added)
{
    *added = model->byte_fallback && has_bytes(model, bytes, length);
    for (size_t i = 0; i < length && *added; i++)
        ZX_TRY(zx_ids_add(ids, model->bytes[(unsigned char)bytes[i]]));
    return ZMLX_OK;
}

static zmlx_status prepare(zx_model *model, const char *source)
{
    (void)source;
    zx_text_fini(&model->joined);
    ZX_TRY(grow_pairs(model, 1));
    zx_model_find_bytes(model);
    for (uint32_t i = 0; i < sizeof model->points / sizeof *model->points; i++) {
        char text[4];
        const size_t length = zx_utf8_encode(i, text);
        model->points[i] = zx_vocabulary_find(&model->vocabulary, text, length);
    }
    if (model->unknown_token.bytes != NULL)
        model->unknown = zx_vocabulary_find(&model->vocabulary, model->unknown_token.bytes,
                                            model->unknown_token.length);
    return ZMLX_OK;
}

/* The symbols of a piece as they are collected. */
typedef struct symbols {
    const zx_model *model;
    zx_work *work;
    size_t count;
    bool unknown_open; /* an unknown token that the next known one will push out */
} symbols;

static zmlx_status add_symbol(symbols *list, int32_t id)
{
    zx_work *const work = list->work;
    if (list->count == work->symbol_capacity)
        ZX_TRY(zx_grow(&work->symbols, &work->symbol_capacity, list->count + 1,
                       sizeof *work->symbols, "symbols"));
    work->symbols[list->count++].id = id;
    return ZMLX_OK;
}

static zmlx_status close_unknown(symbols *list)
{
    if (!list->unknown_open) return ZMLX_OK;
    list->unknown_open = false;
    return add_symbol(list, list->model->unknown);
}

/* A character that is no token: its bytes, or the unknown token, or nothing. */
static zmlx_status add_unknown(symbols *list, const char *bytes, size_t length)
{
    const zx_model *const model = list->model;
    if (model->byte_fallback && has_bytes(model, bytes, length)) {
        for (size_t i = 0; i < length; i++)
            ZX_TRY(add_symbol(list, model->bytes[(unsigned char)bytes[i]]));
        return ZMLX_OK;
    }
    if (model->unknown_token.bytes == NULL) return ZMLX_OK;
    if (model->unknown < 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "the text needs the unknown token \"%.*s\", which the vocabulary lacks",
                       (int)model->unknown_token.length, model->unknown_token.bytes);
    if (!model->fuse_unknown) ZX_TRY(close_unknown(list));
    list->unknown_open = true;
    return ZMLX_OK;
}

/* A character with the prefix of all but the first and the suffix of the last. */
static zmlx_status add_decorated(symbols *list, const char *bytes, size_t length, bool first,
                                 bool last)
{
    const zx_model *const model = list->model;
    zx_text *const text = &list->work->scratch;
    zx_text_clear(text);
    if (!first) ZX_TRY(zx_text_add(text, model->prefix.bytes, model->prefix.length));
    ZX_TRY(zx_text_add(text, bytes, length));
    if (last) ZX_TRY(zx_text_add(text, model->suffix.bytes, model->suffix.length));
    const int32_t id = zx_vocabulary_find(&model->vocabulary, text->bytes, text->length);
    if (id < 0) return add_unknown(list, text->bytes, text->length);
    ZX_TRY(close_unknown(list));
    return add_symbol(list, id);
}

static zmlx_status collect(symbols *list, const char *bytes, size_t length)
{
    const zx_model *const model = list->model;
    const bool decorated = model->prefix.length > 0 || model->suffix.length > 0;
    for (size_t at = 0; at < length;) {
        uint32_t point;
        const size_t step = zx_utf8_next(bytes + at, &point);
        const size_t next = at + step;
        if (decorated) {
            ZX_TRY(add_decorated(list, bytes + at, step, at == 0, next == length));
        } else {
            const int32_t id = point < sizeof model->points / sizeof *model->points
                                   ? model->points[point]
                                   : zx_vocabulary_find(&model->vocabulary, bytes + at, step);
            if (id < 0) {
                ZX_TRY(add_unknown(list, bytes + at, step));
            } else {
                ZX_TRY(close_unknown(list));
                ZX_TRY(add_symbol(list, id));
            }
        }
        at = next;
    }
    return close_unknown(list);
}

static void set_merge(const zx_model *model, zx_symbol *symbol, int32_t right)
{
    const zx_pair *const pair = find_pair(model, symbol->id, right);
    symbol->rank = pair == NULL ? no_rank : pair->rank;
    if (pair != NULL) symbol->merged = pair->merged;
}

static size_t merge_short(const zx_model *model, zx_symbol *list, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) set_merge(model, &list[i], list[i + 1].id);
    list[count - 1].rank = no_rank;
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i < count; i++)
            if (list[i].rank < list[best].rank) best = i;
        if (list[best].rank == no_rank) return count;
        list[best].id = list[best].merged;
        count--;
        memmove(&list[best + 1], &list[best + 2], (count - best - 1) * sizeof *list);
        if (best + 1 < count)
            set_merge(model, &list[best], list[best + 1].id);
        else
            list[best].rank = no_rank;
        if (best > 0) set_merge(model, &list[best - 1], list[best].id);
    }
}

static zmlx_status push(zx_work *work, size_t *count, uint32_t rank, uint32_t place)
{
    if (*count == work->heap_capacity)
        ZX_TRY(zx_grow(&work->heap, &work->heap_capacity, *count + 1, sizeof *work->heap, "heap"));
    const uint64_t entry = (uint64_t)rank << 32 | place;
    size_t at = (*count)++;
    for (; at > 0 && work->heap[(at - 1) / 2] > entry; at = (at - 1) / 2)
        work->heap[at] = work->heap[(at - 1) / 2];
    work->heap[at] = entry;
    return ZMLX_OK;
}

static uint64_t pop(zx_work *work, size_t *count)
{
    uint64_t *const heap = work->heap;
    const uint64_t top = heap[0], last = heap[--*count];
    size_t at = 0;
    for (size_t child = 1; child < *count; child = at * 2 + 1) {
        if (child + 1 < *count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= last) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

static zmlx_status refresh(const zx_model *model, zx_work *work, uint32_t place, size_t *heap_count)
{
    zx_symbol *const symbol = &work->symbols[place];
    symbol->rank = no_rank;
    if (symbol->next == no_place) return ZMLX_OK;
    set_merge(model, symbol, work->symbols[symbol->next].id);
    return symbol->rank == no_rank ? ZMLX_OK : push(work, heap_count, symbol->rank, place);
}

static zmlx_status merge_long(const zx_model *model, zx_work *work, size_t count)
{
    zx_symbol *const list = work->symbols;
    size_t heap_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        list[i].previous = i == 0 ? no_place : i - 1;
        list[i].next = i + 1 == count ? no_place : i + 1;
    }
    for (uint32_t i = 0; i < count; i++) ZX_TRY(refresh(model, work, i, &heap_count));
    while (heap_count > 0) {
        const uint64_t entry = pop(work, &heap_count);
        const uint32_t place = (uint32_t)entry;
        zx_symbol *const symbol = &list[place];
        if (symbol->rank != (uint32_t)(entry >> 32)) continue;
        zx_symbol *const right = &list[symbol->next];
        symbol->id = symbol->merged;
        symbol->next = right->next;
        right->rank = no_rank;
        if (right->next != no_place) list[right->next].previous = place;
        ZX_TRY(refresh(model, work, place, &heap_count));
        if (symbol->previous != no_place)
            ZX_TRY(refresh(model, work, symbol->previous, &heap_count));
    }
    return ZMLX_OK;
}

static zmlx_status encode(const zx_model *model, zx_work *work, const char *bytes, size_t length,
                          zx_ids *ids)
{
    if (length == 0) return ZMLX_OK;
    if (model->ignore_merges) {
        const int32_t id = zx_vocabulary_find(&model->vocabulary, bytes, length);
        if (id >= 0) return zx_ids_add(ids, id);
    }
    symbols list = {.model = model, .work = work};
    ZX_TRY(collect(&list, bytes, length));
    size_t count = list.count;
    if (count == 0) return ZMLX_OK;
    if (count <= SHORT_PIECE) {
        count = merge_short(model, work->symbols, count);
        for (size_t i = 0; i < count; i++) ZX_TRY(zx_ids_add(ids, work->symbols[i].id));
        return ZMLX_OK;
    }
    ZX_TRY(merge_long(model, work, count));
    for (uint32_t i = 0; i != no_place; i = work->symbols[i].next)
        ZX_TRY(zx_ids_add(ids, work->symbols[i].id));
    return ZMLX_OK;
}

const zx_model_row zx_model_bpe = {"BPE", prepare, encode};
