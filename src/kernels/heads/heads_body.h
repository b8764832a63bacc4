/* heads_body.h - the kernels; included once per instruction set, which names them. */
#include "kernels/rows.h"

static void columns_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const zx_launch *launch = context;
    const zx_attributes *attributes = launch->attributes;
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    const size_t bytes = zx_dtypes[x->dtype].bytes, heads = x->columns / attributes->head_size;
    size_t row, end;
    zx_split(x->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        const char *from = (const char *)zx_operand_row(x, row) + attributes->first * bytes;
        char *to = zx_operand_row(y, row);
        for (size_t head = 0; head < heads; head++) {
            memcpy(to, from, attributes->size * bytes);
            from += attributes->head_size * bytes;
            to += attributes->size * bytes;
        }
    }
}

static void join_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const zx_launch *launch = context;
    const zx_operand *a = &launch->inputs[0], *b = &launch->inputs[1], *y = &launch->outputs[0];
    const size_t heads = a->columns / launch->attributes->head_size;
    const size_t a_bytes = launch->attributes->head_size * zx_dtypes[a->dtype].bytes;
    const size_t b_bytes = b->columns / heads * zx_dtypes[b->dtype].bytes;
    size_t row, end;
    zx_split(a->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        char *to = zx_operand_row(y, row);
        for (size_t head = 0; head < heads; head++) {
            memcpy(to, (const char *)zx_operand_row(a, row) + head * a_bytes, a_bytes);
            memcpy(to + a_bytes, (const char *)zx_operand_row(b, row) + head * b_bytes, b_bytes);
            to += a_bytes + b_bytes;
        }
    }
}

/* One head's part of all rows: x and y as f32. */
typedef struct head_job {
    const zx_weight *weight;
    const zx_attributes *attributes;
    size_t head, tokens;
    float *row; /* of the weight */
    float *x;   /* [tokens][x_size] */
    float *y;   /* [tokens][y_size] */
    size_t x_size, y_size;
} head_job;

static void multiply_head(const head_job *job)
{
    const zx_weight *weight = job->weight;
    const size_t first = job->head * job->attributes->head_size + job->attributes->first;
    if (job->attributes->transposed) memset(job->y, 0, job->tokens * job->y_size * sizeof *job->y);
    for (size_t n = 0; n < job->attributes->size; n++) {
        zx_formats[weight->format].decode(weight, first + n, 0, weight->columns, job->row);
        for (size_t token = 0; token < job->tokens; token++) {
            const float *x = job->x + token * job->x_size;
            float *const y = job->y + token * job->y_size;
            if (!job->attributes->transposed) {
                y[n] = zx_row_dot(x, job->row, weight->columns);
                continue;
            }
            const float factor = x[n];
            for (size_t k = 0; k < weight->columns; k++) y[k] = fmaf(factor, job->row[k], y[k]);
        }
    }
}

/* Parts are heads. */
static void multiply_heads(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_operand *in = &launch->inputs[0], *out = &launch->outputs[0];
    const zx_weight *weight = launch->inputs[1].weight;
    const size_t x_size = in->columns / parts, y_size = out->columns / parts;
    float *const memory = (float *)launch->scratch +
                          thread * (weight->columns + launch->inputs[0].rows * (x_size + y_size));
    const head_job job = {.weight = weight,
                          .attributes = launch->attributes,
                          .head = part,
                          .tokens = in->rows,
                          .row = memory,
                          .x = memory + weight->columns,
                          .y = memory + weight->columns + in->rows * x_size,
                          .x_size = x_size,
                          .y_size = y_size};
    for (size_t token = 0; token < in->rows; token++) {
        const char *from =
            (const char *)zx_operand_row(in, token) + part * x_size * zx_dtypes[in->dtype].bytes;
        float *const x = job.x + token * x_size;
        const float *values = zx_row_load(in->dtype, from, x_size, x);
        if (values != x) memcpy(x, values, x_size * sizeof *x);
    }
    multiply_head(&job);
    for (size_t token = 0; token < in->rows; token++)
        zx_row_store(out->dtype,
                     (char *)zx_operand_row(out, token) +
                         part * y_size * zx_dtypes[out->dtype].bytes,
                     y_size, job.y + token * y_size);
}

zmlx_status ZX_KERNEL(columns)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), columns_rows, launch);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(join)(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), join_rows, launch);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(head_matmul)(const zx_launch *launch)
{
    const zx_weight *weight = launch->inputs[1].weight;
    const size_t heads = weight->count * weight->rows / launch->attributes->head_size;
    zx_pool_run(launch->pool, heads, multiply_heads, launch);
    return ZMLX_OK;
}
