/* json.h - a bounded pull reader for the two JSON documents that are too large or too odd for a
 * tree: tokenizer.json (33 MB, NUL inside keys) and safetensors headers.  Everything
 * else is read with jansson.
 *
 * It reads UTF-8 text in place, keeps no tree, allocates one scratch buffer for strings
 * with escapes, and refuses: depth over ZX_JSON_MAX_DEPTH, malformed UTF-8, lone surrogates,
 * trailing bytes after the value.  Messages name the file ('source') and the byte offset. */
#ifndef ZX_BASE_JSON_H
#define ZX_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "zmlx/status.h"

enum { ZX_JSON_MAX_DEPTH = 64 };

typedef enum zx_json_kind {
    ZX_JSON_END, /* of the document */
    ZX_JSON_OBJECT,
    ZX_JSON_OBJECT_END,
    ZX_JSON_ARRAY,
    ZX_JSON_ARRAY_END,
    ZX_JSON_KEY, /* its value is the next event */
    ZX_JSON_STRING,
    ZX_JSON_NUMBER,
    ZX_JSON_TRUE,
    ZX_JSON_FALSE,
    ZX_JSON_NULL,
} zx_json_kind;

typedef struct zx_json {
    const char *source; /* for messages */
    const char *start, *at, *end;
    zx_text scratch;
    uint8_t stack[ZX_JSON_MAX_DEPTH];
    int depth, state;

    /* The event just read. */
    zx_json_kind kind;
    const char *string; /* KEY and STRING: decoded bytes, valid until the next call; may hold NUL */
    size_t length;
    bool in_place;   /* 'string' points into the document and stays valid as long as it does */
    double number;   /* NUMBER */
    bool is_integer; /* NUMBER without fraction or exponent that fits: */
    int64_t integer;
} zx_json;

void zx_json_init(zx_json *json, const char *source, const char *bytes, size_t count);
void zx_json_fini(zx_json *json);

ZMLX_MUST_CHECK zmlx_status zx_json_next(zx_json *json);
/* Skips the value whose first event was just read (an OBJECT or ARRAY to its end; a scalar is
 * already past; after a KEY, the whole value of that key). */
ZMLX_MUST_CHECK zmlx_status zx_json_skip(zx_json *json);
/* Reads the next event and fails unless it is of this kind. */
ZMLX_MUST_CHECK zmlx_status zx_json_expect(zx_json *json, zx_json_kind kind);
/* An error at the present place: "SOURCE: byte N: MESSAGE". */
zmlx_status zx_json_fail(const zx_json *json, const char *message);
bool zx_json_is(const zx_json *json, const char *text); /* compares KEY or STRING */

/* Adds the text as a JSON string, with its quotes; the bytes are UTF-8. */
ZMLX_MUST_CHECK zmlx_status zx_json_quote(zx_text *json, const char *bytes, size_t count);

#endif
