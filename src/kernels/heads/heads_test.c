/* heads_test.c - columns, join and head_matmul: the formulas, and every row. */
#include "kernels/rows_testing.h"

static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
static const zx_activation_layout not_quantized = {0};

enum { DTYPES = 3, HEADS = 3, ROWS = 5 };

static double value_at(const zx_operand *x, size_t row, size_t column)
{
    return (double)zx_load(x->dtype, (char *)x->data + row * x->stride, column);
}

TEST(columns_takes_the_same_part_of_every_head)
{
    static const zx_attributes parts[] = {{.head_size = 12, .first = 0, .size = 5},
                                          {.head_size = 12, .first = 5, .size = 7},
                                          {.head_size = 12, .first = 3, .size = 1}};
    for (size_t i = 0; i < 3 * DTYPES; i++) {
        const zx_attributes *part = &parts[i / DTYPES];
        const zx_dtype dtype = dtypes[i % DTYPES];
        const zx_launch launch = {
            .inputs = {testing_random(dtype, ROWS, HEADS * 12, 1)},
            .outputs = {testing_operand(dtype, not_quantized, ROWS, HEADS * part->size, 8)},
            .attributes = part};
        const char *differs = testing_rows_differ(ZX_OP_COLUMNS, &launch);
        bool same = true;
        for (size_t k = 0; k < ROWS * HEADS * part->size; k++) {
            const size_t row = k / (HEADS * part->size), column = k % (HEADS * part->size);
            const size_t from = column / part->size * 12 + part->first + column % part->size;
            same = same && value_at(&launch.outputs[0], row, column) ==
                               value_at(&launch.inputs[0], row, from);
        }
        testing_free(launch.inputs[0].data);
        testing_free(launch.outputs[0].data);
        CHECK_ON(differs, differs == NULL);
        CHECK(same);
    }
}

TEST(join_puts_heads_behind_each_other)
{
    static const zx_attributes attributes = {.head_size = 7};
    for (size_t i = 0; i < DTYPES; i++) {
        const zx_launch launch = {
            .inputs = {testing_random(dtypes[i], ROWS, HEADS * 7, 1),
                       testing_random(dtypes[i], ROWS, HEADS * 4, 1)},
            .outputs = {testing_operand(dtypes[i], not_quantized, ROWS, HEADS * 11, 8)},
            .attributes = &attributes};
        const char *differs = testing_rows_differ(ZX_OP_JOIN, &launch);
        bool same = true;
        for (size_t k = 0; k < ROWS * HEADS * 11; k++) {
            const size_t row = k / (HEADS * 11), head = k / 11 % HEADS, at = k % 11;
            const double wanted = at < 7 ? value_at(&launch.inputs[0], row, head * 7 + at)
                                         : value_at(&launch.inputs[1], row, head * 4 + at - 7);
            same = same && value_at(&launch.outputs[0], row, head * 11 + at) == wanted;
        }
        for (size_t k = 0; k < 2; k++) testing_free(launch.inputs[k].data);
        testing_free(launch.outputs[0].data);
        CHECK_ON(differs, differs == NULL);
        CHECK(same);
    }
}

/* The largest error against double, relative to 1 + the value wanted. */
static double largest_error(const zx_launch *launch, const zx_operand *matrix)
{
    const zx_attributes *a = launch->attributes;
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    const size_t x_size = x->columns / HEADS, y_size = y->columns / HEADS;
    double largest = 0;
    for (size_t k = 0; k < ROWS * y->columns; k++) {
        const size_t row = k / y->columns, column = k % y->columns;
        const size_t head = column / y_size, n = column % y_size;
        double wanted = 0;
        for (size_t i = 0; i < x_size; i++) {
            const size_t at = head * a->head_size + a->first + (a->transposed ? i : n);
            wanted +=
                value_at(x, row, head * x_size + i) * value_at(matrix, at, a->transposed ? n : i);
        }
        const double error = fabs(value_at(y, row, column) - wanted) / (1 + fabs(wanted));
        largest = isnan(error) || error > largest ? error : largest;
    }
    return largest;
}

TEST(head_matmul_multiplies_every_head_by_its_own_rows)
{
    static const double bounds[] = {[ZX_F32] = 1e-5, [ZX_F16] = 2e-3, [ZX_BF16] = 1.6e-2};
    enum { WIDTH = 37 };
    static const zx_attributes cases[] = {
        {.head_size = 20, .first = 0, .size = 12},
        {.head_size = 20, .first = 12, .size = 8},
        {.head_size = 20, .first = 0, .size = 12, .transposed = true},
        {.head_size = 20, .first = 12, .size = 8, .transposed = true},
    };
    for (size_t i = 0; i < 4 * DTYPES; i++) {
        const zx_attributes *a = &cases[i / DTYPES];
        const zx_dtype dtype = dtypes[i % DTYPES];
        zx_operand matrix = testing_operand(dtypes[(i + 1) % DTYPES], not_quantized,
                                            HEADS * a->head_size, WIDTH, 0);
        testing_fill(&matrix, 1);
        const zx_weight weight = testing_weight(&matrix);
        const size_t from = a->transposed ? a->size : WIDTH, to = a->transposed ? WIDTH : a->size;
        const zx_launch launch = {
            .inputs = {testing_random(dtype, ROWS, HEADS * from, 1), {.weight = &weight}},
            .outputs = {testing_operand(dtype, not_quantized, ROWS, HEADS * to, 8)},
            .attributes = a};
        const char *differs = testing_rows_differ(ZX_OP_HEAD_MATMUL, &launch);
        const double error = largest_error(&launch, &matrix);
        testing_free(launch.inputs[0].data);
        testing_free(launch.outputs[0].data);
        testing_free(matrix.data);
        CHECK_ON(differs, differs == NULL);
        CHECK(error < bounds[dtype]);
    }
}
