/* tests.c - the tests of jinja2 ("x is NAME"), a row each. */
#include "jinja/call.h"
#include "jinja/run.h"

static zmlx_status answer(bool holds, zx_jvalue *result)
{
    *result = zx_jbool(holds);
    return ZMLX_OK;
}

/* --- numbers --- */

static zmlx_status remainder_is(zx_jrun *run, zx_jvalue value, zx_jvalue divisor, int64_t wanted,
                                zx_jvalue *result)
{
    zx_jvalue remainder;
    bool equal = false;
    ZX_TRY(zx_jvalue_modulo(run, value, divisor, &remainder));
    ZX_TRY(zx_jvalue_equal(run, remainder, zx_jint(wanted), &equal));
    return answer(equal, result);
}

static zmlx_status is_odd(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return remainder_is(run, call->self, zx_jint(2), 1, result);
}

static zmlx_status is_even(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return remainder_is(run, call->self, zx_jint(2), 0, result);
}

static zmlx_status is_divisible(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return remainder_is(run, call->self, call->arg[0], 0, result);
}

/* --- kinds --- */

static zmlx_status is_defined(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(call->self.kind != ZX_J_UNDEFINED, result);
}

static zmlx_status is_undefined(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(call->self.kind == ZX_J_UNDEFINED, result);
}

static zmlx_status is_none(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(call->self.kind == ZX_J_NONE, result);
}

static zmlx_status is_boolean(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(call->self.kind == ZX_J_BOOL, result);
}

static zmlx_status is_false(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(call->self.kind == ZX_J_BOOL && !call->self.as.boolean, result);
}

static zmlx_status is_true(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(call->self.kind == ZX_J_BOOL && call->self.as.boolean, result);
}

static zmlx_status is_integer(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(call->self.kind == ZX_J_INT, result);
}

static zmlx_status is_float(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(call->self.kind == ZX_J_FLOAT, result);
}

static zmlx_status is_number(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(zx_jvalue_is_number(call->self), result);
}

static zmlx_status is_string(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(call->self.kind == ZX_J_STRING, result);
}

static zmlx_status is_mapping(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(call->self.kind == ZX_J_DICT, result);
}

static zmlx_status is_sequence(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    static const bool sequences[ZX_J_KINDS] = {
        [ZX_J_UNDEFINED] = true, [ZX_J_STRING] = true, [ZX_J_LIST] = true,
        [ZX_J_TUPLE] = true,     [ZX_J_DICT] = true,   [ZX_J_RANGE] = true,
    };
    return answer(sequences[call->self.kind], result);
}

static zmlx_status is_iterable(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(zx_jvalue_is_iterable(call->self), result);
}

static zmlx_status is_callable(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(zx_jvalue_is_callable(call->self), result);
}

static zmlx_status is_escaped(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(call->self.kind == ZX_J_STRING && call->self.as.string->markup, result);
}

/* --- case, by the methods of strings --- */

static zmlx_status ask_string(zx_jrun *run, const zx_jcall *call, const char *method,
                              zx_jvalue *result)
{
    zx_jvalue text;
    const zx_jstring name = {.bytes = method, .length = 7};
    bool is_unsafe = false;
    ZX_TRY(zx_jvalue_string(run, call->self, &text));
    const zx_jbuiltin *const row = zx_jmethod_find(ZX_J_STRING, &name, &is_unsafe);
    return zx_jbuiltin_call(run, row, text, &(zx_jargs){0}, result);
}

static zmlx_status is_lower(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return ask_string(run, call, "islower", result);
}

static zmlx_status is_upper(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return ask_string(run, call, "isupper", result);
}

/* --- comparisons --- */

static zmlx_status is_equal(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    *result = zx_jbool(false);
    return zx_jvalue_equal(run, call->self, call->arg[0], &result->as.boolean);
}

static zmlx_status is_unequal(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    ZX_TRY(is_equal(run, call, result));
    result->as.boolean = !result->as.boolean;
    return ZMLX_OK;
}

static zmlx_status is_less(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    *result = zx_jbool(false);
    return zx_jvalue_less(run, call->self, call->arg[0], "<", &result->as.boolean);
}

static zmlx_status is_greater(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    *result = zx_jbool(false);
    return zx_jvalue_less(run, call->arg[0], call->self, ">", &result->as.boolean);
}

/* a <= b is not b < a, but for NaN. */
static zmlx_status is_at_most(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    if (zx_jvalue_is_number(call->self) && zx_jvalue_is_number(call->arg[0]))
        return answer(zx_jnumber_compare(call->self, call->arg[0]) <= 0, result);
    ZX_TRY(is_greater(run, call, result));
    result->as.boolean = !result->as.boolean;
    return ZMLX_OK;
}

static zmlx_status is_at_least(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jcall swapped = {.self = call->arg[0], .arg = {call->self}, .all = call->all};
    return is_at_most(run, &swapped, result);
}

static zmlx_status is_same(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)run;
    return answer(zx_jvalue_identical(call->self, call->arg[0]), result);
}

static zmlx_status is_in(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    *result = zx_jbool(false);
    return zx_jvalue_contains(run, call->arg[0], call->self, &result->as.boolean);
}

static zmlx_status is_filter(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    uint64_t hash = 0;
    ZX_TRY(zx_jvalue_hash(run, call->self, &hash)); /* a name is looked up in a dict: no list is */
    return answer(call->self.kind == ZX_J_STRING && zx_jfilter_find(call->self.as.string) != NULL,
                  result);
}

static zmlx_status is_test(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    uint64_t hash = 0;
    ZX_TRY(zx_jvalue_hash(run, call->self, &hash));
    return answer(call->self.kind == ZX_J_STRING && zx_jtest_find(call->self.as.string) != NULL,
                  result);
}

static const zx_jbuiltin rows[] = {
    {"defined", "/", is_defined},
    {"undefined", "/", is_undefined},
    {"none", "/", is_none},
    {"string", "/", is_string},
    {"mapping", "/", is_mapping},
    {"iterable", "/", is_iterable},
    {"sequence", "/", is_sequence},
    {"true", "/", is_true},
    {"false", "/", is_false},
    {"boolean", "/", is_boolean},
    {"integer", "/", is_integer},
    {"float", "/", is_float},
    {"number", "/", is_number},
    {"callable", "/", is_callable},
    {"odd", "/", is_odd},
    {"even", "/", is_even},
    {"divisibleby", "num", is_divisible},
    {"lower", "/", is_lower},
    {"upper", "/", is_upper},
    {"escaped", "/", is_escaped},
    {"sameas", "other", is_same},
    {"in", "seq", is_in},
    {"filter", "/", is_filter},
    {"test", "/", is_test},
    {"==", "/other", is_equal},
    {"eq", "/other", is_equal},
    {"equalto", "/other", is_equal},
    {"!=", "/other", is_unequal},
    {"ne", "/other", is_unequal},
    {"<", "/other", is_less},
    {"lt", "/other", is_less},
    {"lessthan", "/other", is_less},
    {">", "/other", is_greater},
    {"gt", "/other", is_greater},
    {"greaterthan", "/other", is_greater},
    {"<=", "/other", is_at_most},
    {"le", "/other", is_at_most},
    {">=", "/other", is_at_least},
    {"ge", "/other", is_at_least},
    {NULL, NULL, NULL},
};

const zx_jbuiltin *zx_jtest_find(const zx_jstring *name)
{
    return zx_jbuiltin_find(rows, name);
}
