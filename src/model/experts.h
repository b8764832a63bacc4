/* experts.h - the matrices of a layer's experts, whatever form a checkpoint has them in:
 *
 *   experts.E.gate_proj.weight [N, C]        a tensor an expert (also w1, w3, w2), used where they
 * lie switch_mlp.gate_proj.weight [E, N, C]    stacked, dense or quantized by MLX (also
 * experts.gate_proj, which GGUF's ffn_gate_exps is called here) experts.gate_up_proj [E, 2N, C]
 * gate's rows, then up's (also input_linear.weight) experts.gate_up_proj [E, C, 2N] gpt-oss:
 * transposed, which is undone in a copy; columns of gate and up take turns, as do the elements of
 * biases experts.gate_up_proj_blocks, _scales     gpt-oss: MXFP4, rows of gate and up take turns */
#ifndef ZX_MODEL_EXPERTS_H
#define ZX_MODEL_EXPERTS_H

#include "model/checkpoint.h"

typedef enum zx_projection {
    ZX_PROJECTION_GATE,
    ZX_PROJECTION_UP,
    ZX_PROJECTION_DOWN,
} zx_projection;

typedef struct zx_expert_request {
    const char *module; /* "model.layers.0.mlp" */
    zx_projection projection;
    size_t count, rows, columns;
    bool transposed; /* dense tensors without ".weight" are gpt-oss's */
} zx_expert_request;

/* 'arena' takes descriptions and copies and must outlive the weight.  All experts have one format.
 */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_experts(const zx_checkpoint *checkpoint,
                                                  const zx_expert_request *request, zx_arena *arena,
                                                  zx_weight *weight);

#endif
