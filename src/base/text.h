/* text.h - a growing string of bytes, and UTF-8. */
#ifndef ZX_BASE_TEXT_H
#define ZX_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zmlx/status.h"

typedef struct zx_text { /* {0} is empty; bytes[length] is 0 once anything was added */
    char *bytes;
    size_t length, capacity;
} zx_text;

ZMLX_MUST_CHECK zmlx_status zx_text_add(zx_text *text, const char *bytes, size_t count);
ZMLX_MUST_CHECK zmlx_status zx_text_add_string(zx_text *text, const char *string);
ZMLX_MUST_CHECK zmlx_status zx_text_format(zx_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A number as "%.17g" writes it in the C locale, whatever the locale is. */
ZMLX_MUST_CHECK zmlx_status zx_text_add_number(zx_text *text, double number);
enum { ZX_NUMBER_BYTES = 32 };
void zx_number_write(char text[ZX_NUMBER_BYTES], double number); /* the same, with a NUL */
void zx_text_clear(zx_text *text);                               /* empties it, keeps the memory */
void zx_text_fini(zx_text *text);

/* Decodes one code point of well-formed UTF-8 (no surrogates, no overlong forms, at most
 * U+10FFFF); returns its length in bytes, or 0 where the bytes are not such. */
size_t zx_utf8_decode(const char *bytes, size_t count, uint32_t *point);
/* Encodes a code point into at most 4 bytes; returns how many, 0 for what is no code point. */
size_t zx_utf8_encode(uint32_t point, char bytes[4]);
bool zx_utf8_valid(const char *bytes, size_t count);
/* How many bytes at the end could be the start of a longer, well-formed sequence (0 to 3). */
size_t zx_utf8_incomplete_tail(const char *bytes, size_t count);

#endif
