/* rmsnorm_rows.h - one row of rmsnorm or layernorm on f32 values; fused kernels are built from it
 * too, so that they keep its bits.  Include it only from kernel bodies. */
#ifndef ZX_KERNELS_RMSNORM_RMSNORM_ROWS_H
#define ZX_KERNELS_RMSNORM_RMSNORM_ROWS_H

#include <math.h>

#include "kernels/rows.h"

/* The weight as f32, with the offset added: the vector itself where there is nothing to do, else
 * 'buffer'. */
static inline const float *zx_norm_weights(const zx_weight *weight, float offset, size_t columns,
                                           float *buffer)
{
    const float *weights = zx_row_load(weight->dtype, weight->codes, columns, buffer);
    if (offset == 0) return weights;
    for (size_t i = 0; i < columns; i++) buffer[i] = weights[i] + offset;
    return buffer;
}

/* x and y hold 'columns' values that T can hold and may be the same array. */
static inline void zx_rmsnorm_row(zx_dtype dtype, const float *x, const float *weight,
                                  const zx_attributes *attributes, size_t columns, float *y)
{
    const float mean = zx_row_dot(x, x, columns) / (float)columns;
    const float scale = 1.0F / sqrtf(mean + attributes->epsilon);
    if (dtype == ZX_F32 || attributes->wide)
        for (size_t i = 0; i < columns; i++) y[i] = x[i] * scale * weight[i];
    else if (dtype == ZX_F16)
        for (size_t i = 0; i < columns; i++) y[i] = zx_round_to(ZX_F16, x[i] * scale) * weight[i];
    else
        for (size_t i = 0; i < columns; i++) y[i] = zx_round_to(ZX_BF16, x[i] * scale) * weight[i];
    zx_round_values(dtype, columns, y);
}

/* sum_i x_i in the row-sum order. */
static inline float zx_row_sum(const float *x, size_t count)
{
    float partial[ZX_PARTIALS] = {0};
    size_t i = 0;
    for (; i + ZX_PARTIALS <= count; i += ZX_PARTIALS)
        for (size_t lane = 0; lane < ZX_PARTIALS; lane++) partial[lane] += x[i + lane];
    for (size_t lane = 0; i + lane < count; lane++) partial[lane] += x[i + lane];
    return zx_add_partials(partial);
}

/* bias may be NULL. */
static inline void zx_layernorm_row(zx_dtype dtype, const float *x, const float *weight,
                                    const float *bias, float epsilon, size_t columns, float *y)
{
    const float mean = zx_row_sum(x, columns) / (float)columns;
    for (size_t i = 0; i < columns; i++) y[i] = x[i] - mean;
    const float variance = zx_row_dot(y, y, columns) / (float)columns;
    const float scale = 1.0F / sqrtf(variance + epsilon);
    for (size_t i = 0; i < columns; i++) y[i] = y[i] * scale * weight[i];
    for (size_t i = 0; bias != NULL && i < columns; i++) y[i] += bias[i];
    zx_round_values(dtype, columns, y);
}

#endif
