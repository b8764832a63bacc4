/* elementwise_body.h - the kernels; included once per instruction set, which names them.
 *
 * Work is cut into blocks of a row, so that one long row feeds several threads. */
#include "kernels/elementwise/elementwise_rows.h"
#include "kernels/quantize/quantize_rows.h"

enum { BLOCK = 512, LEAST_BLOCKS = 8 /* for a thread: below, waking it costs more */ };

/* y = f(a, b) for a block; b is NULL where the op has one input. */
typedef void (*block_fn)(const zx_launch *launch, const float *a, const float *b, size_t count,
                         float *y);

/* Where b comes from: nowhere, a second input, one value of it per row, the row's position. */
typedef enum second_kind { NONE, ELEMENTS, ROWS, POSITIONS } second_kind;

typedef struct block_job {
    const zx_launch *launch;
    block_fn apply;
    second_kind second;
} block_job;

static void add_block(const zx_launch *launch, const float *a, const float *b, size_t count,
                      float *y)
{
    zx_add_values(launch->outputs[0].dtype, a, b, count, y);
}

static void mul_block(const zx_launch *launch, const float *a, const float *b, size_t count,
                      float *y)
{
    zx_mul_values(launch->outputs[0].dtype, a, b, count, y);
}

static void mul_rows_block(const zx_launch *launch, const float *a, const float *b, size_t count,
                           float *y)
{
    zx_scale_values(launch->outputs[0].dtype, a, *b, count, y);
}

static void scale_block(const zx_launch *launch, const float *a, const float *b, size_t count,
                        float *y)
{
    (void)b;
    zx_scale_values(launch->outputs[0].dtype, a, launch->attributes->scale, count, y);
}

static void softcap_block(const zx_launch *launch, const float *a, const float *b, size_t count,
                          float *y)
{
    (void)b;
    zx_softcap_values(launch->outputs[0].dtype, a, launch->attributes->limit, count, y);
}

static void activation_block(const zx_launch *launch, const float *a, const float *b, size_t count,
                             float *y)
{
    (void)b;
    zx_activation_values(launch->outputs[0].dtype, launch->attributes->activation, a, count, y);
}

static void glu_block(const zx_launch *launch, const float *a, const float *b, size_t count,
                      float *y)
{
    zx_glu_values(launch->outputs[0].dtype, launch->attributes->activation, a, b, count, y);
}

static void clamped_glu_block(const zx_launch *launch, const float *a, const float *b, size_t count,
                              float *y)
{
    zx_clamped_glu_values(launch->outputs[0].dtype, launch->attributes, a, b, count, y);
}

static const float *load_block(const zx_operand *operand, size_t row, size_t first, size_t count,
                               float *buffer)
{
    const char *at = zx_operand_row(operand, row);
    return zx_row_load(operand->dtype, at + first * zx_dtypes[operand->dtype].bytes, count, buffer);
}

static const float *load_second(const block_job *job, size_t row, size_t first, size_t count,
                                float *buffer)
{
    const zx_launch *launch = job->launch;
    switch (job->second) {
    case NONE: return NULL;
    case ELEMENTS: return load_block(&launch->inputs[1], row, first, count, buffer);
    case ROWS: return load_block(&launch->inputs[1], row, 0, 1, buffer);
    case POSITIONS:
        *buffer = zx_position_factor(launch->outputs[0].dtype, launch->attributes,
                                     launch->batch->positions[row]);
    }
    return buffer;
}

static void run_blocks(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const block_job *job = context;
    const zx_operand *x = &job->launch->inputs[0];
    const zx_operand *y = &job->launch->outputs[0];
    const size_t row_blocks = (x->columns + BLOCK - 1) / BLOCK;
    float a_buffer[BLOCK], b_buffer[BLOCK], y_buffer[BLOCK];
    size_t block, end;
    zx_split(x->rows * row_blocks, 1, part, parts, &block, &end);
    for (; block < end; block++) {
        const size_t row = block / row_blocks, first = block % row_blocks * BLOCK;
        const size_t count = x->columns - first < BLOCK ? x->columns - first : BLOCK;
        const float *a = load_block(x, row, first, count, a_buffer);
        const float *b = load_second(job, row, first, count, b_buffer);
        char *const to = (char *)zx_operand_row(y, row) + first * zx_dtypes[y->dtype].bytes;
        float *const values = y->dtype == ZX_F32 ? (float *)(void *)to : y_buffer;
        job->apply(job->launch, a, b, count, values);
        zx_row_store(y->dtype, to, count, values);
    }
}

static zmlx_status run_job(block_job job)
{
    const zx_launch *launch = job.launch;
    const size_t threads = zx_pool_threads(launch->pool);
    const size_t blocks =
        launch->inputs[0].rows * ((launch->inputs[0].columns + BLOCK - 1) / BLOCK);
    const size_t most = blocks / LEAST_BLOCKS > 0 ? blocks / LEAST_BLOCKS : 1;
    zx_pool_run(launch->pool, most < threads ? most : threads, run_blocks, &job);
    return ZMLX_OK;
}

#define ROW(name, block, second)                                    \
    zmlx_status ZX_KERNEL(name)(const zx_launch *launch)            \
    {                                                               \
        return run_job((block_job){launch, block##_block, second}); \
    }
ROW(add, add, ELEMENTS)
ROW(mul, mul, ELEMENTS)
ROW(mul_rows, mul_rows, ROWS)
ROW(position_scale, mul_rows, POSITIONS)
ROW(scale, scale, NONE)
ROW(softcap, softcap, NONE)
ROW(activation, activation, NONE)
ROW(glu, glu, ELEMENTS)
ROW(clamped_glu, clamped_glu, ELEMENTS)
#undef ROW

static void glu_quantize_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_operand *gate = &launch->inputs[0], *up = &launch->inputs[1];
    const zx_operand *y = &launch->outputs[0];
    float *const first = (float *)launch->scratch + thread * 2 * gate->columns;
    float *const second = first + gate->columns;
    size_t row, end;
    zx_split(gate->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        const float *a = zx_row_load(gate->dtype, zx_operand_row(gate, row), gate->columns, first);
        const float *b = zx_row_load(up->dtype, zx_operand_row(up, row), gate->columns, second);
        zx_glu_values(gate->dtype, launch->attributes->activation, a, b, gate->columns, first);
        zx_quantize_row(y->layout, first, gate->columns, zx_operand_row(y, row));
    }
}

zmlx_status ZX_KERNEL(glu_quantize)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), glu_quantize_rows, launch);
    return ZMLX_OK;
}
