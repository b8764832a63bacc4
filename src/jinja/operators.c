/* operators.c - + - * / // % ** and signs, as Python defines them, on 64-bit integers: where a
 * result does not fit the error says so. */
#include <math.h>

#include "jinja/call.h"
#include "jinja/run.h"

static zmlx_status fail_types(zx_jrun *run, const char *sign, zx_jvalue a, zx_jvalue b)
{
    if (a.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, a.as.undefined);
    if (b.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, b.as.undefined);
    return ZX_JFAIL(run, "unsupported operand types for %s: '%s' and '%s'", sign, zx_jvalue_type(a),
                    zx_jvalue_type(b));
}

static zmlx_status fail_overflow(zx_jrun *run, const char *sign)
{
    return ZX_JFAIL(run, "the result of %s does not fit in 64 bits", sign);
}

/* Whether both are numbers; *whole where both are integers, which are then in *x and *y. */
static bool are_numbers(zx_jvalue a, zx_jvalue b, bool *whole, int64_t *x, int64_t *y)
{
    *whole = zx_jvalue_is_integer(a, x) && zx_jvalue_is_integer(b, y);
    return zx_jvalue_is_number(a) && zx_jvalue_is_number(b);
}

/* --- + and * also join and repeat --- */

static zmlx_status join_lists(zx_jrun *run, zx_jvalue a, zx_jvalue b, zx_jvalue *result)
{
    ZX_TRY(zx_jrun_pay(run, a.as.list->count + b.as.list->count));
    ZX_TRY(zx_jlist_make(run, a.kind, a.as.list->count + b.as.list->count, result));
    for (size_t i = 0; i < a.as.list->count; i++)
        ZX_TRY(zx_jlist_add(run, result->as.list, a.as.list->items[i]));
    for (size_t i = 0; i < b.as.list->count; i++)
        ZX_TRY(zx_jlist_add(run, result->as.list, b.as.list->items[i]));
    return ZMLX_OK;
}

static zmlx_status join_strings(zx_jrun *run, zx_jvalue a, zx_jvalue b, zx_jvalue *result)
{
    const bool markup = a.as.string->markup || b.as.string->markup;
    if (markup) {
        ZX_TRY(zx_jvalue_escape(run, a, &a));
        ZX_TRY(zx_jvalue_escape(run, b, &b));
    }
    ZX_TRY(zx_jstring_concat(run, a.as.string, b.as.string, result));
    result->as.string->markup = markup;
    return ZMLX_OK;
}

zmlx_status zx_jvalue_add(zx_jrun *run, zx_jvalue a, zx_jvalue b, zx_jvalue *result)
{
    int64_t x = 0, y = 0;
    bool whole = false;
    if (are_numbers(a, b, &whole, &x, &y)) {
        *result = zx_jfloat(zx_jvalue_number(a) + zx_jvalue_number(b));
        if (!whole) return ZMLX_OK;
        *result = zx_jint(0);
        return __builtin_add_overflow(x, y, &result->as.integer) ? fail_overflow(run, "+")
                                                                 : ZMLX_OK;
    }
    if (a.kind == ZX_J_STRING && b.kind == ZX_J_STRING) return join_strings(run, a, b, result);
    if (zx_jvalue_is_sequence(a) && a.kind == b.kind) return join_lists(run, a, b, result);
    if (b.kind != ZX_J_UNDEFINED && (a.kind == ZX_J_STRING || zx_jvalue_is_sequence(a)))
        return ZX_JFAIL(run, "can only concatenate %s (not \"%s\") to %s", zx_jvalue_type(a),
                        zx_jvalue_type(b), zx_jvalue_type(a));
    return fail_types(run, "+", a, b);
}

zmlx_status zx_jvalue_subtract(zx_jrun *run, zx_jvalue a, zx_jvalue b, zx_jvalue *result)
{
    int64_t x = 0, y = 0;
    bool whole = false;
    if (!are_numbers(a, b, &whole, &x, &y)) return fail_types(run, "-", a, b);
    *result = zx_jfloat(zx_jvalue_number(a) - zx_jvalue_number(b));
    if (!whole) return ZMLX_OK;
    *result = zx_jint(0);
    return __builtin_sub_overflow(x, y, &result->as.integer) ? fail_overflow(run, "-") : ZMLX_OK;
}

static zmlx_status repeat(zx_jrun *run, zx_jvalue object, int64_t times, zx_jvalue *result)
{
    if (object.kind == ZX_J_STRING) {
        zx_jbuilder builder = {0};
        ZX_TRY(zx_jbuilder_repeat(run, &builder, object.as.string, times));
        ZX_TRY(zx_jbuilder_finish(run, &builder, result));
        result->as.string->markup = object.as.string->markup;
        return ZMLX_OK;
    }
    const size_t count = object.as.list->count;
    ZX_TRY(zx_jlist_make(run, object.kind, 0, result));
    for (int64_t i = 0; i < times && count > 0; i++) {
        ZX_TRY(zx_jrun_pay(run, count));
        for (size_t j = 0; j < count; j++)
            ZX_TRY(zx_jlist_add(run, result->as.list, object.as.list->items[j]));
    }
    return ZMLX_OK;
}

static bool is_repeatable(zx_jvalue value)
{
    return value.kind == ZX_J_STRING || zx_jvalue_is_sequence(value);
}

zmlx_status zx_jvalue_multiply(zx_jrun *run, zx_jvalue a, zx_jvalue b, zx_jvalue *result)
{
    int64_t x = 0, y = 0;
    bool whole = false;
    if (are_numbers(a, b, &whole, &x, &y)) {
        *result = zx_jfloat(zx_jvalue_number(a) * zx_jvalue_number(b));
        if (!whole) return ZMLX_OK;
        *result = zx_jint(0);
        return __builtin_mul_overflow(x, y, &result->as.integer) ? fail_overflow(run, "*")
                                                                 : ZMLX_OK;
    }
    if (is_repeatable(a) && zx_jvalue_is_integer(b, &y)) return repeat(run, a, y, result);
    if (is_repeatable(b) && zx_jvalue_is_integer(a, &x)) return repeat(run, b, x, result);
    return fail_types(run, "*", a, b);
}

/* --- division --- */

__extension__ typedef unsigned __int128 wide;

static int bits_of(uint64_t number)
{
    return number > 0 ? 64 - __builtin_clzll(number) : 0;
}

/* The float nearest to x / y, rounded once: at least 55 bits of the quotient, the last of them set
 * where something is left. */
static double quotient(int64_t x, int64_t y)
{
    const uint64_t above = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    const uint64_t below = y < 0 ? 0 - (uint64_t)y : (uint64_t)y;
    const int missing = 56 + bits_of(below) - bits_of(above);
    const int shift = missing > 0 ? missing : 0;
    const wide scaled = (wide)above << shift;
    const uint64_t whole = (uint64_t)(scaled / below) | (scaled % below != 0 ? 1 : 0);
    const double magnitude = ldexp((double)whole, -shift);
    return (x < 0) != (y < 0) ? -magnitude : magnitude;
}

zmlx_status zx_jvalue_divide(zx_jrun *run, zx_jvalue a, zx_jvalue b, zx_jvalue *result)
{
    int64_t x = 0, y = 0;
    bool whole = false;
    if (!are_numbers(a, b, &whole, &x, &y)) return fail_types(run, "/", a, b);
    const double divisor = zx_jvalue_number(b);
    if (!(divisor < 0) && !(divisor > 0) && !isnan(divisor))
        return ZX_JFAIL(run, "division by zero");
    *result = zx_jfloat(whole ? quotient(x, y) : zx_jvalue_number(a) / divisor);
    return ZMLX_OK;
}

/* Python's divmod of floats: the remainder has the divisor's sign. */
static void float_divmod(double a, double b, double *quotient, double *remainder)
{
    double mod = fmod(a, b), div = (a - mod) / b;
    if (mod < 0 || mod > 0) {
        if ((b < 0) != (mod < 0)) {
            mod += b;
            div -= 1;
        }
    } else if (!isnan(mod)) {
        mod = copysign(0.0, b);
    }
    if (div < 0 || div > 0) {
        const double floored = floor(div);
        *quotient = div - floored > 0.5 ? floored + 1 : floored;
    } else {
        *quotient = isnan(div) ? div : copysign(0.0, a / b);
    }
    *remainder = mod;
}

static zmlx_status divmod(zx_jrun *run, zx_jvalue a, zx_jvalue b, const char *sign,
                          zx_jvalue result[2])
{
    int64_t x = 0, y = 0;
    bool whole = false;
    if (!are_numbers(a, b, &whole, &x, &y)) return fail_types(run, sign, a, b);
    const double divisor = zx_jvalue_number(b);
    if (!(divisor < 0) && !(divisor > 0) && !isnan(divisor))
        return ZX_JFAIL(run, "integer division or modulo by zero");
    if (!whole) {
        result[0] = result[1] = zx_jfloat(0);
        float_divmod(zx_jvalue_number(a), divisor, &result[0].as.number, &result[1].as.number);
        return ZMLX_OK;
    }
    if (y == -1) { /* the one divisor that overflows, and only for INT64_MIN */
        result[0] = result[1] = zx_jint(0);
        return __builtin_sub_overflow(0, x, &result[0].as.integer) && sign[1] == '/'
                   ? fail_overflow(run, sign)
                   : ZMLX_OK;
    }
    int64_t quotient = x / y, remainder = x % y;
    if (remainder != 0 && (remainder < 0) != (y < 0)) {
        quotient--;
        remainder += y;
    }
    result[0] = zx_jint(quotient);
    result[1] = zx_jint(remainder);
    return ZMLX_OK;
}

zmlx_status zx_jvalue_floor_divide(zx_jrun *run, zx_jvalue a, zx_jvalue b, zx_jvalue *result)
{
    zx_jvalue both[2];
    ZX_TRY(divmod(run, a, b, "//", both));
    *result = both[0];
    return ZMLX_OK;
}

zmlx_status zx_jvalue_modulo(zx_jrun *run, zx_jvalue a, zx_jvalue b, zx_jvalue *result)
{
    if (a.kind == ZX_J_STRING) return zx_jformat_percent(run, a.as.string, b, result);
    zx_jvalue both[2];
    ZX_TRY(divmod(run, a, b, "%", both));
    *result = both[1];
    return ZMLX_OK;
}

/* --- powers and signs --- */

static zmlx_status integer_power(zx_jrun *run, int64_t base, int64_t exponent, zx_jvalue *result)
{
    int64_t power = 1;
    while (exponent > 0) {
        if ((exponent & 1) != 0 && __builtin_mul_overflow(power, base, &power))
            return fail_overflow(run, "**");
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
            return fail_overflow(run, "**");
    }
    *result = zx_jint(power);
    return ZMLX_OK;
}

zmlx_status zx_jvalue_power(zx_jrun *run, zx_jvalue a, zx_jvalue b, zx_jvalue *result)
{
    int64_t x = 0, y = 0;
    bool whole = false;
    if (!are_numbers(a, b, &whole, &x, &y)) return fail_types(run, "**", a, b);
    if (whole && y >= 0) return integer_power(run, x, y, result);
    const double base = zx_jvalue_number(a), exponent = zx_jvalue_number(b);
    if (!(base < 0) && !(base > 0) && !isnan(base) && exponent < 0)
        return ZX_JFAIL(run, "0.0 cannot be raised to a negative power");
    if (base < 0 && isfinite(base) && isfinite(exponent) && floor(exponent) < exponent)
        return ZX_JFAIL(run, "complex numbers are not supported");
    *result = zx_jfloat(pow(base, exponent));
    if (isinf(result->as.number) && isfinite(base) && isfinite(exponent))
        return ZX_JFAIL(run, "the result of ** is too large");
    return ZMLX_OK;
}

zmlx_status zx_jvalue_negate(zx_jrun *run, zx_jvalue a, zx_jvalue *result)
{
    int64_t integer = 0;
    if (zx_jvalue_is_integer(a, &integer)) {
        *result = zx_jint(0);
        return __builtin_sub_overflow(0, integer, &result->as.integer) ? fail_overflow(run, "-")
                                                                       : ZMLX_OK;
    }
    *result = zx_jfloat(-a.as.number);
    if (a.kind == ZX_J_FLOAT) return ZMLX_OK;
    if (a.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, a.as.undefined);
    return ZX_JFAIL(run, "bad operand type for unary -: '%s'", zx_jvalue_type(a));
}

zmlx_status zx_jvalue_plus(zx_jrun *run, zx_jvalue a, zx_jvalue *result)
{
    int64_t integer = 0;
    *result = a;
    if (zx_jvalue_is_integer(a, &integer)) *result = zx_jint(integer);
    if (zx_jvalue_is_number(a)) return ZMLX_OK;
    if (a.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, a.as.undefined);
    return ZX_JFAIL(run, "bad operand type for unary +: '%s'", zx_jvalue_type(a));
}
