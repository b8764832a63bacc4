/* router_test.c - the ops of routers and of what follows the experts: formulas, ties, hostile
 * values, and every row against its reference. */
#include "kernels/rows_testing.h"

static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
static const size_t widths[] = {1, 2, 8, 15, 16, 17, 60, 128, 257, 512};
static const zx_activation_layout not_quantized = {0};

enum { DTYPES = 3, WIDTHS = sizeof widths / sizeof widths[0], TOKENS = 9 };

static void close_launch(zx_launch *launch)
{
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++) testing_free(launch->inputs[i].data);
    for (size_t i = 0; i < ZX_MAX_OUTPUTS; i++) testing_free(launch->outputs[i].data);
}

static float at(const zx_operand *x, size_t row, size_t index)
{
    return zx_load(x->dtype, (const char *)x->data + row * x->stride, index);
}

static int32_t chosen(const zx_operand *x, size_t row, size_t index)
{
    return ((const int32_t *)(const void *)((const char *)x->data + row * x->stride))[index];
}

/* Rows 1 to 3 hold a NaN, an infinity and nothing but -infinity. */
static void make_hostile(zx_operand *x)
{
    const size_t place = zx_test_below(x->columns);
    zx_store(x->dtype, (char *)x->data + x->stride, place, NAN);
    zx_store(x->dtype, (char *)x->data + 2 * x->stride, place, INFINITY);
    for (size_t i = 0; i < x->columns; i++)
        zx_store(x->dtype, (char *)x->data + 3 * x->stride, i, -INFINITY);
}

/* The largest distance from the formula, in double, over the rows without hostile values. */
static double scores_error(zx_op op, const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    double worst = 0;
    for (size_t row = 4; row < x->rows; row++) {
        double sum = 0, largest = (double)-INFINITY;
        for (size_t i = 0; i < x->columns; i++) largest = fmax(largest, (double)at(x, row, i));
        for (size_t i = 0; i < x->columns; i++)
            sum +=
                op == ZX_OP_SOFTMAX ? exp((double)at(x, row, i) - largest) : (double)at(x, row, i);
        for (size_t i = 0; i < x->columns; i++) {
            const double value = (double)at(x, row, i);
            double want = 1 / (1 + exp(-value));
            if (op == ZX_OP_SOFTMAX) want = exp(value - largest) / sum;
            if (op == ZX_OP_NORMALIZE) want = value / (sum + 0.5);
            worst = fmax(worst, fabs(want - (double)at(y, row, i)));
        }
    }
    return worst;
}

TEST(scores_rows_follow_their_formulas_and_agree)
{
    static const zx_op ops[] = {ZX_OP_SOFTMAX, ZX_OP_SIGMOID_SCORES, ZX_OP_NORMALIZE};
    const zx_attributes attributes = {.epsilon = 0.5F};
    for (size_t i = 0; i < 3 * WIDTHS * DTYPES; i++) {
        const zx_op op = ops[i % 3];
        const zx_dtype dtype = op == ZX_OP_NORMALIZE ? ZX_F32 : dtypes[i / 3 % DTYPES];
        const size_t width = widths[i / 9];
        zx_launch launch = {.inputs = {testing_random(dtype, TOKENS, width, 8)},
                            .outputs = {testing_operand(ZX_F32, not_quantized, TOKENS, width, 16)},
                            .attributes = &attributes};
        if (op == ZX_OP_NORMALIZE) /* of scores, which are not negative */
            for (size_t k = 0; k < TOKENS * width; k++) {
                char *const row =
                    (char *)launch.inputs[0].data + k / width * launch.inputs[0].stride;
                zx_store(ZX_F32, row, k % width, fabsf(zx_load(ZX_F32, row, k % width)));
            }
        make_hostile(&launch.inputs[0]);
        const char *differs = testing_rows_differ(op, &launch);
        const double error = scores_error(op, &launch);
        close_launch(&launch);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(zx_ops[op].text, error < 1e-6);
    }
}

/* Whether the indices are those of the largest values, in order, of equal ones the first. */
static bool is_topk(const zx_operand *x, const zx_operand *y, size_t row)
{
    for (size_t j = 0; j < y->columns; j++) {
        const int32_t index = chosen(y, row, j);
        if (index < 0 || (size_t)index >= x->columns) return false;
        const float value = at(x, row, (size_t)index);
        size_t before = 0; /* what a stable sort puts before it */
        for (size_t i = 0; i < x->columns; i++) {
            const float other = at(x, row, i);
            const bool equal = other == value || (isnan(other) && isnan(value));
            before +=
                other > value || (isnan(value) && !isnan(other)) || (equal && i < (size_t)index);
        }
        if (before != j) return false;
    }
    return true;
}

TEST(topk_is_in_order_and_takes_the_first_of_equal_values)
{
    for (size_t i = 0; i < WIDTHS * DTYPES; i++) {
        const size_t width = widths[i / DTYPES], top_k = 1 + zx_test_below(width < 22 ? width : 22);
        zx_launch launch = {.inputs = {testing_random(dtypes[i % DTYPES], TOKENS, width, 2)},
                            .outputs = {testing_operand(ZX_I32, not_quantized, TOKENS, top_k, 8)}};
        zx_operand *x = &launch.inputs[0];
        make_hostile(x);
        for (size_t k = 0; k < width; k++) { /* row 4 is full of ties, row 5 of NaN too */
            zx_store(x->dtype, (char *)x->data + 4 * x->stride, k, (float)zx_test_below(3));
            zx_store(x->dtype, (char *)x->data + 5 * x->stride, k,
                     k % 2 == 0 ? NAN : (float)zx_test_below(3));
        }
        const char *differs = testing_rows_differ(ZX_OP_TOPK, &launch);
        bool right = true;
        for (size_t row = 0; row < TOKENS; row++)
            right = right && is_topk(x, &launch.outputs[0], row);
        close_launch(&launch);
        CHECK_ON(differs, differs == NULL);
        CHECK(right);
    }
}

TEST(gather_scores_takes_what_topk_chose)
{
    zx_launch top = {.inputs = {testing_random(ZX_BF16, TOKENS, 60, 2)},
                     .outputs = {testing_operand(ZX_I32, not_quantized, TOKENS, 4, 0)}};
    CHECK(testing_rows_differ(ZX_OP_TOPK, &top) == NULL);
    zx_launch launch = {.inputs = {top.inputs[0], top.outputs[0]},
                        .outputs = {testing_operand(ZX_F32, not_quantized, TOKENS, 4, 8)}};
    const char *differs = testing_rows_differ(ZX_OP_GATHER_SCORES, &launch);
    bool right = true;
    for (size_t i = 0; i < TOKENS * 4; i++)
        right =
            right && at(&launch.outputs[0], i / 4, i % 4) ==
                         at(&top.inputs[0], i / 4, (size_t)chosen(&top.outputs[0], i / 4, i % 4));
    close_launch(&launch);
    CHECK_ON(differs, differs == NULL);
    CHECK(right);
}

TEST(gather_scores_takes_from_a_vector_of_the_model)
{
    for (size_t k = 0; k < DTYPES; k++) {
        zx_operand vector = testing_operand(dtypes[k], not_quantized, 1, 60, 0);
        testing_fill(&vector, 1);
        const zx_weight weight = testing_weight(&vector);
        zx_launch top = {.inputs = {testing_random(ZX_F32, TOKENS, 60, 2)},
                         .outputs = {testing_operand(ZX_I32, not_quantized, TOKENS, 4, 0)}};
        CHECK(testing_rows_differ(ZX_OP_TOPK, &top) == NULL);
        zx_launch launch = {.inputs = {{.weight = &weight}, top.outputs[0]},
                            .outputs = {testing_operand(ZX_F32, not_quantized, TOKENS, 4, 8)}};
        const char *differs = testing_rows_differ(ZX_OP_GATHER_SCORES, &launch);
        bool right = true;
        for (size_t i = 0; i < TOKENS * 4; i++)
            right = right && at(&launch.outputs[0], i / 4, i % 4) ==
                                 at(&vector, 0, (size_t)chosen(&top.outputs[0], i / 4, i % 4));
        testing_free(top.inputs[0].data);
        close_launch(&launch);
        testing_free(vector.data);
        CHECK_ON(differs, differs == NULL);
        CHECK(right);
    }
}

TEST(add_row_adds_the_vector_to_every_row)
{
    zx_operand vector = testing_operand(ZX_F32, not_quantized, 1, 60, 0);
    testing_fill(&vector, 1);
    const zx_weight weight = testing_weight(&vector);
    zx_launch launch = {.inputs = {testing_random(ZX_F32, TOKENS, 60, 2), {.weight = &weight}},
                        .outputs = {testing_operand(ZX_F32, not_quantized, TOKENS, 60, 8)}};
    const char *differs = testing_rows_differ(ZX_OP_ADD_ROW, &launch);
    bool right = true;
    for (size_t i = 0; i < TOKENS * 60; i++)
        right = right && at(&launch.outputs[0], i / 60, i % 60) ==
                             at(&launch.inputs[0], i / 60, i % 60) + at(&vector, 0, i % 60);
    close_launch(&launch);
    testing_free(vector.data);
    CHECK_ON(differs, differs == NULL);
    CHECK(right);
}

/* Two groups of three stay: those whose two largest sum to most, the first of equal ones. */
TEST(group_limit_keeps_the_best_groups)
{
    static const float rows[][12] = {
        /* sums 5, 4, 7, 2 */
        {1, 2, 3, 4, 0, -9, 3, 3, 4, 1, 1, 1},
        /* sums 2, 2, 2, 2 */
        {1, 1, 1, 2, 0, 0, 1, 1, 0, 0, 2, 0},
        /* a NaN is less than everything: sums 3, 1, 4, -inf */
        {NAN, 1, 2, 1, NAN, 0, 2, 2, NAN, -INFINITY, NAN, NAN},
    };
    static const bool stays[][4] = {
        {true, false, true, false}, {true, true, false, false}, {true, false, true, false}};
    const zx_attributes attributes = {.groups = 4, .top_groups = 2};
    zx_launch launch = {.inputs = {testing_operand(ZX_F32, not_quantized, 3, 12, 8)},
                        .outputs = {testing_operand(ZX_F32, not_quantized, 3, 12, 8)},
                        .attributes = &attributes};
    for (size_t i = 0; i < 36; i++)
        zx_store(ZX_F32, (char *)launch.inputs[0].data + i / 12 * launch.inputs[0].stride, i % 12,
                 rows[i / 12][i % 12]);
    const char *differs = testing_rows_differ(ZX_OP_GROUP_LIMIT, &launch);
    bool right = true;
    for (size_t i = 0; i < 36; i++) {
        const float x = rows[i / 12][i % 12], y = at(&launch.outputs[0], i / 12, i % 12);
        const float want = stays[i / 12][i % 12 / 3] ? x : -INFINITY;
        right = right && (y == want || (isnan(y) && isnan(want)));
    }
    close_launch(&launch);
    CHECK_ON(differs, differs == NULL);
    CHECK(right);
}

static double combine_error(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0], *weights = &launch->inputs[1];
    const zx_operand *y = &launch->outputs[0];
    double worst = 0;
    for (size_t i = 0; i < y->rows * y->columns; i++) {
        const size_t row = i / y->columns, column = i % y->columns;
        double want = 0;
        for (size_t slot = 0; slot < weights->columns; slot++)
            want += (double)at(weights, row, slot) * (double)at(x, row, slot * y->columns + column);
        worst = fmax(worst, fabs(want - (double)at(y, row, column)));
    }
    return worst;
}

TEST(combine_rows_weigh_the_experts_and_agree)
{
    static const double bounds[] = {1e-6, 2e-3, 2e-2};
    static const size_t sizes[] = {1, 15, 64, 511, 513, 1600};
    for (size_t i = 0; i < 6 * DTYPES; i++) {
        const size_t dtype = i % DTYPES, size = sizes[i / DTYPES], slots = 1 + i % 7;
        zx_launch launch = {
            .inputs = {testing_random(dtypes[dtype], TOKENS, slots * size, 0.5F),
                       testing_random(ZX_F32, TOKENS, slots, 1)},
            .outputs = {testing_operand(dtypes[dtype], not_quantized, TOKENS, size, 16)}};
        const double error = testing_run(zx_kernel_reference(ZX_OP_COMBINE), &launch)
                                 ? combine_error(&launch)
                                 : (double)INFINITY;
        make_hostile(&launch.inputs[0]);
        const char *differs = testing_rows_differ(ZX_OP_COMBINE, &launch);
        close_launch(&launch);
        CHECK(error < bounds[dtype]);
        CHECK_ON(differs, differs == NULL);
    }
}

/* Whole routers: every row against the reference, and the chosen against topk alone. */
TEST(router_rows_agree)
{
    static const zx_op ops[] = {ZX_OP_ROUTER_SOFTMAX, ZX_OP_ROUTER_SOFTMAX_NORMALIZE,
                                ZX_OP_ROUTER_CHOSEN, ZX_OP_ROUTER_SIGMOID};
    zx_operand vector = testing_operand(ZX_F32, not_quantized, 1, 64, 0);
    testing_fill(&vector, 1);
    for (size_t i = 0; i < 4 * DTYPES * 2; i++) {
        const zx_op op = ops[i % 4];
        const bool groups = op == ZX_OP_ROUTER_SIGMOID && i >= 4 * DTYPES;
        const size_t width = groups ? 64 : 8 + i, top_k = 1 + i % 6;
        const zx_attributes attributes = {.epsilon = 1e-6F,
                                          .scale = op == ZX_OP_ROUTER_SIGMOID ? 2.5F : 0,
                                          .groups = groups ? 8 : 0,
                                          .top_groups = groups ? 3 : 0};
        zx_weight weight = testing_weight(&vector);
        weight.columns = width;
        zx_launch launch = {.inputs = {testing_random(dtypes[i / 4 % DTYPES], TOKENS, width, 4)},
                            .outputs = {testing_operand(ZX_F32, not_quantized, TOKENS, top_k, 8),
                                        testing_operand(ZX_I32, not_quantized, TOKENS, top_k, 8)},
                            .attributes = &attributes};
        if (op == ZX_OP_ROUTER_SIGMOID) launch.inputs[1].weight = &weight;
        make_hostile(&launch.inputs[0]);
        const char *differs = testing_rows_differ(op, &launch);
        bool right = true;
        for (size_t row = 4; op != ZX_OP_ROUTER_SIGMOID && row < TOKENS; row++)
            right = right && is_topk(&launch.inputs[0], &launch.outputs[1], row);
        close_launch(&launch);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(zx_ops[op].text, right);
    }
    testing_free(vector.data);
}
