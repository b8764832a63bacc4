/* matmul.c - which launches the blocked matmul kernels take, whatever their instruction set. */
#include "kernels/matmul/matmul.h"

#include "kernels/matmul/strips.h"

/* Whether every matrix has at least a strip of rows and fits x. */
static bool fits(const zx_matmul *matmul)
{
    const size_t columns = matmul->x->columns;
    for (size_t i = 0; i < matmul->matrices; i++) {
        const zx_weight *weight = matmul->weights[i];
        if (weight->rows < ZX_STRIP || weight->columns != columns || columns == 0) return false;
    }
    return !matmul->gated || matmul->weights[0]->rows == matmul->weights[1]->rows;
}

/* Whether the integer kernels can take the launch: x is quantized the way every weight wants. */
static bool takes_integers(const zx_matmul *matmul)
{
    const zx_operand *x = matmul->x;
    if (x->dtype != ZX_QUANTIZED || !fits(matmul)) return false;
    for (size_t i = 0; i < matmul->matrices; i++) {
        const zx_precision precision = x->layout.planes == 1 ? ZX_PRECISION_Q8 : ZX_PRECISION_Q16;
        const zx_activation_layout wanted = zx_weight_layout(matmul->weights[i], precision);
        if (wanted.planes != x->layout.planes || wanted.group != x->layout.group ||
            wanted.order != x->layout.order)
            return false;
    }
    return true;
}

/* Whether the f32 kernels can. */
static bool takes_floats(const zx_matmul *matmul)
{
    return matmul->x->dtype != ZX_QUANTIZED && fits(matmul);
}

/* Whether x and a matrix are bf16: the products of such a matrix are the dot kernels', always. */
static bool takes_dots(const zx_matmul *matmul)
{
    const zx_operand *x = matmul->x;
    bool any = false;
    if (x->dtype != ZX_BF16 || x->columns == 0) return false;
    for (size_t i = 0; i < matmul->matrices; i++) {
        const zx_weight *weight = matmul->weights[i];
        if (weight->rows == 0 || weight->columns != x->columns) return false;
        any = any || weight->format == ZX_FORMAT_BF16;
    }
    return any && (!matmul->gated || matmul->weights[0]->rows == matmul->weights[1]->rows);
}

bool zx_applies_matmul_integers(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_plain(launch);
    return takes_integers(&matmul);
}

bool zx_applies_matmul_add_integers(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_with_residual(launch);
    return takes_integers(&matmul);
}

bool zx_applies_matmul_qkv_integers(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_three(launch);
    return takes_integers(&matmul);
}

bool zx_applies_matmul_glu_integers(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_gated(launch);
    return takes_integers(&matmul);
}

bool zx_applies_matmul_floats(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_plain(launch);
    return takes_floats(&matmul);
}

bool zx_applies_matmul_short(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_plain(launch);
    const zx_weight *weight = matmul.weights[0];
    return matmul.x->dtype != ZX_QUANTIZED && weight->rows > 0 && weight->rows < ZX_STRIP &&
           weight->columns == matmul.x->columns;
}

bool zx_applies_matmul_add_floats(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_with_residual(launch);
    return takes_floats(&matmul);
}

bool zx_applies_matmul_qkv_floats(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_three(launch);
    return takes_floats(&matmul);
}

bool zx_applies_matmul_glu_floats(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_gated(launch);
    return takes_floats(&matmul);
}

bool zx_applies_matmul_dots(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_plain(launch);
    return takes_dots(&matmul);
}

bool zx_applies_matmul_add_dots(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_with_residual(launch);
    return takes_dots(&matmul);
}

bool zx_applies_matmul_qkv_dots(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_three(launch);
    return takes_dots(&matmul);
}

bool zx_applies_matmul_glu_dots(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_gated(launch);
    return takes_dots(&matmul);
}
