/* gguf_tokenizer.c - the files beside config.json that speak of text, from a GGUF file's metadata.
 */
#include <stdint.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "model/gguf_export.h"
#include "model/text_source.h"
#include "model/write_config.h"

static zmlx_status no_memory(const zx_text_source *source)
{
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: no memory for its tokenizer's files",
                   zx_text_source_path(source));
}

/* The one template as a string, several as {"name", "template"}. */
static json_t *templates_of(const zx_text_source *source)
{
    const json_t *templates = zx_text_source_templates(source);
    const char *name = NULL;
    json_t *text = NULL, *list = NULL;
    if (json_object_size(templates) == 1 && json_object_get(templates, "default") != NULL)
        return json_incref(json_object_get(templates, "default"));
    list = json_array();
    json_object_foreach((json_t *)(uintptr_t)templates, name, text)
    {
        (void)json_array_append_new(list, json_pack("{s:s, s:O}", "name", name, "template", text));
    }
    return list;
}

static zmlx_status write_tokenizer_config(const zx_text_source *source,
                                          const zx_checkpoint *checkpoint, zx_folder *folder)
{
    json_t *document = json_deep_copy(zx_text_source_special_tokens(source));
    const json_t *length =
        json_object_get(zx_checkpoint_config(checkpoint), "max_position_embeddings");
    if (document == NULL) return no_memory(source);
    bool fits = json_object_set_new(document, "tokenizer_class",
                                    json_string("PreTrainedTokenizerFast")) == 0 &&
                json_object_set_new(document, "clean_up_tokenization_spaces", json_false()) == 0;
    if (json_is_integer(length))
        fits = fits && json_object_set_new(document, "model_max_length",
                                           json_integer(json_integer_value(length))) == 0;
    if (json_object_size(zx_text_source_templates(source)) > 0)
        fits = fits && json_object_set_new(document, "chat_template", templates_of(source)) == 0;
    const zmlx_status status =
        fits ? zx_write_document(folder, "tokenizer_config.json", document) : no_memory(source);
    json_decref(document);
    return status;
}

/* The ids that end an answer, of which a file may name several. */
static zmlx_status write_generation_config(const zx_text_source *source,
                                           const zx_checkpoint *checkpoint, zx_folder *folder)
{
    const int32_t *ids = NULL;
    size_t count = 0;
    json_t *list = json_array(), *document = json_object();
    json_t *bos = json_object_get(zx_checkpoint_config(checkpoint), "bos_token_id");
    zx_checkpoint_end_ids(checkpoint, &ids, &count);
    bool fits = list != NULL && document != NULL;
    for (size_t i = 0; i < count; i++)
        fits = fits && json_array_append_new(list, json_integer(ids[i])) == 0;
    if (bos != NULL)
        fits = fits && json_object_set_new(document, "bos_token_id", json_incref(bos)) == 0;
    if (count > 0) fits = fits && json_object_set(document, "eos_token_id", list) == 0;
    zmlx_status status = ZMLX_OK;
    if (!fits)
        status = no_memory(source);
    else if (json_object_size(document) > 0)
        status = zx_write_document(folder, "generation_config.json", document);
    json_decref(list);
    json_decref(document);
    return status;
}

/* A vocabulary that cannot be written is no reason to lose the weights. */
static zmlx_status write_tokenizer(const zx_text_source *source, zx_folder *folder)
{
    zx_text json = {0};
    zmlx_status status = zx_text_source_tokenizer_json(source, &json);
    if (status == ZMLX_OK) {
        status = zx_folder_write(folder, "tokenizer.json", json.bytes, json.length);
    } else if (status == ZMLX_ERROR_UNSUPPORTED || status == ZMLX_ERROR_FORMAT) {
        zx_log(ZMLX_LOG_WARNING, "no tokenizer.json is written: %s", zmlx_error_message());
        status = ZMLX_OK;
    }
    zx_text_fini(&json);
    return status;
}

zmlx_status zx_gguf_export_tokenizer(const zx_checkpoint *checkpoint, zx_folder *folder)
{
    zx_text_source *source = NULL;
    ZX_TRY(zx_text_source_open(zx_checkpoint_path(checkpoint), &source));
    zmlx_status status = write_tokenizer(source, folder);
    if (status == ZMLX_OK) status = write_tokenizer_config(source, checkpoint, folder);
    if (status == ZMLX_OK) status = write_generation_config(source, checkpoint, folder);
    zx_text_source_close(source);
    return status;
}
