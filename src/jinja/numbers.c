/* numbers.c - Python's int(text, base), float(text) and int(float). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"
#include "jinja/unicode.h"

enum { LONGEST_FLOAT = 400 };

/* The text without whitespace around it. */
static zx_jstring trim(const zx_jstring *text)
{
    size_t start = 0, end = text->length, bytes = 0;
    while (start < end && zx_unicode_is_space(zx_jstring_at(text, start, &bytes))) start += bytes;
    while (end > start && zx_unicode_is_space(zx_jstring_before(text, end, &bytes))) end -= bytes;
    return (zx_jstring){.bytes = text->bytes + start, .length = end - start};
}

/* The value of the digit at an offset, in any script, and its length; 99 where there is none. */
static int digit_at(const zx_jstring *text, size_t at, size_t *bytes)
{
    const uint32_t point = zx_jstring_at(text, at, bytes);
    if (point >= 'a' && point <= 'z') return (int)(point - 'a') + 10;
    if (point >= 'A' && point <= 'Z') return (int)(point - 'A') + 10;
    return zx_unicode_is_decimal(point) ? zx_unicode_decimal(point) : 99;
}

/* Skips "0x" and its like where the base allows it; base 0 learns its base from it. */
static bool skip_prefix(const zx_jstring *text, size_t *at, int *base)
{
    static const struct {
        char letter;
        int base;
    } prefixes[] = {{'x', 16}, {'o', 8}, {'b', 2}};
    if (*at + 1 < text->length && text->bytes[*at] == '0') {
        for (size_t i = 0; i < 3; i++) {
            if ((text->bytes[*at + 1] | 0x20) != prefixes[i].letter) continue;
            if (*base != 0 && *base != prefixes[i].base) continue;
            *base = prefixes[i].base;
            *at += 2;
            if (*at < text->length && text->bytes[*at] == '_') ++*at;
            return true;
        }
    }
    if (*base != 0) return true;
    *base = 10;
    if (*at >= text->length || text->bytes[*at] != '0') return true;
    for (size_t i = *at; i < text->length; i++) /* base 0 refuses "010" */
        if (text->bytes[i] != '0' && text->bytes[i] != '_') return false;
    return true;
}

bool zx_jnumber_parse_int(const zx_jstring *given, int base, int64_t *integer, bool *overflow)
{
    const zx_jstring text = trim(given);
    size_t at = 0, bytes = 1;
    uint64_t sum = 0;
    *overflow = false;
    if (base != 0 && (base < 2 || base > 36)) return false;
    const bool negative = text.length > 0 && text.bytes[0] == '-';
    if (text.length > 0 && (negative || text.bytes[0] == '+')) at++;
    if (!skip_prefix(&text, &at, &base)) return false;
    if (at >= text.length) return false;
    for (bool after_digit = false; at < text.length; at += bytes) {
        const int digit = digit_at(&text, at, &bytes);
        if (text.bytes[at] == '_' && after_digit && at + 1 < text.length) {
            after_digit = false;
            continue;
        }
        if (digit >= base) return false;
        after_digit = true;
        *overflow = *overflow || __builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
                    __builtin_add_overflow(sum, (uint64_t)digit, &sum);
    }
    const uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    *overflow = *overflow || sum > limit;
    *integer = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

/* Digits with single underscores between them, copied to 'into'; how many bytes were read. */
static size_t copy_digits(const zx_jstring *text, size_t at, char *into, size_t *length)
{
    const size_t start = at;
    for (size_t bytes = 1; at < text->length; at += bytes) {
        if (text->bytes[at] == '_' && at > start && text->bytes[at - 1] != '_' &&
            at + 1 < text->length && digit_at(text, at + 1, &bytes) < 10) {
            bytes = 1;
            continue;
        }
        const int digit = digit_at(text, at, &bytes);
        if (digit > 9) break;
        into[(*length)++] = (char)('0' + digit);
    }
    return at - start;
}

static bool parse_word(const zx_jstring *text, size_t at, double *number)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"inf", HUGE_VAL}, {"infinity", HUGE_VAL}, {"nan", (double)NAN}};
    for (size_t i = 0; i < 3; i++) {
        const size_t length = strlen(words[i].word);
        if (text->length - at != length ||
            strncasecmp(text->bytes + at, words[i].word, length) != 0)
            continue;
        *number = at > 0 && text->bytes[0] == '-' ? -words[i].value : words[i].value;
        return true;
    }
    return false;
}

bool zx_jnumber_parse_float(const zx_jstring *given, double *number)
{
    const zx_jstring text = trim(given);
    char plain[LONGEST_FLOAT + 8];
    size_t at = 0, length = 0;
    if (text.length == 0 || text.length > LONGEST_FLOAT) return false;
    if (text.bytes[0] == '-' || text.bytes[0] == '+') plain[length++] = text.bytes[at++];
    if (parse_word(&text, at, number)) return true;
    size_t digits = copy_digits(&text, at, plain, &length);
    at += digits;
    if (at < text.length && text.bytes[at] == '.') {
        plain[length++] = '.';
        at++;
        const size_t fraction = copy_digits(&text, at, plain, &length);
        at += fraction;
        digits += fraction;
    }
    if (digits == 0) return false;
    if (at < text.length && (text.bytes[at] | 0x20) == 'e') {
        plain[length++] = 'e';
        at++;
        if (at < text.length && (text.bytes[at] == '-' || text.bytes[at] == '+'))
            plain[length++] = text.bytes[at++];
        const size_t exponent = copy_digits(&text, at, plain, &length);
        if (exponent == 0) return false;
        at += exponent;
    }
    if (at < text.length) return false;
    plain[length] = '\0';
    *number = strtod(plain, NULL);
    return true;
}

zmlx_status zx_jnumber_truncate(zx_jrun *run, double number, int64_t *integer)
{
    if (isnan(number)) return ZX_JFAIL(run, "cannot convert float NaN to integer");
    if (isinf(number)) return ZX_JFAIL(run, "cannot convert float infinity to integer");
    const double whole = trunc(number);
    if (!(whole >= -0x1p63 && whole < 0x1p63))
        return ZX_JFAIL(run, "the number does not fit in 64 bits");
    *integer = (int64_t)whole;
    return ZMLX_OK;
}
