/* config.c - JSON documents through jansson, after a look at their size.
 *
 * A tree takes up to a hundred times the text's memory, so the values are counted first with the
 * reader that keeps none. */
#include "model/config.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

enum { MAX_DOCUMENT = 32 << 20, MAX_VALUES = 400 * 1000 };

/* The text in three pieces, the middle one for the value that is left out. */
typedef struct pieces {
    struct {
        const char *bytes;
        size_t size;
    } items[3];
    size_t at;
} pieces;

static void leave_out(const char *text, size_t size, size_t begin, size_t end, pieces *made)
{
    *made = (pieces){{{text, begin}, {"null", 4}, {text + end, size - end}}, 0};
}

/* Counts the values and finds the one at the outermost object's key 'without', or nothing. */
static zmlx_status look_over(zx_json *json, const char *without, pieces *made)
{
    size_t values = 0;
    const size_t size = (size_t)(json->end - json->at);
    const char *begin = NULL; /* of the value, once its key was read */
    bool inside = false;
    do {
        ZX_TRY(zx_json_next(json));
        if (++values > MAX_VALUES)
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: more than %d values", json->source, MAX_VALUES);
        if (inside && json->depth == 1) {
            leave_out(json->start, size, (size_t)(begin - json->start),
                      (size_t)(json->at - json->start), made);
            inside = false;
        }
        if (without == NULL || begin != NULL || json->depth != 1 || json->kind != ZX_JSON_KEY)
            continue;
        inside = zx_json_is(json, without);
        if (inside) begin = json->at;
    } while (json->kind != ZX_JSON_END);
    return ZMLX_OK;
}

/* jansson's json_load_callback_t. */
static size_t next_bytes(void *buffer, size_t room, void *data)
{
    pieces *const it = data;
    while (it->at < 3 && it->items[it->at].size == 0) it->at++;
    if (it->at == 3) return 0;
    const size_t count = it->items[it->at].size < room ? it->items[it->at].size : room;
    memcpy(buffer, it->items[it->at].bytes, count);
    it->items[it->at].bytes += count;
    it->items[it->at].size -= count;
    return count;
}

zmlx_status zx_document_parse(const char *name, const char *text, size_t size,
                              const zx_document_options *options, json_t **document)
{
    static const zx_document_options defaults;
    json_error_t error;
    zx_json json;
    if (options == NULL) options = &defaults;
    const size_t flags =
        JSON_REJECT_DUPLICATES | (options->large_integers ? JSON_DECODE_INT_AS_REAL : 0);
    if (size > MAX_DOCUMENT)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %zu bytes of JSON; at most %d are read", name, size,
                       MAX_DOCUMENT);
    pieces made = {{{text, size}}, 0};
    zx_json_init(&json, name, text, size);
    const zmlx_status status = look_over(&json, options->without, &made);
    zx_json_fini(&json);
    ZX_TRY(status);
    json_t *root = made.items[1].size == 0 ? json_loadb(text, size, flags, &error)
                                           : json_load_callback(next_bytes, &made, flags, &error);
    if (root == NULL)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: line %d: %s", name, error.line, error.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the document is not an object", name);
    }
    *document = root;
    return ZMLX_OK;
}

zmlx_status zx_document_open(const char *path, const zx_document_options *options,
                             json_t **document)
{
    char *text = NULL;
    size_t size = 0;
    ZX_TRY(zx_file_read(path, MAX_DOCUMENT, &text, &size));
    const zmlx_status status = zx_document_parse(path, text, size, options, document);
    zx_free(text);
    return status;
}

/* The value, or NULL where it is absent or null. */
static const json_t *find(const zx_fields *fields, const char *key)
{
    const json_t *value = json_object_get(fields->object, key);
    return value != NULL && !json_is_null(value) ? value : NULL;
}

bool zx_fields_have(const zx_fields *fields, const char *key)
{
    return find(fields, key) != NULL;
}

/* What a value is, for a message. */
static void describe(const json_t *value, char text[64])
{
    if (value == NULL)
        (void)snprintf(text, 64, "missing");
    else if (json_is_integer(value))
        (void)snprintf(text, 64, "%jd", (intmax_t)json_integer_value(value));
    else if (json_is_real(value))
        zx_number_write(text, json_real_value(value));
    else if (json_is_string(value))
        (void)snprintf(text, 64, "the string '%.40s'", json_string_value(value));
    else if (json_is_boolean(value))
        (void)snprintf(text, 64, "%s", json_is_true(value) ? "true" : "false");
    else
        (void)snprintf(text, 64, "%s", json_is_array(value) ? "an array" : "an object");
}

zmlx_status zx_fields_fail(const zx_fields *fields, const char *key, const char *expected)
{
    char is[64];
    const bool inner = fields->section != NULL;
    describe(find(fields, key), is);
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: config key '%s%s%s' is %s; expected %s", fields->file,
                   inner ? fields->section : "", inner ? "." : "", key, is, expected);
}

zmlx_status zx_fields_integer(const zx_fields *fields, const char *key, int64_t least, int64_t most,
                              int64_t *value)
{
    char expected[96];
    const json_t *found = find(fields, key);
    if (found == NULL) return ZMLX_OK;
    const json_int_t number = json_integer_value(found);
    if (json_is_integer(found) && number >= least && number <= most) {
        *value = number;
        return ZMLX_OK;
    }
    (void)snprintf(expected, sizeof expected, "a whole number from %jd to %jd", (intmax_t)least,
                   (intmax_t)most);
    return zx_fields_fail(fields, key, expected);
}

zmlx_status zx_fields_number(const zx_fields *fields, const char *key, double least, double most,
                             double *value)
{
    char expected[96];
    const json_t *found = find(fields, key);
    if (found == NULL) return ZMLX_OK;
    const double number = json_number_value(found);
    if (json_is_number(found) && number >= least && number <= most) {
        *value = number;
        return ZMLX_OK;
    }
    (void)snprintf(expected, sizeof expected, "a number from %g to %g", least, most);
    return zx_fields_fail(fields, key, expected);
}

zmlx_status zx_fields_bool(const zx_fields *fields, const char *key, bool *value)
{
    const json_t *found = find(fields, key);
    if (found == NULL) return ZMLX_OK;
    if (!json_is_boolean(found)) return zx_fields_fail(fields, key, "true or false");
    *value = json_is_true(found);
    return ZMLX_OK;
}

zmlx_status zx_fields_string(const zx_fields *fields, const char *key, const char **value)
{
    const json_t *found = find(fields, key);
    if (found == NULL) return ZMLX_OK;
    if (!json_is_string(found)) return zx_fields_fail(fields, key, "a string");
    *value = json_string_value(found);
    return ZMLX_OK;
}

zmlx_status zx_fields_object(const zx_fields *fields, const char *key, zx_fields *value)
{
    const json_t *found = find(fields, key);
    if (found == NULL) return ZMLX_OK;
    if (!json_is_object(found)) return zx_fields_fail(fields, key, "an object");
    *value = (zx_fields){fields->file, key, found};
    return ZMLX_OK;
}

zmlx_status zx_fields_numbers(const zx_fields *fields, const char *key, zx_arena *arena,
                              const float **values, size_t *count)
{
    const json_t *found = find(fields, key);
    void *memory = NULL;
    if (found == NULL) return ZMLX_OK;
    if (!json_is_array(found)) return zx_fields_fail(fields, key, "an array of numbers");
    const size_t size = json_array_size(found);
    ZX_TRY(zx_arena_alloc(arena, size * sizeof **values, &memory));
    float *copy = memory;
    for (size_t i = 0; i < size; i++) {
        const json_t *element = json_array_get(found, i);
        if (!json_is_number(element)) return zx_fields_fail(fields, key, "an array of numbers");
        copy[i] = (float)json_number_value(element);
    }
    *values = copy;
    *count = size;
    return ZMLX_OK;
}

zmlx_status zx_fields_ids(const zx_fields *fields, const char *key, zx_arena *arena, int32_t **ids,
                          size_t *count)
{
    const json_t *found = find(fields, key);
    void *memory = NULL;
    if (found == NULL) return ZMLX_OK;
    const bool many = json_is_array(found);
    const size_t size = many ? json_array_size(found) : 1;
    ZX_TRY(zx_arena_alloc(arena, size * sizeof **ids, &memory));
    int32_t *copy = memory;
    for (size_t i = 0; i < size; i++) {
        const json_t *element = many ? json_array_get(found, i) : found;
        const json_int_t id = json_integer_value(element);
        if (!json_is_integer(element) || id < 0 || id > INT32_MAX)
            return zx_fields_fail(fields, key, "a token id or an array of them");
        copy[i] = (int32_t)id;
    }
    *ids = copy;
    *count = size;
    return ZMLX_OK;
}
