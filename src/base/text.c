/* text.c - strings of bytes that grow, and UTF-8 as the Unicode standard's table 3-7 has it. */
#include "base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/memory.h"

static zmlx_status make_room(zx_text *text, size_t count)
{
    size_t needed = 0;
    if (!zx_add_fits(text->length, count, &needed) || !zx_add_fits(needed, 1, &needed))
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "text: %zu more bytes exceed the address space", count);
    return zx_grow(&text->bytes, &text->capacity, needed, 1, "text");
}

zmlx_status zx_text_add(zx_text *text, const char *bytes, size_t count)
{
    assert(bytes != NULL || count == 0);
    assert(text->bytes == NULL || bytes < text->bytes || bytes >= text->bytes + text->capacity);
    ZX_TRY(make_room(text, count));
    if (count > 0) memcpy(text->bytes + text->length, bytes, count);
    text->length += count;
    text->bytes[text->length] = 0;
    return ZMLX_OK;
}

zmlx_status zx_text_add_string(zx_text *text, const char *string)
{
    return zx_text_add(text, string, strlen(string));
}

zmlx_status zx_text_format(zx_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    zmlx_status status = ZMLX_OK;
    const int count = vsnprintf(NULL, 0, format, args);
    if (count < 0) {
        status = ZX_FAIL(ZMLX_ERROR_ARGUMENT, "text: the format '%s' cannot be followed", format);
        goto done;
    }
    status = make_room(text, (size_t)count);
    if (status != ZMLX_OK) goto done;
    (void)vsnprintf(text->bytes + text->length, (size_t)count + 1, format, again);
    text->length += (size_t)count;
done:
    va_end(again);
    va_end(args);
    return status;
}

/* The locale's own point may have several bytes, and nothing else there is other than these. */
void zx_number_write(char text[ZX_NUMBER_BYTES], double number)
{
    char local[64];
    size_t used = 0;
    bool point = false;
    (void)snprintf(local, sizeof local, "%.17g", number);
    for (const char *at = local; *at != 0 && used + 1 < ZX_NUMBER_BYTES; at++) {
        const bool own = strchr("+-0123456789abcdefghijklmnopqrstuvwxyz", *at) != NULL;
        if (own)
            text[used++] = *at;
        else if (!point)
            text[used++] = '.';
        point |= !own;
    }
    text[used] = 0;
}

zmlx_status zx_text_add_number(zx_text *text, double number)
{
    char written[ZX_NUMBER_BYTES];
    zx_number_write(written, number);
    return zx_text_add_string(text, written);
}

void zx_text_clear(zx_text *text)
{
    text->length = 0;
    if (text->bytes != NULL) text->bytes[0] = 0;
}

void zx_text_fini(zx_text *text)
{
    zx_free(text->bytes);
    *text = (zx_text){0};
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t zx_utf8_decode(const char *bytes, size_t count, uint32_t *point)
{
    if (count == 0) return 0;
    const uint8_t *const b = (const uint8_t *)bytes;
    const uint32_t first = b[0];
    if (first < 0x80) {
        *point = first;
        return 1;
    }
    if (count < 2 || !is_continuation(b[1])) return 0;
    if (first < 0xe0) {
        *point = (first & 0x1f) << 6 | (b[1] & 0x3fu);
        return first >= 0xc2 ? 2 : 0;
    }
    if (count < 3 || !is_continuation(b[2])) return 0;
    if (first < 0xf0) {
        const uint32_t value = (first & 0x0f) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
        *point = value;
        return value >= 0x800 && (value < 0xd800 || value > 0xdfff) ? 3 : 0;
    }
    if (count < 4 || !is_continuation(b[3]) || first > 0xf4) return 0;
    *point = (first & 0x07) << 18 | (b[1] & 0x3fu) << 12 | (b[2] & 0x3fu) << 6 | (b[3] & 0x3fu);
    return *point >= 0x10000 && *point < 0x110000 ? 4 : 0;
}

size_t zx_utf8_encode(uint32_t point, char bytes[4])
{
    uint8_t out[4] = {0};
    size_t length = 0;
    if (point < 0x80) {
        out[length++] = (uint8_t)point;
    } else if (point < 0x800) {
        out[length++] = (uint8_t)(0xc0 | point >> 6);
        out[length++] = (uint8_t)(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        if (point >= 0xd800 && point < 0xe000) return 0;
        out[length++] = (uint8_t)(0xe0 | point >> 12);
        out[length++] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        out[length++] = (uint8_t)(0x80 | (point & 0x3f));
    } else if (point < 0x110000) {
        out[length++] = (uint8_t)(0xf0 | point >> 18);
        out[length++] = (uint8_t)(0x80 | (point >> 12 & 0x3f));
        out[length++] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        out[length++] = (uint8_t)(0x80 | (point & 0x3f));
    }
    memcpy(bytes, out, length);
    return length;
}

bool zx_utf8_valid(const char *bytes, size_t count)
{
    size_t at = 0;
    while (at < count) {
        uint64_t word = 0;
        if (count - at >= sizeof word) { /* most text is ASCII: eight bytes at a time */
            memcpy(&word, bytes + at, sizeof word);
            if ((word & 0x8080808080808080u) == 0) {
                at += sizeof word;
                continue;
            }
        }
        uint32_t point = 0;
        const size_t length = zx_utf8_decode(bytes + at, count - at, &point);
        if (length == 0) return false;
        at += length;
    }
    return true;
}

/* How a well-formed sequence begins: its length, and the range of its second byte, which is
 * what keeps overlong forms, surrogates and points past U+10FFFF out. */
typedef struct lead {
    uint8_t length, low, high;
} lead;

static lead lead_of(uint8_t first)
{
    if (first < 0x80) return (lead){1, 0, 0};
    if (first < 0xc2) return (lead){0, 0, 0};
    if (first < 0xe0) return (lead){2, 0x80, 0xbf};
    if (first < 0xf0) return (lead){3, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf};
    if (first < 0xf5) return (lead){4, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf};
    return (lead){0, 0, 0};
}

size_t zx_utf8_incomplete_tail(const char *bytes, size_t count)
{
    const uint8_t *const b = (const uint8_t *)bytes;
    for (size_t tail = 1; tail <= 3 && tail <= count; tail++) {
        const uint8_t *const first = b + count - tail;
        if (is_continuation(*first)) continue;
        const lead is = lead_of(*first);
        if (is.length <= tail) return 0;
        return tail == 1 || (first[1] >= is.low && first[1] <= is.high) ? tail : 0;
    }
    return 0;
}
