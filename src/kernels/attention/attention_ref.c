/* attention_ref.c - softmax(scale * q K^T) V over the keys that a query sees.  Normative:
 *
 *   Query head h reads key head h / (heads / kv_heads).  The query at position p sees key j where
 *   j <= p and, with a window w > 0, j > p - w; other keys take no part at all.
 *   score_j = RN(dot * scale), dot = sum_d q_d k_jd, d ascending, each step an FMA, from 0;
 *   with a limit > 0 then limit * tanh(score_j / limit), each step rounded to f32
 *
 *   Keys are cut into tiles of 64 (one page) at absolute positions, tiles into spans of 8.  A span
 *   is folded alone, its tiles ascending; a tile without a visible key is skipped:
 *     before the first tile   m = -inf, l = 0, o_d = 0
 *     m' = max(m, score_j);  c = exp(m - m') (1 for the first tile, where l and o are 0)
 *     p_j = exp(score_j - m')
 *     l = fma(l, c, sum p_j), the sum in the row-sum order by slot: sixteen partial sums by slot
 *         mod 16, ascending, added at distance 8, 4, 2, 1
 *     o_d = RN(o_d * c), then o_d = fma(p_j, v_jd, o_d), j ascending
 *   The spans that hold a visible key are merged in ascending order; the first is taken as it is:
 *     M = max(m, m2), a = exp(m - M), b = exp(m2 - M)
 *     l = fma(l2, b, RN(l * a)),  o_d = fma(o2_d, b, RN(o_d * a)),  m = M
 *   attention_sinks then merges the head's sink, a logit s without a value:
 *     M = max(m, s), a = exp(m - M), b = exp(s - M);  l = RN(RN(l * a) + b),  o_d = RN(o_d * a)
 *   y_d = RN_T(o_d / l).  exp is that of vmath.h; keys and values are read as f32, exactly.
 *
 * So the position alone fixes the result: not the batch, the chunks or the threads.  A query whose
 * visible scores contain a NaN gives NaN.  Every CPU kernel returns these bits. */
#include <assert.h>

#include "kernels/attention/attention_rows.h"
#include "kernels/kernels.h"
#include "kernels/pages.h"
#include "kernels/rows.h"
#include "kernels/vmath.h"

typedef struct fold {
    float m, l;
    float *o; /* [value_size] */
} fold;

typedef struct reader {
    const zx_launch *launch;
    const zx_kv_layer *layer;
    const float *q; /* [key_size] */
    size_t sequence, kv_head;
    zx_key_range keys;
} reader;

static size_t thread_bytes(const zx_kv_layer *layer)
{
    return zx_round_up((layer->key_size + 2 * layer->value_size) * sizeof(float), 64);
}

size_t zx_scratch_attention_ref(const zx_launch *launch)
{
    return zx_pool_threads(launch->pool) * thread_bytes(zx_launch_layer(launch));
}

static void fold_tile(const reader *query, size_t tile, fold *span)
{
    const zx_launch *launch = query->launch;
    const zx_kv_layer *layer = query->layer;
    const zx_dtype dtype = launch->kv->dtype;
    const size_t first = tile * ZX_PAGE_TOKENS;
    const zx_key_range slots = zx_clip_keys(query->keys, first, ZX_PAGE_TOKENS);
    if (slots.first == slots.end) return;
    uint8_t *const page = zx_page_of(launch, query->sequence, first);
    const void *keys = zx_page_keys(launch, layer, page, query->kv_head);
    const void *values = zx_page_values(launch, layer, page, query->kv_head);
    float score[ZX_PAGE_TOKENS];
    float largest = span->m;
    for (size_t j = slots.first; j < slots.end; j++) {
        float dot = 0;
        for (size_t d = 0; d < layer->key_size; d++)
            dot = fmaf(query->q[d], zx_load(dtype, keys, d * ZX_PAGE_TOKENS + j), dot);
        score[j] = dot * launch->attributes->scale;
        const float limit = launch->attributes->limit;
        if (limit > 0) score[j] = limit * zx_tanh(score[j] / limit);
        largest = score[j] > largest ? score[j] : largest;
    }
    const float correction = zx_exp(span->m - largest);
    float partial[ZX_PARTIALS] = {0};
    for (size_t j = slots.first; j < slots.end; j++) {
        score[j] = zx_exp(score[j] - largest);
        partial[j % ZX_PARTIALS] += score[j];
    }
    span->l = fmaf(span->l, correction, zx_add_partials(partial));
    span->m = largest;
    for (size_t d = 0; d < layer->value_size; d++) {
        float o = span->o[d] * correction;
        for (size_t j = slots.first; j < slots.end; j++)
            o = fmaf(score[j], zx_load(dtype, values, j * layer->value_size + d), o);
        span->o[d] = o;
    }
}

static void merge(const fold *span, size_t value_size, fold *all)
{
    const float largest = all->m > span->m ? all->m : span->m;
    const float a = zx_exp(all->m - largest), b = zx_exp(span->m - largest);
    all->m = largest;
    all->l = fmaf(span->l, b, all->l * a);
    for (size_t d = 0; d < value_size; d++) all->o[d] = fmaf(span->o[d], b, all->o[d] * a);
}

static void add_sink(float sink, size_t value_size, fold *all)
{
    const float largest = all->m > sink ? all->m : sink;
    const float a = zx_exp(all->m - largest), b = zx_exp(sink - largest);
    all->l = all->l * a + b;
    all->m = largest;
    for (size_t d = 0; d < value_size; d++) all->o[d] = all->o[d] * a;
}

/* The result is left in all->o; 'sink' is NULL where there is none. */
static void attend(const reader *query, const float *sink, fold *span, fold *all)
{
    const size_t value_size = query->layer->value_size;
    const size_t first = query->keys.first / ZX_SPAN_TOKENS;
    const size_t last = (query->keys.end - 1) / ZX_SPAN_TOKENS;
    for (size_t s = first; s <= last; s++) {
        span->m = -INFINITY;
        span->l = 0;
        memset(span->o, 0, value_size * sizeof *span->o);
        for (size_t tile = s * ZX_SPAN_TILES; tile < (s + 1) * ZX_SPAN_TILES; tile++)
            fold_tile(query, tile, span);
        if (s > first) {
            merge(span, value_size, all);
            continue;
        }
        all->m = span->m;
        all->l = span->l;
        memcpy(all->o, span->o, value_size * sizeof *all->o);
    }
    if (sink != NULL) add_sink(*sink, value_size, all);
    for (size_t d = 0; d < value_size; d++) all->o[d] = all->o[d] / all->l;
}

/* Items are (token, query head). */
static void run_items(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_launch *launch = context;
    const zx_batch *batch = launch->batch;
    const zx_kv_layer *layer = zx_launch_layer(launch);
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    const size_t heads = x->columns / layer->key_size, group = heads / layer->kv_heads;
    float *const q = (float *)launch->scratch + thread * (thread_bytes(layer) / sizeof(float));
    fold span = {.o = q + layer->key_size};
    fold all = {.o = span.o + layer->value_size};
    size_t item, end, sequence = 0;
    zx_split(x->rows * heads, 1, part, parts, &item, &end);
    for (; item < end; item++) {
        const size_t token = item / heads, head = item % heads;
        const char *from = zx_operand_row(x, token);
        char *const to = zx_operand_row(y, token);
        sequence = zx_sequence_of(batch, token, sequence);
        const size_t position = (size_t)batch->positions[token];
        const reader query = {
            launch,
            layer,
            zx_row_load(x->dtype, from + head * layer->key_size * zx_dtypes[x->dtype].bytes,
                        layer->key_size, q),
            sequence,
            head / group,
            zx_visible_keys(position, launch->attributes->window),
        };
        const zx_weight *sinks = launch->inputs[2].weight;
        float sink = 0;
        if (sinks != NULL) sink = zx_load(sinks->dtype, sinks->codes, head);
        attend(&query, sinks != NULL ? &sink : NULL, &span, &all);
        zx_row_store(y->dtype, to + head * layer->value_size * zx_dtypes[y->dtype].bytes,
                     layer->value_size, all.o);
    }
}

static zmlx_status run(const zx_launch *launch)
{
    const zx_kv_layer *layer = zx_launch_layer(launch);
    const size_t heads = launch->inputs[0].columns / layer->key_size;
    assert(heads % layer->kv_heads == 0);
    assert(launch->outputs[0].columns == heads * layer->value_size);
    const size_t items = launch->inputs[0].rows * heads;
    const size_t threads = zx_pool_threads(launch->pool);
    zx_pool_run(launch->pool, items < threads ? items : threads, run_items, launch);
    return ZMLX_OK;
}

zmlx_status zx_attention_ref(const zx_launch *launch)
{
    return run(launch);
}

zmlx_status zx_attention_sinks_ref(const zx_launch *launch)
{
    return run(launch);
}
