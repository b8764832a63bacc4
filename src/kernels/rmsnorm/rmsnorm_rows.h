/* rmsnorm_rows.h - one row of rmsnorm on f32 values; fused kernels are built from it too, so
 * that they keep its bits.  Include it only from kernel bodies. */
#ifndef ZX_KERNELS_RMSNORM_RMSNORM_ROWS_H
#define ZX_KERNELS_RMSNORM_RMSNORM_ROWS_H

#include <math.h>

#include "kernels/rows.h"

/* x and y hold 'columns' values that T can hold and may be the same array. */
static inline void zx_rmsnorm_row(zx_dtype dtype, const float *x, const float *weight,
                                  float epsilon, size_t columns, float *y)
{
    const float mean = zx_row_dot(x, x, columns) / (float)columns;
    const float scale = 1.0F / sqrtf(mean + epsilon);
    if (dtype == ZX_F32)
        for (size_t i = 0; i < columns; i++) y[i] = x[i] * scale * weight[i];
    else if (dtype == ZX_F16)
        for (size_t i = 0; i < columns; i++) y[i] = zx_round_to(ZX_F16, x[i] * scale) * weight[i];
    else
        for (size_t i = 0; i < columns; i++) y[i] = zx_round_to(ZX_BF16, x[i] * scale) * weight[i];
    zx_round_values(dtype, columns, y);
}

#endif
