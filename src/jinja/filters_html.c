/* filters_html.c - escaping, and the few filters that know of markup. */
#include <stdlib.h>
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"

static const struct {
    char character;
    const char *entity;
} entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'\'', "&#39;"}, {'"', "&#34;"}};

zmlx_status zx_jvalue_escape(zx_jrun *run, zx_jvalue value, zx_jvalue *escaped)
{
    zx_jvalue text;
    zx_jbuilder builder = {0};
    ZX_TRY(zx_jvalue_string(run, value, &text));
    *escaped = text;
    if (text.as.string->markup) return ZMLX_OK;
    const zx_jstring *const plain = text.as.string;
    ZX_TRY(zx_jrun_pay_search(run, plain->length));
    for (size_t i = 0; i < plain->length; i++) {
        size_t row = 0;
        while (row < 5 && entities[row].character != plain->bytes[i]) row++;
        if (row < 5)
            ZX_TRY(zx_jbuilder_text(run, &builder, entities[row].entity));
        else
            ZX_TRY(zx_jbuilder_add(run, &builder, plain->bytes + i, 1));
    }
    ZX_TRY(zx_jbuilder_finish(run, &builder, escaped));
    escaped->as.string->markup = true;
    return ZMLX_OK;
}

static zmlx_status do_escape(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return zx_jvalue_escape(run, call->self, result);
}

static zmlx_status do_forceescape(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue text;
    ZX_TRY(zx_jvalue_string(run, call->self, &text));
    ZX_TRY(zx_jstring_mark(run, text.as.string, false, &text));
    return zx_jvalue_escape(run, text, result);
}

static zmlx_status do_safe(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue text;
    ZX_TRY(zx_jvalue_string(run, call->self, &text));
    return zx_jstring_mark(run, text.as.string, true, result);
}

/* --- striptags --- */

/* Adds a text without what lies between 'open' and the next 'close'. */
static zmlx_status cut(zx_jrun *run, zx_jvalue *text, const char *open, const char *close)
{
    const zx_jstring *const from = text->as.string;
    zx_jbuilder builder = {0};
    size_t at = 0;
    ZX_TRY(zx_jrun_pay_search(run, from->length));
    for (;;) {
        const char *const rest = from->bytes + at;
        const size_t left = from->length - at;
        const char *const begin = memmem(rest, left, open, strlen(open));
        const char *const end =
            begin == NULL ? NULL
                          : memmem(begin, left - (size_t)(begin - rest), close, strlen(close));
        if (end == NULL) break;
        ZX_TRY(zx_jbuilder_add(run, &builder, rest, (size_t)(begin - rest)));
        at = (size_t)(end - from->bytes) + strlen(close);
    }
    ZX_TRY(zx_jbuilder_add(run, &builder, from->bytes + at, from->length - at));
    return zx_jbuilder_finish(run, &builder, text);
}

/* A character reference at 'at'; how many bytes it takes, or 0. */
static size_t read_entity(const zx_jstring *text, size_t at, uint32_t *point)
{
    static const struct {
        const char *name;
        uint32_t point;
    } names[] = {{"&amp;", '&'},  {"&lt;", '<'},    {"&gt;", '>'},
                 {"&quot;", '"'}, {"&apos;", '\''}, {"&nbsp;", 0xa0}};
    const size_t left = text->length - at;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t length = strlen(names[i].name);
        if (left < length || memcmp(text->bytes + at, names[i].name, length) != 0) continue;
        *point = names[i].point;
        return length;
    }
    if (left < 4 || text->bytes[at + 1] != '#') return 0;
    const bool hex = (text->bytes[at + 2] | 0x20) == 'x';
    size_t end = at + 2 + (hex ? 1 : 0);
    const size_t digits = end;
    const char *const allowed = hex ? "0123456789abcdefABCDEF" : "0123456789";
    while (end < text->length && end - digits < 8 && text->bytes[end] != '\0' &&
           strchr(allowed, text->bytes[end]) != NULL)
        end++;
    if (end == digits) return 0;
    char number[12] = "";
    memcpy(number, text->bytes + digits, end - digits);
    const unsigned long value = strtoul(number, NULL, hex ? 16 : 10);
    *point = value == 0 || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)
                 ? 0xfffd
                 : (uint32_t)value;
    return end - at + (end < text->length && text->bytes[end] == ';' ? 1 : 0);
}

static zmlx_status unescape(zx_jrun *run, const zx_jstring *text, zx_jvalue *result)
{
    zx_jbuilder builder = {0};
    for (size_t at = 0; at < text->length;) {
        uint32_t point = 0;
        const size_t bytes = text->bytes[at] == '&' ? read_entity(text, at, &point) : 0;
        if (bytes > 0)
            ZX_TRY(zx_jbuilder_point(run, &builder, point));
        else
            ZX_TRY(zx_jbuilder_add(run, &builder, text->bytes + at, 1));
        at += bytes > 0 ? bytes : 1;
    }
    return zx_jbuilder_finish(run, &builder, result);
}

static zmlx_status do_striptags(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue text, words, space;
    ZX_TRY(zx_jvalue_string(run, call->self, &text));
    ZX_TRY(cut(run, &text, "<!--", "-->"));
    ZX_TRY(cut(run, &text, "<", ">"));
    ZX_TRY(zx_jstring_method(run, text, "split", NULL, &words));
    ZX_TRY(zx_jstring_borrow(run, " ", 1, &space));
    const zx_jvalue given[2] = {words, zx_jmissing()};
    ZX_TRY(zx_jstring_method(run, space, "join", given, &text));
    return unescape(run, text.as.string, result);
}

/* --- the rest --- */

static zmlx_status add_attribute(zx_jrun *run, const zx_jpair *pair, zx_jbuilder *builder)
{
    zx_jvalue key, value;
    if (pair->value.kind == ZX_J_NONE || pair->value.kind == ZX_J_UNDEFINED) return ZMLX_OK;
    if (pair->key.kind != ZX_J_STRING) return ZX_JFAIL(run, "attribute names must be strings");
    const zx_jstring *const name = pair->key.as.string;
    for (size_t i = 0; i < name->length; i++)
        if (name->bytes[i] != '\0' && strchr(" \t\n\r\f\v/>=", name->bytes[i]) != NULL)
            return ZX_JFAIL(run, "invalid character in an attribute name");
    ZX_TRY(zx_jvalue_escape(run, pair->key, &key));
    ZX_TRY(zx_jvalue_escape(run, pair->value, &value));
    if (builder->length > 0) ZX_TRY(zx_jbuilder_text(run, builder, " "));
    ZX_TRY(zx_jbuilder_string(run, builder, key.as.string));
    ZX_TRY(zx_jbuilder_text(run, builder, "=\""));
    ZX_TRY(zx_jbuilder_string(run, builder, value.as.string));
    return zx_jbuilder_text(run, builder, "\"");
}

static zmlx_status do_xmlattr(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jbuilder builder = {0};
    if (call->self.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, call->self.as.undefined);
    if (call->self.kind != ZX_J_DICT) return ZX_JFAIL(run, "a dict is wanted");
    for (size_t i = 0; i < call->self.as.dict->count; i++)
        ZX_TRY(add_attribute(run, &call->self.as.dict->pairs[i], &builder));
    ZX_TRY(zx_jbuilder_finish(run, &builder, result));
    if (zx_jarg_true(call->arg[0], true) && result->as.string->length > 0) {
        zx_jvalue space;
        ZX_TRY(zx_jstring_borrow(run, " ", 1, &space));
        ZX_TRY(zx_jstring_concat(run, space.as.string, result->as.string, result));
    }
    result->as.string->markup = run->autoescape;
    return ZMLX_OK;
}

static zmlx_status do_unsupported(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)call;
    (void)result;
    return ZX_JFAIL_AT(run, ZMLX_ERROR_UNSUPPORTED, run->line, "this filter is not supported");
}

const zx_jbuiltin zx_jfilters_html[] = {
    {"escape", "/", do_escape},       {"e", "/", do_escape},
    {"safe", "/", do_safe},           {"forceescape", "/", do_forceescape},
    {"striptags", "/", do_striptags}, {"xmlattr", "autospace?", do_xmlattr},
    {"urlize", "*", do_unsupported},  {NULL, NULL, NULL},
};
