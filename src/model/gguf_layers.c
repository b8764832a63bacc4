/* gguf_layers.c - lists of the metadata, and what the config has instead. */
#include "model/gguf_layers.h"

#include <string.h>

#include "base/fail.h"

zmlx_status zx_gguf_check_list(const zx_gguf *gguf, const zx_gguf_value *value,
                               const char *expected)
{
    char key[ZX_GGUF_KEY], name[ZX_GGUF_WORD];
    const zx_gguf_array *array = &value->array;
    int64_t blocks = 0;
    if (value->type != ZX_GGUF_ARRAY || array->count == 0 || array->count > ZX_GGUF_MOST_LAYERS ||
        array->type == ZX_GGUF_STRING || array->type == ZX_GGUF_ARRAY)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is no list of %s, 1 to %d of them",
                       gguf->stored.path, value->key, expected, ZX_GGUF_MOST_LAYERS);
    ZX_TRY(zx_gguf_word(gguf, "general.architecture", name));
    zx_gguf_key(name, "block_count", key);
    ZX_TRY(zx_gguf_integer(gguf, key, 0, INT32_MAX, &blocks));
    if (blocks == 0 || (int64_t)array->count == blocks) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: metadata key '%s' has %zu elements; expected one for each of the %jd "
                   "blocks of '%s'",
                   gguf->stored.path, value->key, array->count, (intmax_t)blocks, key);
}

zmlx_status zx_gguf_set_layer_types(const zx_gguf *gguf, const char *name, const char *word,
                                    const char *const words[2], json_t *config)
{
    char key[ZX_GGUF_KEY];
    zx_gguf_key(name, word, key);
    const zx_gguf_value *value = zx_gguf_find(gguf, key);
    if (value == NULL) return ZMLX_OK;
    ZX_TRY(zx_gguf_check_list(gguf, value, "truths"));
    const json_int_t layers = json_integer_value(json_object_get(config, "num_hidden_layers"));
    json_t *types = json_array();
    ZX_TRY(zx_gguf_set(gguf, config, "layer_types", types));
    for (size_t i = 0; i < value->array.count && (json_int_t)i < layers; i++) {
        const bool yes = zx_gguf_element(&value->array, i) != 0;
        if (json_array_append_new(types, json_string(words[yes])) != 0)
            return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: no memory for its config", gguf->stored.path);
    }
    return ZMLX_OK;
}

zmlx_status zx_gguf_layers_value(const zx_gguf *gguf, const char *name, const json_t *config,
                                 const zx_gguf_layers *layers, json_int_t *value)
{
    char key[ZX_GGUF_KEY];
    const json_t *given = json_object_get(config, layers->key);
    const json_t *types = json_object_get(config, "layer_types");
    *value = json_is_array(given) ? 0 : json_integer_value(given);
    for (size_t i = 0; i < json_array_size(given) && i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        const json_int_t element = json_integer_value(json_array_get(given, i));
        if (type == NULL || strcmp(type, layers->type) != 0) continue;
        if (*value == 0) *value = element;
        if (element == *value && element > 0) continue;
        zx_gguf_key(name, layers->word, key);
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: metadata key '%s' is %jd for block %zu; expected the same number above "
                       "0 for all blocks with %s",
                       gguf->stored.path, key, (intmax_t)element, i, layers->type);
    }
    return ZMLX_OK;
}
