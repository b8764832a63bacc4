/* strips.h - how the blocked matmul kernels cut their work: a strip is 16 consecutive outputs of
 * one matrix (of a gated pair: the same 16 of both).
 *
 * The strips of all matrices of a launch are numbered through, and threads take runs of them.  A
 * matrix whose rows are no multiple of 16 has a last strip that starts earlier, at rows - 16, and
 * leaves its first outputs to the strip before it: no kernel reads or writes beyond a matrix. */
#ifndef ZX_KERNELS_MATMUL_STRIPS_H
#define ZX_KERNELS_MATMUL_STRIPS_H

#include "kernels/matmul/matmul.h"
#include "kernels/rows.h"

enum { ZX_STRIP = 16 };

typedef struct zx_strip {
    size_t matrix;
    size_t row;     /* of the matrix: the first of the 16 */
    uint16_t lanes; /* a bit for each of the 16 that this strip is to store */
} zx_strip;

static inline size_t zx_strips_of(const zx_weight *weight)
{
    return (weight->rows + ZX_STRIP - 1) / ZX_STRIP;
}

static inline size_t zx_count_strips(const zx_matmul *matmul)
{
    if (matmul->gated) return zx_strips_of(matmul->weights[0]);
    size_t strips = 0;
    for (size_t i = 0; i < matmul->matrices; i++) strips += zx_strips_of(matmul->weights[i]);
    return strips;
}

static inline zx_strip zx_strip_at(const zx_matmul *matmul, size_t index)
{
    size_t matrix = 0;
    while (index >= zx_strips_of(matmul->weights[matrix]))
        index -= zx_strips_of(matmul->weights[matrix++]);
    const size_t row = index * ZX_STRIP, last = matmul->weights[matrix]->rows - ZX_STRIP;
    if (row <= last) return (zx_strip){matrix, row, 0xffff};
    return (zx_strip){matrix, last, (uint16_t)(0xffffu << (row - last))};
}

/* Into how many parts to cut: some per thread, so that threads that lag leave parts to others. */
static inline size_t zx_strip_parts(const zx_matmul *matmul, size_t step)
{
    const size_t threads = zx_pool_threads(matmul->launch->pool);
    const size_t runs = (zx_count_strips(matmul) + step - 1) / step;
    if (threads == 1) return 1;
    return runs < 8 * threads ? runs : 8 * threads;
}

#endif
