/* rmsnorm_body.h - the kernel; included once per instruction set, which names it. */
#include "kernels/rmsnorm/rmsnorm_rows.h"

static void run_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_operand *x = &launch->inputs[0];
    const zx_operand *y = &launch->outputs[0];
    const zx_weight *weight = launch->inputs[1].weight;
    float *scratch = (float *)launch->scratch + thread * 2 * x->columns;
    const float *weights = zx_row_load(weight->dtype, weight->codes, x->columns, scratch);
    size_t row, end;
    zx_split(x->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        float *const out = y->dtype == ZX_F32 ? zx_operand_row(y, row) : scratch + x->columns;
        const float *in = zx_row_load(x->dtype, zx_operand_row(x, row), x->columns, out);
        zx_rmsnorm_row(y->dtype, in, weights, launch->attributes->epsilon, x->columns, out);
        zx_row_store(y->dtype, zx_operand_row(y, row), x->columns, out);
    }
}

zmlx_status ZX_KERNEL(rmsnorm)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), run_rows, launch);
    return ZMLX_OK;
}
