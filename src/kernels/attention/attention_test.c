/* attention_test.c - the reference against softmax in double; every row against the reference; and
 * that chunks, other sequences and page ids leave no trace. */
#include "kernels/pages_testing.h"

static const zx_activation_layout not_quantized = {0};

typedef struct attention_case {
    zx_dtype dtype, kv_dtype;
    size_t kv_heads, group, key_size, value_size;
    size_t window;
    size_t lengths[3]; /* tokens of the sequences, of which the last 'fresh' are queries */
    size_t fresh[3];
    float limit; /* of the scores; 0: none */
    bool sinks;
} attention_case;

static const attention_case cases[] = {
    {ZX_F32, ZX_F32, 1, 1, 64, 64, 0, {1, 64, 65}, {1, 64, 65}, 0, false},
    {ZX_F32, ZX_F16, 3, 3, 64, 64, 0, {130, 7, 1100}, {130, 3, 1}, 0, false},
    {ZX_F16, ZX_F16, 2, 4, 64, 64, 0, {600, 513, 1}, {40, 1, 1}, 0, false},
    {ZX_BF16, ZX_BF16, 2, 1, 128, 128, 0, {200, 63, 512}, {70, 63, 2}, 0, false},
    {ZX_BF16, ZX_F32, 1, 7, 96, 96, 100, {700, 20, 101}, {33, 20, 101}, 0, false},
    {ZX_F32, ZX_BF16, 2, 2, 80, 80, 64, {520, 577, 300}, {9, 65, 1}, 0, false},
    {ZX_F32, ZX_F16, 1, 8, 256, 256, 0, {129, 1, 70}, {5, 1, 1}, 0, false},
    {ZX_F16, ZX_F16, 2, 3, 40, 24, 33, {150, 99, 2}, {150, 1, 2}, 0, false},
    {ZX_F32, ZX_F32, 2, 5, 33, 17, 0, {90, 20, 3}, {30, 20, 3}, 0, false},
    {ZX_F32, ZX_F16, 1, 130, 16, 8, 0, {66, 2, 3}, {3, 1, 3}, 0, false},
    {ZX_F32, ZX_F32, 1, 2, 64, 64, 1, {70, 129, 3}, {70, 1, 3}, 0, false},
    {ZX_F32, ZX_F16, 2, 3, 64, 64, 1000, {1700, 1500, 1023}, {3, 70, 1}, 0, false},
    {ZX_F32, ZX_F16, 1, 3, 64, 64, 0, {1900, 1100, 5}, {1, 1, 2}, 0, false}, /* spans are items */
    {ZX_BF16, ZX_BF16, 1, 2, 72, 64, 1100, {1300, 1900, 600}, {2, 1, 1}, 0, false},
    {ZX_F32, ZX_F16, 2, 2, 64, 64, 0, {90, 700, 3}, {30, 1, 3}, 2, false},
    {ZX_F16, ZX_F16, 2, 3, 64, 64, 60, {150, 65, 2}, {70, 1, 2}, 0, true},
    {ZX_F32, ZX_F32, 1, 4, 80, 40, 0, {1900, 1100, 5}, {1, 1, 2}, 3, true},
};

enum { CASES = sizeof cases / sizeof cases[0] };

typedef struct fixture {
    const attention_case *shape;
    testing_cache cache;
    zx_attributes attributes;
    zx_launch launch;
    zx_op op;
    zx_operand sinks; /* [1, heads] */
    zx_weight sinks_weight;
} fixture;

/* Writes random keys and values of all tokens into the cache, and leaves a launch for the queries.
 */
static bool open_fixture(const attention_case *shape, float scale, fixture *f)
{
    static const size_t nothing[3] = {0};
    const zx_kv_layer layer = {
        .kv_heads = shape->kv_heads, .key_size = shape->key_size, .value_size = shape->value_size};
    size_t from[3];
    for (size_t s = 0; s < 3; s++) from[s] = shape->lengths[s] - shape->fresh[s];
    f->shape = shape;
    f->attributes = (zx_attributes){.scale = 1 / sqrtf((float)shape->key_size),
                                    .head_size = (uint32_t)shape->key_size,
                                    .window = (uint32_t)shape->window,
                                    .limit = shape->limit,
                                    .layer = TESTING_LAYER};
    testing_cache_open(shape->kv_dtype, layer, 3, shape->lengths, &f->cache);
    const size_t all = testing_cache_step(&f->cache, nothing, shape->lengths);
    zx_launch append = {
        .inputs = {testing_random(shape->dtype, all, shape->kv_heads * shape->key_size, scale),
                   testing_random(shape->dtype, all, shape->kv_heads * shape->value_size, 1)},
        .attributes = &f->attributes,
        .batch = &f->cache.batch,
        .kv = &f->cache.kv};
    const bool ran = testing_run(zx_kernel_reference(ZX_OP_KV_APPEND), &append);
    testing_free(append.inputs[0].data);
    testing_free(append.inputs[1].data);
    const size_t tokens = testing_cache_step(&f->cache, from, shape->lengths);
    const size_t heads = shape->kv_heads * shape->group;
    f->launch = (zx_launch){
        .inputs = {testing_random(shape->dtype, tokens, heads * shape->key_size, scale)},
        .outputs = {testing_operand(shape->dtype, not_quantized, tokens, heads * shape->value_size,
                                    40)},
        .attributes = &f->attributes,
        .batch = &f->cache.batch,
        .kv = &f->cache.kv};
    f->op = shape->sinks ? ZX_OP_ATTENTION_SINKS : ZX_OP_ATTENTION;
    f->sinks = testing_operand(ZX_BF16, not_quantized, 1, heads, 0);
    testing_fill(&f->sinks, 3);
    f->sinks_weight = testing_weight(&f->sinks);
    if (shape->sinks) f->launch.inputs[2].weight = &f->sinks_weight;
    return ran;
}

static void close_fixture(fixture *f)
{
    testing_free(f->launch.inputs[0].data);
    testing_free(f->launch.outputs[0].data);
    testing_free(f->sinks.data);
    testing_cache_close(&f->cache);
}

/* Largest difference of one output head from softmax in double. */
static double head_error(const fixture *f, size_t sequence, size_t token, size_t head)
{
    static double weights[2048], wanted[256];
    const attention_case *shape = f->shape;
    const zx_operand *x = &f->launch.inputs[0], *y = &f->launch.outputs[0];
    const char *q = (char *)x->data + token * x->stride;
    const char *o = (char *)y->data + token * y->stride;
    const size_t position = (size_t)f->cache.positions[token], kv_head = head / shape->group;
    double sum = 0, largest = -1e300, error = 0;
    for (size_t j = 0; j <= position; j++) {
        double dot = 0;
        for (size_t d = 0; d < shape->key_size; d++)
            dot += (double)zx_load(x->dtype, q, head * shape->key_size + d) *
                   (double)testing_cached(&f->cache, false, sequence, kv_head, j, d);
        weights[j] = dot * (double)f->attributes.scale;
        if (shape->limit > 0)
            weights[j] = (double)shape->limit * tanh(weights[j] / (double)shape->limit);
        if (shape->window > 0 && j + shape->window <= position) weights[j] = -HUGE_VAL;
        largest = fmax(largest, weights[j]);
    }
    if (shape->sinks) {
        const double sink = (double)zx_load(ZX_BF16, f->sinks.data, head);
        largest = fmax(largest, sink);
        sum = exp(sink - largest);
    }
    memset(wanted, 0, sizeof wanted);
    for (size_t j = 0; j <= position; j++) {
        const double p = exp(weights[j] - largest);
        sum += p;
        for (size_t d = 0; d < shape->value_size; d++)
            wanted[d] += p * (double)testing_cached(&f->cache, true, sequence, kv_head, j, d);
    }
    for (size_t d = 0; d < shape->value_size; d++) {
        const double got = (double)zx_load(y->dtype, o, head * shape->value_size + d);
        const double off = fabs(got - wanted[d] / sum);
        error = isnan(error) || off <= error ? error : off; /* NaN stays */
    }
    return error;
}

TEST(attention_is_softmax)
{
    static const double bounds[] = {[ZX_F32] = 2e-6, [ZX_F16] = 1e-3, [ZX_BF16] = 8e-3};
    for (size_t i = 0; i < CASES; i++) {
        fixture f;
        bool ran = open_fixture(&cases[i], 2, &f);
        ran = testing_run(zx_kernel_reference(f.op), &f.launch) && ran;
        double error = 0;
        for (size_t s = 0; s < 3; s++)
            for (size_t t = (size_t)f.cache.token_start[s]; t < (size_t)f.cache.token_start[s + 1];
                 t += 5)
                for (size_t h = 0; h < cases[i].kv_heads * cases[i].group; h += 3) {
                    const double off = head_error(&f, s, t, h);
                    error = isnan(error) || off <= error ? error : off;
                }
        close_fixture(&f);
        CHECK(ran && error < bounds[cases[i].dtype]);
    }
}

TEST(attention_rows_agree)
{
    for (size_t i = 0; i < 2 * CASES; i++) {
        fixture f; /* large scores make weights that underflow */
        const bool ran = open_fixture(&cases[i / 2], i % 2 == 0 ? 2 : 20, &f);
        const char *differs = testing_rows_differ(f.op, &f.launch);
        close_fixture(&f);
        CHECK_ON(differs, ran && differs == NULL);
    }
}

/* A key whose score is NaN or infinite, and a value that is, spoil those who see them alone. */
TEST(attention_rows_agree_on_nan_and_infinity)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 6; i++) {
        fixture f;
        const bool ran = open_fixture(&cases[4], 2, &f);
        const zx_kv_layer *layer = &f.cache.layers[TESTING_LAYER - 1];
        uint8_t *const page = f.cache.kv.memory +
                              (size_t)f.cache.pages[f.cache.page_start[2]] * f.cache.kv.page_bytes;
        if (i < 3)
            zx_store(ZX_F32, page + layer->keys_offset, 5 * ZX_PAGE_TOKENS + 50, bad[i]);
        else
            zx_store(ZX_F32, page + layer->values_offset, 50 * layer->value_size + 5, bad[i - 3]);
        const char *differs = testing_rows_differ(f.op, &f.launch);
        const zx_operand *y = &f.launch.outputs[0];
        const size_t first = (size_t)f.cache.token_start[2];
        const bool before =
            isfinite(zx_load(y->dtype, (char *)y->data + (first + 49) * y->stride, 5));
        const bool after =
            isfinite(zx_load(y->dtype, (char *)y->data + (first + 50) * y->stride, 5));
        close_fixture(&f);
        CHECK_ON(differs, ran && differs == NULL);
        CHECK(before && (!after || i < 3));
    }
}

/* The queries of one sequence alone, 'chunk' at a time, give the bits of the whole batch. */
static bool chunks_agree(const zx_kernel *kernel, fixture *f, size_t sequence, size_t chunk)
{
    const zx_launch whole = f->launch;
    const size_t first = (size_t)f->cache.token_start[sequence];
    const size_t end = f->shape->lengths[sequence];
    bool same = true;
    for (size_t at = end - f->shape->fresh[sequence]; at < end && same; at += chunk) {
        size_t from[3] = {0}, to[3] = {0};
        from[sequence] = at;
        to[sequence] = at + chunk < end ? at + chunk : end;
        const size_t tokens = testing_cache_step(&f->cache, from, to);
        const size_t offset = first + at - (end - f->shape->fresh[sequence]);
        zx_launch part = whole;
        part.inputs[0].data = (char *)part.inputs[0].data + offset * part.inputs[0].stride;
        part.inputs[0].rows = tokens;
        part.outputs[0] =
            testing_operand(f->shape->dtype, not_quantized, tokens, whole.outputs[0].columns, 40);
        same = testing_run(kernel, &part);
        for (size_t t = 0; t < tokens; t++)
            same =
                same && testing_same_row(&whole.outputs[0],
                                         (char *)whole.outputs[0].data +
                                             (offset + t) * whole.outputs[0].stride,
                                         (char *)part.outputs[0].data + t * part.outputs[0].stride);
        testing_free(part.outputs[0].data);
    }
    return same;
}

TEST(attention_does_not_depend_on_chunks)
{
    static const size_t chunks[] = {1, 7, 64};
    for (size_t i = 0; i < zx_kernel_count; i++) {
        const zx_kernel *kernel = &zx_kernels[i];
        if (!zx_kernel_usable(kernel)) continue;
        for (size_t k = 0; k < 3 * CASES; k++) {
            const zx_op op = cases[k / 3].sinks ? ZX_OP_ATTENTION_SINKS : ZX_OP_ATTENTION;
            if (kernel->op != op) continue;
            fixture f;
            bool same = open_fixture(&cases[k / 3], 2, &f);
            same = testing_run(kernel, &f.launch) && same;
            size_t from[3];
            for (size_t s = 0; s < 3; s++) {
                same = same && chunks_agree(kernel, &f, s, chunks[k % 3]);
                for (size_t r = 0; r < 3; r++) from[r] = f.shape->lengths[r] - f.shape->fresh[r];
                (void)testing_cache_step(&f.cache, from, f.shape->lengths);
            }
            close_fixture(&f);
            CHECK_ON(kernel->name, same);
        }
    }
}
