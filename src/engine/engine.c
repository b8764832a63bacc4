#include "engine/engine.h"

#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/memory.h"
#include "engine/ropes.h"
#include "engine/variants.h"
#include "kernels/rows.h"

struct zx_engine {
    zx_engine_options options;
    zx_variants variants;
    zx_pool *pool;
    zx_cache cache;
    zx_plan *plan; /* of the last step */
    zx_ropes ropes;
    zx_batch batch; /* its arrays point into 'numbers' */
    int32_t *numbers, *ids, *positions, *token_start, *page_start, *pages, *sampled;
    int32_t *states, *snapshots; /* NULL where no layer is recurrent */
    float *row;                  /* a row of logits of a 16-bit model */
    size_t activation_bytes;
};

/* Numbers in the block tables of a step, and in all arrays of its batch together. */
static zmlx_status batch_numbers(const zx_engine_options *options, bool recurrent, size_t *tables,
                                 size_t *count)
{
    const zx_plan_limits *limits = &options->limits;
    bool fits =
        limits->sequences < SIZE_MAX && zx_multiply_fits(options->pages, limits->sequences, tables);
    const size_t parts[] = {limits->tokens,         limits->tokens,
                            limits->sequences + 1,  limits->sequences + 1,
                            limits->sampled_rows,   recurrent ? limits->sequences : 0,
                            recurrent ? *tables : 0};
    *count = *tables;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        fits = fits && zx_add_fits(*count, parts[i], count);
    if (fits) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_MEMORY,
                   "a batch of %zu tokens, %zu sequences, %zu pages is too large", limits->tokens,
                   limits->sequences, options->pages);
}

/* What reserve_batch takes. */
static zmlx_status batch_bytes(const zx_engine_options *options, bool recurrent, size_t vocabulary,
                               size_t *bytes)
{
    size_t tables = 0, row = 0;
    ZX_TRY(batch_numbers(options, recurrent, &tables, bytes));
    if (!zx_multiply_fits(*bytes, sizeof(int32_t), bytes) ||
        !zx_multiply_fits(vocabulary, sizeof(float), &row) || !zx_add_fits(*bytes, row, bytes))
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "a batch exceeds the address space");
    return ZMLX_OK;
}

/* The arrays of a batch of the largest step, in one block. */
static zmlx_status reserve_batch(zx_engine *engine)
{
    const zx_plan_limits *limits = &engine->options.limits;
    size_t tables = 0, count = 0;
    void *memory = NULL;
    const bool recurrent = engine->cache.states != NULL;
    ZX_TRY(batch_numbers(&engine->options, recurrent, &tables, &count));
    ZX_TRY(zx_alloc_array(count, sizeof(int32_t), "a batch", &memory));
    engine->numbers = memory;
    engine->ids = engine->numbers;
    engine->positions = engine->ids + limits->tokens;
    engine->token_start = engine->positions + limits->tokens;
    engine->page_start = engine->token_start + limits->sequences + 1;
    engine->pages = engine->page_start + limits->sequences + 1;
    engine->sampled = engine->pages + tables;
    if (recurrent) {
        engine->states = engine->sampled + limits->sampled_rows;
        engine->snapshots = engine->states + limits->sequences;
    }
    engine->batch = (zx_batch){.ids = engine->ids,
                               .positions = engine->positions,
                               .token_start = engine->token_start,
                               .page_start = engine->page_start,
                               .pages = engine->pages,
                               .sampled = engine->sampled,
                               .ropes = engine->ropes.table.count > 0 ? &engine->ropes.table : NULL,
                               .states = engine->states,
                               .snapshots = engine->snapshots};
    ZX_TRY(zx_alloc_array(zx_engine_vocabulary(engine), sizeof(float), "a row of logits", &memory));
    engine->row = memory;
    ZX_TRY(batch_bytes(&engine->options, recurrent, zx_engine_vocabulary(engine),
                       &engine->activation_bytes));
    for (size_t i = 0; i < engine->variants.count; i++) /* all exist, so does their sum */
        engine->activation_bytes += zx_plan_memory(engine->variants.items[i].plan);
    return ZMLX_OK;
}

static zmlx_status size_cache(const zx_cache_layers *layers, const zx_engine_options *options,
                              zx_cache_size *size)
{
    *size = (zx_cache_size){options->pages, options->slots};
    if (size->slots > 0) return ZMLX_OK;
    return zx_cache_usual_slots(layers, options->kv_dtype, options->pages,
                                options->limits.sequences, &size->slots);
}

zmlx_status zx_engine_cache_bytes(const zx_cache_layers *layers, const zx_engine_options *options,
                                  size_t *bytes)
{
    zx_cache_size size;
    ZX_TRY(size_cache(layers, options, &size));
    return zx_cache_bytes(layers, options->kv_dtype, &size, bytes);
}

static zmlx_status build(zx_engine *engine, const zx_graph *traced, const zx_cache_layers *layers)
{
    const zx_engine_options *options = &engine->options;
    zx_cache_size size;
    ZX_TRY(zx_variants_init(traced, options, &engine->variants));
    ZX_TRY(zx_pool_create(options->threads, &engine->pool));
    ZX_TRY(size_cache(layers, options, &size));
    ZX_TRY(zx_cache_create(layers, options->kv_dtype, &size, &engine->cache));
    ZX_TRY(zx_variants_plan_all(&engine->variants, options, engine->pool, &engine->cache.pages));
    engine->plan = zx_variants_plan(&engine->variants, 1);
    ZX_TRY(
        zx_ropes_init(&engine->variants.items[0].graph, options->limits.sequences, &engine->ropes));
    return reserve_batch(engine);
}

zmlx_status zx_engine_create(const zx_graph *traced, const zx_cache_layers *layers,
                             const zx_engine_options *options, zx_engine **engine)
{
    void *memory = NULL;
    ZX_TRY(zx_alloc(sizeof(zx_engine), "engine", &memory));
    zx_engine *fresh = memory;
    fresh->options = *options;
    const zmlx_status status = build(fresh, traced, layers);
    if (status == ZMLX_OK)
        *engine = fresh;
    else
        zx_engine_destroy(fresh);
    return status;
}

void zx_engine_destroy(zx_engine *engine)
{
    if (engine == NULL) return;
    zx_variants_fini(&engine->variants);
    zx_ropes_fini(&engine->ropes);
    zx_cache_destroy(&engine->cache);
    zx_pool_destroy(engine->pool);
    zx_free(engine->numbers);
    zx_free(engine->row);
    zx_free(engine);
}

zmlx_status zx_engine_activation_bytes(const zx_graph *traced, const zx_cache_layers *layers,
                                       const zx_engine_options *options, size_t *bytes)
{
    zx_variants variants;
    zx_pool *pool = NULL;
    zx_cache_size size;
    zx_kv_pages pages;
    size_t batch = 0;
    ZX_TRY(batch_bytes(options, layers->state_count > 0, zx_value_type(traced->output)->columns,
                       &batch));
    ZX_TRY(size_cache(layers, options, &size));
    ZX_TRY(zx_cache_measure(layers, options->kv_dtype, &size, &pages));
    ZX_TRY(zx_variants_init(traced, options, &variants));
    zmlx_status status = zx_pool_create_unstarted(options->threads, &pool);
    if (status == ZMLX_OK) status = zx_variants_bytes(&variants, options, pool, &pages, bytes);
    if (status == ZMLX_OK && !zx_add_fits(*bytes, batch, bytes))
        status = ZX_FAIL(ZMLX_ERROR_MEMORY, "activations exceed the address space");
    zx_pool_destroy(pool);
    zx_variants_fini(&variants);
    return status;
}

zmlx_status zx_engine_open_sequence(zx_engine *engine, size_t capacity, size_t length,
                                    zx_sequence *sequence)
{
    const size_t shortest = zx_ropes_length(&engine->ropes, length);
    ZX_TRY(zx_sequence_open(capacity, shortest, sequence));
    sequence->rope_length = shortest;
    return ZMLX_OK;
}

/* Reserves room for every feed, or for none. */
static zmlx_status reserve(zx_engine *engine, const zx_feed feeds[], size_t count)
{
    size_t tokens = 0, sampled = 0;
    for (size_t i = 0; i < count; i++) {
        tokens += feeds[i].count;
        sampled += feeds[i].sampled;
        assert(feeds[i].count > 0 && feeds[i].sampled <= feeds[i].count);
    }
    const zx_plan_limits *limits = &engine->options.limits;
    if (count > limits->sequences || tokens > limits->tokens || sampled > limits->sampled_rows)
        return ZX_FAIL(
            ZMLX_ERROR_ARGUMENT,
            "a step of %zu sequences, %zu tokens, %zu sampled rows; at most %zu, %zu, %zu", count,
            tokens, sampled, limits->sequences, limits->tokens, limits->sampled_rows);
    for (size_t i = 0; i < count; i++) {
        const zmlx_status status =
            zx_sequence_reserve(&engine->cache, feeds[i].sequence, feeds[i].count);
        if (status == ZMLX_OK) continue;
        for (size_t k = 0; k < i; k++) zx_sequence_trim(&engine->cache, feeds[k].sequence);
        return status;
    }
    return ZMLX_OK;
}

/* The slots of a step's sequence whose pages begin at 'pages'. */
static void fill_states(zx_engine *engine, const zx_feed *feed, size_t index, size_t pages)
{
    zx_sequence *const sequence = feed->sequence;
    if (engine->states == NULL) return;
    zx_sequence_plan_snapshots(&engine->cache, sequence, feed->count);
    engine->states[index] = sequence->state;
    memset(engine->snapshots + pages, 0, sequence->page_count * sizeof(int32_t));
    for (size_t i = 0; i < sequence->snapshot_count; i++)
        engine->snapshots[pages + sequence->snapshots[i].page] = sequence->snapshots[i].slot;
}

static void fill_batch(zx_engine *engine, const zx_feed feeds[], size_t count)
{
    int32_t tokens = 0, pages = 0, sampled = 0;
    for (size_t s = 0; s < count; s++) {
        const zx_feed *feed = &feeds[s];
        engine->token_start[s] = tokens;
        engine->page_start[s] = pages;
        zx_ropes_set(&engine->ropes, s, feed->sequence->rope_length);
        memcpy(engine->pages + pages, feed->sequence->table,
               feed->sequence->page_count * sizeof(int32_t));
        fill_states(engine, feed, s, (size_t)pages);
        pages += (int32_t)feed->sequence->page_count;
        for (size_t i = 0; i < feed->count; i++, tokens++) {
            engine->ids[tokens] = feed->ids[i];
            engine->positions[tokens] = (int32_t)(feed->sequence->length + i);
            if (i + feed->sampled >= feed->count) engine->sampled[sampled++] = tokens;
        }
    }
    engine->token_start[count] = tokens;
    engine->page_start[count] = pages;
    engine->batch.tokens = (size_t)tokens;
    engine->batch.sequences = count;
    engine->batch.sampled_rows = (size_t)sampled;
}

zmlx_status zx_engine_step(zx_engine *engine, const zx_feed feeds[], size_t count)
{
    ZX_TRY(reserve(engine, feeds, count));
    fill_batch(engine, feeds, count);
    engine->plan = zx_variants_plan(&engine->variants, engine->batch.tokens);
    const zmlx_status status = zx_plan_run(engine->plan, &engine->batch);
    for (size_t i = 0; i < count; i++)
        if (status == ZMLX_OK)
            zx_sequence_commit(&engine->cache, feeds[i].sequence, feeds[i].ids, feeds[i].count);
        else
            zx_sequence_tear(&engine->cache, feeds[i].sequence);
    return status;
}

size_t zx_engine_activations(const zx_engine *engine)
{
    return engine->activation_bytes;
}

size_t zx_engine_vocabulary(const zx_engine *engine)
{
    return zx_plan_output(engine->plan)->columns;
}

const float *zx_engine_logits(zx_engine *engine, size_t row)
{
    const zx_operand *output = zx_plan_output(engine->plan);
    assert(row < output->rows);
    return zx_row_load(output->dtype, zx_operand_row(output, row), output->columns, engine->row);
}

zx_cache *zx_engine_cache(zx_engine *engine)
{
    return &engine->cache;
}

zx_plan *zx_engine_plan(zx_engine *engine)
{
    return engine->plan;
}

const zx_engine_options *zx_engine_settings(const zx_engine *engine)
{
    return &engine->options;
}
