/* decode.h - ids back to text: the decoders as a row of stages.
 *
 * A stage gets tokens as bytes and ends ("a", "b", end, "c", end ...) and hands tokens on to the
 * next one as soon as they are certain; the last writes the text.  Decoding everything and
 * decoding id by id are the same code, so that what a stream has given out is always a prefix. */
#ifndef ZX_TEXT_DECODE_H
#define ZX_TEXT_DECODE_H

#include "text/part.h"

enum { ZX_MAX_STAGES = 32 };

typedef struct zx_stage {
    const zx_part *part; /* NULL: the last one, which writes */
    zx_text token;       /* what has come of the present token and was not handed on */
    zx_text held;        /* what waits for later tokens */
    zx_text scratch;
    size_t given; /* bytes so far */
    size_t count; /* tokens that ended, or what the stage counts */
    bool flag;
} zx_stage;

typedef struct zx_decoding { /* {0} is empty */
    zx_stage stages[ZX_MAX_STAGES];
    size_t stage_count;
    zx_matcher matcher;
    zx_text *out;
    size_t allowed; /* bytes that any stage may have been given, for the tokens so far */
    bool spaces;    /* no decoder: tokens are joined by spaces */
} zx_decoding;

/* A decoder that tokenizer.json does not know: drops the space before the text. */
extern const zx_part_row zx_spm_start;

ZMLX_MUST_CHECK zmlx_status zx_decoding_init(zx_decoding *decoding, const zx_part *decoder);
void zx_decoding_fini(zx_decoding *decoding);

/* Gives bytes of a token, perhaps with its end, to a stage. */
ZMLX_MUST_CHECK zmlx_status zx_decoding_give(zx_decoding *decoding, size_t stage, const char *bytes,
                                             size_t count, bool end);
/* No token comes any more: every stage hands on what it holds. */
ZMLX_MUST_CHECK zmlx_status zx_decoding_finish(zx_decoding *decoding);

#endif
