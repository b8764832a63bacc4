/* from_model.c - reads tokenizer.model: SentencePiece's message (protocol buffers, of which this
 * reads the few fields that matter), or tiktoken's lines of "BASE64 RANK".
 *
 * They cannot be taken for each other: the first byte of the one is a line's end. */
#include <assert.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "text/build.h"
#include "text/bytemap.h"
#include "text/charsmap.h"
#include "text/decode.h"
#include "text/gguf_splits.h"
#include "text/spm_normalizer.h"

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };
enum { UNIGRAM = 1, BPE = 2, WORD = 3, CHARACTER = 4 };

/* One field of a message: a number, or bytes. */
typedef struct message {
    const char *at, *end;
    uint64_t field, number;
    zx_string_view bytes;
} message;

typedef struct reading {
    const char *source;
    zx_string_view file; /* its bytes */
    zx_tokenizer *tokenizer;
    zx_build build;
    const zx_tokenizer_options *options;
    uint8_t *types; /* by id */
    size_t type_capacity;
    uint64_t model_type;
    int64_t bos, eos;
    bool add_prefix, merge_spaces, escape, suffix;
    zx_string_view map, unknown_surface;
    double lowest; /* score of a normal piece */
} reading;

static zmlx_status damaged(const reading *r)
{
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the SentencePiece model is damaged", r->source);
}

static bool take_varint(message *m, uint64_t *number)
{
    *number = 0;
    for (int shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        const unsigned char byte = (unsigned char)*m->at++;
        *number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

/* Takes the next field; false at a damaged one. */
static bool take_field(message *m)
{
    uint64_t key, length;
    m->bytes = (zx_string_view){0};
    if (!take_varint(m, &key)) return false;
    m->field = key >> 3;
    m->number = 0;
    switch (key & 7) {
    case 0: return take_varint(m, &m->number);
    case 1: length = 8; break;
    case 2:
        if (!take_varint(m, &length)) return false;
        break;
    case 5: length = 4; break;
    default: return false;
    }
    if (length > (uint64_t)(m->end - m->at)) return false;
    m->bytes = (zx_string_view){m->at, (size_t)length};
    m->at += length;
    return true;
}

static zmlx_status add_piece(reading *r, zx_string_view text, double score, uint64_t type)
{
    zx_model *const model = &r->tokenizer->model;
    const size_t id = model->vocabulary.size;
    bool added;
    if (!zx_utf8_valid(text.bytes, text.length) || type < NORMAL || type > BYTE) return damaged(r);
    ZX_TRY(zx_vocabulary_add(&model->vocabulary, text.bytes, text.length, (uint32_t)id, &added));
    if (!added)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: piece \"%.*s\" stands there twice", r->source,
                       (int)(text.length < 64 ? text.length : 64), text.bytes);
    ZX_TRY(zx_grow(&model->scores, &model->score_capacity, id + 1, sizeof(double), "scores"));
    ZX_TRY(zx_grow(&r->types, &r->type_capacity, id + 1, 1, "piece types"));
    model->scores[id] = score;
    r->types[id] = (uint8_t)type;
    if (type == NORMAL && score < r->lowest) r->lowest = score;
    if (type == UNKNOWN) model->unknown = (int32_t)id;
    return ZMLX_OK;
}

static zmlx_status read_piece(reading *r, zx_string_view bytes)
{
    message m = {.at = bytes.bytes, .end = bytes.bytes + bytes.length};
    zx_string_view text = {"", 0};
    float score = 0;
    uint64_t type = NORMAL;
    while (m.at < m.end) {
        if (!take_field(&m)) return damaged(r);
        if (m.field == 1 && m.bytes.bytes != NULL) text = m.bytes;
        if (m.field == 2 && m.bytes.length == 4) memcpy(&score, m.bytes.bytes, 4);
        if (m.field == 3) type = m.number;
    }
    return add_piece(r, text, (double)score, type);
}

static zmlx_status read_trainer(reading *r, zx_string_view bytes)
{
    message m = {.at = bytes.bytes, .end = bytes.bytes + bytes.length};
    while (m.at < m.end) {
        if (!take_field(&m)) return damaged(r);
        if (m.field == 3) r->model_type = m.number;
        if (m.field == 24) r->suffix = m.number != 0;
        if (m.field == 35) r->tokenizer->model.byte_fallback = m.number != 0;
        if (m.field == 41) r->bos = (int32_t)m.number;
        if (m.field == 42) r->eos = (int32_t)m.number;
        if (m.field == 44) r->unknown_surface = m.bytes;
    }
    const zx_string_view surface = r->unknown_surface;
    return zx_utf8_valid(surface.bytes, surface.length) ? ZMLX_OK : damaged(r);
}

static zmlx_status read_normalizer(reading *r, zx_string_view bytes)
{
    message m = {.at = bytes.bytes, .end = bytes.bytes + bytes.length};
    while (m.at < m.end) {
        if (!take_field(&m)) return damaged(r);
        if (m.field == 2) r->map = m.bytes;
        if (m.field == 3) r->add_prefix = m.number != 0;
        if (m.field == 4) r->merge_spaces = m.number != 0;
        if (m.field == 5) r->escape = m.number != 0;
    }
    return ZMLX_OK;
}

static zmlx_status read_message(reading *r)
{
    message m = {.at = r->file.bytes, .end = r->file.bytes + r->file.length};
    while (m.at < m.end) {
        if (!take_field(&m)) return damaged(r);
        if (m.field >= 1 && m.field <= 3 && m.bytes.bytes == NULL) return damaged(r);
        if (m.field == 1) ZX_TRY(read_piece(r, m.bytes));
        if (m.field == 2) ZX_TRY(read_trainer(r, m.bytes));
        if (m.field == 3) ZX_TRY(read_normalizer(r, m.bytes));
    }
    if (r->tokenizer->model.unknown < 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: there is no unknown piece", r->source);
    return ZMLX_OK;
}

/* User-defined pieces are cut out before BPE merges; in a unigram model they are likely tokens. */
static zmlx_status settle_pieces(reading *r, zx_spm_options *spm)
{
    zx_tokenizer *const tokenizer = r->tokenizer;
    zx_model *const model = &tokenizer->model;
    void *memory;
    ZX_TRY(zx_alloc(model->vocabulary.size, "pieces", &memory));
    model->reserved = memory;
    assert(r->types != NULL); /* there is an unknown piece */
    for (size_t id = 0; id < model->vocabulary.size; id++) {
        const zx_string_view text = model->vocabulary.tokens[id];
        const uint8_t type = r->types[id];
        model->reserved[id] = type == UNKNOWN || type == CONTROL || type == BYTE ||
                              (type == UNUSED && r->model_type == UNIGRAM);
        zx_added_token token = {.content = text, .id = -1, .special = type != USER_DEFINED};
        if (type == USER_DEFINED && text.length > 0) {
            ZX_TRY(zx_trie_add(&spm->symbols, text.bytes, text.length, (int32_t)id, true));
            model->scores[id] = (double)(float)(0.1 * ((double)text.length - 1));
            token.normalized = token.as_is = true;
        }
        if (type == UNKNOWN || type == CONTROL ||
            (type == USER_DEFINED && (r->model_type == BPE || r->model_type == CHARACTER)))
            ZX_TRY(zx_added_add(&tokenizer->added, &model->vocabulary, token));
    }
    return ZMLX_OK;
}

zmlx_status zx_spm_decoder(zx_tokenizer *tokenizer, const zx_build *build, bool strip, bool all)
{
    zx_part *sequence, *part;
    ZX_TRY(zx_tokenizer_sequence(tokenizer, &zx_decoders, 3, &sequence));
    sequence->children[sequence->child_count++] =
        (zx_part){.row = &zx_spm_start, .left = strip, .right = all};
    ZX_TRY(zx_tokenizer_part(tokenizer, &zx_decoders, "Replace", &part));
    ZX_TRY(zx_build_regex(build, "\xE2\x96\x81", 3, true, &part->regex));
    part->text = (zx_string_view){" ", 1};
    sequence->children[sequence->child_count++] = *part;
    ZX_TRY(zx_tokenizer_part(tokenizer, &zx_decoders, "ByteFallback", &part));
    part->individual = true;
    sequence->children[sequence->child_count++] = *part;
    tokenizer->decoder = sequence;
    return ZMLX_OK;
}

/* Before and behind the text, as the options say: their token, or else the file's. */
static zmlx_status set_template(reading *r)
{
    const zx_tokenizer_options *const options = r->options;
    zx_tokenizer *const tokenizer = r->tokenizer;
    const char *const texts[] = {options->bos, options->eos};
    const bool wanted[] = {options->add_bos, options->add_eos};
    const int64_t own[] = {r->bos, r->eos};
    for (int side = 0; side < 2; side++) {
        if (side == 1) ZX_TRY(zx_ids_add(&tokenizer->template, ZX_SEQUENCE));
        if (!wanted[side] || (texts[side] == NULL && own[side] < 0)) continue;
        int64_t id = own[side];
        if (texts[side] != NULL) id = zx_tokenizer_find(tokenizer, texts[side]);
        if (id < 0 || (size_t)id >= tokenizer->size)
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the %s token \"%s\" is not in the vocabulary",
                           r->source, side == 0 ? "first" : "last",
                           texts[side] != NULL ? texts[side] : "");
        ZX_TRY(zx_ids_add(&tokenizer->template, (int32_t)id));
    }
    return ZMLX_OK;
}

/* The texts are the caller's: copies stay. */
static zmlx_status add_extra(const reading *r)
{
    for (size_t i = 0; i < r->options->extra_count; i++) {
        const zx_extra_token *extra = &r->options->extra[i];
        void *memory;
        ZX_TRY(zx_arena_alloc(&r->tokenizer->store.arena, extra->text.length + 1, &memory));
        memcpy(memory, extra->text.bytes, extra->text.length);
        const zx_added_token token = {.content = {memory, extra->text.length},
                                      .id = extra->id,
                                      .single_word = extra->single_word,
                                      .left = extra->left,
                                      .right = extra->right,
                                      .normalized = extra->normalized,
                                      .special = extra->special};
        ZX_TRY(zx_added_add(&r->tokenizer->added, &r->tokenizer->model.vocabulary, token));
    }
    return ZMLX_OK;
}

static zmlx_status make_normalizer(reading *r)
{
    zx_tokenizer *const tokenizer = r->tokenizer;
    void *memory;
    ZX_TRY(zx_arena_alloc(&tokenizer->store.arena, sizeof(zx_part), &memory));
    zx_part *const part = memory;
    part->row = &zx_spm_normalizer;
    zx_spm_options *const spm = &tokenizer->spm;
    *spm = (zx_spm_options){.add_prefix = r->add_prefix,
                            .suffix = r->suffix,
                            .merge_spaces = r->merge_spaces,
                            .escape = r->escape};
    if (r->map.length > 0) {
        zx_charsmap *map;
        ZX_TRY(zx_charsmap_read(r->source, r->map.bytes, r->map.length, &tokenizer->store.arena,
                                &map));
        spm->map = map;
    }
    part->data = spm;
    tokenizer->normalizer = part;
    return ZMLX_OK;
}

static zmlx_status make_model(reading *r)
{
    zx_tokenizer *const tokenizer = r->tokenizer;
    zx_model *const model = &tokenizer->model;
    model->fuse_unknown = true;
    model->unknown_token = model->vocabulary.tokens[model->unknown];
    switch (r->model_type) {
    case UNIGRAM:
        model->row = &zx_model_unigram;
        model->sentencepiece = model->single_sums = true;
        model->unknown_score = (double)(float)(r->lowest - ZX_UNKNOWN_PENALTY);
        return ZMLX_OK;
    case BPE: model->row = &zx_model_bpe; return zx_bpe_add_scored_merges(model, r->source);
    case CHARACTER: model->row = &zx_model_bpe; return ZMLX_OK;
    case WORD: {
        zx_part *part;
        model->row = &zx_model_wordlevel;
        model->sentencepiece = true;
        ZX_TRY(zx_tokenizer_part(tokenizer, &zx_pre_tokenizers, "Metaspace", &part));
        part->scheme = ZX_PREPEND_NEVER;
        part->text = (zx_string_view){"\xE2\x96\x81", 3};
        tokenizer->pre_tokenizer = part;
        return ZMLX_OK;
    }
    default: break;
    }
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: SentencePiece model type %llu is not supported",
                   r->source, (unsigned long long)r->model_type);
}

static zmlx_status read_sentencepiece(reading *r)
{
    zx_tokenizer *const tokenizer = r->tokenizer;
    ZX_TRY(read_message(r));
    ZX_TRY(make_normalizer(r));
    ZX_TRY(settle_pieces(r, &tokenizer->spm));
    ZX_TRY(make_model(r));
    ZX_TRY(add_extra(r));
    ZX_TRY(zx_spm_decoder(tokenizer, &r->build, r->add_prefix || r->merge_spaces, r->merge_spaces));
    ZX_TRY(zx_tokenizer_finish(tokenizer, r->source));
    tokenizer->written[tokenizer->model.unknown] = r->unknown_surface;
    return set_template(r);
}

/* A decimal number that fills the text; -1 for anything else. */
static int64_t read_rank(const char *text, size_t length)
{
    int64_t rank = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || rank >= INT32_MAX) return -1;
        rank = rank * 10 + (text[i] - '0');
    }
    return length == 0 || rank >= INT32_MAX ? -1 : rank;
}

/* "BASE64 RANK" */
static zmlx_status read_line(reading *r, const char *line, size_t length, char *bytes, char **out)
{
    zx_model *const model = &r->tokenizer->model;
    const char *const space = memchr(line, ' ', length);
    const size_t width = space == NULL ? length : (size_t)(space - line);
    const int64_t rank = space == NULL ? -1 : read_rank(space + 1, length - width - 1);
    size_t count;
    if (rank < 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: expected lines of \"BASE64 RANK\"", r->source);
    ZX_TRY(zx_base64_decode(r->source, line, width, bytes, &count));
    const char *const text = *out;
    for (size_t i = 0; i < count; i++) *out += zx_byte_write((unsigned char)bytes[i], *out);
    bool added;
    ZX_TRY(
        zx_vocabulary_add(&model->vocabulary, text, (size_t)(*out - text), (uint32_t)rank, &added));
    if (!added) return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a token stands there twice", r->source);
    ZX_TRY(zx_grow(&model->scores, &model->score_capacity, model->vocabulary.size, sizeof(double),
                   "scores"));
    model->scores[rank] = (double)-rank;
    return ZMLX_OK;
}

static zmlx_status read_lines(reading *r)
{
    void *memory, *scratch;
    ZX_TRY(zx_arena_alloc(&r->tokenizer->store.arena, r->file.length * 2, &memory));
    ZX_TRY(zx_alloc(r->file.length, "token", &scratch));
    char *out = memory;
    const char *at = r->file.bytes, *const end = at + r->file.length;
    assert(at != NULL);
    zmlx_status status = ZMLX_OK;
    while (at < end && status == ZMLX_OK) {
        const char *const found = memchr(at, '\n', (size_t)(end - at));
        const char *const line_end = found == NULL ? end : found;
        size_t length = (size_t)(line_end - at);
        if (length > 0 && at[length - 1] == '\r') length--;
        if (length > 0) status = read_line(r, at, length, scratch, &out);
        at = line_end + (found != NULL);
    }
    zx_free(scratch);
    return status;
}

static zmlx_status read_tiktoken(reading *r)
{
    zx_tokenizer *const tokenizer = r->tokenizer;
    zx_model *const model = &tokenizer->model;
    ZX_TRY(read_lines(r));
    model->row = &zx_model_bpe;
    model->ignore_merges = true;
    ZX_TRY(zx_bpe_add_scored_merges(model, r->source));
    const char *const split = r->options->split != NULL ? r->options->split : "llama3";
    assert(zx_gguf_split_find(split) != NULL);
    ZX_TRY(zx_tokenizer_byte_level(tokenizer, &r->build, zx_gguf_split_find(split)));
    if (r->options->extra_count == 0)
        zx_log(ZMLX_LOG_WARNING,
               "%s: no special tokens: tiktoken's files hold none, and nothing else names them",
               r->source);
    ZX_TRY(add_extra(r));
    r->bos = r->eos = -1; /* the file names none */
    ZX_TRY(zx_tokenizer_finish(tokenizer, r->source));
    return set_template(r);
}

static zmlx_status read_file(zx_tokenizer *tokenizer, const char *source, zx_string_view file,
                             const zx_tokenizer_options *options)
{
    reading r = {.source = source,
                 .file = file,
                 .tokenizer = tokenizer,
                 .build = {source, &tokenizer->store},
                 .options = options,
                 .model_type = UNIGRAM,
                 .bos = 1,
                 .eos = 2,
                 .add_prefix = true,
                 .merge_spaces = true,
                 .escape = true,
                 .unknown_surface = {" \xE2\x81\x87 ", 5},
                 .lowest = 1e30};
    zx_tokenizer_begin(tokenizer, source, file.length);
    if (file.length == 0) return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the file is empty", source);
    const zmlx_status status = file.bytes[0] == '\n' ? read_sentencepiece(&r) : read_tiktoken(&r);
    zx_free(r.types);
    return status;
}

zmlx_status zx_tokenizer_open_model(const char *path, const zx_tokenizer_options *options,
                                    zx_tokenizer **tokenizer)
{
    zx_tokenizer *fresh;
    ZX_TRY(zx_tokenizer_create(&fresh));
    zmlx_status status = zx_file_open(path, &fresh->file);
    const zx_string_view file = {(const char *)fresh->file.data, fresh->file.size};
    if (status == ZMLX_OK) status = read_file(fresh, path, file, options);
    if (status == ZMLX_OK)
        *tokenizer = fresh;
    else
        zx_tokenizer_close(fresh);
    return status;
}

zmlx_status zx_tokenizer_open_model_bytes(const char *source, const void *bytes, size_t count,
                                          const zx_tokenizer_options *options,
                                          zx_tokenizer **tokenizer)
{
    zx_tokenizer *fresh;
    ZX_TRY(zx_tokenizer_create(&fresh));
    zmlx_status status = zx_alloc(count, "tokenizer", &fresh->bytes);
    if (status == ZMLX_OK) {
        if (count > 0) memcpy(fresh->bytes, bytes, count);
        status = read_file(fresh, source, (zx_string_view){fresh->bytes, count}, options);
    }
    if (status == ZMLX_OK)
        *tokenizer = fresh;
    else
        zx_tokenizer_close(fresh);
    return status;
}
