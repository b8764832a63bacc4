/* methods_split.c - methods of strings that take them apart and join them. */
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"
#include "jinja/unicode.h"

/* A list of pieces being cut from a text. */
typedef struct pieces {
    zx_jrun *run;
    const zx_jstring *text;
    zx_jlist *list;
} pieces;

static zmlx_status add_piece(const pieces *into, size_t start, size_t end)
{
    zx_jvalue piece;
    ZX_TRY(zx_jrun_pay(into->run, 1));
    ZX_TRY(zx_jstring_borrow(into->run, into->text->bytes + start, end - start, &piece));
    return zx_jlist_add(into->run, into->list, piece);
}

static void reverse(zx_jlist *list)
{
    for (size_t i = 0; i < list->count / 2; i++) {
        const zx_jvalue other = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = list->items[i];
        list->items[i] = other;
    }
}

/* --- at whitespace --- */

static size_t skip(const zx_jstring *text, size_t at, bool space)
{
    size_t bytes = 0;
    while (at < text->length && zx_unicode_is_space(zx_jstring_at(text, at, &bytes)) == space)
        at += bytes;
    return at;
}

static size_t skip_back(const zx_jstring *text, size_t at, bool space)
{
    size_t bytes = 0;
    while (at > 0 && zx_unicode_is_space(zx_jstring_before(text, at, &bytes)) == space) at -= bytes;
    return at;
}

static zmlx_status split_words(const pieces *into, int64_t most)
{
    const zx_jstring *const text = into->text;
    size_t at = skip(text, 0, true);
    for (; at < text->length; most--) {
        if (most == 0) return add_piece(into, at, text->length); /* as it is */
        const size_t end = skip(text, at, false);
        ZX_TRY(add_piece(into, at, end));
        at = skip(text, end, true);
    }
    return ZMLX_OK;
}

static zmlx_status rsplit_words(const pieces *into, int64_t most)
{
    const zx_jstring *const text = into->text;
    size_t end = skip_back(text, text->length, true);
    for (; end > 0; most--) {
        if (most == 0) return add_piece(into, 0, end);
        const size_t start = skip_back(text, end, false);
        ZX_TRY(add_piece(into, start, end));
        end = skip_back(text, start, true);
    }
    return ZMLX_OK;
}

/* --- at a separator --- */

static zmlx_status split_at(const pieces *into, const zx_jstring *separator, int64_t most)
{
    const zx_jstring *const text = into->text;
    size_t start = 0;
    for (; most > 0; most--) {
        const char *const found =
            memmem(text->bytes + start, text->length - start, separator->bytes, separator->length);
        if (found == NULL) break;
        const size_t at = (size_t)(found - text->bytes);
        ZX_TRY(add_piece(into, start, at));
        start = at + separator->length;
    }
    return add_piece(into, start, text->length);
}

static zmlx_status rsplit_at(const pieces *into, const zx_jstring *separator, int64_t most)
{
    const zx_jstring *const text = into->text;
    size_t end = text->length;
    for (; most > 0; most--) {
        size_t at = SIZE_MAX;
        ZX_TRY(zx_jstring_find_last(into->run, text, separator, (const size_t[2]){0, end}, &at));
        if (at == SIZE_MAX) break;
        ZX_TRY(add_piece(into, at + separator->length, end));
        end = at;
    }
    return add_piece(into, 0, end);
}

static zmlx_status split(zx_jrun *run, const zx_jcall *call, bool from_right, zx_jvalue *result)
{
    zx_jstring *separator = NULL;
    int64_t most = -1;
    if (call->arg[0].kind != ZX_J_MISSING && call->arg[0].kind != ZX_J_NONE)
        ZX_TRY(zx_jarg_string(run, call->arg[0], "the separator", &separator));
    if (separator != NULL && separator->length == 0) return ZX_JFAIL(run, "empty separator");
    ZX_TRY(zx_jarg_int_or(run, call->arg[1], "maxsplit", -1, &most));
    if (most < 0) most = INT64_MAX;
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, 0, result));
    const pieces into = {.run = run, .text = call->self.as.string, .list = result->as.list};
    ZX_TRY(zx_jrun_pay_points(run, into.text->length));
    if (!from_right)
        return separator != NULL ? split_at(&into, separator, most) : split_words(&into, most);
    ZX_TRY(separator != NULL ? rsplit_at(&into, separator, most) : rsplit_words(&into, most));
    reverse(result->as.list);
    return ZMLX_OK;
}

static zmlx_status do_split(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return split(run, call, false, result);
}

static zmlx_status do_rsplit(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return split(run, call, true, result);
}

static zmlx_status do_splitlines(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    const bool keep = zx_jarg_true(call->arg[0], false);
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, 0, result));
    ZX_TRY(zx_jrun_pay_points(run, text->length));
    const pieces into = {.run = run, .text = text, .list = result->as.list};
    size_t start = 0, at = 0, bytes = 0;
    while (at < text->length) {
        const uint32_t point = zx_jstring_at(text, at, &bytes);
        const size_t end = at;
        at += bytes;
        if (!zx_unicode_is_line_end(point)) continue;
        if (point == '\r' && at < text->length && text->bytes[at] == '\n') at++;
        ZX_TRY(add_piece(&into, start, keep ? at : end));
        start = at;
    }
    return start < text->length ? add_piece(&into, start, text->length) : ZMLX_OK;
}

/* --- partition --- */

static zmlx_status partition(zx_jrun *run, const zx_jcall *call, bool last, zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    zx_jstring *separator = NULL;
    ZX_TRY(zx_jarg_string(run, call->arg[0], "the separator", &separator));
    if (separator->length == 0) return ZX_JFAIL(run, "empty separator");
    ZX_TRY(zx_jrun_pay_search(run, text->length));
    ZX_TRY(zx_jlist_make(run, ZX_J_TUPLE, 3, result));
    const pieces into = {.run = run, .text = text, .list = result->as.list};
    size_t at = SIZE_MAX;
    if (last) {
        ZX_TRY(zx_jstring_find_last(run, text, separator, (const size_t[2]){0, text->length}, &at));
    } else {
        const char *const found =
            memmem(text->bytes, text->length, separator->bytes, separator->length);
        if (found != NULL) at = (size_t)(found - text->bytes);
    }
    const size_t absent = last ? 0 : text->length; /* where all of the text goes then */
    const size_t start = at == SIZE_MAX ? absent : at;
    const size_t end = at == SIZE_MAX ? absent : at + separator->length;
    ZX_TRY(add_piece(&into, 0, start));
    ZX_TRY(add_piece(&into, start, end));
    return add_piece(&into, end, text->length);
}

static zmlx_status do_partition(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return partition(run, call, false, result);
}

static zmlx_status do_rpartition(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return partition(run, call, true, result);
}

/* --- joining --- */

static zmlx_status do_join(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jstring *const separator = call->self.as.string;
    zx_jiter *iter = NULL;
    zx_jbuilder builder = {0};
    ZX_TRY(zx_jiter_make(run, call->arg[0], &iter));
    for (size_t i = 0;; i++) {
        zx_jvalue item;
        ZX_TRY(zx_jiter_next(run, iter, &item));
        if (item.kind == ZX_J_MISSING) return zx_jbuilder_finish(run, &builder, result);
        if (separator->markup) ZX_TRY(zx_jvalue_escape(run, item, &item));
        if (item.kind != ZX_J_STRING)
            return ZX_JFAIL(run, "sequence item %zu: expected str instance, %s found", i,
                            zx_jvalue_type(item));
        if (i > 0) ZX_TRY(zx_jbuilder_string(run, &builder, separator));
        ZX_TRY(zx_jbuilder_string(run, &builder, item.as.string));
    }
}

const zx_jbuiltin zx_jmethods_split[] = {
    {"split", "sep? maxsplit?", do_split},
    {"rsplit", "sep? maxsplit?", do_rsplit},
    {"splitlines", "keepends?", do_splitlines},
    {"partition", "/sep", do_partition},
    {"rpartition", "/sep", do_rpartition},
    {"join", "/iterable", do_join},
    {NULL, NULL, NULL},
};
