/* tojson.c - values as Python's json.dumps writes them. */
#include <math.h>
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"

typedef struct writer {
    zx_jrun *run;
    zx_jbuilder text;
    zx_jvalue indent; /* a string, or MISSING: on one line */
    zx_jstring item_separator, key_separator;
    bool ascii, sort_keys;
    int64_t level;
} writer;

static zmlx_status write_value(writer *to, zx_jvalue value);

static zmlx_status write_text(writer *to, const char *text)
{
    return zx_jbuilder_text(to->run, &to->text, text);
}

static zmlx_status write_escape(writer *to, uint32_t point)
{
    static const char letters[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    for (size_t i = 0; i + 1 < sizeof letters; i += 2)
        if (point == (uint32_t)(unsigned char)letters[i])
            return zx_jbuilder_format(to->run, &to->text, "\\%c", letters[i + 1]);
    if (point < 0x10000) return zx_jbuilder_format(to->run, &to->text, "\\u%04x", point);
    const uint32_t rest = point - 0x10000;
    return zx_jbuilder_format(to->run, &to->text, "\\u%04x\\u%04x", 0xd800 + (rest >> 10),
                              0xdc00 + (rest & 0x3ff));
}

static zmlx_status write_string(writer *to, const zx_jstring *string)
{
    size_t plain = 0, at = 0, bytes = 0;
    ZX_TRY(zx_jrun_pay_search(to->run, string->length));
    ZX_TRY(write_text(to, "\""));
    for (; at < string->length; at += bytes) {
        const unsigned char c = (unsigned char)string->bytes[at];
        bytes = 1;
        if (c >= ' ' && c != '"' && c != '\\' && (c < 0x7f || !to->ascii)) continue;
        const uint32_t point = zx_jstring_at(string, at, &bytes);
        ZX_TRY(zx_jbuilder_add(to->run, &to->text, string->bytes + plain, at - plain));
        ZX_TRY(zx_jrun_pay(to->run, 1));
        ZX_TRY(write_escape(to, point));
        plain = at + bytes;
    }
    ZX_TRY(zx_jbuilder_add(to->run, &to->text, string->bytes + plain, at - plain));
    return write_text(to, "\"");
}

static zmlx_status write_float(writer *to, double number)
{
    char text[ZX_J_FLOAT_BYTES];
    if (isnan(number)) return write_text(to, "NaN");
    if (isinf(number)) return write_text(to, number < 0 ? "-Infinity" : "Infinity");
    zx_jfloat_text(number, text);
    return write_text(to, text);
}

/* A new line at the present level, where there is an indent. */
static zmlx_status write_break(writer *to)
{
    if (to->indent.kind == ZX_J_MISSING) return ZMLX_OK;
    ZX_TRY(write_text(to, "\n"));
    return zx_jbuilder_repeat(to->run, &to->text, to->indent.as.string, to->level);
}

/* Before item 'index' of a container, and at its end. */
static zmlx_status open_item(writer *to, size_t index)
{
    if (index > 0) {
        ZX_TRY(zx_jbuilder_string(to->run, &to->text, &to->item_separator));
        return write_break(to);
    }
    to->level++;
    return write_break(to);
}

static zmlx_status close_items(writer *to, size_t count)
{
    if (count == 0) return ZMLX_OK;
    to->level--;
    return write_break(to);
}

static zmlx_status write_list(writer *to, const zx_jlist *list)
{
    ZX_TRY(write_text(to, "["));
    for (size_t i = 0; i < list->count; i++) {
        ZX_TRY(open_item(to, i));
        ZX_TRY(write_value(to, list->items[i]));
    }
    ZX_TRY(close_items(to, list->count));
    return write_text(to, "]");
}

/* Keys that are no strings become them. */
static zmlx_status write_key(writer *to, zx_jvalue key)
{
    if (key.kind == ZX_J_STRING) return write_string(to, key.as.string);
    if (key.kind != ZX_J_NONE && !zx_jvalue_is_number(key))
        return ZX_JFAIL(to->run, "keys must be str, int, float, bool or None, not %s",
                        zx_jvalue_type(key));
    ZX_TRY(write_text(to, "\""));
    ZX_TRY(write_value(to, key));
    return write_text(to, "\"");
}

static zmlx_status write_pair(writer *to, size_t index, zx_jvalue key, zx_jvalue value)
{
    ZX_TRY(open_item(to, index));
    ZX_TRY(write_key(to, key));
    ZX_TRY(zx_jbuilder_string(to->run, &to->text, &to->key_separator));
    return write_value(to, value);
}

/* The same pairs in the order of their keys. */
static zmlx_status sort_dict(zx_jrun *run, const zx_jdict *dict, zx_jvalue *sorted)
{
    zx_jvalue keys, values;
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, dict->count, &keys));
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, dict->count, &values));
    for (size_t i = 0; i < dict->count; i++) {
        ZX_TRY(zx_jlist_add(run, keys.as.list, dict->pairs[i].key));
        ZX_TRY(zx_jlist_add(run, values.as.list, dict->pairs[i].value));
    }
    ZX_TRY(zx_jlist_sort(run, values.as.list, keys.as.list, false));
    ZX_TRY(zx_jdict_make(run, ZX_J_DICT, sorted));
    for (size_t i = 0; i < dict->count; i++)
        ZX_TRY(
            zx_jdict_set(run, sorted->as.dict, keys.as.list->items[i], values.as.list->items[i]));
    return ZMLX_OK;
}

static zmlx_status write_dict(writer *to, zx_jvalue dict)
{
    if (to->sort_keys) ZX_TRY(sort_dict(to->run, dict.as.dict, &dict));
    ZX_TRY(write_text(to, "{"));
    for (size_t i = 0; i < dict.as.dict->count; i++)
        ZX_TRY(write_pair(to, i, dict.as.dict->pairs[i].key, dict.as.dict->pairs[i].value));
    ZX_TRY(close_items(to, dict.as.dict->count));
    return write_text(to, "}");
}

static zmlx_status write_plain(writer *to, zx_jvalue value)
{
    if (value.kind == ZX_J_NONE) return write_text(to, "null");
    if (value.kind == ZX_J_BOOL) return write_text(to, value.as.boolean ? "true" : "false");
    if (value.kind == ZX_J_INT)
        return zx_jbuilder_format(to->run, &to->text, "%lld", (long long)value.as.integer);
    if (value.kind == ZX_J_FLOAT) return write_float(to, value.as.number);
    if (value.kind == ZX_J_STRING) return write_string(to, value.as.string);
    return ZX_JFAIL(to->run, "Object of type %s is not JSON serializable", zx_jvalue_type(value));
}

static zmlx_status write_value(writer *to, zx_jvalue value)
{
    ZX_TRY(zx_jrun_enter(to->run));
    if (zx_jvalue_is_sequence(value))
        ZX_TRY(write_list(to, value.as.list));
    else if (value.kind == ZX_J_DICT)
        ZX_TRY(write_dict(to, value));
    else
        ZX_TRY(write_plain(to, value));
    to->run->depth--;
    return ZMLX_OK;
}

static zmlx_status make_indent(zx_jrun *run, zx_jvalue given, zx_jvalue *indent)
{
    const zx_jstring space = {.bytes = " ", .length = 1};
    zx_jbuilder builder = {0};
    int64_t width = 0;
    *indent = given.kind == ZX_J_NONE ? zx_jmissing() : given;
    if (indent->kind == ZX_J_MISSING || indent->kind == ZX_J_STRING) return ZMLX_OK;
    ZX_TRY(zx_jarg_int(run, given, "indent", &width));
    ZX_TRY(zx_jbuilder_repeat(run, &builder, &space, width));
    return zx_jbuilder_finish(run, &builder, indent);
}

zmlx_status zx_jvalue_json(zx_jrun *run, zx_jvalue value, const zx_jjson_style *style,
                           zx_jvalue *string)
{
    writer to = {.run = run, .ascii = style->ascii, .sort_keys = style->sort_keys};
    ZX_TRY(make_indent(run, style->indent, &to.indent));
    to.item_separator = (zx_jstring){.bytes = ", ", .length = 2};
    if (to.indent.kind != ZX_J_MISSING) to.item_separator.length = 1;
    to.key_separator = (zx_jstring){.bytes = ": ", .length = 2};
    if (style->item_separator != NULL) to.item_separator = *style->item_separator;
    if (style->key_separator != NULL) to.key_separator = *style->key_separator;
    ZX_TRY(write_value(&to, value));
    return zx_jbuilder_finish(run, &to.text, string);
}
