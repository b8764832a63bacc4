/* f4.h - four floats in one of the compiler's vectors, for any processor.  Compilers have no word
 * for a vector FMA, a look-up or f16: aarch64's are named, and where an FMA is a call of libm it is
 * made of doubles here. */
#ifndef ZX_KERNELS_F4_H
#define ZX_KERNELS_F4_H

#include <math.h>

#include "tensor/dtype.h"

#ifdef __aarch64__
#include <arm_neon.h>
#endif

/* Where fmaf is one instruction. */
#if defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA) || defined(__FMA__)
#define ZX_NATIVE_FMA 1
#endif

#define INLINE static inline __attribute__((always_inline))

typedef float f4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));
typedef uint32_t u4 __attribute__((vector_size(16)));
typedef uint16_t h4 __attribute__((vector_size(8)));
typedef float f2 __attribute__((vector_size(8)));
typedef double d2 __attribute__((vector_size(16)));
typedef int64_t l2 __attribute__((vector_size(16)));
typedef uint64_t l2u __attribute__((vector_size(16)));

INLINE f4 f4_set1(float value)
{
    return (f4){value, value, value, value};
}

/* a + b rounded to odd: what is not exact becomes that neighbour whose last bit is set.  Rounding
 * that to float is as good as rounding the exact sum, since double has more than two bits to spare
 * (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).  Two doubles that
 * come of floats, or of a product of floats, neither overflow nor lose bits below. */
INLINE d2 d2_add_to_odd(d2 a, d2 b)
{
    const d2 sum = a + b, part = sum - a;
    const d2 rest =
        (a - (sum - part)) + (b - part); /* exactly what the sum leaves; NaN: see below */
    const l2 bits = (l2)sum;
    const l2 inexact = (rest > 0) | (rest < 0); /* neither where the sum is an infinity or NaN */
    const l2 even = (bits & 1) - 1;
    const l2 inwards =
        (l2)(((l2u)bits ^ (l2u)(l2)rest) >> 63); /* 1: the exact sum is nearer to 0 */
    return (d2)(bits + (inexact & even & (1 - 2 * inwards)));
}

INLINE f2 f2_fma(f2 a, f2 b, f2 c)
{
    const d2 product = __builtin_convertvector(a, d2) * __builtin_convertvector(b, d2); /* exact */
    return __builtin_convertvector(d2_add_to_odd(product, __builtin_convertvector(c, d2)), f2);
}

/* fmaf of each lane. */
INLINE f4 f4_fma(f4 a, f4 b, f4 c)
{
#if defined(__aarch64__)
    return vfmaq_f32(c, a, b);
#elif defined(ZX_NATIVE_FMA)
    return (f4){fmaf(a[0], b[0], c[0]), fmaf(a[1], b[1], c[1]), fmaf(a[2], b[2], c[2]),
                fmaf(a[3], b[3], c[3])};
#else
    const f2 low = f2_fma((f2){a[0], a[1]}, (f2){b[0], b[1]}, (f2){c[0], c[1]});
    const f2 high = f2_fma((f2){a[2], a[3]}, (f2){b[2], b[3]}, (f2){c[2], c[3]});
    return (f4){low[0], low[1], high[0], high[1]};
#endif
}

INLINE f4 f4_from_f16(h4 halves)
{
#ifdef __aarch64__
    return vcvt_f32_f16((float16x4_t)halves);
#else
    const u4 bits = __builtin_convertvector(halves, u4);
    const u4 magnitude = (bits & 0x7fffu) << 13;
    const u4 special = (u4)(magnitude >= 0x0f800000u) & 0x7f800000u;
    return (f4)((u4)((f4)magnitude * 0x1p112F) | special | (bits & 0x8000u) << 16);
#endif
}

/* Copies of one register: a copy of the whole would go through memory. */
INLINE f4 f4_from(const void *from)
{
    f4 values;
    memcpy(&values, from, sizeof values);
    return values;
}

INLINE void f4_store(float *to, f4 values)
{
    memcpy(to, &values, sizeof values);
}

/* The first four of an array of f32, f16 or bf16. */
INLINE f4 f4_load(zx_dtype dtype, const void *from)
{
    h4 halves;
    if (dtype == ZX_F32) return f4_from(from);
    memcpy(&halves, from, sizeof halves);
    if (dtype == ZX_F16) return f4_from_f16(halves);
    return (f4)(__builtin_convertvector(halves, u4) << 16);
}

#endif
