/* lanes_vector.h - what happens to a strip's sums before they are stored, as loops that compilers
 * vectorize; see lanes_avx512.h. */
#ifndef ZX_KERNELS_MATMUL_LANES_VECTOR_H
#define ZX_KERNELS_MATMUL_LANES_VECTOR_H

#include "kernels/matmul/strips.h"

/* zx_matmul_biased of a strip's sums, in place. */
static inline void zx_bias_strip(zx_dtype dtype, const zx_weight *weight, size_t row, float *sums)
{
    float buffer[ZX_STRIP];
    zx_round_values(dtype, ZX_STRIP, sums);
    if (weight->bias == NULL) return;
    const char *at = (const char *)weight->bias + row * zx_dtypes[weight->bias_dtype].bytes;
    const float *bias = zx_row_load(weight->bias_dtype, at, ZX_STRIP, buffer);
    for (size_t i = 0; i < ZX_STRIP; i++) sums[i] += bias[i];
    zx_round_values(dtype, ZX_STRIP, sums);
}

/* Stores a strip's outputs of one token; 'up' only where the launch is gated.  Both are changed. */
static inline void zx_finish_strip(const zx_matmul *matmul, zx_strip strip, size_t token,
                                   float values[ZX_STRIP], float up[ZX_STRIP])
{
    const zx_operand *y = matmul->outputs[strip.matrix], *residual = matmul->residual;
    zx_bias_strip(y->dtype, matmul->weights[strip.matrix], strip.row, values);
    if (matmul->gated) {
        zx_bias_strip(y->dtype, matmul->weights[1], strip.row, up);
        zx_activation_of(matmul->activation)(values, ZX_STRIP, values);
        zx_round_values(y->dtype, ZX_STRIP, values);
        for (size_t i = 0; i < ZX_STRIP; i++) values[i] *= up[i];
    }
    char *const out = zx_operand_row(y, token);
    if (strip.lanes == 0xffff && residual == NULL) {
        zx_row_store(y->dtype, out + strip.row * zx_dtypes[y->dtype].bytes, ZX_STRIP, values);
        return;
    }
    for (size_t i = 0; i < ZX_STRIP; i++) {
        if ((strip.lanes >> i & 1) == 0) continue;
        if (residual != NULL)
            values[i] += zx_load(residual->dtype, zx_operand_row(residual, token), strip.row + i);
        zx_store(y->dtype, out, strip.row + i, values[i]);
    }
}

#endif
