/* experts.h - what the kernels that multiply with the chosen experts' matrices share. */
#ifndef ZX_KERNELS_MOE_EXPERTS_H
#define ZX_KERNELS_MOE_EXPERTS_H

#include "kernels/matmul/matmul.h"
#include "kernels/rows.h"

/* Slot j of a token is the j-th of its experts. */
typedef struct zx_experts {
    const zx_launch *launch;
    const zx_operand *x, *indices, *y;
    size_t matrices;
    const zx_weight *weights[2]; /* of the same rows and columns */
} zx_experts;

static inline zx_experts zx_experts_plain(const zx_launch *launch)
{
    return (zx_experts){.launch = launch,
                        .x = &launch->inputs[0],
                        .indices = &launch->inputs[1],
                        .y = &launch->outputs[0],
                        .matrices = 1,
                        .weights = {launch->inputs[2].weight}};
}

static inline zx_experts zx_experts_gated(const zx_launch *launch)
{
    zx_experts experts = zx_experts_plain(launch);
    experts.matrices = 2;
    experts.weights[1] = launch->inputs[3].weight;
    return experts;
}

/* Of expert_combine and expert_combine_add. */
static inline const float *zx_experts_shares(const zx_experts *experts, size_t token)
{
    return zx_operand_row(&experts->launch->inputs[3], token);
}

static inline const zx_operand *zx_experts_residual(const zx_experts *experts)
{
    const zx_operand *residual = &experts->launch->inputs[4];
    return residual->data != NULL ? residual : NULL;
}

/* How the rows of one slot of x lie. */
static inline zx_operand zx_experts_slot(const zx_experts *experts)
{
    const zx_operand *x = experts->x;
    zx_operand slot = {.rows = 1, .columns = experts->weights[0]->columns, .dtype = x->dtype};
    if (x->dtype == ZX_QUANTIZED) {
        slot.layout = x->layout;
        slot.layout.slots = 0;
        slot.stride = zx_activation_slot_bytes(slot.layout, slot.columns);
    } else {
        slot.stride = slot.columns * zx_dtypes[x->dtype].bytes;
    }
    return slot;
}

/* What that slot of a token is multiplied with: one row for all of them, or one for each. */
static inline void *zx_experts_row(const zx_experts *experts, const zx_operand *slot, size_t token,
                                   size_t index)
{
    char *const row = zx_operand_row(experts->x, token);
    return experts->x->columns == slot->columns ? row : row + index * slot->stride;
}

static inline size_t zx_experts_index(const zx_experts *experts, size_t token, size_t slot)
{
    const int32_t *indices = zx_operand_row(experts->indices, token);
    return (size_t)indices[slot];
}

#endif
