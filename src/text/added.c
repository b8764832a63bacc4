/* added.c - a trie walked from each place.
 *
 * The first byte decides nearly always that no token begins here, so a text is passed at memory
 * speed; the work per place is bounded by the longest added token. */
#include "text/added.h"

#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/unicode.h"

void zx_added_fini(zx_added *added)
{
    zx_free(added->items);
    zx_vocabulary_fini(&added->names);
    zx_trie_fini(&added->exact);
    zx_trie_fini(&added->normalized);
    *added = (zx_added){0};
}

static int32_t next_id(const zx_added *added, const zx_vocabulary *vocabulary)
{
    const size_t model = vocabulary->count, largest = added->names.size;
    return (int32_t)(largest > model ? largest : model);
}

static bool same_options(const zx_added_token *a, const zx_added_token *b)
{
    return a->single_word == b->single_word && a->left == b->left && a->right == b->right &&
           a->normalized == b->normalized && a->special == b->special;
}

zmlx_status zx_added_add(zx_added *added, const zx_vocabulary *vocabulary, zx_added_token token)
{
    if (token.content.length == 0) return ZMLX_OK;
    const int32_t given = token.id;
    token.id = zx_vocabulary_find(&added->names, token.content.bytes, token.content.length);
    if (token.id >= 0) { /* a repetition: the last one's options count */
        for (size_t i = 0; i < added->count; i++) {
            if (added->items[i].id != token.id) continue;
            if (!same_options(&added->items[i], &token)) added->items[i] = token;
            return ZMLX_OK;
        }
    }
    token.id = zx_vocabulary_find(vocabulary, token.content.bytes, token.content.length);
    if (token.id < 0) token.id = given >= 0 ? given : next_id(added, vocabulary);
    bool fresh;
    ZX_TRY(zx_vocabulary_add(&added->names, token.content.bytes, token.content.length,
                             (uint32_t)token.id, &fresh));
    ZX_TRY(zx_grow(&added->items, &added->capacity, added->count + 1, sizeof *added->items,
                   "added tokens"));
    added->items[added->count++] = token;
    return ZMLX_OK;
}

static zmlx_status add_normalized(zx_added *added, const zx_part *normalizer, zx_arena *arena,
                                  size_t index, zx_work *work)
{
    zx_added_token *const token = &added->items[index];
    const zx_string_view content = token->content;
    work->normal.bytes = content.bytes;
    work->normal.length = content.length;
    if (!token->as_is) ZX_TRY(zx_normalize(normalizer, work));
    void *memory;
    ZX_TRY(zx_arena_alloc(arena, work->normal.length + 1, &memory));
    if (work->normal.length > 0) memcpy(memory, work->normal.bytes, work->normal.length);
    token->written = (zx_string_view){memory, work->normal.length};
    if (work->normal.length == 0) return ZMLX_OK;
    return zx_trie_add(&added->normalized, work->normal.bytes, work->normal.length, (int32_t)index,
                       false);
}

zmlx_status zx_added_finish(zx_added *added, const zx_part *normalizer, zx_arena *arena)
{
    zx_work work = {0};
    zmlx_status status = ZMLX_OK;
    /* Special tokens first: of two with the same form the first one counts. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < added->count && status == ZMLX_OK; i++) {
            zx_added_token *const token = &added->items[i];
            if (token->special != (pass == 0)) continue;
            token->written = token->content;
            if (token->normalized)
                status = add_normalized(added, normalizer, arena, i, &work);
            else
                status = zx_trie_add(&added->exact, token->content.bytes, token->content.length,
                                     (int32_t)i, false);
        }
    }
    zx_work_fini(&work);
    return status;
}

/* Whether the token at [start, end) stands alone: no word character touches it. */
static bool stands_alone(const char *bytes, size_t length, size_t start, size_t end)
{
    uint32_t point;
    if (start > 0) {
        zx_utf8_next(bytes + zx_utf8_before(bytes, start), &point);
        if (zx_is_word(point)) return false;
    }
    if (end == length) return true;
    zx_utf8_next(bytes + end, &point);
    return !zx_is_word(point);
}

/* Where the space before 'at' begins. */
static size_t space_before(const zx_added_search *search, size_t at)
{
    uint32_t point;
    while (at > search->done) {
        const size_t before = zx_utf8_before(search->bytes, at);
        zx_utf8_next(search->bytes + before, &point);
        if (!zx_is_space(point)) break;
        at = before;
    }
    return at > search->done ? at : search->done;
}

/* Where the space behind 'at' ends.  It is walked once, however many tokens ask. */
static size_t space_behind(zx_added_search *search, size_t at)
{
    uint32_t point;
    if (at < search->spaces) return search->spaces;
    while (at < search->length) {
        const size_t step = zx_utf8_next(search->bytes + at, &point);
        if (!zx_is_space(point)) break;
        at += step;
    }
    return search->spaces = at;
}

const zx_added_token *zx_added_next(zx_added_search *search, size_t *start, size_t *end)
{
    const zx_trie *const trie = search->trie;
    const char *const bytes = search->bytes;
    if (trie->node_count == 0) return NULL;
    while (search->at < search->length) {
        const size_t here = search->at;
        size_t matched = 0;
        const int32_t index =
            trie->root[(unsigned char)bytes[here]] == 0
                ? -1
                : zx_trie_longest(trie, bytes + here, search->length - here, &matched);
        search->at += index < 0 ? 1 : matched;
        if (index < 0) continue;
        const zx_added_token *const token = &search->added->items[index];
        *start = here;
        *end = search->at;
        if (token->single_word && !stands_alone(bytes, search->length, here, *end)) continue;
        if (token->left) *start = space_before(search, here);
        if (token->right) *end = space_behind(search, *end);
        if (*start >= *end) continue; /* the last one swallowed it */
        search->done = *end;
        return token;
    }
    return NULL;
}
