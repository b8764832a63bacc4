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
    token.id = zx_vocabulary_find(&added->names, token.content.bytes, token.content.length);
    if (token.id >= 0) { /* a repetition: the last one's options count */
        for (size_t i = 0; i < added->count; i++) {
            if (added->items[i].id != token.id) continue;
            if (!same_options(&added->items[i], &token)) added->items[i] = token;
            return ZMLX_OK;
        }
    }
    token.id = zx_vocabulary_find(vocabulary, token.content.bytes, token.content.length);
    if (token.id < 0) token.id = next_id(added, vocabulary);
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
    work->normal.length = work->normal.origin = content.length;
    ZX_TRY(zx_normalize(normalizer, work));
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

const zx_added_token *zx_added_next(const zx_added *added, const zx_trie *trie, const char *bytes,
                                    size_t length, size_t done, size_t *at, size_t *start,
                                    size_t *end)
{
    if (trie->node_count == 0) return NULL;
    uint32_t point;
    while (*at < length) {
        size_t matched = 0;
        const size_t here = *at;
        if (trie->root[(unsigned char)bytes[here]] == 0) {
            ++*at;
            continue;
        }
        const int32_t index = zx_trie_longest(trie, bytes + here, length - here, &matched);
        if (index < 0) {
            ++*at;
            continue;
        }
        *at = here + matched;
        const zx_added_token *const token = &added->items[index];
        if (token->single_word && !stands_alone(bytes, length, here, *at)) continue;
        *start = here;
        *end = *at;
        while (token->left && *start > done) {
            const size_t before = zx_utf8_before(bytes, *start);
            zx_utf8_next(bytes + before, &point);
            if (!zx_is_space(point)) break;
            *start = before;
        }
        while (token->right && *end < length) {
            const size_t step = zx_utf8_next(bytes + *end, &point);
            if (!zx_is_space(point)) break;
            *end += step;
        }
        return token;
    }
    return NULL;
}
