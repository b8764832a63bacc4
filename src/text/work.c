/* work.c - the buffers of one call of encode, used over and over. */
#include "text/work.h"

#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/unicode.h"

zmlx_status zx_normal_begin(zx_normal *normal, size_t room, zx_text **out)
{
    if (normal->limit > 0 && room > normal->limit)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the tokenizer's normalizer makes the text too long");
    *out = &normal->buffers[normal->spare];
    zx_text_clear(*out);
    normal->out_origin = 0;
    return zx_text_room(*out, room);
}

void zx_normal_commit(zx_normal *normal)
{
    const zx_text *const out = &normal->buffers[normal->spare];
    normal->bytes = out->bytes;
    normal->length = out->length;
    normal->origin = normal->out_origin;
    normal->spare = 1 - normal->spare;
}

zmlx_status zx_normal_add(zx_normal *normal, size_t from, const char *bytes, size_t count)
{
    zx_text *const out = &normal->buffers[normal->spare];
    if (normal->limit > 0 && out->length + count > normal->limit)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the tokenizer's normalizer makes the text too long");
    if (out->length + count >= out->capacity) ZX_TRY(zx_text_room(out, count));
    memcpy(out->bytes + out->length, bytes, count);
    out->length += count;
    if (from < normal->origin) normal->out_origin = out->length;
    return ZMLX_OK;
}

zmlx_status zx_normal_add_point(zx_normal *normal, size_t from, uint32_t point)
{
    char bytes[4];
    return zx_normal_add(normal, from, bytes, zx_utf8_encode(point, bytes));
}

void zx_work_fini(zx_work *work)
{
    zx_text_fini(&work->normal.buffers[0]);
    zx_text_fini(&work->normal.buffers[1]);
    zx_free(work->pieces.items);
    zx_free(work->cut.items);
    zx_text_fini(&work->text);
    zx_text_fini(&work->rewritten);
    zx_matcher_fini(&work->matcher);
    zx_free(work->symbols);
    zx_free(work->heap);
    zx_free(work->steps);
    zx_text_fini(&work->scratch);
    *work = (zx_work){0};
}

zx_piece zx_piece_part(const zx_piece *piece, size_t start, size_t length)
{
    const size_t origin = piece->origin > start ? piece->origin - start : 0;
    return (zx_piece){piece->start + start, length, origin < length ? origin : length, -1};
}

zmlx_status zx_work_cut(zx_work *work, zx_piece piece)
{
    if (piece.length == 0 && piece.id < 0) return ZMLX_OK;
    zx_pieces *const cut = &work->cut;
    if (cut->count == cut->capacity)
        ZX_TRY(zx_grow(&cut->items, &cut->capacity, cut->count + 1, sizeof *cut->items, "pieces"));
    cut->items[cut->count++] = piece;
    return ZMLX_OK;
}

void zx_work_commit(zx_work *work, bool rewrote)
{
    const zx_pieces done = work->pieces;
    work->pieces = work->cut;
    work->cut = done;
    work->cut.count = 0;
    if (!rewrote) return;
    const zx_text old = work->text;
    work->text = work->rewritten;
    work->rewritten = old;
    work->bytes = work->text.bytes;
}
