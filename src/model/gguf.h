/* gguf.h - reading a GGUF file (versions 2 and 3, little-endian).
 *
 *   "GGUF" | version | tensor count | key count | keys and values | tensor infos | padding | data
 *
 * Everything is judged when the file is opened, so that what the getters return lies inside the
 * file; values and arrays are read where they lie.  Nothing is allocated on the word of a count
 * that the file is too short for. */
#ifndef ZX_MODEL_GGUF_H
#define ZX_MODEL_GGUF_H

#include "base/file.h"
#include "model/stored.h"
#include "text/tokenizer.h"

typedef enum zx_gguf_type {
    ZX_GGUF_U8,
    ZX_GGUF_I8,
    ZX_GGUF_U16,
    ZX_GGUF_I16,
    ZX_GGUF_U32,
    ZX_GGUF_I32,
    ZX_GGUF_F32,
    ZX_GGUF_BOOL,
    ZX_GGUF_STRING,
    ZX_GGUF_ARRAY,
    ZX_GGUF_U64,
    ZX_GGUF_I64,
    ZX_GGUF_F64,
    ZX_GGUF_TYPE_COUNT
} zx_gguf_type;

typedef struct zx_gguf_array {
    zx_gguf_type type; /* of the elements */
    size_t count;
    const uint8_t *elements; /* not aligned */
} zx_gguf_array;

typedef struct zx_gguf_value {
    const char *key;
    zx_gguf_type type;
    const uint8_t *data; /* a number's bytes, a string's first byte; not aligned */
    size_t length;       /* of a string */
    zx_gguf_array array;
} zx_gguf_value;

typedef struct zx_gguf { /* {0} is a valid closed file */
    zx_file file;
    uint32_t version;
    size_t alignment;
    zx_gguf_value *values;
    size_t value_count, value_capacity;
    zx_table keys;
    zx_stored stored; /* shapes outermost first: the reverse of the file's */
} zx_gguf;

/* True where the bytes begin as a GGUF file does. */
bool zx_gguf_magic(const void *bytes, size_t size);

ZMLX_MUST_CHECK zmlx_status zx_gguf_open(const char *path, zx_gguf *gguf);
/* The same for bytes in memory, which must outlive it; 'name' stands in messages. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_open_bytes(const char *name, const void *bytes, size_t size,
                                               zx_gguf *gguf);
void zx_gguf_close(zx_gguf *gguf);

/* NULL where the file has no such key. */
const zx_gguf_value *zx_gguf_find(const zx_gguf *gguf, const char *key);

/* An absent key leaves *value as it was; a value of another type or outside the range is an error
 * that names the key.  An integer may have any width, a number also be an integer. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_integer(const zx_gguf *gguf, const char *key, int64_t least,
                                            int64_t most, int64_t *value);
ZMLX_MUST_CHECK zmlx_status zx_gguf_number(const zx_gguf *gguf, const char *key, double *value);
ZMLX_MUST_CHECK zmlx_status zx_gguf_bool(const zx_gguf *gguf, const char *key, bool *value);
ZMLX_MUST_CHECK zmlx_status zx_gguf_string(const zx_gguf *gguf, const char *key,
                                           zx_string_view *value);
ZMLX_MUST_CHECK zmlx_status zx_gguf_array_of(const zx_gguf *gguf, const char *key,
                                             zx_gguf_type type, zx_gguf_array *value);

/* The strings of an array of strings, as views into the file; 'views' has room for its count. */
void zx_gguf_strings(const zx_gguf_array *array, zx_string_view *views);

/* Element 'index' of an array of numbers, as a double or an integer (0 for what is neither). */
double zx_gguf_element(const zx_gguf_array *array, size_t index);

#endif
