/* globals.c - the functions that every template sees: those of jinja2, and those that transformers
 * adds. */
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"

enum { MAX_RANGE = 100000 }; /* of jinja2's sandbox */

/* --- range --- */

/* So large that sums and products of range's fields stay within 64 bits. */
static const int64_t range_limit = (int64_t)1 << 44;

static zmlx_status do_range(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    int64_t given[3] = {0, 0, 1};
    const size_t count = call->all->count;
    if (call->all->named_count > 0) return ZX_JFAIL(run, "range() takes no keyword arguments");
    if (count < 1 || count > 3)
        return ZX_JFAIL(run, "range takes 1 to 3 arguments, not %zu", count);
    for (size_t i = 0; i < count; i++) {
        int64_t *const into = &given[count == 1 ? 1 : i];
        ZX_TRY(zx_jarg_int(run, call->all->items[i], "a range's argument", into));
        if (*into > range_limit || *into < -range_limit)
            return ZX_JFAIL(run, "range: an argument is too large");
    }
    if (given[2] == 0) return ZX_JFAIL(run, "range() arg 3 must not be zero");
    const int64_t span = given[2] > 0 ? given[1] - given[0] : given[0] - given[1];
    const int64_t stride = given[2] > 0 ? given[2] : -given[2];
    const int64_t items = span > 0 ? (span - 1) / stride + 1 : 0;
    if (items > MAX_RANGE)
        return ZX_JFAIL(run, "range too big: the sandbox blocks ranges larger than %d", MAX_RANGE);
    void *memory = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jrange), &memory));
    zx_jrange *const range = memory;
    *range = (zx_jrange){.start = given[0], .stop = given[1], .step = given[2], .count = items};
    *result = (zx_jvalue){.kind = ZX_J_RANGE, .as.range = range};
    return ZMLX_OK;
}

/* --- dict and namespace --- */

/* Adds what dict() is given: a mapping, or an iterable of pairs. */
static zmlx_status fill_from(zx_jrun *run, zx_jdict *dict, zx_jvalue source)
{
    zx_jiter *iter = NULL;
    if (source.kind == ZX_J_DICT) {
        for (size_t i = 0; i < source.as.dict->count; i++)
            ZX_TRY(zx_jdict_set(run, dict, source.as.dict->pairs[i].key,
                                source.as.dict->pairs[i].value));
        return ZMLX_OK;
    }
    ZX_TRY(zx_jiter_make(run, source, &iter));
    for (;;) {
        zx_jvalue item, pair;
        ZX_TRY(zx_jiter_next(run, iter, &item));
        if (item.kind == ZX_J_MISSING) return ZMLX_OK;
        ZX_TRY(zx_jlist_from(run, item, &pair));
        if (pair.as.list->count != 2)
            return ZX_JFAIL(run, "dict() wants pairs, not sequences of %zu", pair.as.list->count);
        ZX_TRY(zx_jdict_set(run, dict, pair.as.list->items[0], pair.as.list->items[1]));
    }
}

static zmlx_status make_dict(zx_jrun *run, const zx_jcall *call, zx_jkind kind, zx_jvalue *result)
{
    const zx_jargs *const args = call->all;
    if (args->count > 1) return ZX_JFAIL(run, "expected at most 1 argument, got %zu", args->count);
    ZX_TRY(zx_jdict_make(run, kind, result));
    if (args->count == 1) ZX_TRY(fill_from(run, result->as.dict, args->items[0]));
    for (size_t i = 0; i < args->named_count; i++)
        ZX_TRY(zx_jdict_set(run, result->as.dict, args->named[i].key, args->named[i].value));
    return ZMLX_OK;
}

static zmlx_status do_dict(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return make_dict(run, call, ZX_J_DICT, result);
}

static zmlx_status do_namespace(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    ZX_TRY(make_dict(run, call, ZX_J_NAMESPACE, result));
    for (size_t i = 0; i < result->as.dict->count; i++) {
        const zx_jvalue key = result->as.dict->pairs[i].key;
        if (key.kind == ZX_J_STRING && key.as.string->length > 0 && key.as.string->bytes[0] == '_')
            return ZX_JFAIL(run, "a namespace's names do not begin with '_'");
    }
    return ZMLX_OK;
}

/* --- cycler and joiner --- */

static zmlx_status make_cycler(zx_jrun *run, zx_jkind kind, zx_jvalue *result)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jcycler), &memory));
    *result = (zx_jvalue){.kind = kind, .as.cycler = memory};
    return ZMLX_OK;
}

static zmlx_status do_cycler(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue items;
    if (call->all->named_count > 0) return ZX_JFAIL(run, "cycler takes no keyword arguments");
    if (call->all->count == 0) return ZX_JFAIL(run, "at least one item has to be provided");
    ZX_TRY(zx_jlist_make(run, ZX_J_TUPLE, call->all->count, &items));
    for (size_t i = 0; i < call->all->count; i++)
        ZX_TRY(zx_jlist_add(run, items.as.list, call->all->items[i]));
    ZX_TRY(make_cycler(run, ZX_J_CYCLER, result));
    result->as.cycler->items = items.as.list;
    return ZMLX_OK;
}

static zmlx_status do_joiner(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    ZX_TRY(make_cycler(run, ZX_J_JOINER, result));
    result->as.cycler->separator = call->arg[0];
    if (call->arg[0].kind != ZX_J_MISSING) return ZMLX_OK;
    return zx_jstring_borrow(run, ", ", 2, &result->as.cycler->separator);
}

/* --- what transformers adds --- */

static zmlx_status do_raise(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue message;
    (void)result;
    ZX_TRY(zx_jvalue_string(run, call->arg[0], &message));
    run->construct = NULL; /* the template's own words, and nothing else */
    return ZX_JFAIL(run, "%.*s",
                    message.as.string->length < 380 ? (int)message.as.string->length : 380,
                    message.as.string->bytes);
}

static zmlx_status do_strftime_now(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jstring *format = NULL;
    ZX_TRY(zx_jarg_string(run, call->arg[0], "the format", &format));
    return zx_jstrftime(run, format, result);
}

static zmlx_status do_lipsum(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)call;
    (void)result;
    return ZX_JFAIL_AT(run, ZMLX_ERROR_UNSUPPORTED, run->line, "random text is not supported");
}

static const zx_jbuiltin functions[] = {
    {"range", "*", do_range},
    {"dict", "*", do_dict},
    {"namespace", "*", do_namespace},
    {"cycler", "*", do_cycler},
    {"joiner", "sep?", do_joiner},
    {"lipsum", "*", do_lipsum},
    {"raise_exception", "message", do_raise},
    {"strftime_now", "format", do_strftime_now},
    {NULL, NULL, NULL},
};

const zx_jbuiltin *zx_jfunction_find(const zx_jstring *name)
{
    return zx_jbuiltin_find(functions, name);
}
