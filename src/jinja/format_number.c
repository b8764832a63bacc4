/* format_number.c - a string, an integer or a float as a field of formatted text. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "jinja/format.h"
#include "jinja/run.h"

enum { MAX_PRECISION = 1000, NUMBER_BYTES = 1400 };

/* A number before it is padded: sign and prefix, digits that may be grouped, the rest. */
typedef struct parts {
    char prefix[8];
    const char *digits;
    size_t digit_count;
    const char *rest;
    int group; /* digits between separators; 0: none */
} parts;

static zmlx_status repeat_point(zx_jrun *run, zx_jbuilder *builder, uint32_t point, int64_t times)
{
    char bytes[4];
    const zx_jstring piece = {.bytes = bytes, .length = zx_utf8_encode(point, bytes)};
    return zx_jbuilder_repeat(run, builder, &piece, times);
}

/* How much of the room goes to the left of the text. */
static int64_t left_of(int64_t room, char align)
{
    if (align == '<' || room <= 0) return 0;
    return align == '^' ? room / 2 : room;
}

zmlx_status zx_jformat_text(zx_jrun *run, zx_jbuilder *builder, zx_jstring *text,
                            const zx_jspec *spec)
{
    size_t length = zx_jstring_points(text), bytes = text->length;
    if (spec->precision >= 0 && (size_t)spec->precision < length) {
        length = (size_t)spec->precision;
        bytes = zx_jstring_offset(text, length);
    }
    const int64_t room = spec->width - (int64_t)length;
    const int64_t left = left_of(room, spec->align != 0 ? spec->align : '<');
    ZX_TRY(repeat_point(run, builder, spec->fill, left));
    ZX_TRY(zx_jbuilder_add(run, builder, text->bytes, bytes));
    return repeat_point(run, builder, spec->fill, room - left);
}

/* Digits with a separator between groups, counted from the right, after 'zeros' zeros. */
static zmlx_status add_digits(zx_jrun *run, zx_jbuilder *builder, const parts *number,
                              int64_t zeros, char separator)
{
    const int64_t count = zeros + (int64_t)number->digit_count;
    if (number->group == 0) {
        ZX_TRY(repeat_point(run, builder, '0', zeros));
        return zx_jbuilder_add(run, builder, number->digits, number->digit_count);
    }
    for (int64_t i = 0; i < count; i++) {
        if (i > 0 && (count - i) % number->group == 0)
            ZX_TRY(zx_jbuilder_add(run, builder, &separator, 1));
        ZX_TRY(zx_jbuilder_add(run, builder, i < zeros ? "0" : &number->digits[i - zeros], 1));
    }
    return ZMLX_OK;
}

static int64_t grouped_length(int64_t digits, int group)
{
    return group > 0 && digits > 0 ? digits + (digits - 1) / group : digits;
}

static zmlx_status add_number(zx_jrun *run, zx_jbuilder *builder, const parts *number,
                              const zx_jspec *spec)
{
    const char align = spec->align != 0 ? spec->align : '>';
    const int64_t around = (int64_t)(strlen(number->prefix) + strlen(number->rest));
    const int64_t digits = (int64_t)number->digit_count;
    int64_t room = spec->width - around - grouped_length(digits, number->group), zeros = 0;
    if (align == '=' && spec->fill == '0' && number->group > 0) {
        ZX_TRY(zx_jrun_pay_bytes(run, room > 0 ? (size_t)room * 8 : 1));
        while (around + grouped_length(digits + zeros, number->group) < spec->width) zeros++;
        room = 0;
    }
    const int64_t left = left_of(room, align);
    if (align != '=') ZX_TRY(repeat_point(run, builder, spec->fill, left));
    ZX_TRY(zx_jbuilder_text(run, builder, number->prefix));
    if (align == '=') ZX_TRY(repeat_point(run, builder, spec->fill, room));
    ZX_TRY(add_digits(run, builder, number, zeros, spec->grouping));
    ZX_TRY(zx_jbuilder_text(run, builder, number->rest));
    return align == '=' ? ZMLX_OK : repeat_point(run, builder, spec->fill, room - left);
}

static void add_sign(char prefix[8], bool negative, char sign)
{
    prefix[0] = negative ? '-' : sign == '+' || sign == ' ' ? sign : '\0';
    prefix[1] = '\0';
}

zmlx_status zx_jformat_integer(zx_jrun *run, zx_jbuilder *builder, int64_t integer,
                               const zx_jspec *spec)
{
    static const struct {
        char type;
        unsigned base;
        const char *prefix;
    } bases[] = {{'b', 2, "0b"}, {'o', 8, "0o"}, {'x', 16, "0x"}, {'X', 16, "0X"}};
    char text[72 + MAX_PRECISION];
    size_t at = sizeof text;
    unsigned base = 10;
    parts number = {.rest = ""};
    add_sign(number.prefix, integer < 0, spec->sign);
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        if (bases[i].type != spec->type) continue;
        base = bases[i].base;
        if (spec->alternate) (void)strncat(number.prefix, bases[i].prefix, 3);
    }
    if (spec->digits > MAX_PRECISION) return ZX_JFAIL(run, "precision too large");
    uint64_t rest = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    const char *const letters = spec->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    do {
        text[--at] = letters[rest % base];
        rest /= base;
    } while (rest > 0);
    while ((int64_t)(sizeof text - at) < spec->digits) text[--at] = '0';
    number.digits = text + at;
    number.digit_count = sizeof text - at;
    number.group = spec->grouping == 0 ? 0 : base == 10 ? 3 : 4;
    return add_number(run, builder, &number, spec);
}

/* Strips the zeros that end a fraction: "1.500e+10" becomes "1.5e+10". */
static void strip_zeros(char *text)
{
    char *const exponent = strchr(text, 'e'), *end = exponent;
    if (exponent == NULL || strchr(text, '.') == NULL) return;
    while (end > text && end[-1] == '0') end--;
    if (end > text && end[-1] == '.') end--;
    memmove(end, exponent, strlen(exponent) + 1);
}

/* Without a type: as 'g', but a whole number keeps ".0". */
static void print_untyped(double number, int precision, char text[NUMBER_BYTES])
{
    if (precision == 0) precision = 1;
    (void)snprintf(text, NUMBER_BYTES, "%.*e", precision - 1, number);
    const int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= precision - 1) {
        strip_zeros(text);
        return;
    }
    (void)snprintf(text, NUMBER_BYTES, "%.*g", precision, number);
    if (strpbrk(text, ".e") == NULL) (void)strncat(text, ".0", 3);
}

/* 'g'; with '#' by its definition, as not every C library has that right where rounding adds a
 * digit. */
static void print_general(double number, int precision, bool alternate, char text[NUMBER_BYTES])
{
    if (!alternate) {
        (void)snprintf(text, NUMBER_BYTES, "%.*g", precision, number);
        return;
    }
    const int digits = precision > 0 ? precision : 1;
    (void)snprintf(text, NUMBER_BYTES, "%#.*e", digits - 1, number);
    const int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exponent >= -4 && exponent < digits)
        (void)snprintf(text, NUMBER_BYTES, "%#.*f", digits - 1 - exponent, number);
}

/* The magnitude as C prints it. */
static void print_float(double number, const zx_jspec *spec, char text[NUMBER_BYTES])
{
    const int precision = spec->precision >= 0 ? (int)spec->precision : 6;
    const bool alternate = spec->alternate;
    if (spec->type == 'e' || spec->type == 'E')
        (void)snprintf(text, NUMBER_BYTES, alternate ? "%#.*e" : "%.*e", precision, number);
    else if (spec->type == 'g' || spec->type == 'G' || spec->type == 'n')
        print_general(number, precision, alternate, text);
    else if (spec->type != 0)
        (void)snprintf(text, NUMBER_BYTES, alternate ? "%#.*f" : "%.*f", precision, number);
    else if (spec->precision < 0)
        zx_jfloat_text(number, text);
    else
        print_untyped(number, precision, text);
    if (spec->type != 'E' && spec->type != 'G') return;
    for (char *at = text; *at != '\0'; at++)
        if (*at == 'e') *at = 'E';
}

zmlx_status zx_jformat_float(zx_jrun *run, zx_jbuilder *builder, double number,
                             const zx_jspec *spec)
{
    char text[NUMBER_BYTES + 2], digits[NUMBER_BYTES];
    parts parts_of = {.digits = digits, .rest = ""};
    if (spec->precision > MAX_PRECISION) return ZX_JFAIL(run, "precision too large");
    if (spec->type == '%') number *= 100;
    add_sign(parts_of.prefix, signbit(number) && !isnan(number), spec->sign);
    if (isfinite(number)) {
        print_float(fabs(number), spec, text);
    } else {
        const bool upper = spec->type == 'F' || spec->type == 'E' || spec->type == 'G';
        (void)snprintf(text, sizeof text, "%s",
                       isnan(number) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf"));
    }
    if (spec->no_negative_zero && isfinite(number) && parts_of.prefix[0] == '-' &&
        strspn(text, "0.") == strcspn(text, "eE"))
        add_sign(parts_of.prefix, false, spec->sign);
    if (spec->type == '%') (void)strncat(text, "%", 2);
    parts_of.digit_count = strspn(text, "0123456789");
    if (!isfinite(number)) parts_of.digit_count = 3;
    memcpy(digits, text, parts_of.digit_count);
    parts_of.rest = text + parts_of.digit_count;
    parts_of.group = spec->grouping != 0 && isfinite(number) ? 3 : 0;
    return add_number(run, builder, &parts_of, spec);
}
