/* f4_test.c - the FMA made of doubles against libm's, where roundings are close calls. */
#include "base/test.h"
#include "kernels/f4.h"

enum { CASES = 400000 };

static float any_float(void)
{
    return zx_float_from_bits((uint32_t)zx_test_random());
}

/* Some float of a size near 2^exponent. */
static float sized(int exponent)
{
    const uint32_t mantissa = (uint32_t)zx_test_random() & 0x7fffffu;
    const float value = zx_float_from_bits(0x3f800000u | mantissa);
    return ldexpf(zx_test_below(2) == 0 ? value : -value, exponent);
}

static bool same(float a, float b)
{
    return zx_bits_from_float(a) == zx_bits_from_float(b) || (isnan(a) && isnan(b));
}

static bool agrees(float a, float b, float c)
{
    const f2 two = f2_fma((f2){a, c}, (f2){b, a}, (f2){c, b});
    const f4 four = f4_fma((f4){a, b, c, a}, (f4){b, c, a, c}, (f4){c, a, b, b});
    return same(two[0], fmaf(a, b, c)) && same(two[1], fmaf(c, a, b)) &&
           same(four[0], fmaf(a, b, c)) && same(four[1], fmaf(b, c, a)) &&
           same(four[2], fmaf(c, a, b)) && same(four[3], fmaf(a, c, b));
}

TEST(fma_of_doubles_returns_the_bits_of_fmaf)
{
    for (int i = 0; i < CASES; i++) {
        const int exponent = (int)zx_test_below(160) - 80;
        const float a = sized(exponent), b = sized((int)zx_test_below(40) - 20);
        CHECK(agrees(any_float(), any_float(), any_float()));
        CHECK(agrees(a, b, sized(exponent + (int)zx_test_below(120) - 60)));
        CHECK(agrees(a, b, -(a * b))); /* what remains is the product's rounding */
        CHECK(agrees(sized(-70), sized(-70 - (int)zx_test_below(10)), sized(-140)));
    }
}

/* A double at or beside the middle of two floats, and what decides lies below its last bit: to
 * round twice is wrong. */
TEST(fma_of_doubles_rounds_once)
{
    size_t twice = 0;
    for (int i = 0; i < CASES; i++) {
        const float c = sized(0);
        const float half = ldexpf(c < 0 ? -1.0F : 1.0F, -24); /* of c's last place */
        const float a = half * (1.0F + ldexpf(1.0F, -23)), b = 1.0F - ldexpf(1.0F, -23);
        twice += !same((float)((double)a * (double)b + (double)c), fmaf(a, b, c));
        CHECK(agrees(a, b, c));
        CHECK(agrees(-a, b, c));
    }
    CHECK(twice > 0);
}
