/* decode.c - drives the stages.
 *
 * Fields of a stage are the stage's own affair; 'end' with a NULL 'bytes' at finish tells a decoder
 * that nothing more comes (see decoders.c). */
#include "text/decode.h"

#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

enum {
    MOST_BYTES = 1 << 28, /* of one token, or of what comes out at once */
    /* What decoders may make of a token, on average; else a row of them that each double it would
     * make gigabytes of one. */
    MAX_GROWTH = 4,        /* times its bytes, and */
    MAX_TOKEN_EXTRA = 4096 /* bytes */
};

static zmlx_status add_stages(zx_decoding *decoding, const zx_part *part)
{
    if (part->row->decode == NULL) { /* a sequence */
        for (size_t i = 0; i < part->child_count; i++)
            ZX_TRY(add_stages(decoding, &part->children[i]));
        return ZMLX_OK;
    }
    if (decoding->stage_count == ZX_MAX_STAGES - 1)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "more than %d decoders", ZX_MAX_STAGES - 1);
    decoding->stages[decoding->stage_count++].part = part;
    return ZMLX_OK;
}

zmlx_status zx_decoding_init(zx_decoding *decoding, const zx_part *decoder)
{
    *decoding = (zx_decoding){.spaces = decoder == NULL};
    if (decoder != NULL) ZX_TRY(add_stages(decoding, decoder));
    decoding->stage_count++;
    return ZMLX_OK;
}

void zx_decoding_fini(zx_decoding *decoding)
{
    for (size_t i = 0; i < decoding->stage_count; i++) {
        zx_text_fini(&decoding->stages[i].token);
        zx_text_fini(&decoding->stages[i].held);
        zx_text_fini(&decoding->stages[i].scratch);
    }
    zx_matcher_fini(&decoding->matcher);
    *decoding = (zx_decoding){0};
}

static zmlx_status write_out(zx_decoding *decoding, zx_stage *stage, const char *bytes,
                             size_t count, bool end)
{
    if (decoding->spaces && stage->count > 0 && !stage->flag)
        ZX_TRY(zx_text_add(decoding->out, " ", 1));
    if (decoding->out->length > MOST_BYTES)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the decoded text is too long");
    stage->flag = !end; /* within a token */
    stage->count += end;
    return count == 0 ? ZMLX_OK : zx_text_add(decoding->out, bytes, count);
}

zmlx_status zx_decoding_give(zx_decoding *decoding, size_t index, const char *bytes, size_t count,
                             bool end)
{
    zx_stage *const stage = &decoding->stages[index];
    if (index == 0) decoding->allowed += MAX_GROWTH * count + MAX_TOKEN_EXTRA;
    stage->given += count;
    if (stage->given > decoding->allowed)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                       "the tokenizer's decoders make more than %d bytes and %d times its own of "
                       "a token",
                       MAX_TOKEN_EXTRA, MAX_GROWTH);
    if (count > MOST_BYTES || stage->token.length > MOST_BYTES - count)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the tokenizer's decoder makes the text too long");
    if (stage->part == NULL) return write_out(decoding, stage, bytes, count, end);
    if (!stage->part->row->whole)
        return stage->part->row->decode(decoding, index, bytes, count, end);
    if (!end) return zx_text_add(&stage->token, bytes, count);
    if (stage->token.length > 0) {
        ZX_TRY(zx_text_add(&stage->token, bytes, count));
        bytes = stage->token.bytes;
        count = stage->token.length;
    }
    ZX_TRY(stage->part->row->decode(decoding, index, count == 0 ? "" : bytes, count, true));
    zx_text_clear(&stage->token);
    return ZMLX_OK;
}

zmlx_status zx_decoding_finish(zx_decoding *decoding)
{
    for (size_t i = 0; i < decoding->stage_count; i++) {
        const zx_part *const part = decoding->stages[i].part;
        if (part != NULL) ZX_TRY(part->row->decode(decoding, i, NULL, 0, true));
    }
    return ZMLX_OK;
}
