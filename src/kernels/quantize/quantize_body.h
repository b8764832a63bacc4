/* quantize_body.h - the kernel; included once per instruction set, which names it. */
#include "kernels/quantize/quantize_rows.h"
#include "kernels/rows.h"

static void run_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_operand *x = &launch->inputs[0];
    const zx_operand *y = &launch->outputs[0];
    float *buffer = (float *)launch->scratch + thread * 2 * x->columns;
    size_t row, end;
    zx_split(x->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        const float *in = zx_row_load(x->dtype, zx_operand_row(x, row), x->columns, buffer);
        zx_quantize_row(y->layout, in, x->columns, zx_operand_row(y, row));
    }
}

zmlx_status ZX_KERNEL(quantize)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), run_rows, launch);
    return ZMLX_OK;
}
