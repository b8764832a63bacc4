/* filters_lazy.c - filters whose result is a generator in Python: nothing happens before somebody
 * iterates over it, it has no length, is always true, and is consumed once. */
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"

typedef struct lazy {
    zx_jargs args; /* a copy */
    bool is_attribute, negated;
    bool started;
    zx_jvalue attribute, otherwise, name; /* name MISSING: plain truth */
    zx_jargs rest;                        /* what is given to the filter or test */
    zx_jvalue seen;                       /* unique */
    int64_t size, done;                   /* batch, slice */
    zx_jvalue items;                      /* slice */
    zx_jvalue fill;
} lazy;

typedef zmlx_status (*next_fn)(zx_jrun *run, zx_jiter *iter, zx_jvalue *item);

static zmlx_status copy_args(zx_jrun *run, const zx_jargs *from, zx_jargs *to)
{
    void *items = NULL, *named = NULL;
    ZX_TRY(zx_jalloc(run, from->count, sizeof(zx_jvalue), &items));
    ZX_TRY(zx_jalloc(run, from->named_count, sizeof(zx_jpair), &named));
    if (from->count > 0) memcpy(items, from->items, from->count * sizeof(zx_jvalue));
    if (from->named_count > 0) memcpy(named, from->named, from->named_count * sizeof(zx_jpair));
    *to = (zx_jargs){
        .items = items, .count = from->count, .named = named, .named_count = from->named_count};
    return ZMLX_OK;
}

static zmlx_status make_lazy(zx_jrun *run, const zx_jcall *call, next_fn next, lazy **state,
                             zx_jvalue *result)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(lazy), &memory));
    *state = memory;
    ZX_TRY(copy_args(run, call->all, &(*state)->args));
    return zx_jiter_lazy(
        run, &(zx_jiter){.next = next, .type = "generator", .source = call->self, .state = *state},
        result);
}

/* The first call begins to iterate; *over where there is nothing to iterate over. */
static zmlx_status start(zx_jrun *run, zx_jiter *iter, bool *over)
{
    lazy *const state = iter->state;
    *over = !zx_jvalue_is_true(iter->source);
    if (*over || state->started) return ZMLX_OK;
    state->started = true;
    return zx_jiter_make(run, iter->source, &iter->inner);
}

/* --- map --- */

static zmlx_status prepare_map(zx_jrun *run, lazy *state)
{
    const zx_jargs *const args = &state->args;
    state->is_attribute = false;
    for (size_t i = 0; i < args->named_count && args->count == 0; i++)
        if (zx_jstring_is(args->named[i].key.as.string, "attribute")) state->is_attribute = true;
    if (!state->is_attribute) {
        if (args->count == 0) return ZX_JFAIL(run, "map requires a filter argument");
        state->name = args->items[0];
        state->rest = *args;
        state->rest.items++;
        state->rest.count--;
        return ZMLX_OK;
    }
    for (size_t i = 0; i < args->named_count; i++) {
        const zx_jstring *const key = args->named[i].key.as.string;
        if (zx_jstring_is(key, "attribute"))
            state->attribute = args->named[i].value;
        else if (zx_jstring_is(key, "default"))
            state->otherwise = args->named[i].value;
        else
            return ZX_JFAIL(run, "unexpected keyword argument '%.*s'",
                            key->length < 60 ? (int)key->length : 60, key->bytes);
    }
    return ZMLX_OK;
}

static zmlx_status next_mapped(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    lazy *const state = iter->state;
    bool over = false;
    *item = zx_jmissing();
    const bool first = !state->started;
    ZX_TRY(start(run, iter, &over));
    if (over) return ZMLX_OK;
    if (first) ZX_TRY(prepare_map(run, state));
    ZX_TRY(zx_jiter_next(run, iter->inner, item));
    if (item->kind == ZX_J_MISSING) return ZMLX_OK;
    if (state->is_attribute)
        return zx_jattribute_path(run, *item, state->attribute, state->otherwise, item);
    return zx_jfilter_apply(run, state->name, *item, &state->rest, item);
}

static zmlx_status do_map(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    lazy *state = NULL;
    return make_lazy(run, call, next_mapped, &state, result);
}

/* --- select and its like --- */

static zmlx_status prepare_select(zx_jrun *run, lazy *state)
{
    state->rest = state->args;
    if (state->is_attribute) {
        if (state->rest.count == 0) return ZX_JFAIL(run, "missing parameter for attribute name");
        state->attribute = *state->rest.items++;
        state->rest.count--;
    }
    state->name = zx_jmissing();
    if (state->rest.count == 0) return ZMLX_OK;
    state->name = *state->rest.items++;
    state->rest.count--;
    return ZMLX_OK;
}

static zmlx_status next_selected(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    lazy *const state = iter->state;
    bool over = false;
    const bool first = !state->started;
    *item = zx_jmissing();
    ZX_TRY(start(run, iter, &over));
    if (over) return ZMLX_OK;
    if (first) ZX_TRY(prepare_select(run, state));
    for (;;) {
        zx_jvalue tested;
        ZX_TRY(zx_jiter_next(run, iter->inner, item));
        if (item->kind == ZX_J_MISSING) return ZMLX_OK;
        ZX_TRY(zx_jattribute_path(run, *item, state->attribute, zx_jmissing(), &tested));
        if (state->name.kind != ZX_J_MISSING)
            ZX_TRY(zx_jtest_apply(run, state->name, tested, &state->rest, &tested));
        if (zx_jvalue_is_true(tested) != state->negated) return ZMLX_OK;
    }
}

static zmlx_status select_items(zx_jrun *run, const zx_jcall *call, bool is_attribute, bool negated,
                                zx_jvalue *result)
{
    lazy *state = NULL;
    ZX_TRY(make_lazy(run, call, next_selected, &state, result));
    state->is_attribute = is_attribute;
    state->negated = negated;
    return ZMLX_OK;
}

static zmlx_status do_select(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return select_items(run, call, false, false, result);
}

static zmlx_status do_reject(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return select_items(run, call, false, true, result);
}

static zmlx_status do_selectattr(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return select_items(run, call, true, false, result);
}

static zmlx_status do_rejectattr(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return select_items(run, call, true, true, result);
}

/* --- unique --- */

static zmlx_status next_unique(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    lazy *const state = iter->state;
    if (iter->inner == NULL) {
        ZX_TRY(zx_jiter_make(run, iter->source, &iter->inner));
        ZX_TRY(zx_jdict_make(run, ZX_J_DICT, &state->seen));
    }
    for (;;) {
        zx_jvalue key, known;
        ZX_TRY(zx_jiter_next(run, iter->inner, item));
        if (item->kind == ZX_J_MISSING) return ZMLX_OK;
        ZX_TRY(zx_jattribute_path(run, *item, state->attribute, zx_jmissing(), &key));
        if (!state->negated) ZX_TRY(zx_jvalue_fold(run, key, &key));
        ZX_TRY(zx_jdict_get(run, state->seen.as.dict, key, &known));
        if (known.kind != ZX_J_MISSING) continue;
        return zx_jdict_set(run, state->seen.as.dict, key, zx_jbool(true));
    }
}

static zmlx_status do_unique(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    lazy *state = NULL;
    ZX_TRY(make_lazy(run, call, next_unique, &state, result));
    state->negated = zx_jarg_true(call->arg[0], false); /* case matters */
    state->attribute = call->arg[1];
    return ZMLX_OK;
}

/* --- items --- */

static zmlx_status next_pair(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    *item = zx_jmissing();
    if (iter->source.kind == ZX_J_UNDEFINED) return ZMLX_OK;
    if (iter->source.kind != ZX_J_DICT)
        return ZX_JFAIL(run, "can only get item pairs from a mapping, not from '%s'",
                        zx_jvalue_type(iter->source));
    const zx_jdict *const dict = iter->source.as.dict;
    if (iter->at >= dict->count) return ZMLX_OK;
    const zx_jpair *const pair = &dict->pairs[iter->at++];
    return zx_jpair_make(run, pair->key, pair->value, item);
}

static zmlx_status do_items(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    lazy *state = NULL;
    return make_lazy(run, call, next_pair, &state, result);
}

/* --- batch and slice --- */

static bool is_filled(const lazy *state)
{
    return state->fill.kind != ZX_J_MISSING && state->fill.kind != ZX_J_NONE;
}

static zmlx_status next_batch(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    lazy *const state = iter->state;
    zx_jvalue next;
    if (iter->inner == NULL) {
        ZX_TRY(zx_jiter_make(run, iter->source, &iter->inner));
        ZX_TRY(zx_jlist_make(run, ZX_J_LIST, 0, &state->items));
    }
    *item = zx_jmissing();
    if (state->items.kind == ZX_J_MISSING) return ZMLX_OK;
    zx_jlist *const list = state->items.as.list; /* holds what the last call read ahead */
    for (;;) {
        ZX_TRY(zx_jiter_next(run, iter->inner, &next));
        if (next.kind == ZX_J_MISSING) break;
        if ((int64_t)list->count == state->size) {
            *item = state->items;
            ZX_TRY(zx_jlist_make(run, ZX_J_LIST, 0, &state->items));
            return zx_jlist_add(run, state->items.as.list, next);
        }
        ZX_TRY(zx_jlist_add(run, list, next));
    }
    if (list->count > 0) *item = state->items;
    state->items = zx_jmissing();
    while (is_filled(state) && list->count > 0 && (int64_t)list->count < state->size) {
        ZX_TRY(zx_jrun_pay(run, 1));
        ZX_TRY(zx_jlist_add(run, list, state->fill));
    }
    return ZMLX_OK;
}

static zmlx_status do_batch(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    lazy *state = NULL;
    ZX_TRY(make_lazy(run, call, next_batch, &state, result));
    state->fill = call->arg[1];
    return zx_jarg_int(run, call->arg[0], "the line count", &state->size);
}

static zmlx_status next_slice(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    lazy *const state = iter->state;
    if (!state->started) {
        ZX_TRY(zx_jlist_from(run, iter->source, &state->items));
        state->started = true;
        if (state->size == 0) return ZX_JFAIL(run, "integer division or modulo by zero");
    }
    *item = zx_jmissing();
    if (state->done >= state->size) return ZMLX_OK;
    const zx_jlist *const list = state->items.as.list;
    const int64_t length = (int64_t)list->count, each = length / state->size;
    const int64_t extra = length % state->size, index = state->done++;
    const int64_t begin = index * each + (index < extra ? index : extra);
    const int64_t end = begin + each + (index < extra ? 1 : 0);
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, 0, item));
    for (int64_t i = begin; i < end; i++) ZX_TRY(zx_jlist_add(run, item->as.list, list->items[i]));
    if (is_filled(state) && index >= extra) ZX_TRY(zx_jlist_add(run, item->as.list, state->fill));
    return ZMLX_OK;
}

static zmlx_status do_slice(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    lazy *state = NULL;
    ZX_TRY(make_lazy(run, call, next_slice, &state, result));
    state->fill = call->arg[1];
    return zx_jarg_int(run, call->arg[0], "the number of slices", &state->size);
}

const zx_jbuiltin zx_jfilters_lazy[] = {
    {"map", "*", do_map},
    {"select", "*", do_select},
    {"reject", "*", do_reject},
    {"selectattr", "*", do_selectattr},
    {"rejectattr", "*", do_rejectattr},
    {"unique", "case_sensitive? attribute?", do_unique},
    {"items", "/", do_items},
    {"batch", "linecount fill_with?", do_batch},
    {"slice", "slices fill_with?", do_slice},
    {NULL, NULL, NULL},
};
