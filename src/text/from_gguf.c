/* from_gguf.c - makes a tokenizer of a GGUF file's metadata.
 *
 * Each value of tokenizer.ggml.model is a row.  The parts are the same as those of tokenizer.json;
 * everything is copied, since the metadata belongs to the caller. */
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/build.h"
#include "text/gguf_splits.h"

enum { UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, MERGES_AT_ONCE = 512 };

typedef struct making {
    const zx_gguf_vocabulary *given;
    zx_tokenizer *tokenizer;
    zx_build build;
} making;

/* Copies the texts one behind the other and enters them. */
static zmlx_status copy_tokens(const making *m)
{
    const zx_gguf_vocabulary *const given = m->given;
    zx_vocabulary *const vocabulary = &m->tokenizer->model.vocabulary;
    size_t bytes = 0;
    for (size_t i = 0; i < given->token_count; i++) bytes += given->tokens[i].length;
    ZX_TRY(zx_alloc(bytes, "vocabulary", &m->tokenizer->bytes));
    ZX_TRY(zx_vocabulary_reserve(vocabulary, given->token_count));
    char *at = m->tokenizer->bytes;
    for (size_t i = 0; i < given->token_count; i++) {
        const zx_string_view token = given->tokens[i];
        if (!zx_utf8_valid(token.bytes, token.length))
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tokenizer.ggml.tokens: token %zu is not UTF-8",
                           given->source, i);
        bool added;
        if (token.length > 0) memcpy(at, token.bytes, token.length);
        ZX_TRY(zx_vocabulary_add(vocabulary, at, token.length, (uint32_t)i, &added));
        at += token.length;
    }
    return ZMLX_OK;
}

static zmlx_status add_special_tokens(const making *m)
{
    const zx_gguf_vocabulary *const given = m->given;
    const zx_vocabulary *const vocabulary = &m->tokenizer->model.vocabulary;
    for (size_t i = 0; i < given->token_count && given->types != NULL; i++) {
        const int32_t type = given->types[i];
        if (type != UNKNOWN && type != CONTROL && type != USER_DEFINED) continue;
        zx_added_token token = {.content = vocabulary->tokens[i], .special = type != USER_DEFINED};
        ZX_TRY(zx_added_add(&m->tokenizer->added, vocabulary, token));
    }
    return ZMLX_OK;
}

static zmlx_status check_id(const making *m, const char *key, int32_t id)
{
    if (id >= -1 && (id < 0 || (size_t)id < m->given->token_count)) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tokenizer.ggml.%s: id %d is outside the vocabulary",
                   m->given->source, key, (int)id);
}

static zmlx_status set_template(const making *m)
{
    const zx_gguf_vocabulary *const given = m->given;
    zx_ids *const template = &m->tokenizer->template;
    ZX_TRY(check_id(m, "bos_token_id", given->bos));
    ZX_TRY(check_id(m, "eos_token_id", given->eos));
    ZX_TRY(check_id(m, "unknown_token_id", given->unknown));
    if (given->add_bos && given->bos >= 0) ZX_TRY(zx_ids_add(template, given->bos));
    ZX_TRY(zx_ids_add(template, ZX_SEQUENCE));
    if (given->add_eos && given->eos >= 0) ZX_TRY(zx_ids_add(template, given->eos));
    return ZMLX_OK;
}

/* "left right": the space is never the first byte, which may be a space itself. */
static zmlx_status add_merges(const making *m)
{
    const zx_gguf_vocabulary *const given = m->given;
    zx_model *const model = &m->tokenizer->model;
    zx_merge merges[MERGES_AT_ONCE];
    size_t count = 0;
    for (size_t i = 0; i < given->merge_count; i++) {
        const zx_string_view text = given->merges[i];
        const char *const space =
            text.length < 2 ? NULL : memchr(text.bytes + 1, ' ', text.length - 1);
        if (space == NULL)
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tokenizer.ggml.merges: merge %zu has no space",
                           given->source, i);
        const size_t left = (size_t)(space - text.bytes);
        merges[count++] = (zx_merge){{text.bytes, left}, {space + 1, text.length - left - 1}};
        if (count < MERGES_AT_ONCE && i + 1 < given->merge_count) continue;
        ZX_TRY(zx_bpe_add_merges(model, given->source, merges, count, true));
        count = 0;
    }
    return ZMLX_OK;
}

/* A Split for each pattern, and the byte alphabet. */
static zmlx_status make_byte_level(const making *m, const zx_gguf_split *split)
{
    zx_tokenizer *const tokenizer = m->tokenizer;
    zx_part *sequence, *part;
    ZX_TRY(zx_tokenizer_sequence(tokenizer, &zx_pre_tokenizers, ZX_MAX_SPLITS + 1, &sequence));
    for (size_t i = 0; i < ZX_MAX_SPLITS && split->patterns[i] != NULL; i++) {
        ZX_TRY(zx_tokenizer_part(tokenizer, &zx_pre_tokenizers, "Split", &part));
        part->behavior = ZX_ISOLATED;
        ZX_TRY(zx_build_regex(&m->build, split->patterns[i], strlen(split->patterns[i]), false,
                              &part->regex));
        sequence->children[sequence->child_count++] = *part;
    }
    ZX_TRY(zx_tokenizer_part(tokenizer, &zx_pre_tokenizers, "ByteLevel", &part));
    part->add_prefix_space = part->use_regex = false;
    sequence->children[sequence->child_count++] = *part;
    tokenizer->pre_tokenizer = sequence;
    return zx_tokenizer_part(tokenizer, &zx_decoders, "ByteLevel", &tokenizer->decoder);
}

static zmlx_status make_gpt2(const making *m)
{
    const zx_gguf_split *const split = zx_gguf_split_find(m->given->pre);
    if (split == NULL || split->plain)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: tokenizer.ggml.pre \"%s\" is not supported",
                       m->given->source, m->given->pre);
    m->tokenizer->model.row = &zx_model_bpe;
    m->tokenizer->model.ignore_merges = split->ignore_merges;
    ZX_TRY(add_merges(m));
    return make_byte_level(m, split);
}

static const struct {
    const char *model;
    zmlx_status (*make)(const making *m);
} rows[] = {
    {"gpt2", make_gpt2},
};

static zmlx_status make(const making *m)
{
    const zx_gguf_vocabulary *const given = m->given;
    if (given->token_count == 0 || given->token_count >= INT32_MAX)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tokenizer.ggml.tokens holds %zu tokens",
                       given->source, given->token_count);
    ZX_TRY(copy_tokens(m));
    ZX_TRY(add_special_tokens(m));
    ZX_TRY(set_template(m));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].model, given->model) == 0) {
            ZX_TRY(rows[i].make(m));
            return zx_tokenizer_finish(m->tokenizer, given->source);
        }
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: tokenizer.ggml.model \"%s\" is not supported",
                   given->source, given->model);
}

zmlx_status zx_tokenizer_open_gguf(const zx_gguf_vocabulary *vocabulary, zx_tokenizer **tokenizer)
{
    zx_tokenizer *fresh;
    ZX_TRY(zx_tokenizer_create(&fresh));
    const making m = {vocabulary, fresh, {vocabulary->source, &fresh->arena, &fresh->regexes}};
    const zmlx_status status = make(&m);
    if (status == ZMLX_OK)
        *tokenizer = fresh;
    else
        zx_tokenizer_close(fresh);
    return status;
}
