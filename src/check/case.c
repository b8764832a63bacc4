#include "check/case.h"

#include <assert.h>
#include <math.h>

#include "base/checked.h"
#include "base/fail.h"
#include "check/run.h"

enum { GUARD = 64, VOCABULARY_ROWS = 24 };

size_t zx_case_row_bytes(const zx_operand *x)
{
    assert(x->dtype != ZX_QUANTIZED || x->layout.group > 0);
    return x->dtype == ZX_QUANTIZED ? zx_activation_row_bytes(x->layout, x->columns)
                                    : x->columns * zx_dtypes[x->dtype].bytes;
}

zmlx_status zx_case_operand(zx_arena *arena, const zx_operand *like, zx_placement placement,
                            uint8_t poison, zx_operand *made)
{
    const size_t step = like->dtype == ZX_QUANTIZED ? 64 : zx_dtypes[like->dtype].bytes;
    void *memory = NULL;
    size_t bytes = 0;
    *made = *like;
    made->stride = zx_case_row_bytes(like) + placement.gap * step;
    if (!zx_multiply_fits(made->rows, made->stride, &bytes))
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "%zu rows of %zu bytes", made->rows, made->stride);
    bytes += (size_t)2 * GUARD + placement.offset * step;
    ZX_TRY(zx_arena_alloc(arena, bytes, &memory));
    memset(memory, poison, bytes);
    made->data = (char *)memory + GUARD + placement.offset * step;
    return ZMLX_OK;
}

zmlx_status zx_case_move(zx_arena *arena, const zx_operand *x, zx_placement placement,
                         zx_operand *moved)
{
    ZX_TRY(zx_case_operand(arena, x, placement, 0xff, moved));
    for (size_t row = 0; row < x->rows; row++)
        memcpy((char *)moved->data + row * moved->stride, (char *)x->data + row * x->stride,
               zx_case_row_bytes(x));
    return ZMLX_OK;
}

/* Uniform in [-1, 1). */
static float next_value(zx_case *made)
{
    return zx_fill_uniform(&made->state);
}

/* Different experts in a row, one after the other; with ties one may come twice. */
static void fill_indices(zx_case *made, const zx_operand *x)
{
    const size_t experts = made->shape.dims[ZX_DIM_EXPERTS];
    for (size_t row = 0; row < x->rows; row++) {
        int32_t *const to = (int32_t *)(void *)((char *)x->data + row * x->stride);
        const size_t first = (size_t)(zx_fill_random(&made->state) % experts);
        for (size_t i = 0; i < x->columns; i++) {
            const bool any = made->shape.fill == ZX_FILL_TIES;
            const size_t further = any ? (size_t)(zx_fill_random(&made->state) % experts) : i;
            to[i] = (int32_t)((first + further) % experts);
        }
    }
}

/* Codes that no encoder makes: random, with scales (and minimums) of the size that models have. */
static void fill_blocks(zx_case *made, const zx_weight *weight, uint8_t *codes)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    const size_t blocks = weight->count * weight->rows * (weight->columns / traits->block);
    const size_t block = traits->block_bytes;
    for (size_t i = 0; i < blocks * block; i++) codes[i] = (uint8_t)zx_fill_random(&made->state);
    for (size_t i = 0; i < blocks; i++) {
        uint8_t *const scale = codes + i * block + traits->scale_at;
        zx_store(ZX_F16, scale, 0, 0.02F * next_value(made));
        if (traits->integer == ZX_INTEGER_AFFINE)
            zx_store(ZX_F16, scale, 1, 0.1F * next_value(made));
    }
}

static zmlx_status fill_weight(zx_case *made, zx_weight *weight)
{
    const size_t rows = weight->count * weight->rows;
    void *codes = NULL, *values = NULL, *scales = NULL, *biases = NULL;
    weight->codes_stride = zx_weight_row_bytes(weight);
    ZX_TRY(zx_arena_alloc(&made->arena, rows * weight->codes_stride + 1, &codes));
    weight->codes = codes;
    if (weight->format == ZX_FORMAT_AFFINE || weight->format == ZX_FORMAT_MXFP4 ||
        weight->format == ZX_FORMAT_MXFP8 || weight->format == ZX_FORMAT_NVFP4) {
        const bool affine = weight->format == ZX_FORMAT_AFFINE;
        weight->scales_stride =
            zx_weight_groups(weight) * (affine ? zx_dtypes[weight->dtype].bytes : 1);
        ZX_TRY(zx_arena_alloc(&made->arena, rows * weight->scales_stride, &scales));
        ZX_TRY(zx_arena_alloc(&made->arena, rows * weight->scales_stride, &biases));
        weight->scales = scales;
        weight->biases = affine ? biases : NULL;
    }
    if (zx_formats[weight->format].encode == NULL) {
        fill_blocks(made, weight, codes);
        return ZMLX_OK;
    }
    ZX_TRY(zx_arena_alloc(&made->arena, weight->columns * sizeof(float), &values));
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < weight->columns; i++) ((float *)values)[i] = 0.2F * next_value(made);
        zx_formats[weight->format].encode(weight, row, values);
    }
    return ZMLX_OK;
}

static zmlx_status make_weight(zx_case *made, const zx_case_input *input, zx_operand *x)
{
    static const zx_format dense[] = {
        [ZX_F32] = ZX_FORMAT_F32, [ZX_F16] = ZX_FORMAT_F16, [ZX_BF16] = ZX_FORMAT_BF16};
    const zx_case_shape *shape = &made->shape;
    const zx_case_format *format = &zx_case_formats[shape->format];
    const bool is_matrix = input->kind >= ZX_KIND_TABLE;
    void *memory = NULL;
    ZX_TRY(zx_arena_alloc(&made->arena, sizeof(zx_weight), &memory));
    zx_weight *const weight = memory;
    const zx_dtype dtype = input->kind == ZX_KIND_SCORE_VECTOR ? ZX_F32 : shape->other_dtype;
    *weight = (zx_weight){
        .format = is_matrix ? format->format : dense[dtype],
        .dtype = is_matrix ? format->dtype : dtype,
        .bits = is_matrix ? format->bits : (uint8_t)(8 * zx_dtypes[dtype].bytes),
        .group = is_matrix ? format->group : 1,
        .count = input->kind == ZX_KIND_MATRICES ? shape->dims[ZX_DIM_EXPERTS] : 1,
        .rows = is_matrix || input->kind == ZX_KIND_TAPS ? zx_case_width(shape, input->rows) : 1,
        .columns = zx_case_width(shape, input->columns)};
    ZX_TRY(fill_weight(made, weight));
    const bool by_column = input->kind == ZX_KIND_BIASED_VECTOR || input->kind == ZX_KIND_TAPS;
    if ((by_column || input->kind > ZX_KIND_TABLE) && (shape->bits & ZX_BIT_BIAS) != 0) {
        const size_t count = weight->count * (by_column ? weight->columns : weight->rows);
        ZX_TRY(zx_arena_alloc(&made->arena, count * sizeof(float), &memory));
        for (size_t i = 0; i < count; i++) zx_store(ZX_F32, memory, i, next_value(made));
        weight->bias = memory;
        weight->bias_dtype = ZX_F32;
    }
    *x = (zx_operand){
        .rows = weight->rows, .columns = weight->columns, .dtype = weight->dtype, .weight = weight};
    return ZMLX_OK;
}

static zx_activation_layout layout_of(const zx_case_shape *shape)
{
    const zx_case_format *format = &zx_case_formats[shape->format];
    const zx_weight weight = {
        .format = format->format, .bits = format->bits, .group = format->group};
    return zx_weight_layout(&weight, shape->precision);
}

static zmlx_status quantize(zx_case *made, const zx_operand *x, zx_activation_layout layout,
                            zx_operand *quantized)
{
    zx_operand like = *x;
    void *scratch = NULL;
    const zx_kernel *kernel = zx_kernel_reference(ZX_OP_QUANTIZE);
    like.dtype = ZX_QUANTIZED;
    like.layout = layout;
    ZX_TRY(zx_case_operand(&made->arena, &like, (zx_placement){0, 1}, 0xff, quantized));
    const zx_attributes attributes = {.layout = layout};
    zx_launch launch = {.inputs = {*x}, .outputs = {*quantized}, .attributes = &attributes};
    ZX_TRY(zx_arena_alloc(&made->arena, kernel->scratch(&launch), &scratch));
    launch.scratch = scratch;
    return kernel->run(&launch);
}

/* An operand of as many rows as the step has tokens. */
static zmlx_status make_rows(zx_case *made, const zx_case_input *input, zx_operand *x)
{
    const zx_case_shape *shape = &made->shape;
    const bool is_score = input->kind == ZX_KIND_SCORES;
    const bool is_index = input->kind == ZX_KIND_INDICES;
    const zx_operand like = {.rows = shape->dims[ZX_DIM_ROWS],
                             .columns = zx_case_width(shape, input->columns),
                             .dtype = is_index   ? ZX_I32
                                      : is_score ? ZX_F32
                                                 : shape->dtype};
    ZX_TRY(zx_case_operand(&made->arena, &like, (zx_placement){1, 3}, 0xff, x));
    if (is_index)
        fill_indices(made, x);
    else
        zx_fill_rows(made->shape.fill, &made->state, x);
    zx_activation_layout layout = layout_of(shape);
    if (input->kind != ZX_KIND_ACTIVATIONS || layout.planes == 0) return ZMLX_OK;
    const zx_operand floats = *x;
    if (input->columns == ZX_WIDTH_EXPERT_X && (shape->bits & ZX_BIT_OWN_X) != 0 &&
        shape->dims[ZX_DIM_TOP_K] > 1)
        layout.slots = (uint16_t)shape->dims[ZX_DIM_TOP_K];
    return quantize(made, &floats, layout, x);
}

static zmlx_status make_input(zx_case *made, const zx_case_input *input, zx_operand *x)
{
    if (input->kind == ZX_KIND_CACHE) return ZMLX_OK;
    if (input->kind >= ZX_KIND_VECTOR) return make_weight(made, input, x);
    if (input->kind == ZX_KIND_IDS) {
        *x = (zx_operand){.rows = made->shape.dims[ZX_DIM_ROWS], .columns = 1, .dtype = ZX_I32};
        return ZMLX_OK;
    }
    return make_rows(made, input, x);
}

/* Up to three sequences; one begins with 'past' tokens in the cache, one with a few, one with none.
 */
static zmlx_status make_batch(zx_case *made)
{
    const size_t tokens = made->shape.dims[ZX_DIM_ROWS], past = made->shape.dims[ZX_DIM_PAST];
    const size_t before[ZX_CASE_SEQUENCES] = {past, past / 3, 0};
    const size_t sequences = tokens < ZX_CASE_SEQUENCES ? 1 : ZX_CASE_SEQUENCES;
    void *memory = NULL;
    size_t token = 0, pages = 0;
    ZX_TRY(zx_arena_alloc(&made->arena, 3 * tokens * sizeof(int32_t), &memory));
    made->positions = memory;
    made->ids = made->positions + tokens;
    made->sampled = made->ids + tokens;
    for (size_t s = 0; s < sequences; s++) {
        const size_t count = tokens / sequences + (s < tokens % sequences);
        made->token_start[s] = (int32_t)token;
        made->page_start[s] = (int32_t)pages;
        pages += (before[s] + count + ZX_PAGE_TOKENS - 1) / ZX_PAGE_TOKENS;
        for (size_t i = 0; i < count; i++) made->positions[token++] = (int32_t)(before[s] + i);
    }
    made->token_start[sequences] = (int32_t)tokens;
    made->page_start[sequences] = (int32_t)pages;
    ZX_TRY(zx_arena_alloc(&made->arena, pages * sizeof(int32_t), &memory));
    made->pages = memory;
    for (size_t i = 0; i < pages; i++) { /* in random order; page 0 is never handed out */
        const size_t other = (size_t)(zx_fill_random(&made->state) % (i + 1));
        made->pages[i] = made->pages[other];
        made->pages[other] = (int32_t)(i + 1);
    }
    made->vocabulary = made->shape.dims[ZX_DIM_OUTPUTS];
    size_t sampled = 0;
    for (size_t i = 0; i < tokens; i++) {
        made->ids[i] = (int32_t)(zx_fill_random(&made->state) % made->vocabulary);
        if (i % 2 == 0 || zx_fill_random(&made->state) % 3 == 0)
            made->sampled[sampled++] = (int32_t)i;
    }
    made->batch = (zx_batch){.tokens = tokens,
                             .sequences = sequences,
                             .sampled_rows = sampled,
                             .ids = made->ids,
                             .positions = made->positions,
                             .token_start = made->token_start,
                             .page_start = made->page_start,
                             .pages = made->pages,
                             .sampled = made->sampled};
    return ZMLX_OK;
}

void *zx_case_cached(const zx_case *made, uint8_t *memory, const zx_cached *at, size_t *index)
{
    const zx_kv_layer *layer = &made->layers[ZX_CASE_LAYER - 1];
    const size_t entry = (size_t)made->page_start[at->sequence] + at->position / ZX_PAGE_TOKENS;
    const size_t slot = at->position % ZX_PAGE_TOKENS;
    uint8_t *const page = memory + (size_t)made->pages[entry] * made->kv.page_bytes;
    *index = at->is_value ? (at->head * ZX_PAGE_TOKENS + slot) * layer->value_size + at->d
                          : (at->head * layer->key_size + at->d) * ZX_PAGE_TOKENS + slot;
    return page + (at->is_value ? layer->values_offset : layer->keys_offset);
}

/* Keys and values of one position. */
static void fill_position(zx_case *made, size_t sequence, size_t position)
{
    const zx_kv_layer *layer = &made->layers[ZX_CASE_LAYER - 1];
    const size_t sizes[] = {layer->key_size, layer->value_size};
    for (size_t i = 0; i < 2 * layer->kv_heads; i++) {
        zx_cached at = {sequence, position, i / 2, 0, i % 2 == 1};
        for (; at.d < sizes[i % 2]; at.d++) {
            size_t index = 0;
            void *const array = zx_case_cached(made, made->kv.memory, &at, &index);
            const float value = next_value(made);
            zx_store(made->kv.dtype, array, index,
                     made->shape.fill == ZX_FILL_LARGE ? value * 20 : value);
        }
    }
}

/* Two layers, the second in use.  What no token has written is NaN. */
static zmlx_status make_cache(zx_case *made)
{
    const zx_case_shape *shape = &made->shape;
    const bool appends = (made->row->traits & ZX_TRAIT_APPENDS) != 0;
    const size_t kv_heads = shape->dims[ZX_DIM_KV_HEADS];
    const size_t bytes = zx_dtypes[shape->other_dtype].bytes * ZX_PAGE_TOKENS * kv_heads;
    size_t offset = 64;
    void *memory = NULL;
    for (size_t i = 0; i < ZX_CASE_LAYER; i++) {
        zx_kv_layer *const layer = &made->layers[i];
        *layer = (zx_kv_layer){.kv_heads = kv_heads,
                               .key_size = shape->dims[ZX_DIM_HEAD_SIZE],
                               .value_size = zx_case_width(shape, ZX_WIDTH_VALUES) / kv_heads};
        layer->keys_offset = offset;
        layer->values_offset = offset + zx_round_up(bytes * layer->key_size, 64);
        offset = layer->values_offset + zx_round_up(bytes * layer->value_size, 64);
    }
    const size_t pages = (size_t)made->page_start[made->batch.sequences] + 1;
    made->kv = (zx_kv_pages){.page_bytes = offset,
                             .page_count = pages,
                             .dtype = shape->other_dtype,
                             .layer_count = ZX_CASE_LAYER,
                             .layers = made->layers};
    ZX_TRY(zx_arena_alloc(&made->arena, pages * offset, &memory));
    made->kv.memory = memset(memory, 0xff, pages * offset);
    for (size_t s = 0; s < made->batch.sequences; s++) {
        const size_t first = (size_t)made->positions[made->token_start[s]];
        const size_t last = (size_t)made->positions[made->token_start[s + 1] - 1];
        for (size_t p = 0; p < (appends ? first : last + 1); p++) fill_position(made, s, p);
    }
    return ZMLX_OK;
}

/* Values of the op's state of a sequence. */
static size_t state_values(const zx_case *made)
{
    const zx_case_shape *shape = &made->shape;
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++)
        if (made->row->inputs[i].kind == ZX_KIND_TAPS)
            return (zx_case_width(shape, ZX_WIDTH_TAPS) - 1) *
                   zx_case_width(shape, ZX_WIDTH_COLUMNS);
    return zx_case_width(shape, ZX_WIDTH_HEADS_OF_VALUES) * shape->dims[ZX_DIM_HEAD_SIZE];
}

/* Two ops' states, the second in use: a slot for each sequence, and one for the snapshot behind the
 * last page that it fills.  They are the cache's pages; what no step has written is NaN. */
static zmlx_status make_states(zx_case *made)
{
    enum { FIRST = 16 };
    const size_t sequences = made->batch.sequences, count = 2 * sequences;
    const size_t pages = (size_t)made->page_start[sequences], values = state_values(made);
    const size_t bytes = FIRST * sizeof(float) + zx_round_up(values * sizeof(float), 64);
    void *memory = NULL;
    made->state_layers[0] = (zx_state_layer){FIRST, 0};
    made->state_layers[ZX_CASE_LAYER - 1] = (zx_state_layer){values, FIRST * sizeof(float)};
    ZX_TRY(zx_arena_alloc(&made->arena, (pages + 1) * sizeof(int32_t), &memory));
    made->snapshots = memset(memory, 0, (pages + 1) * sizeof(int32_t));
    ZX_TRY(zx_arena_alloc(&made->arena, count * bytes, &memory));
    made->kv = (zx_kv_pages){.memory = memset(memory, 0xff, count * bytes),
                             .page_bytes = bytes,
                             .page_count = count,
                             .dtype = ZX_F32,
                             .states = {.memory = memory,
                                        .slot_bytes = bytes,
                                        .slot_count = count + 1,
                                        .layer_count = ZX_CASE_LAYER,
                                        .layers = made->state_layers}};
    for (size_t s = 0; s < sequences; s++) {
        const size_t end = (size_t)made->positions[made->token_start[s + 1] - 1] + 1;
        uint8_t *const state = made->kv.memory + (count - 1 - s) * bytes + FIRST * sizeof(float);
        made->states[s] = (int32_t)(count - s);
        if (end >= ZX_PAGE_TOKENS)
            made->snapshots[(size_t)made->page_start[s] + end / ZX_PAGE_TOKENS - 1] =
                (int32_t)(s + 1);
        for (size_t i = 0; i < values && made->positions[made->token_start[s]] > 0; i++)
            zx_store(ZX_F32, state, i, next_value(made));
    }
    made->batch.states = made->states;
    made->batch.snapshots = made->snapshots;
    return ZMLX_OK;
}

static zmlx_status make_attributes(zx_case *made)
{
    const zx_case_shape *shape = &made->shape;
    const uint32_t bits = shape->bits, traits = made->row->traits;
    const size_t head = shape->dims[ZX_DIM_HEAD_SIZE], experts = shape->dims[ZX_DIM_EXPERTS];
    zx_attributes *const a = &made->attributes;
    *a = made->row->attributes;
    a->dtype = shape->dtype;
    if ((traits & ZX_TRAIT_ACTIVATES) != 0) a->activation = shape->activation;
    a->offset = (bits & ZX_BIT_OFFSET) != 0 ? 1.0F : 0.0F;
    a->wide = (bits & ZX_BIT_WIDE) != 0;
    a->transposed = (bits & ZX_BIT_TRANSPOSED) != 0;
    if ((made->row->bits & ZX_BIT_LIMIT) != 0 && (bits & ZX_BIT_LIMIT) == 0) a->limit = 0;
    if ((made->row->bits & ZX_BIT_SCALE) != 0 && (bits & ZX_BIT_SCALE) == 0) a->scale = 0;
    a->head_size = (uint32_t)head;
    a->first = (uint32_t)head / 4;
    a->size = (a->head_size - a->first + 1) / 2;
    a->top_k = (uint32_t)shape->dims[ZX_DIM_TOP_K];
    const bool grouped = (bits & ZX_BIT_GROUPS) != 0 || (traits & ZX_TRAIT_GROUPED) != 0;
    if (grouped) a->groups = experts % 4 == 0 ? 4 : experts % 3 == 0 ? 3 : 1;
    a->top_groups = (a->groups + 1) / 2;
    if ((traits & ZX_TRAIT_LAYOUT) != 0) a->layout = layout_of(shape);
    if ((traits & ZX_TRAIT_CACHE) != 0) {
        a->layer = ZX_CASE_LAYER;
        a->value_size = (uint32_t)made->layers[ZX_CASE_LAYER - 1].value_size;
        a->scale = 1.0F / sqrtf((float)head);
        if ((bits & ZX_BIT_WINDOW) != 0) a->window = 1 + (uint32_t)shape->dims[ZX_DIM_PAST] / 2;
    }
    if ((traits & ZX_TRAIT_STATE) != 0) {
        a->state = ZX_CASE_LAYER;
        a->value_size = (uint32_t)(zx_case_width(shape, ZX_WIDTH_HEADS_OF_VALUES) /
                                   zx_case_width(shape, ZX_WIDTH_HEAD_COUNT));
        a->scale = 1.0F / sqrtf((float)head);
    }
    if ((traits & ZX_TRAIT_ROPE) == 0) return ZMLX_OK;
    void *memory = NULL;
    const size_t dims = (bits & ZX_BIT_NARROW) != 0 && head >= 4 ? head / 4 * 2 : head / 2 * 2;
    ZX_TRY(zx_arena_alloc(&made->arena, dims * sizeof(float), &memory));
    for (size_t i = 0; i < dims / 2; i++)
        ((float *)memory)[i] = 1.0F / (1.0F + (float)i * (float)i);
    made->rope = (zx_rope){.dims = dims,
                           .interleaved = (bits & ZX_BIT_INTERLEAVED) != 0,
                           .magnitude = 1,
                           .inverse_frequency = memory};
    a->rope = &made->rope;
    return ZMLX_OK;
}

/* y = rmsnorm(sum, w), sum = softcap(x) * 0.5 + residual, which is kept. */
static void make_chain(zx_case *made)
{
    const size_t columns = zx_case_width(&made->shape, ZX_WIDTH_COLUMNS);
    const zx_type type = {ZX_ROWS_TOKENS, columns, made->shape.dtype, {0}};
    made->chain = (zx_chain){.count = 4,
                             .steps = {{ZX_OP_SOFTCAP, {.limit = 3}, {~0}, type, -1},
                                       {ZX_OP_SCALE, {.scale = 0.5F}, {0}, type, -1},
                                       {ZX_OP_ADD, {0}, {1, ~1}, type, 1},
                                       {ZX_OP_RMSNORM, {.epsilon = 1e-5F}, {2, ~2}, type, 0}},
                             .text = "check"};
    made->attributes.chain = &made->chain;
}

/* Outputs as the op's shape rule types them. */
static zmlx_status type_outputs(zx_case *made)
{
    const zx_op_traits *op = &zx_ops[made->shape.op];
    zx_node *const node = &made->nodes[0];
    *node = (zx_node){.op = made->shape.op, .attributes = made->attributes, .path = "check"};
    for (int i = 0; i < op->inputs; i++) {
        zx_node *const maker = &made->nodes[1 + 2 * i], *const source = maker + 1;
        const zx_operand *x = &made->launch.inputs[i];
        *source = (zx_node){.types = {{ZX_ROWS_TOKENS, x->columns, made->shape.dtype, {0}}}};
        *maker = (zx_node){.types = {{ZX_ROWS_TOKENS, x->columns, x->dtype, x->layout}},
                           .weight = x->weight,
                           .inputs = {{source, 0}}};
        node->inputs[i] = (zx_value){maker, 0};
    }
    ZX_TRY(op->shape(node));
    made->result_rows = made->shape.dims[ZX_DIM_ROWS];
    for (int i = 0; i < op->outputs; i++) {
        const zx_type *type = &node->types[i];
        if (type->columns == 0) continue;
        if (type->rows == ZX_ROWS_SAMPLED) made->result_rows = made->batch.sampled_rows;
        made->launch.outputs[i] = (zx_operand){.rows = made->result_rows,
                                               .columns = type->columns,
                                               .dtype = type->dtype,
                                               .layout = type->layout};
    }
    return ZMLX_OK;
}

zmlx_status zx_case_open(const zx_case_shape *shape, zx_case *made)
{
    *made = (zx_case){.shape = *shape, .row = zx_case_op_of(shape->op)};
    if (made->row == NULL)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "op %s computes nothing", zx_ops[shape->op].text);
    made->state = shape->seed;
    ZX_TRY(make_batch(made));
    if ((made->row->traits & ZX_TRAIT_CACHE) != 0) ZX_TRY(make_cache(made));
    if ((made->row->traits & ZX_TRAIT_STATE) != 0) ZX_TRY(make_states(made));
    ZX_TRY(make_attributes(made));
    if ((made->row->traits & ZX_TRAIT_CHAIN) != 0) make_chain(made);
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++) {
        const zx_case_input *input = &made->row->inputs[i];
        if (input->kind != ZX_KIND_NONE) ZX_TRY(make_input(made, input, &made->launch.inputs[i]));
    }
    ZX_TRY(type_outputs(made));
    made->launch.attributes = &made->attributes;
    made->launch.batch = &made->batch;
    made->launch.kv = made->kv.memory != NULL ? &made->kv : NULL;
    return ZMLX_OK;
}

void zx_case_close(zx_case *made)
{
    zx_arena_reset(&made->arena);
}
