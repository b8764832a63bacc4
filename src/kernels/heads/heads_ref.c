/* heads_ref.c - ops that take a row as heads side by side.  Normative:
 *
 *   columns      head_size values a head; of each, those from 'first' on, 'size' of them, stay
 *   join         every head of a (head_size values) is followed by the same head of b
 *   head_matmul  the weight's rows (of all its matrices, one after the other) are 'head_size' a
 *                head, of which those from 'first' on, 'size' of them, are used
 *     plain        y_h[n] = RN_T(sum_k x_h[k] W_h[n][k]), the sum in the row-sum order
 *     transposed   y_h[k] = RN_T(sum_n x_h[n] W_h[n][k]), n ascending with FMA, from 0
 *
 * Every CPU kernel of these ops returns these bits. */
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_ref
#include "kernels/heads/heads_body.h"

size_t zx_scratch_head_matmul(const zx_launch *launch)
{
    const zx_weight *weight = launch->inputs[1].weight;
    const size_t heads = weight->count * weight->rows / launch->attributes->head_size;
    const size_t most = launch->inputs[0].columns / heads + launch->outputs[0].columns / heads;
    const size_t floats = weight->columns + launch->inputs[0].rows * most;
    return zx_pool_threads(launch->pool) * floats * sizeof(float);
}
