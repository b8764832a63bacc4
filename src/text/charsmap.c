/* charsmap.c - the bytes are: the array's size (4 bytes), its 32-bit units, and the replacements,
 * each ended by a NUL.  A unit's bits: 0-7 label, 8 has a leaf, 9 wide offset, 10-30 offset, 31
 * marks a leaf, whose other bits are a place among the replacements. */
#include "text/charsmap.h"

#include <string.h>
#include <utf8proc.h>

#include "base/fail.h"
#include "text/unicode.h"

enum { LONGEST_GRAPHEME = 6 };

struct zx_charsmap {
    const uint32_t *units;
    size_t unit_count;
    const char *texts;
    size_t text_bytes;
};

static uint32_t read_word(const char *bytes)
{
    const unsigned char *const at = (const unsigned char *)bytes;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

zmlx_status zx_charsmap_read(const char *source, const char *bytes, size_t count, zx_arena *arena,
                             zx_charsmap **map)
{
    const size_t array_bytes = count < 4 ? 0 : read_word(bytes);
    if (count < 4 || array_bytes % 4 != 0 || array_bytes == 0 || array_bytes > count - 4)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the precompiled charsmap is damaged", source);
    void *memory;
    ZX_TRY(zx_arena_alloc(arena, sizeof(zx_charsmap), &memory));
    zx_charsmap *const fresh = memory;
    ZX_TRY(zx_arena_alloc(arena, array_bytes, &memory));
    uint32_t *const units = memory;
    for (size_t i = 0; i < array_bytes / 4; i++) units[i] = read_word(bytes + 4 + 4 * i);
    fresh->units = units;
    fresh->unit_count = array_bytes / 4;
    fresh->text_bytes = count - 4 - array_bytes;
    ZX_TRY(zx_arena_alloc(arena, fresh->text_bytes + 1, &memory));
    fresh->texts = memcpy(memory, bytes + 4 + array_bytes, fresh->text_bytes);
    *map = fresh;
    return ZMLX_OK;
}

static int base64_digit(char letter)
{
    if (letter >= 'A' && letter <= 'Z') return letter - 'A';
    if (letter >= 'a' && letter <= 'z') return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9') return letter - '0' + 52;
    return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

zmlx_status zx_base64_decode(const char *source, const char *text, size_t length, char *out,
                             size_t *count)
{
    while (length > 0 && text[length - 1] == '=') length--;
    uint32_t bits = 0;
    int held = 0;
    *count = 0;
    for (size_t i = 0; i < length; i++) {
        const int digit = base64_digit(text[i]);
        if (digit < 0) return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: damaged base64", source);
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out[(*count)++] = (char)(bits >> held & 0xFF);
    }
    return ZMLX_OK;
}

zmlx_status zx_charsmap_read_base64(const char *source, zx_string_view text, zx_arena *arena,
                                    zx_charsmap **map)
{
    void *memory;
    size_t count;
    ZX_TRY(zx_arena_alloc(arena, text.length + 1, &memory));
    ZX_TRY(zx_base64_decode(source, text.bytes, text.length, memory, &count));
    return zx_charsmap_read(source, memory, count, arena, map);
}

/* Walks the array along the text.  Stops at the first text that ends ('shortest') or goes on to
 * the longest; the array is not trusted, so each place is checked. */
static bool look_up(const zx_charsmap *map, const char *bytes, size_t count, bool shortest,
                    size_t *used, zx_string_view *replacement)
{
    uint32_t unit = map->units[0];
    size_t place = (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
    bool found = false;
    for (size_t i = 0; i < count && bytes[i] != 0; i++) {
        const unsigned char byte = (unsigned char)bytes[i];
        place ^= byte;
        if (place >= map->unit_count) break;
        unit = map->units[place];
        if ((unit & (1u << 31 | 0xFF)) != byte) break;
        place ^= (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
        if (place >= map->unit_count) break;
        if ((unit >> 8 & 1) == 0) continue;
        const size_t text = map->units[place] & ~(1u << 31);
        if (text > map->text_bytes) break;
        const size_t length = strnlen(map->texts + text, map->text_bytes - text);
        if (!zx_utf8_valid(map->texts + text, length)) break;
        *replacement = (zx_string_view){map->texts + text, length};
        *used = i + 1;
        found = true;
        if (shortest) break;
    }
    return found;
}

bool zx_charsmap_longest(const zx_charsmap *map, const char *bytes, size_t count, size_t *used,
                         zx_string_view *replacement)
{
    return look_up(map, bytes, count, false, used, replacement);
}

/* The end of the grapheme that begins at 'at'. */
static size_t grapheme_end(const zx_normal *normal, size_t at)
{
    uint32_t left, right;
    at += zx_utf8_next(normal->bytes + at, &left);
    utf8proc_int32_t state = 0;
    while (at < normal->length) {
        const size_t length = zx_utf8_next(normal->bytes + at, &right);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)left, (utf8proc_int32_t)right,
                                             &state))
            break;
        at += length;
        left = right;
    }
    return at;
}

/* What the reference takes an output character to stand for.  It counts characters, not places:
 * what grows or vanishes shifts all that follows.  This matters only where the text begins. */
typedef struct following {
    zx_normal *normal;
    size_t at; /* the next character of the old text */
} following;

static void follow(following *f, size_t characters)
{
    uint32_t point;
    for (; characters > 0 && f->at < f->normal->length; characters--)
        f->at += zx_utf8_next(f->normal->bytes + f->at, &point);
}

static size_t count_characters(const char *bytes, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return count;
}

/* Writes what 'old_count' characters became. */
static zmlx_status add_mapped(following *f, size_t old_count, zx_string_view text)
{
    const size_t new_count = count_characters(text.bytes, text.length);
    size_t index = 0;
    for (size_t at = 0; at < text.length; index++) {
        uint32_t point;
        const size_t length = zx_utf8_next(text.bytes + at, &point);
        const bool inserted = index > 0 || new_count > old_count;
        const size_t from = inserted && f->at > 0 ? f->at - 1 : f->at;
        ZX_TRY(zx_normal_add(f->normal, from, text.bytes + at, length));
        if (!inserted) follow(f, 1 + old_count - new_count);
        at += length;
    }
    return ZMLX_OK;
}

static zmlx_status run_grapheme(const zx_charsmap *map, following *f, size_t at, size_t end)
{
    const char *const bytes = f->normal->bytes;
    size_t used;
    zx_string_view replacement;
    if (end - at < LONGEST_GRAPHEME &&
        look_up(map, bytes + at, end - at, true, &used, &replacement))
        return add_mapped(f, count_characters(bytes + at, end - at), replacement);
    while (at < end) {
        uint32_t point;
        const size_t length = zx_utf8_next(bytes + at, &point);
        if (!look_up(map, bytes + at, length, true, &used, &replacement))
            replacement = (zx_string_view){bytes + at, length};
        ZX_TRY(add_mapped(f, 1, replacement));
        at += length;
    }
    return ZMLX_OK;
}

zmlx_status zx_charsmap_run(const zx_charsmap *map, zx_normal *normal)
{
    zx_text *out;
    ZX_TRY(zx_normal_begin(normal, normal->length, &out));
    following f = {normal, 0};
    for (size_t at = 0; at < normal->length;) {
        const size_t end = grapheme_end(normal, at);
        ZX_TRY(run_grapheme(map, &f, at, end));
        at = end;
    }
    zx_normal_commit(normal);
    return ZMLX_OK;
}
