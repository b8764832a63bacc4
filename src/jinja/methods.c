/* methods.c - methods of everything but strings, and which table belongs to which kind.  Methods
 * that would change a list or dict are named only to be refused. */
#include <math.h>

#include "jinja/call.h"
#include "jinja/loop.h"
#include "jinja/run.h"

/* --- dicts --- */

static zmlx_status make_view(zx_jrun *run, const zx_jcall *call, zx_jview_kind kind,
                             zx_jvalue *result)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jview), &memory));
    zx_jview *const view = memory;
    *view = (zx_jview){.dict = call->self.as.dict, .kind = kind};
    *result = (zx_jvalue){.kind = ZX_J_VIEW, .as.view = view};
    return ZMLX_OK;
}

static zmlx_status do_keys(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return make_view(run, call, ZX_J_KEYS, result);
}

static zmlx_status do_values(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return make_view(run, call, ZX_J_VALUES, result);
}

static zmlx_status do_items(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return make_view(run, call, ZX_J_ITEMS, result);
}

static zmlx_status do_get(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    ZX_TRY(zx_jdict_get(run, call->self.as.dict, call->arg[0], result));
    if (result->kind != ZX_J_MISSING) return ZMLX_OK;
    *result = call->arg[1].kind != ZX_J_MISSING ? call->arg[1] : zx_jnone();
    return ZMLX_OK;
}

static zmlx_status do_copy_dict(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return zx_jdict_copy(run, call->self.as.dict, result);
}

static zmlx_status do_fromkeys(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jiter *iter = NULL;
    zx_jvalue key;
    ZX_TRY(zx_jiter_make(run, call->arg[0], &iter));
    ZX_TRY(zx_jdict_make(run, ZX_J_DICT, result));
    for (;;) {
        ZX_TRY(zx_jiter_next(run, iter, &key));
        if (key.kind == ZX_J_MISSING) return ZMLX_OK;
        ZX_TRY(zx_jdict_set(run, result->as.dict, key,
                            call->arg[1].kind != ZX_J_MISSING ? call->arg[1] : zx_jnone()));
    }
}

static const zx_jbuiltin dict_methods[] = {
    {"items", "/", do_items},    {"keys", "/", do_keys},
    {"values", "/", do_values},  {"get", "/key default?", do_get},
    {"copy", "/", do_copy_dict}, {"fromkeys", "/iterable value?", do_fromkeys},
    {NULL, NULL, NULL},
};

/* What transformers lets a template do with the function 'dict'. */
static const zx_jbuiltin dict_functions[] = {
    {"fromkeys", "/iterable value?", do_fromkeys},
    {NULL, NULL, NULL},
};

static const char *const dict_changes[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};

/* --- lists, tuples, ranges --- */

static zmlx_status do_copy_list(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return zx_jlist_from(run, call->self, result);
}

static zmlx_status do_count(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jiter *iter = NULL;
    zx_jvalue item;
    ZX_TRY(zx_jiter_make(run, call->self, &iter));
    *result = zx_jint(0);
    for (;;) {
        bool equal = false;
        ZX_TRY(zx_jiter_next(run, iter, &item));
        if (item.kind == ZX_J_MISSING) return ZMLX_OK;
        ZX_TRY(zx_jvalue_equal(run, item, call->arg[0], &equal));
        result->as.integer += equal ? 1 : 0;
    }
}

static zmlx_status do_index(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue list = call->self;
    int64_t range[3];
    size_t taken = 0;
    if (list.kind == ZX_J_RANGE) ZX_TRY(zx_jlist_from(run, call->self, &list));
    for (size_t i = 1; i < 3; i++) /* None, which a slice takes, is none here */
        ZX_TRY(zx_jarg_int_or(run, call->arg[i], "a bound", 0, &range[0]));
    const zx_jvalue bounds[3] = {call->arg[1], call->arg[2], zx_jnone()};
    ZX_TRY(zx_jslice_indices(run, bounds, list.as.list->count, range, &taken));
    for (size_t i = 0; i < taken; i++) {
        bool equal = false;
        const size_t at = (size_t)range[0] + i;
        ZX_TRY(zx_jvalue_equal(run, list.as.list->items[at], call->arg[0], &equal));
        *result = zx_jsized(at);
        if (equal) return ZMLX_OK;
    }
    return ZX_JFAIL(run, "the value is not in the %s", zx_jvalue_type(call->self));
}

static const zx_jbuiltin list_methods[] = {
    {"index", "/value start? stop?", do_index},
    {"count", "/value", do_count},
    {"copy", "/", do_copy_list},
    {NULL, NULL, NULL},
};

static const char *const list_changes[] = {"append", "clear",  "pop",    "reverse", "insert",
                                           "sort",   "extend", "remove", NULL};

static const zx_jbuiltin tuple_methods[] = {
    {"index", "/value start? stop?", do_index},
    {"count", "/value", do_count},
    {NULL, NULL, NULL},
};

static const zx_jbuiltin range_methods[] = {
    {"index", "/value", do_index},
    {"count", "/value", do_count},
    {NULL, NULL, NULL},
};

/* --- numbers --- */

static zmlx_status do_bit_length(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    int64_t integer = 0, bits = 0;
    (void)zx_jvalue_is_integer(call->self, &integer);
    uint64_t size = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    for (; size > 0; size >>= 1) bits++;
    *result = zx_jint(bits);
    return ZMLX_OK;
}

static zmlx_status do_conjugate(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return zx_jvalue_plus(run, call->self, result);
}

static zmlx_status do_is_integer(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    const double number = call->self.as.number;
    *result = zx_jbool(isfinite(number) && !(floor(number) < number));
    return ZMLX_OK;
}

static const zx_jbuiltin int_methods[] = {
    {"bit_length", "/", do_bit_length},
    {"conjugate", "/", do_conjugate},
    {NULL, NULL, NULL},
};

static const zx_jbuiltin float_methods[] = {
    {"is_integer", "/", do_is_integer},
    {"conjugate", "/", do_conjugate},
    {NULL, NULL, NULL},
};

/* --- cyclers --- */

static zmlx_status do_next(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    zx_jcycler *const cycler = call->self.as.cycler;
    *result = cycler->items->items[cycler->at];
    cycler->at = (cycler->at + 1) % cycler->items->count;
    return ZMLX_OK;
}

static zmlx_status do_reset(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    call->self.as.cycler->at = 0;
    *result = zx_jnone();
    return ZMLX_OK;
}

static const zx_jbuiltin cycler_methods[] = {
    {"next", "/", do_next},
    {"reset", "/", do_reset},
    {NULL, NULL, NULL},
};

/* --- which belongs to what --- */

static const struct {
    zx_jkind kind;
    const zx_jbuiltin *rows;
    const char *const *changes;
} tables[] = {
    {ZX_J_STRING, zx_jmethods_text, NULL},   {ZX_J_STRING, zx_jmethods_split, NULL},
    {ZX_J_STRING, zx_jmethods_case, NULL},   {ZX_J_STRING, zx_jmethods_format, NULL},
    {ZX_J_DICT, dict_methods, dict_changes}, {ZX_J_LIST, list_methods, list_changes},
    {ZX_J_TUPLE, tuple_methods, NULL},       {ZX_J_RANGE, range_methods, NULL},
    {ZX_J_INT, int_methods, NULL},           {ZX_J_BOOL, int_methods, NULL},
    {ZX_J_FLOAT, float_methods, NULL},       {ZX_J_CYCLER, cycler_methods, NULL},
    {ZX_J_LOOP, zx_jmethods_loop, NULL},     {ZX_J_FUNCTION, dict_functions, NULL},
};

const zx_jbuiltin *zx_jmethod_find(zx_jkind kind, const zx_jstring *name, bool *is_unsafe)
{
    *is_unsafe = false;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (tables[i].kind != kind) continue;
        for (const char *const *change = tables[i].changes; change != NULL && *change != NULL;
             change++)
            if (zx_jstring_is(name, *change)) *is_unsafe = true;
        const zx_jbuiltin *const row = zx_jbuiltin_find(tables[i].rows, name);
        if (row != NULL) return row;
    }
    return NULL;
}
