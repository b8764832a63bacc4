/* embed_ref.c - rows of a table, and rows of activations.  Normative:
 *   embed   y[t] = RN_T(table[ids[t]]), the table's row decoded as its format says
 *   select  y[r] = x[sampled[r]], copied
 * There is nothing to gain from an instruction set here: these rows are the only ones. */
#include <assert.h>
#include <string.h>

#include "base/fail.h"
#include "kernels/kernels.h"
#include "kernels/rows.h"

size_t zx_scratch_embed(const zx_launch *launch)
{
    return zx_pool_threads(launch->pool) * launch->outputs[0].columns * sizeof(float);
}

static size_t parts_of(const zx_launch *launch)
{
    const size_t threads = zx_pool_threads(launch->pool), rows = launch->outputs[0].rows;
    return rows < threads ? rows : threads;
}

static void embed_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_operand *y = &launch->outputs[0];
    const zx_weight *table = launch->inputs[1].weight;
    float *const buffer = (float *)launch->scratch + thread * y->columns;
    size_t row, end;
    zx_split(y->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        void *const to = zx_operand_row(y, row);
        float *const values = y->dtype == ZX_F32 ? to : buffer;
        zx_formats[table->format].decode(table, (size_t)launch->batch->ids[row], 0, y->columns,
                                         values);
        zx_row_store(y->dtype, to, y->columns, values);
    }
}

zmlx_status zx_embed_ref(const zx_launch *launch)
{
    const zx_weight *table = launch->inputs[1].weight;
    assert(table->columns == launch->outputs[0].columns);
    for (size_t row = 0; row < launch->outputs[0].rows; row++)
        if ((size_t)launch->batch->ids[row] >= table->rows)
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                           "token id %ld at index %zu is outside the vocabulary of %zu",
                           (long)launch->batch->ids[row], row, table->rows);
    zx_pool_run(launch->pool, parts_of(launch), embed_rows, launch);
    return ZMLX_OK;
}

zmlx_status zx_select_ref(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    assert(x->dtype == y->dtype && x->columns == y->columns);
    for (size_t row = 0; row < y->rows; row++) {
        const size_t from = (size_t)launch->batch->sampled[row];
        assert(from < x->rows);
        memcpy(zx_operand_row(y, row), zx_operand_row(x, from),
               y->columns * zx_dtypes[y->dtype].bytes);
    }
    return ZMLX_OK;
}
