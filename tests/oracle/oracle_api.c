/* oracle_api.c - single ops, weight formats and the sampler, for the tests in this folder: what the
 * public interface does not show, as a handful of functions that ctypes can call.
 *
 * Built with the library's own objects into a library of its own, for tests only.  The structs
 * here are mirrored in ops.py.  Whatever a call needs beyond its operands lies in an arena that
 * ends with the call; every check of shapes is the kernels' or the caller's. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/fail.h"
#include "kernels/kernels.h"
#include "model/rope_config.h"
#include "serve/sampler.h"

/* Rows one behind the other.  With a format it is a weight: 'count' matrices of rows x columns,
 * 'data' its codes, 'dtype' that of the decoded values and of affine scales. */
typedef struct zx_oracle_operand {
    const char *dtype, *format;
    size_t count, rows, columns;
    uint32_t bits, group;
    bool mlx_cpu_decode;
    void *data, *scales, *biases;
    const void *bias; /* of a linear layer, in 'dtype' */
} zx_oracle_operand;

/* Which tokens are run: 'counts[s]' of each sequence from position 'first[s]' on.  Attention also
 * reads keys and values, of every sequence from position 0 to its last token. */
typedef struct zx_oracle_step {
    size_t sequences;
    const int32_t *first, *counts;
    const char *kv; /* the cache's dtype */
    size_t kv_heads, key_size, value_size;
    const zx_oracle_operand *keys, *values;
} zx_oracle_step;

typedef struct zx_oracle_attributes {
    float epsilon, offset, scale, limit, alpha;
    bool wide;
    uint32_t head_size, value_size, window, top_k, groups, top_groups;
    const char *activation;
    const char *rope; /* a model's config as JSON */
    size_t rope_length;
} zx_oracle_attributes;

typedef struct zx_oracle_call {
    const char *op, *kernel; /* kernel "": the one that a plan would choose */
    const char *precision;   /* "q16", "q8": input 0 is quantized first; else "f32" */
    size_t threads;
    size_t input_count, output_count;
    const zx_oracle_operand *inputs;
    const zx_oracle_operand *outputs;
    const zx_oracle_attributes *attributes;
    const zx_oracle_step *step; /* or NULL */
} zx_oracle_call;

ZMLX_API zmlx_status zx_oracle_encode(const zx_oracle_operand *operand, const float *values);
ZMLX_API zmlx_status zx_oracle_decode(const zx_oracle_operand *operand, float *values);
ZMLX_API zmlx_status zx_oracle_run(const zx_oracle_call *call);
ZMLX_API zmlx_status zx_oracle_sample(const zmlx_generate_options *options, const float *logits,
                                      size_t vocabulary, double *weights, int32_t *id);

static zmlx_status find_dtype(const char *name, zx_dtype *dtype)
{
    *dtype = zx_dtype_from_text(name, strlen(name));
    if (*dtype < ZX_DTYPE_COUNT) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "no dtype '%s'", name);
}

/* --- weights --- */

static zmlx_status make_weight(const zx_oracle_operand *operand, zx_weight *weight)
{
    *weight = (zx_weight){.format = ZX_FORMAT_COUNT,
                          .bits = (uint8_t)operand->bits,
                          .group = (uint16_t)operand->group,
                          .mlx_cpu_decode = operand->mlx_cpu_decode,
                          .count = operand->count,
                          .rows = operand->rows,
                          .columns = operand->columns,
                          .codes = operand->data,
                          .scales = operand->scales,
                          .biases = operand->biases,
                          .bias = operand->bias};
    ZX_TRY(find_dtype(operand->dtype, &weight->dtype));
    weight->bias_dtype = weight->dtype;
    for (int i = 0; i < ZX_FORMAT_COUNT; i++)
        if (strcmp(zx_formats[i].name, operand->format) == 0) weight->format = (zx_format)i;
    if (weight->format == ZX_FORMAT_COUNT || operand->group == 0)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "no format '%s' in groups of %u", operand->format,
                       operand->group);
    weight->codes_stride = zx_weight_row_bytes(weight);
    weight->scales_stride = zx_weight_groups(weight);
    if (weight->format == ZX_FORMAT_AFFINE) weight->scales_stride *= zx_dtypes[weight->dtype].bytes;
    return zx_weight_check(weight);
}

zmlx_status zx_oracle_encode(const zx_oracle_operand *operand, const float *values)
{
    zx_weight weight;
    ZX_TRY(make_weight(operand, &weight));
    if (zx_formats[weight.format].encode == NULL)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "format '%s' does not encode", operand->format);
    for (size_t row = 0; row < weight.count * weight.rows; row++)
        zx_formats[weight.format].encode(&weight, row, values + row * weight.columns);
    return ZMLX_OK;
}

zmlx_status zx_oracle_decode(const zx_oracle_operand *operand, float *values)
{
    zx_weight weight;
    ZX_TRY(make_weight(operand, &weight));
    for (size_t row = 0; row < weight.count * weight.rows; row++)
        zx_formats[weight.format].decode(&weight, row, 0, weight.columns,
                                         values + row * weight.columns);
    return ZMLX_OK;
}

/* --- one run of a kernel --- */

static zmlx_status make_operand(const zx_oracle_operand *operand, zx_arena *arena, zx_operand *made)
{
    void *memory = NULL;
    *made = (zx_operand){.data = operand->data, .rows = operand->rows, .columns = operand->columns};
    ZX_TRY(find_dtype(operand->dtype, &made->dtype));
    made->stride = made->columns * zx_dtypes[made->dtype].bytes;
    if (operand->format == NULL) return ZMLX_OK;
    ZX_TRY(zx_arena_alloc(arena, sizeof(zx_weight), &memory));
    zx_weight *weight = memory;
    ZX_TRY(make_weight(operand, weight));
    made->weight = weight;
    made->data = NULL;
    return ZMLX_OK;
}

static zmlx_status find_activation(const char *name, zx_activation *activation)
{
    *activation = ZX_ACTIVATION_NONE;
    if (name == NULL) return ZMLX_OK;
    for (int i = 0; i < ZX_ACTIVATION_COUNT; i++)
        if (zx_activation_names[i] != NULL && strcmp(zx_activation_names[i], name) == 0)
            *activation = (zx_activation)i;
    if (*activation != ZX_ACTIVATION_NONE) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "no activation '%s'", name);
}

static zmlx_status make_rope(const zx_oracle_attributes *from, zx_arena *arena, zx_rope **rope)
{
    void *memory = NULL;
    json_t *config = NULL;
    zx_rope_settings settings;
    ZX_TRY(zx_arena_alloc(arena, sizeof **rope, &memory));
    *rope = memory;
    ZX_TRY(zx_document_parse("config", from->rope, strlen(from->rope), NULL, &config));
    const zx_fields fields = {"config", NULL, config};
    zmlx_status status = zx_rope_settings_read(&fields, NULL, from->head_size, arena, &settings);
    if (status == ZMLX_OK) status = zx_rope_build(&settings, from->rope_length, arena, *rope);
    json_decref(config);
    return status;
}

static zmlx_status make_attributes(const zx_oracle_attributes *from, zx_arena *arena,
                                   zx_attributes *made)
{
    zx_rope *rope = NULL;
    *made = (zx_attributes){.epsilon = from->epsilon,
                            .offset = from->offset,
                            .wide = from->wide,
                            .scale = from->scale,
                            .limit = from->limit,
                            .alpha = from->alpha,
                            .head_size = from->head_size,
                            .value_size = from->value_size,
                            .window = from->window,
                            .top_k = from->top_k,
                            .groups = from->groups,
                            .top_groups = from->top_groups};
    ZX_TRY(find_activation(from->activation, &made->activation));
    if (from->rope != NULL) ZX_TRY(make_rope(from, arena, &rope));
    made->rope = rope;
    return ZMLX_OK;
}

static zmlx_status find_kernel(zx_op op, const char *name, const zx_launch *launch,
                               const zx_kernel **kernel)
{
    *kernel = name[0] == '\0' ? zx_kernel_choose(op, launch) : NULL;
    for (size_t i = 0; i < zx_kernel_count && name[0] != '\0'; i++)
        if (zx_kernels[i].op == op && strcmp(zx_kernels[i].name, name) == 0)
            *kernel = &zx_kernels[i];
    if (*kernel != NULL && zx_kernel_usable(*kernel) && (*kernel)->applies(launch)) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "kernel '%s' of '%s' does not run this here", name,
                   zx_ops[op].text);
}

static zmlx_status run_kernel(zx_op op, const char *name, zx_launch launch, zx_arena *arena)
{
    const zx_kernel *kernel = NULL;
    ZX_TRY(find_kernel(op, name, &launch, &kernel));
    ZX_TRY(zx_arena_alloc(arena, kernel->scratch(&launch), &launch.scratch));
    return kernel->run(&launch);
}

/* Input 0 as integers, the way its weight (the last input) wants them. */
static zmlx_status quantize_input(const zx_oracle_call *call, zx_launch *launch, zx_arena *arena)
{
    static const char *const names[] = {
        [ZX_PRECISION_F32] = "f32", [ZX_PRECISION_Q16] = "q16", [ZX_PRECISION_Q8] = "q8"};
    int precision = ZX_PRECISION_F32;
    for (int i = ZX_PRECISION_F32; i <= ZX_PRECISION_Q8; i++)
        if (strcmp(names[i], call->precision) == 0) precision = i;
    if (precision == ZX_PRECISION_F32) return ZMLX_OK;
    const zx_weight *weight = launch->inputs[call->input_count - 1].weight;
    zx_operand x = {.rows = launch->inputs[0].rows, .columns = launch->inputs[0].columns};
    if (weight == NULL) return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "no weight to quantize for");
    x.dtype = ZX_QUANTIZED;
    x.layout = zx_weight_layout(weight, (zx_precision)precision);
    if (x.layout.planes == 0)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "this format has no integer form");
    if (x.columns != weight->columns) x.layout.slots = (uint16_t)(x.columns / weight->columns);
    x.stride = zx_activation_row_bytes(x.layout, x.columns);
    ZX_TRY(zx_arena_alloc(arena, x.rows * x.stride, &x.data));
    const zx_attributes attributes = {.layout = x.layout};
    const zx_launch quantize = {.inputs = {launch->inputs[0]},
                                .outputs = {x},
                                .attributes = &attributes,
                                .pool = launch->pool};
    ZX_TRY(run_kernel(ZX_OP_QUANTIZE, "", quantize, arena));
    launch->inputs[0] = x;
    return ZMLX_OK;
}

/* --- steps: positions, pages, and keys and values in them --- */

typedef struct step {
    zx_batch batch; /* the tokens that are run */
    zx_batch all;   /* every token up to them */
    zx_kv_layer layer;
    zx_kv_pages pages;
} step;

static zmlx_status take(zx_arena *arena, size_t count, int32_t **items)
{
    void *memory = NULL;
    ZX_TRY(zx_arena_alloc(arena, (count + 1) * sizeof(int32_t), &memory));
    *items = memory;
    return ZMLX_OK;
}

/* Positions of 'counts[s]' tokens each, from 'first[s]' on (NULL: 0). */
static zmlx_status make_batch(const zx_oracle_step *from, const int32_t *first,
                              const int32_t *counts, zx_arena *arena, zx_batch *batch)
{
    int32_t *positions, *starts, tokens = 0;
    for (size_t s = 0; s < from->sequences; s++) tokens += counts[s];
    ZX_TRY(take(arena, (size_t)tokens, &positions));
    ZX_TRY(take(arena, from->sequences, &starts));
    tokens = 0;
    for (size_t s = 0; s < from->sequences; s++) {
        starts[s] = tokens;
        for (int32_t i = 0; i < counts[s]; i++)
            positions[tokens++] = (first != NULL ? first[s] : 0) + i;
    }
    starts[from->sequences] = tokens;
    *batch = (zx_batch){.tokens = (size_t)tokens,
                        .sequences = from->sequences,
                        .positions = positions,
                        .token_start = starts};
    return ZMLX_OK;
}

/* The pages of the sequences, dealt out from the last one down, as every pool may. */
static zmlx_status make_table(const zx_oracle_step *from, const int32_t *lengths, zx_arena *arena,
                              step *made)
{
    int32_t *starts, *pages, count = 0;
    ZX_TRY(take(arena, from->sequences, &starts));
    for (size_t s = 0; s < from->sequences; s++) {
        starts[s] = count;
        count += (lengths[s] + ZX_PAGE_TOKENS - 1) / ZX_PAGE_TOKENS;
    }
    starts[from->sequences] = count;
    ZX_TRY(take(arena, (size_t)count, &pages));
    for (int32_t i = 0; i < count; i++) pages[i] = count - i;
    made->batch.page_start = made->all.page_start = starts;
    made->batch.pages = made->all.pages = pages;
    made->pages.page_count = (size_t)count + 1;
    return ZMLX_OK;
}

static zmlx_status make_pages(const zx_oracle_step *from, zx_arena *arena, step *made)
{
    void *memory = NULL;
    ZX_TRY(find_dtype(from->kv, &made->pages.dtype));
    const size_t bytes = zx_dtypes[made->pages.dtype].bytes * ZX_PAGE_TOKENS * from->kv_heads;
    made->layer = (zx_kv_layer){.kv_heads = from->kv_heads,
                                .key_size = from->key_size,
                                .value_size = from->value_size,
                                .values_offset = zx_round_up(bytes * from->key_size, 64)};
    made->pages.layers = &made->layer;
    made->pages.layer_count = 1;
    made->pages.page_bytes = made->layer.values_offset + zx_round_up(bytes * from->value_size, 64);
    size_t size;
    if (!zx_multiply_fits(made->pages.page_bytes, made->pages.page_count, &size))
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the pages do not fit the address space");
    ZX_TRY(zx_arena_alloc(arena, size, &memory));
    made->pages.memory = memset(memory, 0xff, size); /* NaN: what is not written must not count */
    return ZMLX_OK;
}

static zmlx_status append(const zx_oracle_step *from, const step *made, zx_pool *pool,
                          zx_arena *arena)
{
    const zx_attributes attributes = {.layer = 1, .head_size = (uint32_t)from->key_size};
    zx_launch launch = {
        .attributes = &attributes, .batch = &made->all, .kv = &made->pages, .pool = pool};
    ZX_TRY(make_operand(from->keys, arena, &launch.inputs[0]));
    ZX_TRY(make_operand(from->values, arena, &launch.inputs[1]));
    if (launch.inputs[0].rows != made->all.tokens || launch.inputs[1].rows != made->all.tokens)
        return ZX_FAIL(ZMLX_ERROR_SHAPE, "%zu keys, expected %zu", launch.inputs[0].rows,
                       made->all.tokens);
    return run_kernel(ZX_OP_KV_APPEND, "", launch, arena);
}

static zmlx_status make_step(const zx_oracle_step *from, zx_pool *pool, zx_arena *arena, step *made)
{
    int32_t *lengths;
    *made = (step){0};
    ZX_TRY(make_batch(from, from->first, from->counts, arena, &made->batch));
    if (from->kv == NULL) return ZMLX_OK;
    ZX_TRY(take(arena, from->sequences, &lengths));
    for (size_t s = 0; s < from->sequences; s++) lengths[s] = from->first[s] + from->counts[s];
    ZX_TRY(make_batch(from, NULL, lengths, arena, &made->all));
    ZX_TRY(make_table(from, lengths, arena, made));
    ZX_TRY(make_pages(from, arena, made));
    return append(from, made, pool, arena);
}

static zmlx_status run(const zx_oracle_call *call, zx_pool *pool, zx_arena *arena)
{
    const zx_op op = zx_op_from_text(call->op, strlen(call->op));
    zx_attributes attributes;
    zx_launch launch = {.attributes = &attributes, .pool = pool};
    step made;
    if (op == ZX_OP_COUNT) return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "no op '%s'", call->op);
    if (call->input_count > ZX_MAX_INPUTS || call->output_count > ZX_MAX_OUTPUTS)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: too many operands", call->op);
    ZX_TRY(make_attributes(call->attributes, arena, &attributes));
    for (size_t i = 0; i < call->input_count; i++)
        ZX_TRY(make_operand(&call->inputs[i], arena, &launch.inputs[i]));
    for (size_t i = 0; i < call->output_count; i++)
        ZX_TRY(make_operand(&call->outputs[i], arena, &launch.outputs[i]));
    ZX_TRY(quantize_input(call, &launch, arena));
    if (call->step != NULL) {
        ZX_TRY(make_step(call->step, pool, arena, &made));
        launch.batch = &made.batch;
        if (call->step->kv != NULL) {
            launch.kv = &made.pages;
            attributes.layer = 1;
        }
    }
    return run_kernel(op, call->kernel, launch, arena);
}

zmlx_status zx_oracle_run(const zx_oracle_call *call)
{
    zx_arena arena = {0};
    zx_pool *pool = NULL;
    zmlx_status status = zx_pool_create(call->threads, &pool);
    if (status == ZMLX_OK) status = run(call, pool, &arena);
    zx_pool_destroy(pool);
    zx_arena_reset(&arena);
    return status;
}

/* weights [vocabulary]: what the sampler draws the first token by; 0 where a filter dropped it. */
zmlx_status zx_oracle_sample(const zmlx_generate_options *options, const float *logits,
                             size_t vocabulary, double *weights, int32_t *id)
{
    zx_sampler sampler;
    ZX_TRY(zx_sampler_check(options));
    ZX_TRY(zx_sampler_init(vocabulary, &sampler));
    zx_sampler_begin(&sampler, options);
    const zmlx_status status = zx_sampler_next(&sampler, logits, id);
    memcpy(weights, sampler.weights, vocabulary * sizeof *weights);
    zx_sampler_fini(&sampler);
    return status;
}
