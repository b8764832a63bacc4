/* safetensors.c - the header is read by the streaming JSON reader, event by event; nothing in it is
 * believed before it was compared with the file. */
#include "model/safetensors.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/json.h"

enum {
    LENGTH_BYTES = 8,
    MAX_HEADER = 100 * 1000 * 1000,
    MAX_NAME = 256,
    MAX_TENSORS = 1 << 18,
    MAX_METADATA = 1 << 16,
    MAX_OFFSET_COUNT = 2,
};

/* What a tensor's entry says, before it is checked. */
typedef struct entry {
    bool has_dtype, has_shape, has_offsets;
    size_t offsets[MAX_OFFSET_COUNT];
} entry;

static zmlx_status tensor_error(const zx_stored_tensor *tensor, const char *what)
{
    char shown[ZX_SHOWN_NAME];
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s': %s", tensor->path,
                   zx_shown_name(tensor->name, tensor->name_length, shown), what);
}

/* An array of sizes; 'limit' bounds how many. */
static zmlx_status read_sizes(zx_json *json, const zx_stored_tensor *tensor, const char *key,
                              size_t sizes[], unsigned limit, unsigned *count)
{
    char what[96];
    *count = 0;
    ZX_TRY(zx_json_next(json));
    bool good = json->kind == ZX_JSON_ARRAY;
    while (good) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_ARRAY_END) return ZMLX_OK;
        if (*count == limit) {
            (void)snprintf(what, sizeof what, "'%s' has more than %u numbers", key, limit);
            return tensor_error(tensor, what);
        }
        good = json->kind == ZX_JSON_NUMBER && json->is_integer && json->integer >= 0 &&
               (uint64_t)json->integer <= SIZE_MAX;
        if (good) sizes[(*count)++] = (size_t)json->integer;
    }
    (void)snprintf(what, sizeof what, "'%s' is not an array of whole numbers from 0 up", key);
    return tensor_error(tensor, what);
}

static zmlx_status read_dtype(zx_json *json, zx_stored_tensor *tensor)
{
    static const zx_format formats[ZX_DTYPE_COUNT] = {
        [ZX_F32] = ZX_FORMAT_F32, [ZX_F16] = ZX_FORMAT_F16, [ZX_BF16] = ZX_FORMAT_BF16};
    char what[ZX_SHOWN_NAME + 32], shown[ZX_SHOWN_NAME];
    ZX_TRY(zx_json_next(json));
    if (json->kind != ZX_JSON_STRING) return tensor_error(tensor, "'dtype' is not a string");
    tensor->dtype = zx_dtype_from_text(json->string, json->length);
    if (tensor->dtype == ZX_DTYPE_COUNT ||
        !zx_json_is(json, zx_dtypes[tensor->dtype].safetensors)) {
        (void)snprintf(what, sizeof what, "unknown dtype '%s'",
                       zx_shown_name(json->string, json->length, shown));
        return tensor_error(tensor, what);
    }
    tensor->type = zx_dtypes[tensor->dtype].safetensors;
    tensor->format = zx_dtypes[tensor->dtype].is_float ? formats[tensor->dtype] : ZX_FORMAT_COUNT;
    return ZMLX_OK;
}

static zmlx_status read_member(zx_json *json, zx_stored_tensor *tensor, entry *said)
{
    unsigned count = 0;
    const bool dtype = zx_json_is(json, "dtype"), shape = zx_json_is(json, "shape");
    const bool offsets = zx_json_is(json, "data_offsets");
    if ((dtype && said->has_dtype) || (shape && said->has_shape) || (offsets && said->has_offsets))
        return tensor_error(tensor, "a key is there twice");
    said->has_dtype |= dtype;
    said->has_shape |= shape;
    said->has_offsets |= offsets;
    if (dtype) return read_dtype(json, tensor);
    if (shape) return read_sizes(json, tensor, "shape", tensor->shape, ZX_MAX_DIMS, &tensor->rank);
    if (!offsets) return zx_json_skip(json);
    ZX_TRY(read_sizes(json, tensor, "data_offsets", said->offsets, MAX_OFFSET_COUNT, &count));
    return count == MAX_OFFSET_COUNT ? ZMLX_OK
                                     : tensor_error(tensor, "'data_offsets' is not two numbers");
}

/* The entry's claims against the file: 'data' and 'size' are where its tensors lie. */
static zmlx_status place_tensor(zx_stored_tensor *tensor, const entry *said, const uint8_t *data,
                                size_t size)
{
    char what[160];
    size_t needed = 0;
    if (!said->has_dtype) return tensor_error(tensor, "'dtype' is missing");
    if (!said->has_shape) return tensor_error(tensor, "'shape' is missing");
    if (!said->has_offsets) return tensor_error(tensor, "'data_offsets' is missing");
    const size_t first = said->offsets[0], last = said->offsets[1];
    if (first > last || last > size) {
        (void)snprintf(what, sizeof what,
                       "data_offsets [%zu, %zu] are not inside the %zu bytes of data", first, last,
                       size);
        return tensor_error(tensor, what);
    }
    if (!zx_stored_elements(tensor, &needed) ||
        !zx_multiply_fits(needed, zx_dtypes[tensor->dtype].bytes, &needed))
        return tensor_error(tensor, "its shape has too many elements");
    if (needed != last - first) {
        char shape[ZX_SHAPE_TEXT];
        (void)snprintf(what, sizeof what, "%.80s takes %zu bytes, data_offsets give it %zu",
                       zx_stored_describe(tensor, shape), needed, last - first);
        return tensor_error(tensor, what);
    }
    tensor->data = data + first;
    tensor->bytes = needed;
    return ZMLX_OK;
}

static zmlx_status read_tensor(zx_json *json, zx_stored *stored, const uint8_t *data, size_t size)
{
    zx_stored_tensor *tensor = NULL;
    entry said = {0};
    if (stored->count == MAX_TENSORS)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: more than %d tensors", stored->path, MAX_TENSORS);
    ZX_TRY(zx_stored_add(stored, json->string, json->length, MAX_NAME, &tensor));
    ZX_TRY(zx_json_next(json));
    if (json->kind != ZX_JSON_OBJECT) return tensor_error(tensor, "its entry is not an object");
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) return place_tensor(tensor, &said, data, size);
        ZX_TRY(read_member(json, tensor, &said));
    }
}

/* The file's own remarks: strings, of which nothing depends; or null, as MLX writes none. */
static zmlx_status read_metadata(zx_json *json, zx_stored *stored)
{
    zx_table keys = {.seed = stored->names.seed};
    bool added = true;
    ZX_TRY(zx_json_next(json));
    if (json->kind == ZX_JSON_NULL) return ZMLX_OK;
    if (json->kind != ZX_JSON_OBJECT)
        return zx_json_fail(json, "'__metadata__' is neither an object nor null");
    zmlx_status status = ZMLX_OK;
    while (status == ZMLX_OK && (status = zx_json_next(json)) == ZMLX_OK &&
           json->kind != ZX_JSON_OBJECT_END) {
        const char *key = NULL;
        if (keys.count == MAX_METADATA)
            status = zx_json_fail(json, "'__metadata__' has more than 65536 keys");
        if (status == ZMLX_OK) status = zx_stored_text(stored, json->string, json->length, &key);
        if (status == ZMLX_OK) status = zx_table_insert(&keys, key, json->length, 0, &added);
        if (status == ZMLX_OK && !added)
            status = zx_json_fail(json, "a key of '__metadata__' is there twice");
        if (status == ZMLX_OK) status = zx_json_expect(json, ZX_JSON_STRING);
    }
    zx_table_fini(&keys);
    return status;
}

static zmlx_status read_header(zx_json *json, zx_stored *stored, const uint8_t *data, size_t size)
{
    bool metadata = false;
    ZX_TRY(zx_json_expect(json, ZX_JSON_OBJECT));
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) break;
        if (!zx_json_is(json, "__metadata__")) {
            ZX_TRY(read_tensor(json, stored, data, size));
            continue;
        }
        if (metadata) return zx_json_fail(json, "'__metadata__' is there twice");
        metadata = true;
        ZX_TRY(read_metadata(json, stored));
    }
    ZX_TRY(zx_json_expect(json, ZX_JSON_END));
    return zx_stored_check_layout(stored, data, data + size, true);
}

static zmlx_status judge(zx_stored *stored, const uint8_t *bytes, size_t size)
{
    uint64_t length = 0;
    if (size < LENGTH_BYTES)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: truncated: %zu bytes are no safetensors file",
                       stored->path, size);
    for (int i = 0; i < LENGTH_BYTES; i++) length |= (uint64_t)bytes[i] << 8 * i;
    const size_t rest = size - LENGTH_BYTES;
    if (rest > 0 && bytes[LENGTH_BYTES] != '{')
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: not a safetensors file: its header does not begin with '{'",
                       stored->path);
    if (length > MAX_HEADER)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a header of %ju bytes; at most %d are allowed",
                       stored->path, (uintmax_t)length, MAX_HEADER);
    if (length > rest)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: truncated: the header has %ju bytes, after its length come %zu",
                       stored->path, (uintmax_t)length, rest);
    zx_json json;
    const uint8_t *const header = bytes + LENGTH_BYTES;
    zx_json_init(&json, stored->path, (const char *)header, (size_t)length);
    const zmlx_status status = read_header(&json, stored, header + length, rest - (size_t)length);
    zx_json_fini(&json);
    return status;
}

zmlx_status zx_safetensors_open_bytes(const char *name, const void *bytes, size_t size,
                                      zx_safetensors *safetensors)
{
    *safetensors = (zx_safetensors){0};
    zmlx_status status = zx_stored_init(&safetensors->stored, name);
    if (status == ZMLX_OK) status = judge(&safetensors->stored, bytes, size);
    if (status != ZMLX_OK) zx_safetensors_close(safetensors);
    return status;
}

zmlx_status zx_safetensors_open(const char *path, zx_safetensors *safetensors)
{
    zx_file file;
    *safetensors = (zx_safetensors){0};
    ZX_TRY(zx_file_open(path, &file));
    const zmlx_status status = zx_safetensors_open_bytes(path, file.data, file.size, safetensors);
    if (status == ZMLX_OK)
        safetensors->file = file;
    else
        zx_file_close(&file);
    return status;
}

void zx_safetensors_close(zx_safetensors *safetensors)
{
    zx_stored_fini(&safetensors->stored);
    zx_file_close(&safetensors->file);
}

static zmlx_status add_entries(const zx_stored_tensor *tensors, size_t count, const char *format,
                               zx_text *head)
{
    size_t offset = 0;
    ZX_TRY(zx_text_add_string(head, "{"));
    if (format != NULL)
        ZX_TRY(zx_text_format(head, "\"__metadata__\":{\"format\":\"%s\"}", format));
    for (size_t i = 0; i < count; i++) {
        const zx_stored_tensor *tensor = &tensors[i];
        assert(tensor->dtype < ZX_DTYPE_COUNT && tensor->rank <= ZX_MAX_DIMS);
        if (i > 0 || format != NULL) ZX_TRY(zx_text_add_string(head, ","));
        ZX_TRY(zx_json_quote(head, tensor->name, strlen(tensor->name)));
        ZX_TRY(zx_text_format(head, ":{\"dtype\":\"%s\",\"shape\":[",
                              zx_dtypes[tensor->dtype].safetensors));
        for (unsigned d = 0; d < tensor->rank; d++)
            ZX_TRY(zx_text_format(head, "%s%zu", d > 0 ? "," : "", tensor->shape[d]));
        ZX_TRY(
            zx_text_format(head, "],\"data_offsets\":[%zu,%zu]}", offset, offset + tensor->bytes));
        offset += tensor->bytes;
    }
    return zx_text_add_string(head, "}");
}

zmlx_status zx_safetensors_head(const zx_stored_tensor *tensors, size_t count, const char *format,
                                zx_text *head)
{
    const size_t start = head->length;
    ZX_TRY(zx_text_add(head, "\0\0\0\0\0\0\0\0", LENGTH_BYTES));
    ZX_TRY(add_entries(tensors, count, format, head));
    while ((head->length - start) % LENGTH_BYTES != 0) ZX_TRY(zx_text_add_string(head, " "));
    const uint64_t length = head->length - start - LENGTH_BYTES;
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        head->bytes[start + i] = (char)(unsigned char)(length >> 8 * i);
    return ZMLX_OK;
}

static zmlx_status write_parts(zx_writer *writer, const zx_text *head,
                               const zx_stored_tensor *tensors, size_t count)
{
    ZX_TRY(zx_writer_add(writer, head->bytes, head->length));
    for (size_t i = 0; i < count; i++)
        if (tensors[i].bytes > 0) ZX_TRY(zx_writer_add(writer, tensors[i].data, tensors[i].bytes));
    return ZMLX_OK;
}

zmlx_status zx_safetensors_write(const char *path, const zx_stored_tensor *tensors, size_t count)
{
    zx_text head = {0};
    zx_writer writer = {.descriptor = -1};
    zmlx_status status = zx_safetensors_head(tensors, count, NULL, &head);
    if (status == ZMLX_OK) status = zx_writer_open(path, &writer);
    if (status == ZMLX_OK) {
        status = write_parts(&writer, &head, tensors, count);
        if (status == ZMLX_OK)
            status = zx_writer_commit(&writer);
        else
            zx_writer_abandon(&writer);
    }
    zx_text_fini(&head);
    return status;
}
