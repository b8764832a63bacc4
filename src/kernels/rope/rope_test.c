/* rope_test.c - rotation against double, every row, where keys and values land, fused as unfused.
 */
#include "kernels/pages_testing.h"

static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
static const zx_activation_layout not_quantized = {0};
static const float frequencies[] = {1.0F,      0.5F,    0.25F, 0.1F, 0.03F, 0.011F, 0.004F, 0.001F,
                                    0.000101F, 1.7e-5F, 3.1F,  0.7F, 0.33F, 0.21F,  0.09F,  0.05F};

typedef struct rope_case {
    size_t heads, size, dims;
    bool interleaved;
    float magnitude;
} rope_case;

static const rope_case cases[] = {{3, 32, 32, false, 1},
                                  {2, 32, 32, true, 1},
                                  {5, 40, 16, false, 1.25F},
                                  {1, 34, 26, true, 0.75F},
                                  {2, 7, 2, false, 1}};

enum { CASES = sizeof cases / sizeof cases[0] };

/* Element 'i' of a turned head, in double. */
static double turned(const rope_case *shape, int32_t position, const double *head, size_t i)
{
    if (i >= shape->dims) return head[i];
    const size_t half = shape->dims / 2;
    const size_t pair = shape->interleaved ? i / 2 : i % half;
    const bool second = shape->interleaved ? i % 2 != 0 : i >= half;
    const double a = head[shape->interleaved ? 2 * pair : pair];
    const double b = head[shape->interleaved ? 2 * pair + 1 : pair + half];
    const double theta = (double)((float)position * frequencies[pair]);
    const double size = (double)shape->magnitude;
    return second ? size * (b * cos(theta) + a * sin(theta))
                  : size * (a * cos(theta) - b * sin(theta));
}

static double largest_error(const rope_case *shape, const zx_batch *batch, const zx_operand *x,
                            const zx_operand *y)
{
    double largest = 0, head[64];
    for (size_t token = 0; token < x->rows; token++)
        for (size_t h = 0; h < shape->heads; h++) {
            const char *from = (char *)x->data + token * x->stride;
            const char *to = (char *)y->data + token * y->stride;
            for (size_t i = 0; i < shape->size; i++)
                head[i] = (double)zx_load(x->dtype, from, h * shape->size + i);
            for (size_t i = 0; i < shape->size; i++) {
                const double wanted = turned(shape, batch->positions[token], head, i);
                const double got = (double)zx_load(y->dtype, to, h * shape->size + i);
                largest = fmax(largest, fabs(wanted - got));
            }
        }
    return largest;
}

TEST(rope_turns_pairs)
{
    static const double bounds[] = {[ZX_F32] = 1e-6, [ZX_F16] = 2e-3, [ZX_BF16] = 1.6e-2};
    static const int32_t positions[] = {0, 1, 17, 4095, 131071, 999999};
    for (size_t i = 0; i < CASES * 3; i++) {
        const rope_case *shape = &cases[i / 3];
        const zx_dtype dtype = dtypes[i % 3];
        const zx_rope rope = {shape->dims, shape->interleaved, shape->magnitude, frequencies, NULL};
        const zx_attributes attributes = {.head_size = (uint32_t)shape->size, .rope = &rope};
        const zx_batch batch = {.tokens = 6, .sequences = 1, .positions = positions};
        const size_t columns = shape->heads * shape->size;
        const zx_launch launch = {
            .inputs = {testing_random(dtype, 6, columns, 1)},
            .outputs = {testing_operand(dtype, not_quantized, 6, columns, 12)},
            .attributes = &attributes,
            .batch = &batch};
        const char *differs = testing_rows_differ(ZX_OP_ROPE, &launch);
        const double error = largest_error(shape, &batch, &launch.inputs[0], &launch.outputs[0]);
        testing_free(launch.inputs[0].data);
        testing_free(launch.outputs[0].data);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(zx_dtypes[dtype].name, error < bounds[dtype]);
    }
}

/* Every key and value of the step is where batch.h says, rounded once; nothing else is written. */
static bool landed(const testing_cache *cache, const zx_launch *launch, size_t *written)
{
    const zx_kv_layer *layer = &cache->layers[TESTING_LAYER - 1];
    const zx_operand *keys = &launch->inputs[0], *values = &launch->inputs[1];
    bool right = true;
    *written = 0;
    for (size_t s = 0; s < cache->sequences; s++)
        for (size_t t = (size_t)cache->token_start[s]; t < (size_t)cache->token_start[s + 1]; t++)
            for (size_t i = 0; i < keys->columns + values->columns; i++, ++*written) {
                const bool value = i >= keys->columns;
                const zx_operand *from = value ? values : keys;
                const size_t column = value ? i - keys->columns : i;
                const size_t size = value ? layer->value_size : layer->key_size;
                const float wanted = zx_round_to(
                    cache->kv.dtype,
                    zx_load(from->dtype, (char *)from->data + t * from->stride, column));
                const float got = testing_cached(cache, value, s, column / size,
                                                 (size_t)cache->positions[t], column % size);
                right = right && got == wanted;
            }
    return right;
}

TEST(kv_append_fills_the_slots)
{
    static const size_t lengths[] = {70, 1, 200}, from[] = {60, 0, 0}, to[] = {70, 1, 129};
    for (size_t i = 0; i < 9; i++) {
        testing_cache cache;
        const zx_dtype dtype = dtypes[i % 3];
        testing_cache_open(dtypes[i / 3],
                           (zx_kv_layer){.kv_heads = 3, .key_size = 20, .value_size = 12}, 3,
                           lengths, &cache);
        const size_t tokens = testing_cache_step(&cache, from, to);
        const zx_attributes attributes = {.head_size = 20, .layer = TESTING_LAYER};
        const zx_launch launch = {
            .inputs = {testing_random(dtype, tokens, 60, 2), testing_random(dtype, tokens, 36, 2)},
            .attributes = &attributes,
            .batch = &cache.batch,
            .kv = &cache.kv};
        const char *differs = testing_rows_differ(ZX_OP_KV_APPEND, &launch);
        size_t written = 0, numbers = 0;
        const bool right = landed(&cache, &launch, &written);
        const size_t total =
            cache.kv.page_bytes * cache.kv.page_count / zx_dtypes[cache.kv.dtype].bytes;
        for (size_t k = 0; k < total; k++)
            numbers += isnan(zx_load(cache.kv.dtype, cache.kv.memory, k)) ? 0 : 1;
        testing_free(launch.inputs[0].data);
        testing_free(launch.inputs[1].data);
        testing_cache_close(&cache);
        CHECK_ON(differs, differs == NULL);
        CHECK(right && written == tokens * 96 && numbers == written);
    }
}

typedef struct append_case {
    testing_cache cache;
    zx_attributes attributes;
    zx_dtype dtype;
    bool norms;
    size_t tokens;
} append_case;

/* A value of the unfused ops: of one input row of 'heads' heads, and a weight or none. */
static zx_operand apply(const append_case *c, zx_op op, const zx_operand *x, const zx_weight *norm,
                        bool *ran)
{
    zx_launch launch = {
        .inputs = {*x, {.weight = norm}},
        .outputs = {testing_operand(c->dtype, not_quantized, c->tokens, x->columns, 0)},
        .attributes = &c->attributes,
        .batch = &c->cache.batch,
        .kv = &c->cache.kv};
    *ran = *ran && testing_run(zx_kernel_reference(op), &launch);
    return launch.outputs[0];
}

/* Heads as the fused op makes them. */
static zx_operand turn(const append_case *c, const zx_operand *x, const zx_weight *norm, bool *ran)
{
    if (!c->norms) return apply(c, ZX_OP_ROPE, x, NULL, ran);
    zx_operand normed = apply(c, ZX_OP_HEAD_RMSNORM, x, norm, ran);
    const zx_operand turned = apply(c, ZX_OP_ROPE, &normed, NULL, ran);
    testing_free(normed.data);
    return turned;
}

/* Every row of the fused op against its reference, and that against the ops it stands for. */
static bool appended_as_unfused(append_case *c, const char **differs)
{
    const zx_op op = c->norms ? ZX_OP_NORM_ROPE_APPEND : ZX_OP_ROPE_APPEND;
    const size_t bytes = c->cache.kv.page_bytes * c->cache.kv.page_count;
    zx_operand norms[2], x[3];
    zx_weight weights[2];
    for (size_t i = 0; i < 2; i++) {
        norms[i] = testing_operand(i == 0 ? ZX_F32 : ZX_BF16, not_quantized, 1, 32, 0);
        testing_fill(&norms[i], 1);
        weights[i] = testing_weight(&norms[i]);
    }
    x[0] = testing_random(c->dtype, c->tokens, 6 * 32, 2);
    x[1] = testing_random(c->dtype, c->tokens, 2 * 32, 2);
    x[2] = testing_random(c->dtype, c->tokens, 2 * 16, 2);
    zx_launch fused = {.inputs = {x[0], x[1], x[2]},
                       .outputs = {testing_operand(c->dtype, not_quantized, c->tokens, 6 * 32, 0)},
                       .attributes = &c->attributes,
                       .batch = &c->cache.batch,
                       .kv = &c->cache.kv};
    if (c->norms) {
        fused.inputs[1] = (zx_operand){.weight = &weights[0]};
        fused.inputs[2] = x[1];
        fused.inputs[3] = (zx_operand){.weight = &weights[1]};
        fused.inputs[4] = x[2];
    }
    *differs = testing_rows_differ(op, &fused);
    uint8_t *const pages = testing_alloc(bytes);
    memcpy(pages, c->cache.kv.memory, bytes);
    memset(c->cache.kv.memory, TESTING_FILL, bytes);
    bool ran = true;
    zx_operand queries = turn(c, &x[0], &weights[0], &ran);
    zx_operand keys = turn(c, &x[1], &weights[1], &ran);
    const zx_launch append = {.inputs = {keys, x[2]},
                              .attributes = &c->attributes,
                              .batch = &c->cache.batch,
                              .kv = &c->cache.kv};
    ran = testing_run(zx_kernel_reference(ZX_OP_KV_APPEND), &append) && ran;
    const bool same =
        testing_same(&queries, &fused.outputs[0]) && memcmp(pages, c->cache.kv.memory, bytes) == 0;
    for (size_t i = 0; i < 3; i++) testing_free(x[i].data);
    for (size_t i = 0; i < 2; i++) testing_free(norms[i].data);
    testing_free(fused.outputs[0].data);
    testing_free(queries.data);
    testing_free(keys.data);
    testing_free(pages);
    return ran && same;
}

TEST(rope_append_is_the_ops_it_stands_for)
{
    static const size_t lengths[] = {70, 1, 200}, from[] = {60, 0, 0}, to[] = {70, 1, 129};
    const zx_rope rope = {24, false, 1, frequencies, NULL};
    for (size_t i = 0; i < 18; i++) {
        append_case c = {.attributes = {.head_size = 32,
                                        .layer = TESTING_LAYER,
                                        .rope = &rope,
                                        .epsilon = 1e-5F,
                                        .offset = i % 2 == 0 ? 1 : 0},
                         .dtype = dtypes[i % 3],
                         .norms = i >= 9};
        testing_cache_open(dtypes[i / 3 % 3],
                           (zx_kv_layer){.kv_heads = 2, .key_size = 32, .value_size = 16}, 3,
                           lengths, &c.cache);
        c.tokens = testing_cache_step(&c.cache, from, to);
        const char *differs = NULL;
        const bool same = appended_as_unfused(&c, &differs);
        testing_cache_close(&c.cache);
        CHECK_ON(differs, differs == NULL);
        CHECK(same);
    }
}
