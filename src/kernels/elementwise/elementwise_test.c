/* elementwise_test.c - ops on single elements: the formulas, every row, and fused as unfused. */
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

typedef struct op_case {
    zx_op op;
    zx_attributes attributes;
    float (*formula)(zx_dtype dtype, float a, float b); /* rounded once more by the caller */
} op_case;

static float sum(zx_dtype dtype, float a, float b)
{
    (void)dtype;
    return a + b;
}

static float product(zx_dtype dtype, float a, float b)
{
    (void)dtype;
    return a * b;
}

static float scaled(zx_dtype dtype, float a, float b)
{
    (void)dtype, (void)b;
    return a * 0.3F;
}

static float capped(zx_dtype dtype, float a, float b)
{
    (void)dtype, (void)b;
    return 3.0F * zx_tanh(a / 3.0F);
}

static float clamped(zx_dtype dtype, float a, float b)
{
    (void)dtype;
    const float g = a > 2.0F ? 2.0F : a, low = b > 2.0F ? 2.0F : b, u = low < -2.0F ? -2.0F : low;
    return (u + 1.0F) * (g * zx_sigmoid(1.7F * g));
}

#define ACTIVATION(id, text, function)                      \
    static float id(zx_dtype dtype, float a, float b)       \
    {                                                       \
        (void)dtype, (void)b;                               \
        return zx_##function(a);                            \
    }                                                       \
    static float id##_glu(zx_dtype dtype, float a, float b) \
    {                                                       \
        return zx_round_to(dtype, zx_##function(a)) * b;    \
    }
#include "graph/activations.def"
#undef ACTIVATION

static const op_case op_cases[] = {
    {ZX_OP_ADD, {0}, sum},
    {ZX_OP_MUL, {0}, product},
    {ZX_OP_MUL_ROWS, {0}, product},
    {ZX_OP_SCALE, {.scale = 0.3F}, scaled},
    {ZX_OP_SOFTCAP, {.limit = 3}, capped},
    {ZX_OP_CLAMPED_GLU, {.limit = 2, .alpha = 1.7F}, clamped},
#define ACTIVATION(id, text, function)                          \
    {ZX_OP_ACTIVATION, {.activation = ZX_ACTIVATION_##id}, id}, \
        {ZX_OP_GLU, {.activation = ZX_ACTIVATION_##id}, id##_glu},
#include "graph/activations.def"
#undef ACTIVATION
};

enum { OP_CASES = sizeof op_cases / sizeof op_cases[0] };

/* The first wrong element of the reference, or -1. */
static long first_wrong(const op_case *row, const zx_launch *launch)
{
    const zx_operand *a = &launch->inputs[0], *b = &launch->inputs[1], *y = &launch->outputs[0];
    for (size_t i = 0; i < a->rows * a->columns; i++) {
        const size_t at = i / a->columns, column = i % a->columns;
        const size_t other = row->op == ZX_OP_MUL_ROWS ? 0 : column;
        const float left = zx_load(a->dtype, (char *)a->data + at * a->stride, column);
        const float right = zx_load(b->dtype, (char *)b->data + at * b->stride, other);
        const float got = zx_load(y->dtype, (char *)y->data + at * y->stride, column);
        const float wanted = zx_round_to(y->dtype, row->formula(y->dtype, left, right));
        if (zx_bits_from_float(got) != zx_bits_from_float(wanted) && !(isnan(got) && isnan(wanted)))
            return (long)i;
    }
    return -1;
}

TEST(elementwise_rows_return_the_formula)
{
    for (size_t i = 0; i < OP_CASES * DTYPES * WIDTHS; i++) {
        const op_case *row = &op_cases[i / (DTYPES * WIDTHS)];
        zx_launch launch = open_launch(dtypes[i / WIDTHS % DTYPES], 3, widths[i % WIDTHS]);
        launch.attributes = &row->attributes;
        if (row->op == ZX_OP_MUL_ROWS) launch.inputs[1].columns = 1;
        zx_store(launch.inputs[0].dtype, launch.inputs[0].data, 0, i % 2 == 0 ? NAN : -INFINITY);
        const char *differs = testing_rows_differ(row->op, &launch);
        const long wrong = first_wrong(row, &launch);
        close_launch(&launch);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(zx_ops[row->op].text, wrong == -1);
    }
}

/* A row a position: the scale stands still within a period and grows from one to the next. */
TEST(position_scale_follows_the_logarithm_of_the_period)
{
    static const int32_t positions[] = {0, 6, 7, 13, 14, 700, 70000, 16777217, INT32_MAX};
    enum { ROWS = sizeof positions / sizeof positions[0] };
    static const zx_attributes attributes = {.beta = 0.3F, .period = 7};
    const zx_batch batch = {.tokens = ROWS, .positions = positions};
    for (size_t i = 0; i < DTYPES * WIDTHS; i++) {
        zx_launch launch = open_launch(dtypes[i / WIDTHS], ROWS, widths[i % WIDTHS]);
        launch.attributes = &attributes;
        launch.batch = &batch;
        const char *differs = testing_rows_differ(ZX_OP_POSITION_SCALE, &launch);
        const zx_operand *x = &launch.inputs[0], *y = &launch.outputs[0];
        bool right = true;
        for (size_t row = 0; row < ROWS; row++) {
            const float turns = floorf((float)positions[row] / 7.0F);
            const float factor = zx_round_to(y->dtype, 1.0F + 0.3F * zx_log(1.0F + turns));
            right = right && (factor > 1) == (row > 1);
            for (size_t k = 0; k < x->columns; k++) {
                const float a = zx_load(x->dtype, (char *)x->data + row * x->stride, k);
                const float got = zx_load(y->dtype, (char *)y->data + row * y->stride, k);
                right = right && zx_bits_from_float(got) ==
                                     zx_bits_from_float(zx_round_to(y->dtype, a * factor));
            }
        }
        close_launch(&launch);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(zx_dtypes[dtypes[i / WIDTHS]].name, right);
    }
}

static const zx_attributes silu = {.activation = ZX_ACTIVATION_SILU};

TEST(elementwise_may_write_its_input)
{
    for (size_t i = 0; i < 2 * zx_kernel_count; i++) {
        const zx_kernel *kernel = &zx_kernels[i / 2];
        if (kernel->op != ZX_OP_GLU || !zx_kernel_usable(kernel)) continue;
        zx_launch launch = open_launch(dtypes[i % 2], 2, 700);
        launch.attributes = &silu;
        const bool ran = testing_run(kernel, &launch);
        zx_launch in_place = launch;
        in_place.outputs[0] = launch.inputs[0];
        const bool ran_in_place = testing_run(kernel, &in_place);
        const bool same = testing_same(&launch.outputs[0], &launch.inputs[0]);
        close_launch(&launch);
        CHECK_ON(kernel->name, ran && ran_in_place && same);
    }
}

TEST(glu_quantize_is_glu_then_quantize)
{
    static const zx_activation_layout layouts[] = {
        {1, ZX_ORDER_NATURAL, 32, 0}, {2, ZX_ORDER_EVEN_ODD, 64, 0}, {2, ZX_ORDER_NATURAL, 128, 0}};
    for (size_t i = 0; i < 3 * DTYPES; i++) {
        const zx_activation_layout layout = layouts[i % 3];
        const size_t columns = layout.group * (size_t)7;
        zx_launch launch = open_launch(dtypes[i / 3], 4, columns);
        launch.attributes = &silu;
        const bool ran = testing_run(zx_kernel_reference(ZX_OP_GLU), &launch);
        const zx_attributes attributes = {.layout = layout, .activation = ZX_ACTIVATION_SILU};
        zx_launch second = {.inputs = {launch.outputs[0]},
                            .outputs = {testing_operand(ZX_QUANTIZED, layout, 4, columns, 64)},
                            .attributes = &attributes};
        const bool quantized = testing_run(zx_kernel_reference(ZX_OP_QUANTIZE), &second);
        zx_launch fused = launch;
        fused.attributes = &attributes;
        fused.outputs[0] = testing_operand(ZX_QUANTIZED, layout, 4, columns, 64);
        const char *differs = testing_rows_differ(ZX_OP_GLU_QUANTIZE, &fused);
        const bool same = testing_same(&fused.outputs[0], &second.outputs[0]);
        testing_free(fused.outputs[0].data);
        testing_free(second.outputs[0].data);
        close_launch(&launch);
        CHECK_ON(differs, differs == NULL);
        CHECK(ran && quantized && same);
    }
}
