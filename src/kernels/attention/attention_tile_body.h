/* attention_tile_body.h - C = c * C + A B in registers, the inner loop of scores and of values.
 *
 *   scores   A: queries [rows][key_size]      B: keys [key_size][64]      C: scores [rows][64]
 *   outputs  A: weights [rows][64]            B: values [64][value_size]  C: outputs
 *
 * Elements of A are broadcast, the lanes run along C's columns, so each element of C is one chain
 * of FMA over the depth, ascending.  Needs the vec functions of the including file. */
#ifndef ZX_KERNELS_ATTENTION_ATTENTION_TILE_BODY_H
#define ZX_KERNELS_ATTENTION_ATTENTION_TILE_BODY_H

#include "kernels/kernels.h"

enum { TILE_ROWS = 6, TILE_VECTORS = 8 };

typedef struct tile {
    const float *a;
    size_t a_stride;
    const void *b; /* of the dtype that the function names */
    size_t b_stride;
    size_t depth;
    float *c;
    size_t c_stride;
    const float *correction; /* by which each row of C is multiplied first; NULL: C begins at 0 */
    const void *ahead;       /* what lies like B and is read next: fetched on the way; never NULL */
} tile;

static inline __attribute__((always_inline)) vec load_as(zx_dtype dtype, const void *b, size_t at)
{
    if (dtype == ZX_F16) return vec_load_f16((const uint16_t *)b + at);
    if (dtype == ZX_BF16) return vec_load_bf16((const uint16_t *)b + at);
    return vec_load((const float *)b + at);
}

/* Asks for memory early; reads nothing, so any address is right. */
static inline __attribute__((always_inline)) void fetch_ahead(const void *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)at + i, 0, 2);
}

/* 'rows', 'vectors' and 'dtype' are constants where it is called: all loops over them unroll. */
static inline __attribute__((always_inline)) void run_tile(size_t rows, size_t vectors,
                                                           zx_dtype dtype, const tile *t)
{
    vec sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (size_t v = 0; v < vectors; v++)
            sum[r][v] = t->correction == NULL
                            ? vec_set(0)
                            : vec_multiply(vec_load(t->c + r * t->c_stride + v * LANES),
                                           vec_set(t->correction[r]));
    const float *const a = t->a;
    const size_t a_stride = t->a_stride, depth = t->depth;
    const size_t bytes = dtype == ZX_F32 ? 4 : 2;
    for (size_t k = 0, at = 0; k < depth; k++, at += t->b_stride) {
        /* so many rows of f32 are bound by arithmetic */
        if (dtype != ZX_F32 || rows < TILE_ROWS)
            fetch_ahead((const char *)t->ahead + at * bytes, vectors * LANES * bytes);
        vec few[TILE_VECTORS]; /* of A and B, that of which there are fewer stays in registers */
        if (rows < vectors) {
#pragma GCC unroll 8
            for (size_t r = 0; r < rows; r++) few[r] = vec_set(a[r * a_stride + k]);
#pragma GCC unroll 8
            for (size_t v = 0; v < vectors; v++) {
                const vec b = load_as(dtype, t->b, at + v * LANES);
#pragma GCC unroll 8
                for (size_t r = 0; r < rows; r++) sum[r][v] = vec_fma(few[r], b, sum[r][v]);
            }
        } else {
#pragma GCC unroll 8
            for (size_t v = 0; v < vectors; v++) few[v] = load_as(dtype, t->b, at + v * LANES);
#pragma GCC unroll 8
            for (size_t r = 0; r < rows; r++) {
                const vec x = vec_set(a[r * a_stride + k]);
#pragma GCC unroll 8
                for (size_t v = 0; v < vectors; v++) sum[r][v] = vec_fma(x, few[v], sum[r][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (size_t v = 0; v < vectors; v++)
            vec_store(t->c + r * t->c_stride + v * LANES, sum[r][v]);
}

/* Tiles of 1 to 6 rows, one vector wide or as wide as wide_vectors says. */
static inline __attribute__((always_inline)) void pick_tile(size_t rows, bool wide, zx_dtype dtype,
                                                            const tile *t)
{
    switch (rows * 2 + wide) {
    case 2: run_tile(1, 1, dtype, t); break;
    case 3: run_tile(1, wide_vectors[1], dtype, t); break;
    case 4: run_tile(2, 1, dtype, t); break;
    case 5: run_tile(2, wide_vectors[2], dtype, t); break;
    case 6: run_tile(3, 1, dtype, t); break;
    case 7: run_tile(3, wide_vectors[3], dtype, t); break;
    case 8: run_tile(4, 1, dtype, t); break;
    case 9: run_tile(4, wide_vectors[4], dtype, t); break;
    case 10: run_tile(5, 1, dtype, t); break;
    case 11: run_tile(5, wide_vectors[5], dtype, t); break;
    case 12: run_tile(6, 1, dtype, t); break;
    default: run_tile(6, wide_vectors[6], dtype, t); break;
    }
}

static void tile_f32(size_t rows, bool wide, const tile *t)
{
    pick_tile(rows, wide, ZX_F32, t);
}

static void tile_f16(size_t rows, bool wide, const tile *t)
{
    pick_tile(rows, wide, ZX_F16, t);
}

static void tile_bf16(size_t rows, bool wide, const tile *t)
{
    pick_tile(rows, wide, ZX_BF16, t);
}

/* At most TILE_ROWS rows; 'columns' is a multiple of LANES. */
static void multiply(size_t rows, size_t columns, zx_dtype dtype, tile t)
{
    static void (*const tiles[])(size_t rows, bool wide, const tile *t) = {
        [ZX_F32] = tile_f32, [ZX_F16] = tile_f16, [ZX_BF16] = tile_bf16};
    for (size_t done = 0; done < columns;) {
        const bool wide = columns - done >= wide_vectors[rows] * LANES;
        const size_t step = wide ? wide_vectors[rows] * LANES : LANES;
        tiles[dtype](rows, wide, &t);
        t.b = (const char *)t.b + step * zx_dtypes[dtype].bytes;
        t.ahead = (const char *)t.ahead + step * zx_dtypes[dtype].bytes;
        t.c += step;
        done += step;
    }
}

#endif
