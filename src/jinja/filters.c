/* filters.c - finding a filter in its tables, and what several of them use. */
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"
#include "jinja/unicode.h"

const zx_jbuiltin *zx_jfilter_find(const zx_jstring *name)
{
    static const zx_jbuiltin *const tables[] = {zx_jfilters_text,
                                                zx_jfilters_list,
                                                zx_jfilters_lazy,
                                                zx_jfilters_number,
                                                zx_jfilters_html,
                                                zx_jfilters_pretty,
                                                NULL};
    const zx_jbuiltin *row = NULL;
    for (size_t i = 0; tables[i] != NULL && row == NULL; i++)
        row = zx_jbuiltin_find(tables[i], name);
    return row;
}

zmlx_status zx_jstring_method(zx_jrun *run, zx_jvalue string, const char *name,
                              const zx_jvalue args[2], zx_jvalue *result)
{
    const zx_jstring method = {.bytes = name, .length = strlen(name)};
    bool is_unsafe = false;
    const zx_jbuiltin *const row = zx_jmethod_find(ZX_J_STRING, &method, &is_unsafe);
    zx_jvalue given[2] = {zx_jmissing(), zx_jmissing()};
    zx_jargs positional = {.items = given};
    while (args != NULL && positional.count < 2 && args[positional.count].kind != ZX_J_MISSING) {
        given[positional.count] = args[positional.count];
        positional.count++;
    }
    const bool markup = string.as.string->markup;
    ZX_TRY(zx_jbuiltin_call(run, row, string, &positional, result));
    if (result->kind == ZX_J_STRING) result->as.string->markup = markup;
    return ZMLX_OK;
}

/* One part of a path: digits are an index. */
static zmlx_status follow(zx_jrun *run, const char *bytes, size_t length, zx_jvalue *item)
{
    const zx_jstring text = {.bytes = bytes, .length = length};
    bool digits = length > 0, overflow = false;
    zx_jvalue key;
    for (size_t at = 0, step = 0; at < length && digits; at += step)
        digits = zx_unicode_is_digit(zx_jstring_at(&text, at, &step));
    if (digits) {
        key = zx_jint(0);
        if (!zx_jnumber_parse_int(&text, 10, &key.as.integer, &overflow) || overflow)
            return ZX_JFAIL(run, "an attribute's index does not fit");
    } else {
        ZX_TRY(zx_jstring_borrow(run, bytes, length, &key));
    }
    return zx_jvalue_item(run, *item, key, item);
}

zmlx_status zx_jattribute_path(zx_jrun *run, zx_jvalue item, zx_jvalue path, zx_jvalue otherwise,
                               zx_jvalue *found)
{
    const bool has_default = otherwise.kind != ZX_J_MISSING && otherwise.kind != ZX_J_NONE;
    *found = item;
    if (path.kind == ZX_J_MISSING || path.kind == ZX_J_NONE) return ZMLX_OK;
    if (path.kind != ZX_J_STRING) {
        ZX_TRY(zx_jvalue_item(run, item, path, found));
        if (has_default && found->kind == ZX_J_UNDEFINED) *found = otherwise;
        return ZMLX_OK;
    }
    const zx_jstring *const text = path.as.string;
    for (size_t at = 0; at <= text->length;) {
        const char *const dot = memchr(text->bytes + at, '.', text->length - at);
        const size_t end = dot != NULL ? (size_t)(dot - text->bytes) : text->length;
        ZX_TRY(zx_jrun_pay(run, 1));
        ZX_TRY(follow(run, text->bytes + at, end - at, found));
        if (has_default && found->kind == ZX_J_UNDEFINED) *found = otherwise;
        at = end + 1;
    }
    return ZMLX_OK;
}

zmlx_status zx_jvalue_fold(zx_jrun *run, zx_jvalue value, zx_jvalue *folded)
{
    *folded = value;
    if (value.kind != ZX_J_STRING) return ZMLX_OK;
    return zx_jstring_method(run, value, "lower", NULL, folded);
}
