/* matmul_ref.c - y = x W^T: y_n of a row of x is its product with row n of the weight.  Normative,
 * T the output's dtype:
 *
 *   x of dtype f32, f16 or bf16:
 *     sum = sum_k x_k w_k in the row-sum order (sixteen partial sums by k mod 16, ascending, FMA,
 *           then added at distance 8, 4, 2, 1); w is decoded as quant/format.h says
 *   x quantized (quant/activation.h), the weight in its integer form, per group, ascending:
 *     t   = sum_i q_i x_i, an exact integer; with two planes x_i = 256 high_i + low_i
 *     AFFINE     sum = fma(bias_g, x's sum_g, sum), then sum = fma(RN(f32(t) * d_g), scale_g, sum)
 *     CENTERED   t = t - zero * total_g, then      sum = fma(RN(f32(t) * d_g), scale_g, sum)
 *
 *   y_n = RN_T(sum);  where the weight has a bias:  y_n = RN_T(y_n + bias_n)
 *
 *   matmul_add      RN_T(y_n + residual_n)
 *   matmul_qkv      three matmuls of one x
 *   matmul_glu      RN_T(RN_T(activation(gate_n)) * up_n), gate and up as y above
 *
 * A row of y depends on its row of x alone: not on how many rows there are, nor on threads or
 * tiles.  Every CPU kernel of these ops returns these bits, but for bf16 x with bf16 matrices where
 * the processor multiplies those itself (matmul_avx512bf16.c). */
#include "base/fail.h"
#include "kernels/matmul/matmul.h"
#include "kernels/rows.h"

enum { ROWS_OF_SCRATCH = 3 }; /* per thread: two decoded rows of weights, one of x */

/* A row of a weight, decoded or in its integer form. */
typedef struct weight_row {
    const zx_weight *weight;
    const zx_format_traits *traits;
    float *values;
    float *scales, *biases; /* integer form, per group */
    uint8_t *codes;
} weight_row;

static weight_row load_weight_row(const zx_weight *weight, size_t row, bool integers, float *memory)
{
    weight_row loaded = {.weight = weight, .traits = &zx_formats[weight->format]};
    if (!integers) {
        loaded.values = memory;
        loaded.traits->decode(weight, row, 0, weight->columns, memory);
        return loaded;
    }
    const size_t groups = zx_weight_groups(weight);
    loaded.scales = memory;
    loaded.biases = memory + groups;
    loaded.codes = (uint8_t *)(memory + 2 * groups);
    for (size_t group = 0; group < groups; group++)
        loaded.traits->codes(weight, row, group, loaded.codes + group * weight->group,
                             &loaded.scales[group], &loaded.biases[group]);
    return loaded;
}

/* Where column i of a group stands in its plane. */
static size_t place(zx_activation_layout layout, size_t i)
{
    if (layout.order == ZX_ORDER_NATURAL) return i;
    const size_t run = layout.group < 32 ? layout.group : 32;
    return i / run * run + i % 2 * (run / 2) + i % run / 2;
}

static float integer_sum(const weight_row *w, zx_activation_layout layout, void *row)
{
    const size_t size = w->weight->group, groups = zx_weight_groups(w->weight);
    const zx_activation_row x = zx_activation_parts(layout, w->weight->columns, row);
    float sum = 0;
    for (size_t group = 0; group < groups; group++) {
        int32_t high = 0, low = 0;
        for (size_t i = 0; i < size; i++) {
            const int32_t code = w->codes[group * size + i];
            const size_t at = group * size + place(layout, i);
            high += code * x.plane[0][at];
            if (layout.planes == 2) low += code * x.plane[1][at];
        }
        int32_t t = layout.planes == 2 ? 256 * high + low : high;
        if (w->traits->integer == ZX_INTEGER_AFFINE)
            sum = fmaf(w->biases[group], x.sum[group], sum);
        else
            t -= w->traits->zero * x.total[group];
        sum = fmaf((float)t * x.scale[group], w->scales[group], sum);
    }
    return sum;
}

static float sum_of(const weight_row *w, const zx_operand *x, size_t token, float *buffer)
{
    void *row = zx_operand_row(x, token);
    if (x->dtype == ZX_QUANTIZED) return integer_sum(w, x->layout, row);
    const float *values = zx_row_load(x->dtype, row, x->columns, buffer);
    return zx_row_dot(values, w->values, x->columns);
}

/* Output n of every row of x. */
static void run_output(const zx_matmul *matmul, size_t matrix, size_t n, float *scratch)
{
    const zx_operand *x = matmul->x, *y = matmul->outputs[matrix];
    const bool integers = x->dtype == ZX_QUANTIZED;
    float *const buffer = scratch + 2 * x->columns;
    const weight_row w = load_weight_row(matmul->weights[matrix], n, integers, scratch);
    weight_row up = {0};
    if (matmul->gated) {
        scratch += x->columns;
        up = load_weight_row(matmul->weights[1], n, integers, scratch);
    }
    for (size_t token = 0; token < x->rows; token++) {
        float value = zx_matmul_biased(y->dtype, w.weight, n, sum_of(&w, x, token, buffer));
        if (matmul->gated) {
            const float sum = sum_of(&up, x, token, buffer);
            value = zx_matmul_gate(y->dtype, matmul->activation, value,
                                   zx_matmul_biased(y->dtype, up.weight, n, sum));
        }
        if (matmul->residual != NULL) {
            const void *row = zx_operand_row(matmul->residual, token);
            value = value + zx_load(matmul->residual->dtype, row, n);
        }
        zx_store(y->dtype, zx_operand_row(y, token), n, value);
    }
}

/* The outputs of all matrices, one after the other. */
static size_t count_outputs(const zx_matmul *matmul)
{
    if (matmul->gated) return matmul->weights[0]->rows;
    size_t outputs = 0;
    for (size_t i = 0; i < matmul->matrices; i++) outputs += matmul->weights[i]->rows;
    return outputs;
}

static size_t scratch_floats(const zx_launch *launch)
{
    return ROWS_OF_SCRATCH * launch->inputs[0].columns;
}

size_t zx_scratch_matmul_ref(const zx_launch *launch)
{
    return zx_pool_threads(launch->pool) * scratch_floats(launch) * sizeof(float);
}

static void run_outputs(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    float *scratch = (float *)matmul->launch->scratch + thread * scratch_floats(matmul->launch);
    size_t output, end;
    zx_split(count_outputs(matmul), 1, part, parts, &output, &end);
    size_t matrix = 0, first = 0;
    for (; output < end; output++) {
        while (output - first >= matmul->weights[matrix]->rows)
            first += matmul->weights[matrix++]->rows;
        run_output(matmul, matrix, output - first, scratch);
    }
}

static zmlx_status run(const zx_matmul *matmul)
{
    for (size_t i = 0; i < matmul->matrices; i++) {
        const zx_weight *weight = matmul->weights[i];
        const zx_format_traits *traits = &zx_formats[weight->format];
        if (weight->columns != matmul->x->columns)
            return ZX_FAIL(ZMLX_ERROR_SHAPE, "matmul: x of %zu columns meets a weight of %zu",
                           matmul->x->columns, weight->columns);
        if (matmul->x->dtype != ZX_QUANTIZED) continue;
        if (traits->integer == ZX_INTEGER_NONE || matmul->x->layout.group != weight->group)
            return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                           "matmul: activations in groups of %u meet a %s weight in groups of %u",
                           matmul->x->layout.group, traits->name, weight->group);
    }
    zx_pool *pool = matmul->launch->pool;
    zx_pool_run(pool, 4 * zx_pool_threads(pool), run_outputs, matmul);
    return ZMLX_OK;
}

zmlx_status zx_matmul_ref(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_plain(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_add_ref(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_with_residual(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_qkv_ref(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_three(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_glu_ref(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_gated(launch);
    return run(&matmul);
}
