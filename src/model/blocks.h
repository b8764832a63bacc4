/* blocks.h - the parts that model families are traced from. */
#ifndef ZX_MODEL_BLOCKS_H
#define ZX_MODEL_BLOCKS_H

#include "graph/rope.h"
#include "model/family.h"

struct zx_trace {
    const zx_checkpoint *checkpoint;
    const zx_family *family;
    const zx_config *config;
    zx_graph *graph; /* its arena holds the weights' descriptions and the rope tables too */
    zx_dtype dtype;  /* of activations */
    bool mlx_cpu_decode;
    const zx_rope *rope;
    size_t kv_layer_count;
    zx_kv_layer *kv_layers;          /* [config->layers] */
    size_t parameters, weight_bytes; /* of all weights traced so far */
};

/* y = x W^T (+ bias), W [rows, columns of x] of the module 'name' (a printf format for the path
 * below the present module's path, without ".weight"). */
ZMLX_MUST_CHECK zmlx_status zx_block_linear(zx_trace *trace, zx_value x, const char *name,
                                            size_t rows, zx_value *y);

/* rmsnorm(x) with the weight of the module 'name'. */
ZMLX_MUST_CHECK zmlx_status zx_block_rmsnorm(zx_trace *trace, zx_value x, const char *name,
                                             zx_value *y);

ZMLX_MUST_CHECK zmlx_status zx_block_add(zx_trace *trace, zx_value a, zx_value b, zx_value *y);

/* Self-attention with rope and grouped heads: names q_proj, k_proj, v_proj, o_proj below
 * 'self_attn'. 'window' 0: all earlier keys. */
ZMLX_MUST_CHECK zmlx_status zx_block_attention(zx_trace *trace, zx_value x, size_t window,
                                               zx_value *y);

/* down(silu(gate x) * up x): names gate_proj, up_proj, down_proj below 'mlp'. */
ZMLX_MUST_CHECK zmlx_status zx_block_swiglu(zx_trace *trace, zx_value x, zx_value *y);

/* The table that turns ids into rows. */
ZMLX_MUST_CHECK zmlx_status zx_block_embed(zx_trace *trace, zx_value *x);

/* Final norm, the sampled rows, the head (or the tied table): the graph's output. */
ZMLX_MUST_CHECK zmlx_status zx_block_head(zx_trace *trace, zx_value x);

/* The whole model: embed, the family's blocks, head. */
ZMLX_MUST_CHECK zmlx_status zx_trace_model(zx_trace *trace);

#endif
