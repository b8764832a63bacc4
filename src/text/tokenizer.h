/* tokenizer.h - text to token ids and back, as tokenizer.json or a GGUF file says.
 *
 * A tokenizer never changes after it was opened: any number of threads may use it. */
#ifndef ZX_TEXT_TOKENIZER_H
#define ZX_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "zmlx/status.h"

typedef struct zx_tokenizer zx_tokenizer;

typedef struct zx_ids { /* {0} is empty */
    int32_t *items;
    size_t count, capacity;
} zx_ids;

void zx_ids_fini(zx_ids *ids);

typedef struct zx_string_view {
    const char *bytes;
    size_t length;
} zx_string_view;

/* What a GGUF file's metadata says about its vocabulary; everything is borrowed for the call. */
typedef struct zx_gguf_vocabulary {
    const char *source; /* the file's path, for messages */
    const char *model;  /* tokenizer.ggml.model: "gpt2", "llama", ... */
    const char *pre;    /* tokenizer.ggml.pre, or NULL */
    size_t token_count, merge_count;
    const zx_string_view *tokens;
    const zx_string_view *merges;
    const int32_t *types;      /* tokenizer.ggml.token_type, or NULL */
    const float *scores;       /* tokenizer.ggml.scores, or NULL */
    int32_t bos, eos, unknown; /* -1 where the file has none; for "bert" eos is [SEP] */
    bool add_bos, add_eos, add_space_prefix;
    /* For "t5": tokenizer.ggml.precompiled_charsmap (NULL for none), remove_extra_whitespaces. */
    const char *charsmap;
    size_t charsmap_bytes;
    bool remove_extra_whitespaces;
    bool lowercase, strip_accents; /* for "bert"; "whitespace" has lowercase alone */
    bool phi3; /* of Phi-3, most of whose special tokens take the white space behind them */
} zx_gguf_vocabulary;

/* Reads a tokenizer.json.  An unknown part of the format is ZMLX_ERROR_UNSUPPORTED and named. */
ZMLX_MUST_CHECK zmlx_status zx_tokenizer_open_json(const char *path, zx_tokenizer **tokenizer);
/* The same from memory, which is copied; 'source' stands in messages for the path. */
ZMLX_MUST_CHECK zmlx_status zx_tokenizer_open_json_bytes(const char *source, const void *bytes,
                                                         size_t count, zx_tokenizer **tokenizer);
/* Fills what depends on 'model' and 'pre' where the metadata has no key for it: ids, what is added,
 * spaces, case.  They are llama.cpp's. */
void zx_gguf_vocabulary_defaults(zx_gguf_vocabulary *vocabulary);
/* Whether texts begin with BOS whatever the metadata says: Gemma 4's first files deny it. */
bool zx_gguf_needs_bos(const zx_gguf_vocabulary *vocabulary);
ZMLX_MUST_CHECK zmlx_status zx_tokenizer_open_gguf(const zx_gguf_vocabulary *vocabulary,
                                                   zx_tokenizer **tokenizer);
/* Appends the same vocabulary as a tokenizer.json, which gives the same ids. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_to_tokenizer_json(const zx_gguf_vocabulary *vocabulary,
                                                      zx_text *json);
/* A token that the file itself does not hold, or of which it does not say all. */
typedef struct zx_extra_token {
    zx_string_view text;
    int32_t id;
    bool special, left, right, single_word, normalized; /* as in tokenizer.json */
} zx_extra_token;

/* What stands beside a tokenizer.model, in tokenizer_config.json; {0} is fine. */
typedef struct zx_tokenizer_options {
    bool add_bos, add_eos;
    const char *bos, *eos; /* NULL: those the file names itself, if any */
    const zx_extra_token *extra;
    size_t extra_count;
    const char *split; /* how tiktoken's texts are cut, a name of gguf_splits.h; NULL: "llama3" */
} zx_tokenizer_options;

/* Reads a tokenizer.model: SentencePiece's, or tiktoken's lines of "BASE64 RANK". */
ZMLX_MUST_CHECK zmlx_status zx_tokenizer_open_model(const char *path,
                                                    const zx_tokenizer_options *options,
                                                    zx_tokenizer **tokenizer);
ZMLX_MUST_CHECK zmlx_status zx_tokenizer_open_model_bytes(const char *source, const void *bytes,
                                                          size_t count,
                                                          const zx_tokenizer_options *options,
                                                          zx_tokenizer **tokenizer);
void zx_tokenizer_close(zx_tokenizer *tokenizer);

size_t zx_tokenizer_size(const zx_tokenizer *tokenizer); /* one more than the largest id */
/* The id of a token by its written form ("<|im_end|>"), or -1. */
int32_t zx_tokenizer_find(const zx_tokenizer *tokenizer, const char *token);

/* Appends the ids of 'text'.  With 'add_special' the post-processor runs (BOS, EOS, templates);
 * added tokens inside the text are recognized either way. */
ZMLX_MUST_CHECK zmlx_status zx_tokenizer_encode(const zx_tokenizer *tokenizer, const char *text,
                                                size_t length, bool add_special, zx_ids *ids);

/* Appends the text of all ids; bytes that are no UTF-8 become U+FFFD.  An id outside the
 * vocabulary is ZMLX_ERROR_ARGUMENT. */
ZMLX_MUST_CHECK zmlx_status zx_tokenizer_decode(const zx_tokenizer *tokenizer, const int32_t *ids,
                                                size_t count, bool skip_special, zx_text *text);

/* Decodes a stream id by id: what it has given out so far, put together, is at every step a
 * prefix of what zx_tokenizer_decode gives for all ids, and never ends inside a character. */
typedef struct zx_decode_stream zx_decode_stream;

ZMLX_MUST_CHECK zmlx_status zx_decode_stream_create(const zx_tokenizer *tokenizer,
                                                    bool skip_special, zx_decode_stream **stream);
void zx_decode_stream_destroy(zx_decode_stream *stream);
/* Appends to 'text' what became certain with this id; amortized linear time in the ids. */
ZMLX_MUST_CHECK zmlx_status zx_decode_stream_push(zx_decode_stream *stream, int32_t id,
                                                  zx_text *text);
/* Appends what is still held back (an unfinished character becomes U+FFFD). */
ZMLX_MUST_CHECK zmlx_status zx_decode_stream_finish(zx_decode_stream *stream, zx_text *text);

#endif
