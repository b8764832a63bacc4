/* spm_normalizer.c - one pass over the text; a chunk is a user-defined symbol, the longest
 * replacement of the map, or one character. */
#include "text/spm_normalizer.h"

#include <string.h>

#include "base/fail.h"
#include "text/unicode.h"

static const char meta_space[] = "\xE2\x96\x81";

typedef struct normalizing {
    const zx_spm_options *options;
    zx_normal *normal;
    bool after_space; /* the last thing written was a space, and spaces are merged */
    bool started;     /* something that is no space was written */
} normalizing;

/* What the text at 'at' becomes; returns how many bytes that takes. */
static size_t next_chunk(const normalizing *n, size_t at, zx_string_view *chunk)
{
    const char *const bytes = n->normal->bytes + at;
    const size_t left = n->normal->length - at;
    size_t used = 0;
    if (n->options->symbols.node_count > 0 &&
        zx_trie_longest(&n->options->symbols, bytes, left, &used) != ZX_TRIE_NONE) {
        *chunk = (zx_string_view){bytes, used};
        return used;
    }
    if (n->options->map != NULL && zx_charsmap_longest(n->options->map, bytes, left, &used, chunk))
        return used;
    uint32_t point;
    used = zx_utf8_next(bytes, &point);
    *chunk = (zx_string_view){bytes, used};
    return used;
}

static zmlx_status add_space(normalizing *n, size_t at)
{
    if (n->options->escape) return zx_normal_add(n->normal, at, meta_space, 3);
    return zx_normal_add(n->normal, at, " ", 1);
}

static zmlx_status add_chunk(normalizing *n, size_t at, zx_string_view chunk)
{
    const zx_spm_options *const options = n->options;
    for (size_t i = 0; i < chunk.length;) {
        const char *const bytes = chunk.bytes + i;
        if (*bytes == ' ') {
            i++;
            if (options->merge_spaces && (n->after_space || !n->started)) continue;
            ZX_TRY(add_space(n, at));
            n->after_space = true;
            continue;
        }
        const char *const space = memchr(bytes, ' ', chunk.length - i);
        const size_t count = space == NULL ? chunk.length - i : (size_t)(space - bytes);
        if (!n->started && options->merge_spaces && options->add_prefix && !options->suffix)
            ZX_TRY(add_space(n, at));
        ZX_TRY(zx_normal_add(n->normal, at, bytes, count));
        n->started = true;
        n->after_space = false;
        i += count;
    }
    return ZMLX_OK;
}

static void drop_last_spaces(zx_text *out, bool escape)
{
    const char *const space = escape ? meta_space : " ";
    const size_t width = escape ? 3 : 1;
    while (out->length >= width && memcmp(out->bytes + out->length - width, space, width) == 0)
        out->length -= width;
}

static zmlx_status run(const zx_part *part, zx_work *work)
{
    normalizing n = {.options = part->data, .normal = &work->normal};
    const zx_spm_options *const options = n.options;
    zx_text *out;
    if (work->normal.length == 0) return ZMLX_OK;
    ZX_TRY(zx_normal_begin(&work->normal, work->normal.length * 3 + 3, &out));
    if (options->add_prefix && !options->suffix && !options->merge_spaces) ZX_TRY(add_space(&n, 0));
    for (size_t at = 0; at < work->normal.length;) {
        zx_string_view chunk;
        const size_t used = next_chunk(&n, at, &chunk);
        ZX_TRY(add_chunk(&n, at, chunk));
        at += used;
    }
    if (options->merge_spaces) drop_last_spaces(out, options->escape);
    if (options->add_prefix && options->suffix && (n.started || !options->merge_spaces))
        ZX_TRY(add_space(&n, work->normal.length));
    zx_normal_commit(&work->normal);
    return ZMLX_OK;
}

const zx_part_row zx_spm_normalizer = {.type = "SentencePiece", .normalize = run};
