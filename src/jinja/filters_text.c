/* filters_text.c - filters that make text. */
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"
#include "jinja/unicode.h"
#include "jinja/wrap.h"

/* The method of this name of the value's string. */
static zmlx_status by_method(zx_jrun *run, const zx_jcall *call, const char *method,
                             zx_jvalue *result)
{
    zx_jvalue text;
    ZX_TRY(zx_jvalue_string(run, call->self, &text));
    return zx_jstring_method(run, text, method, call->arg, result);
}

static zmlx_status do_upper(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return by_method(run, &(zx_jcall){.self = call->self}, "upper", result);
}

static zmlx_status do_lower(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return by_method(run, &(zx_jcall){.self = call->self}, "lower", result);
}

static zmlx_status do_capitalize(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return by_method(run, &(zx_jcall){.self = call->self}, "capitalize", result);
}

static zmlx_status do_trim(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return by_method(run, &(zx_jcall){.self = call->self, .arg = {call->arg[0]}}, "strip", result);
}

static zmlx_status do_center(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jvalue width = call->arg[0].kind != ZX_J_MISSING ? call->arg[0] : zx_jint(80);
    return by_method(run, &(zx_jcall){.self = call->self, .arg = {width}}, "center", result);
}

static zmlx_status do_string(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return zx_jvalue_string(run, call->self, result);
}

/* Upper case for the first character of a piece, lower for the rest. */
static zmlx_status add_titled(zx_jrun *run, zx_jbuilder *builder, const zx_jstring *text,
                              size_t start, size_t end)
{
    zx_jvalue first, rest;
    size_t bytes = 0;
    if (start == end) return ZMLX_OK;
    (void)zx_jstring_at(text, start, &bytes);
    ZX_TRY(zx_jstring_borrow(run, text->bytes + start, bytes, &first));
    ZX_TRY(zx_jstring_borrow(run, text->bytes + start + bytes, end - start - bytes, &rest));
    ZX_TRY(zx_jstring_method(run, first, "upper", NULL, &first));
    ZX_TRY(zx_jstring_method(run, rest, "lower", NULL, &rest));
    ZX_TRY(zx_jbuilder_string(run, builder, first.as.string));
    return zx_jbuilder_string(run, builder, rest.as.string);
}

static zmlx_status do_title(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue value;
    zx_jbuilder builder = {0};
    ZX_TRY(zx_jvalue_string(run, call->self, &value));
    const zx_jstring *const text = value.as.string;
    size_t start = 0;
    bool in_word = true;
    ZX_TRY(zx_jrun_pay_points(run, text->length));
    for (size_t at = 0, bytes = 0; at < text->length; at += bytes) {
        const uint32_t point = zx_jstring_at(text, at, &bytes);
        const bool separates = zx_unicode_is_space(point) || point == '-' || point == '(' ||
                               point == '{' || point == '[' || point == '<';
        if (separates != in_word) continue;
        ZX_TRY(add_titled(run, &builder, text, start, at));
        start = at;
        in_word = !in_word;
    }
    ZX_TRY(add_titled(run, &builder, text, start, text->length));
    return zx_jbuilder_finish(run, &builder, result);
}

static zmlx_status do_replace(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue text, old, new;
    ZX_TRY(zx_jvalue_string(run, call->self, &text));
    ZX_TRY(zx_jvalue_string(run, call->arg[0], &old));
    ZX_TRY(zx_jvalue_string(run, call->arg[1], &new));
    if (run->autoescape &&
        (old.as.string->markup || (new.as.string->markup && !text.as.string->markup)))
        ZX_TRY(zx_jvalue_escape(run, text, &text));
    if (!run->autoescape) ZX_TRY(zx_jstring_mark(run, text.as.string, false, &text));
    zx_jvalue given[3] = {old, new, zx_jint(-1)};
    if (call->arg[2].kind != ZX_J_MISSING && call->arg[2].kind != ZX_J_NONE)
        given[2] = call->arg[2];
    const zx_jstring name = {.bytes = "replace", .length = 7};
    bool is_unsafe = false;
    const zx_jbuiltin *const row = zx_jmethod_find(ZX_J_STRING, &name, &is_unsafe);
    ZX_TRY(zx_jbuiltin_call(run, row, text, &(zx_jargs){.items = given, .count = 3}, result));
    result->as.string->markup = text.as.string->markup;
    return ZMLX_OK;
}

/* --- lines --- */

static zmlx_status make_indent(zx_jrun *run, zx_jvalue width, zx_jvalue *indent)
{
    const zx_jstring space = {.bytes = " ", .length = 1};
    zx_jbuilder builder = {0};
    int64_t count = 4;
    *indent = width;
    if (width.kind == ZX_J_STRING) return ZMLX_OK;
    ZX_TRY(zx_jarg_int_or(run, width, "the width", 4, &count));
    ZX_TRY(zx_jbuilder_repeat(run, &builder, &space, count));
    return zx_jbuilder_finish(run, &builder, indent);
}

static zmlx_status do_indent(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const bool first = zx_jarg_true(call->arg[1], false), blank = zx_jarg_true(call->arg[2], false);
    zx_jvalue indent, text, lines;
    zx_jbuilder builder = {0};
    ZX_TRY(make_indent(run, call->arg[0], &indent));
    if (call->self.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, call->self.as.undefined);
    if (call->self.kind != ZX_J_STRING)
        return ZX_JFAIL(run, "a string is wanted, not '%s'", zx_jvalue_type(call->self));
    ZX_TRY(zx_jstring_borrow(run, "\n", 1, &text)); /* so that a last empty line counts */
    ZX_TRY(zx_jstring_concat(run, call->self.as.string, text.as.string, &text));
    ZX_TRY(zx_jstring_method(run, text, "splitlines", NULL, &lines));
    for (size_t i = 0; i < lines.as.list->count; i++) {
        const zx_jstring *const line = lines.as.list->items[i].as.string;
        if (i > 0) ZX_TRY(zx_jbuilder_add(run, &builder, "\n", 1));
        if (i == 0 ? first : blank || line->length > 0)
            ZX_TRY(zx_jbuilder_string(run, &builder, indent.as.string));
        ZX_TRY(zx_jbuilder_string(run, &builder, line));
    }
    ZX_TRY(zx_jbuilder_finish(run, &builder, result));
    result->as.string->markup = call->self.as.string->markup;
    return ZMLX_OK;
}

static zmlx_status do_truncate(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    int64_t length = 255, leeway = 5;
    zx_jvalue end = call->arg[2], head;
    bool has_length = false;
    size_t points = 0;
    if (end.kind == ZX_J_MISSING) ZX_TRY(zx_jstring_borrow(run, "...", 3, &end));
    if (end.kind != ZX_J_STRING) return ZX_JFAIL(run, "'end' must be a string");
    ZX_TRY(zx_jarg_int_or(run, call->arg[0], "the length", 255, &length));
    if (call->arg[3].kind != ZX_J_NONE)
        ZX_TRY(zx_jarg_int_or(run, call->arg[3], "the leeway", 5, &leeway));
    const int64_t end_points = (int64_t)zx_jstring_points(end.as.string);
    if (length < end_points || leeway < 0)
        return ZX_JFAIL(run, "the length must not be below that of 'end', nor leeway below 0");
    ZX_TRY(zx_jvalue_length(run, call->self, &has_length, &points));
    if (!has_length)
        return ZX_JFAIL(run, "object of type '%s' has no length", zx_jvalue_type(call->self));
    *result = call->self;
    if (leeway > INT64_MAX - length || (int64_t)points <= length + leeway) return ZMLX_OK;
    if (call->self.kind != ZX_J_STRING)
        return ZX_JFAIL(run, "a string is wanted, not '%s'", zx_jvalue_type(call->self));
    zx_jstring *const text = call->self.as.string;
    size_t bytes = zx_jstring_offset(text, (size_t)(length - end_points));
    if (!zx_jarg_true(call->arg[1], false)) {
        const char *const space = memrchr(text->bytes, ' ', bytes);
        if (space != NULL) bytes = (size_t)(space - text->bytes);
    }
    ZX_TRY(zx_jstring_borrow(run, text->bytes, bytes, &head));
    head.as.string->markup = text->markup;
    return zx_jvalue_add(run, head, end, result);
}

static zmlx_status do_wordwrap(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jwrap_style style = {.width = 79,
                            .break_long_words = zx_jarg_true(call->arg[1], true),
                            .break_on_hyphens = zx_jarg_true(call->arg[3], true)};
    zx_jvalue separator = call->arg[2], lines;
    zx_jbuilder builder = {0};
    if (call->self.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, call->self.as.undefined);
    if (call->self.kind != ZX_J_STRING)
        return ZX_JFAIL(run, "a string is wanted, not '%s'", zx_jvalue_type(call->self));
    ZX_TRY(zx_jarg_int_or(run, call->arg[0], "the width", 79, &style.width));
    if (style.width <= 0) return ZX_JFAIL(run, "invalid width (must be > 0)");
    if (separator.kind == ZX_J_MISSING || separator.kind == ZX_J_NONE)
        ZX_TRY(zx_jstring_borrow(run, "\n", 1, &separator));
    if (separator.kind != ZX_J_STRING) return ZX_JFAIL(run, "'wrapstring' must be a string");
    style.separator = separator.as.string;
    ZX_TRY(zx_jstring_method(run, call->self, "splitlines", NULL, &lines));
    for (size_t i = 0; i < lines.as.list->count; i++) {
        if (i > 0) ZX_TRY(zx_jbuilder_string(run, &builder, style.separator));
        ZX_TRY(zx_jwrap_line(run, lines.as.list->items[i].as.string, &style, &builder));
    }
    return zx_jbuilder_finish(run, &builder, result);
}

static zmlx_status do_wordcount(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue value;
    bool in_word = false;
    ZX_TRY(zx_jvalue_string(run, call->self, &value));
    const zx_jstring *const text = value.as.string;
    *result = zx_jint(0);
    ZX_TRY(zx_jrun_pay_points(run, text->length));
    for (size_t at = 0, bytes = 0; at < text->length; at += bytes) {
        const bool is_word = zx_unicode_is_word(zx_jstring_at(text, at, &bytes));
        if (is_word && !in_word) result->as.integer++;
        in_word = is_word;
    }
    return ZMLX_OK;
}

/* --- formatting --- */

static zmlx_status do_format(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jargs *const args = call->all;
    zx_jvalue text, values;
    if (args->count > 0 && args->named_count > 0)
        return ZX_JFAIL(run, "can't handle positional and keyword arguments at the same time");
    ZX_TRY(zx_jvalue_string(run, call->self, &text));
    if (args->named_count > 0) {
        ZX_TRY(zx_jdict_make(run, ZX_J_DICT, &values));
        for (size_t i = 0; i < args->named_count; i++)
            ZX_TRY(zx_jdict_set(run, values.as.dict, args->named[i].key, args->named[i].value));
    } else {
        ZX_TRY(zx_jlist_make(run, ZX_J_TUPLE, args->count, &values));
        for (size_t i = 0; i < args->count; i++)
            ZX_TRY(zx_jlist_add(run, values.as.list, args->items[i]));
    }
    return zx_jformat_percent(run, text.as.string, values, result);
}

static zmlx_status do_join(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue separator = call->arg[0], item;
    zx_jiter *iter = NULL;
    zx_jbuilder builder = {0};
    bool markup = false;
    if (separator.kind == ZX_J_MISSING) ZX_TRY(zx_jstring_borrow(run, "", 0, &separator));
    ZX_TRY(zx_jvalue_string(run, separator, &separator));
    ZX_TRY(zx_jiter_make(run, call->self, &iter));
    for (size_t i = 0;; i++) {
        ZX_TRY(zx_jiter_next(run, iter, &item));
        if (item.kind == ZX_J_MISSING) break;
        ZX_TRY(zx_jattribute_path(run, item, call->arg[1], zx_jmissing(), &item));
        ZX_TRY(zx_jvalue_string(run, item, &item));
        markup = markup || (run->autoescape && item.as.string->markup);
        if (i > 0) ZX_TRY(zx_jbuilder_string(run, &builder, separator.as.string));
        ZX_TRY(zx_jbuilder_string(run, &builder, item.as.string));
    }
    if (markup || (run->autoescape && separator.as.string->markup))
        return ZX_JFAIL_AT(run, ZMLX_ERROR_UNSUPPORTED, run->line,
                           "joining escaped text under autoescape is not supported");
    return zx_jbuilder_finish(run, &builder, result);
}

static zmlx_status do_tojson(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jjson_style style = {.indent = call->arg[1],
                            .ascii = zx_jarg_true(call->arg[0], false),
                            .sort_keys = zx_jarg_true(call->arg[3], false)};
    const zx_jvalue separators = call->arg[2];
    if (separators.kind != ZX_J_MISSING && separators.kind != ZX_J_NONE) {
        zx_jvalue pair;
        zx_jstring *item = NULL, *key = NULL;
        ZX_TRY(zx_jlist_from(run, separators, &pair));
        if (pair.as.list->count != 2) return ZX_JFAIL(run, "separators must be a pair of strings");
        ZX_TRY(zx_jarg_string(run, pair.as.list->items[0], "a separator", &item));
        ZX_TRY(zx_jarg_string(run, pair.as.list->items[1], "a separator", &key));
        style.item_separator = item;
        style.key_separator = key;
    }
    if (style.indent.kind == ZX_J_MISSING) style.indent = zx_jnone();
    return zx_jvalue_json(run, call->self, &style, result);
}

/* --- URLs --- */

static zmlx_status add_quoted(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value, bool in_query)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~";
    zx_jvalue text;
    ZX_TRY(zx_jvalue_string(run, value, &text));
    ZX_TRY(zx_jrun_pay_points(run, text.as.string->length));
    for (size_t i = 0; i < text.as.string->length; i++) {
        const char c = text.as.string->bytes[i];
        if (c != '\0' && (strchr(plain, c) != NULL || (c == '/' && !in_query)))
            ZX_TRY(zx_jbuilder_add(run, builder, &c, 1));
        else if (c == ' ' && in_query)
            ZX_TRY(zx_jbuilder_text(run, builder, "+"));
        else
            ZX_TRY(zx_jbuilder_format(run, builder, "%%%02X", (unsigned)(unsigned char)c));
    }
    return ZMLX_OK;
}

static zmlx_status do_urlencode(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jbuilder builder = {0};
    zx_jvalue items = call->self, item, pair;
    zx_jiter *iter = NULL;
    if (items.kind == ZX_J_STRING || !zx_jvalue_is_iterable(items)) {
        ZX_TRY(add_quoted(run, &builder, items, false));
        return zx_jbuilder_finish(run, &builder, result);
    }
    zx_jview view = {.dict = items.as.dict, .kind = ZX_J_ITEMS};
    if (items.kind == ZX_J_DICT) items = (zx_jvalue){.kind = ZX_J_VIEW, .as.view = &view};
    ZX_TRY(zx_jiter_make(run, items, &iter));
    for (size_t i = 0;; i++) {
        ZX_TRY(zx_jiter_next(run, iter, &item));
        if (item.kind == ZX_J_MISSING) return zx_jbuilder_finish(run, &builder, result);
        ZX_TRY(zx_jlist_from(run, item, &pair));
        if (pair.as.list->count != 2) return ZX_JFAIL(run, "pairs are wanted");
        if (i > 0) ZX_TRY(zx_jbuilder_text(run, &builder, "&"));
        ZX_TRY(add_quoted(run, &builder, pair.as.list->items[0], true));
        ZX_TRY(zx_jbuilder_text(run, &builder, "="));
        ZX_TRY(add_quoted(run, &builder, pair.as.list->items[1], true));
    }
}

const zx_jbuiltin zx_jfilters_text[] = {
    {"trim", "chars?", do_trim},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", do_tojson},
    {"string", "/", do_string},
    {"upper", "/", do_upper},
    {"lower", "/", do_lower},
    {"capitalize", "/", do_capitalize},
    {"title", "/", do_title},
    {"replace", "old new count?", do_replace},
    {"join", "d? attribute?", do_join},
    {"indent", "width? first? blank?", do_indent},
    {"center", "width?", do_center},
    {"truncate", "length? killwords? end? leeway?", do_truncate},
    {"wordwrap", "width? break_long_words? wrapstring? break_on_hyphens?", do_wordwrap},
    {"wordcount", "/", do_wordcount},
    {"format", "*", do_format},
    {"urlencode", "/", do_urlencode},
    {NULL, NULL, NULL},
};
