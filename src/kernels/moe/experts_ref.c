/* experts_ref.c - matmuls with the matrices of the experts that topk chose.  Normative:
 *   expert_matmul  slot j of a token, columns [j N, (j + 1) N) of y, is matmul's row (matmul_ref.c,
 *                  with the bias) of x and matrix indices_j of the weight, [N, C].  x has C columns
 *                  for all slots, or k slots of C columns, the j-th of which is meant.  A token may
 *                  name a matrix more than once.
 *   expert_glu, expert_clamped_glu
 *                  glu or clamped_glu (elementwise_ref.c) of expert_matmul of gate and of up
 *   expert_combine      combine (router_ref.c) of expert_matmul
 *   expert_combine_add  RN_T(that + residual)
 * Every CPU kernel of these ops returns these bits. */
#include "base/fail.h"
#include "kernels/elementwise/elementwise_rows.h"
#include "kernels/moe/experts.h"

enum { ROWS_OF_SCRATCH = 4 }; /* of outputs: two as T, two as f32 */

/* Bytes of scratch for the matmuls of one row. */
static size_t matmul_bytes(const zx_experts *experts)
{
    const zx_weight matrix = zx_weight_matrix(experts->weights[0], 0);
    const zx_launch one = zx_matmul_within(zx_experts_slot(experts), &matrix, *experts->y);
    return zx_round_up(zx_kernel_reference(ZX_OP_MATMUL)->scratch(&one), 64);
}

static size_t output_bytes(const zx_experts *experts)
{
    return experts->weights[0]->rows * sizeof(float);
}

/* The outputs of one matrix for one slot of a token. */
static zmlx_status multiply(const zx_experts *experts, size_t matrix, size_t token, size_t slot,
                            void *to)
{
    const size_t index = zx_experts_index(experts, token, slot);
    const zx_weight weight = zx_weight_matrix(experts->weights[matrix], index);
    const zx_dtype dtype = experts->y->dtype;
    zx_operand x = zx_experts_slot(experts);
    x.data = zx_experts_row(experts, &x, token, slot);
    const zx_operand y = {.data = to,
                          .rows = 1,
                          .columns = weight.rows,
                          .stride = weight.rows * zx_dtypes[dtype].bytes,
                          .dtype = dtype};
    zx_launch one = zx_matmul_within(x, &weight, y);
    one.scratch = experts->launch->scratch;
    return zx_kernel_reference(ZX_OP_MATMUL)->run(&one);
}

static void *slot_outputs(const zx_experts *experts, size_t token, size_t slot)
{
    const zx_operand *y = experts->y;
    return (char *)zx_operand_row(y, token) +
           slot * experts->weights[0]->rows * zx_dtypes[y->dtype].bytes;
}

size_t zx_scratch_expert_matmul_ref(const zx_launch *launch)
{
    const zx_experts experts = zx_experts_plain(launch);
    return matmul_bytes(&experts);
}

zmlx_status zx_expert_matmul_ref(const zx_launch *launch)
{
    const zx_experts experts = zx_experts_plain(launch);
    for (size_t token = 0; token < experts.y->rows; token++)
        for (size_t slot = 0; slot < experts.indices->columns; slot++)
            ZX_TRY(multiply(&experts, 0, token, slot, slot_outputs(&experts, token, slot)));
    return ZMLX_OK;
}

size_t zx_scratch_expert_glu_ref(const zx_launch *launch)
{
    const zx_experts experts = zx_experts_gated(launch);
    return matmul_bytes(&experts) + ROWS_OF_SCRATCH * output_bytes(&experts);
}

static zmlx_status run_gated(const zx_launch *launch, bool clamped)
{
    const zx_experts experts = zx_experts_gated(launch);
    const zx_dtype dtype = experts.y->dtype;
    const size_t rows = experts.weights[0]->rows, bytes = output_bytes(&experts);
    char *const memory = (char *)launch->scratch + matmul_bytes(&experts);
    float *const a = (float *)(void *)(memory + 2 * bytes);
    float *const b = (float *)(void *)(memory + 3 * bytes);
    for (size_t i = 0; i < experts.y->rows * experts.indices->columns; i++) {
        const size_t token = i / experts.indices->columns, slot = i % experts.indices->columns;
        ZX_TRY(multiply(&experts, 0, token, slot, memory));
        ZX_TRY(multiply(&experts, 1, token, slot, memory + bytes));
        const float *gate = zx_row_load(dtype, memory, rows, a);
        const float *up = zx_row_load(dtype, memory + bytes, rows, b);
        if (clamped)
            zx_clamped_glu_values(dtype, launch->attributes, gate, up, rows, a);
        else
            zx_glu_values(dtype, launch->attributes->activation, gate, up, rows, a);
        zx_row_store(dtype, slot_outputs(&experts, token, slot), rows, a);
    }
    return ZMLX_OK;
}

zmlx_status zx_expert_glu_ref(const zx_launch *launch)
{
    return run_gated(launch, false);
}

zmlx_status zx_expert_clamped_glu_ref(const zx_launch *launch)
{
    return run_gated(launch, true);
}

size_t zx_scratch_expert_combine_ref(const zx_launch *launch)
{
    const zx_experts experts = zx_experts_plain(launch);
    return matmul_bytes(&experts) + ROWS_OF_SCRATCH * output_bytes(&experts);
}

/* With or without a residual. */
static zmlx_status run_combined(const zx_launch *launch)
{
    const zx_experts experts = zx_experts_plain(launch);
    const zx_operand *residual = zx_experts_residual(&experts);
    const zx_dtype dtype = experts.y->dtype;
    const size_t rows = experts.weights[0]->rows, bytes = output_bytes(&experts);
    char *const memory = (char *)launch->scratch + matmul_bytes(&experts);
    float *const sum = (float *)(void *)(memory + bytes);
    for (size_t token = 0; token < experts.y->rows; token++) {
        const float *shares = zx_experts_shares(&experts, token);
        memset(sum, 0, bytes);
        for (size_t slot = 0; slot < experts.indices->columns; slot++) {
            ZX_TRY(multiply(&experts, 0, token, slot, memory));
            for (size_t i = 0; i < rows; i++)
                sum[i] = fmaf(shares[slot], zx_load(dtype, memory, i), sum[i]);
        }
        zx_round_values(dtype, rows, sum);
        for (size_t i = 0; residual != NULL && i < rows; i++)
            sum[i] += zx_load(residual->dtype, zx_operand_row(residual, token), i);
        zx_row_store(dtype, zx_operand_row(experts.y, token), rows, sum);
    }
    return ZMLX_OK;
}

zmlx_status zx_expert_combine_ref(const zx_launch *launch)
{
    return run_combined(launch);
}

zmlx_status zx_expert_combine_add_ref(const zx_launch *launch)
{
    return run_combined(launch);
}
