/* rows.h - what the bodies of row kernels share: the normative sum over a row, and rows as f32.
 *
 * Everything is static inline, so that each instruction set's file gets its own vectorized copy. */
#ifndef ZX_KERNELS_ROWS_H
#define ZX_KERNELS_ROWS_H

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "kernels/kernels.h"
#include "tensor/dtype.h"

enum { ZX_PARTIALS = 16 };

/* Sixteen partial sums added at distance 8, 4, 2, 1. */
static inline float zx_add_partials(float partial[ZX_PARTIALS])
{
    for (size_t distance = ZX_PARTIALS / 2; distance > 0; distance /= 2)
        for (size_t i = 0; i < distance; i++) partial[i] += partial[i + distance];
    return partial[0];
}

/* sum_i a_i b_i in the row-sum order (DESIGN section 2). */
static inline float zx_row_dot(const float *a, const float *b, size_t count)
{
    float partial[ZX_PARTIALS] = {0};
    size_t i = 0;
    for (; i + ZX_PARTIALS <= count; i += ZX_PARTIALS)
        for (size_t lane = 0; lane < ZX_PARTIALS; lane++)
            partial[lane] = fmaf(a[i + lane], b[i + lane], partial[lane]);
    for (size_t lane = 0; i + lane < count; lane++)
        partial[lane] = fmaf(a[i + lane], b[i + lane], partial[lane]);
    return zx_add_partials(partial);
}

static inline void *zx_operand_row(const zx_operand *operand, size_t row)
{
    return (char *)operand->data + row * operand->stride;
}

/* A row as f32: the row itself where it is f32, else converted into 'buffer'. */
static inline const float *zx_row_load(zx_dtype dtype, const void *row, size_t columns,
                                       float *buffer)
{
    if (dtype == ZX_F32) return row;
    const uint16_t *halves = row;
    if (dtype == ZX_F16)
        for (size_t i = 0; i < columns; i++) buffer[i] = zx_f16_to_f32(halves[i]);
    else
        for (size_t i = 0; i < columns; i++) buffer[i] = zx_bf16_to_f32(halves[i]);
    return buffer;
}

/* Stores RN_T of f32 values; where T is f32 and the values already lie in the row, nothing moves.
 */
static inline void zx_row_store(zx_dtype dtype, void *row, size_t columns, const float *values)
{
    uint16_t *halves = row;
    if (dtype == ZX_F16)
        for (size_t i = 0; i < columns; i++) halves[i] = zx_f32_to_f16(values[i]);
    else if (dtype == ZX_BF16)
        for (size_t i = 0; i < columns; i++) halves[i] = zx_f32_to_bf16(values[i]);
    else if (row != values)
        memcpy(row, values, columns * sizeof *values);
}

/* RN_T of f32 values, in place.  Whole loops: a choice inside one keeps it scalar. */
static inline void zx_round_values(zx_dtype dtype, size_t count, float *y)
{
    if (dtype == ZX_F16)
        for (size_t i = 0; i < count; i++) y[i] = zx_f16_to_f32(zx_f32_to_f16(y[i]));
    else if (dtype == ZX_BF16)
        for (size_t i = 0; i < count; i++) y[i] = zx_bf16_to_f32(zx_f32_to_bf16(y[i]));
}

#endif
