#include "model/text_part.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"

static const struct {
    const char *from, *to;
} prefixes[] = {
    {"model.language_model.", "model."},     {"language_model.model.", "model."},
    {"language_model.lm_head.", "lm_head."}, {"model.text_model.", "model."},
    {"text_model.model.", "model."},         {"text_model.lm_head.", "lm_head."},
};

static zmlx_status no_memory(const char *path)
{
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: no memory for its config", path);
}

/* architectures of the whole, then those of the text part */
static zmlx_status join_architectures(const char *path, json_t *config, const json_t *text)
{
    json_t *all = json_array();
    const json_t *lists[] = {json_object_get(config, "architectures"),
                             json_object_get(text, "architectures")};
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < json_array_size(lists[i]); k++)
            (void)json_array_append(all, json_array_get(lists[i], k));
    return json_object_set_new(config, "architectures", all) == 0 ? ZMLX_OK : no_memory(path);
}

/* Modules that have a quantization of their own are named as in the file. */
static zmlx_status rename_modules(const char *path, json_t *config, const char *section)
{
    json_t *settings = json_object_get(config, section), *renamed = json_object();
    const char *key;
    json_t *value;
    if (!json_is_object(settings)) {
        json_decref(renamed);
        return ZMLX_OK;
    }
    json_object_foreach(settings, key, value)
    {
        char dotted[256], buffer[256];
        const int length = snprintf(dotted, sizeof dotted, "%s.", key);
        const char *name = key;
        if (length > 0 && (size_t)length < sizeof dotted)
            name = zx_text_part_name(dotted, buffer, sizeof buffer);
        if (name == buffer)
            buffer[strlen(buffer) - 1] = '\0';
        else
            name = key;
        (void)json_object_set(renamed, name, value);
    }
    return json_object_set_new(config, section, renamed) == 0 ? ZMLX_OK : no_memory(path);
}

bool zx_has_text_part(const json_t *config)
{
    return json_is_object(json_object_get(config, "text_config"));
}

zmlx_status zx_text_part_config(const char *path, json_t *config)
{
    json_t *text = json_object_get(config, "text_config");
    const char *key;
    json_t *value;
    if (!zx_has_text_part(config)) return ZMLX_OK;
    json_incref(text);
    zmlx_status status = join_architectures(path, config, text);
    json_object_foreach(text, key, value)
    {
        if (strcmp(key, "architectures") == 0) continue;
        if (json_is_null(value) && json_object_get(config, key) != NULL) continue;
        if (status == ZMLX_OK && json_object_set(config, key, value) != 0) status = no_memory(path);
    }
    json_decref(text);
    if (status == ZMLX_OK) status = rename_modules(path, config, "quantization");
    if (status == ZMLX_OK) status = rename_modules(path, config, "quantization_config");
    return status;
}

const char *zx_text_part_name(const char *name, char *buffer, size_t size)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        const size_t length = strlen(prefixes[i].from);
        if (strncmp(name, prefixes[i].from, length) != 0) continue;
        const int written = snprintf(buffer, size, "%s%s", prefixes[i].to, name + length);
        return written > 0 && (size_t)written < size ? buffer : name;
    }
    return name;
}
