/* lex_string.c - the escapes of string literals, as Python's unicode-escape codec reads them. */
#include <string.h>

#include "base/text.h"
#include "jinja/run.h"
#include "jinja/syntax.h"

typedef struct escape {
    char letter;
    char value;
} escape;

static const escape escapes[] = {
    {'\\', '\\'}, {'\'', '\''}, {'"', '"'},  {'a', '\a'}, {'b', '\b'},
    {'f', '\f'},  {'n', '\n'},  {'r', '\r'}, {'t', '\t'}, {'v', '\v'},
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

typedef struct literal {
    zx_jrun *run;
    int line;
    const char *bytes;
    size_t length, at; /* 'at' is behind the backslash */
    zx_jbuilder text;
} literal;

static zmlx_status fail(const literal *in, const char *message)
{
    return ZX_JFAIL_AT(in->run, ZMLX_ERROR_FORMAT, in->line, "in a string: %s", message);
}

static zmlx_status add_point(literal *in, uint32_t point)
{
    if (point > 0x10ffff) return fail(in, "an escape is beyond U+10FFFF");
    if (point >= 0xd800 && point < 0xe000)
        return fail(in, "an escape is half of a surrogate pair (write \\U0001....)");
    return zx_jbuilder_point(in->run, &in->text, point);
}

/* \xhh, \uhhhh, \Uhhhhhhhh: 'at' is behind the letter. */
static zmlx_status add_hex(literal *in, size_t digits)
{
    uint32_t point = 0;
    for (size_t i = 0; i < digits; i++, in->at++) {
        const int digit = in->at < in->length ? hex_digit(in->bytes[in->at]) : -1;
        if (digit < 0) return fail(in, "an escape has too few digits");
        point = point << 4 | (uint32_t)digit;
    }
    return add_point(in, point);
}

static zmlx_status add_octal(literal *in)
{
    uint32_t point = 0;
    for (int i = 0; i < 3 && in->at < in->length; i++, in->at++) {
        const char c = in->bytes[in->at];
        if (c < '0' || c > '7') break;
        point = point << 3 | (uint32_t)(c - '0');
    }
    return add_point(in, point);
}

/* A backslash before a character that is not ASCII: the codec sees the escape that stands for
 * that character and takes its backslash for an escaped one. */
static zmlx_status add_quoted_point(literal *in)
{
    uint32_t point = 0;
    in->at += zx_utf8_decode(in->bytes + in->at, in->length - in->at, &point);
    const char *const format = point < 0x100 ? "\\x%02x" : point < 0x10000 ? "\\u%04x" : "\\U%08x";
    if (format[1] == 'x') return zx_jbuilder_format(in->run, &in->text, "\\x%02x", point);
    if (format[1] == 'u') return zx_jbuilder_format(in->run, &in->text, "\\u%04x", point);
    return zx_jbuilder_format(in->run, &in->text, "\\U%08x", point);
}

static zmlx_status add_escape(literal *in)
{
    const char letter = in->bytes[in->at];
    if ((unsigned char)letter >= 0x80) return add_quoted_point(in);
    if (letter >= '0' && letter <= '7') return add_octal(in);
    in->at++;
    if (letter == '\n') return ZMLX_OK;
    if (letter == 'x') return add_hex(in, 2);
    if (letter == 'u') return add_hex(in, 4);
    if (letter == 'U') return add_hex(in, 8);
    if (letter == 'N') return fail(in, "\\N{...} is not supported");
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        if (escapes[i].letter == letter)
            return zx_jbuilder_add(in->run, &in->text, &escapes[i].value, 1);
    const char unknown[2] = {'\\', letter};
    return zx_jbuilder_add(in->run, &in->text, unknown, 2);
}

zmlx_status zx_jlex_string(zx_jrun *run, int line, const char *bytes, size_t length,
                           zx_jvalue *string)
{
    if (memchr(bytes, '\\', length) == NULL) return zx_jstring_borrow(run, bytes, length, string);
    literal in = {.run = run, .line = line, .bytes = bytes, .length = length};
    while (in.at < length) {
        const char *const slash = memchr(bytes + in.at, '\\', length - in.at);
        const size_t end = slash != NULL ? (size_t)(slash - bytes) : length;
        ZX_TRY(zx_jbuilder_add(run, &in.text, bytes + in.at, end - in.at));
        in.at = end + 1;
        if (slash != NULL) ZX_TRY(add_escape(&in));
    }
    return zx_jbuilder_finish(run, &in.text, string);
}
