/* vmath.h - exp, log, sin, cos, tanh, erf and the activations of f32, ours.  Normative: every
 * instruction set returns these bits, so a kernel with intrinsics repeats these steps one by one.
 *
 * Each is one polynomial (fitted for least relative error), written with fmaf and integer
 * operations on the bits and without branches, so that loops over it vectorize.  libm, estimates
 * (rsqrt, reciprocal) and flush-to-zero are forbidden here.  Include it only from kernel bodies.
 *
 *   exp   at most 1 ulp; exactly 0 at -inf and inf at inf      log   at most 1 ulp
 *   sin, cos   at most 1 ulp for |x| <= 2^30, NaN beyond       tanh, erf   at most 2 ulp
 *   NaN gives NaN everywhere */
#ifndef ZX_KERNELS_VMATH_H
#define ZX_KERNELS_VMATH_H

#include <math.h>
#include <stdint.h>

#include "tensor/dtype.h"

/* Adding it to a float of small size leaves the nearest integer in the low bits. */
static const float zx_round_magic = 0x1.8p23F;

/* 2^n for -126 <= n <= 127. */
static inline float zx_power_of_two(int32_t n)
{
    return zx_float_from_bits((uint32_t)(n + 127) << 23);
}

/* exp(x) = 2^n * (1 + r + r^2 * polynomial(r)), r = x - n * ln 2.  The factor comes in two halves:
 * the product with the first is exact, that with the second rounds once, also to a subnormal. */
static inline float zx_exp(float x)
{
    x = x < -104.0F ? -104.0F : x; /* 0 */
    x = x > 89.0F ? 89.0F : x;     /* inf */
    const float shifted = fmaf(x, 0x1.715476p+0F, zx_round_magic);
    const int32_t n = (int32_t)(zx_bits_from_float(shifted) - zx_bits_from_float(zx_round_magic));
    const float whole = shifted - zx_round_magic;
    float r = fmaf(whole, -0x1.62e43p-1F, x);
    r = fmaf(whole, 0x1.05c610p-29F, r);
    float p = 0x1.6a1a5cp-10F;
    p = fmaf(p, r, 0x1.123fc8p-7F);
    p = fmaf(p, r, 0x1.555916p-5F);
    p = fmaf(p, r, 0x1.55548ap-3F);
    p = fmaf(p, r, 0x1.fffffcp-2F);
    p = fmaf(p, r, 1.0F);
    p = fmaf(p, r, 1.0F);
    const int32_t half = n >> 1;
    return p * zx_power_of_two(half) * zx_power_of_two(n - half);
}

/* log(2^k * m) = k * ln 2 + log(1 + f), f = m - 1 in [sqrt(1/2) - 1, sqrt(2) - 1). */
static inline float zx_log(float x)
{
    const uint32_t small = zx_bits_from_float(x) < 0x00800000u; /* a positive subnormal, or 0 */
    const uint32_t bits = zx_bits_from_float(small ? x * 0x1p23F : x);
    const int32_t k = (int32_t)(bits - 0x3f3504f3u) >> 23;
    const float f = zx_float_from_bits(bits - ((uint32_t)k << 23)) - 1.0F;
    const float exponent = (float)(k - (small ? 23 : 0));
    float p = 0x1.145b3p-4F;
    p = fmaf(p, f, -0x1.de4046p-4F);
    p = fmaf(p, f, 0x1.e6f0ecp-4F);
    p = fmaf(p, f, -0x1.fc2134p-4F);
    p = fmaf(p, f, 0x1.23375p-3F);
    p = fmaf(p, f, -0x1.555c54p-3F);
    p = fmaf(p, f, 0x1.99a4b6p-3F);
    p = fmaf(p, f, -0x1.000006p-2F);
    p = fmaf(p, f, 0x1.555548p-2F);
    const float square = f * f;
    float y = fmaf(p * f, square, exponent * -0x1.05c61p-29F);
    y = fmaf(square, -0.5F, y);
    y = fmaf(exponent, 0x1.62e43p-1F, f + y);
    y = x == INFINITY ? INFINITY : y;
    y = x >= 0.0F ? y : NAN;
    return x == 0.0F ? -INFINITY : y;
}

typedef struct zx_sine_cosine {
    float sine, cosine;
} zx_sine_cosine;

/* Both, in double until the last step: x = k * pi / 2 + r, |r| <= pi / 4. */
static inline zx_sine_cosine zx_sin_cos(float angle)
{
    const double magic = 0x1.8p52;
    const double x = fabsf(angle) <= 0x1p30F ? (double)angle : (double)NAN;
    const double shifted = fma(x, 0x1.45f306dc9c883p-1, magic);
    const double k = shifted - magic;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    const double r = fma(k, -0x1.1a62633145c07p-54, fma(k, -0x1.921fb54442d18p+0, x));
    const double square = r * r;
    double s = fma(0x1.6cd5e7686a994p-19, square, -0x1.a00f9380b5beep-13);
    s = fma(s, square, 0x1.11110889d1038p-7);
    s = fma(s, square, -0x1.5555554ca8ebcp-3);
    s = fma(s * square, r, r);
    double c = fma(-0x1.241ca3542766bp-22, square, 0x1.a010d5354e5d7p-16);
    c = fma(c, square, -0x1.6c16b81b6389ep-10);
    c = fma(c, square, 0x1.5555554ecbb1ap-5);
    c = fma(c, square, -0.5);
    c = fma(c, square, 1.0);
    const double sine = bits & 1 ? c : s;
    const double cosine = bits & 1 ? s : c;
    return (zx_sine_cosine){(float)(bits & 2 ? -sine : sine),
                            (float)((bits + 1) & 2 ? -cosine : cosine)};
}

static inline float zx_sin(float x)
{
    return zx_sin_cos(x).sine;
}

static inline float zx_cos(float x)
{
    return zx_sin_cos(x).cosine;
}

/* magnitude with the sign of x */
static inline float zx_with_sign(float magnitude, float x)
{
    const uint32_t sign = zx_bits_from_float(x) & 0x80000000u;
    return zx_float_from_bits((zx_bits_from_float(magnitude) & 0x7fffffffu) | sign);
}

/* Small: x + x^3 * polynomial(x^2); else 1 - 2 / (exp(2 |x|) + 1). */
static inline float zx_tanh(float x)
{
    const float magnitude = fabsf(x);
    const float square = x * x;
    float p = -0x1.75e0fap-8F;
    p = fmaf(p, square, 0x1.522668p-6F);
    p = fmaf(p, square, -0x1.b83c5p-5F);
    p = fmaf(p, square, 0x1.110726p-3F);
    p = fmaf(p, square, -0x1.555532p-2F);
    const float near = fmaf(p * square, magnitude, magnitude);
    const float far = 1.0F - 2.0F / (zx_exp(magnitude + magnitude) + 1.0F);
    return zx_with_sign(magnitude < 0.625F ? near : far, x);
}

/* Small: x * polynomial(x^2); else 1 - exp(-polynomial(|x|)). */
static inline float zx_erf(float x)
{
    float magnitude = fabsf(x);
    magnitude = magnitude > 4.0F ? 4.0F : magnitude; /* 1 */
    const float square = magnitude * magnitude;
    float p = 0x1.5f9512p-14F;
    p = fmaf(p, square, -0x1.ab104ep-11F);
    p = fmaf(p, square, 0x1.54df18p-8F);
    p = fmaf(p, square, -0x1.b810e8p-6F);
    p = fmaf(p, square, 0x1.ce2e24p-4F);
    p = fmaf(p, square, -0x1.812744p-2F);
    p = fmaf(p, square, 0x1.06eba8p-3F); /* 2 / sqrt(pi) = 1 + this */
    const float near = fmaf(p, magnitude, magnitude);
    float q = 0x1.600214p-16F;
    q = fmaf(q, magnitude, -0x1.c630b4p-12F);
    q = fmaf(q, magnitude, 0x1.10f04p-8F);
    q = fmaf(q, magnitude, -0x1.9b487ap-6F);
    q = fmaf(q, magnitude, 0x1.bb68ep-4F);
    q = fmaf(q, magnitude, 0x1.44491cp-1F);
    q = fmaf(q, magnitude, 0x1.212722p+0F);
    q = fmaf(q, magnitude, -0x1.695278p-13F);
    const float far = 1.0F - zx_exp(-q);
    return zx_with_sign(magnitude < 0.92F ? near : far, x);
}

/* 1 / (1 + exp(-x)), in the form whose exponential cannot overflow. */
static inline float zx_sigmoid(float x)
{
    const float e = zx_exp(-fabsf(x));
    return (x >= 0.0F ? 1.0F : e) / (1.0F + e);
}

/* The sigmoid is in f32; a kernel rounds the product into T. */
static inline float zx_silu(float x)
{
    return x * zx_sigmoid(x);
}

/* log(1 + exp(x)): max(x, 0) + log(1 + e), e = exp(-|x|) <= 1, whose rounding into 1 + e is undone
 * by the quotient. */
static inline float zx_softplus(float x)
{
    const float e = zx_exp(-fabsf(x));
    const float sum = 1.0F + e;
    const float rest = sum == 1.0F ? e : zx_log(sum) * (e / (sum - 1.0F));
    return (x > 0.0F ? x : 0.0F) + rest;
}

static inline float zx_gelu(float x)
{
    return 0.5F * x * (1.0F + zx_erf(x * 0x1.6a09e6p-1F));
}

static inline float zx_gelu_tanh(float x)
{
    const float inner = fmaf(0x1.6e4e26p-5F * x * x, x, x); /* 0.044715 */
    return 0.5F * x * (1.0F + zx_tanh(0x1.988454p-1F * inner));
}

static inline float zx_relu(float x)
{
    return x > 0.0F || x != x ? x : 0.0F; /* NaN stays */
}

static inline float zx_relu2(float x)
{
    const float y = zx_relu(x);
    return y * y;
}

#endif
