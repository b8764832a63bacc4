/* filters_pretty.c - the filter pprint: Python's pprint.pformat, 80 columns wide.
 *
 * What fits behind its indentation is written as its repr with sorted keys; a list or dict that
 * does not gets a line for each item, a string is cut at its lines and between its words. */
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"
#include "jinja/unicode.h"

enum { WIDTH = 80 };

typedef struct place {
    int64_t indent, allowance; /* columns taken on the left, and to be kept free on the right */
    int level;
} place;

static zmlx_status format(zx_jrun *run, zx_jbuilder *into, zx_jvalue value, place at);

static int64_t points_of(zx_jvalue string)
{
    return (int64_t)zx_jstring_points(string.as.string);
}

/* The pairs of a dict ordered by key; keys of different types by the names of these. */
static zmlx_status sorted_pairs(zx_jrun *run, const zx_jdict *dict, zx_jvalue *pairs)
{
    zx_jvalue keys;
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, dict->count, pairs));
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, dict->count, &keys));
    for (size_t i = 0; i < dict->count; i++) {
        const zx_jvalue key = dict->pairs[i].key;
        zx_jvalue name, pair;
        ZX_TRY(zx_jstring_text(run, zx_jvalue_is_number(key) ? "int" : zx_jvalue_type(key), &name));
        ZX_TRY(zx_jpair_make(run, name, key, &pair));
        ZX_TRY(zx_jlist_add(run, keys.as.list, pair));
        ZX_TRY(zx_jpair_make(run, key, dict->pairs[i].value, &pair));
        ZX_TRY(zx_jlist_add(run, pairs->as.list, pair));
    }
    return zx_jlist_sort(run, pairs->as.list, keys.as.list, false);
}

/* repr, with the keys of dicts sorted. */
static zmlx_status add_repr(zx_jrun *run, zx_jbuilder *into, zx_jvalue value)
{
    const bool is_dict = value.kind == ZX_J_DICT;
    if (!is_dict && !zx_jvalue_is_sequence(value)) return zx_jvalue_repr(run, into, value);
    zx_jvalue items = value;
    ZX_TRY(zx_jrun_enter(run));
    if (is_dict) ZX_TRY(sorted_pairs(run, value.as.dict, &items));
    ZX_TRY(zx_jbuilder_text(run, into, is_dict ? "{" : value.kind == ZX_J_LIST ? "[" : "("));
    for (size_t i = 0; i < items.as.list->count; i++) {
        const zx_jvalue item = items.as.list->items[i];
        if (i > 0) ZX_TRY(zx_jbuilder_text(run, into, ", "));
        if (is_dict) {
            ZX_TRY(add_repr(run, into, item.as.list->items[0]));
            ZX_TRY(zx_jbuilder_text(run, into, ": "));
        }
        ZX_TRY(add_repr(run, into, is_dict ? item.as.list->items[1] : item));
    }
    if (value.kind == ZX_J_TUPLE && items.as.list->count == 1)
        ZX_TRY(zx_jbuilder_text(run, into, ","));
    run->depth--;
    return zx_jbuilder_text(run, into, is_dict ? "}" : value.kind == ZX_J_LIST ? "]" : ")");
}

static zmlx_status sorted_repr(zx_jrun *run, zx_jvalue value, zx_jvalue *string)
{
    zx_jbuilder builder = {0};
    ZX_TRY(add_repr(run, &builder, value));
    return zx_jbuilder_finish(run, &builder, string);
}

static zmlx_status new_line(zx_jrun *run, zx_jbuilder *into, int64_t indent)
{
    const zx_jstring space = {.bytes = " ", .length = 1};
    ZX_TRY(zx_jbuilder_text(run, into, "\n"));
    return zx_jbuilder_repeat(run, into, &space, indent);
}

/* --- lists and dicts --- */

static zmlx_status format_items(zx_jrun *run, zx_jbuilder *into, const zx_jlist *items, place at)
{
    at.indent++;
    for (size_t i = 0; i < items->count; i++) {
        place own = at;
        if (i + 1 < items->count) own.allowance = 1;
        if (i > 0) {
            ZX_TRY(zx_jbuilder_text(run, into, ","));
            ZX_TRY(new_line(run, into, at.indent));
        }
        ZX_TRY(format(run, into, items->items[i], own));
    }
    return ZMLX_OK;
}

static zmlx_status format_list(zx_jrun *run, zx_jbuilder *into, zx_jvalue value, place at)
{
    const bool is_list = value.kind == ZX_J_LIST;
    const char *const close = is_list ? "]" : value.as.list->count == 1 ? ",)" : ")";
    ZX_TRY(zx_jbuilder_text(run, into, is_list ? "[" : "("));
    at.allowance += (int64_t)strlen(close);
    ZX_TRY(format_items(run, into, value.as.list, at));
    return zx_jbuilder_text(run, into, close);
}

static zmlx_status format_dict(zx_jrun *run, zx_jbuilder *into, zx_jvalue value, place at)
{
    zx_jvalue pairs, key;
    ZX_TRY(sorted_pairs(run, value.as.dict, &pairs));
    ZX_TRY(zx_jbuilder_text(run, into, "{"));
    at.indent++;
    at.allowance++;
    for (size_t i = 0; i < pairs.as.list->count; i++) {
        const zx_jvalue *const pair = pairs.as.list->items[i].as.list->items;
        place own = at;
        if (i + 1 < pairs.as.list->count) own.allowance = 1;
        if (i > 0) {
            ZX_TRY(zx_jbuilder_text(run, into, ","));
            ZX_TRY(new_line(run, into, at.indent));
        }
        ZX_TRY(sorted_repr(run, pair[0], &key));
        ZX_TRY(zx_jbuilder_string(run, into, key.as.string));
        ZX_TRY(zx_jbuilder_text(run, into, ": "));
        own.indent += points_of(key) + 2;
        ZX_TRY(format(run, into, pair[1], own));
    }
    return zx_jbuilder_text(run, into, "}");
}

/* --- strings --- */

typedef struct cutter {
    zx_jrun *run;
    zx_jlist *chunks; /* the reprs of the pieces */
    int64_t width;    /* of every piece but the last */
    int64_t allowance;
} cutter;

static zmlx_status repr_of(zx_jrun *run, const zx_jstring *text, size_t start, size_t end,
                           zx_jvalue *repr)
{
    ZX_TRY(zx_jstring_borrow(run, text->bytes + start, end - start, repr));
    return zx_jvalue_repr_string(run, *repr, repr);
}

/* Where the word that begins at 'at' and the space behind it end. */
static size_t end_of_word(const zx_jstring *text, size_t at)
{
    bool in_space = false;
    for (size_t bytes = 0; at < text->length; at += bytes) {
        const bool is_space = zx_unicode_is_space(zx_jstring_at(text, at, &bytes));
        if (in_space && !is_space) break;
        in_space = is_space;
    }
    return at;
}

/* A line that is too wide: as many words as fit into each piece. */
static zmlx_status cut_line(const cutter *all, const zx_jstring *line, bool is_last)
{
    size_t start = 0, end = 0;
    int64_t width = all->width;
    zx_jvalue repr = zx_jmissing(), longer;
    while (end < line->length) {
        const size_t next = end_of_word(line, end);
        if (next == line->length && is_last) width -= all->allowance;
        ZX_TRY(repr_of(all->run, line, start, next, &longer));
        if (points_of(longer) > width) {
            if (end > start) ZX_TRY(zx_jlist_add(all->run, all->chunks, repr));
            start = end;
            ZX_TRY(repr_of(all->run, line, start, next, &longer));
        }
        repr = longer;
        end = next;
    }
    return end > start ? zx_jlist_add(all->run, all->chunks, repr) : ZMLX_OK;
}

static zmlx_status format_string(zx_jrun *run, zx_jbuilder *into, zx_jvalue value, place at)
{
    zx_jvalue lines, chunks;
    const zx_jvalue keep[2] = {zx_jbool(true), zx_jmissing()};
    const bool outermost = at.level == 1;
    if (outermost) {
        at.indent++;
        at.allowance++;
    }
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, 0, &chunks));
    const cutter all = {.run = run,
                        .chunks = chunks.as.list,
                        .width = WIDTH - at.indent,
                        .allowance = at.allowance};
    ZX_TRY(zx_jstring_method(run, value, "splitlines", keep, &lines));
    const size_t count = lines.as.list->count;
    for (size_t i = 0; i < count; i++) {
        const zx_jstring *const line = lines.as.list->items[i].as.string;
        const bool is_last = i + 1 == count;
        zx_jvalue repr;
        ZX_TRY(repr_of(run, line, 0, line->length, &repr));
        if (points_of(repr) <= all.width - (is_last ? all.allowance : 0))
            ZX_TRY(zx_jlist_add(run, all.chunks, repr));
        else
            ZX_TRY(cut_line(&all, line, is_last));
    }
    const bool brackets = outermost && all.chunks->count != 1;
    if (brackets) ZX_TRY(zx_jbuilder_text(run, into, "("));
    for (size_t i = 0; i < all.chunks->count; i++) {
        if (i > 0) ZX_TRY(new_line(run, into, at.indent));
        ZX_TRY(zx_jbuilder_string(run, into, all.chunks->items[i].as.string));
    }
    return brackets ? zx_jbuilder_text(run, into, ")") : ZMLX_OK;
}

static zmlx_status format(zx_jrun *run, zx_jbuilder *into, zx_jvalue value, place at)
{
    zx_jvalue repr;
    ZX_TRY(zx_jrun_enter(run));
    at.level++;
    ZX_TRY(sorted_repr(run, value, &repr));
    const bool fits = points_of(repr) <= WIDTH - at.indent - at.allowance;
    if (!fits && value.kind == ZX_J_DICT)
        ZX_TRY(format_dict(run, into, value, at));
    else if (!fits && zx_jvalue_is_sequence(value))
        ZX_TRY(format_list(run, into, value, at));
    else if (!fits && value.kind == ZX_J_STRING && !value.as.string->markup)
        ZX_TRY(format_string(run, into, value, at));
    else
        ZX_TRY(zx_jbuilder_string(run, into, repr.as.string));
    run->depth--;
    return ZMLX_OK;
}

static zmlx_status do_pprint(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jbuilder builder = {0};
    ZX_TRY(format(run, &builder, call->self, (place){0}));
    return zx_jbuilder_finish(run, &builder, result);
}

const zx_jbuiltin zx_jfilters_pretty[] = {
    {"pprint", "/", do_pprint},
    {NULL, NULL, NULL},
};
