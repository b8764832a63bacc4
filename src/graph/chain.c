#include "graph/chain.h"

static const zx_op row_wise[] = {
    ZX_OP_ADD,         ZX_OP_MUL,     ZX_OP_MUL_ROWS,      ZX_OP_SCALE,     ZX_OP_ACTIVATION,
    ZX_OP_CLAMPED_GLU, ZX_OP_SOFTCAP, ZX_OP_RMSNORM,       ZX_OP_LAYERNORM, ZX_OP_HEAD_RMSNORM,
    ZX_OP_COLUMNS,     ZX_OP_JOIN,    ZX_OP_SOFTMAX,       ZX_OP_ADD_ROW,   ZX_OP_SIGMOID_SCORES,
    ZX_OP_GROUP_LIMIT, ZX_OP_TOPK,    ZX_OP_GATHER_SCORES, ZX_OP_NORMALIZE, ZX_OP_COMBINE,
    ZX_OP_QUANTIZE,
};

bool zx_op_is_row_wise(zx_op op)
{
    for (size_t i = 0; i < sizeof row_wise / sizeof row_wise[0]; i++)
        if (row_wise[i] == op) return true;
    return false;
}
