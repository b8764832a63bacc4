/* filters_list.c - filters of lists and dicts that give their result at once. */
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"

static zmlx_status do_length(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    bool has_length = false;
    size_t length = 0;
    ZX_TRY(zx_jvalue_length(run, call->self, &has_length, &length));
    if (!has_length)
        return ZX_JFAIL(run, "object of type '%s' has no len()", zx_jvalue_type(call->self));
    *result = zx_jsized(length);
    return ZMLX_OK;
}

static zmlx_status do_default(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    *result = call->self;
    const bool replace = call->self.kind == ZX_J_UNDEFINED ||
                         (zx_jarg_true(call->arg[1], false) && !zx_jvalue_is_true(call->self));
    if (!replace) return ZMLX_OK;
    *result = call->arg[0];
    return result->kind == ZX_J_MISSING ? zx_jstring_borrow(run, "", 0, result) : ZMLX_OK;
}

static zmlx_status do_list(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return zx_jlist_from(run, call->self, result);
}

/* The next item, or an undefined value where there is none. */
static zmlx_status take_first(zx_jrun *run, zx_jvalue from, const char *hint, zx_jvalue *result)
{
    zx_jiter *iter = NULL;
    ZX_TRY(zx_jiter_make(run, from, &iter));
    ZX_TRY(zx_jiter_next(run, iter, result));
    return result->kind == ZX_J_MISSING ? zx_jundefined_hint(run, hint, result) : ZMLX_OK;
}

static zmlx_status do_first(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return take_first(run, call->self, "no first item, the sequence was empty", result);
}

static zmlx_status do_last(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    bool reversible = false;
    zx_jvalue backwards;
    ZX_TRY(zx_jiter_reversed(run, call->self, &reversible, &backwards));
    if (!reversible)
        return ZX_JFAIL(run, "'%s' object is not reversible", zx_jvalue_type(call->self));
    return take_first(run, backwards, "no last item, the sequence was empty", result);
}

static zmlx_status do_random(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    bool has_length = false;
    size_t length = 0;
    ZX_TRY(zx_jvalue_length(run, call->self, &has_length, &length));
    if (!has_length)
        return ZX_JFAIL(run, "object of type '%s' has no len()", zx_jvalue_type(call->self));
    if (length == 0)
        return zx_jundefined_hint(run, "no random item, the sequence was empty", result);
    run->seed = run->seed * 6364136223846793005u + 1442695040888963407u;
    return zx_jvalue_item(run, call->self, zx_jsized((size_t)(run->seed >> 33) % length), result);
}

static zmlx_status do_reverse(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    if (call->self.kind == ZX_J_STRING) {
        const zx_jvalue bounds[3] = {zx_jnone(), zx_jnone(), zx_jint(-1)};
        return zx_jvalue_slice(run, call->self, bounds, result);
    }
    bool reversible = false;
    ZX_TRY(zx_jiter_reversed(run, call->self, &reversible, result));
    if (reversible) return ZMLX_OK;
    if (!zx_jvalue_is_iterable(call->self)) return ZX_JFAIL(run, "argument must be iterable");
    ZX_TRY(zx_jlist_from(run, call->self, result));
    zx_jlist *const list = result->as.list;
    for (size_t i = 0; i < list->count / 2; i++) {
        const zx_jvalue other = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = list->items[i];
        list->items[i] = other;
    }
    return ZMLX_OK;
}

static zmlx_status do_attr(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jstring *name = NULL;
    ZX_TRY(zx_jarg_string(run, call->arg[0], "the attribute's name", &name));
    ZX_TRY(zx_jvalue_own_attribute(run, call->self, call->arg[0], result));
    if (result->kind != ZX_J_MISSING) return ZMLX_OK;
    return zx_jundefined_make(run, call->self, call->arg[0], result);
}

/* --- sorting --- */

/* How items compare: by an attribute, in lower case unless case matters. */
typedef struct key_rule {
    zx_jvalue attribute, otherwise;
    bool case_sensitive;
} key_rule;

static zmlx_status make_key(zx_jrun *run, zx_jvalue item, const key_rule *rule, zx_jvalue *key)
{
    ZX_TRY(zx_jattribute_path(run, item, rule->attribute, rule->otherwise, key));
    return rule->case_sensitive ? ZMLX_OK : zx_jvalue_fold(run, *key, key);
}

/* sort's key is a list: one value for each of the attributes between commas. */
static zmlx_status make_multiple_key(zx_jrun *run, zx_jvalue item, const key_rule *rule,
                                     zx_jvalue *key)
{
    zx_jvalue part, paths;
    zx_jvalue comma[2] = {zx_jmissing(), zx_jmissing()};
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, 1, key));
    if (rule->attribute.kind != ZX_J_STRING) {
        ZX_TRY(make_key(run, item, rule, &part));
        return zx_jlist_add(run, key->as.list, part);
    }
    ZX_TRY(zx_jstring_borrow(run, ",", 1, &comma[0]));
    ZX_TRY(zx_jstring_method(run, rule->attribute, "split", comma, &paths));
    for (size_t i = 0; i < paths.as.list->count; i++) {
        key_rule one = *rule;
        one.attribute = paths.as.list->items[i];
        ZX_TRY(make_key(run, item, &one, &part));
        ZX_TRY(zx_jlist_add(run, key->as.list, part));
    }
    return ZMLX_OK;
}

typedef zmlx_status (*key_fn)(zx_jrun *run, zx_jvalue item, const key_rule *rule, zx_jvalue *key);

/* A sorted list of the items, and the keys in the same order. */
static zmlx_status sort_by(zx_jrun *run, zx_jvalue iterable, key_fn make, const key_rule *rule,
                           bool reverse, zx_jvalue both[2])
{
    ZX_TRY(zx_jlist_from(run, iterable, &both[0]));
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, both[0].as.list->count, &both[1]));
    for (size_t i = 0; i < both[0].as.list->count; i++) {
        zx_jvalue key;
        ZX_TRY(make(run, both[0].as.list->items[i], rule, &key));
        ZX_TRY(zx_jlist_add(run, both[1].as.list, key));
    }
    return zx_jlist_sort(run, both[0].as.list, both[1].as.list, reverse);
}

static zmlx_status do_sort(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const key_rule rule = {.attribute = call->arg[2],
                           .case_sensitive = zx_jarg_true(call->arg[1], false)};
    zx_jvalue both[2];
    ZX_TRY(sort_by(run, call->self, make_multiple_key, &rule, zx_jarg_true(call->arg[0], false),
                   both));
    *result = both[0];
    return ZMLX_OK;
}

static zmlx_status do_dictsort(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    int64_t position = 0;
    zx_jvalue both[2];
    if (call->arg[1].kind != ZX_J_MISSING) {
        zx_jstring *by = NULL;
        ZX_TRY(zx_jarg_string(run, call->arg[1], "'by'", &by));
        if (zx_jstring_is(by, "value"))
            position = 1;
        else if (!zx_jstring_is(by, "key"))
            return ZX_JFAIL(run, "you can only sort by either \"key\" or \"value\"");
    }
    if (call->self.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, call->self.as.undefined);
    if (call->self.kind != ZX_J_DICT)
        return ZX_JFAIL(run, "a dict is wanted, not '%s'", zx_jvalue_type(call->self));
    zx_jview view = {.dict = call->self.as.dict, .kind = ZX_J_ITEMS};
    const key_rule rule = {.attribute = zx_jint(position),
                           .case_sensitive = zx_jarg_true(call->arg[0], false)};
    ZX_TRY(sort_by(run, (zx_jvalue){.kind = ZX_J_VIEW, .as.view = &view}, make_key, &rule,
                   zx_jarg_true(call->arg[2], false), both));
    *result = both[0];
    return ZMLX_OK;
}

static zmlx_status add_group(zx_jrun *run, const key_rule *rule, zx_jvalue key, zx_jvalue group,
                             zx_jlist *groups)
{
    zx_jvalue pair;
    if (!rule->case_sensitive) /* as the first of the group has it */
        ZX_TRY(zx_jattribute_path(run, group.as.list->items[0], rule->attribute, rule->otherwise,
                                  &key));
    ZX_TRY(zx_jpair_make(run, key, group, &pair));
    pair.as.list->is_group = true;
    return zx_jlist_add(run, groups, pair);
}

static zmlx_status do_groupby(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const key_rule rule = {.attribute = call->arg[0],
                           .otherwise = call->arg[1],
                           .case_sensitive = zx_jarg_true(call->arg[2], false)};
    zx_jvalue both[2], group = zx_jmissing();
    size_t first = 0;
    ZX_TRY(sort_by(run, call->self, make_key, &rule, false, both));
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, 0, result));
    const zx_jlist *const items = both[0].as.list, *const keys = both[1].as.list;
    for (size_t i = 0; i < items->count; i++) {
        bool same = false;
        if (i > 0) ZX_TRY(zx_jvalue_equal(run, keys->items[first], keys->items[i], &same));
        if (!same) {
            if (i > 0) ZX_TRY(add_group(run, &rule, keys->items[first], group, result->as.list));
            ZX_TRY(zx_jlist_make(run, ZX_J_LIST, 0, &group));
            first = i;
        }
        ZX_TRY(zx_jlist_add(run, group.as.list, items->items[i]));
    }
    if (items->count == 0) return ZMLX_OK;
    return add_group(run, &rule, keys->items[first], group, result->as.list);
}

/* --- one value out of many --- */

static zmlx_status find_extreme(zx_jrun *run, const zx_jcall *call, bool largest, zx_jvalue *result)
{
    const key_rule rule = {.attribute = call->arg[1],
                           .case_sensitive = zx_jarg_true(call->arg[0], false)};
    zx_jiter *iter = NULL;
    zx_jvalue item, key, best;
    ZX_TRY(zx_jiter_make(run, call->self, &iter));
    ZX_TRY(zx_jiter_next(run, iter, result));
    if (result->kind == ZX_J_MISSING)
        return zx_jundefined_hint(run, "no aggregated item, the sequence was empty", result);
    ZX_TRY(make_key(run, *result, &rule, &best));
    for (;;) {
        bool better = false;
        ZX_TRY(zx_jiter_next(run, iter, &item));
        if (item.kind == ZX_J_MISSING) return ZMLX_OK;
        ZX_TRY(make_key(run, item, &rule, &key));
        ZX_TRY(zx_jvalue_less(run, largest ? best : key, largest ? key : best, largest ? ">" : "<",
                              &better));
        if (!better) continue;
        best = key;
        *result = item;
    }
}

static zmlx_status do_max(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return find_extreme(run, call, true, result);
}

static zmlx_status do_min(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return find_extreme(run, call, false, result);
}

static zmlx_status do_sum(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jiter *iter = NULL;
    zx_jvalue item;
    *result = call->arg[1].kind != ZX_J_MISSING ? call->arg[1] : zx_jint(0);
    if (result->kind == ZX_J_STRING) return ZX_JFAIL(run, "sum() can't sum strings");
    ZX_TRY(zx_jiter_make(run, call->self, &iter));
    for (;;) {
        ZX_TRY(zx_jiter_next(run, iter, &item));
        if (item.kind == ZX_J_MISSING) return ZMLX_OK;
        ZX_TRY(zx_jattribute_path(run, item, call->arg[0], zx_jmissing(), &item));
        ZX_TRY(zx_jvalue_add(run, *result, item, result));
    }
}

const zx_jbuiltin zx_jfilters_list[] = {
    {"length", "/", do_length},
    {"count", "/", do_length},
    {"default", "default_value? boolean?", do_default},
    {"d", "default_value? boolean?", do_default},
    {"list", "/", do_list},
    {"first", "/", do_first},
    {"last", "/", do_last},
    {"random", "/", do_random},
    {"reverse", "/", do_reverse},
    {"attr", "name", do_attr},
    {"sort", "reverse? case_sensitive? attribute?", do_sort},
    {"dictsort", "case_sensitive? by? reverse?", do_dictsort},
    {"groupby", "attribute default? case_sensitive?", do_groupby},
    {"max", "case_sensitive? attribute?", do_max},
    {"min", "case_sensitive? attribute?", do_min},
    {"sum", "attribute? start?", do_sum},
    {NULL, NULL, NULL},
};
