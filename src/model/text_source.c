/* text_source.c - a GGUF file's metadata, or the small files of a model folder. */
#include "model/text_source.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "hub/cache.h"
#include "model/config.h"
#include "model/gguf_parts.h"
#include "model/token_files.h"

enum { MAX_TEMPLATE = 4 << 20, MAX_TEMPLATE_NAME = 64 };

struct zx_text_source {
    char *path;
    char *folder; /* NULL: GGUF */
    bool is_gguf;
    zx_gguf gguf;
    json_t *templates; /* name: text */
    json_t *special;
};

/* The special tokens that templates may name. */
static const struct {
    const char *token, *gguf;
} special_rows[] = {
    {"bos_token", "tokenizer.ggml.bos_token_id"},
    {"eos_token", "tokenizer.ggml.eos_token_id"},
    {"unk_token", "tokenizer.ggml.unknown_token_id"},
    {"sep_token", "tokenizer.ggml.seperator_token_id"}, /* the format's own spelling */
    {"pad_token", "tokenizer.ggml.padding_token_id"},
    {"cls_token", "tokenizer.ggml.cls_token_id"},
    {"mask_token", "tokenizer.ggml.mask_token_id"},
};

static const char template_key[] = "tokenizer.chat_template";

static zmlx_status no_memory(const zx_text_source *source)
{
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: no memory for its templates", source->path);
}

/* Adds a name that is not there yet: what was read first counts. */
static zmlx_status add(const zx_text_source *source, json_t *object, const char *name,
                       json_t *value)
{
    if (json_object_get(object, name) != NULL) {
        json_decref(value);
        return ZMLX_OK;
    }
    return json_object_set_new(object, name, value) == 0 ? ZMLX_OK : no_memory(source);
}

/* "TEXT" or {"content": "TEXT"}; NULL for anything else. */
static json_t *token_text(json_t *value)
{
    json_t *content = json_is_object(value) ? json_object_get(value, "content") : value;
    return json_is_string(content) ? content : NULL;
}

static zmlx_status read_special(zx_text_source *source, const json_t *document)
{
    const char *name = NULL;
    json_t *value = NULL;
    for (size_t i = 0; i < sizeof special_rows / sizeof *special_rows; i++) {
        value = token_text(json_object_get(document, special_rows[i].token));
        if (value != NULL)
            ZX_TRY(add(source, source->special, special_rows[i].token, json_incref(value)));
    }
    json_object_foreach(json_object_get(document, "extra_special_tokens"), name, value)
    {
        if (token_text(value) != NULL)
            ZX_TRY(add(source, source->special, name, json_incref(token_text(value))));
    }
    const json_t *more = json_object_get(document, "additional_special_tokens");
    if (!json_is_array(more)) return ZMLX_OK;
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(more); i++) {
        json_t *token = token_text(json_array_get(more, i));
        if (token != NULL && json_array_append(list, token) != 0) {
            json_decref(list);
            return no_memory(source);
        }
    }
    return add(source, source->special, "additional_special_tokens", list);
}

static zmlx_status wrong_template(const char *file)
{
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: 'chat_template' is no string and no list of {\"name\", \"template\"}",
                   file);
}

/* "chat_template": a string, or a list of named ones. */
static zmlx_status read_templates(zx_text_source *source, const char *file, const json_t *document)
{
    json_t *value = json_object_get(document, "chat_template");
    if (value == NULL || json_is_null(value)) return ZMLX_OK;
    if (json_is_string(value)) return add(source, source->templates, "default", json_incref(value));
    if (!json_is_array(value)) return wrong_template(file);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *entry = json_array_get(value, i);
        const json_t *name = json_object_get(entry, "name");
        json_t *text = json_object_get(entry, "template");
        if (!json_is_string(name) || !json_is_string(text)) return wrong_template(file);
        ZX_TRY(add(source, source->templates, json_string_value(name), json_incref(text)));
    }
    return ZMLX_OK;
}

/* One of the folder's JSON files, where it is there. */
static zmlx_status read_document(zx_text_source *source, const char *name, bool special)
{
    /* Thousands of tokens stand there, which only a folder without tokenizer.json needs. */
    static const zx_document_options options = {.large_integers = true,
                                                .without = "added_tokens_decoder"};
    char *path = NULL;
    json_t *document = NULL;
    ZX_TRY(zx_path_join(source->folder, name, &path));
    zmlx_status status = ZMLX_OK;
    if (zx_path_exists(path)) status = zx_document_open(path, &options, &document);
    if (status == ZMLX_OK && special) status = read_special(source, document);
    if (status == ZMLX_OK) status = read_templates(source, path, document);
    json_decref(document);
    zx_free(path);
    return status;
}

static zmlx_status add_template(zx_text_source *source, const char *file, const char *name,
                                zx_string_view text)
{
    if (!zx_utf8_valid(text.bytes, text.length) || memchr(text.bytes, 0, text.length) != NULL)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the chat template is not UTF-8 text", file);
    return add(source, source->templates, name, json_stringn(text.bytes, text.length));
}

/* chat_template.jinja comes before what tokenizer_config.json says. */
static zmlx_status read_template_file(zx_text_source *source)
{
    char *path = NULL, *text = NULL;
    size_t size = 0;
    ZX_TRY(zx_path_join(source->folder, "chat_template.jinja", &path));
    zmlx_status status = ZMLX_OK;
    if (zx_path_exists(path)) {
        status = zx_file_read(path, MAX_TEMPLATE, &text, &size);
        if (status == ZMLX_OK)
            status = add_template(source, path, "default", (zx_string_view){text, size});
    }
    zx_free(text);
    zx_free(path);
    return status;
}

static zmlx_status open_folder(zx_text_source *source)
{
    ZX_TRY(read_template_file(source));
    ZX_TRY(read_document(source, "tokenizer_config.json", true));
    ZX_TRY(read_document(source, "special_tokens_map.json", true));
    return read_document(source, "chat_template.json", false);
}

/* The tokens as views into the file; 'views' is for zx_free. */
static zmlx_status read_strings(const zx_gguf *gguf, const char *key, zx_string_view **views,
                                size_t *count)
{
    zx_gguf_array array = {ZX_GGUF_STRING, 0, NULL};
    void *memory = NULL;
    ZX_TRY(zx_gguf_array_of(gguf, key, ZX_GGUF_STRING, &array));
    ZX_TRY(zx_alloc_array(array.count, sizeof **views, key, &memory));
    *views = memory;
    *count = array.count;
    zx_gguf_strings(&array, *views);
    return ZMLX_OK;
}

static zmlx_status add_gguf_special(zx_text_source *source, const zx_string_view *tokens,
                                    size_t count)
{
    for (size_t i = 0; i < sizeof special_rows / sizeof *special_rows; i++) {
        int64_t id = -1;
        ZX_TRY(zx_gguf_integer(&source->gguf, special_rows[i].gguf, -1, UINT32_MAX, &id));
        if (id < 0 || (uint64_t)id >= count) continue;
        const zx_string_view token = tokens[id];
        if (!zx_utf8_valid(token.bytes, token.length)) continue;
        ZX_TRY(add(source, source->special, special_rows[i].token,
                   json_stringn(token.bytes, token.length)));
    }
    return ZMLX_OK;
}

/* Every "tokenizer.chat_template" and "tokenizer.chat_template.NAME". */
static zmlx_status add_gguf_templates(zx_text_source *source)
{
    const size_t length = sizeof template_key - 1;
    for (size_t i = 0; i < source->gguf.value_count; i++) {
        const char *key = source->gguf.values[i].key;
        zx_string_view text = {"", 0};
        if (strncmp(key, template_key, length) != 0) continue;
        if (key[length] != 0 && key[length] != '.') continue;
        const char *name = key[length] == 0 ? "default" : key + length + 1;
        ZX_TRY(zx_gguf_string(&source->gguf, key, &text));
        ZX_TRY(add_template(source, source->path, name, text));
    }
    return ZMLX_OK;
}

static zmlx_status open_gguf(zx_text_source *source)
{
    zx_string_view *tokens = NULL;
    size_t count = 0;
    ZX_TRY(zx_gguf_open_first(source->path, &source->gguf));
    source->is_gguf = true;
    ZX_TRY(read_strings(&source->gguf, "tokenizer.ggml.tokens", &tokens, &count));
    const zmlx_status status = add_gguf_special(source, tokens, count);
    zx_free(tokens);
    ZX_TRY(status);
    return add_gguf_templates(source);
}

static zmlx_status begins_as_gguf(const char *path, bool *gguf)
{
    zx_file file;
    const size_t length = strlen(path);
    *gguf = false;
    if (zx_path_is_directory(path)) return ZMLX_OK;
    ZX_TRY(zx_file_open(path, &file));
    *gguf = zx_gguf_magic(file.data, file.size) ||
            (length >= 5 && strcmp(path + length - 5, ".gguf") == 0);
    zx_file_close(&file);
    return ZMLX_OK;
}

/* The folder itself, or that of a file. */
static zmlx_status find_folder(zx_text_source *source)
{
    zx_text folder = {0};
    const char *slash = strrchr(source->path, '/');
    if (zx_path_is_directory(source->path))
        ZX_TRY(zx_text_add_string(&folder, source->path));
    else if (slash == NULL)
        ZX_TRY(zx_text_add_string(&folder, "."));
    else
        ZX_TRY(zx_text_add(&folder, source->path, (size_t)(slash - source->path) + 1));
    source->folder = folder.bytes;
    return ZMLX_OK;
}

static zmlx_status open_parts(zx_text_source *source)
{
    bool gguf = false;
    source->templates = json_object();
    source->special = json_object();
    if (source->templates == NULL || source->special == NULL) return no_memory(source);
    ZX_TRY(begins_as_gguf(source->path, &gguf));
    if (gguf) return open_gguf(source);
    ZX_TRY(find_folder(source));
    return open_folder(source);
}

zmlx_status zx_text_source_open(const char *path, zx_text_source **source)
{
    void *memory = NULL;
    char *found = NULL;
    ZX_TRY(zx_hub_resolve(path, &found));
    zmlx_status status = zx_alloc(sizeof(zx_text_source), "tokenizer files", &memory);
    if (status != ZMLX_OK) {
        zx_free(found);
        return status;
    }
    zx_text_source *fresh = memory;
    fresh->path = found;
    status = open_parts(fresh);
    if (status == ZMLX_OK)
        *source = fresh;
    else
        zx_text_source_close(fresh);
    return status;
}

void zx_text_source_close(zx_text_source *source)
{
    if (source == NULL) return;
    json_decref(source->templates);
    json_decref(source->special);
    zx_gguf_close(&source->gguf);
    zx_free(source->folder);
    zx_free(source->path);
    zx_free(source);
}

/* The arrays beside the tokens; one of another length is an error. */
static zmlx_status read_token_arrays(const zx_gguf *gguf, size_t count, int32_t **types,
                                     float **scores)
{
    static const char type_key[] = "tokenizer.ggml.token_type",
                      score_key[] = "tokenizer.ggml.scores";
    zx_gguf_array array = {ZX_GGUF_I32, 0, NULL};
    void *memory = NULL;
    const zx_gguf_value *value = zx_gguf_find(gguf, type_key);
    const bool natural = value != NULL && value->array.type == ZX_GGUF_U32;
    ZX_TRY(zx_gguf_array_of(gguf, type_key, natural ? ZX_GGUF_U32 : ZX_GGUF_I32, &array));
    if (value != NULL && array.count == count) {
        ZX_TRY(zx_alloc_array(count, sizeof **types, type_key, &memory));
        *types = memory;
        for (size_t i = 0; i < count; i++) {
            const double type = zx_gguf_element(&array, i);
            (*types)[i] = type >= 0 && type <= INT16_MAX ? (int32_t)type : 0;
        }
    }
    const bool wrong_types = value != NULL && array.count != count;
    array = (zx_gguf_array){ZX_GGUF_F32, 0, NULL};
    value = zx_gguf_find(gguf, score_key);
    ZX_TRY(zx_gguf_array_of(gguf, score_key, ZX_GGUF_F32, &array));
    if (value != NULL && array.count == count) {
        ZX_TRY(zx_alloc_array(count, sizeof **scores, score_key, &memory));
        *scores = memory;
        for (size_t i = 0; i < count; i++) (*scores)[i] = (float)zx_gguf_element(&array, i);
    }
    if (!wrong_types && (value == NULL || array.count == count)) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: metadata key '%s' has not one element for each of the "
                   "%zu tokens",
                   gguf->stored.path, wrong_types ? type_key : score_key, count);
}

/* Stays as it was where the key is absent or the vocabulary has no such id. */
static zmlx_status read_id(const zx_gguf *gguf, const char *key, size_t count, int32_t *id)
{
    int64_t value = -1;
    ZX_TRY(zx_gguf_integer(gguf, key, -1, UINT32_MAX, &value));
    if (value >= 0 && (uint64_t)value < count && value <= INT32_MAX) *id = (int32_t)value;
    if (*id >= 0 && (size_t)*id >= count) *id = -1; /* the kind's usual one */
    return ZMLX_OK;
}

/* SentencePiece's compiled replacements: an array of bytes, signed in some files. */
static zmlx_status read_charsmap(const zx_gguf *gguf, zx_gguf_vocabulary *vocabulary)
{
    static const char key[] = "tokenizer.ggml.precompiled_charsmap";
    const zx_gguf_value *value = zx_gguf_find(gguf, key);
    const bool is_signed = value != NULL && value->array.type == ZX_GGUF_I8;
    zx_gguf_array array = {ZX_GGUF_U8, 0, NULL};
    ZX_TRY(zx_gguf_array_of(gguf, key, is_signed ? ZX_GGUF_I8 : ZX_GGUF_U8, &array));
    vocabulary->charsmap = (const char *)array.elements;
    vocabulary->charsmap_bytes = array.count;
    return ZMLX_OK;
}

static zmlx_status read_sides(const zx_gguf *gguf, zx_gguf_vocabulary *vocabulary)
{
    const size_t count = vocabulary->token_count;
    const bool bert = strcmp(vocabulary->model, "bert") == 0;
    zx_string_view family = {NULL, 0};
    zx_gguf_vocabulary_defaults(vocabulary);
    ZX_TRY(read_id(gguf, "tokenizer.ggml.bos_token_id", count, &vocabulary->bos));
    ZX_TRY(read_id(gguf, bert ? "tokenizer.ggml.seperator_token_id" : "tokenizer.ggml.eos_token_id",
                   count, &vocabulary->eos));
    ZX_TRY(read_id(gguf, "tokenizer.ggml.unknown_token_id", count, &vocabulary->unknown));
    ZX_TRY(zx_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &vocabulary->add_bos));
    ZX_TRY(zx_gguf_bool(gguf, "tokenizer.ggml.add_eos_token", &vocabulary->add_eos));
    ZX_TRY(zx_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &vocabulary->add_space_prefix));
    ZX_TRY(zx_gguf_bool(gguf, "tokenizer.ggml.normalizer.lowercase", &vocabulary->lowercase));
    vocabulary->strip_accents = vocabulary->lowercase;
    ZX_TRY(
        zx_gguf_bool(gguf, "tokenizer.ggml.normalizer.strip_accents", &vocabulary->strip_accents));
    if (zx_gguf_needs_bos(vocabulary)) vocabulary->add_bos = true;
    ZX_TRY(zx_gguf_string(gguf, "general.architecture", &family));
    vocabulary->phi3 = strcmp(vocabulary->model, "llama") == 0 && family.length == 4 &&
                       memcmp(family.bytes, "phi3", 4) == 0;
    return zx_gguf_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces",
                        &vocabulary->remove_extra_whitespaces);
}

/* A copy with a NUL after it, for zx_free; NULL where the key is absent. */
static zmlx_status read_text(const zx_gguf *gguf, const char *key, char **text)
{
    zx_string_view view = {NULL, 0};
    zx_text copy = {0};
    ZX_TRY(zx_gguf_string(gguf, key, &view));
    if (view.bytes == NULL) return ZMLX_OK;
    if (!zx_utf8_valid(view.bytes, view.length) || memchr(view.bytes, 0, view.length) != NULL)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is not UTF-8 text",
                       gguf->stored.path, key);
    ZX_TRY(zx_text_add(&copy, view.bytes, view.length));
    *text = copy.bytes;
    return ZMLX_OK;
}

/* What 'vocabulary' borrows, and who frees it. */
typedef struct vocabulary_memory {
    zx_string_view *tokens, *merges;
    int32_t *types;
    float *scores;
    char *model, *pre;
} vocabulary_memory;

static zmlx_status read_vocabulary(const zx_gguf *gguf, vocabulary_memory *memory,
                                   zx_gguf_vocabulary *vocabulary)
{
    *vocabulary = (zx_gguf_vocabulary){.source = gguf->stored.path};
    ZX_TRY(read_text(gguf, "tokenizer.ggml.model", &memory->model));
    ZX_TRY(read_text(gguf, "tokenizer.ggml.pre", &memory->pre));
    ZX_TRY(read_strings(gguf, "tokenizer.ggml.tokens", &memory->tokens, &vocabulary->token_count));
    ZX_TRY(read_strings(gguf, "tokenizer.ggml.merges", &memory->merges, &vocabulary->merge_count));
    const size_t count = vocabulary->token_count;
    if (memory->model == NULL || count == 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: no tokenizer: metadata key '%s' is missing",
                       gguf->stored.path,
                       memory->model == NULL ? "tokenizer.ggml.model" : "tokenizer.ggml.tokens");
    ZX_TRY(read_token_arrays(gguf, count, &memory->types, &memory->scores));
    vocabulary->model = memory->model;
    vocabulary->pre = memory->pre;
    vocabulary->tokens = memory->tokens;
    vocabulary->merges = memory->merges;
    vocabulary->types = memory->types;
    vocabulary->scores = memory->scores;
    ZX_TRY(read_charsmap(gguf, vocabulary));
    return read_sides(gguf, vocabulary);
}

static void free_vocabulary(vocabulary_memory *memory)
{
    zx_free(memory->tokens);
    zx_free(memory->merges);
    zx_free(memory->types);
    zx_free(memory->scores);
    zx_free(memory->model);
    zx_free(memory->pre);
}

zmlx_status zx_text_source_tokenizer(const zx_text_source *source, zx_tokenizer **tokenizer)
{
    vocabulary_memory memory = {0};
    zx_gguf_vocabulary vocabulary;
    if (!source->is_gguf) return zx_token_files_open(source->folder, source->special, tokenizer);
    zmlx_status status = read_vocabulary(&source->gguf, &memory, &vocabulary);
    if (status == ZMLX_OK) status = zx_tokenizer_open_gguf(&vocabulary, tokenizer);
    free_vocabulary(&memory);
    return status;
}

zmlx_status zx_text_source_tokenizer_json(const zx_text_source *source, zx_text *json)
{
    vocabulary_memory memory = {0};
    zx_gguf_vocabulary vocabulary;
    if (!source->is_gguf) return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: is no GGUF file", source->path);
    zmlx_status status = read_vocabulary(&source->gguf, &memory, &vocabulary);
    if (status == ZMLX_OK) status = zx_gguf_to_tokenizer_json(&vocabulary, json);
    free_vocabulary(&memory);
    return status;
}

bool zx_text_source_template(const zx_text_source *source, const char *name, zx_string_view *text)
{
    const json_t *found = json_object_get(source->templates, name);
    if (found == NULL) return false;
    *text = (zx_string_view){json_string_value(found), json_string_length(found)};
    return true;
}

const json_t *zx_text_source_special_tokens(const zx_text_source *source)
{
    return source->special;
}

const json_t *zx_text_source_templates(const zx_text_source *source)
{
    return source->templates;
}

const char *zx_text_source_path(const zx_text_source *source)
{
    return source->path;
}
