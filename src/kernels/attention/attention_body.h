/* attention_body.h - the kernel of attention_ref.c's formula in blocks; included once per
 * instruction set, which names it and brings the vec functions.
 *
 * A block is the queries of some tokens of one sequence that read one key head: with grouped
 * queries, 'group' rows per token, so that a page is read once for all of them.  Rows are in
 * the order of tokens, so the slots that a row sees move upwards from row to row.
 *
 *   for every span: for every page:      scores = rows x keys      (attention_tile_body.h)
 *                                        weights = exp(scores - largest)
 *                                        outputs = correction * outputs + weights x values
 *   spans are merged in order as they come.
 *
 * Many rows first turn the page into f32; few rows convert as they read.  Where there are too few
 * blocks for the threads (decoding), each (block, span) is an item, its result is kept in 'entries'
 * and a second pass merges.  Neither choice changes a bit. */
#include <assert.h>

#include "kernels/attention/attention_rows.h"
#include "kernels/attention/attention_tile_body.h"
#include "kernels/pages.h"
#include "kernels/rows.h"
#include "kernels/vmath.h"

enum {
    BLOCK_ROWS = 96,
    SMALL_ROWS = 12,      /* up to so many rows read 16-bit pages directly */
    ITEMS_PER_THREAD = 4, /* as many are wanted, to even out their sizes */
    MOST_ENTRIES = 16384,
};

typedef struct attention_job {
    const zx_launch *launch;
    const zx_kv_layer *layer;
    size_t heads, group, window;
    size_t padded;       /* value_size in whole vectors: the width of outputs */
    size_t rows;         /* most rows of a block */
    size_t block_tokens; /* of a block */
    size_t spans;        /* of the longest sequence, where they are items of their own; else 0 */
    size_t thread_floats;
    float *entries; /* [tokens * heads][spans][2 + padded]: m, l, o */
} attention_job;

typedef struct block {
    size_t sequence, kv_head;
    size_t token, tokens, rows;
    size_t position; /* of the first token */
} block;

typedef struct folds { /* one per row */
    float *m, *l, *o;  /* o: [rows][padded] */
} folds;

typedef struct workspace {
    folds span, all;
    float *queries;           /* [rows][key_size] */
    float *weights;           /* [rows][64] */
    float *correction, *sums; /* [rows] */
    float *keys, *values;     /* a page as f32: [key_size][64], [64][padded] */
    zx_key_range *slots;      /* [rows]: of the page at hand */
} workspace;

static size_t vectors_up(size_t count)
{
    return zx_round_up(count, 16);
}

static size_t most_rows(size_t group)
{
    return vectors_up(group > BLOCK_ROWS ? group : BLOCK_ROWS);
}

static attention_job describe(const zx_launch *launch)
{
    const zx_kv_layer *layer = zx_launch_layer(launch);
    const size_t heads = launch->inputs[0].columns / layer->key_size;
    attention_job job = {.launch = launch,
                         .layer = layer,
                         .heads = heads,
                         .group = heads / layer->kv_heads,
                         .window = launch->attributes->window,
                         .padded = vectors_up(layer->value_size)};
    job.rows = most_rows(job.group);
    job.thread_floats = job.rows * (vectors_up(layer->key_size) + ZX_PAGE_TOKENS + 2 * job.padded +
                                    6 + sizeof(zx_key_range) / sizeof(float)) +
                        ZX_PAGE_TOKENS * (layer->key_size + job.padded);
    return job;
}

size_t ZX_KERNEL(scratch_attention)(const zx_launch *launch)
{
    const attention_job job = describe(launch);
    const size_t spans = launch->kv->page_count / ZX_SPAN_TILES + 1;
    const size_t wanted = launch->inputs[0].rows * job.heads * spans;
    const size_t entries = wanted < MOST_ENTRIES ? wanted : MOST_ENTRIES;
    return (zx_pool_threads(launch->pool) * job.thread_floats + entries * (job.padded + 2)) *
           sizeof(float);
}

static float *take(float **at, size_t floats)
{
    float *const taken = *at;
    *at += floats;
    return taken;
}

static workspace workspace_of(const attention_job *job, size_t thread)
{
    float *at = (float *)job->launch->scratch + thread * job->thread_floats;
    workspace w;
    w.queries = take(&at, job->rows * vectors_up(job->layer->key_size));
    w.weights = take(&at, job->rows * ZX_PAGE_TOKENS);
    w.span.o = take(&at, job->rows * job->padded);
    w.all.o = take(&at, job->rows * job->padded);
    w.span.m = take(&at, job->rows);
    w.span.l = take(&at, job->rows);
    w.all.m = take(&at, job->rows);
    w.all.l = take(&at, job->rows);
    w.correction = take(&at, job->rows);
    w.sums = take(&at, job->rows);
    w.keys = take(&at, ZX_PAGE_TOKENS * job->layer->key_size);
    w.values = take(&at, ZX_PAGE_TOKENS * job->padded);
    w.slots = (zx_key_range *)(void *)at;
    return w;
}

/* Pages and rows of one step of the fold. */
typedef struct step {
    size_t first_key; /* of the page */
    size_t row, end;  /* the rows that see something of it */
    zx_dtype keys_dtype, values_dtype;
    const void *keys, *values;
    const void *next_keys, *next_values; /* of the next page; the same where there is none */
    size_t values_stride;
} step;

/* Finds which slots of the page every row sees, and so the rows that see any. */
static void find_slots(const attention_job *job, const block *b, const workspace *w, step *s)
{
    s->row = b->rows;
    s->end = 0;
    for (size_t row = 0; row < b->rows; row += job->group) {
        const zx_key_range keys = zx_visible_keys(b->position + row / job->group, job->window);
        const zx_key_range slots = zx_clip_keys(keys, s->first_key, ZX_PAGE_TOKENS);
        for (size_t i = 0; i < job->group; i++) w->slots[row + i] = slots;
        if (slots.first == slots.end) continue;
        s->row = row < s->row ? row : s->row;
        s->end = row + job->group;
    }
}

static void to_floats(zx_dtype dtype, const void *from, size_t count, const void *next, float *to)
{
    for (size_t i = 0; i < count; i += LANES) {
        fetch_ahead((const char *)next + i * zx_dtypes[dtype].bytes, LANES);
        vec_store(to + i, load_as(dtype, from, i));
    }
}

/* Values with rows that are no whole number of vectors: zeros behind each. */
static void pad_values(const attention_job *job, zx_dtype dtype, const void *from, float *to)
{
    const size_t size = job->layer->value_size;
    for (size_t j = 0; j < ZX_PAGE_TOKENS; j++)
        for (size_t d = 0; d < job->padded; d++)
            to[j * job->padded + d] = d < size ? zx_load(dtype, from, j * size + d) : 0;
}

/* Where the page's keys and values are to be read, converted where that pays. */
static void stage_page(const attention_job *job, const block *b, const workspace *w, step *s)
{
    const zx_launch *launch = job->launch;
    const zx_kv_layer *layer = job->layer;
    const zx_dtype dtype = launch->kv->dtype;
    uint8_t *const page = zx_page_of(launch, b->sequence, s->first_key);
    const bool direct = dtype == ZX_F32 || s->end - s->row <= SMALL_ROWS;
    s->keys = zx_page_keys(launch, layer, page, b->kv_head);
    s->values = zx_page_values(launch, layer, page, b->kv_head);
    s->keys_dtype = s->values_dtype = dtype;
    const size_t next_key = s->first_key + ZX_PAGE_TOKENS;
    uint8_t *const next =
        next_key < b->position + b->tokens ? zx_page_of(launch, b->sequence, next_key) : page;
    s->next_keys = zx_page_keys(launch, layer, next, b->kv_head);
    s->next_values = zx_page_values(launch, layer, next, b->kv_head);
    s->values_stride = layer->value_size;
    if (!direct) {
        to_floats(dtype, s->keys, ZX_PAGE_TOKENS * layer->key_size, s->next_keys, w->keys);
        s->keys = s->next_keys = w->keys;
        s->keys_dtype = ZX_F32;
    }
    if (layer->value_size != job->padded) {
        pad_values(job, dtype, s->values, w->values);
        s->values_stride = job->padded;
    } else if (direct) {
        return;
    } else {
        to_floats(dtype, s->values, ZX_PAGE_TOKENS * layer->value_size, s->next_values, w->values);
    }
    s->values = s->next_values = w->values;
    s->values_dtype = ZX_F32;
}

static size_t rows_of_tile(size_t row, size_t end)
{
    return end - row < TILE_ROWS ? end - row : TILE_ROWS;
}

/* Dot products of every row with the slots that its tile of rows sees, in whole vectors. */
static void score_rows(const attention_job *job, const workspace *w, const step *s)
{
    const size_t stride = vectors_up(job->layer->key_size);
    for (size_t row = s->row; row < s->end; row += TILE_ROWS) {
        const size_t rows = rows_of_tile(row, s->end);
        const size_t first = w->slots[row].first / LANES * LANES;
        const size_t end = zx_round_up(w->slots[row + rows - 1].end, LANES);
        const tile t = {.a = w->queries + row * stride,
                        .a_stride = stride,
                        .b = (const char *)s->keys + first * zx_dtypes[s->keys_dtype].bytes,
                        .b_stride = ZX_PAGE_TOKENS,
                        .ahead =
                            (const char *)s->next_keys + first * zx_dtypes[s->keys_dtype].bytes,
                        .depth = job->layer->key_size,
                        .c = w->weights + row * ZX_PAGE_TOKENS + first,
                        .c_stride = ZX_PAGE_TOKENS};
        multiply(rows, end - first, s->keys_dtype, t);
    }
}

/* limit * tanh(score / limit) of a row, whose scores are scaled first. */
static void cap_row(const zx_attributes *attributes, zx_key_range slots, float *scores)
{
    const float scale = attributes->scale, limit = attributes->limit;
    for (size_t i = slots.first; i < slots.end; i++)
        scores[i] = limit * zx_tanh(scores[i] * scale / limit);
}

/* Scales a row of scores, hides the slots it does not see, and returns the largest. */
static float scale_row(float scale, zx_key_range slots, float *scores)
{
    const vec factor = vec_set(scale);
    vec largest = vec_set(-INFINITY);
    for (size_t i = slots.first / LANES * LANES; i < slots.end; i += LANES) {
        vec x = vec_multiply(vec_load(scores + i), factor);
        if (i < slots.first || i + LANES > slots.end)
            x = vec_keep(x, slots.first > i ? slots.first - i : 0,
                         slots.end - i < LANES ? slots.end - i : LANES);
        largest = vec_larger(largest, x);
        vec_store(scores + i, x);
    }
    return vec_largest(largest);
}

/* Scores to weights; returns their sum in the row-sum order.  What is hidden weighs 0. */
static float weigh_row(float largest, zx_key_range slots, float *scores)
{
    const vec top = vec_set(largest);
    vec partial[2] = {vec_set(0), vec_set(0)};
    for (size_t i = slots.first / LANES * LANES; i < slots.end; i += LANES) {
        const vec p = vec_exp(vec_subtract(vec_load(scores + i), top));
        vec *const sum = &partial[i / LANES % (ZX_PARTIALS / LANES)];
        *sum = vec_add(*sum, p);
        vec_store(scores + i, p);
    }
    return vec_sum_partials(partial[0], partial[1]);
}

/* Scores to weights, and m and l of the rows. */
static void weigh_rows(const attention_job *job, const workspace *w, const step *s)
{
    const zx_attributes *attributes = job->launch->attributes;
    const bool capped = attributes->limit > 0;
    folds f = w->span;
    for (size_t row = s->row; row < s->end; row++) {
        float *const scores = w->weights + row * ZX_PAGE_TOKENS;
        if (capped) cap_row(attributes, w->slots[row], scores);
        const float top = scale_row(capped ? 1 : attributes->scale, w->slots[row], scores);
        w->correction[row] = f.m[row];
        f.m[row] = top > f.m[row] ? top : f.m[row];
    }
    for (size_t row = s->row / LANES * LANES; row < s->end; row += LANES)
        vec_store(w->correction + row,
                  vec_exp(vec_subtract(vec_load(w->correction + row), vec_load(f.m + row))));
    for (size_t row = s->row; row < s->end; row++) {
        float *const scores = w->weights + row * ZX_PAGE_TOKENS;
        const float sum = weigh_row(f.m[row], w->slots[row], scores);
        f.l[row] = fmaf(f.l[row], w->correction[row], sum);
    }
}

/* Multiplies 'rows' rows by their corrections and adds weights x values of the slots. */
static void add_slots(const workspace *w, const step *s, size_t row, size_t rows,
                      zx_key_range slots, const float *correction, tile t)
{
    const size_t bytes = zx_dtypes[s->values_dtype].bytes;
    const size_t columns = t.c_stride;
    t.a = w->weights + row * ZX_PAGE_TOKENS + slots.first;
    t.b = (const char *)s->values + slots.first * t.b_stride * bytes;
    t.ahead = (const char *)s->next_values + slots.first * t.b_stride * bytes;
    t.depth = slots.end - slots.first;
    t.c += row * t.c_stride;
    t.correction = correction;
    multiply(rows, columns, s->values_dtype, t);
}

/* The rows of a tile see almost the same slots: what all of them see they add together, the rest
 * each alone, before (slots that the last row no longer sees) or after.
 *
 *   first row  | . # # # # # . . |
 *              | . . # # # # # . |       together: those from 3 to 5
 *   last row   | . . . # # # # # |  */
static void add_tile(const attention_job *job, const workspace *w, const step *s, size_t row,
                     size_t rows)
{
    float correction[TILE_ROWS];
    memcpy(correction, w->correction + row, rows * sizeof *correction);
    const tile t = {.a_stride = ZX_PAGE_TOKENS,
                    .b_stride = s->values_stride,
                    .c = w->span.o,
                    .c_stride = job->padded};
    const zx_key_range *const slots = w->slots + row;
    zx_key_range together = {slots[rows - 1].first, slots[0].end};
    if (together.first >= together.end) together.first = together.end = ZX_PAGE_TOKENS;
    for (size_t r = 0; r < rows; r++) {
        const size_t end = slots[r].end < together.first ? slots[r].end : together.first;
        if (slots[r].first >= end) continue;
        add_slots(w, s, row + r, 1, (zx_key_range){slots[r].first, end}, &correction[r], t);
        correction[r] = 1;
    }
    if (together.first == together.end) return;
    add_slots(w, s, row, rows, together, correction, t);
    const float one = 1;
    for (size_t r = 0; r < rows; r++)
        if (slots[r].end > together.end)
            add_slots(w, s, row + r, 1, (zx_key_range){together.end, slots[r].end}, &one, t);
}

/* Folds the pages of a span into w->span. */
static void fold_span(const attention_job *job, const block *b, const workspace *w, size_t span)
{
    for (size_t row = 0; row < b->rows; row++) {
        w->span.m[row] = -INFINITY;
        w->span.l[row] = 0;
    }
    memset(w->span.o, 0, b->rows * job->padded * sizeof *w->span.o);
    for (size_t page = 0; page < ZX_SPAN_TILES; page++) {
        step s = {.first_key = span * ZX_SPAN_TOKENS + page * ZX_PAGE_TOKENS};
        find_slots(job, b, w, &s);
        if (s.row >= s.end) continue;
        stage_page(job, b, w, &s);
        score_rows(job, w, &s);
        weigh_rows(job, w, &s);
        for (size_t row = s.row; row < s.end; row += TILE_ROWS)
            add_tile(job, w, &s, row, rows_of_tile(row, s.end));
    }
}

/* Row 'row' of some folds, as folds of one row. */
static folds fold_row(const attention_job *job, folds f, size_t row)
{
    return (folds){f.m + row, f.l + row, f.o + row * job->padded};
}

static void copy_row(const attention_job *job, folds from, folds to)
{
    *to.m = *from.m;
    *to.l = *from.l;
    memcpy(to.o, from.o, job->padded * sizeof *to.o);
}

static void merge_row(const attention_job *job, folds span, folds all)
{
    const float largest = *all.m > *span.m ? *all.m : *span.m;
    const vec a = vec_set(zx_exp(*all.m - largest)), b = vec_set(zx_exp(*span.m - largest));
    float both[LANES];
    vec_store(both, vec_fma(vec_set(*span.l), b, vec_multiply(vec_set(*all.l), a)));
    *all.l = both[0];
    *all.m = largest;
    for (size_t d = 0; d < job->padded; d += LANES)
        vec_store(all.o + d,
                  vec_fma(vec_load(span.o + d), b, vec_multiply(vec_load(all.o + d), a)));
}

/* Merges the head's sink, a key that is seen but has no value. */
static void add_sink(const attention_job *job, folds all, size_t head)
{
    const zx_weight *sinks = job->launch->inputs[2].weight;
    const float sink = zx_load(sinks->dtype, sinks->codes, head);
    const float largest = *all.m > sink ? *all.m : sink;
    const float a = zx_exp(*all.m - largest), b = zx_exp(sink - largest);
    *all.l = *all.l * a + b;
    *all.m = largest;
    for (size_t d = 0; d < job->padded; d += LANES)
        vec_store(all.o + d, vec_multiply(vec_load(all.o + d), vec_set(a)));
}

/* y = RN_T(o / l) of a query head. */
static void finish_row(const attention_job *job, folds all, size_t token, size_t head)
{
    if (job->launch->inputs[2].weight != NULL) add_sink(job, all, head);
    const zx_operand *y = &job->launch->outputs[0];
    const size_t size = job->layer->value_size;
    const vec l = vec_set(*all.l);
    for (size_t d = 0; d < job->padded; d += LANES)
        vec_store(all.o + d, vec_divide(vec_load(all.o + d), l));
    char *const to = zx_operand_row(y, token);
    zx_row_store(y->dtype, to + head * size * zx_dtypes[y->dtype].bytes, size, all.o);
}

static void load_queries(const attention_job *job, const block *b, const workspace *w)
{
    const zx_operand *x = &job->launch->inputs[0];
    const size_t size = job->layer->key_size, stride = vectors_up(size);
    for (size_t row = 0; row < b->rows; row++) {
        const size_t head = b->kv_head * job->group + row % job->group;
        const char *from = zx_operand_row(x, b->token + row / job->group);
        float *const to = w->queries + row * stride;
        const float *q =
            zx_row_load(x->dtype, from + head * size * zx_dtypes[x->dtype].bytes, size, to);
        if (q != to) memcpy(to, q, size * sizeof *to);
    }
}

/* The keys that some row of the block sees. */
static zx_key_range keys_of(const attention_job *job, const block *b)
{
    return (zx_key_range){zx_visible_keys(b->position, job->window).first, b->position + b->tokens};
}

/* All spans of a block, one after the other. */
static void run_block(const attention_job *job, const block *b, workspace *w)
{
    const zx_key_range keys = keys_of(job, b);
    const size_t first = keys.first / ZX_SPAN_TOKENS, last = (keys.end - 1) / ZX_SPAN_TOKENS;
    load_queries(job, b, w);
    for (size_t span = first; span <= last; span++) {
        fold_span(job, b, w, span);
        if (first == last) break;
        for (size_t row = 0; row < b->rows; row++) {
            const zx_key_range seen = zx_visible_keys(b->position + row / job->group, job->window);
            if (span < seen.first / ZX_SPAN_TOKENS || span * ZX_SPAN_TOKENS >= seen.end) continue;
            const folds from = fold_row(job, w->span, row), to = fold_row(job, w->all, row);
            if (span == seen.first / ZX_SPAN_TOKENS)
                copy_row(job, from, to);
            else
                merge_row(job, from, to);
        }
    }
    const folds result = first == last ? w->span : w->all;
    for (size_t row = 0; row < b->rows; row++)
        finish_row(job, fold_row(job, result, row), b->token + row / job->group,
                   b->kv_head * job->group + row % job->group);
}

static size_t blocks_of(const attention_job *job, size_t sequence)
{
    const int32_t *start = job->launch->batch->token_start;
    const size_t tokens = (size_t)(start[sequence + 1] - start[sequence]);
    return (tokens + job->block_tokens - 1) / job->block_tokens;
}

static size_t count_blocks(const attention_job *job)
{
    size_t blocks = 0;
    for (size_t s = 0; s < job->launch->batch->sequences; s++) blocks += blocks_of(job, s);
    return blocks * job->layer->kv_heads;
}

/* Blocks are numbered by sequence, then by tokens, then by key head. */
static block find_block(const attention_job *job, size_t index)
{
    const zx_batch *batch = job->launch->batch;
    size_t sequence = 0, at = index / job->layer->kv_heads;
    for (; at >= blocks_of(job, sequence); sequence++) at -= blocks_of(job, sequence);
    const size_t token = (size_t)batch->token_start[sequence] + at * job->block_tokens;
    const size_t left = (size_t)batch->token_start[sequence + 1] - token;
    const size_t tokens = left < job->block_tokens ? left : job->block_tokens;
    return (block){.sequence = sequence,
                   .kv_head = index % job->layer->kv_heads,
                   .token = token,
                   .tokens = tokens,
                   .rows = tokens * job->group,
                   .position = (size_t)batch->positions[token]};
}

/* The last blocks see the most keys: they come first, so that no thread ends alone with one. */
static void run_blocks(const void *context, size_t part, size_t parts, size_t thread)
{
    const attention_job *job = context;
    workspace w = workspace_of(job, thread);
    const block b = find_block(job, parts - 1 - part);
    run_block(job, &b, &w);
}

static folds entry_of(const attention_job *job, size_t token, size_t head, size_t span)
{
    float *const at =
        job->entries + ((token * job->heads + head) * job->spans + span) * (job->padded + 2);
    return (folds){at + job->padded, at + job->padded + 1, at};
}

/* Parts are (block, span): the results wait in the entries. */
static void run_spans(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)parts;
    const attention_job *job = context;
    const workspace w = workspace_of(job, thread);
    const block b = find_block(job, part / job->spans);
    const size_t span = part % job->spans;
    const zx_key_range keys = keys_of(job, &b);
    if (span < keys.first / ZX_SPAN_TOKENS || span * ZX_SPAN_TOKENS >= keys.end) return;
    load_queries(job, &b, &w);
    fold_span(job, &b, &w, span);
    for (size_t row = 0; row < b.rows; row++)
        copy_row(job, fold_row(job, w.span, row),
                 entry_of(job, b.token + row / job->group,
                          b.kv_head * job->group + row % job->group, span));
}

static void merge_entries(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const attention_job *job = context;
    size_t item, end;
    zx_split(job->launch->inputs[0].rows * job->heads, 1, part, parts, &item, &end);
    for (; item < end; item++) {
        const size_t token = item / job->heads, head = item % job->heads;
        const zx_key_range keys =
            zx_visible_keys((size_t)job->launch->batch->positions[token], job->window);
        const size_t first = keys.first / ZX_SPAN_TOKENS, last = (keys.end - 1) / ZX_SPAN_TOKENS;
        const folds all = entry_of(job, token, head, first);
        for (size_t span = first + 1; span <= last; span++)
            merge_row(job, entry_of(job, token, head, span), all);
        finish_row(job, all, token, head);
    }
}

/* Spans of the longest sequence. */
static size_t most_spans(const zx_batch *batch)
{
    size_t most = 1;
    for (size_t t = 0; t < batch->tokens; t++) {
        const size_t spans = (size_t)batch->positions[t] / ZX_SPAN_TOKENS + 1;
        most = spans > most ? spans : most;
    }
    return most;
}

static zmlx_status run(const zx_launch *launch)
{
    attention_job job = describe(launch);
    assert(job.heads % job.layer->kv_heads == 0);
    assert(launch->outputs[0].columns == job.heads * job.layer->value_size);
    const size_t threads = zx_pool_threads(launch->pool);
    const size_t wanted = threads > 1 ? threads * ITEMS_PER_THREAD : 1;
    job.block_tokens = BLOCK_ROWS > job.group ? BLOCK_ROWS / job.group : 1;
    size_t blocks = count_blocks(&job);
    while (blocks < wanted && job.block_tokens * job.group > SMALL_ROWS && job.block_tokens > 1) {
        job.block_tokens = (job.block_tokens + 1) / 2;
        blocks = count_blocks(&job);
    }
    const size_t spans = most_spans(launch->batch);
    job.entries = (float *)launch->scratch + threads * job.thread_floats;
    if (blocks >= wanted || spans == 1 ||
        launch->batch->tokens * job.heads * spans > MOST_ENTRIES) {
        zx_pool_run(launch->pool, blocks, run_blocks, &job);
        return ZMLX_OK;
    }
    job.spans = spans;
    zx_pool_run(launch->pool, blocks * spans, run_spans, &job);
    const size_t rows = launch->inputs[0].rows * job.heads;
    zx_pool_run(launch->pool, rows < threads ? rows : threads, merge_entries, &job);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(attention)(const zx_launch *launch)
{
    return run(launch);
}

zmlx_status ZX_KERNEL(attention_sinks)(const zx_launch *launch)
{
    return run(launch);
}
