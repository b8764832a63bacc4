/* format_braces.c - str.format and format(): replacement fields, conversions, format specs. */
#include <string.h>

#include "jinja/call.h"
#include "jinja/format.h"
#include "jinja/run.h"

enum { MAX_NESTED_FIELDS = 2 };

/* --- format(value, spec) --- */

static bool is_align(uint32_t point)
{
    return point == '<' || point == '>' || point == '^' || point == '=';
}

/* Reads a number at *at; -1 where there is none, -2 where it is too large. */
static int64_t read_width(const zx_jstring *text, size_t *at)
{
    int64_t width = 0;
    const size_t start = *at;
    for (; *at < text->length && text->bytes[*at] >= '0' && text->bytes[*at] <= '9'; ++*at)
        if (width < INT32_MAX) width = width * 10 + (text->bytes[*at] - '0');
    if (*at == start) return -1;
    return width < INT32_MAX ? width : -2;
}

static zmlx_status fail_spec(zx_jrun *run, const zx_jstring *text)
{
    return ZX_JFAIL(run, "invalid format specifier '%.*s'",
                    text->length < 60 ? (int)text->length : 60, text->bytes);
}

static zmlx_status parse_spec(zx_jrun *run, const zx_jstring *text, zx_jspec *spec)
{
    size_t at = 0, bytes = 0;
    bool has_fill = false;
    *spec = (zx_jspec){.fill = ' ', .precision = -1};
    const uint32_t first = zx_jstring_at(text, 0, &bytes);
    if (bytes < text->length && is_align((uint32_t)(unsigned char)text->bytes[bytes])) {
        spec->fill = first;
        spec->align = text->bytes[bytes];
        has_fill = true;
        at = bytes + 1;
    } else if (is_align(first)) {
        spec->align = text->bytes[0];
        at = 1;
    }
    if (at < text->length && strchr("+- ", text->bytes[at]) != NULL) spec->sign = text->bytes[at++];
    if (at < text->length && text->bytes[at] == 'z') {
        spec->no_negative_zero = true;
        at++;
    }
    if (at < text->length && text->bytes[at] == '#') {
        spec->alternate = true;
        at++;
    }
    if (!has_fill && at < text->length && text->bytes[at] == '0') {
        spec->fill = '0'; /* of a number behind its sign, unless the alignment is given */
        at++;
    }
    spec->width = read_width(text, &at);
    if (spec->width == -2) return fail_spec(run, text);
    if (spec->width < 0) spec->width = 0;
    if (at < text->length && strchr(",_", text->bytes[at]) != NULL)
        spec->grouping = text->bytes[at++];
    if (at < text->length && text->bytes[at] == '.') {
        at++;
        spec->precision = read_width(text, &at);
        if (spec->precision < 0) return fail_spec(run, text);
    }
    if (at < text->length) spec->type = text->bytes[at++];
    return at < text->length ? fail_spec(run, text) : ZMLX_OK;
}

static zmlx_status format_string(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value,
                                 const zx_jspec *spec, const zx_jstring *text)
{
    if (spec->align == '=' || spec->sign != 0 || spec->no_negative_zero || spec->alternate ||
        spec->grouping != 0 || (spec->type != 0 && spec->type != 's'))
        return fail_spec(run, text);
    return zx_jformat_text(run, builder, value.as.string, spec);
}

static zmlx_status format_number(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value,
                                 const zx_jspec *given, const zx_jstring *text)
{
    int64_t integer = 0;
    zx_jspec own = *given;
    const zx_jspec *const spec = &own;
    if (own.align == 0 && own.fill == '0') own.align = '=';
    if (!zx_jvalue_is_integer(value, &integer) ||
        (spec->type != 0 && strchr("eEfFgG%", spec->type) != NULL)) {
        if (spec->type != 0 && strchr("eEfFgGn%", spec->type) == NULL) return fail_spec(run, text);
        return zx_jformat_float(run, builder, zx_jvalue_number(value), spec);
    }
    if (spec->no_negative_zero) return fail_spec(run, text);
    if (spec->precision >= 0) return ZX_JFAIL(run, "an integer's format takes no precision");
    if (spec->type == 'c') {
        zx_jbuilder one = {0};
        zx_jvalue string;
        if (integer < 0 || integer > 0x10ffff || (integer >= 0xd800 && integer < 0xe000))
            return ZX_JFAIL(run, "%%c takes a code point");
        ZX_TRY(zx_jbuilder_point(run, &one, (uint32_t)integer));
        ZX_TRY(zx_jbuilder_finish(run, &one, &string));
        if (own.align == 0 || own.align == '=') own.align = '>';
        return zx_jformat_text(run, builder, string.as.string, &own);
    }
    if (spec->type != 0 && strchr("bdoxXn", spec->type) == NULL) return fail_spec(run, text);
    return zx_jformat_integer(run, builder, integer, spec);
}

zmlx_status zx_jformat_value(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value, zx_jstring *text)
{
    zx_jspec spec;
    if (text->length == 0) return zx_jvalue_print(run, builder, value);
    if (value.kind != ZX_J_STRING && !zx_jvalue_is_number(value))
        return ZX_JFAIL(run, "unsupported format string passed to %s.__format__",
                        zx_jvalue_type(value));
    ZX_TRY(parse_spec(run, text, &spec));
    if (value.kind == ZX_J_STRING) return format_string(run, builder, value, &spec, text);
    return format_number(run, builder, value, &spec, text);
}

/* --- "{field!conversion:spec}" --- */

typedef struct formatter {
    zx_jrun *run;
    const zx_jargs *args;
    int64_t next; /* of the fields without a number; -1 once one had a number */
    bool markup;
} formatter;

static zmlx_status format_fields(formatter *all, const zx_jstring *text, int nesting,
                                 zx_jbuilder *builder);

static bool is_number(const zx_jstring *name)
{
    for (size_t i = 0; i < name->length; i++)
        if (name->bytes[i] < '0' || name->bytes[i] > '9') return false;
    return name->length > 0;
}

/* The argument that a field names: a number, a keyword or the next one.  As in Python's
 * string.Formatter only a field without members takes part in the numbering: "{}{0[a]}" is none
 * that switches, and "{.a}" looks for a keyword. */
static zmlx_status find_argument(formatter *all, const zx_jstring *name, bool is_whole,
                                 zx_jvalue *value)
{
    zx_jrun *const run = all->run;
    int64_t index = all->next;
    bool overflow = false;
    if (name->length == 0 && is_whole) {
        if (all->next < 0)
            return ZX_JFAIL(run, "cannot switch from manual field specification to automatic");
        all->next++;
    } else if (is_number(name)) {
        if (is_whole && all->next > 0)
            return ZX_JFAIL(run, "cannot switch from automatic field numbering to manual");
        if (is_whole) all->next = -1;
        (void)zx_jnumber_parse_int(name, 10, &index, &overflow);
    } else {
        for (size_t i = 0; i < all->args->named_count; i++) {
            *value = all->args->named[i].value;
            if (zx_jstring_same(all->args->named[i].key.as.string, name)) return ZMLX_OK;
        }
        return ZX_JFAIL(run, "no argument named '%.*s'", name->length < 60 ? (int)name->length : 60,
                        name->bytes);
    }
    if (overflow || index >= (int64_t)all->args->count)
        return ZX_JFAIL(run, "replacement index %lld out of range", (long long)index);
    *value = all->args->items[index];
    return ZMLX_OK;
}

/* One ".name" or "[key]" behind a field's argument. */
static zmlx_status find_member(formatter *all, const zx_jstring *path, size_t *at, zx_jvalue *value)
{
    zx_jrun *const run = all->run;
    const bool is_attribute = path->bytes[*at] == '.';
    const size_t start = ++*at;
    while (*at < path->length &&
           (is_attribute ? strchr(".[", path->bytes[*at]) == NULL : path->bytes[*at] != ']'))
        ++*at;
    const zx_jstring name = {.bytes = path->bytes + start, .length = *at - start};
    if (name.length == 0) return ZX_JFAIL(run, "empty attribute in format string");
    zx_jvalue key;
    ZX_TRY(zx_jstring_borrow(run, name.bytes, name.length, &key));
    if (is_attribute) return zx_jvalue_attribute(run, *value, key, value);
    if (*at == path->length) return ZX_JFAIL(run, "missing ']' in format string");
    ++*at;
    int64_t index = 0;
    bool overflow = false;
    if (name.bytes[0] >= '0' && name.bytes[0] <= '9' &&
        zx_jnumber_parse_int(&name, 10, &index, &overflow) && !overflow)
        key = zx_jint(index);
    return zx_jvalue_item(run, *value, key, value);
}

static zmlx_status find_field(formatter *all, const zx_jstring *path, zx_jvalue *value)
{
    size_t at = 0;
    while (at < path->length && strchr(".[", path->bytes[at]) == NULL) at++;
    const zx_jstring first = {.bytes = path->bytes, .length = at};
    ZX_TRY(find_argument(all, &first, at == path->length, value));
    while (at < path->length) {
        if (strchr(".[", path->bytes[at]) == NULL)
            return ZX_JFAIL(all->run, "only '.' or '[' may follow ']' in a format field");
        ZX_TRY(find_member(all, path, &at, value));
    }
    return ZMLX_OK;
}

static zmlx_status convert(formatter *all, char conversion, zx_jvalue *value)
{
    if (conversion == '\0') return ZMLX_OK;
    if (conversion == 's') return zx_jvalue_string(all->run, *value, value);
    if (conversion == 'r') return zx_jvalue_repr_string(all->run, *value, value);
    if (conversion == 'a') return zx_jvalue_ascii_string(all->run, *value, value);
    return ZX_JFAIL(all->run, "unknown conversion specifier '!%c'", conversion);
}

/* A field's inside, without its braces. */
static zmlx_status format_field(formatter *all, const zx_jstring *inside, int nesting,
                                zx_jbuilder *builder)
{
    size_t at = 0;
    char conversion = '\0';
    bool in_brackets = false;
    while (at < inside->length && (in_brackets || strchr("!:", inside->bytes[at]) == NULL)) {
        if (inside->bytes[at] == '[') in_brackets = true;
        if (inside->bytes[at] == ']') in_brackets = false;
        at++;
    }
    const zx_jstring path = {.bytes = inside->bytes, .length = at};
    if (at < inside->length && inside->bytes[at] == '!') {
        if (at + 1 >= inside->length || (at + 2 < inside->length && inside->bytes[at + 2] != ':'))
            return ZX_JFAIL(all->run, "expected ':' after conversion specifier");
        conversion = inside->bytes[at + 1];
        at += 2;
    }
    if (at < inside->length) at++;
    zx_jvalue value, spec;
    zx_jbuilder spec_text = {0};
    ZX_TRY(find_field(all, &path, &value));
    ZX_TRY(convert(all, conversion, &value));
    const zx_jstring nested = {.bytes = inside->bytes + at, .length = inside->length - at};
    ZX_TRY(format_fields(all, &nested, nesting + 1, &spec_text));
    ZX_TRY(zx_jbuilder_finish(all->run, &spec_text, &spec));
    if (!all->markup) return zx_jformat_value(all->run, builder, value, spec.as.string);
    zx_jvalue text = value;
    if (value.kind != ZX_J_STRING || !value.as.string->markup) {
        zx_jbuilder part = {0};
        ZX_TRY(zx_jformat_value(all->run, &part, value, spec.as.string));
        ZX_TRY(zx_jbuilder_finish(all->run, &part, &text));
        ZX_TRY(zx_jvalue_escape(all->run, text, &text));
    } else if (spec.as.string->length > 0) {
        return ZX_JFAIL(all->run, "unsupported format specification for Markup");
    }
    return zx_jbuilder_string(all->run, builder, text.as.string);
}

/* Where the field that begins behind an opening brace ends; SIZE_MAX: nowhere. */
static size_t find_close(const zx_jstring *text, size_t at)
{
    int open = 1;
    for (; at < text->length; at++) {
        if (text->bytes[at] == '{') open++;
        if (text->bytes[at] == '}' && --open == 0) return at;
    }
    return SIZE_MAX;
}

static zmlx_status format_fields(formatter *all, const zx_jstring *text, int nesting,
                                 zx_jbuilder *builder)
{
    if (nesting > MAX_NESTED_FIELDS) return ZX_JFAIL(all->run, "max string recursion exceeded");
    for (size_t at = 0; at < text->length;) {
        const char c = text->bytes[at];
        if (c != '{' && c != '}') {
            size_t end = at;
            while (end < text->length && text->bytes[end] != '{' && text->bytes[end] != '}') end++;
            ZX_TRY(zx_jbuilder_add(all->run, builder, text->bytes + at, end - at));
            at = end;
            continue;
        }
        if (at + 1 < text->length && text->bytes[at + 1] == c) {
            ZX_TRY(zx_jbuilder_add(all->run, builder, &c, 1));
            at += 2;
            continue;
        }
        const size_t close = c == '{' ? find_close(text, at + 1) : SIZE_MAX;
        if (close == SIZE_MAX)
            return ZX_JFAIL(all->run, "single '%c' encountered in format string", c);
        const zx_jstring inside = {.bytes = text->bytes + at + 1, .length = close - at - 1};
        ZX_TRY(zx_jrun_pay_bytes(all->run, inside.length));
        ZX_TRY(format_field(all, &inside, nesting, builder));
        at = close + 1;
    }
    return ZMLX_OK;
}

zmlx_status zx_jformat_braces(zx_jrun *run, zx_jstring *format, const zx_jargs *args,
                              zx_jvalue *result)
{
    formatter all = {.run = run, .args = args, .markup = format->markup};
    zx_jbuilder builder = {0};
    ZX_TRY(format_fields(&all, format, 0, &builder));
    ZX_TRY(zx_jbuilder_finish(run, &builder, result));
    result->as.string->markup = format->markup;
    return ZMLX_OK;
}
