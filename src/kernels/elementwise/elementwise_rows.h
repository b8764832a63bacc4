/* elementwise_rows.h - what add, mul, silu and swiglu do to a run of f32 values; fused kernels are
 * built from it too, so that they keep its bits.  Include it only from kernel bodies.
 *
 * All values can be held by T = 'dtype'; y may be one of the inputs. */
#ifndef ZX_KERNELS_ELEMENTWISE_ELEMENTWISE_ROWS_H
#define ZX_KERNELS_ELEMENTWISE_ELEMENTWISE_ROWS_H

#include "kernels/rows.h"
#include "kernels/vmath.h"

static inline void zx_add_values(zx_dtype dtype, const float *a, const float *b, size_t count,
                                 float *y)
{
    for (size_t i = 0; i < count; i++) y[i] = a[i] + b[i];
    zx_round_values(dtype, count, y);
}

static inline void zx_mul_values(zx_dtype dtype, const float *a, const float *b, size_t count,
                                 float *y)
{
    for (size_t i = 0; i < count; i++) y[i] = a[i] * b[i];
    zx_round_values(dtype, count, y);
}

static inline void zx_silu_values(zx_dtype dtype, const float *a, size_t count, float *y)
{
    for (size_t i = 0; i < count; i++) y[i] = zx_silu(a[i]);
    zx_round_values(dtype, count, y);
}

static inline void zx_swiglu_values(zx_dtype dtype, const float *gate, const float *up,
                                    size_t count, float *y)
{
    if (dtype == ZX_F32)
        for (size_t i = 0; i < count; i++) y[i] = zx_silu(gate[i]) * up[i];
    else if (dtype == ZX_F16)
        for (size_t i = 0; i < count; i++) y[i] = zx_round_to(ZX_F16, zx_silu(gate[i])) * up[i];
    else
        for (size_t i = 0; i < count; i++) y[i] = zx_round_to(ZX_BF16, zx_silu(gate[i])) * up[i];
    zx_round_values(dtype, count, y);
}

#endif
