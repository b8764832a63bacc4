/* gguf.c - one cursor over the file; every step says how many bytes it needs. */
#include "model/gguf.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/memory.h"
#include "model/ggml_types.h"

enum {
    MAX_KEYS = 1 << 16,
    MAX_TENSORS = 1 << 16,
    MAX_RANK = 4,
    MAX_KEY = (1 << 16) - 1,
    MAX_TENSOR_NAME = 64,
    MAX_STRING = 64 << 20,
    MAX_METADATA = 96 << 20, /* bytes before the data: the largest vocabularies need 20 MB */
    MAX_ALIGNMENT = 64 << 10,
    DEFAULT_ALIGNMENT = 32,
    MAX_NESTING = 4,
    LENGTH_BYTES = 8,
};

typedef struct type_traits {
    const char *name; /* with its article, for messages */
    size_t bytes;     /* 0: not fixed */
} type_traits;

static const type_traits value_types[ZX_GGUF_TYPE_COUNT] = {
    [ZX_GGUF_U8] = {"a u8", 1},         [ZX_GGUF_I8] = {"an i8", 1},
    [ZX_GGUF_U16] = {"a u16", 2},       [ZX_GGUF_I16] = {"an i16", 2},
    [ZX_GGUF_U32] = {"a u32", 4},       [ZX_GGUF_I32] = {"an i32", 4},
    [ZX_GGUF_F32] = {"an f32", 4},      [ZX_GGUF_BOOL] = {"a bool", 1},
    [ZX_GGUF_STRING] = {"a string", 0}, [ZX_GGUF_ARRAY] = {"an array", 0},
    [ZX_GGUF_U64] = {"a u64", 8},       [ZX_GGUF_I64] = {"an i64", 8},
    [ZX_GGUF_F64] = {"an f64", 8},
};

typedef struct cursor {
    const char *path;
    const uint8_t *start, *at, *end;
} cursor;

static uint64_t load(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

/* The next 'count' bytes, which are 'what'. */
static zmlx_status take(cursor *at, size_t count, const char *what, const uint8_t **bytes)
{
    const size_t left = (size_t)(at->end - at->at);
    if (count > left)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: truncated: %s takes %zu bytes at byte %zu, where %zu are left",
                       at->path, what, count, (size_t)(at->at - at->start), left);
    *bytes = at->at;
    at->at += count;
    return ZMLX_OK;
}

static zmlx_status take_u32(cursor *at, const char *what, uint32_t *value)
{
    const uint8_t *bytes = NULL;
    ZX_TRY(take(at, sizeof *value, what, &bytes));
    *value = (uint32_t)load(bytes, sizeof *value);
    return ZMLX_OK;
}

static zmlx_status take_u64(cursor *at, const char *what, uint64_t *value)
{
    const uint8_t *bytes = NULL;
    ZX_TRY(take(at, sizeof *value, what, &bytes));
    *value = load(bytes, sizeof *value);
    return ZMLX_OK;
}

static zmlx_status take_string(cursor *at, const char *what, size_t limit, const uint8_t **bytes,
                               size_t *length)
{
    uint64_t count = 0;
    ZX_TRY(take_u64(at, what, &count));
    if (count > limit)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %s of %ju bytes; at most %zu are allowed", at->path,
                       what, (uintmax_t)count, limit);
    *length = (size_t)count;
    return take(at, *length, what, bytes);
}

static zmlx_status take_type(cursor *at, const char *what, zx_gguf_type *type)
{
    uint32_t number = 0;
    ZX_TRY(take_u32(at, what, &number));
    if (number >= ZX_GGUF_TYPE_COUNT)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %s: unknown value type %u", at->path, what, number);
    *type = (zx_gguf_type)number;
    return ZMLX_OK;
}

static zmlx_status check_bools(const cursor *at, const char *what, const uint8_t *bytes,
                               size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] > 1)
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %s: the bool is %u, not 0 or 1", at->path, what,
                           bytes[i]);
    return ZMLX_OK;
}

static zmlx_status take_array(cursor *at, const char *what, int depth, zx_gguf_array *array)
{
    uint64_t count = 0;
    const uint8_t *bytes = NULL;
    size_t size = 0;
    ZX_TRY(take_type(at, what, &array->type));
    ZX_TRY(take_u64(at, what, &count));
    size_t least = value_types[array->type].bytes; /* that an element takes */
    if (least == 0) least = LENGTH_BYTES;
    if (count > (size_t)(at->end - at->at) / least)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %s: an array of %ju elements; %zu bytes are left",
                       at->path, what, (uintmax_t)count, (size_t)(at->end - at->at));
    array->count = (size_t)count;
    array->elements = at->at;
    if (array->type == ZX_GGUF_ARRAY && depth == MAX_NESTING)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %s: arrays nested more than %d deep", at->path, what,
                       MAX_NESTING);
    for (size_t i = 0; array->type == ZX_GGUF_STRING && i < array->count; i++)
        ZX_TRY(take_string(at, what, MAX_STRING, &bytes, &size));
    for (size_t i = 0; array->type == ZX_GGUF_ARRAY && i < array->count; i++) {
        zx_gguf_array inner;
        ZX_TRY(take_array(at, what, depth + 1, &inner));
    }
    ZX_TRY(take(at, array->count * value_types[array->type].bytes, what, &bytes));
    return array->type == ZX_GGUF_BOOL ? check_bools(at, what, bytes, array->count) : ZMLX_OK;
}

static zmlx_status take_value(cursor *at, zx_gguf_value *value)
{
    char what[128], shown[ZX_SHOWN_NAME];
    (void)snprintf(what, sizeof what, "metadata key '%s'",
                   zx_shown_name(value->key, strlen(value->key), shown));
    ZX_TRY(take_type(at, what, &value->type));
    if (value->type == ZX_GGUF_STRING)
        return take_string(at, what, MAX_STRING, &value->data, &value->length);
    if (value->type == ZX_GGUF_ARRAY) return take_array(at, what, 1, &value->array);
    ZX_TRY(take(at, value_types[value->type].bytes, what, &value->data));
    return value->type == ZX_GGUF_BOOL ? check_bools(at, what, value->data, 1) : ZMLX_OK;
}

static zmlx_status take_key(zx_gguf *gguf, cursor *at)
{
    const uint8_t *bytes = NULL;
    size_t length = 0;
    bool added = false;
    char shown[ZX_SHOWN_NAME];
    ZX_TRY(take_string(at, "a metadata key", MAX_KEY, &bytes, &length));
    const char *const text = (const char *)bytes;
    if (length == 0 || !zx_utf8_valid(text, length) || memchr(text, 0, length) != NULL)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key %zu is empty or not UTF-8 text",
                       at->path, gguf->value_count);
    ZX_TRY(zx_grow(&gguf->values, &gguf->value_capacity, gguf->value_count + 1,
                   sizeof(zx_gguf_value), "metadata"));
    zx_gguf_value *value = &gguf->values[gguf->value_count];
    ZX_TRY(zx_stored_text(&gguf->stored, text, length, &value->key));
    ZX_TRY(zx_table_insert(&gguf->keys, value->key, length, (uint32_t)gguf->value_count, &added));
    if (!added)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is there twice", at->path,
                       zx_shown_name(text, length, shown));
    gguf->value_count++;
    return take_value(at, value);
}

static zmlx_status tensor_error(const zx_stored_tensor *tensor, const char *what)
{
    char shown[ZX_SHOWN_NAME];
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s': %s", tensor->path,
                   zx_shown_name(tensor->name, tensor->name_length, shown), what);
}

/* Its bytes, from shape and type. */
static zmlx_status size_tensor(zx_stored_tensor *tensor, const zx_ggml_type *type)
{
    char what[160], shape[ZX_SHAPE_TEXT];
    const size_t columns = tensor->rank > 0 ? tensor->shape[tensor->rank - 1] : 1;
    size_t elements = 0;
    tensor->dtype = type->dtype;
    tensor->format = type->format;
    tensor->type = type->name;
    if (columns % type->block != 0) {
        (void)snprintf(what, sizeof what, "%.100s: rows are no multiple of the block of %u",
                       zx_stored_describe(tensor, shape), type->block);
        return tensor_error(tensor, what);
    }
    if (!zx_stored_elements(tensor, &elements) ||
        !zx_multiply_fits(elements / type->block, type->bytes, &tensor->bytes))
        return tensor_error(tensor, "its shape has too many elements");
    return ZMLX_OK;
}

/* 'data' is not known yet: the offset is kept in offsets[]. */
static zmlx_status take_tensor(zx_gguf *gguf, cursor *at, uint64_t *offset)
{
    const uint8_t *bytes = NULL;
    size_t length = 0;
    uint32_t rank = 0, number = 0;
    char what[96];
    zx_stored_tensor *tensor = NULL;
    ZX_TRY(take_string(at, "a tensor's name", MAX_KEY, &bytes, &length));
    ZX_TRY(zx_stored_add(&gguf->stored, (const char *)bytes, length, MAX_TENSOR_NAME, &tensor));
    ZX_TRY(take_u32(at, "a tensor's rank", &rank));
    if (rank > MAX_RANK) {
        (void)snprintf(what, sizeof what, "%u dimensions; at most %d are allowed", rank, MAX_RANK);
        return tensor_error(tensor, what);
    }
    tensor->rank = rank;
    for (uint32_t i = 0; i < rank; i++) {
        uint64_t size = 0;
        ZX_TRY(take_u64(at, "a tensor's shape", &size));
        if (size > INT64_MAX) return tensor_error(tensor, "its shape has too many elements");
        tensor->shape[rank - 1 - i] = (size_t)size;
    }
    ZX_TRY(take_u32(at, "a tensor's type", &number));
    const zx_ggml_type *type = zx_ggml_type_of(number);
    if (type == NULL) {
        (void)snprintf(what, sizeof what, "unknown dtype: ggml type %u", number);
        return tensor_error(tensor, what);
    }
    ZX_TRY(take_u64(at, "a tensor's offset", offset));
    return size_tensor(tensor, type);
}

static zmlx_status place_tensor(const zx_gguf *gguf, const cursor *at, uint64_t offset,
                                zx_stored_tensor *tensor)
{
    char what[160];
    const size_t size = (size_t)(at->end - at->at);
    if (offset % gguf->alignment != 0) {
        (void)snprintf(what, sizeof what, "offset %ju is no multiple of the alignment, %zu",
                       (uintmax_t)offset, gguf->alignment);
        return tensor_error(tensor, what);
    }
    if (offset > SIZE_MAX || !zx_range_fits((size_t)offset, tensor->bytes, size)) {
        (void)snprintf(what, sizeof what,
                       "%zu bytes at offset %ju are not inside the %zu bytes of data%s",
                       tensor->bytes, (uintmax_t)offset, size,
                       tensor->bytes <= size ? "" : " (truncated file?)");
        return tensor_error(tensor, what);
    }
    tensor->data = at->at + offset;
    return ZMLX_OK;
}

static zmlx_status read_alignment(zx_gguf *gguf)
{
    int64_t alignment = DEFAULT_ALIGNMENT;
    ZX_TRY(zx_gguf_integer(gguf, "general.alignment", 1, MAX_ALIGNMENT, &alignment));
    if ((alignment & (alignment - 1)) != 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: metadata key 'general.alignment' is %jd, not a "
                       "power of two",
                       gguf->stored.path, (intmax_t)alignment);
    gguf->alignment = (size_t)alignment;
    return ZMLX_OK;
}

/* From the last tensor info to the data. */
static zmlx_status skip_padding(const zx_gguf *gguf, cursor *at)
{
    const uint8_t *bytes = NULL;
    const size_t past = (size_t)(at->at - at->start) % gguf->alignment;
    const bool at_end = at->at == at->end; /* a file without tensors may end here */
    if (past == 0 || (at_end && gguf->stored.count == 0)) return ZMLX_OK;
    return take(at, gguf->alignment - past, "the padding before the data", &bytes);
}

static zmlx_status check_counts(const cursor *at, uint64_t tensors, uint64_t keys)
{
    if (tensors > MAX_TENSORS)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: claims %ju tensors; at most %d are allowed",
                       at->path, (uintmax_t)tensors, MAX_TENSORS);
    if (keys > MAX_KEYS)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: claims %ju metadata keys; at most %d are allowed",
                       at->path, (uintmax_t)keys, MAX_KEYS);
    return ZMLX_OK;
}

static zmlx_status read_tensors(zx_gguf *gguf, cursor *at, size_t count)
{
    uint64_t *offsets = NULL;
    size_t capacity = 0;
    zmlx_status status = ZMLX_OK;
    for (size_t i = 0; i < count && status == ZMLX_OK; i++) {
        status = zx_grow(&offsets, &capacity, i + 1, sizeof *offsets, "tensor offsets");
        if (status == ZMLX_OK) status = take_tensor(gguf, at, &offsets[i]);
    }
    if (status == ZMLX_OK) status = skip_padding(gguf, at);
    for (size_t i = 0; i < count && status == ZMLX_OK; i++)
        status = place_tensor(gguf, at, offsets[i], &gguf->stored.tensors[i]);
    zx_free(offsets);
    ZX_TRY(status);
    return zx_stored_check_layout(&gguf->stored, at->at, at->end, false);
}

static zmlx_status check_start(cursor *at, uint32_t *version)
{
    const uint8_t *magic = NULL;
    enum { SWAPPED_1 = 1 << 24, SWAPPED_2 = 2 << 24, SWAPPED_3 = 3 << 24 };
    ZX_TRY(take(at, 4, "the magic", &magic));
    if (!zx_gguf_magic(magic, 4))
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: not a GGUF file: it begins with bytes %02x %02x %02x %02x, not 'GGUF'",
                       at->path, magic[0], magic[1], magic[2], magic[3]);
    ZX_TRY(take_u32(at, "the version", version));
    if (*version == SWAPPED_1 || *version == SWAPPED_2 || *version == SWAPPED_3)
        return ZX_FAIL(
            ZMLX_ERROR_UNSUPPORTED,
            "%s: a big-endian GGUF file (version %u swapped); weights are read in place, "
            "so only little-endian files are",
            at->path, *version >> 24);
    if (*version < 2 || *version > 3)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: GGUF version %u; versions 2 and 3 are read",
                       at->path, *version);
    return ZMLX_OK;
}

static zmlx_status judge(zx_gguf *gguf, const uint8_t *bytes, size_t size)
{
    cursor at = {gguf->stored.path, bytes, bytes, bytes + size};
    uint64_t tensors = 0, keys = 0;
    ZX_TRY(check_start(&at, &gguf->version));
    ZX_TRY(take_u64(&at, "the number of tensors", &tensors));
    ZX_TRY(take_u64(&at, "the number of metadata keys", &keys));
    ZX_TRY(check_counts(&at, tensors, keys));
    /* The description of the tensors is bounded, whatever the file's size. */
    const uint8_t *const end = at.end;
    if (size > MAX_METADATA) at.end = bytes + MAX_METADATA;
    for (uint64_t i = 0; i < keys; i++) ZX_TRY(take_key(gguf, &at));
    ZX_TRY(read_alignment(gguf));
    at.end = end;
    return read_tensors(gguf, &at, (size_t)tensors);
}

bool zx_gguf_magic(const void *bytes, size_t size)
{
    return size >= 4 && memcmp(bytes, "GGUF", 4) == 0;
}

zmlx_status zx_gguf_open_bytes(const char *name, const void *bytes, size_t size, zx_gguf *gguf)
{
    *gguf = (zx_gguf){0};
    zmlx_status status = zx_stored_init(&gguf->stored, name);
    gguf->keys.seed = gguf->stored.names.seed;
    if (status == ZMLX_OK) status = judge(gguf, bytes, size);
    if (status != ZMLX_OK) zx_gguf_close(gguf);
    return status;
}

zmlx_status zx_gguf_open(const char *path, zx_gguf *gguf)
{
    zx_file file;
    *gguf = (zx_gguf){0};
    ZX_TRY(zx_file_open(path, &file));
    const zmlx_status status = zx_gguf_open_bytes(path, file.data, file.size, gguf);
    if (status == ZMLX_OK)
        gguf->file = file;
    else
        zx_file_close(&file);
    return status;
}

void zx_gguf_close(zx_gguf *gguf)
{
    zx_free(gguf->values);
    zx_table_fini(&gguf->keys);
    zx_stored_fini(&gguf->stored);
    zx_file_close(&gguf->file);
    *gguf = (zx_gguf){0};
}

const zx_gguf_value *zx_gguf_find(const zx_gguf *gguf, const char *key)
{
    uint32_t index = 0;
    if (!zx_table_find(&gguf->keys, key, strlen(key), &index)) return NULL;
    return &gguf->values[index];
}

static zmlx_status wrong_type(const zx_gguf *gguf, const zx_gguf_value *value, const char *expected)
{
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is %s; expected %s", gguf->stored.path,
                   value->key, value_types[value->type].name, expected);
}

static bool is_unsigned(zx_gguf_type type)
{
    return type == ZX_GGUF_U8 || type == ZX_GGUF_U16 || type == ZX_GGUF_U32 || type == ZX_GGUF_U64;
}

static bool is_signed(zx_gguf_type type)
{
    return type == ZX_GGUF_I8 || type == ZX_GGUF_I16 || type == ZX_GGUF_I32 || type == ZX_GGUF_I64;
}

static int64_t load_signed(const uint8_t *bytes, size_t count)
{
    const unsigned shift = (unsigned)(64 - 8 * count);
    return (int64_t)(load(bytes, count) << shift) >> shift;
}

static double load_number(zx_gguf_type type, const uint8_t *bytes)
{
    const size_t count = value_types[type].bytes;
    double wide;
    if (type == ZX_GGUF_F32) return (double)zx_load(ZX_F32, bytes, 0);
    if (type == ZX_GGUF_F64) {
        memcpy(&wide, bytes, sizeof wide);
        return wide;
    }
    if (is_signed(type)) return (double)load_signed(bytes, count);
    return is_unsigned(type) || type == ZX_GGUF_BOOL ? (double)load(bytes, count) : 0;
}

zmlx_status zx_gguf_integer(const zx_gguf *gguf, const char *key, int64_t least, int64_t most,
                            int64_t *value)
{
    const zx_gguf_value *found = zx_gguf_find(gguf, key);
    if (found == NULL) return ZMLX_OK;
    const bool natural = is_unsigned(found->type);
    if (!natural && !is_signed(found->type)) return wrong_type(gguf, found, "an integer");
    const size_t bytes = value_types[found->type].bytes;
    const bool huge = natural && load(found->data, bytes) > INT64_MAX;
    const int64_t number =
        natural ? (int64_t)load(found->data, bytes) : load_signed(found->data, bytes);
    if (huge || number < least || number > most)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is %jd%s; expected %jd to %jd",
                       gguf->stored.path, key, (intmax_t)number, huge ? " (overflow)" : "",
                       (intmax_t)least, (intmax_t)most);
    *value = number;
    return ZMLX_OK;
}

zmlx_status zx_gguf_number(const zx_gguf *gguf, const char *key, double *value)
{
    const zx_gguf_value *found = zx_gguf_find(gguf, key);
    if (found == NULL) return ZMLX_OK;
    if (found->type == ZX_GGUF_BOOL || value_types[found->type].bytes == 0)
        return wrong_type(gguf, found, "a number");
    *value = load_number(found->type, found->data);
    return ZMLX_OK;
}

zmlx_status zx_gguf_bool(const zx_gguf *gguf, const char *key, bool *value)
{
    const zx_gguf_value *found = zx_gguf_find(gguf, key);
    if (found == NULL) return ZMLX_OK;
    if (found->type != ZX_GGUF_BOOL) return wrong_type(gguf, found, "a bool");
    *value = found->data[0] != 0;
    return ZMLX_OK;
}

zmlx_status zx_gguf_string(const zx_gguf *gguf, const char *key, zx_string_view *value)
{
    const zx_gguf_value *found = zx_gguf_find(gguf, key);
    if (found == NULL) return ZMLX_OK;
    if (found->type != ZX_GGUF_STRING) return wrong_type(gguf, found, "a string");
    *value = (zx_string_view){(const char *)found->data, found->length};
    return ZMLX_OK;
}

zmlx_status zx_gguf_array_of(const zx_gguf *gguf, const char *key, zx_gguf_type type,
                             zx_gguf_array *value)
{
    char expected[64];
    const zx_gguf_value *found = zx_gguf_find(gguf, key);
    if (found == NULL) return ZMLX_OK;
    (void)snprintf(expected, sizeof expected, "an array with elements of the type %s",
                   strchr(value_types[type].name, ' ') + 1);
    if (found->type != ZX_GGUF_ARRAY || found->array.type != type)
        return wrong_type(gguf, found, expected);
    *value = found->array;
    return ZMLX_OK;
}

void zx_gguf_strings(const zx_gguf_array *array, zx_string_view *views)
{
    const uint8_t *at = array->elements;
    for (size_t i = 0; i < array->count; i++) {
        views[i] =
            (zx_string_view){(const char *)at + LENGTH_BYTES, (size_t)load(at, LENGTH_BYTES)};
        at += LENGTH_BYTES + views[i].length;
    }
}

double zx_gguf_element(const zx_gguf_array *array, size_t index)
{
    const size_t bytes = value_types[array->type].bytes;
    return bytes == 0 ? 0 : load_number(array->type, array->elements + index * bytes);
}
