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

/* One run of values in double: rmsnorm or layernorm. */
static void norm_in_double(const fixture *f, bool centered, const char *x, size_t first,
                           size_t size, double *wanted)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; centered && i < size; i++)
        mean += (double)zx_load(f->x.dtype, x, first + i) / (double)size;
    for (size_t i = 0; i < size; i++)
        squares += pow((double)zx_load(f->x.dtype, x, first + i) - mean, 2);
    const double scale = 1 / sqrt(squares / (double)size + (double)f->attributes.epsilon);
    for (size_t i = 0; i < size; i++) {
        const double weight =
            (double)zx_load(f->weights.dtype, f->weights.data, i) + (double)f->attributes.offset;
        wanted[i] = ((double)zx_load(f->x.dtype, x, first + i) - mean) * scale * weight;
        if (f->weight.bias != NULL)
            wanted[i] += (double)zx_load(f->weight.bias_dtype, f->weight.bias, i);
    }
}

/* The largest error of runs of 'size', relative to 1 + the value wanted. */
static double run_error(const fixture *f, bool centered, size_t size)
{
    double largest = 0, wanted[2048];
    for (size_t row = 0; row < ROWS; row++)
        for (size_t first = 0; first < f->x.columns; first += size) {
            const char *x = (char *)f->x.data + row * f->x.stride;
            const char *y = (char *)f->normed.data + row * f->normed.stride;
            norm_in_double(f, centered, x, first, size, wanted);
            for (size_t i = 0; i < size; i++) {
                const double got = (double)zx_load(f->x.dtype, y, first + i);
                const double error = fabs(got - wanted[i]) / (1 + fabs(wanted[i]));
                largest = isnan(error) || error > largest ? error : largest;
            }
        }
    return largest;
}

typedef struct variant {
    zx_op op;
    zx_attributes attributes;
    size_t heads; /* 0: the row is one run */
    bool bias;
} variant;

TEST(norm_variants_return_the_formula)
{
    static const double bounds[] = {[ZX_F32] = 2e-6, [ZX_F16] = 2e-3, [ZX_BF16] = 1.6e-2};
    static const variant variants[] = {
        {ZX_OP_RMSNORM, {.epsilon = 1e-5F, .offset = 1, .wide = true}, 0, false},
        {ZX_OP_RMSNORM, {.epsilon = 1e-5F, .wide = true}, 0, false},
        {ZX_OP_HEAD_RMSNORM, {.epsilon = 1e-5F, .head_size = 40}, 3, false},
        {ZX_OP_HEAD_RMSNORM, {.epsilon = 1e-5F, .head_size = 128, .offset = 1}, 2, false},
        {ZX_OP_LAYERNORM, {.epsilon = 1e-5F}, 0, true},
        {ZX_OP_LAYERNORM, {.epsilon = 1e-5F, .offset = 1}, 0, false},
    };
    for (size_t i = 0; i < sizeof variants / sizeof variants[0] * DTYPES; i++) {
        const variant *v = &variants[i / DTYPES];
        const size_t size = v->heads > 0 ? v->attributes.head_size : 333;
        fixture f;
        open_fixture(dtypes[i % DTYPES], dtypes[(i + 1) % DTYPES],
                     v->heads > 0 ? size * v->heads : size, &f);
        f.attributes = v->attributes;
        f.weight.columns = size;
        if (v->bias) {
            f.weight.bias = f.residual.data;
            f.weight.bias_dtype = f.residual.dtype;
        }
        const zx_launch launch = {.inputs = {f.x, {.weight = &f.weight}},
                                  .outputs = {f.normed},
                                  .attributes = &f.attributes};
        const char *differs = testing_rows_differ(v->op, &launch);
        const double error = run_error(&f, v->op == ZX_OP_LAYERNORM, size);
        close_fixture(&f);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(zx_ops[v->op].text, error < bounds[dtypes[i % DTYPES]]);
    }
}

/* A fused op and what it stands for: perhaps RMSNorm, perhaps add, perhaps a norm, perhaps
 * quantize. */
typedef struct kin {
    zx_op op;
    bool first, adds;
    zx_op last; /* ZX_OP_COUNT: none */
    bool quantizes;
} kin;

static const kin kins[] = {
    {ZX_OP_ADD_RMSNORM, false, true, ZX_OP_RMSNORM, false},
    {ZX_OP_RMSNORM_QUANTIZE, false, false, ZX_OP_RMSNORM, true},
    {ZX_OP_ADD_RMSNORM_QUANTIZE, false, true, ZX_OP_RMSNORM, true},
    {ZX_OP_LAYERNORM_QUANTIZE, false, false, ZX_OP_LAYERNORM, true},
    {ZX_OP_ADD_LAYERNORM, false, true, ZX_OP_LAYERNORM, false},
    {ZX_OP_ADD_LAYERNORM_QUANTIZE, false, true, ZX_OP_LAYERNORM, true},
    {ZX_OP_RMSNORM_ADD, true, true, ZX_OP_COUNT, false},
    {ZX_OP_RMSNORM_ADD_RMSNORM, true, true, ZX_OP_RMSNORM, false},
    {ZX_OP_RMSNORM_ADD_RMSNORM_QUANTIZE, true, true, ZX_OP_RMSNORM, true},
};

static zx_operand new_rows(const fixture *f, bool quantized)
{
    return quantized ? testing_operand(ZX_QUANTIZED, f->attributes.layout, ROWS, f->x.columns, 64)
                     : testing_operand(f->x.dtype, not_quantized, ROWS, f->x.columns, 8);
}

/* One unfused op on its reference: y of x and another operand, new rows. */
static zx_operand apply(const fixture *f, zx_op op, const zx_operand *x, zx_operand other,
                        bool *ran)
{
    const zx_launch launch = {.inputs = {*x, other},
                              .outputs = {new_rows(f, op == ZX_OP_QUANTIZE)},
                              .attributes = &f->attributes};
    *ran = *ran && testing_run(zx_kernel_reference(op), &launch);
    return launch.outputs[0];
}

/* The rows that the unfused ops give: of the last op, and of the sum. */
static bool run_unfused(const fixture *f, const kin *k, const zx_weight *second, zx_operand *y,
                        zx_operand *sum)
{
    zx_operand at[5] = {f->x};
    size_t count = 0;
    bool ran = true;
    *sum = (zx_operand){0};
    if (k->first) {
        at[count + 1] =
            apply(f, ZX_OP_RMSNORM, &at[count], (zx_operand){.weight = &f->weight}, &ran);
        count++;
    }
    if (k->adds) {
        *sum = at[count + 1] = apply(f, ZX_OP_ADD, &at[count], f->residual, &ran);
        count++;
    }
    if (k->last != ZX_OP_COUNT) {
        const zx_weight *weight = k->first ? second : &f->weight;
        at[count + 1] = apply(f, k->last, &at[count], (zx_operand){.weight = weight}, &ran);
        count++;
    }
    if (k->quantizes) {
        at[count + 1] = apply(f, ZX_OP_QUANTIZE, &at[count], (zx_operand){0}, &ran);
        count++;
    }
    *y = at[count];
    for (size_t i = 1; i < count; i++)
        if (at[i].data != sum->data) testing_free(at[i].data);
    return ran;
}

/* Every row of the fused op against its reference, and that against the unfused ops. */
static bool fused_as_unfused(const fixture *f, const kin *k, const zx_weight *second,
                             const char **differs)
{
    const size_t outputs = (size_t)zx_ops[k->op].outputs;
    zx_operand y, sum;
    zx_launch fused = {.inputs = {f->x}, .attributes = &f->attributes};
    size_t count = 1;
    bool same = run_unfused(f, k, second, &y, &sum);
    if (k->first) fused.inputs[count++].weight = &f->weight;
    if (k->adds) fused.inputs[count++] = f->residual;
    if (k->last != ZX_OP_COUNT) fused.inputs[count++].weight = k->first ? second : &f->weight;
    fused.outputs[0] = new_rows(f, k->quantizes);
    if (outputs > 1) fused.outputs[1] = new_rows(f, false);
    *differs = testing_rows_differ(k->op, &fused);
    same = same && testing_same(&fused.outputs[0], &y);
    if (outputs > 1) same = same && testing_same(&fused.outputs[1], &sum);
    testing_free(fused.outputs[0].data);
    testing_free(fused.outputs[1].data);
    if (sum.data != y.data) testing_free(sum.data);
    testing_free(y.data);
    return same;
}

TEST(fused_norms_are_the_ops_they_stand_for)
{
    static const zx_activation_layout layouts[] = {
        {1, ZX_ORDER_NATURAL, 32, 0}, {2, ZX_ORDER_EVEN_ODD, 64, 0}, {2, ZX_ORDER_NATURAL, 128, 0}};
    for (size_t i = 0; i < sizeof kins / sizeof kins[0] * DTYPES * WIDTHS; i++) {
        const kin *k = &kins[i / DTYPES / WIDTHS];
        const zx_activation_layout layout = layouts[i % 3];
        const size_t width = k->quantizes ? layout.group * (size_t)5 : widths[i % WIDTHS];
        fixture f;
        open_fixture(dtypes[i / WIDTHS % DTYPES], dtypes[i % DTYPES], width, &f);
        f.attributes.offset = i % 2 == 0 ? 1 : 0;
        if (k->quantizes) f.attributes.layout = layout;
        const zx_operand values = testing_random(ZX_F32, 1, width, 2);
        zx_weight second = testing_weight(&values);
        if (k->last == ZX_OP_LAYERNORM && i % 4 < 2) {
            f.weight.bias = values.data;
            f.weight.bias_dtype = ZX_F32;
        }
        const char *differs = NULL;
        const bool same = fused_as_unfused(&f, k, &second, &differs);
        testing_free(values.data);
        close_fixture(&f);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(zx_ops[k->op].text, same);
    }
}
