/* json.c - one event per call, from the text where it lies.
 *
 * 'state' says what may come next, 'stack' what encloses it.  Strings are scanned eight
 * bytes at a time for the four things that need a look (quote, backslash, control
 * character, non-ASCII); only strings with escapes are copied.  Strict RFC 8259: what it does not
 * allow is refused. Numbers do not depend on the locale. */
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

enum {
    NEED_VALUE,   /* at the start, after ':', after ',' in an array */
    VALUE_OR_END, /* after '[' */
    KEY_OR_END,   /* after '{' */
    NEED_KEY,     /* after ',' in an object */
    AFTER_VALUE,
    FINISHED,
};

static const char *const kind_names[] = {
    "the end of the document",
    "an object",
    "the end of an object",
    "an array",
    "the end of an array",
    "a key",
    "a string",
    "a number",
    "true",
    "false",
    "null",
};

void zx_json_init(zx_json *json, const char *source, const char *bytes, size_t count)
{
    assert(bytes != NULL || count == 0);
    const char *const start = bytes != NULL ? bytes : "";
    *json = (zx_json){.source = source, .start = start, .at = start, .end = start + count};
    json->state = NEED_VALUE;
}

void zx_json_fini(zx_json *json)
{
    zx_text_fini(&json->scratch);
    *json = (zx_json){0};
}

zmlx_status zx_json_fail(const zx_json *json, const char *message)
{
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: byte %zu: %s", json->source,
                   (size_t)(json->at - json->start), message);
}

/* "expected WHAT, found 'x'" */
static zmlx_status unexpected(const zx_json *json, const char *what)
{
    char message[96];
    if (json->at == json->end) {
        (void)snprintf(message, sizeof message, "expected %s, found the end of the text", what);
    } else {
        const unsigned byte = (unsigned char)*json->at;
        if (byte >= 0x20 && byte < 0x7f)
            (void)snprintf(message, sizeof message, "expected %s, found '%c'", what, (int)byte);
        else
            (void)snprintf(message, sizeof message, "expected %s, found byte %u", what, byte);
    }
    return zx_json_fail(json, message);
}

static uint64_t load_eight(const char *bytes)
{
    uint64_t word = 0;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Half of an indented document is blanks after a newline: they are passed eight at a time. */
static void skip_space(zx_json *json)
{
    const char *at = json->at, *const end = json->end;
    while (at < end && is_space(*at)) {
        if (*at++ != '\n') continue;
        while (end - at >= 8) {
            const uint64_t others = load_eight(at) ^ 0x2020202020202020u;
            at += others == 0 ? 8 : __builtin_ctzll(others) / 8;
            if (others != 0) break;
        }
    }
    json->at = at;
}

/* How many of the eight bytes come before one that is a quote, a backslash, a control
 * character or not ASCII.  Each term marks the top bit of its bytes; a borrow can mark
 * falsely only above a true mark, and the lowest counts. */
static size_t plain_bytes(const char *bytes)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    const uint64_t word = load_eight(bytes);
    const uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    const uint64_t marks =
        ((quote - ones) | (backslash - ones) | (word - ones * 0x20) | word) & tops;
    return marks == 0 ? sizeof word : (size_t)__builtin_ctzll(marks) / 8;
}

/* Moves to the next quote or backslash; everything passed is valid UTF-8. */
static zmlx_status skip_plain(zx_json *json)
{
    const char *at = json->at, *const end = json->end;
    for (;;) {
        while (end - at >= 8) {
            const size_t plain = plain_bytes(at);
            at += plain;
            if (plain < 8) break;
        }
        json->at = at;
        if (at == end) return zx_json_fail(json, "the text ends inside a string");
        const unsigned byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\') return ZMLX_OK;
        if (byte < 0x20) return zx_json_fail(json, "a control character stands inside a string");
        uint32_t point = 0;
        const size_t length = zx_utf8_decode(at, (size_t)(end - at), &point);
        if (length == 0) return zx_json_fail(json, "malformed UTF-8");
        at += length;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Reads the four digits after "\u"; 'at' stands on the backslash and moves past them. */
static zmlx_status read_unit(zx_json *json, uint32_t *unit)
{
    if (json->end - json->at < 6 || json->at[0] != '\\' || json->at[1] != 'u')
        return zx_json_fail(json, "a \\u escape is incomplete");
    uint32_t value = 0;
    for (int i = 2; i < 6; i++) {
        const int digit = hex_digit(json->at[i]);
        if (digit < 0) return zx_json_fail(json, "a \\u escape needs four hexadecimal digits");
        value = value << 4 | (uint32_t)digit;
    }
    json->at += 6;
    *unit = value;
    return ZMLX_OK;
}

static zmlx_status read_unicode_escape(zx_json *json)
{
    const char *const begin = json->at;
    uint32_t point = 0;
    ZX_TRY(read_unit(json, &point));
    if (point >= 0xd800 && point < 0xdc00 && json->end - json->at >= 2 && json->at[0] == '\\' &&
        json->at[1] == 'u') {
        uint32_t low = 0;
        ZX_TRY(read_unit(json, &low));
        if (low >= 0xdc00 && low < 0xe000)
            point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
    char encoded[4];
    const size_t length = zx_utf8_encode(point, encoded);
    if (length == 0) {
        json->at = begin;
        return zx_json_fail(json, "a surrogate stands alone");
    }
    return zx_text_add(&json->scratch, encoded, length);
}

static zmlx_status read_escape(zx_json *json)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (json->end - json->at < 2) return zx_json_fail(json, "the text ends inside a string");
    const char kind = json->at[1];
    if (kind == 'u') return read_unicode_escape(json);
    const char *const found = kind != 0 ? strchr(from, kind) : NULL;
    if (found == NULL) return zx_json_fail(json, "an unknown escape");
    json->at += 2;
    return zx_text_add(&json->scratch, &to[found - from], 1);
}

/* Reads a string; 'at' stands on the quote. */
static zmlx_status read_string(zx_json *json)
{
    const char *begin = ++json->at;
    ZX_TRY(skip_plain(json));
    json->in_place = *json->at == '"';
    if (json->in_place) {
        json->string = begin;
        json->length = (size_t)(json->at++ - begin);
        return ZMLX_OK;
    }
    zx_text_clear(&json->scratch);
    while (*json->at != '"') {
        ZX_TRY(zx_text_add(&json->scratch, begin, (size_t)(json->at - begin)));
        ZX_TRY(read_escape(json));
        begin = json->at;
        ZX_TRY(skip_plain(json));
    }
    ZX_TRY(zx_text_add(&json->scratch, begin, (size_t)(json->at - begin)));
    json->at++;
    json->string = json->scratch.bytes;
    json->length = json->scratch.length;
    return ZMLX_OK;
}

/* The text of a number: its digits without sign, point and leading zeros, and the power of ten
 * that they are multiplied with. */
typedef struct decimal {
    bool negative, whole, truncated;
    size_t digits; /* kept; the first is not 0 */
    int64_t exponent;
    uint64_t value; /* of the digits, while they fit */
    bool fits;
    char text[800]; /* 768 digits decide every double, one more stands for the rest */
} decimal;

enum { KEPT_DIGITS = 780, FAR = 100000 };

static void take_digit(decimal *number, char c)
{
    const unsigned digit = (unsigned)(c - '0');
    if (number->digits == 0 && digit == 0) return;
    if (number->digits >= KEPT_DIGITS) {
        number->truncated |= digit != 0;
        number->exponent++;
        number->fits = false;
        return;
    }
    number->text[number->digits++] = c;
    uint64_t product = 0;
    if (number->fits && (__builtin_mul_overflow(number->value, (uint64_t)10, &product) ||
                         __builtin_add_overflow(product, (uint64_t)digit, &product)))
        number->fits = false;
    if (number->fits) number->value = product;
}

static bool at_digit(const zx_json *json)
{
    return json->at < json->end && *json->at >= '0' && *json->at <= '9';
}

static zmlx_status scan_exponent(zx_json *json, decimal *number)
{
    json->at++;
    bool negative = false;
    if (json->at < json->end && (*json->at == '+' || *json->at == '-'))
        negative = *json->at++ == '-';
    if (!at_digit(json)) return unexpected(json, "a digit of the exponent");
    int64_t exponent = 0;
    for (; at_digit(json); json->at++)
        if (exponent < INT64_MAX / 100) exponent = exponent * 10 + (*json->at - '0');
    number->exponent += negative ? -exponent : exponent;
    number->whole = false;
    return ZMLX_OK;
}

static zmlx_status scan_number(zx_json *json, decimal *number)
{
    number->negative = *json->at == '-';
    json->at += number->negative;
    if (!at_digit(json)) return unexpected(json, "a digit");
    if (*json->at == '0') {
        json->at++;
    } else {
        for (; at_digit(json); json->at++) take_digit(number, *json->at);
    }
    if (json->at < json->end && *json->at == '.') {
        json->at++;
        number->whole = false;
        if (!at_digit(json)) return unexpected(json, "a digit after the point");
        for (; at_digit(json); json->at++) {
            take_digit(number, *json->at);
            number->exponent--;
        }
    }
    if (json->at < json->end && (*json->at == 'e' || *json->at == 'E'))
        ZX_TRY(scan_exponent(json, number));
    return ZMLX_OK;
}

/* Correctly rounded.  Where digits and power of ten are both exact in a double one operation
 * is; else strtod decides, given a text without a point, whose form no locale changes. */
static double to_double(decimal *number)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (number->digits == 0) return 0;
    const int64_t exponent = number->exponent;
    if (number->fits && number->value <= (uint64_t)1 << 53 && exponent >= -22 && exponent <= 22) {
        const double value = (double)number->value;
        return exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
    }
    int64_t near = exponent;
    if (number->truncated) {
        number->text[number->digits++] = '1';
        near--;
    }
    near = near > FAR ? FAR : near < -FAR ? -FAR : near;
    (void)snprintf(number->text + number->digits, sizeof number->text - number->digits, "e%d",
                   (int)near);
    return strtod(number->text, NULL);
}

static zmlx_status read_number(zx_json *json)
{
    const char *const begin = json->at;
    decimal number; /* not cleared whole: its text is long */
    number.negative = number.truncated = false;
    number.whole = number.fits = true;
    number.digits = 0;
    number.exponent = 0;
    number.value = 0;
    ZX_TRY(scan_number(json, &number));
    const uint64_t most = (uint64_t)INT64_MAX + number.negative;
    json->is_integer = number.whole && number.fits && number.value <= most;
    if (json->is_integer)
        json->integer = number.negative ? (int64_t)(0 - number.value) : (int64_t)number.value;
    const double value = to_double(&number);
    if (isinf(value)) {
        json->at = begin;
        return zx_json_fail(json, "the number is too large");
    }
    json->number = number.negative ? -value : value;
    json->kind = ZX_JSON_NUMBER;
    json->state = AFTER_VALUE;
    return ZMLX_OK;
}

static zmlx_status open_container(zx_json *json, zx_json_kind kind)
{
    if (json->depth == ZX_JSON_MAX_DEPTH) return zx_json_fail(json, "nested too deeply");
    json->stack[json->depth++] = (uint8_t)kind;
    json->at++;
    json->kind = kind;
    json->state = kind == ZX_JSON_OBJECT ? KEY_OR_END : VALUE_OR_END;
    return ZMLX_OK;
}

static zmlx_status close_container(zx_json *json)
{
    json->depth--;
    json->at++;
    json->kind =
        json->stack[json->depth] == ZX_JSON_OBJECT ? ZX_JSON_OBJECT_END : ZX_JSON_ARRAY_END;
    json->state = AFTER_VALUE;
    return ZMLX_OK;
}

static zmlx_status read_word(zx_json *json, const char *word, zx_json_kind kind)
{
    const size_t length = strlen(word);
    if ((size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0)
        return unexpected(json, "a value");
    json->at += length;
    json->kind = kind;
    json->state = AFTER_VALUE;
    return ZMLX_OK;
}

static zmlx_status read_value(zx_json *json)
{
    if (json->at == json->end) return unexpected(json, "a value");
    switch (*json->at) {
    case '"':
        ZX_TRY(read_string(json));
        json->kind = ZX_JSON_STRING;
        json->state = AFTER_VALUE;
        return ZMLX_OK;
    case '{': return open_container(json, ZX_JSON_OBJECT);
    case '[': return open_container(json, ZX_JSON_ARRAY);
    case 't': return read_word(json, "true", ZX_JSON_TRUE);
    case 'f': return read_word(json, "false", ZX_JSON_FALSE);
    case 'n': return read_word(json, "null", ZX_JSON_NULL);
    case ']':
        if (json->state == VALUE_OR_END) return close_container(json);
        return unexpected(json, "a value");
    default: break;
    }
    if (*json->at != '-' && !at_digit(json)) return unexpected(json, "a value");
    return read_number(json);
}

static zmlx_status read_key(zx_json *json)
{
    if (json->state == KEY_OR_END && json->at < json->end && *json->at == '}')
        return close_container(json);
    if (json->at == json->end || *json->at != '"') return unexpected(json, "a key");
    ZX_TRY(read_string(json));
    skip_space(json);
    if (json->at == json->end || *json->at != ':') return unexpected(json, "':'");
    json->at++;
    json->kind = ZX_JSON_KEY;
    json->state = NEED_VALUE;
    return ZMLX_OK;
}

/* What follows a value: a comma and the next one, the end of what encloses it, or, at
 * the outermost level, the end of the text. */
static zmlx_status read_after(zx_json *json)
{
    if (json->depth == 0) {
        if (json->at < json->end) return unexpected(json, "nothing after the value");
        json->kind = ZX_JSON_END;
        json->state = FINISHED;
        return ZMLX_OK;
    }
    const bool object = json->stack[json->depth - 1] == ZX_JSON_OBJECT;
    const int found = json->at < json->end ? *json->at : 0;
    if (found == (object ? '}' : ']')) return close_container(json);
    if (found != ',') return unexpected(json, object ? "',' or '}'" : "',' or ']'");
    json->at++;
    skip_space(json);
    json->state = object ? NEED_KEY : NEED_VALUE;
    return object ? read_key(json) : read_value(json);
}

zmlx_status zx_json_next(zx_json *json)
{
    skip_space(json);
    switch (json->state) {
    case NEED_VALUE:
    case VALUE_OR_END: return read_value(json);
    case KEY_OR_END:
    case NEED_KEY: return read_key(json);
    case AFTER_VALUE: return read_after(json);
    default: break;
    }
    json->kind = ZX_JSON_END;
    return ZMLX_OK;
}

zmlx_status zx_json_skip(zx_json *json)
{
    if (json->kind == ZX_JSON_KEY) ZX_TRY(zx_json_next(json));
    if (json->kind != ZX_JSON_OBJECT && json->kind != ZX_JSON_ARRAY) return ZMLX_OK;
    for (const int outside = json->depth - 1; json->depth > outside;) ZX_TRY(zx_json_next(json));
    return ZMLX_OK;
}

zmlx_status zx_json_expect(zx_json *json, zx_json_kind kind)
{
    ZX_TRY(zx_json_next(json));
    if (json->kind == kind) return ZMLX_OK;
    char message[96];
    (void)snprintf(message, sizeof message, "expected %s, found %s", kind_names[kind],
                   kind_names[json->kind]);
    return zx_json_fail(json, message);
}

bool zx_json_is(const zx_json *json, const char *text)
{
    return json->length == strlen(text) && memcmp(json->string, text, json->length) == 0;
}

zmlx_status zx_json_quote(zx_text *json, const char *bytes, size_t count)
{
    size_t first = 0;
    ZX_TRY(zx_text_add(json, "\"", 1));
    for (size_t i = 0; i < count; i++) {
        const unsigned char byte = (unsigned char)bytes[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        ZX_TRY(zx_text_add(json, bytes + first, i - first));
        if (byte < 0x20)
            ZX_TRY(zx_text_format(json, "\\u%04x", byte));
        else
            ZX_TRY(zx_text_format(json, "\\%c", byte));
        first = i + 1;
    }
    ZX_TRY(zx_text_add(json, bytes + first, count - first));
    return zx_text_add(json, "\"", 1);
}
