/* split.c - a piece becomes a row of segments, matches and gaps in turn; the behavior says which
 * neighbours stay together.  One segment is held back ('open') until the next one is known. */
#include "text/split.h"

#include <string.h>

#include "base/fail.h"

typedef struct splitting {
    zx_work *work;
    const zx_piece *piece;
    uint32_t behavior;
    bool invert;
    bool has_open, last_match;
    size_t open_start, open_end;
} splitting;

static zmlx_status flush(splitting *s)
{
    if (!s->has_open) return ZMLX_OK;
    s->has_open = false;
    return zx_work_cut(s->work,
                       zx_piece_part(s->piece, s->open_start, s->open_end - s->open_start));
}

static bool joins(const splitting *s, bool match)
{
    if (!s->has_open) return false;
    if (s->behavior == ZX_CONTIGUOUS) return match == s->last_match;
    if (s->behavior == ZX_MERGED_WITH_PREVIOUS) return match && !s->last_match;
    return s->behavior == ZX_MERGED_WITH_NEXT && !match && s->last_match;
}

static zmlx_status add_segment(splitting *s, size_t start, size_t end, bool match)
{
    match ^= s->invert;
    if (s->behavior == ZX_REMOVED && match) return ZMLX_OK;
    if (joins(s, match)) {
        s->open_end = end;
    } else {
        ZX_TRY(flush(s));
        s->open_start = start;
        s->open_end = end;
        s->has_open = true;
    }
    s->last_match = match;
    return ZMLX_OK;
}

static bool next_character(const zx_finder *finder, const char *bytes, size_t length, size_t at,
                           size_t *start, size_t *end)
{
    while (at < length) {
        uint32_t point;
        const size_t step = zx_utf8_next(bytes + at, &point);
        if (finder->class != NULL ? finder->class(point) : point == finder->point) {
            *start = at;
            *end = at + step;
            return true;
        }
        at += step;
    }
    return false;
}

static zmlx_status split_piece(splitting *s, const zx_finder *finder)
{
    const char *const bytes = s->work->bytes + s->piece->start;
    const size_t length = s->piece->length;
    size_t at = 0, start, end;
    zx_matches matches;
    if (finder->regex != NULL)
        zx_matches_start(&matches, finder->regex, &s->work->matcher, bytes, length);
    for (;;) {
        bool found = false;
        if (finder->regex != NULL)
            ZX_TRY(zx_matches_next(&matches, &found, &start, &end));
        else if (finder->next != NULL)
            found = finder->next(bytes, length, at, &start, &end);
        else
            found = next_character(finder, bytes, length, at, &start, &end);
        if (!found) break;
        if (start > at) ZX_TRY(add_segment(s, at, start, false));
        ZX_TRY(add_segment(s, start, end, true));
        at = end;
    }
    if (at < length) ZX_TRY(add_segment(s, at, length, false));
    return flush(s);
}

zmlx_status zx_split_pieces(zx_work *work, const zx_finder *finder, uint32_t behavior, bool invert)
{
    for (size_t i = 0; i < work->pieces.count; i++) {
        const zx_piece *const piece = &work->pieces.items[i];
        if (piece->id >= 0) {
            ZX_TRY(zx_work_cut(work, *piece));
            continue;
        }
        splitting s = {.work = work, .piece = piece, .behavior = behavior, .invert = invert};
        ZX_TRY(split_piece(&s, finder));
    }
    zx_work_commit(work, false);
    return ZMLX_OK;
}
