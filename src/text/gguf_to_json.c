/* gguf_to_json.c - a GGUF file's vocabulary as a tokenizer.json: the parts of from_gguf.c, in the
 * words of the Hugging Face tokenizers library.
 *
 * Merges that follow from scores are written out, best first; where two of them have one score the
 * tokenizer of this house takes the leftmost, tokenizer.json the one that is named first.
 * SentencePiece looks up the longest replacement of its compiled normalizer, tokenizer.json the
 * shortest of each grapheme. */
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "text/build.h"
#include "text/gguf_splits.h"

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

#define BLOCK     "\xE2\x96\x81" /* U+2581, which stands for a space */
#define UNREACHED BLOCK " "      /* before a token that no text may become: texts hold no spaces */

typedef struct writing {
    const zx_gguf_vocabulary *given;
    const zx_tokenizer *tokenizer;
    zx_text *json;
    zx_text piece; /* a token's text as it is written */
    size_t merges;
} writing;

static zmlx_status add(const writing *w, const char *text)
{
    return zx_text_add_string(w->json, text);
}

static zmlx_status quote(const writing *w, zx_string_view text)
{
    return zx_json_quote(w->json, text.bytes, text.length);
}

static zmlx_status add_tokens(const writing *w)
{
    const zx_gguf_vocabulary *const given = w->given;
    bool first = true;
    ZX_TRY(add(w, "\"added_tokens\":["));
    for (size_t i = 0; i < given->token_count && given->types != NULL; i++) {
        const int32_t type = given->types[i];
        if (type != UNKNOWN && type != CONTROL && type != USER_DEFINED) continue;
        ZX_TRY(zx_text_format(w->json, "%s{\"id\":%zu,\"content\":", first ? "" : ",", i));
        ZX_TRY(quote(w, given->tokens[i]));
        ZX_TRY(zx_text_format(w->json,
                              ",\"single_word\":false,\"lstrip\":false,\"rstrip\":%s,"
                              "\"normalized\":false,\"special\":%s}",
                              zx_gguf_takes_space_behind(given, i) ? "true" : "false",
                              type == USER_DEFINED ? "false" : "true"));
        first = false;
    }
    return add(w, "]");
}

static zmlx_status add_token(writing *w, int32_t id)
{
    ZX_TRY(quote(w, w->given->tokens[id]));
    return zx_text_format(w->json, ":%d", (int)id);
}

/* A text that two ids have cannot be a key twice.  'add_one' writes "TEXT":ID. */
static zmlx_status add_vocabulary(writing *w, zmlx_status (*add_one)(writing *w, int32_t id))
{
    const zx_gguf_vocabulary *const given = w->given;
    const zx_vocabulary *const vocabulary = &w->tokenizer->model.vocabulary;
    bool first = true;
    ZX_TRY(add(w, "\"vocab\":{"));
    for (size_t i = 0; i < given->token_count; i++) {
        const zx_string_view token = given->tokens[i];
        if (zx_vocabulary_find(vocabulary, token.bytes, token.length) != (int32_t)i) continue;
        if (!first) ZX_TRY(add(w, ","));
        ZX_TRY(add_one(w, (int32_t)i));
        first = false;
    }
    return add(w, "}");
}

static zmlx_status add_merge(writing *w, zx_string_view left, zx_string_view right)
{
    ZX_TRY(add(w, w->merges++ > 0 ? ",[" : "["));
    ZX_TRY(quote(w, left));
    ZX_TRY(add(w, ","));
    ZX_TRY(quote(w, right));
    return add(w, "]");
}

static zmlx_status add_scored(int32_t left, int32_t right, uint32_t rank, int32_t merged,
                              void *user)
{
    writing *const w = user;
    const zx_string_view *const tokens = w->tokenizer->model.vocabulary.tokens;
    (void)rank;
    (void)merged;
    return add_merge(w, tokens[left], tokens[right]);
}

/* The file's own, "left right"; those whose texts are in no vocabulary are left out. */
static zmlx_status add_given(writing *w)
{
    const zx_vocabulary *const vocabulary = &w->tokenizer->model.vocabulary;
    for (size_t i = 0; i < w->given->merge_count; i++) {
        const zx_string_view text = w->given->merges[i];
        const char *const space = memchr(text.bytes + 1, ' ', text.length - 1);
        const size_t length = (size_t)(space - text.bytes);
        const zx_string_view left = {text.bytes, length};
        const zx_string_view right = {space + 1, text.length - length - 1};
        if (zx_vocabulary_find(vocabulary, left.bytes, left.length) < 0 ||
            zx_vocabulary_find(vocabulary, right.bytes, right.length) < 0)
            continue;
        ZX_TRY(add_merge(w, left, right));
    }
    return ZMLX_OK;
}

static zmlx_status add_model(writing *w, bool bytes, bool scored, bool ignore_merges)
{
    const zx_gguf_vocabulary *const given = w->given;
    ZX_TRY(add(w, "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":"));
    if (bytes && given->unknown >= 0)
        ZX_TRY(quote(w, given->tokens[given->unknown]));
    else
        ZX_TRY(add(w, "null"));
    ZX_TRY(zx_text_format(w->json,
                          ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
                          "\"fuse_unk\":%s,\"byte_fallback\":%s,\"ignore_merges\":%s,",
                          scored ? "true" : "false", bytes ? "true" : "false",
                          ignore_merges ? "true" : "false"));
    ZX_TRY(add_vocabulary(w, add_token));
    ZX_TRY(add(w, ",\"merges\":["));
    if (scored)
        ZX_TRY(zx_bpe_each_scored_merge(&w->tokenizer->model, given->source, add_scored, w));
    else
        ZX_TRY(add_given(w));
    return add(w, "]}");
}

static zmlx_status add_split(const writing *w, const char *pattern)
{
    ZX_TRY(add(w, "{\"type\":\"Split\",\"pattern\":{\"Regex\":"));
    ZX_TRY(quote(w, (zx_string_view){pattern, strlen(pattern)}));
    return add(w, "},\"behavior\":\"Isolated\",\"invert\":false}");
}

/* -------- before and behind the text -------- */

static zmlx_status add_side(const writing *w, int32_t id, bool before)
{
    ZX_TRY(add(w, before ? "{\"SpecialToken\":{\"id\":" : ",{\"SpecialToken\":{\"id\":"));
    ZX_TRY(quote(w, w->given->tokens[id]));
    return add(w, before ? ",\"type_id\":0}}," : ",\"type_id\":0}}");
}

static zmlx_status add_sequence(const writing *w, bool bos, bool eos, const char *name)
{
    if (bos) ZX_TRY(add_side(w, w->given->bos, true));
    ZX_TRY(zx_text_format(w->json, "{\"Sequence\":{\"id\":\"%s\",\"type_id\":0}}", name));
    return eos ? add_side(w, w->given->eos, false) : ZMLX_OK;
}

static zmlx_status add_special(const writing *w, int32_t id, bool comma)
{
    const zx_string_view token = w->given->tokens[id];
    if (comma) ZX_TRY(add(w, ","));
    ZX_TRY(quote(w, token));
    ZX_TRY(add(w, ":{\"id\":"));
    ZX_TRY(quote(w, token));
    ZX_TRY(zx_text_format(w->json, ",\"ids\":[%d],\"tokens\":[", (int)id));
    ZX_TRY(quote(w, token));
    return add(w, "]}");
}

static zmlx_status add_template(const writing *w)
{
    const zx_gguf_vocabulary *const given = w->given;
    const bool bos = given->add_bos && given->bos >= 0, eos = given->add_eos && given->eos >= 0;
    ZX_TRY(add(w, "\"post_processor\":"));
    if (!bos && !eos) return add(w, "null");
    ZX_TRY(add(w, "{\"type\":\"TemplateProcessing\",\"single\":["));
    ZX_TRY(add_sequence(w, bos, eos, "A"));
    ZX_TRY(add(w, "],\"pair\":["));
    ZX_TRY(add_sequence(w, bos, eos, "A"));
    ZX_TRY(add(w, ","));
    ZX_TRY(add_sequence(w, bos, eos, "B"));
    ZX_TRY(add(w, "],\"special_tokens\":{"));
    if (bos) ZX_TRY(add_special(w, given->bos, false));
    if (eos && !(bos && given->bos == given->eos)) ZX_TRY(add_special(w, given->eos, bos));
    return add(w, "}}");
}

/* -------- the kinds -------- */

static zmlx_status write_byte_level(writing *w, const zx_gguf_split *split)
{
    ZX_TRY(add(w, "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Sequence\","
                  "\"pretokenizers\":["));
    for (size_t i = 0; i < ZX_MAX_SPLITS && split->patterns[i] != NULL; i++) {
        ZX_TRY(add_split(w, split->patterns[i]));
        ZX_TRY(add(w, ","));
    }
    ZX_TRY(add(w, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":false,"
                  "\"use_regex\":false}]},"));
    ZX_TRY(add_template(w));
    ZX_TRY(add(w, ",\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                  "\"trim_offsets\":false,\"use_regex\":false},"));
    return add_model(w, false, false, split->ignore_merges);
}

/* Characters, spaces as U+2581, bytes for what is in no token: SentencePiece's BPE. */
static zmlx_status write_characters(writing *w, const zx_gguf_split *split, bool scored)
{
    const bool prefix = w->given->add_space_prefix;
    ZX_TRY(add(w, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["));
    if (prefix) ZX_TRY(add(w, "{\"type\":\"Prepend\",\"prepend\":\"" BLOCK "\"},"));
    ZX_TRY(add(w, "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" BLOCK
                  "\"}]},\"pre_tokenizer\":"));
    if (split != NULL)
        ZX_TRY(add_split(w, split->patterns[0]));
    else
        ZX_TRY(add(w, "null"));
    ZX_TRY(add(w, ","));
    ZX_TRY(add_template(w));
    ZX_TRY(add(w, ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
                  "\"pattern\":{\"String\":\"" BLOCK "\"},\"content\":\" \"},"
                  "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}"));
    if (prefix) ZX_TRY(add(w, ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}"));
    ZX_TRY(add(w, "]},"));
    return add_model(w, true, scored, false);
}

static zmlx_status write_whitespace(writing *w)
{
    ZX_TRY(add(w, w->given->lowercase ? "\"normalizer\":{\"type\":\"Lowercase\"},"
                                      : "\"normalizer\":null,"));
    ZX_TRY(add(w, "\"pre_tokenizer\":{\"type\":\"Whitespace\"},"));
    ZX_TRY(add_template(w));
    ZX_TRY(add(w, ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":["
                  "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]},"));
    return add_model(w, true, false, false);
}

/* -------- words (bert) -------- */

/* Tokens that are no pieces of words. */
static bool stands_alone(const writing *w, int32_t id)
{
    const zx_gguf_vocabulary *const given = w->given;
    const zx_ids *const sides = &w->tokenizer->template;
    bool alone = id == given->unknown || (given->types != NULL && given->types[id] != NORMAL);
    for (size_t i = 0; i < sides->count; i++) alone = alone || sides->items[i] == id;
    return alone;
}

/* GGUF's words begin with U+2581 and other pieces have no prefix; here those have "##". */
static zmlx_status spell(const writing *w, int32_t id, zx_text *text)
{
    zx_string_view token = w->given->tokens[id];
    const size_t width = sizeof BLOCK - 1;
    const bool word = token.length >= width && memcmp(token.bytes, BLOCK, width) == 0;
    const bool piece = !word && !stands_alone(w, id);
    if (word) token = (zx_string_view){token.bytes + width, token.length - width};
    zx_text_clear(text);
    ZX_TRY(zx_text_add_string(text, piece ? "##" : ""));
    return zx_text_add(text, token.bytes, token.length);
}

/* A key cannot stand there twice: the tokens that could be spelt like this one are those of its
 * text behind U+2581, without "##", and as it is. */
static zmlx_status check_spelling(writing *w, int32_t id, zx_text *other)
{
    const zx_vocabulary *const vocabulary = &w->tokenizer->model.vocabulary;
    const zx_text *const piece = &w->piece;
    const size_t prefix = piece->length >= 2 && memcmp(piece->bytes, "##", 2) == 0 ? 2 : 0;
    zx_text_clear(other);
    ZX_TRY(zx_text_add_string(other, BLOCK));
    ZX_TRY(zx_text_add(other, piece->bytes, piece->length));
    const int32_t ids[] = {
        zx_vocabulary_find(vocabulary, other->bytes, other->length),
        zx_vocabulary_find(vocabulary, piece->bytes, piece->length),
        zx_vocabulary_find(vocabulary, piece->bytes + prefix, piece->length - prefix)};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        if (ids[i] < 0 || ids[i] == id) continue;
        ZX_TRY(spell(w, ids[i], other));
        if (other->length != piece->length ||
            memcmp(other->bytes, piece->bytes, piece->length) != 0)
            continue;
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                       "%s: tokenizer.ggml.tokens: tokens %d and %d would both be \"%s\" in a "
                       "tokenizer.json",
                       w->given->source, (int)id, (int)ids[i], piece->bytes);
    }
    return ZMLX_OK;
}

static zmlx_status add_word(writing *w, int32_t id)
{
    zx_text other = {0};
    ZX_TRY(spell(w, id, &w->piece));
    const zmlx_status status = check_spelling(w, id, &other);
    zx_text_fini(&other);
    ZX_TRY(status);
    ZX_TRY(quote(w, (zx_string_view){w->piece.bytes, w->piece.length}));
    return zx_text_format(w->json, ":%d", (int)id);
}

/* The template that from_gguf.c made, of ids. */
static zmlx_status add_template_of_ids(const writing *w)
{
    const zx_ids *const sides = &w->tokenizer->template;
    writing of = *w;
    zx_gguf_vocabulary given = *w->given;
    bool behind = false;
    given.bos = given.eos = -1;
    given.add_bos = given.add_eos = true;
    for (size_t i = 0; i < sides->count; i++) {
        if (sides->items[i] == ZX_SEQUENCE)
            behind = true;
        else
            *(behind ? &given.eos : &given.bos) = sides->items[i];
    }
    of.given = &given;
    return add_template(&of);
}

static zmlx_status write_words(writing *w)
{
    ZX_TRY(zx_text_format(w->json,
                          "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"
                          "\"handle_chinese_chars\":true,\"strip_accents\":%s,\"lowercase\":%s},"
                          "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},",
                          w->given->strip_accents ? "true" : "false",
                          w->given->lowercase ? "true" : "false"));
    ZX_TRY(add_template_of_ids(w));
    ZX_TRY(add(w, ",\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":false},"
                  "\"model\":{\"type\":\"WordPiece\",\"unk_token\":"));
    ZX_TRY(quote(w, w->tokenizer->model.unknown_token));
    ZX_TRY(zx_text_format(w->json,
                          ",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":%d,",
                          ZX_BERT_WORD));
    ZX_TRY(add_vocabulary(w, add_word));
    return add(w, "}");
}

/* -------- the most likely tokens (t5) -------- */

static zmlx_status add_base64(const writing *w, const char *bytes, size_t count)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3) {
        const size_t left = count - i < 3 ? count - i : 3;
        uint32_t group = 0;
        char out[4];
        for (size_t k = 0; k < left; k++)
            group |= (uint32_t)(unsigned char)bytes[i + k] << (16 - 8 * k);
        for (size_t k = 0; k < 4; k++)
            out[k] = k <= left ? letters[group >> (18 - 6 * k) & 63u] : '=';
        ZX_TRY(zx_text_add(w->json, out, sizeof out));
    }
    return ZMLX_OK;
}

static zmlx_status add_replace(const writing *w, const char *regex, const char *content)
{
    return zx_text_format(w->json,
                          "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"%s\"},\"content\":"
                          "\"%s\"},",
                          regex, content);
}

/* SentencePiece's own normalizer in tokenizer.json's parts. */
static zmlx_status add_normalizer(const writing *w)
{
    const zx_gguf_vocabulary *const given = w->given;
    ZX_TRY(add(w, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["));
    if (given->charsmap != NULL && given->charsmap_bytes > 0) {
        ZX_TRY(add(w, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\""));
        ZX_TRY(add_base64(w, given->charsmap, given->charsmap_bytes));
        ZX_TRY(add(w, "\"},"));
    }
    if (given->remove_extra_whitespaces) {
        ZX_TRY(add_replace(w, "\\\\A +| +\\\\z", ""));
        ZX_TRY(add_replace(w, " {2,}", " "));
    }
    if (given->add_space_prefix)
        ZX_TRY(add(w, "{\"type\":\"Prepend\",\"prepend\":\"" BLOCK "\"},"));
    return add(w, "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" BLOCK
                  "\"}]},");
}

static int32_t type_of(const zx_gguf_vocabulary *given, size_t id)
{
    return given->types == NULL ? NORMAL : given->types[id];
}

/* The format's unknown score is 10 below the least of all scores, ours below the least of those of
 * normal tokens: no other one may be less. */
static double least_score(const zx_gguf_vocabulary *given, const double *scores)
{
    double least = 0;
    for (size_t i = 0; i < given->token_count; i++)
        if (type_of(given, i) == NORMAL && scores[i] < least) least = scores[i];
    return least;
}

/* Bytes, and unused tokens that a score below that would have kept out. */
static bool unreached(const zx_gguf_vocabulary *given, const double *scores, double least, size_t i)
{
    uint32_t point;
    const zx_string_view token = given->tokens[i];
    const int32_t type = type_of(given, i);
    return type == BYTE || (type == UNUSED && scores[i] < least &&
                            token.length > zx_utf8_decode(token.bytes, token.length, &point));
}

static zmlx_status add_scored_vocabulary(writing *w, double least)
{
    const zx_gguf_vocabulary *const given = w->given;
    const double *const scores = w->tokenizer->model.scores;
    ZX_TRY(add(w, ",\"vocab\":["));
    for (size_t i = 0; i < given->token_count; i++) {
        const bool raised = type_of(given, i) != NORMAL && scores[i] < least;
        zx_text_clear(&w->piece);
        if (unreached(given, scores, least, i)) ZX_TRY(zx_text_add_string(&w->piece, UNREACHED));
        ZX_TRY(zx_text_add(&w->piece, given->tokens[i].bytes, given->tokens[i].length));
        ZX_TRY(add(w, i == 0 ? "[" : ",["));
        ZX_TRY(quote(w, (zx_string_view){w->piece.bytes, w->piece.length}));
        ZX_TRY(add(w, ","));
        ZX_TRY(zx_text_add_number(w->json, raised ? least : scores[i]));
        ZX_TRY(add(w, "]"));
    }
    return add(w, "]");
}

static zmlx_status write_unigram(writing *w)
{
    const zx_gguf_vocabulary *const given = w->given;
    const double *const scores = w->tokenizer->model.scores;
    const double least = least_score(given, scores);
    bool any = false;
    for (size_t i = 0; i < given->token_count; i++) any = any || unreached(given, scores, least, i);
    ZX_TRY(add_normalizer(w));
    ZX_TRY(add(w, "\"pre_tokenizer\":null,"));
    ZX_TRY(add_template(w));
    ZX_TRY(add(w, ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":["));
    if (any)
        ZX_TRY(add(w, "{\"type\":\"Replace\",\"pattern\":{\"String\":\"" UNREACHED
                      "\"},\"content\":\"\"},{\"type\":\"ByteFallback\"},"));
    ZX_TRY(add(w, "{\"type\":\"Replace\",\"pattern\":{\"String\":\"" BLOCK
                  "\"},\"content\":\" \"},{\"type\":\"Fuse\"}"));
    if (given->add_space_prefix)
        ZX_TRY(zx_text_format(w->json,
                              ",{\"type\":\"Strip\",\"content\":\" \",\"start\":%d,\"stop\":0}",
                              given->remove_extra_whitespaces ? 1000000 : 1));
    ZX_TRY(add(w, "]},\"model\":{\"type\":\"Unigram\",\"unk_id\":"));
    if (given->unknown >= 0)
        ZX_TRY(zx_text_format(w->json, "%d", (int)given->unknown));
    else
        ZX_TRY(add(w, "null"));
    ZX_TRY(add_scored_vocabulary(w, least));
    return add(w, ",\"byte_fallback\":false}");
}

static zmlx_status write_kind(writing *w)
{
    const char *const model = w->given->model;
    const zx_gguf_split *split = zx_gguf_split_find(w->given->pre);
    if (strcmp(model, "llama") == 0) return write_characters(w, NULL, true);
    if (strcmp(model, "gemma4") == 0)
        return write_characters(w, zx_gguf_split_find("gemma4"), false);
    if (strcmp(model, "bert") == 0) return write_words(w);
    if (strcmp(model, "t5") == 0) return write_unigram(w);
    if (zx_gguf_leaves_spaces_out(w->given)) return write_whitespace(w);
    if (strcmp(model, "gpt2") == 0 && split != NULL)
        return split->plain ? write_characters(w, split, false) : write_byte_level(w, split);
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                   "%s: tokenizer.ggml.model \"%s\" is not written as a tokenizer.json",
                   w->given->source, model);
}

zmlx_status zx_gguf_to_tokenizer_json(const zx_gguf_vocabulary *vocabulary, zx_text *json)
{
    zx_tokenizer *tokenizer = NULL;
    ZX_TRY(zx_tokenizer_open_gguf(vocabulary, &tokenizer)); /* judges it too */
    writing w = {.given = vocabulary, .tokenizer = tokenizer, .json = json};
    zmlx_status status = add(&w, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,");
    if (status == ZMLX_OK) status = add_tokens(&w);
    if (status == ZMLX_OK) status = add(&w, ",");
    if (status == ZMLX_OK) status = write_kind(&w);
    if (status == ZMLX_OK) status = add(&w, "}\n");
    zx_text_fini(&w.piece);
    zx_tokenizer_close(tokenizer);
    return status;
}
