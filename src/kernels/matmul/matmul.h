/* matmul.h - what the matmul kernels share: the four ops seen as one, and what happens to a sum
 * before it is stored.
 *
 * MATMUL, MATMUL_ADD, MATMUL_QKV and MATMUL_GLU all multiply one x with one or more matrices;
 * they differ only in how many, in a residual, and in whether two of them end in one output. */
#ifndef ZX_KERNELS_MATMUL_MATMUL_H
#define ZX_KERNELS_MATMUL_MATMUL_H

#include "kernels/activations.h"
#include "kernels/kernels.h"

enum { ZX_MATMUL_MATRICES = 3 };

/* A launch of any of the four ops. */
typedef struct zx_matmul {
    const zx_launch *launch;
    const zx_operand *x;
    size_t matrices;
    const zx_weight *weights[ZX_MATMUL_MATRICES];
    const zx_operand *outputs[ZX_MATMUL_MATRICES];
    const zx_operand *residual; /* or NULL */
    bool gated;                 /* matrices 0 and 1 are gate and up, of the same rows */
    zx_activation activation;   /* of the gate */
} zx_matmul;

static inline zx_matmul zx_matmul_plain(const zx_launch *launch)
{
    return (zx_matmul){.launch = launch,
                       .x = &launch->inputs[0],
                       .matrices = 1,
                       .weights = {launch->inputs[1].weight},
                       .outputs = {&launch->outputs[0]}};
}

static inline zx_matmul zx_matmul_with_residual(const zx_launch *launch)
{
    zx_matmul matmul = zx_matmul_plain(launch);
    matmul.residual = &launch->inputs[2];
    return matmul;
}

static inline zx_matmul zx_matmul_three(const zx_launch *launch)
{
    zx_matmul matmul = {.launch = launch, .x = &launch->inputs[0], .matrices = 3};
    for (size_t i = 0; i < 3; i++) {
        matmul.weights[i] = launch->inputs[1 + i].weight;
        matmul.outputs[i] = &launch->outputs[i];
    }
    return matmul;
}

static inline zx_matmul zx_matmul_gated(const zx_launch *launch)
{
    zx_matmul matmul = zx_matmul_plain(launch);
    matmul.matrices = 2;
    matmul.weights[1] = launch->inputs[2].weight;
    matmul.outputs[1] = &launch->outputs[0];
    matmul.gated = true;
    matmul.activation = launch->attributes->activation;
    return matmul;
}

/* One matmul within a larger kernel, on the calling thread. */
static inline zx_launch zx_matmul_within(zx_operand x, const zx_weight *weight, zx_operand y)
{
    return (zx_launch){.inputs = {x,
                                  {.rows = weight->rows,
                                   .columns = weight->columns,
                                   .dtype = weight->dtype,
                                   .weight = weight}},
                       .outputs = {y}};
}

/* y of row 'row' of a matrix, from its sum: rounded, the bias added, rounded. */
static inline float zx_matmul_biased(zx_dtype dtype, const zx_weight *weight, size_t row, float sum)
{
    const float y = zx_round_to(dtype, sum);
    if (weight->bias == NULL) return y;
    return zx_round_to(dtype, y + zx_load(weight->bias_dtype, weight->bias, row));
}

/* RN_T(RN_T(activation(gate)) * up) */
static inline float zx_matmul_gate(zx_dtype dtype, zx_activation activation, float gate, float up)
{
    zx_activation_of(activation)(&gate, 1, &gate);
    return zx_round_to(dtype, zx_round_to(dtype, gate) * up);
}

/* Of kernels.def's 'applies': the launch fits the blocked kernels, which take activations quantized
 * the way every weight wants, or not quantized at all. */
bool zx_applies_matmul_integers(const zx_launch *launch);
bool zx_applies_matmul_add_integers(const zx_launch *launch);
bool zx_applies_matmul_qkv_integers(const zx_launch *launch);
bool zx_applies_matmul_glu_integers(const zx_launch *launch);
bool zx_applies_matmul_floats(const zx_launch *launch);
bool zx_applies_matmul_add_floats(const zx_launch *launch);
bool zx_applies_matmul_qkv_floats(const zx_launch *launch);
bool zx_applies_matmul_glu_floats(const zx_launch *launch);

/* x is bf16, and so is a matrix. */
bool zx_applies_matmul_dots(const zx_launch *launch);
bool zx_applies_matmul_add_dots(const zx_launch *launch);
bool zx_applies_matmul_qkv_dots(const zx_launch *launch);
bool zx_applies_matmul_glu_dots(const zx_launch *launch);

#endif
