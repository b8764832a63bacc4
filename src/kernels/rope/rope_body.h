/* rope_body.h - the kernels; included once per instruction set, which names them.
 *
 * Tokens are split over the threads: no two of them write the same slot of a page.  A thread's
 * scratch is the cosines, the sines and one head. */
#include "kernels/rope/rope_rows.h"

typedef struct rope_job {
    const zx_launch *launch;
    bool rotates, appends;
} rope_job;

/* Head 'head' of a row, as f32, into 'values'. */
static void load_head(const zx_operand *x, size_t row, size_t head, size_t size, float *values)
{
    const char *at = zx_operand_row(x, row);
    const void *from = at + head * size * zx_dtypes[x->dtype].bytes;
    const float *loaded = zx_row_load(x->dtype, from, size, values);
    if (loaded != values) memcpy(values, loaded, size * sizeof *values);
}

static void rotate_row(const zx_launch *launch, const zx_rope *rope, size_t token,
                       const float *angles, float *head)
{
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    const size_t size = launch->attributes->head_size;
    for (size_t i = 0; i < x->columns / size; i++) {
        load_head(x, token, i, size, head);
        zx_rope_head(y->dtype, rope, angles, angles + rope->dims / 2, head);
        char *const to = zx_operand_row(y, token);
        zx_row_store(y->dtype, to + i * size * zx_dtypes[y->dtype].bytes, size, head);
    }
}

/* Keys and values of a token into its page; keys are rotated first where there are angles. */
static void append_row(const zx_launch *launch, const zx_rope *rope, size_t sequence, size_t token,
                       const float *angles, float *head)
{
    const zx_operand *keys = &launch->inputs[rope != NULL ? 1 : 0];
    const zx_operand *values = keys + 1;
    const zx_kv_layer *layer = zx_launch_layer(launch);
    const zx_dtype dtype = launch->kv->dtype;
    const size_t position = (size_t)launch->batch->positions[token];
    const size_t slot = position % ZX_PAGE_TOKENS, bytes = zx_dtypes[dtype].bytes;
    uint8_t *const page = zx_page_of(launch, sequence, position);
    for (size_t i = 0; i < layer->kv_heads; i++) {
        load_head(keys, token, i, layer->key_size, head);
        if (rope != NULL) zx_rope_head(keys->dtype, rope, angles, angles + rope->dims / 2, head);
        char *const column = zx_page_keys(launch, layer, page, i);
        zx_store_column(dtype, column + slot * bytes, head, layer->key_size);
        load_head(values, token, i, layer->value_size, head);
        char *const rows = zx_page_values(launch, layer, page, i);
        zx_row_store(dtype, rows + slot * layer->value_size * bytes, layer->value_size, head);
    }
}

static void run_tokens(const void *context, size_t part, size_t parts, size_t thread)
{
    const rope_job *job = context;
    const zx_launch *launch = job->launch;
    const zx_batch *batch = launch->batch;
    const zx_rope *const general = job->rotates ? launch->attributes->rope : NULL;
    float *const scratch =
        (float *)launch->scratch +
        thread * (zx_scratch_rope(launch) / sizeof(float) / zx_pool_threads(launch->pool));
    float *const angles = job->rotates ? scratch : NULL;
    float *const head = scratch + (job->rotates ? general->dims : 0);
    size_t token, end, sequence = 0;
    zx_split(launch->inputs[0].rows, 1, part, parts, &token, &end);
    const bool owned = job->appends || (general->by_length != NULL && batch->ropes != NULL);
    for (; token < end; token++) {
        if (owned) sequence = zx_sequence_of(batch, token, sequence);
        const zx_rope *const rope =
            job->rotates ? zx_rope_of(general, batch->ropes, sequence) : NULL;
        if (rope != NULL) {
            zx_rope_angles(rope, batch->positions[token], angles, angles + rope->dims / 2);
            rotate_row(launch, rope, token, angles, head);
        }
        if (job->appends) append_row(launch, rope, sequence, token, angles, head);
    }
}

static zmlx_status run_job(const zx_launch *launch, bool rotates, bool appends)
{
    const rope_job job = {launch, rotates, appends};
    zx_pool_run(launch->pool, zx_row_parts(launch), run_tokens, &job);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(rope)(const zx_launch *launch)
{
    return run_job(launch, true, false);
}

zmlx_status ZX_KERNEL(kv_append)(const zx_launch *launch)
{
    return run_job(launch, false, true);
}

zmlx_status ZX_KERNEL(rope_append)(const zx_launch *launch)
{
    return run_job(launch, true, true);
}
