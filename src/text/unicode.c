/* unicode.c - character classes over utf8proc's categories.
 *
 * ASCII answers come from comparisons before any table is touched: most text is ASCII. */
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "base/fail.h"
#include "base/memory.h"

static utf8proc_category_t category(uint32_t point)
{
    return utf8proc_category((utf8proc_int32_t)point);
}

bool zx_is_space(uint32_t point)
{
    if (point < 0x80) return point == ' ' || (point >= 9 && point <= 13);
    if (point < 0x1680) return point == 0x85 || point == 0xA0;
    return point == 0x1680 || (point >= 0x2000 && point <= 0x200A) || point == 0x2028 ||
           point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

bool zx_is_number(uint32_t point)
{
    if (point < 0x80) return point >= '0' && point <= '9';
    const utf8proc_category_t kind = category(point);
    return kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO;
}

bool zx_is_digit(uint32_t point)
{
    if (point < 0x80) return point >= '0' && point <= '9';
    return category(point) == UTF8PROC_CATEGORY_ND;
}

bool zx_is_punctuation(uint32_t point)
{
    if (point < 0x80)
        return (point >= '!' && point <= '/') || (point >= ':' && point <= '@') ||
               (point >= '[' && point <= '`') || (point >= '{' && point <= '~');
    const utf8proc_category_t kind = category(point);
    return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
}

bool zx_is_mark(uint32_t point)
{
    if (point < 0x300) return false;
    const utf8proc_category_t kind = category(point);
    return kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_ME;
}

bool zx_is_nonspacing_mark(uint32_t point)
{
    return point >= 0x300 && category(point) == UTF8PROC_CATEGORY_MN;
}

bool zx_is_other(uint32_t point)
{
    if (point < 0x80) return point < 0x20 || point == 0x7F;
    const utf8proc_category_t kind = category(point);
    return kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF ||
           kind == UTF8PROC_CATEGORY_CO;
}

bool zx_is_word(uint32_t point)
{
    if (point < 0x80)
        return (point >= 'a' && point <= 'z') || (point >= 'A' && point <= 'Z') ||
               (point >= '0' && point <= '9') || point == '_';
    const utf8proc_category_t kind = category(point);
    if (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_NL)
        return true; /* L, M, Nd, Nl */
    if (kind == UTF8PROC_CATEGORY_PC) return true;
    return point == 0x200C || point == 0x200D || (point >= 0x24B6 && point <= 0x24E9) ||
           (point >= 0x1F130 && point <= 0x1F149) || (point >= 0x1F150 && point <= 0x1F169) ||
           (point >= 0x1F170 && point <= 0x1F189);
}

bool zx_is_chinese(uint32_t point)
{
    static const uint32_t blocks[][2] = {
        {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
        {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F},
    };
    if (point < 0x3400) return false;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (point >= blocks[i][0] && point <= blocks[i][1]) return true;
    return false;
}

size_t zx_lower(uint32_t point, uint32_t lower[2])
{
    lower[0] = point;
    if (point < 0x80) {
        if (point >= 'A' && point <= 'Z') lower[0] = point + 32;
        return 1;
    }
    if (point == 0x130) { /* the only one that becomes two */
        lower[0] = 'i';
        lower[1] = 0x307;
        return 2;
    }
    lower[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)point);
    return 1;
}

size_t zx_utf8_next(const char *bytes, uint32_t *point)
{
    const unsigned char *const at = (const unsigned char *)bytes;
    if (at[0] < 0x80) {
        *point = at[0];
        return 1;
    }
    if (at[0] < 0xE0) {
        *point = (uint32_t)(at[0] & 0x1F) << 6 | (at[1] & 0x3F);
        return 2;
    }
    if (at[0] < 0xF0) {
        *point = (uint32_t)(at[0] & 0x0F) << 12 | (uint32_t)(at[1] & 0x3F) << 6 | (at[2] & 0x3F);
        return 3;
    }
    *point = (uint32_t)(at[0] & 0x07) << 18 | (uint32_t)(at[1] & 0x3F) << 12 |
             (uint32_t)(at[2] & 0x3F) << 6 | (at[3] & 0x3F);
    return 4;
}

size_t zx_utf8_before(const char *bytes, size_t at)
{
    do at--;
    while (at > 0 && ((unsigned char)bytes[at] & 0xC0) == 0x80);
    return at;
}

/* How long the ill-formed part at the start is: a lead byte with the continuation bytes that
 * could follow it, or one byte.  *open is true where the bytes ended before that was decided. */
static size_t damaged_length(const unsigned char *at, size_t count, bool *open)
{
    static const struct {
        unsigned char first, last, low, high; /* lead bytes, and the range of the second byte */
        int length;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    *open = false;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (at[0] < forms[i].first || at[0] > forms[i].last) continue;
        size_t length = 1;
        while (length < (size_t)forms[i].length && length < count) {
            const unsigned char low = length == 1 ? forms[i].low : 0x80;
            const unsigned char high = length == 1 ? forms[i].high : 0xBF;
            if (at[length] < low || at[length] > high) return length;
            length++;
        }
        *open = length == count;
        return length;
    }
    return 1;
}

zmlx_status zx_text_add_lossy(zx_text *text, const char *bytes, size_t count, bool final,
                              size_t *taken)
{
    size_t at = 0;
    while (at < count) {
        size_t good = at;
        uint32_t point;
        for (size_t step; good < count; good += step) {
            step = zx_utf8_decode(bytes + good, count - good, &point);
            if (step == 0) break;
        }
        if (good > at) ZX_TRY(zx_text_add(text, bytes + at, good - at));
        at = good;
        if (at == count) break;
        bool open;
        const size_t damaged = damaged_length((const unsigned char *)bytes + at, count - at, &open);
        if (open && !final) break;
        ZX_TRY(zx_text_add(text, "\xEF\xBF\xBD", 3));
        at += damaged;
    }
    *taken = at;
    return ZMLX_OK;
}

zmlx_status zx_text_room(zx_text *text, size_t extra)
{
    return zx_grow(&text->bytes, &text->capacity, text->length + extra + 1, 1, "text");
}
