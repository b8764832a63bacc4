/* format_percent.c - "%s of %d" % values. */
#include <string.h>

#include "jinja/call.h"
#include "jinja/format.h"
#include "jinja/run.h"

typedef struct percent {
    zx_jrun *run;
    const zx_jstring *text;
    size_t at;
    zx_jvalue values; /* a tuple, a mapping or one value */
    zx_jvalue single; /* where it is no tuple: what the next field takes */
    size_t used;      /* of a tuple, or 1 once the single value is used */
    bool markup;
} percent;

static zmlx_status next_value(percent *all, zx_jvalue *value)
{
    if (all->values.kind != ZX_J_TUPLE) {
        *value = all->single;
        if (all->used++ == 0) return ZMLX_OK;
    } else if (all->used < all->values.as.list->count) {
        *value = all->values.as.list->items[all->used++];
        return ZMLX_OK;
    }
    return ZX_JFAIL(all->run, "not enough arguments for format string");
}

/* "(key)": the value of a mapping is what the next field takes. */
static zmlx_status choose_key(percent *all)
{
    const zx_jstring *const text = all->text;
    int open = 1;
    const size_t start = ++all->at;
    for (; all->at < text->length && open > 0; all->at++)
        open += (text->bytes[all->at] == '(') - (text->bytes[all->at] == ')');
    if (open > 0) return ZX_JFAIL(all->run, "incomplete format key");
    if (all->values.kind == ZX_J_UNDEFINED)
        return zx_jundefined_fail(all->run, all->values.as.undefined);
    if (all->values.kind != ZX_J_DICT) return ZX_JFAIL(all->run, "format requires a mapping");
    zx_jvalue key;
    ZX_TRY(zx_jstring_borrow(all->run, text->bytes + start, all->at - 1 - start, &key));
    ZX_TRY(zx_jdict_get(all->run, all->values.as.dict, key, &all->single));
    all->used = 0;
    return all->single.kind == ZX_J_MISSING
               ? ZX_JFAIL(all->run, "the mapping lacks a key of the format")
               : ZMLX_OK;
}

/* A width or precision: digits or "*". */
static zmlx_status read_size(percent *all, int64_t *size)
{
    const zx_jstring *const text = all->text;
    if (all->at < text->length && text->bytes[all->at] == '*') {
        zx_jvalue value;
        all->at++;
        ZX_TRY(next_value(all, &value));
        if (!zx_jvalue_is_integer(value, size) || *size > INT32_MAX || *size < -INT32_MAX)
            return ZX_JFAIL(all->run, "* wants a small integer");
        return ZMLX_OK;
    }
    *size = 0;
    for (; all->at < text->length && text->bytes[all->at] >= '0' && text->bytes[all->at] <= '9';
         all->at++) {
        *size = *size * 10 + (text->bytes[all->at] - '0');
        if (*size > INT32_MAX) return ZX_JFAIL(all->run, "width too big");
    }
    return ZMLX_OK;
}

typedef struct field {
    zx_jspec spec;
    bool left, zero;
} field;

static zmlx_status read_flags(percent *all, field *one)
{
    const zx_jstring *const text = all->text;
    *one = (field){.spec = {.fill = ' ', .align = '>', .sign = '-', .precision = -1}};
    for (; all->at < text->length && strchr("-+ #0", text->bytes[all->at]) != NULL; all->at++) {
        const char flag = text->bytes[all->at];
        if (flag == '-') one->left = true;
        if (flag == '+' || (flag == ' ' && one->spec.sign != '+')) one->spec.sign = flag;
        if (flag == '#') one->spec.alternate = true;
        if (flag == '0') one->zero = true;
    }
    ZX_TRY(read_size(all, &one->spec.width));
    if (one->spec.width < 0) {
        one->left = true;
        one->spec.width = -one->spec.width;
    }
    if (all->at < text->length && text->bytes[all->at] == '.') {
        all->at++;
        ZX_TRY(read_size(all, &one->spec.precision));
        if (one->spec.precision < 0) one->spec.precision = 0;
    }
    while (all->at < text->length && strchr("hlL", text->bytes[all->at]) != NULL) all->at++;
    if (all->at == text->length) return ZX_JFAIL(all->run, "incomplete format");
    one->spec.type = text->bytes[all->at++];
    if (one->left) one->spec.align = '<';
    return ZMLX_OK;
}

static zmlx_status add_text(percent *all, field *one, zx_jvalue value, zx_jbuilder *builder)
{
    if (one->spec.type == 's')
        ZX_TRY(zx_jvalue_string(all->run, value, &value));
    else if (one->spec.type == 'r')
        ZX_TRY(zx_jvalue_repr_string(all->run, value, &value));
    else
        ZX_TRY(zx_jvalue_ascii_string(all->run, value, &value));
    if (all->markup) ZX_TRY(zx_jvalue_escape(all->run, value, &value));
    return zx_jformat_text(all->run, builder, value.as.string, &one->spec);
}

static zmlx_status add_integer(percent *all, field *one, zx_jvalue value, zx_jbuilder *builder)
{
    int64_t integer = 0;
    const bool decimal = strchr("diu", one->spec.type) != NULL;
    if (value.kind == ZX_J_FLOAT && decimal)
        ZX_TRY(zx_jnumber_truncate(all->run, value.as.number, &integer));
    else if (!zx_jvalue_is_integer(value, &integer))
        return ZX_JFAIL(all->run, "%%%c format: a number is required, not %s", one->spec.type,
                        zx_jvalue_type(value));
    if (decimal) one->spec.type = 'd';
    if (one->spec.precision >= 0) one->spec.digits = one->spec.precision;
    return zx_jformat_integer(all->run, builder, integer, &one->spec);
}

static zmlx_status add_character(percent *all, field *one, zx_jvalue value, zx_jbuilder *builder)
{
    int64_t point = 0;
    if (zx_jvalue_is_integer(value, &point)) {
        zx_jbuilder text = {0};
        if (point < 0 || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
            return ZX_JFAIL(all->run, "%%c takes a code point");
        ZX_TRY(zx_jbuilder_point(all->run, &text, (uint32_t)point));
        ZX_TRY(zx_jbuilder_finish(all->run, &text, &value));
    }
    if (value.kind != ZX_J_STRING || zx_jstring_points(value.as.string) != 1)
        return ZX_JFAIL(all->run, "%%c requires int or char");
    return zx_jformat_text(all->run, builder, value.as.string, &one->spec);
}

static zmlx_status add_field(percent *all, zx_jbuilder *builder)
{
    zx_jvalue value = zx_jmissing();
    field one;
    if (all->at < all->text->length && all->text->bytes[all->at] == '(') ZX_TRY(choose_key(all));
    ZX_TRY(read_flags(all, &one));
    const char type = one.spec.type;
    if (type == '%') return zx_jbuilder_add(all->run, builder, "%", 1);
    if (strchr("diuoxXeEfFgGcrsa", type) == NULL)
        return ZX_JFAIL(all->run, "unsupported format character '%c'", type);
    ZX_TRY(next_value(all, &value));
    if (type == 's' || type == 'r' || type == 'a') return add_text(all, &one, value, builder);
    if (type == 'c') return add_character(all, &one, value, builder);
    if (one.zero && !one.left) {
        one.spec.align = '=';
        one.spec.fill = '0';
    }
    if (strchr("diuoxX", type) != NULL) return add_integer(all, &one, value, builder);
    if (value.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(all->run, value.as.undefined);
    if (!zx_jvalue_is_number(value))
        return ZX_JFAIL(all->run, "must be real number, not %s", zx_jvalue_type(value));
    return zx_jformat_float(all->run, builder, zx_jvalue_number(value), &one.spec);
}

zmlx_status zx_jformat_percent(zx_jrun *run, zx_jstring *format, zx_jvalue value, zx_jvalue *result)
{
    percent all = {
        .run = run, .text = format, .values = value, .single = value, .markup = format->markup};
    zx_jbuilder builder = {0};
    bool keyed = false;
    while (all.at < format->length) {
        const char *const start = format->bytes + all.at;
        const char *const found = memchr(start, '%', format->length - all.at);
        const size_t plain = found != NULL ? (size_t)(found - start) : format->length - all.at;
        ZX_TRY(zx_jbuilder_add(run, &builder, start, plain));
        all.at += plain;
        if (found == NULL) break;
        all.at++;
        keyed = keyed || (all.at < format->length && format->bytes[all.at] == '(');
        ZX_TRY(add_field(&all, &builder));
    }
    const bool is_mapping = value.kind == ZX_J_DICT || value.kind == ZX_J_LIST ||
                            value.kind == ZX_J_RANGE || value.kind == ZX_J_UNDEFINED;
    const size_t given = value.kind == ZX_J_TUPLE ? value.as.list->count : 1;
    if (!is_mapping && !keyed && all.used < given)
        return ZX_JFAIL(run, "not all arguments converted during string formatting");
    ZX_TRY(zx_jbuilder_finish(run, &builder, result));
    result->as.string->markup = format->markup;
    return ZMLX_OK;
}
