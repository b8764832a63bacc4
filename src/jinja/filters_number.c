/* filters_number.c - filters that make numbers, or text of numbers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"

static zmlx_status do_abs(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    int64_t integer = 0;
    if (!zx_jvalue_is_number(call->self))
        return ZX_JFAIL(run, "bad operand type for abs(): '%s'", zx_jvalue_type(call->self));
    *result = zx_jfloat(fabs(call->self.as.number));
    if (!zx_jvalue_is_integer(call->self, &integer)) return ZMLX_OK;
    if (integer < 0) return zx_jvalue_negate(run, zx_jint(integer), result);
    *result = zx_jint(integer);
    return ZMLX_OK;
}

/* --- round --- */

/* 10 ** digits for 0 <= digits <= 18. */
static int64_t power_of_ten(int64_t digits)
{
    int64_t power = 1;
    for (; digits > 0; digits--) power *= 10;
    return power;
}

/* An integer to a multiple of 10 ** digits, ties to even. */
static zmlx_status round_integer(zx_jrun *run, int64_t integer, int64_t digits, zx_jvalue *result)
{
    *result = zx_jint(0);
    if (digits > 18) return ZMLX_OK;
    const int64_t unit = power_of_ten(digits), half = unit / 2;
    int64_t rest = integer % unit, whole = integer / unit;
    if (rest < 0) {
        rest += unit;
        whole--;
    }
    if (rest > half || (rest == half && unit > 1 && whole % 2 != 0)) whole++;
    if (__builtin_mul_overflow(whole, unit, &result->as.integer))
        return ZX_JFAIL(run, "the result does not fit in 64 bits");
    return ZMLX_OK;
}

/* A float to 'digits' decimals, correctly rounded from its exact value. */
static double round_float(double number, int64_t digits)
{
    char text[400];
    if (!isfinite(number) || digits > 330) return number;
    if (digits >= 0) {
        (void)snprintf(text, sizeof text, "%.*f", (int)(digits < 50 ? digits : 50), number);
        return digits < 50 ? strtod(text, NULL) : number;
    }
    if (digits < -309) return copysign(0.0, number);
    (void)snprintf(text, sizeof text, "%.*e", 17, number);
    const int kept = (int)strtol(strchr(text, 'e') + 1, NULL, 10) + 1 +
                     (int)digits; /* significant digits left */
    if (kept > 0) {
        (void)snprintf(text, sizeof text, "%.*e", kept - 1, number);
        return strtod(text, NULL);
    }
    (void)snprintf(text, sizeof text, "5e%d", (int)-digits - 1);
    if (kept < 0 || fabs(number) <= strtod(text, NULL)) return copysign(0.0, number);
    (void)snprintf(text, sizeof text, "1e%d", (int)-digits);
    return copysign(strtod(text, NULL), number);
}

/* ceil and floor: of the number times 10 ** precision, and back. */
static zmlx_status round_one_way(zx_jrun *run, zx_jvalue value, int64_t precision, bool up,
                                 zx_jvalue *result)
{
    zx_jvalue scale, scaled;
    int64_t integer = 0;
    ZX_TRY(zx_jvalue_power(run, zx_jint(10), zx_jint(precision), &scale));
    ZX_TRY(zx_jvalue_multiply(run, value, scale, &scaled));
    if (scaled.kind == ZX_J_FLOAT) {
        const double whole = up ? ceil(scaled.as.number) : floor(scaled.as.number);
        scaled = zx_jfloat(whole);
        /* Beyond 2 ** 53 every float is whole, and its quotient the integer's. */
        if (!(fabs(whole) > 0x1p53) || isinf(whole)) {
            ZX_TRY(zx_jnumber_truncate(run, whole, &integer));
            scaled = zx_jint(integer);
        }
    }
    return zx_jvalue_divide(run, scaled, scale, result);
}

static zmlx_status do_round(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    int64_t precision = 0, integer = 0;
    zx_jstring common = {.bytes = "common", .length = 6}, *method = &common;
    if (call->arg[1].kind != ZX_J_MISSING)
        ZX_TRY(zx_jarg_string(run, call->arg[1], "the method", &method));
    const bool up = zx_jstring_is(method, "ceil"), down = zx_jstring_is(method, "floor");
    if (!up && !down && !zx_jstring_is(method, "common"))
        return ZX_JFAIL(run, "method must be common, ceil or floor");
    if (call->self.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, call->self.as.undefined);
    if (!zx_jvalue_is_number(call->self))
        return ZX_JFAIL(run, "type %s cannot be rounded", zx_jvalue_type(call->self));
    ZX_TRY(zx_jarg_int_or(run, call->arg[0], "the precision", 0, &precision));
    if (up || down) return round_one_way(run, call->self, precision, up, result);
    if (!zx_jvalue_is_integer(call->self, &integer)) {
        *result = zx_jfloat(round_float(call->self.as.number, precision));
        return ZMLX_OK;
    }
    *result = zx_jint(integer);
    return precision >= 0 ? ZMLX_OK : round_integer(run, integer, -precision, result);
}

/* --- int and float --- */

/* float(value); false where Python raises TypeError or ValueError. */
static bool to_float(zx_jvalue value, double *number)
{
    if (zx_jvalue_is_number(value)) {
        *number = zx_jvalue_number(value);
        return true;
    }
    return value.kind == ZX_J_STRING && zx_jnumber_parse_float(value.as.string, number);
}

static zmlx_status do_int(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jvalue value = call->self;
    int64_t base = 10;
    bool overflow = false;
    double number = 0;
    *result = zx_jint(0);
    if (value.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, value.as.undefined);
    if (zx_jvalue_is_integer(value, &result->as.integer)) return ZMLX_OK;
    if (value.kind == ZX_J_FLOAT && !isnan(value.as.number))
        return zx_jnumber_truncate(run, value.as.number, &result->as.integer);
    if (value.kind == ZX_J_STRING) ZX_TRY(zx_jrun_pay_points(run, value.as.string->length));
    const bool has_base = call->arg[1].kind == ZX_J_MISSING ||
                          (zx_jvalue_is_integer(call->arg[1], &base) && base >= 0 && base <= 36);
    if (value.kind == ZX_J_STRING && has_base &&
        zx_jnumber_parse_int(value.as.string, (int)base, &result->as.integer, &overflow))
        return overflow ? ZX_JFAIL(run, "the number does not fit in 64 bits") : ZMLX_OK;
    if (to_float(value, &number) && isfinite(number))
        return zx_jnumber_truncate(run, number, &result->as.integer);
    if (call->arg[0].kind != ZX_J_MISSING) *result = call->arg[0];
    return ZMLX_OK;
}

static zmlx_status do_float(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    *result = zx_jfloat(0);
    if (call->self.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, call->self.as.undefined);
    if (call->self.kind == ZX_J_STRING)
        ZX_TRY(zx_jrun_pay_points(run, call->self.as.string->length));
    if (!to_float(call->self, &result->as.number) && call->arg[0].kind != ZX_J_MISSING)
        *result = call->arg[0];
    return ZMLX_OK;
}

/* --- sizes --- */

static zmlx_status do_filesizeformat(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    static const char letters[] = "kMGTPEZY";
    const bool binary = zx_jarg_true(call->arg[0], false);
    const double base = binary ? 1024 : 1000;
    double bytes = 0, unit = base;
    zx_jbuilder builder = {0};
    if (call->self.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, call->self.as.undefined);
    if (call->self.kind == ZX_J_STRING)
        ZX_TRY(zx_jrun_pay_points(run, call->self.as.string->length));
    if (!to_float(call->self, &bytes)) return ZX_JFAIL(run, "could not convert the size to float");
    if (bytes < base) {
        int64_t whole = 0;
        ZX_TRY(zx_jnumber_truncate(run, bytes, &whole));
        const bool one = !(bytes < 1) && !(bytes > 1);
        ZX_TRY(
            zx_jbuilder_format(run, &builder, one ? "%lld Byte" : "%lld Bytes", (long long)whole));
        return zx_jbuilder_finish(run, &builder, result);
    }
    size_t i = 0;
    unit *= base;
    while (i + 2 < sizeof letters && !(bytes < unit)) {
        unit *= base;
        i++;
    }
    ZX_TRY(zx_jbuilder_format(run, &builder, "%.1f %c%s", base * bytes / unit,
                              binary && i == 0 ? 'K' : letters[i], binary ? "iB" : "B"));
    return zx_jbuilder_finish(run, &builder, result);
}

const zx_jbuiltin zx_jfilters_number[] = {
    {"int", "default? base?", do_int},
    {"float", "default?", do_float},
    {"round", "precision? method?", do_round},
    {"abs", "/", do_abs},
    {"filesizeformat", "binary?", do_filesizeformat},
    {NULL, NULL, NULL},
};
