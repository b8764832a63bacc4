/* head_body.h - the kernel; included once per instruction set, which names it, and says by
 * HEAD_MATMUL(launch) which row multiplies.
 *
 * A part is a run of the matrix's rows: their products are capped while they are in the cache. */
#include "kernels/elementwise/elementwise_rows.h"
#include "kernels/matmul/matmul.h"

enum {
    CUT = 32,         /* rows are cut at multiples of this */
    LEAST_ROWS = 256, /* of a part */
    PARTS_A_THREAD = 8,
    SOME = 256, /* values that are converted at a time */
};

static size_t count_parts(const zx_launch *launch)
{
    const size_t threads = zx_pool_threads(launch->pool);
    const size_t most = launch->outputs[0].columns / LEAST_ROWS;
    const size_t wanted = threads > 1 ? PARTS_A_THREAD * threads : 1;
    return most < 1 ? 1 : wanted < most ? wanted : most;
}

/* The matmul of a part of the rows, on the calling thread. */
static zx_launch matmul_of(const zx_launch *launch, const zx_weight *rows, size_t first)
{
    zx_operand y = launch->outputs[0];
    y.columns = rows->rows;
    if (y.data != NULL) y.data = (char *)y.data + first * zx_dtypes[y.dtype].bytes;
    return zx_matmul_within(launch->inputs[0], rows, y);
}

static size_t scratch_each(const zx_launch *launch)
{
    const zx_launch whole = matmul_of(launch, launch->inputs[1].weight, 0);
    return zx_round_up(HEAD_MATMUL(&whole)->scratch(&whole), 64);
}

size_t ZX_KERNEL(scratch_matmul_softcap)(const zx_launch *launch)
{
    return zx_pool_threads(launch->pool) * scratch_each(launch);
}

static void cap_values(const zx_operand *y, float limit)
{
    const size_t bytes = zx_dtypes[y->dtype].bytes;
    float buffer[SOME];
    for (size_t row = 0; row < y->rows; row++)
        for (size_t i = 0; i < y->columns; i += SOME) {
            const size_t left = y->columns - i, count = left < SOME ? left : SOME;
            char *const at = (char *)zx_operand_row(y, row) + i * bytes;
            const float *values = zx_row_load(y->dtype, at, count, buffer);
            zx_softcap_values(y->dtype, values, limit, count, buffer);
            zx_row_store(y->dtype, at, count, buffer);
        }
}

static void run_part(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_weight *weight = launch->inputs[1].weight;
    size_t first, end;
    zx_split(weight->rows, CUT, part, parts, &first, &end);
    if (first == end) return;
    const zx_weight rows = zx_weight_rows(weight, first, end - first);
    zx_launch matmul = matmul_of(launch, &rows, first);
    matmul.scratch = (char *)launch->scratch + thread * scratch_each(launch);
    const zmlx_status status = HEAD_MATMUL(&matmul)->run(&matmul);
    (void)status; /* a matmul of operands that fit does not fail */
    cap_values(&matmul.outputs[0], launch->attributes->limit);
}

zmlx_status ZX_KERNEL(matmul_softcap)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, count_parts(launch), run_part, launch);
    return ZMLX_OK;
}
