/* vmath_test.c - against libm in double, in units of the last place, over all sizes of f32. */
#include "base/test.h"
#include "kernels/vmath.h"

/* |got - wanted| in units of the last place of the f32 nearest to 'wanted'; huge when one is NaN
 * or infinite and the other is not. */
static double ulps(float got, double wanted)
{
    if (isnan(wanted)) return isnan(got) ? 0 : 1e9;
    if (isinf((float)wanted) || isinf(got)) return got == (float)wanted ? 0 : 1e9;
    int exponent = 0;
    (void)frexp(wanted, &exponent);
    if (exponent < -125) exponent = -125;
    return fabs((double)got - wanted) / ldexp(1, exponent - 24);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double silu(double x)
{
    return x * sigmoid(x);
}

static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

typedef struct function_row {
    const char *name;
    float (*ours)(float x);
    double (*wanted)(double x);
    double largest_error; /* in ulps, for |x| up to: */
    float largest_argument;
} function_row;

static const function_row functions[] = {
    {"exp", zx_exp, exp, 1.0, INFINITY},        {"log", zx_log, log, 1.0, INFINITY},
    {"sin", zx_sin, sin, 0.51, 0x1p30F},        {"cos", zx_cos, cos, 0.51, 0x1p30F},
    {"tanh", zx_tanh, tanh, 2.0, INFINITY},     {"erf", zx_erf, erf, 2.0, INFINITY},
    {"sigmoid", zx_sigmoid, sigmoid, 3, 87},    {"silu", zx_silu, silu, 4, 87},
    {"softplus", zx_softplus, softplus, 3, 87},
};

/* An odd step through all bit patterns meets every exponent, both signs, NaN and infinity. */
TEST(vmath_is_close_to_libm)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        const function_row *row = &functions[i];
        double largest = 0;
        for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 4999) {
            const float x = zx_float_from_bits((uint32_t)bits);
            if (fabsf(x) > row->largest_argument) continue;
            const double error = ulps(row->ours(x), row->wanted((double)x));
            largest = error > largest ? error : largest;
        }
        CHECK_ON(row->name, largest <= row->largest_error);
        CHECK_ON(row->name, largest > 0);
    }
}

TEST(vmath_ends)
{
    CHECK(zx_bits_from_float(zx_exp(-INFINITY)) == 0);
    CHECK(zx_exp(-104.0F) == 0 && zx_exp(-1e30F) == 0);
    CHECK(zx_exp(INFINITY) == INFINITY && zx_exp(1e30F) == INFINITY);
    CHECK(zx_exp(0) == 1 && zx_exp(-0.0F) == 1);
    CHECK(zx_exp(-103.0F) > 0); /* a subnormal */
    CHECK(zx_log(0) == -INFINITY && zx_log(-0.0F) == -INFINITY && zx_log(INFINITY) == INFINITY);
    CHECK(zx_log(1) == 0 && isnan(zx_log(-1)));
    CHECK(zx_tanh(INFINITY) == 1 && zx_tanh(-INFINITY) == -1);
    CHECK(zx_erf(INFINITY) == 1 && zx_erf(-INFINITY) == -1);
    CHECK(signbit(zx_tanh(-0.0F)) && signbit(zx_erf(-0.0F)));
    CHECK(isnan(zx_sin(INFINITY)) && isnan(zx_cos(0x1p31F)));
    CHECK(zx_sin(0) == 0 && zx_cos(0) == 1);
    CHECK(zx_sigmoid(-INFINITY) == 0 && zx_sigmoid(INFINITY) == 1 && zx_sigmoid(0) == 0.5F);
}
