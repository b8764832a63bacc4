/* elementwise_test.c - add, mul, silu, swiglu: the formulas, every row, and fused as unfused. */
#include "kernels/rows_testing.h"
#include "kernels/vmath.h"

static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
static const size_t widths[] = {1, 15, 16, 17, 64, 511, 512, 513, 1536, 5000};
static const zx_activation_layout not_quantized = {0};

enum { DTYPES = sizeof dtypes / sizeof dtypes[0], WIDTHS = sizeof widths / sizeof widths[0] };

static zx_launch open_launch(zx_dtype dtype, size_t rows, size_t columns)
{
    return (zx_launch){.inputs = {testing_random(dtype, rows, columns, 8),
                                  testing_random(dtype, rows, columns, 8)},
                       .outputs = {testing_operand(dtype, not_quantized, rows, columns, 16)}};
}

static void close_launch(zx_launch *launch)
{
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++) testing_free(launch->inputs[i].data);
    for (size_t i = 0; i < ZX_MAX_OUTPUTS; i++) testing_free(launch->outputs[i].data);
}

static float formula(zx_op op, zx_dtype dtype, float a, float b)
{
    if (op == ZX_OP_ADD) return zx_round_to(dtype, a + b);
    if (op == ZX_OP_MUL) return zx_round_to(dtype, a * b);
    const float silu = zx_round_to(dtype, a * zx_sigmoid(a));
    return op == ZX_OP_SILU ? silu : zx_round_to(dtype, silu * b);
}

/* The first wrong element of the reference, or -1. */
static long first_wrong(zx_op op, const zx_launch *launch)
{
    const zx_operand *a = &launch->inputs[0], *b = &launch->inputs[1], *y = &launch->outputs[0];
    for (size_t i = 0; i < a->rows * a->columns; i++) {
        const size_t row = i / a->columns, column = i % a->columns;
        const float left = zx_load(a->dtype, (char *)a->data + row * a->stride, column);
        const float right = zx_load(b->dtype, (char *)b->data + row * b->stride, column);
        const float got = zx_load(y->dtype, (char *)y->data + row * y->stride, column);
        const float wanted = formula(op, y->dtype, left, right);
        if (zx_bits_from_float(got) != zx_bits_from_float(wanted) && !(isnan(got) && isnan(wanted)))
            return (long)i;
    }
    return -1;
}

TEST(elementwise_rows_return_the_formula)
{
    static const zx_op ops[] = {ZX_OP_ADD, ZX_OP_MUL, ZX_OP_SILU, ZX_OP_SWIGLU};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0] * DTYPES * WIDTHS; i++) {
        const zx_op op = ops[i / (DTYPES * WIDTHS)];
        zx_launch launch = open_launch(dtypes[i / WIDTHS % DTYPES], 3, widths[i % WIDTHS]);
        zx_store(launch.inputs[0].dtype, launch.inputs[0].data, 0, i % 2 == 0 ? NAN : -INFINITY);
        const char *differs = testing_rows_differ(op, &launch);
        const long wrong = first_wrong(op, &launch);
        close_launch(&launch);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(zx_ops[op].text, wrong == -1);
    }
}

TEST(elementwise_may_write_its_input)
{
    for (size_t i = 0; i < 2 * zx_kernel_count; i++) {
        const zx_kernel *kernel = &zx_kernels[i / 2];
        if (kernel->op != ZX_OP_SWIGLU || !zx_kernel_usable(kernel)) continue;
        zx_launch launch = open_launch(dtypes[i % 2], 2, 700);
        const bool ran = testing_run(kernel, &launch);
        zx_launch in_place = launch;
        in_place.outputs[0] = launch.inputs[0];
        const bool ran_in_place = testing_run(kernel, &in_place);
        const bool same = testing_same(&launch.outputs[0], &launch.inputs[0]);
        close_launch(&launch);
        CHECK_ON(kernel->name, ran && ran_in_place && same);
    }
}

TEST(swiglu_quantize_is_swiglu_then_quantize)
{
    static const zx_activation_layout layouts[] = {
        {1, ZX_ORDER_NATURAL, 32}, {2, ZX_ORDER_EVEN_ODD, 64}, {2, ZX_ORDER_NATURAL, 128}};
    for (size_t i = 0; i < 3 * DTYPES; i++) {
        const zx_activation_layout layout = layouts[i % 3];
        const size_t columns = layout.group * (size_t)7;
        zx_launch launch = open_launch(dtypes[i / 3], 4, columns);
        const bool ran = testing_run(zx_kernel_reference(ZX_OP_SWIGLU), &launch);
        const zx_attributes attributes = {.layout = layout};
        zx_launch second = {.inputs = {launch.outputs[0]},
                            .outputs = {testing_operand(ZX_QUANTIZED, layout, 4, columns, 64)},
                            .attributes = &attributes};
        const bool quantized = testing_run(zx_kernel_reference(ZX_OP_QUANTIZE), &second);
        zx_launch fused = launch;
        fused.attributes = &attributes;
        fused.outputs[0] = testing_operand(ZX_QUANTIZED, layout, 4, columns, 64);
        const char *differs = testing_rows_differ(ZX_OP_SWIGLU_QUANTIZE, &fused);
        const bool same = testing_same(&fused.outputs[0], &second.outputs[0]);
        testing_free(fused.outputs[0].data);
        testing_free(second.outputs[0].data);
        close_launch(&launch);
        CHECK_ON(differs, differs == NULL);
        CHECK(ran && quantized && same);
    }
}
