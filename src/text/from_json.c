/* from_json.c - reads tokenizer.json.
 *
 * One pass over the file: tokens stay where they lie in it, merges are looked up as they come. Only
 * where the merges stand before the vocabulary are they passed by and read at the end.
 * "truncation" and "padding" are left alone on purpose, and that is noted. */
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "text/build.h"
#include "text/cache.h"

/* How many bytes of the file a token and a merge take at the least in a large vocabulary: only an
 * estimate of how much memory to take at once. */
enum { MERGES_AT_ONCE = 512, BYTES_PER_TOKEN = 128, BYTES_PER_MERGE = 64 };

typedef struct reading {
    zx_tokenizer *tokenizer;
    zx_build build;
    zx_json *json;
    bool has_model, has_vocabulary, has_prefix, has_merges, is_list, is_wordpiece;
    zx_json merges; /* passed by, to be read when the vocabulary is there */
    bool merges_wait;
    zx_cache_place *cached; /* where the model stands, or will be noted; or NULL */
} reading;

/* The string just read, for as long as the tokenizer lives. */
static zmlx_status keep(reading *r, const zx_json *json, zx_string_view *kept)
{
    if (!json->in_place) return zx_build_keep(&r->build, json, kept);
    *kept = (zx_string_view){json->string, json->length};
    return ZMLX_OK;
}

static zmlx_status add_token(reading *r, zx_string_view token, uint32_t id)
{
    bool added;
    ZX_TRY(
        zx_vocabulary_add(&r->tokenizer->model.vocabulary, token.bytes, token.length, id, &added));
    return added ? ZMLX_OK : zx_json_fail(r->json, "the vocabulary holds a token twice");
}

static zmlx_status read_token_map(reading *r)
{
    zx_json *const json = r->json;
    for (;;) {
        zx_string_view token;
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) return ZMLX_OK;
        ZX_TRY(keep(r, json, &token));
        ZX_TRY(zx_json_expect(json, ZX_JSON_NUMBER));
        if (!json->is_integer || json->integer < 0 || json->integer >= INT32_MAX)
            return zx_json_fail(json, "a token's id must be a whole number");
        ZX_TRY(add_token(r, token, (uint32_t)json->integer));
    }
}

/* [["token", score], ...], the ids being the places. */
static zmlx_status read_token_list(reading *r)
{
    zx_json *const json = r->json;
    zx_model *const model = &r->tokenizer->model;
    for (size_t id = 0;; id++) {
        zx_string_view token;
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_ARRAY_END) return ZMLX_OK;
        if (json->kind != ZX_JSON_ARRAY) return zx_json_fail(json, "expected [token, score]");
        ZX_TRY(zx_json_expect(json, ZX_JSON_STRING));
        ZX_TRY(keep(r, json, &token));
        ZX_TRY(zx_json_expect(json, ZX_JSON_NUMBER));
        ZX_TRY(zx_grow(&model->scores, &model->score_capacity, id + 1, sizeof(double), "scores"));
        model->scores[id] = json->number;
        /* A token that comes twice is no error in this form: it has two ids, and is the last one.
         */
        ZX_TRY(zx_vocabulary_add_over(&model->vocabulary, token.bytes, token.length, (uint32_t)id));
        ZX_TRY(zx_json_expect(json, ZX_JSON_ARRAY_END));
    }
}

/* "left right" */
static zmlx_status split_merge(zx_json *json, zx_string_view text, zx_merge *merge)
{
    const char *const space = memchr(text.bytes, ' ', text.length);
    if (space == NULL) return zx_json_fail(json, "a merge must be two tokens with a space between");
    const size_t left = (size_t)(space - text.bytes);
    if (memchr(space + 1, ' ', text.length - left - 1) != NULL)
        return zx_json_fail(json, "a merge holds more than one space");
    *merge = (zx_merge){{text.bytes, left}, {space + 1, text.length - left - 1}};
    return ZMLX_OK;
}

static zmlx_status read_merge(reading *r, zx_json *json, zx_merge *merge)
{
    if (json->kind == ZX_JSON_STRING) {
        zx_string_view text;
        ZX_TRY(keep(r, json, &text));
        return split_merge(json, text, merge);
    }
    if (json->kind != ZX_JSON_ARRAY) return zx_json_fail(json, "expected a merge");
    ZX_TRY(zx_json_expect(json, ZX_JSON_STRING));
    ZX_TRY(keep(r, json, &merge->left));
    ZX_TRY(zx_json_expect(json, ZX_JSON_STRING));
    ZX_TRY(keep(r, json, &merge->right));
    return zx_json_expect(json, ZX_JSON_ARRAY_END);
}

static zmlx_status read_merges(reading *r, zx_json *json)
{
    zx_merge merges[MERGES_AT_ONCE];
    size_t count = 0;
    ZX_TRY(zx_bpe_expect_merges(&r->tokenizer->model,
                                (size_t)(json->end - json->at) / BYTES_PER_MERGE));
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_ARRAY_END) break;
        ZX_TRY(read_merge(r, json, &merges[count]));
        if (++count < MERGES_AT_ONCE) continue;
        ZX_TRY(zx_bpe_add_merges(&r->tokenizer->model, r->build.source, merges, count, false));
        count = 0;
    }
    return zx_bpe_add_merges(&r->tokenizer->model, r->build.source, merges, count, false);
}

static zmlx_status start_merges(reading *r)
{
    if (r->json->kind == ZX_JSON_NULL) return ZMLX_OK;
    if (r->json->kind != ZX_JSON_ARRAY || r->has_merges)
        return zx_json_fail(r->json, "\"merges\" must be one array");
    r->has_merges = true;
    if (r->has_vocabulary && r->has_prefix) return read_merges(r, r->json);
    ZX_TRY(zx_json_fork(r->json, &r->merges));
    r->merges_wait = true;
    return ZMLX_OK;
}

static zmlx_status start_vocabulary(reading *r)
{
    if (r->has_vocabulary) return zx_json_fail(r->json, "\"vocab\" stands there twice");
    r->has_vocabulary = true;
    r->is_list = r->json->kind == ZX_JSON_ARRAY;
    ZX_TRY(zx_vocabulary_reserve(&r->tokenizer->model.vocabulary,
                                 (size_t)(r->json->end - r->json->at) / BYTES_PER_TOKEN));
    if (r->is_list) return read_token_list(r);
    if (r->json->kind != ZX_JSON_OBJECT)
        return zx_json_fail(r->json, "\"vocab\" must be an object");
    return read_token_map(r);
}

static zmlx_status read_type(reading *r)
{
    enum { ROWS = 4 };
    static const zx_model_row *const rows[ROWS] = {&zx_model_bpe, &zx_model_unigram,
                                                   &zx_model_wordpiece, &zx_model_wordlevel};
    for (size_t i = 0; i < ROWS; i++)
        if (zx_json_is(r->json, rows[i]->type)) r->tokenizer->model.row = rows[i];
    if (r->tokenizer->model.row != NULL) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: model \"%.*s\" is not supported", r->build.source,
                   (int)(r->json->length < 64 ? r->json->length : 64), r->json->string);
}

/* The model's fields that are one value each, by name. */
typedef struct option {
    const char *name;
    zx_json_kind kind; /* TRUE stands for both truth values */
    size_t offset;
} option;

static const option options[] = {
    {"unk_token", ZX_JSON_STRING, offsetof(zx_model, unknown_token)},
    {"continuing_subword_prefix", ZX_JSON_STRING, offsetof(zx_model, prefix)},
    {"end_of_word_suffix", ZX_JSON_STRING, offsetof(zx_model, suffix)},
    {"fuse_unk", ZX_JSON_TRUE, offsetof(zx_model, fuse_unknown)},
    {"byte_fallback", ZX_JSON_TRUE, offsetof(zx_model, byte_fallback)},
    {"ignore_merges", ZX_JSON_TRUE, offsetof(zx_model, ignore_merges)},
    {"max_input_chars_per_word", ZX_JSON_NUMBER, offsetof(zx_model, max_word_characters)},
    {"unk_id", ZX_JSON_NUMBER, offsetof(zx_model, unknown)},
};

static zmlx_status read_option(reading *r, const option *wanted)
{
    zx_json *const json = r->json;
    void *const place = (char *)&r->tokenizer->model + wanted->offset;
    if (json->kind == ZX_JSON_NULL) return ZMLX_OK;
    const zx_json_kind kind = json->kind == ZX_JSON_FALSE ? ZX_JSON_TRUE : json->kind;
    if (kind != wanted->kind)
        return zx_json_fail(json, "an option of the model has a value of the wrong kind");
    if (kind == ZX_JSON_STRING) return keep(r, json, place);
    if (kind == ZX_JSON_TRUE) {
        *(bool *)place = json->kind == ZX_JSON_TRUE;
        return ZMLX_OK;
    }
    if (!json->is_integer || json->integer < 0 || json->integer >= INT32_MAX)
        return zx_json_fail(json, "an option of the model must be a whole number");
    if (wanted->offset == offsetof(zx_model, unknown))
        *(int32_t *)place = (int32_t)json->integer;
    else
        *(size_t *)place = (size_t)json->integer;
    return ZMLX_OK;
}

static zmlx_status read_model_field(reading *r)
{
    zx_json *const json = r->json;
    const bool is_vocabulary = zx_json_is(json, "vocab"), is_merges = zx_json_is(json, "merges");
    const bool is_type = zx_json_is(json, "type");
    const option *found = NULL;
    for (size_t i = 0; i < sizeof options / sizeof *options && found == NULL; i++)
        if (zx_json_is(json, options[i].name)) found = &options[i];
    if (!is_vocabulary && !is_merges && !is_type && found == NULL) return zx_json_drop(json);
    r->has_prefix |= found == &options[1];
    r->is_wordpiece |= found == &options[6];
    if (is_type) {
        ZX_TRY(zx_json_expect(json, ZX_JSON_STRING));
        return read_type(r);
    }
    ZX_TRY(zx_json_next(json));
    return is_vocabulary ? start_vocabulary(r)
           : is_merges   ? start_merges(r)
                         : read_option(r, found);
}

/* What an older file without "type" means, and what the fields mean that it leaves out. */
static zmlx_status complete_model(reading *r)
{
    zx_model *const model = &r->tokenizer->model;
    if (!r->has_vocabulary)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the model has no \"vocab\"", r->build.source);
    if (model->row == NULL)
        model->row = r->has_merges     ? &zx_model_bpe
                     : r->is_list      ? &zx_model_unigram
                     : r->is_wordpiece ? &zx_model_wordpiece
                                       : &zx_model_wordlevel;
    if (r->is_list != (model->row == &zx_model_unigram))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the \"vocab\" of a %s must be an %s",
                       r->build.source, model->row->type, r->is_list ? "object" : "array");
    if (model->row == &zx_model_wordpiece) {
        if (model->unknown_token.bytes == NULL) model->unknown_token = (zx_string_view){"[UNK]", 5};
        if (model->prefix.bytes == NULL) model->prefix = (zx_string_view){"##", 2};
        if (!r->is_wordpiece) model->max_word_characters = 100;
    }
    if (model->row == &zx_model_wordlevel && model->unknown_token.bytes == NULL)
        model->unknown_token = (zx_string_view){"<unk>", 5};
    if (model->row != &zx_model_bpe || !r->merges_wait) return ZMLX_OK;
    ZX_TRY(zx_json_expect(&r->merges, ZX_JSON_ARRAY));
    return read_merges(r, &r->merges);
}

static zmlx_status read_model(reading *r)
{
    if (r->has_model) return zx_json_fail(r->json, "\"model\" stands there twice");
    r->has_model = true;
    zx_json *const json = r->json;
    ZX_TRY(zx_json_expect(json, ZX_JSON_OBJECT));
    const uint64_t begin = (uint64_t)(json->at - json->start);
    if (r->cached != NULL && r->cached->end != 0 && r->cached->begin == begin) {
        json->at = json->start + r->cached->end - 1; /* as if the object were empty */
        return zx_json_expect(json, ZX_JSON_OBJECT_END);
    }
    if (r->cached != NULL && r->cached->end != 0)
        return zx_json_fail(json, "the tables that were kept belong to another \"model\"");
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) break;
        ZX_TRY(read_model_field(r));
    }
    if (r->cached != NULL) {
        r->cached->begin = begin;
        r->cached->end = (uint64_t)(json->at - json->start);
    }
    return complete_model(r);
}

static const struct {
    const char *name;
    size_t offset;
} token_flags[] = {
    {"single_word", offsetof(zx_added_token, single_word)},
    {"lstrip", offsetof(zx_added_token, left)},
    {"rstrip", offsetof(zx_added_token, right)},
    {"normalized", offsetof(zx_added_token, normalized)},
    {"special", offsetof(zx_added_token, special)},
};

static zmlx_status read_added_token(reading *r, zx_added_token *token)
{
    zx_json *const json = r->json;
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) return ZMLX_OK;
        if (zx_json_is(json, "content")) {
            ZX_TRY(zx_json_expect(json, ZX_JSON_STRING));
            ZX_TRY(keep(r, json, &token->content));
            continue;
        }
        bool *flag = NULL;
        for (size_t i = 0; i < sizeof token_flags / sizeof *token_flags; i++)
            if (zx_json_is(json, token_flags[i].name))
                flag = (bool *)((char *)token + token_flags[i].offset);
        if (flag == NULL) {
            ZX_TRY(zx_json_drop(json));
            continue;
        }
        ZX_TRY(zx_json_next(json));
        if (json->kind != ZX_JSON_TRUE && json->kind != ZX_JSON_FALSE)
            return zx_json_fail(json, "an option of an added token must be true or false");
        *flag = json->kind == ZX_JSON_TRUE;
    }
}

/* They are collected first: their ids depend on the model, which may come later. */
static zmlx_status read_added(reading *r)
{
    zx_json *const json = r->json;
    zx_added *const added = &r->tokenizer->added;
    ZX_TRY(zx_json_next(json));
    if (json->kind == ZX_JSON_NULL) return ZMLX_OK;
    if (json->kind != ZX_JSON_ARRAY || added->count > 0)
        return zx_json_fail(json, "\"added_tokens\" must be one array");
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_ARRAY_END) return ZMLX_OK;
        if (json->kind != ZX_JSON_OBJECT) return zx_json_fail(json, "expected an added token");
        ZX_TRY(zx_grow(&added->items, &added->capacity, added->count + 1, sizeof *added->items,
                       "added tokens"));
        added->items[added->count] = (zx_added_token){.id = -1};
        ZX_TRY(read_added_token(r, &added->items[added->count]));
        added->count++;
    }
}

static zmlx_status read_post_processor(reading *r)
{
    return zx_template_read(r->build.source, r->json, &r->tokenizer->template);
}

static zmlx_status read_normalizer(reading *r)
{
    return zx_part_read(&r->build, &zx_normalizers, r->json, &r->tokenizer->normalizer);
}

static zmlx_status read_pre_tokenizer(reading *r)
{
    return zx_part_read(&r->build, &zx_pre_tokenizers, r->json, &r->tokenizer->pre_tokenizer);
}

static zmlx_status read_decoder(reading *r)
{
    return zx_part_read(&r->build, &zx_decoders, r->json, &r->tokenizer->decoder);
}

static zmlx_status read_version(reading *r)
{
    ZX_TRY(zx_json_expect(r->json, ZX_JSON_STRING));
    if (zx_json_is(r->json, "1.0")) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: the format's version is not 1.0", r->build.source);
}

/* "truncation" or "padding": what a prompt's length is is not the file's to say. */
static zmlx_status leave_alone(reading *r)
{
    const bool cuts = zx_json_is(r->json, "truncation");
    ZX_TRY(zx_json_next(r->json));
    if (r->json->kind == ZX_JSON_NULL) return ZMLX_OK;
    zx_log(ZMLX_LOG_INFO, "%s: \"%s\" is not applied", r->build.source,
           cuts ? "truncation" : "padding");
    return zx_json_skip(r->json);
}

static const struct {
    const char *name;
    zmlx_status (*read)(reading *r);
} sections[] = {
    {"version", read_version},
    {"added_tokens", read_added},
    {"normalizer", read_normalizer},
    {"pre_tokenizer", read_pre_tokenizer},
    {"post_processor", read_post_processor},
    {"decoder", read_decoder},
    {"model", read_model},
    {"truncation", leave_alone},
    {"padding", leave_alone},
};

static zmlx_status read_document(reading *r)
{
    zx_json *const json = r->json;
    ZX_TRY(zx_json_expect(json, ZX_JSON_OBJECT));
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) break;
        size_t i = 0;
        while (i < sizeof sections / sizeof *sections && !zx_json_is(json, sections[i].name)) i++;
        if (i < sizeof sections / sizeof *sections)
            ZX_TRY(sections[i].read(r));
        else
            ZX_TRY(zx_json_drop(json));
    }
    ZX_TRY(zx_json_expect(json, ZX_JSON_END));
    if (r->has_model) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: there is no \"model\"", r->build.source);
}

/* Gives the collected added tokens their ids. */
static zmlx_status settle_added(zx_tokenizer *tokenizer)
{
    zx_added *const added = &tokenizer->added;
    zx_added settled = {
        .names = {.source = added->names.source, .file_bytes = added->names.file_bytes}};
    zmlx_status status = ZMLX_OK;
    for (size_t i = 0; i < added->count && status == ZMLX_OK; i++)
        status = zx_added_add(&settled, &tokenizer->model.vocabulary, added->items[i]);
    zx_added_fini(added);
    *added = settled;
    return status;
}

static zmlx_status open_json(zx_tokenizer *tokenizer, const char *source, const char *bytes,
                             size_t count, zx_cache_place *cached)
{
    zx_json json;
    zx_json_init(&json, source, bytes, count);
    zx_tokenizer_begin(tokenizer, source, count);
    reading r = {.tokenizer = tokenizer,
                 .build = {source, &tokenizer->store},
                 .json = &json,
                 .cached = cached};
    zmlx_status status = read_document(&r);
    if (r.merges_wait) zx_json_fini(&r.merges);
    zx_json_fini(&json);
    if (status == ZMLX_OK) status = settle_added(tokenizer);
    return status == ZMLX_OK ? zx_tokenizer_finish(tokenizer, source) : status;
}

/* The file is mapped; a large one's tables may be there from the last time. */
static zmlx_status open_file(zx_tokenizer *tokenizer, const char *path)
{
    const zx_file *const file = &tokenizer->file;
    const char *const bytes = (const char *)file->data;
    if (file->size < ZX_CACHE_LEAST_BYTES)
        return open_json(tokenizer, path, bytes, file->size, NULL);
    zx_cache_place where;
    const bool found = zx_cache_open(tokenizer, &where);
    ZX_TRY(open_json(tokenizer, path, bytes, file->size, &where));
    if (!found && tokenizer->model.row == &zx_model_bpe) zx_cache_write(tokenizer, &where);
    return ZMLX_OK;
}

zmlx_status zx_tokenizer_open_json(const char *path, zx_tokenizer **tokenizer)
{
    zx_tokenizer *fresh;
    ZX_TRY(zx_tokenizer_create(&fresh));
    zmlx_status status = zx_file_open(path, &fresh->file);
    if (status == ZMLX_OK) status = open_file(fresh, path);
    if (status == ZMLX_OK)
        *tokenizer = fresh;
    else
        zx_tokenizer_close(fresh);
    return status;
}

zmlx_status zx_tokenizer_open_json_bytes(const char *source, const void *bytes, size_t count,
                                         zx_tokenizer **tokenizer)
{
    zx_tokenizer *fresh;
    ZX_TRY(zx_tokenizer_create(&fresh));
    zmlx_status status = zx_alloc(count, "tokenizer", &fresh->bytes);
    if (status == ZMLX_OK) {
        if (count > 0) memcpy(fresh->bytes, bytes, count);
        status = open_json(fresh, source, fresh->bytes, count, NULL);
    }
    if (status == ZMLX_OK)
        *tokenizer = fresh;
    else
        zx_tokenizer_close(fresh);
    return status;
}
