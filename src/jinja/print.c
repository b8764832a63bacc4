/* print.c - values as Python's str() and repr() write them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jinja/call.h"
#include "jinja/loop.h"
#include "jinja/run.h"
#include "jinja/unicode.h"

/* --- floats: the shortest digits that read back as the same number --- */

enum { MAX_DIGITS = 17 };

/* Adds 'step' (1 or -1) to the last digit of "d.ddde+x"; false where that carries too far. */
static bool step_digits(char *text, int step)
{
    char *const end = strchr(text, 'e');
    for (char *at = end - 1; at >= text; at--) {
        if (*at == '.') continue;
        if (*at == (step > 0 ? '9' : '0')) {
            *at = step > 0 ? '0' : '9';
            continue;
        }
        *at = (char)(*at + step);
        return *text != '0';
    }
    return false;
}

/* Puts the fewest digits into "d.ddde+x".  At a power of two the rounded digits may not read
 * back while a neighbour does, so both neighbours are tried. */
static void shortest_digits(double number, char text[ZX_J_FLOAT_BYTES])
{
    for (int digits = 1; digits <= MAX_DIGITS; digits++) {
        for (int step = 0; step >= -1; step = step == 0 ? 1 : step - 2) {
            (void)snprintf(text, ZX_J_FLOAT_BYTES, "%.*e", digits - 1, number);
            if (step != 0 && !step_digits(text, step)) continue;
            const double back = strtod(text, NULL);
            if (!(back < number) && !(back > number)) return;
        }
    }
}

void zx_jfloat_text(double number, char text[ZX_J_FLOAT_BYTES])
{
    if (isnan(number) || isinf(number)) {
        (void)snprintf(text, ZX_J_FLOAT_BYTES, "%s",
                       isnan(number) ? "nan"
                       : number < 0  ? "-inf"
                                     : "inf");
        return;
    }
    char scientific[ZX_J_FLOAT_BYTES], digits[MAX_DIGITS + 1];
    shortest_digits(fabs(number), scientific);
    const int exponent = (int)strtol(strchr(scientific, 'e') + 1, NULL, 10);
    int count = 0;
    for (const char *at = scientific; *at != 'e'; at++)
        if (*at != '.') digits[count++] = *at;
    while (count > 1 && digits[count - 1] == '0') count--;
    digits[count] = '\0';
    const char *const sign = signbit(number) ? "-" : "";
    if (exponent < -4 || exponent >= 16)
        (void)snprintf(text, ZX_J_FLOAT_BYTES, "%s%c%s%se%c%02d", sign, digits[0],
                       count > 1 ? "." : "", digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
    else if (exponent < 0)
        (void)snprintf(text, ZX_J_FLOAT_BYTES, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
    else if (count <= exponent + 1)
        (void)snprintf(text, ZX_J_FLOAT_BYTES, "%s%s%.*s.0", sign, digits, exponent + 1 - count,
                       "0000000000000000");
    else
        (void)snprintf(text, ZX_J_FLOAT_BYTES, "%s%.*s.%s", sign, exponent + 1, digits,
                       digits + exponent + 1);
}

/* --- strings --- */

typedef struct escape {
    char point;
    char letter;
} escape;

static const escape escapes[] = {{'\\', '\\'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}};

static zmlx_status escape_point(zx_jrun *run, zx_jbuilder *builder, uint32_t point)
{
    if (point < 0x100) return zx_jbuilder_format(run, builder, "\\x%02x", point);
    if (point < 0x10000) return zx_jbuilder_format(run, builder, "\\u%04x", point);
    return zx_jbuilder_format(run, builder, "\\U%08x", point);
}

static zmlx_status repr_point(zx_jrun *run, zx_jbuilder *builder, uint32_t point, char quote)
{
    if (point == (uint32_t)quote) return zx_jbuilder_format(run, builder, "\\%c", quote);
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        if (point == (uint32_t)escapes[i].point)
            return zx_jbuilder_format(run, builder, "\\%c", escapes[i].letter);
    if (zx_unicode_is_printable(point)) return zx_jbuilder_point(run, builder, point);
    return escape_point(run, builder, point);
}

static zmlx_status repr_string(zx_jrun *run, zx_jbuilder *builder, const zx_jstring *string)
{
    ZX_TRY(zx_jrun_pay_points(run, string->length));
    const bool has_single = memchr(string->bytes, '\'', string->length) != NULL;
    const bool has_double = memchr(string->bytes, '"', string->length) != NULL;
    const char quote = has_single && !has_double ? '"' : '\'';
    if (string->markup) ZX_TRY(zx_jbuilder_text(run, builder, "Markup("));
    ZX_TRY(zx_jbuilder_add(run, builder, &quote, 1));
    for (size_t at = 0, bytes = 0; at < string->length; at += bytes) {
        const uint32_t point = zx_jstring_at(string, at, &bytes);
        if (point >= ' ' && point < 0x7f && point != (uint32_t)quote && point != '\\')
            ZX_TRY(zx_jbuilder_add(run, builder, string->bytes + at, 1));
        else
            ZX_TRY(repr_point(run, builder, point, quote));
    }
    ZX_TRY(zx_jbuilder_add(run, builder, &quote, 1));
    return string->markup ? zx_jbuilder_text(run, builder, ")") : ZMLX_OK;
}

/* --- containers --- */

static zmlx_status repr_items(zx_jrun *run, zx_jbuilder *builder, const zx_jlist *list,
                              const char *open, const char *close)
{
    ZX_TRY(zx_jbuilder_text(run, builder, open));
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0) ZX_TRY(zx_jbuilder_text(run, builder, ", "));
        ZX_TRY(zx_jvalue_repr(run, builder, list->items[i]));
    }
    return zx_jbuilder_text(run, builder, close);
}

static zmlx_status repr_list(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    if (value.kind == ZX_J_LIST) return repr_items(run, builder, value.as.list, "[", "]");
    return repr_items(run, builder, value.as.list, "(", value.as.list->count == 1 ? ",)" : ")");
}

static zmlx_status repr_pairs(zx_jrun *run, zx_jbuilder *builder, const zx_jdict *dict,
                              const char *between)
{
    for (size_t i = 0; i < dict->count; i++) {
        const bool as_tuple = between[0] == ',';
        if (i > 0) ZX_TRY(zx_jbuilder_text(run, builder, ", "));
        if (as_tuple) ZX_TRY(zx_jbuilder_text(run, builder, "("));
        ZX_TRY(zx_jvalue_repr(run, builder, dict->pairs[i].key));
        ZX_TRY(zx_jbuilder_text(run, builder, between));
        ZX_TRY(zx_jvalue_repr(run, builder, dict->pairs[i].value));
        if (as_tuple) ZX_TRY(zx_jbuilder_text(run, builder, ")"));
    }
    return ZMLX_OK;
}

static zmlx_status repr_dict(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    const bool is_namespace = value.kind == ZX_J_NAMESPACE;
    ZX_TRY(zx_jbuilder_text(run, builder, is_namespace ? "<Namespace {" : "{"));
    ZX_TRY(repr_pairs(run, builder, value.as.dict, ": "));
    return zx_jbuilder_text(run, builder, is_namespace ? "}>" : "}");
}

static zmlx_status repr_view(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    const zx_jview *const view = value.as.view;
    ZX_TRY(zx_jbuilder_format(run, builder, "%s([", zx_jvalue_type(value)));
    if (view->kind == ZX_J_ITEMS) {
        ZX_TRY(repr_pairs(run, builder, view->dict, ", "));
    } else {
        for (size_t i = 0; i < view->dict->count; i++) {
            const zx_jpair *const pair = &view->dict->pairs[i];
            if (i > 0) ZX_TRY(zx_jbuilder_text(run, builder, ", "));
            ZX_TRY(zx_jvalue_repr(run, builder, view->kind == ZX_J_KEYS ? pair->key : pair->value));
        }
    }
    return zx_jbuilder_text(run, builder, "])");
}

static zmlx_status repr_range(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    const zx_jrange *const range = value.as.range;
    ZX_TRY(zx_jbuilder_format(run, builder, "range(%lld, %lld", (long long)range->start,
                              (long long)range->stop));
    if (range->step != 1)
        ZX_TRY(zx_jbuilder_format(run, builder, ", %lld", (long long)range->step));
    return zx_jbuilder_text(run, builder, ")");
}

/* --- the rest --- */

static zmlx_status repr_none(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    return zx_jbuilder_text(run, builder, value.kind == ZX_J_NONE ? "None" : "Undefined");
}

static zmlx_status repr_bool(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    return zx_jbuilder_text(run, builder, value.as.boolean ? "True" : "False");
}

static zmlx_status repr_int(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    return zx_jbuilder_format(run, builder, "%lld", (long long)value.as.integer);
}

static zmlx_status repr_float(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    char text[ZX_J_FLOAT_BYTES];
    zx_jfloat_text(value.as.number, text);
    return zx_jbuilder_text(run, builder, text);
}

static zmlx_status repr_text(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    return repr_string(run, builder, value.as.string);
}

static zmlx_status repr_macro(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    const zx_jvalue name = zx_jmacro_name(value.as.macro);
    ZX_TRY(zx_jbuilder_text(run, builder, "<Macro "));
    if (name.kind == ZX_J_STRING)
        ZX_TRY(repr_string(run, builder, name.as.string));
    else
        ZX_TRY(zx_jbuilder_text(run, builder, "anonymous"));
    return zx_jbuilder_text(run, builder, ">");
}

static zmlx_status repr_loop(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    size_t length = 0;
    ZX_TRY(zx_jloop_length(run, value.as.loop, &length));
    return zx_jbuilder_format(run, builder, "<LoopContext %zu/%zu>", zx_jloop_index(value.as.loop),
                              length);
}

static zmlx_status repr_function(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    const zx_jbuiltin *const row =
        value.kind == ZX_J_METHOD ? value.as.method->row : value.as.function;
    return zx_jbuilder_format(run, builder, "<%s %.100s>", zx_jvalue_type(value), row->name);
}

static zmlx_status repr_object(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    return zx_jbuilder_format(run, builder, value.kind == ZX_J_SELF ? "<%s None>" : "<%s object>",
                              zx_jvalue_type(value));
}

typedef zmlx_status (*repr_fn)(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value);

static const repr_fn reprs[ZX_J_KINDS] = {
    [ZX_J_MISSING] = repr_none,      [ZX_J_UNDEFINED] = repr_none, [ZX_J_NONE] = repr_none,
    [ZX_J_BOOL] = repr_bool,         [ZX_J_INT] = repr_int,        [ZX_J_FLOAT] = repr_float,
    [ZX_J_STRING] = repr_text,       [ZX_J_LIST] = repr_list,      [ZX_J_TUPLE] = repr_list,
    [ZX_J_DICT] = repr_dict,         [ZX_J_VIEW] = repr_view,      [ZX_J_RANGE] = repr_range,
    [ZX_J_ITERATOR] = repr_object,   [ZX_J_NAMESPACE] = repr_dict, [ZX_J_MACRO] = repr_macro,
    [ZX_J_BLOCK] = repr_object,      [ZX_J_SELF] = repr_object,    [ZX_J_METHOD] = repr_function,
    [ZX_J_FUNCTION] = repr_function, [ZX_J_LOOP] = repr_loop,      [ZX_J_CYCLER] = repr_object,
    [ZX_J_JOINER] = repr_object,
};

zmlx_status zx_jvalue_repr(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    ZX_TRY(zx_jrun_enter(run));
    ZX_TRY(reprs[value.kind](run, builder, value));
    run->depth--;
    return ZMLX_OK;
}

zmlx_status zx_jvalue_print(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value)
{
    if (value.kind == ZX_J_STRING) return zx_jbuilder_string(run, builder, value.as.string);
    if (value.kind == ZX_J_UNDEFINED) return ZMLX_OK;
    return zx_jvalue_repr(run, builder, value);
}

zmlx_status zx_jvalue_string(zx_jrun *run, zx_jvalue value, zx_jvalue *string)
{
    zx_jbuilder builder = {0};
    *string = value;
    if (value.kind == ZX_J_STRING) return ZMLX_OK;
    ZX_TRY(zx_jvalue_print(run, &builder, value));
    return zx_jbuilder_finish(run, &builder, string);
}

zmlx_status zx_jvalue_repr_string(zx_jrun *run, zx_jvalue value, zx_jvalue *string)
{
    zx_jbuilder builder = {0};
    ZX_TRY(zx_jvalue_repr(run, &builder, value));
    return zx_jbuilder_finish(run, &builder, string);
}

zmlx_status zx_jvalue_ascii_string(zx_jrun *run, zx_jvalue value, zx_jvalue *string)
{
    zx_jbuilder builder = {0};
    ZX_TRY(zx_jvalue_repr_string(run, value, string));
    const zx_jstring *const text = string->as.string;
    ZX_TRY(zx_jrun_pay_points(run, text->length));
    for (size_t at = 0, bytes = 0; at < text->length; at += bytes) {
        const uint32_t point = zx_jstring_at(text, at, &bytes);
        if (point < 0x80)
            ZX_TRY(zx_jbuilder_add(run, &builder, text->bytes + at, bytes));
        else
            ZX_TRY(escape_point(run, &builder, point));
    }
    return zx_jbuilder_finish(run, &builder, string);
}
