/* call.c - calling what can be called: arguments bound to a row's parameters, macros, loops. */
#include "jinja/call.h"

#include <string.h>

#include "jinja/eval.h"
#include "jinja/loop.h"

const zx_jbuiltin *zx_jbuiltin_find(const zx_jbuiltin *rows, const zx_jstring *name)
{
    for (; rows->name != NULL; rows++)
        if (zx_jstring_is(name, rows->name)) return rows;
    return NULL;
}

zx_jvalue zx_jargs_named(const zx_jargs *args, const char *name)
{
    for (size_t i = 0; i < args->named_count; i++)
        if (zx_jstring_is(args->named[i].key.as.string, name)) return args->named[i].value;
    return zx_jmissing();
}

/* --- parameters --- */

/* Takes the next word of a row's parameters; false at the end. */
static bool next_parameter(const char **at, zx_jstring *name, bool *optional)
{
    const char *start = *at;
    while (*start == ' ' || *start == '/') start++;
    const size_t length = strcspn(start, " ?");
    *name = (zx_jstring){.bytes = start, .length = length};
    *optional = start[length] == '?';
    *at = start + length + (*optional ? 1 : 0);
    return length > 0;
}

static zmlx_status bind_named(zx_jrun *run, const zx_jbuiltin *row, const zx_jargs *args,
                              zx_jcall *call)
{
    if (args->named_count > 0 && row->parameters[0] == '/')
        return ZX_JFAIL(run, "%s() takes no keyword arguments", row->name);
    for (size_t i = 0; i < args->named_count; i++) {
        const zx_jstring *const key = args->named[i].key.as.string;
        const char *at = row->parameters;
        zx_jstring name;
        bool optional = false, found = false;
        for (size_t j = 0; next_parameter(&at, &name, &optional) && !found; j++) {
            if (!zx_jstring_same(key, &name)) continue;
            found = true;
            if (call->arg[j].kind != ZX_J_MISSING)
                return ZX_JFAIL(run, "%s() got two values for the argument '%.*s'", row->name,
                                (int)name.length, name.bytes);
            call->arg[j] = args->named[i].value;
        }
        if (!found)
            return ZX_JFAIL(run, "%s() got an unexpected keyword argument '%.*s'", row->name,
                            key->length < 60 ? (int)key->length : 60, key->bytes);
    }
    return ZMLX_OK;
}

static zmlx_status bind(zx_jrun *run, const zx_jbuiltin *row, const zx_jargs *args, zx_jcall *call)
{
    const char *at = row->parameters;
    zx_jstring name;
    bool optional = false;
    size_t count = 0;
    for (; next_parameter(&at, &name, &optional); count++)
        call->arg[count] = count < args->count ? args->items[count] : zx_jmissing();
    if (args->count > count)
        return ZX_JFAIL(run, "%s() takes at most %zu arguments (%zu given)", row->name, count,
                        args->count);
    ZX_TRY(bind_named(run, row, args, call));
    at = row->parameters;
    for (size_t i = 0; next_parameter(&at, &name, &optional); i++)
        if (!optional && call->arg[i].kind == ZX_J_MISSING)
            return ZX_JFAIL(run, "%s() needs the argument '%.*s'", row->name, (int)name.length,
                            name.bytes);
    return ZMLX_OK;
}

zmlx_status zx_jbuiltin_call(zx_jrun *run, const zx_jbuiltin *row, zx_jvalue self,
                             const zx_jargs *args, zx_jvalue *result)
{
    zx_jcall call = {.self = self, .all = args}; /* rows share functions: the rest is MISSING */
    if (row->parameters[0] != '*') ZX_TRY(bind(run, row, args, &call));
    ZX_TRY(zx_jrun_enter(run));
    ZX_TRY(row->run(run, &call, result));
    run->depth--;
    return ZMLX_OK;
}

static zmlx_status call_named(zx_jrun *run, const char *construct, const zx_jbuiltin *row,
                              const zx_jcall *call, zx_jvalue *result)
{
    const char *const outer = run->construct, *const outer_name = run->construct_name;
    run->construct = construct;
    run->construct_name = row->name;
    ZX_TRY(zx_jbuiltin_call(run, row, call->self, call->all, result));
    run->construct = outer;
    run->construct_name = outer_name;
    return ZMLX_OK;
}

static zmlx_status apply(zx_jrun *run, bool is_filter, zx_jvalue name, const zx_jcall *call,
                         zx_jvalue *result)
{
    const char *const kind = is_filter ? "filter" : "test";
    const zx_jbuiltin *row = NULL;
    if (name.kind == ZX_J_STRING)
        row = is_filter ? zx_jfilter_find(name.as.string) : zx_jtest_find(name.as.string);
    if (row == NULL && name.kind == ZX_J_STRING)
        return ZX_JFAIL_AT(run, ZMLX_ERROR_UNSUPPORTED, run->line, "no %s named '%.*s'", kind,
                           name.as.string->length < 60 ? (int)name.as.string->length : 60,
                           name.as.string->bytes);
    if (row == NULL) return ZX_JFAIL(run, "a %s's name must be a string", kind);
    return call_named(run, kind, row, call, result);
}

zmlx_status zx_jfilter_apply(zx_jrun *run, zx_jvalue name, zx_jvalue self, const zx_jargs *args,
                             zx_jvalue *result)
{
    const zx_jcall call = {.self = self, .all = args};
    return apply(run, true, name, &call, result);
}

zmlx_status zx_jtest_apply(zx_jrun *run, zx_jvalue name, zx_jvalue self, const zx_jargs *args,
                           zx_jvalue *result)
{
    const zx_jcall call = {.self = self, .all = args};
    return apply(run, false, name, &call, result);
}

/* --- values that can be called --- */

static zmlx_status call_joiner(zx_jrun *run, zx_jcycler *joiner, zx_jvalue *result)
{
    *result = joiner->separator;
    if (joiner->at++ > 0) return ZMLX_OK;
    return zx_jstring_borrow(run, "", 0, result);
}

/* self.NAME(): the text of a block. */
static zmlx_status call_block(zx_jrun *run, const zx_jnode *block, zx_jvalue *result)
{
    zx_jbuilder *const outer = run->output, builder = {0};
    zx_jbuilder text = builder;
    run->output = &text;
    const zmlx_status status = zx_jblock_run(run, block);
    run->output = outer;
    ZX_TRY(status);
    ZX_TRY(zx_jbuilder_finish(run, &text, result));
    result->as.string->markup = run->autoescape;
    return ZMLX_OK;
}

static zmlx_status call_loop(zx_jrun *run, zx_jloop *loop, const zx_jargs *args, zx_jvalue *result)
{
    if (args->count != 1 || args->named_count > 0)
        return ZX_JFAIL(run, "loop() takes one argument (%zu given)",
                        args->count + args->named_count);
    return zx_jloop_recurse(run, loop, args->items[0], result);
}

/* What methods of escaped text make of it is escaped too. */
static zmlx_status mark_strings(zx_jrun *run, zx_jvalue *value)
{
    if (value->kind == ZX_J_STRING) return zx_jstring_mark(run, value->as.string, true, value);
    for (size_t i = 0; zx_jvalue_is_sequence(*value) && i < value->as.list->count; i++)
        ZX_TRY(mark_strings(run, &value->as.list->items[i]));
    return ZMLX_OK;
}

static zmlx_status call_method(zx_jrun *run, const zx_jmethod *method, const zx_jargs *args,
                               zx_jvalue *result)
{
    const zx_jcall call = {.self = method->self, .all = args};
    ZX_TRY(call_named(run, "method", method->row, &call, result));
    const bool markup = method->self.kind == ZX_J_STRING && method->self.as.string->markup;
    return markup ? mark_strings(run, result) : ZMLX_OK;
}

bool zx_jvalue_is_callable(zx_jvalue value)
{
    return value.kind == ZX_J_FUNCTION || value.kind == ZX_J_METHOD || value.kind == ZX_J_MACRO ||
           value.kind == ZX_J_LOOP || value.kind == ZX_J_JOINER || value.kind == ZX_J_BLOCK ||
           value.kind == ZX_J_UNDEFINED;
}

zmlx_status zx_jvalue_call(zx_jrun *run, zx_jvalue callee, const zx_jargs *args, zx_jvalue *result)
{
    if (callee.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, callee.as.undefined);
    if (callee.kind == ZX_J_MACRO) return zx_jmacro_call(run, callee.as.macro, args, result);
    if (callee.kind == ZX_J_LOOP) return call_loop(run, callee.as.loop, args, result);
    if (callee.kind == ZX_J_METHOD) return call_method(run, callee.as.method, args, result);
    if (callee.kind == ZX_J_FUNCTION) {
        const zx_jcall call = {.self = zx_jmissing(), .all = args};
        return call_named(run, "function", callee.as.function, &call, result);
    }
    if ((callee.kind == ZX_J_JOINER || callee.kind == ZX_J_BLOCK) &&
        args->count + args->named_count > 0)
        return ZX_JFAIL(run, "%s takes no arguments", zx_jvalue_type(callee));
    if (callee.kind == ZX_J_JOINER) return call_joiner(run, callee.as.cycler, result);
    if (callee.kind == ZX_J_BLOCK) return call_block(run, callee.as.block, result);
    return ZX_JFAIL(run, "'%s' object is not callable", zx_jvalue_type(callee));
}

/* --- arguments --- */

zmlx_status zx_jarg_int(zx_jrun *run, zx_jvalue value, const char *what, int64_t *integer)
{
    if (zx_jvalue_is_integer(value, integer)) return ZMLX_OK;
    if (value.kind == ZX_J_UNDEFINED && value.as.undefined->hint == NULL)
        return zx_jundefined_fail(run, value.as.undefined);
    return ZX_JFAIL(run, "%s must be an integer, not '%s'", what, zx_jvalue_type(value));
}

zmlx_status zx_jarg_int_or(zx_jrun *run, zx_jvalue value, const char *what, int64_t otherwise,
                           int64_t *integer)
{
    *integer = otherwise;
    if (value.kind == ZX_J_MISSING) return ZMLX_OK;
    return zx_jarg_int(run, value, what, integer);
}

zmlx_status zx_jarg_string(zx_jrun *run, zx_jvalue value, const char *what, zx_jstring **string)
{
    if (value.kind != ZX_J_STRING)
        return ZX_JFAIL(run, "%s must be a string, not '%s'", what, zx_jvalue_type(value));
    *string = value.as.string;
    return ZMLX_OK;
}

bool zx_jarg_true(zx_jvalue value, bool otherwise)
{
    return value.kind == ZX_J_MISSING ? otherwise : zx_jvalue_is_true(value);
}
