/* matmul_short_avx2.c - matrices of fewer rows than a strip, as a router's of eight experts, by
 * activations that are not quantized: each output is a dot product, in the order of the row sums.
 */
#ifdef __AVX2__
#include "kernels/matmul/matmul.h"
#include "kernels/rows.h"

/* Per thread: a decoded row of the weight, and one of x. */
static size_t scratch_floats(const zx_launch *launch)
{
    return 2 * launch->inputs[0].columns;
}

size_t zx_scratch_matmul_short_avx2(const zx_launch *launch)
{
    return zx_pool_threads(launch->pool) * scratch_floats(launch) * sizeof(float);
}

static void run_outputs(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    const zx_operand *x = matmul->x, *y = matmul->outputs[0];
    const zx_weight *weight = matmul->weights[0];
    float *const row = (float *)matmul->launch->scratch + thread * scratch_floats(matmul->launch);
    size_t n, end;
    zx_split(weight->rows, 1, part, parts, &n, &end);
    for (; n < end; n++) {
        zx_formats[weight->format].decode(weight, n, 0, weight->columns, row);
        for (size_t token = 0; token < x->rows; token++) {
            const float *values =
                zx_row_load(x->dtype, zx_operand_row(x, token), x->columns, row + x->columns);
            const float sum = zx_row_dot(values, row, x->columns);
            zx_store(y->dtype, zx_operand_row(y, token), n,
                     zx_matmul_biased(y->dtype, weight, n, sum));
        }
    }
}

zmlx_status zx_matmul_short_avx2(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_plain(launch);
    const size_t threads = zx_pool_threads(launch->pool), rows = matmul.weights[0]->rows;
    zx_pool_run(launch->pool, rows < threads ? rows : threads, run_outputs, &matmul);
    return ZMLX_OK;
}
#endif
