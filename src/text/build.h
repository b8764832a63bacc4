/* build.h - a tokenizer's inside, for the readers that make one.
 *
 * A reader creates an empty tokenizer, fills vocabulary, options, parts, added tokens and template,
 * and finishes it.  Nothing changes after that. */
#ifndef ZX_TEXT_BUILD_H
#define ZX_TEXT_BUILD_H

#include "base/file.h"
#include "text/added.h"
#include "text/model.h"
#include "text/part.h"
#include "text/spm_normalizer.h"

/* What stands around the ids of a text: ids, and ZX_SEQUENCE for the text's own. */
enum { ZX_SEQUENCE = -1 };

struct zx_tokenizer {
    zx_store store;
    zx_file file;   /* what vocabulary texts point into, where it was mapped */
    void *bytes;    /* or the copy of it */
    zx_file tables; /* where the model's were mapped: see cache.h */
    zx_model model;
    zx_added added;
    zx_part *normalizer, *pre_tokenizer, *decoder; /* NULL for none */
    zx_spm_options spm;      /* what the normalizer is given, where it is SentencePiece's */
    zx_ids template;         /* empty: just the text */
    zx_string_view *written; /* by id, added tokens included; bytes NULL for none */
    bool *special;           /* by id */
    size_t size;
};

ZMLX_MUST_CHECK zmlx_status zx_tokenizer_create(zx_tokenizer **tokenizer);
/* Before a token is added: the file's name for messages, and its size, which bounds the ids. */
void zx_tokenizer_begin(zx_tokenizer *tokenizer, const char *source, size_t bytes);
/* Checks, builds the tables by id and the searches. */
ZMLX_MUST_CHECK zmlx_status zx_tokenizer_finish(zx_tokenizer *tokenizer, const char *source);
/* A part of a table by its type, with the row's defaults, for readers of other formats. */
ZMLX_MUST_CHECK zmlx_status zx_tokenizer_part(zx_tokenizer *tokenizer, const zx_part_table *table,
                                              const char *type, zx_part **part);
/* A sequence with room for 'count' children, to be filled in. */
ZMLX_MUST_CHECK zmlx_status zx_tokenizer_sequence(zx_tokenizer *tokenizer,
                                                  const zx_part_table *table, size_t count,
                                                  zx_part **sequence);

/* Sets pre-tokenizer and decoder: the patterns of a row and the byte alphabet. */
struct zx_gguf_split;
ZMLX_MUST_CHECK zmlx_status zx_tokenizer_byte_level(zx_tokenizer *tokenizer, const zx_build *build,
                                                    const struct zx_gguf_split *split);
/* Sets SentencePiece's decoder; 'strip' drops the space at the start, 'all' also those of further
 * tokens. */
ZMLX_MUST_CHECK zmlx_status zx_spm_decoder(zx_tokenizer *tokenizer, const zx_build *build,
                                           bool strip, bool all);

/* Whether words are all that is encoded. */
bool zx_gguf_leaves_spaces_out(const zx_gguf_vocabulary *vocabulary);
/* Whether the added token takes the white space behind it. */
bool zx_gguf_takes_space_behind(const zx_gguf_vocabulary *vocabulary, size_t id);

/* Reads a "post_processor" into the template: 'json' gives its value next. */
ZMLX_MUST_CHECK zmlx_status zx_template_read(const char *source, zx_json *json, zx_ids *template);

#endif
