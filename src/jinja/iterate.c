/* iterate.c - going over values as Python's iter() does, backwards as reversed() does, and
 * sorting as sorted() does. */
#include <string.h>

#include "jinja/loop.h"
#include "jinja/run.h"

/* --- forwards --- */

static zmlx_status next_of_nothing(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    (void)run;
    (void)iter;
    *item = zx_jmissing();
    return ZMLX_OK;
}

static zmlx_status next_of_list(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    (void)run;
    const zx_jlist *const list = iter->source.as.list;
    *item = iter->at < list->count ? list->items[iter->at++] : zx_jmissing();
    return ZMLX_OK;
}

static zmlx_status next_of_string(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    const zx_jstring *const text = iter->source.as.string;
    size_t bytes = 0;
    *item = zx_jmissing();
    if (iter->at >= text->length) return ZMLX_OK;
    (void)zx_jstring_at(text, iter->at, &bytes);
    ZX_TRY(zx_jstring_borrow(run, text->bytes + iter->at, bytes, item));
    iter->at += bytes;
    return ZMLX_OK;
}

static zmlx_status view_item(zx_jrun *run, const zx_jpair *pair, zx_jview_kind kind,
                             zx_jvalue *item)
{
    if (kind == ZX_J_ITEMS) return zx_jpair_make(run, pair->key, pair->value, item);
    *item = kind == ZX_J_KEYS ? pair->key : pair->value;
    return ZMLX_OK;
}

static zmlx_status next_of_view(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    const zx_jview *const view = iter->source.as.view;
    *item = zx_jmissing();
    if (iter->at >= view->dict->count) return ZMLX_OK;
    return view_item(run, &view->dict->pairs[iter->at++], view->kind, item);
}

static zmlx_status next_of_dict(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    (void)run;
    const zx_jdict *const dict = iter->source.as.dict;
    *item = iter->at < dict->count ? dict->pairs[iter->at++].key : zx_jmissing();
    return ZMLX_OK;
}

static zmlx_status next_of_range(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    (void)run;
    const zx_jrange *const range = iter->source.as.range;
    *item = zx_jmissing();
    if (iter->at >= (size_t)range->count) return ZMLX_OK;
    *item = zx_jint(range->start + (int64_t)iter->at++ * range->step);
    return ZMLX_OK;
}

/* A loop yields what is left of it, each item with the loop. */
static zmlx_status next_of_loop(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    zx_jvalue next;
    ZX_TRY(zx_jloop_next(run, iter->source.as.loop, &next));
    *item = next;
    if (next.kind == ZX_J_MISSING) return ZMLX_OK;
    return zx_jpair_make(run, next, iter->source, item);
}

typedef zmlx_status (*next_fn)(zx_jrun *run, zx_jiter *iter, zx_jvalue *item);

static const next_fn forwards[ZX_J_KINDS] = {
    [ZX_J_UNDEFINED] = next_of_nothing, [ZX_J_STRING] = next_of_string, [ZX_J_LIST] = next_of_list,
    [ZX_J_TUPLE] = next_of_list,        [ZX_J_DICT] = next_of_dict,     [ZX_J_VIEW] = next_of_view,
    [ZX_J_RANGE] = next_of_range,       [ZX_J_LOOP] = next_of_loop,
};

bool zx_jvalue_is_iterable(zx_jvalue value)
{
    return value.kind == ZX_J_ITERATOR || forwards[value.kind] != NULL;
}

static zmlx_status make_iter(zx_jrun *run, const zx_jiter *model, zx_jiter **iter)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jiter), &memory));
    *iter = memory;
    **iter = *model;
    return ZMLX_OK;
}

zmlx_status zx_jiter_make(zx_jrun *run, zx_jvalue value, zx_jiter **iter)
{
    *iter = value.as.iter;
    if (value.kind == ZX_J_ITERATOR) return ZMLX_OK;
    if (forwards[value.kind] == NULL)
        return ZX_JFAIL(run, "'%s' object is not iterable", zx_jvalue_type(value));
    return make_iter(run, &(zx_jiter){.next = forwards[value.kind], .source = value}, iter);
}

zmlx_status zx_jiter_next(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    ZX_TRY(zx_jrun_enter(run));
    ZX_TRY(iter->next(run, iter, item));
    run->depth--;
    return ZMLX_OK;
}

zmlx_status zx_jiter_lazy(zx_jrun *run, const zx_jiter *model, zx_jvalue *iterator)
{
    zx_jiter *iter = NULL;
    ZX_TRY(make_iter(run, model, &iter));
    *iterator = (zx_jvalue){.kind = ZX_J_ITERATOR, .as.iter = iter};
    return ZMLX_OK;
}

zmlx_status zx_jlist_from(zx_jrun *run, zx_jvalue iterable, zx_jvalue *list)
{
    zx_jiter *iter = NULL;
    bool has_length = false;
    size_t length = 0;
    ZX_TRY(zx_jiter_make(run, iterable, &iter));
    if (iterable.kind != ZX_J_LOOP) ZX_TRY(zx_jvalue_length(run, iterable, &has_length, &length));
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, has_length ? length : 0, list));
    for (;;) {
        zx_jvalue item;
        ZX_TRY(zx_jiter_next(run, iter, &item));
        if (item.kind == ZX_J_MISSING) return ZMLX_OK;
        ZX_TRY(zx_jlist_add(run, list->as.list, item));
    }
}

/* --- backwards: 'at' counts the items that are left --- */

static zmlx_status previous_item(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    const zx_jvalue source = iter->source;
    *item = zx_jmissing();
    if (iter->at == 0) return ZMLX_OK;
    const size_t at = --iter->at;
    if (zx_jvalue_is_sequence(source))
        *item = source.as.list->items[at];
    else if (source.kind == ZX_J_DICT)
        *item = source.as.dict->pairs[at].key;
    else if (source.kind == ZX_J_RANGE)
        *item = zx_jint(source.as.range->start + (int64_t)at * source.as.range->step);
    else
        return view_item(run, &source.as.view->dict->pairs[at], source.as.view->kind, item);
    return ZMLX_OK;
}

static zmlx_status previous_point(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    const zx_jstring *const text = iter->source.as.string;
    size_t bytes = 0;
    *item = zx_jmissing();
    if (iter->at == 0) return ZMLX_OK;
    (void)zx_jstring_before(text, iter->at, &bytes);
    iter->at -= bytes;
    return zx_jstring_borrow(run, text->bytes + iter->at, bytes, item);
}

zmlx_status zx_jiter_reversed(zx_jrun *run, zx_jvalue value, bool *reversible, zx_jvalue *iterator)
{
    zx_jiter model = {.next = previous_item, .type = "reversed", .source = value};
    bool has_length = false;
    *reversible = value.kind != ZX_J_LOOP;
    if (!*reversible) return ZMLX_OK;
    ZX_TRY(zx_jvalue_length(run, value, &has_length, &model.at));
    *reversible = has_length;
    if (!has_length) return ZMLX_OK;
    if (value.kind == ZX_J_STRING) {
        model.next = previous_point;
        model.at = value.as.string->length;
    }
    return zx_jiter_lazy(run, &model, iterator);
}

/* --- sorting --- */

typedef struct sorted {
    zx_jvalue key, item;
} sorted;

/* Merges two sorted runs; an item of the second goes first only where it is less. */
static zmlx_status merge(zx_jrun *run, const sorted *from, size_t middle, size_t count,
                         sorted *into)
{
    size_t a = 0, b = middle;
    for (size_t i = 0; i < count; i++) {
        bool take_second = a == middle;
        if (a < middle && b < count)
            ZX_TRY(zx_jvalue_less(run, from[b].key, from[a].key, "<", &take_second));
        into[i] = take_second ? from[b++] : from[a++];
    }
    return ZMLX_OK;
}

static zmlx_status merge_sort(zx_jrun *run, sorted *rows, sorted *scratch, size_t count)
{
    sorted *from = rows, *into = scratch;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t at = 0; at < count; at += 2 * width) {
            const size_t left = count - at;
            ZX_TRY(merge(run, from + at, width < left ? width : left,
                         2 * width < left ? 2 * width : left, into + at));
        }
        sorted *const other = from;
        from = into;
        into = other;
    }
    if (from != rows) memcpy(rows, from, count * sizeof *rows);
    return ZMLX_OK;
}

zmlx_status zx_jlist_sort(zx_jrun *run, zx_jlist *items, zx_jlist *keys, bool reverse)
{
    const size_t count = items->count;
    void *rows_memory = NULL, *scratch = NULL;
    if (count < 2) return ZMLX_OK;
    ZX_TRY(zx_jalloc(run, count, sizeof(sorted), &rows_memory));
    ZX_TRY(zx_jalloc(run, count, sizeof(sorted), &scratch));
    sorted *const rows = rows_memory;
    /* Reversed before and after, so that equal items keep their order. */
    for (size_t i = 0; i < count; i++)
        rows[reverse ? count - 1 - i : i] =
            (sorted){.key = keys->items[i], .item = items->items[i]};
    ZX_TRY(merge_sort(run, rows, scratch, count));
    for (size_t i = 0; i < count; i++) {
        const sorted *const row = &rows[reverse ? count - 1 - i : i];
        items->items[i] = row->item;
        keys->items[i] = row->key;
    }
    return ZMLX_OK;
}
