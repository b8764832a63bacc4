/* token_files.c - the rows of files, in the order in which they are looked for. */
#include "model/token_files.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/config.h"

/* 'split': how tiktoken's files are cut, which only the code that came with them says. */
typedef struct token_file {
    const char *name, *split;
    bool add_bos; /* where tokenizer_config.json does not say */
} token_file;

static const token_file rows[] = {
    {"tokenizer.model", "llama3", true}, /* SentencePiece's, or Llama 3's own form of tiktoken's */
    {"tiktoken.model", "kimi-k2", false},
};

/* What transformers' classes add where tokenizer_config.json does not say. */
static const struct {
    const char *name;
    bool bos, eos;
} classes[] = {
    {"T5Tokenizer", false, true},
    {"T5TokenizerFast", false, true},
};

typedef struct extras { /* views into the documents */
    zx_extra_token *tokens;
    size_t count, capacity;
} extras;

static zmlx_status add_token(extras *all, const char *file, double id, zx_extra_token token)
{
    if (!(id >= 0 && id < INT32_MAX && id == (double)(int32_t)id))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the id of the added token '%.40s' is no token id",
                       file, token.text.bytes);
    token.id = (int32_t)id;
    ZX_TRY(zx_grow(&all->tokens, &all->capacity, all->count + 1, sizeof token, "added tokens"));
    all->tokens[all->count++] = token;
    return ZMLX_OK;
}

/* "added_tokens_decoder": {"32000": {"content": "<|im_end|>", "special": true, ...}} */
static zmlx_status read_decoder(const char *file, const json_t *document, extras *all)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_t *decoder = json_object_get(document, "added_tokens_decoder");
    json_object_foreach(decoder, key, value)
    {
        char *end = NULL;
        const json_t *text = json_object_get(value, "content");
        const double id = strtod(key, &end);
        if (!json_is_string(text) || *key < '0' || *key > '9' || *end != 0)
            return ZX_FAIL(ZMLX_ERROR_FORMAT,
                           "%s: 'added_tokens_decoder.%.40s' is no {\"content\": TEXT} of an id",
                           file, key);
        const zx_extra_token token = {
            .text = {json_string_value(text), json_string_length(text)},
            .special = json_is_true(json_object_get(value, "special")),
            .left = json_is_true(json_object_get(value, "lstrip")),
            .right = json_is_true(json_object_get(value, "rstrip")),
            .single_word = json_is_true(json_object_get(value, "single_word")),
            .normalized = json_is_true(json_object_get(value, "normalized"))};
        ZX_TRY(add_token(all, file, id, token));
    }
    return ZMLX_OK;
}

/* added_tokens.json, the older form: {"<|im_end|>": 32000} */
static zmlx_status read_older(const char *file, json_t *document, extras *all)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(document, key, value)
    {
        const zx_extra_token token = {.text = {key, strlen(key)}, .special = true};
        ZX_TRY(add_token(all, file, json_is_number(value) ? json_number_value(value) : -1, token));
    }
    return ZMLX_OK;
}

static zmlx_status open_optional(const char *folder, const char *name, char **path,
                                 json_t **document)
{
    static const zx_document_options options = {.large_integers = true};
    ZX_TRY(zx_path_join(folder, name, path));
    return zx_path_exists(*path) ? zx_document_open(*path, &options, document) : ZMLX_OK;
}

static const char *word(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static zmlx_status read_sides(const char *file, const json_t *document, const json_t *special,
                              zx_tokenizer_options *options)
{
    const zx_fields fields = {file, NULL, document};
    const char *class = word(document, "tokenizer_class");
    options->bos = word(special, "bos_token");
    options->eos = word(special, "eos_token");
    for (size_t i = 0; class != NULL && i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(classes[i].name, class) != 0) continue;
        options->add_bos = classes[i].bos;
        options->add_eos = classes[i].eos;
    }
    ZX_TRY(zx_fields_bool(&fields, "add_bos_token", &options->add_bos));
    return zx_fields_bool(&fields, "add_eos_token", &options->add_eos);
}

typedef struct opened {
    char *config_path, *older_path;
    json_t *config, *older;
    extras all;
} opened;

static zmlx_status open_model(const char *folder, const char *path, const token_file *row,
                              const json_t *special, opened *it, zx_tokenizer **tokenizer)
{
    zx_tokenizer_options options = {.split = row->split, .add_bos = row->add_bos};
    ZX_TRY(open_optional(folder, "tokenizer_config.json", &it->config_path, &it->config));
    ZX_TRY(open_optional(folder, "added_tokens.json", &it->older_path, &it->older));
    ZX_TRY(read_decoder(it->config_path, it->config, &it->all));
    ZX_TRY(read_older(it->older_path, it->older, &it->all));
    ZX_TRY(read_sides(it->config_path, it->config, special, &options));
    options.extra = it->all.tokens;
    options.extra_count = it->all.count;
    return zx_tokenizer_open_model(path, &options, tokenizer);
}

/* The file, if it is there; *found says so. */
static zmlx_status try_row(const char *folder, size_t row, const json_t *special, bool *found,
                           zx_tokenizer **tokenizer)
{
    char *path = NULL;
    opened it = {0};
    ZX_TRY(zx_path_join(folder, rows[row].name, &path));
    zmlx_status status = ZMLX_OK;
    *found = zx_path_exists(path);
    if (*found) status = open_model(folder, path, &rows[row], special, &it, tokenizer);
    json_decref(it.config);
    json_decref(it.older);
    zx_free(it.config_path);
    zx_free(it.older_path);
    zx_free(it.all.tokens);
    zx_free(path);
    return status;
}

zmlx_status zx_token_files_open(const char *folder, const json_t *special, zx_tokenizer **tokenizer)
{
    char *path = NULL;
    ZX_TRY(zx_path_join(folder, "tokenizer.json", &path));
    bool found = zx_path_exists(path);
    zmlx_status status = found ? zx_tokenizer_open_json(path, tokenizer) : ZMLX_OK;
    zx_free(path);
    for (size_t row = 0; !found && status == ZMLX_OK && row < sizeof rows / sizeof *rows; row++)
        status = try_row(folder, row, special, &found, tokenizer);
    if (found || status != ZMLX_OK) return status;
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: tokenizer.json is missing, and so are tokenizer.model and tiktoken.model",
                   folder);
}
