/* tokenizer.c - the public tokenizer: vocabulary and chat template of a checkpoint, without its
 * weights. */
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "jinja/jinja.h"
#include "model/messages.h"
#include "model/model.h"
#include "model/strings.h"
#include "model/text_source.h"

struct zmlx_tokenizer {
    zx_text_source *source;
    zx_tokenizer *tokenizer;
};

zmlx_status zmlx_tokenizer_open(const char *model, zmlx_tokenizer **tokenizer)
{
    void *memory = NULL;
    ZX_TRY(zx_alloc(sizeof(zmlx_tokenizer), "tokenizer", &memory));
    zmlx_tokenizer *fresh = memory;
    zmlx_status status = zx_text_source_open(model, &fresh->source);
    if (status == ZMLX_OK) status = zx_text_source_tokenizer(fresh->source, &fresh->tokenizer);
    if (status == ZMLX_OK)
        *tokenizer = fresh;
    else
        zmlx_tokenizer_close(fresh);
    return status;
}

void zmlx_tokenizer_close(zmlx_tokenizer *tokenizer)
{
    if (tokenizer == NULL) return;
    zx_tokenizer_close(tokenizer->tokenizer);
    zx_text_source_close(tokenizer->source);
    zx_free(tokenizer);
}

const zx_tokenizer *zx_tokenizer_of(const zmlx_tokenizer *tokenizer)
{
    return tokenizer->tokenizer;
}

size_t zmlx_tokenizer_size(const zmlx_tokenizer *tokenizer)
{
    return zx_tokenizer_size(tokenizer->tokenizer);
}

zmlx_status zmlx_tokenizer_encode(const zmlx_tokenizer *tokenizer, const char *text, size_t length,
                                  bool add_special, zmlx_ids *ids)
{
    zx_ids found = {0};
    *ids = (zmlx_ids){0};
    const zmlx_status status =
        zx_tokenizer_encode(tokenizer->tokenizer, text, length, add_special, &found);
    if (status == ZMLX_OK) zx_ids_give(&found, ids);
    zx_ids_fini(&found);
    return status;
}

zmlx_status zmlx_tokenizer_decode(const zmlx_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                  bool skip_special, zmlx_string *text)
{
    zx_text decoded = {0};
    *text = (zmlx_string){0};
    zmlx_status status =
        zx_tokenizer_decode(tokenizer->tokenizer, ids, count, skip_special, &decoded);
    if (status == ZMLX_OK) status = zx_text_add(&decoded, "", 0);
    if (status == ZMLX_OK) zx_string_give(&decoded, text);
    zx_text_fini(&decoded);
    return status;
}

bool zmlx_tokenizer_has_template(const zmlx_tokenizer *tokenizer)
{
    zx_string_view text;
    return zx_text_source_template(tokenizer->source, "default", &text);
}

/* Members of a JSON object text become variables; 'what' names it in messages. */
static zmlx_status add_members(json_t *variables, const char *text, size_t length, const char *what)
{
    json_error_t error;
    json_t *object = json_loadb(text, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (object == NULL)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: line %d: %s", what, error.line, error.text);
    const bool fits = json_is_object(object) && json_object_update(variables, object) == 0;
    json_decref(object);
    if (!fits) return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: expected a JSON object", what);
    return ZMLX_OK;
}

static zmlx_status fill_variables(const zmlx_tokenizer *tokenizer, const char *conversation,
                                  size_t length, const zmlx_template_options *options,
                                  json_t *variables)
{
    bool fits =
        json_object_set_new(variables, "tools", json_null()) == 0 &&
        json_object_set_new(variables, "documents", json_null()) == 0 &&
        json_object_set_new(variables, "add_generation_prompt",
                            json_boolean(!options->no_generation_prompt)) == 0 &&
        json_object_update_new(
            variables, json_deep_copy(zx_text_source_special_tokens(tokenizer->source))) == 0;
    if (!fits) return ZX_FAIL(ZMLX_ERROR_MEMORY, "variables of a chat template");
    ZX_TRY(add_members(variables, conversation, length, "conversation"));
    if (options->kwargs != NULL)
        ZX_TRY(add_members(variables, options->kwargs, strlen(options->kwargs), "kwargs"));
    return zx_messages_prepare(variables); /* last: "kwargs" may bring messages too */
}

/* A conversation with tools is rendered by the template made for them, where there is one. */
static zmlx_status choose_template(const zmlx_tokenizer *tokenizer, const json_t *variables,
                                   zx_string_view *text)
{
    const json_t *tools = json_object_get(variables, "tools");
    if (json_is_array(tools) && zx_text_source_template(tokenizer->source, "tool_use", text))
        return ZMLX_OK;
    if (zx_text_source_template(tokenizer->source, "default", text)) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: has no chat template",
                   zx_text_source_path(tokenizer->source));
}

zmlx_status zmlx_tokenizer_render(const zmlx_tokenizer *tokenizer, const char *conversation,
                                  size_t length, const zmlx_template_options *options,
                                  zmlx_string *prompt)
{
    static const zmlx_template_options defaults;
    zx_string_view text = {0};
    zx_text rendered = {0};
    *prompt = (zmlx_string){0};
    json_t *variables = json_object();
    if (variables == NULL) return ZX_FAIL(ZMLX_ERROR_MEMORY, "variables of a chat template");
    zmlx_status status = fill_variables(tokenizer, conversation, length,
                                        options != NULL ? options : &defaults, variables);
    if (status == ZMLX_OK) status = choose_template(tokenizer, variables, &text);
    if (status == ZMLX_OK)
        status = zx_jinja_render(text.bytes, text.length, variables, NULL, &rendered);
    if (status == ZMLX_OK) status = zx_text_add(&rendered, "", 0);
    if (status == ZMLX_OK) zx_string_give(&rendered, prompt);
    zx_text_fini(&rendered);
    json_decref(variables);
    return status;
}
