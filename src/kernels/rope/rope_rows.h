/* rope_rows.h - rotation of one head, and its way into a page.  Include it only from kernel
 * bodies. */
#ifndef ZX_KERNELS_ROPE_ROPE_ROWS_H
#define ZX_KERNELS_ROPE_ROPE_ROWS_H

#include "graph/rope.h"
#include "kernels/pages.h"
#include "kernels/rows.h"
#include "kernels/vmath.h"

/* cosines and sines: [dims / 2] */
static inline void zx_rope_angles(const zx_rope *rope, int32_t position, float *cosines,
                                  float *sines)
{
    for (size_t i = 0; i < rope->dims / 2; i++) {
        const zx_sine_cosine at = zx_sin_cos((float)position * rope->inverse_frequency[i]);
        cosines[i] = rope->magnitude * at.cosine;
        sines[i] = rope->magnitude * at.sine;
    }
}

/* Turns a head of f32 values in place, rounding into T. */
static inline void zx_rope_head(zx_dtype dtype, const zx_rope *rope, const float *cosines,
                                const float *sines, float *head)
{
    const size_t half = rope->dims / 2;
    if (rope->interleaved) {
        for (size_t i = 0; i < half; i++) {
            const float a = head[2 * i], b = head[2 * i + 1];
            head[2 * i] = fmaf(a, cosines[i], -(b * sines[i]));
            head[2 * i + 1] = fmaf(b, cosines[i], a * sines[i]);
        }
    } else {
        float *const second = head + half;
        for (size_t i = 0; i < half; i++) {
            const float a = head[i], b = second[i];
            head[i] = fmaf(a, cosines[i], -(b * sines[i]));
            second[i] = fmaf(b, cosines[i], a * sines[i]);
        }
    }
    zx_round_values(dtype, rope->dims, head);
}

/* One key's values into its slot: a column of [count][ZX_PAGE_TOKENS]. */
static inline void zx_store_column(zx_dtype dtype, void *column, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) zx_store(dtype, column, i * ZX_PAGE_TOKENS, values[i]);
}

#endif
