/* experts_ref.c - matmuls with the matrices of the experts that topk chose.  Normative:
 *   expert_matmul  slot j of a token, columns [j N, (j + 1) N) of y, is matmul's row (matmul_ref.c,
 *                  with the bias) of x and matrix indices_j of the weight, [N, C].  x has C columns
 *                  for all slots, or k slots of C columns, the j-th of which is meant.
 * Every CPU kernel of these ops returns these bits. */
#include "base/fail.h"
#include "kernels/moe/experts.h"

static zx_experts plain(const zx_launch *launch)
{
    return (zx_experts){.launch = launch,
                        .x = &launch->inputs[0],
                        .indices = &launch->inputs[1],
                        .y = &launch->outputs[0],
                        .matrices = 1,
                        .weights = {launch->inputs[2].weight}};
}

/* Bytes of scratch for the matmuls of one row. */
static size_t matmul_bytes(const zx_experts *experts)
{
    const zx_weight matrix = zx_weight_matrix(experts->weights[0], 0);
    const zx_launch one = zx_experts_matmul(zx_experts_slot(experts), &matrix, *experts->y);
    return zx_round_up(zx_kernel_reference(ZX_OP_MATMUL)->scratch(&one), 64);
}

size_t zx_scratch_expert_matmul_ref(const zx_launch *launch)
{
    const zx_experts experts = plain(launch);
    return matmul_bytes(&experts);
}

zmlx_status zx_expert_matmul_ref(const zx_launch *launch)
{
    const zx_experts experts = plain(launch);
    const zx_operand *y = experts.y;
    const size_t slots = experts.indices->columns, rows = experts.weights[0]->rows;
    zx_operand x = zx_experts_slot(&experts);
    for (size_t token = 0; token < y->rows; token++)
        for (size_t slot = 0; slot < slots; slot++) {
            const size_t index = zx_experts_index(&experts, token, slot);
            const zx_weight matrix = zx_weight_matrix(experts.weights[0], index);
            zx_operand to = *y;
            x.data = zx_experts_row(&experts, &x, token, slot);
            to.rows = 1;
            to.columns = rows;
            to.data = (char *)zx_operand_row(y, token) + slot * rows * zx_dtypes[y->dtype].bytes;
            zx_launch one = zx_experts_matmul(x, &matrix, to);
            one.scratch = launch->scratch;
            ZX_TRY(zx_kernel_reference(ZX_OP_MATMUL)->run(&one));
        }
    return ZMLX_OK;
}
