/* from_gguf.c - makes a tokenizer of a GGUF file's metadata.
 *
 * Each value of tokenizer.ggml.model is a row.  The parts are the same as those of tokenizer.json;
 * everything is copied, since the metadata belongs to the caller. */
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/build.h"
#include "text/gguf_splits.h"

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, BYTE = 6, MERGES_AT_ONCE = 512 };

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

static bool is(const char *name, const char *other)
{
    return name != NULL && strcmp(name, other) == 0;
}

bool zx_gguf_needs_bos(const zx_gguf_vocabulary *vocabulary)
{
    return is(vocabulary->model, "gemma4") || is(vocabulary->pre, "gemma4");
}

bool zx_gguf_leaves_spaces_out(const zx_gguf_vocabulary *vocabulary)
{
    return is(vocabulary->model, "whitespace") ||
           (is(vocabulary->model, "gpt2") && is(vocabulary->pre, "whitespace"));
}

bool zx_gguf_takes_space_behind(const zx_gguf_vocabulary *vocabulary, size_t id)
{
    static const char *const without[] = {"<unk>", "<s>", "<|endoftext|>"};
    const zx_string_view token = vocabulary->tokens[id];
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (strlen(without[i]) == token.length &&
            memcmp(without[i], token.bytes, token.length) == 0)
            return false;
    return vocabulary->phi3;
}

static zmlx_status add_special_tokens(const making *m)
{
    const zx_gguf_vocabulary *const given = m->given;
    const zx_vocabulary *const vocabulary = &m->tokenizer->model.vocabulary;
    for (size_t i = 0; i < given->token_count && given->types != NULL; i++) {
        const int32_t type = given->types[i];
        if (type != UNKNOWN && type != CONTROL && type != USER_DEFINED) continue;
        const zx_added_token token = {.content = vocabulary->tokens[i],
                                      .id = -1,
                                      .right = zx_gguf_takes_space_behind(given, i),
                                      .special = type != USER_DEFINED};
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
    ZX_TRY(zx_bpe_expect_merges(model, given->merge_count));
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

static zmlx_status add_child(const making *m, zx_part *sequence, const zx_part_table *table,
                             const char *type, zx_part **child)
{
    zx_part *part;
    ZX_TRY(zx_tokenizer_part(m->tokenizer, table, type, &part));
    *child = &sequence->children[sequence->child_count++];
    **child = *part;
    return ZMLX_OK;
}

/* Spaces become U+2581; a text begins with one where 'prefix'. */
static zmlx_status make_escaping(const making *m, bool prefix)
{
    zx_part *sequence, *part;
    ZX_TRY(zx_tokenizer_sequence(m->tokenizer, &zx_normalizers, 2, &sequence));
    if (prefix) {
        ZX_TRY(add_child(m, sequence, &zx_normalizers, "Prepend", &part));
        part->text = (zx_string_view){"\xE2\x96\x81", 3};
    }
    ZX_TRY(add_child(m, sequence, &zx_normalizers, "Replace", &part));
    ZX_TRY(zx_build_regex(&m->build, " ", 1, true, &part->regex));
    part->text = (zx_string_view){"\xE2\x96\x81", 3};
    m->tokenizer->normalizer = sequence;
    return ZMLX_OK;
}

/* The scores, and which tokens no text may become. */
static zmlx_status copy_scores(const making *m)
{
    const zx_gguf_vocabulary *const given = m->given;
    zx_model *const model = &m->tokenizer->model;
    void *memory;
    if (given->scores == NULL)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tokenizer.ggml.scores is missing", given->source);
    ZX_TRY(zx_alloc_array(given->token_count, sizeof(double), "scores", &memory));
    model->scores = memory;
    ZX_TRY(zx_alloc(given->token_count, "token types", &memory));
    model->reserved = memory;
    for (size_t i = 0; i < given->token_count; i++) {
        const int32_t type = given->types == NULL ? NORMAL : given->types[i];
        if (!isfinite(given->scores[i]))
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tokenizer.ggml.scores: score %zu is not finite",
                           given->source, i);
        model->scores[i] = (double)given->scores[i];
        model->reserved[i] = type == UNKNOWN || type == CONTROL || type == BYTE;
    }
    model->unknown = given->unknown;
    if (given->unknown >= 0) model->unknown_token = model->vocabulary.tokens[given->unknown];
    model->fuse_unknown = true;
    model->byte_fallback = true;
    return ZMLX_OK;
}

static zmlx_status make_llama(const making *m)
{
    zx_model *const model = &m->tokenizer->model;
    ZX_TRY(copy_scores(m));
    model->row = &zx_model_bpe;
    ZX_TRY(zx_bpe_add_scored_merges(model, m->given->source));
    ZX_TRY(make_escaping(m, m->given->add_space_prefix));
    return zx_spm_decoder(m->tokenizer, &m->build, m->given->add_space_prefix, false);
}

static zmlx_status make_t5(const making *m)
{
    const zx_gguf_vocabulary *const given = m->given;
    zx_tokenizer *const tokenizer = m->tokenizer;
    ZX_TRY(copy_scores(m));
    tokenizer->model.row = &zx_model_unigram;
    tokenizer->model.byte_fallback = false;
    tokenizer->model.sentencepiece = true;
    double lowest = 0;
    for (size_t i = 0; i < given->token_count; i++) {
        const int32_t type = given->types == NULL ? NORMAL : given->types[i];
        if (type == USER_DEFINED) tokenizer->model.scores[i] = 0;
        if (type == NORMAL && tokenizer->model.scores[i] < lowest)
            lowest = tokenizer->model.scores[i];
    }
    tokenizer->model.unknown_score = lowest - ZX_UNKNOWN_PENALTY;
    tokenizer->spm = (zx_spm_options){.add_prefix = given->add_space_prefix,
                                      .merge_spaces = given->remove_extra_whitespaces,
                                      .escape = true};
    if (given->charsmap != NULL && given->charsmap_bytes > 0) {
        zx_charsmap *map;
        ZX_TRY(zx_charsmap_read(given->source, given->charsmap, given->charsmap_bytes,
                                &tokenizer->store.arena, &map));
        tokenizer->spm.map = map;
    }
    void *memory;
    ZX_TRY(zx_arena_alloc(&tokenizer->store.arena, sizeof(zx_part), &memory));
    tokenizer->normalizer = memory;
    tokenizer->normalizer->row = &zx_spm_normalizer;
    tokenizer->normalizer->data = &tokenizer->spm;
    return zx_spm_decoder(tokenizer, &m->build, given->add_space_prefix,
                          given->remove_extra_whitespaces);
}

/* WordPiece, whose words begin with U+2581 here, and whose other pieces have no prefix. */
static zmlx_status make_bert(const making *m)
{
    zx_tokenizer *const tokenizer = m->tokenizer;
    zx_model *const model = &tokenizer->model;
    zx_part *sequence, *part;
    model->row = &zx_model_wordpiece;
    model->max_word_characters = ZX_BERT_WORD + 1;
    model->unknown_token = (zx_string_view){"[UNK]", 5};
    if (m->given->unknown >= 0) model->unknown_token = model->vocabulary.tokens[m->given->unknown];
    ZX_TRY(zx_tokenizer_part(tokenizer, &zx_normalizers, "BertNormalizer", &tokenizer->normalizer));
    tokenizer->normalizer->lowercase = m->given->lowercase;
    tokenizer->normalizer->accents = m->given->strip_accents;
    tokenizer->normalizer->accents_given = true;
    ZX_TRY(zx_tokenizer_sequence(tokenizer, &zx_pre_tokenizers, 2, &sequence));
    ZX_TRY(add_child(m, sequence, &zx_pre_tokenizers, "BertPreTokenizer", &part));
    ZX_TRY(add_child(m, sequence, &zx_pre_tokenizers, "Metaspace", &part));
    part->text = (zx_string_view){"\xE2\x96\x81", 3};
    part->split = false;
    part->scheme = ZX_PREPEND_AGAIN;
    tokenizer->pre_tokenizer = sequence;
    tokenizer->template.count = 0;
    const char *const sides[] = {"[CLS]", "[SEP]"};
    const int32_t given[] = {m->given->bos, m->given->eos};
    for (int i = 0; i < 2; i++) {
        const int32_t named = zx_vocabulary_find(&model->vocabulary, sides[i], 5);
        const int32_t id = named >= 0 ? named : given[i];
        if (i == 1) ZX_TRY(zx_ids_add(&tokenizer->template, ZX_SEQUENCE));
        if (id >= 0) ZX_TRY(zx_ids_add(&tokenizer->template, id));
    }
    return zx_spm_decoder(tokenizer, &m->build, true, false);
}

/* BPE over characters with merges, as Gemma 4 has it. */
static zmlx_status make_plain(const making *m, const zx_gguf_split *split)
{
    zx_tokenizer *const tokenizer = m->tokenizer;
    zx_part *part;
    tokenizer->model.row = &zx_model_bpe;
    tokenizer->model.byte_fallback = true;
    ZX_TRY(add_merges(m));
    ZX_TRY(make_escaping(m, m->given->add_space_prefix));
    ZX_TRY(zx_tokenizer_part(tokenizer, &zx_pre_tokenizers, "Split", &part));
    part->behavior = ZX_ISOLATED;
    ZX_TRY(zx_build_regex(&m->build, split->patterns[0], strlen(split->patterns[0]), false,
                          &part->regex));
    tokenizer->pre_tokenizer = part;
    return zx_spm_decoder(tokenizer, &m->build, m->given->add_space_prefix, false);
}

/* BPE over the characters of words, spaces left out: Jina's Chinese embeddings. */
static zmlx_status make_whitespace(const making *m)
{
    zx_tokenizer *const tokenizer = m->tokenizer;
    zx_model *const model = &tokenizer->model;
    zx_part *sequence, *part;
    model->row = &zx_model_bpe;
    model->byte_fallback = true;
    if (m->given->unknown >= 0) model->unknown_token = model->vocabulary.tokens[m->given->unknown];
    ZX_TRY(add_merges(m));
    if (m->given->lowercase)
        ZX_TRY(zx_tokenizer_part(tokenizer, &zx_normalizers, "Lowercase", &tokenizer->normalizer));
    ZX_TRY(
        zx_tokenizer_part(tokenizer, &zx_pre_tokenizers, "Whitespace", &tokenizer->pre_tokenizer));
    ZX_TRY(zx_tokenizer_sequence(tokenizer, &zx_decoders, 2, &sequence));
    ZX_TRY(add_child(m, sequence, &zx_decoders, "ByteFallback", &part));
    ZX_TRY(add_child(m, sequence, &zx_decoders, "Fuse", &part));
    tokenizer->decoder = sequence;
    return ZMLX_OK;
}

static zmlx_status make_gpt2(const making *m)
{
    if (zx_gguf_leaves_spaces_out(m->given)) return make_whitespace(m);
    const zx_gguf_split *const split = zx_gguf_split_find(m->given->pre);
    if (split != NULL && split->plain) return make_plain(m, split);
    if (split == NULL)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: tokenizer.ggml.pre \"%s\" is not supported",
                       m->given->source, m->given->pre);
    m->tokenizer->model.row = &zx_model_bpe;
    m->tokenizer->model.ignore_merges = split->ignore_merges;
    ZX_TRY(add_merges(m));
    return zx_tokenizer_byte_level(m->tokenizer, &m->build, split);
}

static zmlx_status make_gemma4(const making *m)
{
    return make_plain(m, zx_gguf_split_find("gemma4"));
}

/* What llama.cpp takes where the metadata does not say: ids, BOS, EOS, a space before the text,
 * capital letters. */
static const struct {
    const char *model;
    zmlx_status (*make)(const making *m);
    int32_t bos, eos, unknown;
    bool add_bos, add_eos, add_space_prefix, lowercase;
} rows[] = {
    {"gpt2", make_gpt2, -1, -1, -1, false, false, false, false},
    {"llama", make_llama, 1, 2, 0, true, false, true, false},
    {"bert", make_bert, 101, 102, 100, true, false, false, true},
    {"t5", make_t5, -1, 1, 2, false, true, false, false},
    {"gemma4", make_gemma4, -1, -1, -1, true, false, false, false},
    {"whitespace", make_whitespace, -1, -1, -1, false, false, false, false},
};

/* Those BPE vocabularies whose texts begin with BOS, by a name of their row of splits. */
static const char *const begin_with_bos[] = {"llama3", "tekken", "chameleon"};

void zx_gguf_vocabulary_defaults(zx_gguf_vocabulary *vocabulary)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].model, vocabulary->model) != 0) continue;
        vocabulary->bos = rows[i].bos;
        vocabulary->eos = rows[i].eos;
        vocabulary->unknown = rows[i].unknown;
        vocabulary->add_bos = rows[i].add_bos;
        vocabulary->add_eos = rows[i].add_eos;
        vocabulary->add_space_prefix = rows[i].add_space_prefix;
        vocabulary->lowercase = vocabulary->strip_accents = rows[i].lowercase;
    }
    if (strcmp(vocabulary->model, "gpt2") != 0) return;
    const zx_gguf_split *const split = zx_gguf_split_find(vocabulary->pre);
    for (size_t i = 0; i < sizeof begin_with_bos / sizeof *begin_with_bos; i++)
        if (split != NULL && split == zx_gguf_split_find(begin_with_bos[i]))
            vocabulary->add_bos = true;
}

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
    const making m = {vocabulary, fresh, {vocabulary->source, &fresh->store}};
    zx_tokenizer_begin(fresh, vocabulary->source, vocabulary->token_count);
    const zmlx_status status = make(&m);
    if (status == ZMLX_OK)
        *tokenizer = fresh;
    else
        zx_tokenizer_close(fresh);
    return status;
}
