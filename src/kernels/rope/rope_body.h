/* rope_body.h - the kernels; included once per instruction set, which names them.
 *
 * Tokens are split over the threads: no two of them write the same slot of a page.  A thread's
 * scratch is the norms' weights, the cosines, the sines and one head. */
#include "kernels/rmsnorm/rmsnorm_rows.h"
#include "kernels/rope/rope_rows.h"

/* Queries and keys are there where they are rotated, keys and values where they are appended; a
 * norm, of every head alone, where the op has one. */
typedef struct rope_job {
    const zx_launch *launch;
    const zx_operand *queries, *keys, *values;
    const zx_weight *query_norm, *key_norm;
} rope_job;

/* What a thread works with. */
typedef struct rope_thread {
    const float *query_norm, *key_norm; /* as f32, or NULL */
    float *angles;                      /* cosines, then sines */
    float *head;
} rope_thread;

/* Head 'head' of a row, as f32, into 'values'. */
static void load_head(const zx_operand *x, size_t row, size_t head, size_t size, float *values)
{
    const char *at = zx_operand_row(x, row);
    const void *from = at + head * size * zx_dtypes[x->dtype].bytes;
    const float *loaded = zx_row_load(x->dtype, from, size, values);
    if (loaded != values) memcpy(values, loaded, size * sizeof *values);
}

static void rotate_row(const rope_job *job, const rope_thread *mine, const zx_rope *rope,
                       size_t token)
{
    const zx_operand *x = job->queries, *y = &job->launch->outputs[0];
    const size_t size = job->launch->attributes->head_size;
    for (size_t i = 0; i < x->columns / size; i++) {
        load_head(x, token, i, size, mine->head);
        if (mine->query_norm != NULL)
            zx_rmsnorm_row(x->dtype, mine->head, mine->query_norm, job->launch->attributes, size,
                           mine->head);
        zx_rope_head(y->dtype, rope, mine->angles, mine->angles + rope->dims / 2, mine->head);
        char *const to = zx_operand_row(y, token);
        zx_row_store(y->dtype, to + i * size * zx_dtypes[y->dtype].bytes, size, mine->head);
    }
}

/* Keys and values of a token into its page; keys are rotated first where there is a rope. */
static void append_row(const rope_job *job, const rope_thread *mine, const zx_rope *rope,
                       size_t sequence, size_t token)
{
    const zx_launch *launch = job->launch;
    const zx_operand *keys = job->keys, *values = job->values;
    const zx_kv_layer *layer = zx_launch_layer(launch);
    const zx_dtype dtype = launch->kv->dtype;
    const size_t position = (size_t)launch->batch->positions[token];
    const size_t slot = position % ZX_PAGE_TOKENS, bytes = zx_dtypes[dtype].bytes;
    uint8_t *const page = zx_page_of(launch, sequence, position);
    float *const head = mine->head;
    for (size_t i = 0; i < layer->kv_heads; i++) {
        load_head(keys, token, i, layer->key_size, head);
        if (mine->key_norm != NULL)
            zx_rmsnorm_row(keys->dtype, head, mine->key_norm, launch->attributes, layer->key_size,
                           head);
        if (rope != NULL)
            zx_rope_head(keys->dtype, rope, mine->angles, mine->angles + rope->dims / 2, head);
        char *const column = zx_page_keys(launch, layer, page, i);
        zx_store_column(dtype, column + slot * bytes, head, layer->key_size);
        load_head(values, token, i, layer->value_size, head);
        char *const rows = zx_page_values(launch, layer, page, i);
        zx_row_store(dtype, rows + slot * layer->value_size * bytes, layer->value_size, head);
    }
}

/* The weights of a norm as f32; 'at' moves past the scratch it may need. */
static const float *load_norm(const rope_job *job, const zx_weight *norm, float **at)
{
    const zx_attributes *attributes = job->launch->attributes;
    if (norm == NULL) return NULL;
    const float *const weights =
        zx_norm_weights(norm, attributes->offset, attributes->head_size, *at);
    *at += attributes->head_size;
    return weights;
}

static rope_thread take_scratch(const rope_job *job, size_t thread)
{
    const zx_launch *launch = job->launch;
    const size_t each = zx_scratch_rope(launch) / sizeof(float) / zx_pool_threads(launch->pool);
    float *at = (float *)launch->scratch + thread * each;
    rope_thread mine = {.query_norm = load_norm(job, job->query_norm, &at)};
    mine.key_norm = load_norm(job, job->key_norm, &at);
    mine.angles = at;
    mine.head = at + (job->queries != NULL ? launch->attributes->rope->dims : 0);
    return mine;
}

static void run_tokens(const void *context, size_t part, size_t parts, size_t thread)
{
    const rope_job *job = context;
    const zx_launch *launch = job->launch;
    const zx_batch *batch = launch->batch;
    const bool rotates = job->queries != NULL, appends = job->keys != NULL;
    const zx_rope *const general = rotates ? launch->attributes->rope : NULL;
    const rope_thread mine = take_scratch(job, thread);
    size_t token, end, sequence = 0;
    zx_split(launch->inputs[0].rows, 1, part, parts, &token, &end);
    const bool owned = appends || (general->by_length != NULL && batch->ropes != NULL);
    for (; token < end; token++) {
        if (owned) sequence = zx_sequence_of(batch, token, sequence);
        const zx_rope *const rope = rotates ? zx_rope_of(general, batch->ropes, sequence) : NULL;
        if (rope != NULL) {
            zx_rope_angles(rope, batch->positions[token], mine.angles,
                           mine.angles + rope->dims / 2);
            rotate_row(job, &mine, rope, token);
        }
        if (appends) append_row(job, &mine, rope, sequence, token);
    }
}

static zmlx_status run_job(const rope_job *job)
{
    zx_pool_run(job->launch->pool, zx_row_parts(job->launch), run_tokens, job);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(rope)(const zx_launch *launch)
{
    return run_job(&(rope_job){.launch = launch, .queries = &launch->inputs[0]});
}

zmlx_status ZX_KERNEL(kv_append)(const zx_launch *launch)
{
    const zx_operand *in = launch->inputs;
    return run_job(&(rope_job){.launch = launch, .keys = &in[0], .values = &in[1]});
}

zmlx_status ZX_KERNEL(rope_append)(const zx_launch *launch)
{
    const zx_operand *in = launch->inputs;
    return run_job(
        &(rope_job){.launch = launch, .queries = &in[0], .keys = &in[1], .values = &in[2]});
}

zmlx_status ZX_KERNEL(norm_rope_append)(const zx_launch *launch)
{
    const zx_operand *in = launch->inputs;
    return run_job(&(rope_job){launch, &in[0], &in[2], &in[4], in[1].weight, in[3].weight});
}
