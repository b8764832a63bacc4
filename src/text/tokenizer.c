/* tokenizer.c - the way of a text: exact added tokens, normalizer, normalized added tokens,
 * pre-tokenizer, model, template; and back: ids, their texts, the decoder.
 *
 * A tokenizer is only read here.  All working memory belongs to the call. */
#include <assert.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/build.h"
#include "text/decode.h"
#include "text/unicode.h"

/* How much longer a text may become by its normalization. */
enum { GROWTH_AT_LEAST = 1 << 26, GROWTH_PER_BYTE = 64 };

zmlx_status zx_tokenizer_create(zx_tokenizer **tokenizer)
{
    void *memory;
    ZX_TRY(zx_alloc(sizeof(zx_tokenizer), "tokenizer", &memory));
    *tokenizer = memory;
    (*tokenizer)->model.unknown = -1;
    return ZMLX_OK;
}

void zx_model_fini(zx_model *model)
{
    if (model->mapped) {
        model->vocabulary.slots = NULL;
        model->pairs = NULL;
    }
    zx_vocabulary_fini(&model->vocabulary);
    zx_trie_fini(&model->trie);
    zx_free(model->scores);
    zx_free(model->reserved);
    zx_free(model->pairs);
    zx_text_fini(&model->joined);
    *model = (zx_model){0};
}

void zx_tokenizer_close(zx_tokenizer *tokenizer)
{
    if (tokenizer == NULL) return;
    zx_model_fini(&tokenizer->model);
    zx_added_fini(&tokenizer->added);
    zx_ids_fini(&tokenizer->template);
    zx_trie_fini(&tokenizer->spm.symbols);
    zx_free(tokenizer->written);
    zx_free(tokenizer->special);
    zx_free(tokenizer->bytes);
    zx_file_close(&tokenizer->file);
    zx_file_close(&tokenizer->tables);
    zx_store_fini(&tokenizer->store);
    zx_free(tokenizer);
}

zmlx_status zx_tokenizer_part(zx_tokenizer *tokenizer, const zx_part_table *table, const char *type,
                              zx_part **part)
{
    void *memory;
    ZX_TRY(zx_arena_alloc(&tokenizer->store.arena, sizeof(zx_part), &memory));
    *part = memory;
    size_t row = 0;
    while (row + 1 < table->count && strcmp(table->rows[row].type, type) != 0) row++;
    assert(strcmp(table->rows[row].type, type) == 0);
    if (table->rows[row].defaults != NULL) **part = *table->rows[row].defaults;
    (*part)->row = &table->rows[row];
    return ZMLX_OK;
}

zmlx_status zx_tokenizer_sequence(zx_tokenizer *tokenizer, const zx_part_table *table, size_t count,
                                  zx_part **sequence)
{
    ZX_TRY(zx_tokenizer_part(tokenizer, table, "Sequence", sequence));
    void *memory;
    ZX_TRY(zx_arena_alloc(&tokenizer->store.arena, count * sizeof(zx_part), &memory));
    (*sequence)->children = memory;
    return ZMLX_OK;
}

/* Special is a token whose written form is the content of one that was declared special: one that
 * its normalization changed is not. */
static void mark_special(zx_tokenizer *tokenizer)
{
    const zx_added *const added = &tokenizer->added;
    for (size_t i = 0; i < added->count; i++)
        if (added->items[i].special) tokenizer->special[added->items[i].id] = true;
    for (size_t i = 0; i < added->count; i++) {
        const zx_added_token *const token = &added->items[i];
        if (!token->normalized) continue;
        const int32_t id =
            zx_vocabulary_find(&added->names, token->written.bytes, token->written.length);
        tokenizer->special[token->id] = id >= 0 && tokenizer->special[id];
    }
    const zx_vocabulary *const own = &tokenizer->model.vocabulary;
    for (size_t i = 0; own->repeats && i < own->size; i++) { /* every id of a text is as special */
        const int32_t id =
            zx_vocabulary_find(&added->names, own->tokens[i].bytes, own->tokens[i].length);
        if (id >= 0 && tokenizer->special[id]) tokenizer->special[i] = true;
    }
}

void zx_tokenizer_begin(zx_tokenizer *tokenizer, const char *source, size_t bytes)
{
    zx_vocabulary *const both[] = {&tokenizer->model.vocabulary, &tokenizer->added.names};
    for (size_t i = 0; i < 2; i++) {
        both[i]->source = source;
        both[i]->file_bytes = bytes;
    }
}

zmlx_status zx_tokenizer_finish(zx_tokenizer *tokenizer, const char *source)
{
    zx_model *const model = &tokenizer->model;
    zx_added *const added = &tokenizer->added;
    ZX_TRY(model->row->prepare(model, source));
    ZX_TRY(zx_added_finish(added, tokenizer->normalizer, &tokenizer->store.arena));
    const size_t own = model->vocabulary.size;
    tokenizer->size = own > added->names.size ? own : added->names.size;
    void *memory;
    ZX_TRY(zx_alloc_array(tokenizer->size, sizeof(zx_string_view), "vocabulary", &memory));
    tokenizer->written = memory;
    ZX_TRY(zx_alloc_array(tokenizer->size, sizeof(bool), "vocabulary", &memory));
    tokenizer->special = memory;
    if (own > 0) memcpy(tokenizer->written, model->vocabulary.tokens, own * sizeof(zx_string_view));
    for (size_t i = 0; i < added->count; i++) {
        tokenizer->written[added->items[i].id] = added->items[i].written;
    }
    mark_special(tokenizer);
    model->vocabulary.source = added->names.source = NULL; /* it is the caller's */
    return ZMLX_OK;
}

size_t zx_tokenizer_size(const zx_tokenizer *tokenizer)
{
    return tokenizer->size;
}

int32_t zx_tokenizer_find(const zx_tokenizer *tokenizer, const char *token)
{
    const size_t length = strlen(token);
    const int32_t id = zx_vocabulary_find(&tokenizer->added.names, token, length);
    return id >= 0 ? id : zx_vocabulary_find(&tokenizer->model.vocabulary, token, length);
}

/* Pre-tokenizes the pieces and turns them into ids. */
static zmlx_status encode_pieces(const zx_tokenizer *tokenizer, zx_work *work, zx_ids *ids)
{
    const zx_model *const model = &tokenizer->model;
    ZX_TRY(zx_pre_tokenize(tokenizer->pre_tokenizer, work));
    for (size_t i = 0; i < work->pieces.count; i++) {
        const zx_piece *const piece = &work->pieces.items[i];
        if (piece->id >= 0)
            ZX_TRY(zx_ids_add(ids, piece->id));
        else
            ZX_TRY(model->row->encode(model, work, work->bytes + piece->start, piece->length, ids));
    }
    return ZMLX_OK;
}

/* A run of text, not empty, between exact added tokens. */
static zmlx_status encode_run(const zx_tokenizer *tokenizer, zx_work *work, const char *bytes,
                              size_t length, bool at_start, zx_ids *ids)
{
    zx_normal *const normal = &work->normal;
    normal->bytes = bytes;
    normal->length = length;
    uint32_t point;
    normal->origin = at_start ? zx_utf8_next(bytes, &point) : 0;
    ZX_TRY(zx_normalize(tokenizer->normalizer, work));
    const zx_piece whole = {0, normal->length, normal->origin, -1};
    work->bytes = normal->bytes;
    zx_added_search search = {.added = &tokenizer->added,
                              .trie = &tokenizer->added.normalized,
                              .bytes = normal->bytes,
                              .length = normal->length};
    size_t start, end;
    for (;;) {
        const size_t done = search.done;
        const zx_added_token *const token = zx_added_next(&search, &start, &end);
        if (token == NULL) break;
        if (start > done) ZX_TRY(zx_work_cut(work, zx_piece_part(&whole, done, start - done)));
        ZX_TRY(zx_work_cut(work, (zx_piece){start, end - start, 0, token->id}));
    }
    if (search.done < normal->length)
        ZX_TRY(zx_work_cut(work, zx_piece_part(&whole, search.done, normal->length - search.done)));
    zx_work_commit(work, false);
    return encode_pieces(tokenizer, work, ids);
}

static zmlx_status encode_text(const zx_tokenizer *tokenizer, zx_work *work, const char *text,
                               size_t length, zx_ids *ids)
{
    zx_added_search search = {.added = &tokenizer->added,
                              .trie = &tokenizer->added.exact,
                              .bytes = text,
                              .length = length};
    size_t start, end;
    for (;;) {
        const size_t done = search.done;
        const zx_added_token *const token = zx_added_next(&search, &start, &end);
        if (token == NULL) break;
        if (start > done)
            ZX_TRY(encode_run(tokenizer, work, text + done, start - done, done == 0, ids));
        ZX_TRY(zx_ids_add(ids, token->id));
    }
    const size_t done = search.done;
    if (done == length) return ZMLX_OK;
    return encode_run(tokenizer, work, text + done, length - done, done == 0, ids);
}

static zmlx_status encode_template(const zx_tokenizer *tokenizer, zx_work *work, const char *text,
                                   size_t length, bool add_special, zx_ids *ids)
{
    static int32_t just_text[] = {ZX_SEQUENCE};
    const zx_ids *const list = &tokenizer->template;
    const int32_t *const items = list->items != NULL ? list->items : just_text;
    const size_t count = list->items != NULL ? list->count : 1;
    size_t first = 0, text_count = 0;
    bool encoded = false;
    for (size_t i = 0; i < count; i++) {
        if (items[i] != ZX_SEQUENCE) {
            if (add_special) ZX_TRY(zx_ids_add(ids, items[i]));
        } else if (!encoded) {
            first = ids->count;
            ZX_TRY(encode_text(tokenizer, work, text, length, ids));
            text_count = ids->count - first;
            encoded = true;
        } else {
            for (size_t j = 0; j < text_count; j++) ZX_TRY(zx_ids_add(ids, ids->items[first + j]));
        }
    }
    return ZMLX_OK;
}

zmlx_status zx_tokenizer_encode(const zx_tokenizer *tokenizer, const char *text, size_t length,
                                bool add_special, zx_ids *ids)
{
    assert(text != NULL || length == 0);
    if (length > INT32_MAX)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "a text of %zu bytes is too long to tokenize", length);
    if (!zx_utf8_valid(text, length))
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the text to tokenize is not UTF-8");
    const size_t before = ids->count;
    zx_work work = {.normal = {.limit = GROWTH_AT_LEAST + GROWTH_PER_BYTE * length}};
    const zmlx_status status =
        encode_template(tokenizer, &work, length == 0 ? "" : text, length, add_special, ids);
    zx_work_fini(&work);
    if (status != ZMLX_OK) ids->count = before;
    return status;
}

struct zx_decode_stream {
    const zx_tokenizer *tokenizer;
    bool skip_special;
    zx_decoding decoding;
};

static zmlx_status decode_id(const zx_tokenizer *tokenizer, zx_decoding *decoding, int32_t id,
                             bool skip_special)
{
    if (id < 0 || (size_t)id >= tokenizer->size)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "token id %d is outside the vocabulary of %zu", (int)id,
                       tokenizer->size);
    const zx_string_view *const token = &tokenizer->written[id];
    if (token->bytes == NULL || (skip_special && tokenizer->special[id])) return ZMLX_OK;
    return zx_decoding_give(decoding, 0, token->bytes, token->length, true);
}

zmlx_status zx_tokenizer_decode(const zx_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                bool skip_special, zx_text *text)
{
    zx_decoding decoding;
    ZX_TRY(zx_decoding_init(&decoding, tokenizer->decoder));
    decoding.out = text;
    zmlx_status status = ZMLX_OK;
    for (size_t i = 0; i < count && status == ZMLX_OK; i++)
        status = decode_id(tokenizer, &decoding, ids[i], skip_special);
    if (status == ZMLX_OK) status = zx_decoding_finish(&decoding);
    zx_decoding_fini(&decoding);
    return status;
}

zmlx_status zx_decode_stream_create(const zx_tokenizer *tokenizer, bool skip_special,
                                    zx_decode_stream **stream)
{
    void *memory;
    ZX_TRY(zx_alloc(sizeof(zx_decode_stream), "decode stream", &memory));
    zx_decode_stream *const fresh = memory;
    fresh->tokenizer = tokenizer;
    fresh->skip_special = skip_special;
    const zmlx_status status = zx_decoding_init(&fresh->decoding, tokenizer->decoder);
    if (status == ZMLX_OK)
        *stream = fresh;
    else
        zx_free(fresh);
    return status;
}

void zx_decode_stream_destroy(zx_decode_stream *stream)
{
    if (stream == NULL) return;
    zx_decoding_fini(&stream->decoding);
    zx_free(stream);
}

zmlx_status zx_decode_stream_push(zx_decode_stream *stream, int32_t id, zx_text *text)
{
    stream->decoding.out = text;
    return decode_id(stream->tokenizer, &stream->decoding, id, stream->skip_special);
}

zmlx_status zx_decode_stream_finish(zx_decode_stream *stream, zx_text *text)
{
    stream->decoding.out = text;
    return zx_decoding_finish(&stream->decoding);
}
