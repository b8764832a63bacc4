/* head_norms_test.c - head_l2norm and gated_head_rmsnorm: the formulas, and every row. */
#include "kernels/rows_testing.h"

enum { DTYPES = 3, ROWS = 4, HEADS = 3 };

static const zx_dtype dtypes[DTYPES] = {ZX_F32, ZX_F16, ZX_BF16};
static const size_t sizes[] = {1, 6, 16, 37, 128};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static double at(const zx_operand *x, size_t row, size_t column)
{
    return (double)zx_load(x->dtype, (char *)x->data + row * x->stride, column);
}

/* sum of squares of the head that a column belongs to */
static double squares(const zx_operand *x, size_t row, size_t column, size_t size)
{
    double sum = 0;
    for (size_t i = 0; i < size; i++) sum += pow(at(x, row, column / size * size + i), 2);
    return sum;
}

TEST(head_l2norm_makes_heads_of_length_one)
{
    for (size_t i = 0; i < DTYPES * SIZES; i++) {
        const size_t size = sizes[i / DTYPES], columns = HEADS * size;
        const zx_attributes attributes = {.epsilon = 1e-2F, .head_size = (uint32_t)size};
        const zx_operand x = testing_random(dtypes[i % DTYPES], ROWS, columns, 3);
        const zx_operand y = testing_operand(ZX_F32, (zx_activation_layout){0}, ROWS, columns, 8);
        const zx_launch launch = {.inputs = {x}, .outputs = {y}, .attributes = &attributes};
        const char *differs = testing_rows_differ(ZX_OP_HEAD_L2NORM, &launch);
        double largest = 0;
        for (size_t k = 0; k < ROWS * columns; k++) {
            const size_t row = k / columns, column = k % columns;
            const double length = sqrt(squares(&x, row, column, size) + (double)1e-2F);
            largest = fmax(largest, fabs(at(&y, row, column) - at(&x, row, column) / length));
        }
        testing_free(x.data);
        testing_free(y.data);
        CHECK_ON(differs, differs == NULL);
        CHECK(largest < 1e-6);
    }
}

TEST(gated_head_rmsnorm_multiplies_every_head_by_its_gate)
{
    static const double bounds[] = {[ZX_F32] = 1e-5, [ZX_F16] = 4e-3, [ZX_BF16] = 3e-2};
    for (size_t i = 0; i < DTYPES * SIZES; i++) {
        const zx_dtype dtype = dtypes[i % DTYPES];
        const size_t size = sizes[i / DTYPES], columns = HEADS * size;
        const zx_attributes attributes = {.epsilon = 1e-5F,
                                          .offset = i % 2 == 0 ? 0.0F : 1.0F,
                                          .activation = ZX_ACTIVATION_SILU,
                                          .head_size = (uint32_t)size};
        zx_operand values =
            testing_operand(dtypes[(i + 1) % DTYPES], (zx_activation_layout){0}, 1, size, 0);
        testing_fill(&values, 2);
        const zx_weight weight = testing_weight(&values);
        const zx_launch launch = {
            .inputs = {testing_random(dtype, ROWS, columns, 3),
                       testing_random(dtype, ROWS, columns, 3),
                       {.weight = &weight}},
            .outputs = {testing_operand(dtype, (zx_activation_layout){0}, ROWS, columns, 8)},
            .attributes = &attributes};
        const char *differs = testing_rows_differ(ZX_OP_GATED_HEAD_RMSNORM, &launch);
        double largest = 0;
        for (size_t k = 0; k < ROWS * columns; k++) {
            const size_t row = k / columns, column = k % columns;
            const zx_operand *x = &launch.inputs[0];
            const double mean = squares(x, row, column, size) / (double)size;
            const double gate = at(&launch.inputs[1], row, column);
            const double wanted = at(x, row, column) / sqrt(mean + (double)1e-5F) *
                                  (at(&values, 0, column % size) + (double)attributes.offset) *
                                  gate / (1 + exp(-gate));
            const double error = fabs(at(&launch.outputs[0], row, column) - wanted);
            largest = fmax(largest, error / (1 + fabs(wanted)));
        }
        for (size_t k = 0; k < 2; k++) testing_free(launch.inputs[k].data);
        testing_free(launch.outputs[0].data);
        testing_free(values.data);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(zx_dtypes[dtype].name, largest < bounds[dtype]);
    }
}
