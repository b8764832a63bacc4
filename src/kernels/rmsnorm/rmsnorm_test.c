/* rmsnorm_test.c - rmsnorm and its fused kin: the formula, every row, and fused as unfused. */
#include "kernels/rows_testing.h"

static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
static const size_t widths[] = {1, 7, 16, 33, 255, 257, 576, 2048};
static const zx_activation_layout not_quantized = {0};

enum { DTYPES = 3, WIDTHS = sizeof widths / sizeof widths[0], ROWS = 5 };

typedef struct fixture {
    zx_operand x, residual, weights; /* of every shape one */
    zx_operand normed, sum;
    zx_weight weight;
    zx_attributes attributes;
} fixture;

static void open_fixture(zx_dtype dtype, zx_dtype weight_dtype, size_t columns, fixture *f)
{
    f->x = testing_random(dtype, ROWS, columns, 3);
    f->residual = testing_random(dtype, ROWS, columns, 3);
    f->weights = testing_operand(weight_dtype, not_quantized, 1, columns, 0);
    testing_fill(&f->weights, 2);
    f->weight = testing_weight(&f->weights);
    f->normed = testing_operand(dtype, not_quantized, ROWS, columns, 8);
    f->sum = testing_operand(dtype, not_quantized, ROWS, columns, 8);
    f->attributes = (zx_attributes){.epsilon = 1e-5F};
}

static void close_fixture(fixture *f)
{
    testing_free(f->x.data);
    testing_free(f->residual.data);
    testing_free(f->weights.data);
    testing_free(f->normed.data);
    testing_free(f->sum.data);
}

/* The largest error of rmsnorm against double, relative to the largest value of the row. */
static double largest_error(const fixture *f)
{
    double largest = 0;
    for (size_t row = 0; row < ROWS; row++) {
        const char *x = (char *)f->x.data + row * f->x.stride;
        const char *y = (char *)f->normed.data + row * f->normed.stride;
        double squares = 0, top = 1e-9;
        for (size_t i = 0; i < f->x.columns; i++)
            squares += pow((double)zx_load(f->x.dtype, x, i), 2);
        const double scale = 1 / sqrt(squares / (double)f->x.columns + (double)1e-5F);
        double worst = 0;
        for (size_t i = 0; i < f->x.columns; i++) {
            const double wanted = (double)zx_load(f->x.dtype, x, i) * scale *
                                  (double)zx_load(f->weights.dtype, f->weights.data, i);
            top = fabs(wanted) > top ? fabs(wanted) : top;
            worst = fmax(worst, fabs(wanted - (double)zx_load(f->normed.dtype, y, i)));
        }
        largest = fmax(largest, worst / top);
    }
    return largest;
}

TEST(rmsnorm_rows_return_the_formula)
{
    static const double bounds[] = {[ZX_F32] = 1e-6, [ZX_F16] = 2e-3, [ZX_BF16] = 1.6e-2};
    for (size_t i = 0; i < DTYPES * DTYPES * WIDTHS; i++) {
        fixture f;
        const zx_dtype dtype = dtypes[i / WIDTHS % DTYPES];
        open_fixture(dtype, dtypes[i / WIDTHS / DTYPES], widths[i % WIDTHS], &f);
        const zx_launch launch = {.inputs = {f.x, {.weight = &f.weight}},
                                  .outputs = {f.normed},
                                  .attributes = &f.attributes};
        const char *differs = testing_rows_differ(ZX_OP_RMSNORM, &launch);
        const double error = largest_error(&f);
        close_fixture(&f);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(zx_dtypes[dtype].name, error < bounds[dtype]);
    }
}

TEST(add_rmsnorm_is_add_then_rmsnorm)
{
    for (size_t i = 0; i < DTYPES * WIDTHS; i++) {
        fixture f;
        open_fixture(dtypes[i / WIDTHS], ZX_F32, widths[i % WIDTHS], &f);
        const zx_launch add = {.inputs = {f.x, f.residual}, .outputs = {f.sum}};
        const zx_launch norm = {.inputs = {f.sum, {.weight = &f.weight}},
                                .outputs = {f.normed},
                                .attributes = &f.attributes};
        const bool added = testing_run(zx_kernel_reference(ZX_OP_ADD), &add);
        const bool normed = testing_run(zx_kernel_reference(ZX_OP_RMSNORM), &norm);
        zx_launch fused = {
            .inputs = {f.x, f.residual, {.weight = &f.weight}},
            .outputs = {testing_operand(f.x.dtype, not_quantized, ROWS, f.x.columns, 8),
                        testing_operand(f.x.dtype, not_quantized, ROWS, f.x.columns, 8)},
            .attributes = &f.attributes};
        const char *differs = testing_rows_differ(ZX_OP_ADD_RMSNORM, &fused);
        const bool same =
            testing_same(&fused.outputs[0], &f.normed) && testing_same(&fused.outputs[1], &f.sum);
        testing_free(fused.outputs[0].data);
        testing_free(fused.outputs[1].data);
        close_fixture(&f);
        CHECK_ON(differs, differs == NULL);
        CHECK(added && normed && same);
    }
}

/* What ends in quantize gives the integers of the normed row. */
TEST(rmsnorm_quantize_is_rmsnorm_then_quantize)
{
    static const zx_activation_layout layouts[] = {
        {1, ZX_ORDER_NATURAL, 32}, {2, ZX_ORDER_EVEN_ODD, 64}, {2, ZX_ORDER_NATURAL, 128}};
    for (size_t i = 0; i < 2 * 3 * DTYPES; i++) {
        const bool adds = i % 2 != 0;
        const zx_activation_layout layout = layouts[i / 2 % 3];
        fixture f;
        open_fixture(dtypes[i / 6], ZX_BF16, layout.group * (size_t)5, &f);
        f.attributes.layout = layout;
        zx_launch plain = {.inputs = {f.x, {.weight = &f.weight}},
                           .outputs = {f.normed, f.sum},
                           .attributes = &f.attributes};
        if (adds) {
            plain.inputs[2] = plain.inputs[1];
            plain.inputs[1] = f.residual;
        }
        const bool ran =
            testing_run(zx_kernel_reference(adds ? ZX_OP_ADD_RMSNORM : ZX_OP_RMSNORM), &plain);
        const zx_operand wanted = testing_operand(ZX_QUANTIZED, layout, ROWS, f.x.columns, 64);
        const zx_launch quantize = {
            .inputs = {f.normed}, .outputs = {wanted}, .attributes = &f.attributes};
        const bool quantized = testing_run(zx_kernel_reference(ZX_OP_QUANTIZE), &quantize);
        zx_launch fused = plain;
        fused.outputs[0] = testing_operand(ZX_QUANTIZED, layout, ROWS, f.x.columns, 64);
        fused.outputs[1] = testing_operand(f.x.dtype, not_quantized, ROWS, f.x.columns, 8);
        const char *differs =
            testing_rows_differ(adds ? ZX_OP_ADD_RMSNORM_QUANTIZE : ZX_OP_RMSNORM_QUANTIZE, &fused);
        const bool same = testing_same(&fused.outputs[0], &wanted) &&
                          (!adds || testing_same(&fused.outputs[1], &f.sum));
        testing_free(fused.outputs[0].data);
        testing_free(fused.outputs[1].data);
        testing_free(wanted.data);
        close_fixture(&f);
        CHECK_ON(differs, differs == NULL);
        CHECK(ran && quantized && same);
    }
}
