/* elementwise_rows.h - what the elementwise ops do to a run of f32 values; fused kernels are built
 * from it too, so that they keep its bits.  Include it only from kernel bodies.
 *
 * All values can be held by T = 'dtype'; y may be one of the inputs. */
#ifndef ZX_KERNELS_ELEMENTWISE_ELEMENTWISE_ROWS_H
#define ZX_KERNELS_ELEMENTWISE_ELEMENTWISE_ROWS_H

#include "kernels/activations.h"
#include "kernels/rows.h"

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

static inline void zx_scale_values(zx_dtype dtype, const float *a, float factor, size_t count,
                                   float *y)
{
    for (size_t i = 0; i < count; i++) y[i] = a[i] * factor;
    zx_round_values(dtype, count, y);
}

/* The factor of position_scale; positions are not negative, so that cutting is rounding down. */
static inline float zx_position_factor(zx_dtype dtype, const zx_attributes *attributes,
                                       int32_t position)
{
    const float turns = (float)(int64_t)((float)position / (float)attributes->period);
    return zx_round_to(dtype, 1.0F + attributes->beta * zx_log(1.0F + turns));
}

static inline void zx_softcap_values(zx_dtype dtype, const float *a, float limit, size_t count,
                                     float *y)
{
    for (size_t i = 0; i < count; i++) y[i] = limit * zx_tanh(a[i] / limit);
    zx_round_values(dtype, count, y);
}

static inline void zx_activation_values(zx_dtype dtype, zx_activation activation, const float *a,
                                        size_t count, float *y)
{
    zx_activation_of(activation)(a, count, y);
    zx_round_values(dtype, count, y);
}

static inline void zx_glu_values(zx_dtype dtype, zx_activation activation, const float *gate,
                                 const float *up, size_t count, float *y)
{
    float some[256];
    const size_t most = sizeof some / sizeof some[0];
    for (size_t i = 0; i < count; i += most) {
        const size_t part = count - i < most ? count - i : most;
        zx_activation_values(dtype, activation, gate + i, part, some);
        zx_mul_values(dtype, some, up + i, part, y + i);
    }
}

static inline void zx_clamped_glu_values(zx_dtype dtype, const zx_attributes *attributes,
                                         const float *gate, const float *up, size_t count, float *y)
{
    const float limit = attributes->limit, alpha = attributes->alpha;
    for (size_t i = 0; i < count; i++) {
        const float g = gate[i] > limit ? limit : gate[i];
        const float high = up[i] > limit ? limit : up[i];
        const float u = high < -limit ? -limit : high;
        y[i] = (u + 1.0F) * (g * zx_sigmoid(alpha * g));
    }
    zx_round_values(dtype, count, y);
}

#endif
