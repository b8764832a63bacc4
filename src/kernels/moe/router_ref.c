/* router_ref.c - which experts a token goes to, with which weights, and how their outputs become
 * one.  Normative; scores are f32, every step is rounded to f32:
 *   softmax         y_i = e_i / sum_j e_j,  e_i = exp(x_i - max_j x_j), NaN left out of the
 *                   maximum; the sum has sixteen partial sums by index mod 16, each ascending, then
 *                   added at distance 8, 4, 2, 1
 *   sigmoid_scores  y = sigmoid(x) as vmath.h has it
 *   add_row         y_i = x_i + weight_i
 *   group_limit     the row is 'groups' groups of equal size.  A group's score is the sum of its
 *                   two largest values (of one: the value).  The 'top_groups' groups of largest
 *                   score stay, of equal ones those that come first; values of others become
 *                   -infinity
 *   topk            the places of the top_k largest values in descending order, of equal values the
 *                   first; NaN counts as less than everything
 *   gather_scores   y_j = x[indices_j], x a row, or a vector of the model
 *   normalize       y_j = x_j / (sum + epsilon), the sum ascending from 0
 *   combine         x is one row of C columns for each of the k experts of a token, in the order of
 *                   topk:  y_c = RN_T(a_k),  a_0 = 0,  a_j = fma(weight_j, x_(j C + c), a_(j-1))
 * Every CPU kernel of these ops returns these bits. */
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_ref
#include "kernels/moe/router_body.h"

static float value(const zx_operand *x, size_t row, size_t index)
{
    return zx_load(x->dtype, zx_operand_row(x, row), index);
}

static void group_limit_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const zx_launch *launch = context;
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    size_t row, end;
    zx_split(x->rows, 1, part, parts, &row, &end);
    for (; row < end; row++)
        zx_group_limit_row(launch->attributes, zx_operand_row(x, row), x->columns,
                           zx_operand_row(y, row));
}

zmlx_status zx_group_limit_ref(const zx_launch *launch)
{
    zx_pool_run(launch->pool, zx_row_parts(launch), group_limit_rows, launch);
    return ZMLX_OK;
}

zmlx_status zx_add_row_ref(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    const zx_weight *weight = launch->inputs[1].weight;
    for (size_t row = 0; row < x->rows; row++) {
        float *const to = zx_operand_row(y, row);
        for (size_t i = 0; i < x->columns; i++)
            to[i] = value(x, row, i) + zx_load(weight->dtype, weight->codes, i);
    }
    return ZMLX_OK;
}

zmlx_status zx_topk_ref(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0], *y = &launch->outputs[0];
    for (size_t row = 0; row < x->rows; row++) {
        float *const buffer = launch->scratch;
        const float *scores = zx_row_load(x->dtype, zx_operand_row(x, row), x->columns, buffer);
        zx_topk_row(scores, x->columns, y->columns, zx_operand_row(y, row));
    }
    return ZMLX_OK;
}

zmlx_status zx_gather_scores_ref(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0], *indices = &launch->inputs[1];
    const zx_operand *y = &launch->outputs[0];
    const zx_weight *vector = x->weight;
    for (size_t row = 0; row < indices->rows; row++) {
        const int32_t *from = zx_operand_row(indices, row);
        float *const to = zx_operand_row(y, row);
        for (size_t j = 0; j < y->columns; j++)
            to[j] = vector != NULL ? zx_load(vector->dtype, vector->codes, (size_t)from[j])
                                   : value(x, row, (size_t)from[j]);
    }
    return ZMLX_OK;
}
