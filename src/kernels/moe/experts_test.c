/* experts_test.c - matmuls with chosen experts: against a sum in double, and every row against the
 * reference, for every kind of weight, tokens alone and in crowds, x shared by a token's experts or
 * not, matrices one after the other or scattered. */
#include <stdio.h>

#include "kernels/quantize/quantize_rows.h"
#include "kernels/rows_testing.h"

enum { EXPERTS = 5, MOST_ROWS = 200 };

typedef struct format_case {
    zx_format format;
    zx_dtype dtype;
    uint8_t bits;
    uint16_t group;
} format_case;

static const format_case formats[] = {
    {ZX_FORMAT_F32, ZX_F32, 32, 1},     {ZX_FORMAT_BF16, ZX_BF16, 16, 1},
    {ZX_FORMAT_AFFINE, ZX_BF16, 4, 64}, {ZX_FORMAT_AFFINE, ZX_F16, 8, 32},
    {ZX_FORMAT_MXFP4, ZX_F32, 4, 32},   {ZX_FORMAT_Q4_1, ZX_F32, 4, 32},
    {ZX_FORMAT_MXFP4_B, ZX_F32, 4, 32}, {ZX_FORMAT_Q5_0, ZX_F32, 5, 32},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

typedef struct shape {
    size_t tokens, slots, rows, columns;
    zx_dtype dtype;
    zx_precision precision;
    bool own_x; /* a row of x for each of a token's experts */
    bool with_bias;
    bool scattered;
    bool one_expert;  /* all tokens choose the same first expert */
    bool repeated;    /* and that one again and again */
    bool takes_turns; /* every second row belongs to another matrix */
    zx_op op;
} shape;

/* Matrices one after the other, and the same described one by one. */
typedef struct experts {
    zx_weight weight, matrices[EXPERTS];
    void *codes, *scales, *biases;
    float bias[EXPERTS * MOST_ROWS];
} experts;

static void fill_blocks(const zx_weight *weight, uint8_t *codes, size_t bytes)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    for (size_t i = 0; i < bytes; i++) codes[i] = (uint8_t)zx_test_random();
    for (size_t i = 0; i < bytes; i += traits->block_bytes) {
        if (weight->format == ZX_FORMAT_MXFP4_B) {
            codes[i] = (uint8_t)(118 + codes[i] % 8);
            continue;
        }
        zx_store(ZX_F16, codes + i, 0, testing_value(0.02F));
        if (traits->integer == ZX_INTEGER_AFFINE)
            zx_store(ZX_F16, codes + i, 1, testing_value(0.1F));
    }
}

static void open_experts(experts *e, const format_case *format, const shape *s)
{
    *e = (experts){.weight = {.format = format->format,
                              .dtype = format->dtype,
                              .bits = format->bits,
                              .group = format->group,
                              .count = EXPERTS,
                              .rows = s->rows,
                              .columns = s->columns}};
    zx_weight *weight = &e->weight;
    const size_t all = EXPERTS * s->rows, groups = zx_weight_groups(weight);
    const size_t turns = s->takes_turns ? 2 : 1;
    weight->codes_stride = turns * zx_weight_row_bytes(weight);
    weight->codes = e->codes = testing_alloc(all * weight->codes_stride);
    weight->scales_stride = turns * groups * (format->format == ZX_FORMAT_AFFINE ? 2 : 1);
    e->scales = testing_alloc(all * weight->scales_stride);
    e->biases = testing_alloc(all * weight->scales_stride);
    if (format->format == ZX_FORMAT_AFFINE || format->format == ZX_FORMAT_MXFP4)
        weight->scales = e->scales;
    if (format->format == ZX_FORMAT_AFFINE) weight->biases = e->biases;
    for (size_t i = 0; i < all; i++) {
        float values[512];
        for (size_t k = 0; k < s->columns; k++) values[k] = testing_value(0.2F);
        e->bias[i] = testing_value(1);
        if (zx_formats[format->format].encode != NULL)
            zx_formats[format->format].encode(weight, i, values);
    }
    if (zx_formats[format->format].encode == NULL)
        fill_blocks(weight, e->codes, all * weight->codes_stride);
    weight->bias = s->with_bias ? e->bias : NULL;
    weight->bias_dtype = ZX_F32;
    for (size_t i = 0; i < EXPERTS; i++) e->matrices[i] = zx_weight_matrix(weight, i);
    if (s->scattered) { /* in another order than they lie in */
        for (size_t i = 0; i + 1 < EXPERTS; i += 2) {
            const zx_weight matrix = e->matrices[i];
            e->matrices[i] = e->matrices[i + 1];
            e->matrices[i + 1] = matrix;
        }
        weight->matrices = e->matrices;
    }
}

static void close_experts(experts *e)
{
    testing_free(e->codes);
    testing_free(e->scales);
    testing_free(e->biases);
}

/* Different experts for every token, unless they are repeated. */
static zx_operand random_indices(const shape *s)
{
    zx_operand indices = testing_operand(ZX_I32, (zx_activation_layout){0}, s->tokens, s->slots, 4);
    for (size_t token = 0; token < s->tokens; token++) {
        int32_t *row = (int32_t *)(void *)((char *)indices.data + token * indices.stride);
        const size_t first = s->one_expert ? 3 : zx_test_below(EXPERTS);
        const size_t step = s->repeated ? 0 : 1 + zx_test_below(EXPERTS - 1);
        for (size_t slot = 0; slot < s->slots; slot++)
            row[slot] = (int32_t)((first + slot * step) % EXPERTS);
    }
    return indices;
}

static zx_operand random_x(const shape *s, const zx_weight *weight)
{
    const size_t columns = (s->own_x ? s->slots : 1) * s->columns;
    zx_activation_layout layout = zx_weight_layout(weight, s->precision);
    if (s->own_x) layout.slots = (uint16_t)s->slots;
    zx_operand values = testing_random(s->dtype, s->tokens, columns, 2);
    if (layout.planes == 0) return values;
    zx_operand x = testing_operand(ZX_QUANTIZED, layout, s->tokens, columns, 64);
    float row[4 * 512];
    for (size_t token = 0; token < s->tokens; token++) {
        for (size_t i = 0; i < columns; i++)
            row[i] = zx_load(s->dtype, (char *)values.data + token * values.stride, i);
        zx_quantize_row(layout, row, columns, (char *)x.data + token * x.stride);
    }
    testing_free(values.data);
    return x;
}

/* The largest error of the reference, where x is not quantized. */
static double error_of(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0], *indices = &launch->inputs[1];
    const zx_operand *y = &launch->outputs[0];
    const zx_weight *weight = launch->inputs[2].weight;
    const bool own = x->columns != weight->columns;
    double worst = 0;
    for (size_t i = 0; i < y->rows * y->columns; i++) {
        const size_t token = i / y->columns, slot = i % y->columns / weight->rows;
        const size_t row = i % weight->rows;
        const int32_t *chosen =
            (const int32_t *)(const void *)((const char *)indices->data + token * indices->stride);
        /* told apart by what is written in it, not by zx_weight_matrix */
        size_t index = (size_t)chosen[slot];
        if (weight->matrices != NULL && (index ^ 1) < EXPERTS) index ^= 1;
        const size_t at = index * weight->rows + row;
        float values[512] = {0};
        zx_formats[weight->format].decode(weight, at, 0, weight->columns, values);
        double want = 0;
        if (weight->bias != NULL) want = (double)zx_load(ZX_F32, weight->bias, at);
        for (size_t k = 0; k < weight->columns; k++)
            want += (double)values[k] * (double)zx_load(x->dtype,
                                                        (const char *)x->data + token * x->stride,
                                                        (own ? slot * weight->columns : 0) + k);
        const char *got = (const char *)y->data + token * y->stride;
        worst = fmax(worst, fabs(want - (double)zx_load(y->dtype, got, i % y->columns)));
    }
    return worst;
}

static bool check_shape(const format_case *format, const shape *s, char about[200])
{
    static const double bounds[] = {1e-4, 0.1, 0.8};
    static experts weights, up;
    const bool gated = s->op == ZX_OP_EXPERT_GLU || s->op == ZX_OP_EXPERT_CLAMPED_GLU;
    const bool combined = s->op == ZX_OP_EXPERT_COMBINE || s->op == ZX_OP_EXPERT_COMBINE_ADD;
    const zx_attributes attributes = {.activation = s->op == ZX_OP_EXPERT_GLU ? ZX_ACTIVATION_SILU
                                                                              : ZX_ACTIVATION_NONE,
                                      .limit = 1,
                                      .alpha = 1.702F};
    open_experts(&weights, format, s);
    open_experts(&up, format, s);
    zx_launch launch = {.inputs = {random_x(s, &weights.weight),
                                   random_indices(s),
                                   {.rows = s->rows,
                                    .columns = s->columns,
                                    .dtype = format->dtype,
                                    .weight = &weights.weight}},
                        .outputs = {testing_operand(s->dtype, (zx_activation_layout){0}, s->tokens,
                                                    (combined ? 1 : s->slots) * s->rows, 12)},
                        .attributes = &attributes};
    if (gated) launch.inputs[3] = launch.inputs[2];
    if (gated) launch.inputs[3].weight = &up.weight;
    if (combined) launch.inputs[3] = testing_random(ZX_F32, s->tokens, s->slots, 1);
    if (s->op == ZX_OP_EXPERT_COMBINE_ADD)
        launch.inputs[4] = testing_random(s->dtype, s->tokens, s->rows, 4);
    const char *differs = testing_rows_differ(s->op, &launch);
    bool right = differs == NULL;
    if (right && launch.inputs[0].dtype != ZX_QUANTIZED && s->op == ZX_OP_EXPERT_MATMUL)
        right = error_of(&launch) < bounds[s->dtype];
    (void)snprintf(about, 200, "%s: %s T%zu k%zu N%zu C%zu dtype %d precision %d own %d one %d",
                   differs != NULL ? differs : "formula", zx_formats[format->format].name,
                   s->tokens, s->slots, s->rows, s->columns, (int)s->dtype, (int)s->precision,
                   s->own_x, s->one_expert);
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++) testing_free(launch.inputs[i].data);
    testing_free(launch.outputs[0].data);
    close_experts(&weights);
    close_experts(&up);
    return right;
}

TEST(expert_matmul_rows_return_the_bits_of_the_reference)
{
    static const zx_precision precisions[] = {ZX_PRECISION_F32, ZX_PRECISION_Q16, ZX_PRECISION_Q8};
    static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
    static const size_t tokens[] = {1, 2, 3, 7, 40}, rows[] = {7, 16, 33, 64, 100, MOST_ROWS};
    char about[200];
    size_t turn = 0;
    for (size_t i = 0; i < FORMATS; i++)
        for (size_t p = 0; p < 3; p++)
            for (size_t t = 0; t < 5; t++, turn++) {
                if (formats[i].group == 1 && p > 0) continue;
                const size_t unit = formats[i].group == 1 ? 20 : formats[i].group;
                const shape s = {.tokens = tokens[t],
                                 .slots = 1 + zx_test_below(4),
                                 .rows = rows[turn % 6],
                                 .columns = unit * (1 + zx_test_below(4)),
                                 .dtype = dtypes[turn % 3],
                                 .precision = precisions[p],
                                 .own_x = turn % 2 == 0,
                                 .with_bias = turn % 4 < 2,
                                 .scattered = turn % 3 == 0,
                                 .one_expert = turn % 5 == 0,
                                 .takes_turns = turn % 7 < 3,
                                 .op = ZX_OP_EXPERT_MATMUL};
                CHECK_ON(about, check_shape(&formats[i], &s, about));
            }
}

/* No router chooses so, but nothing forbids it. */
TEST(a_token_may_name_an_expert_more_than_once)
{
    static const zx_op ops[] = {ZX_OP_EXPERT_MATMUL, ZX_OP_EXPERT_GLU, ZX_OP_EXPERT_COMBINE};
    static const size_t tokens[] = {1, 2, 40};
    char about[200];
    for (size_t o = 0; o < 3; o++)
        for (size_t t = 0; t < 3; t++)
            for (size_t own = 0; own < 2; own++) {
                const shape s = {.tokens = tokens[t],
                                 .slots = 4,
                                 .rows = MOST_ROWS,
                                 .columns = 128,
                                 .dtype = ZX_F32,
                                 .precision = ZX_PRECISION_Q16,
                                 .own_x = own != 0,
                                 .one_expert = t != 1,
                                 .repeated = true,
                                 .op = ops[o]};
                CHECK_ON(about, check_shape(&formats[2], &s, about));
            }
}

TEST(fused_expert_rows_return_the_bits_of_their_references)
{
    static const zx_op ops[] = {ZX_OP_EXPERT_GLU, ZX_OP_EXPERT_CLAMPED_GLU, ZX_OP_EXPERT_COMBINE,
                                ZX_OP_EXPERT_COMBINE_ADD};
    static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
    static const size_t tokens[] = {1, 2, 33}, rows[] = {9, 50, MOST_ROWS};
    char about[200];
    size_t turn = 0;
    for (size_t i = 0; i < FORMATS; i++)
        for (size_t o = 0; o < 4; o++)
            for (size_t t = 0; t < 3; t++, turn++) {
                const size_t unit = formats[i].group == 1 ? 20 : formats[i].group;
                const bool whole = formats[i].group == 1 || turn % 4 == 0;
                const shape s = {.tokens = tokens[t],
                                 .slots = 1 + zx_test_below(4),
                                 .rows = rows[turn % 3],
                                 .columns = unit * (1 + zx_test_below(3)),
                                 .dtype = dtypes[turn / 3 % 3],
                                 .precision = whole ? ZX_PRECISION_F32 : ZX_PRECISION_Q16,
                                 .own_x = turn % 2 == 0,
                                 .with_bias = turn % 4 < 2,
                                 .scattered = turn % 3 == 0,
                                 .takes_turns = turn % 7 < 3,
                                 .op = ops[o]};
                CHECK_ON(about, check_shape(&formats[i], &s, about));
            }
}
