/* shapes.h - the shape rules that ops.def names: each types a node's outputs from its inputs, or
 * fails naming the op, the module and what does not fit. */
#ifndef ZX_GRAPH_SHAPES_H
#define ZX_GRAPH_SHAPES_H

#include "graph/graph.h"

zmlx_status zx_shape_given(zx_node *node);  /* inputs and weights are typed when they are made */
zmlx_status zx_shape_embed(zx_node *node);  /* ids [T], table [V, C] -> [T, C] */
zmlx_status zx_shape_select(zx_node *node); /* [T, C] -> [R, C] */
zmlx_status zx_shape_same(zx_node *node);   /* all inputs and the output alike */
zmlx_status zx_shape_activation(zx_node *node); /* as same; the function must be one of the table */
zmlx_status zx_shape_norm(zx_node *node);       /* x [., C], weight [C] -> [., C] */
zmlx_status zx_shape_head_norm(zx_node *node);  /* x [., H * head_size], weight [head_size] */
zmlx_status zx_shape_mul_rows(zx_node *node);   /* x [., C], [., 1] -> [., C] */
zmlx_status zx_shape_columns(zx_node *node);    /* [., H * head_size] -> [., H * size] */
zmlx_status zx_shape_join(zx_node *node);       /* [., H * a], [., H * b] -> [., H * (a + b)] */
zmlx_status zx_shape_head_matmul(zx_node *node); /* [., H * a], weight [H, b, a] -> [., H * b] */
zmlx_status
zx_shape_add_norm(zx_node *node); /* x, residual, weight -> normed (or quantized), sum */
zmlx_status zx_shape_norm_add_norm(zx_node *node); /* x, weight, residual, weight -> normed, sum */
zmlx_status zx_shape_quantize(zx_node *node);    /* [., C] (and more inputs) -> quantized [., C] */
zmlx_status zx_shape_scores(zx_node *node);      /* [., E] -> f32 [., E] */
zmlx_status zx_shape_add_row(zx_node *node);     /* [., E], weight [E] -> [., E] */
zmlx_status zx_shape_group_limit(zx_node *node); /* [., E], E in groups -> [., E] */
zmlx_status zx_shape_topk(zx_node *node);        /* [., E] -> i32 [., top_k] */
zmlx_status zx_shape_gather_scores(zx_node *node);   /* [., E], [., k] -> f32 [., k] */
zmlx_status zx_shape_expert_matmul(zx_node *node);   /* x [., C] or [., k C], i32 [., k], weight */
zmlx_status zx_shape_combine(zx_node *node);         /* [., k C], f32 [., k] -> [., C] */
zmlx_status zx_shape_router(zx_node *node);          /* [., E] -> f32 [., top_k], i32 [., top_k] */
zmlx_status zx_shape_expert_combine(zx_node *node);  /* as expert_matmul, then as combine */
zmlx_status zx_shape_matmul(zx_node *node);          /* x [., K], weights [N, K] -> [., N] each */
zmlx_status zx_shape_heads(zx_node *node);           /* [., heads * head_size], kept */
zmlx_status zx_shape_cache(zx_node *node);           /* keys, values -> the cache */
zmlx_status zx_shape_attention(zx_node *node);       /* queries, cache -> as the queries */
zmlx_status zx_shape_rope_append(zx_node *node);     /* queries, keys, values -> queries, cache */
zmlx_status zx_shape_head_l2norm(zx_node *node);     /* [., heads * head_size] -> f32 */
zmlx_status zx_shape_gated_head_norm(zx_node *node); /* x, gate alike, weight [head_size] */
zmlx_status zx_shape_decay(zx_node *node);           /* [., H], weights [H], [H] -> f32 [., H] */
zmlx_status zx_shape_gated_delta(zx_node *node);     /* f32 q, k [T, K * head_size],
                                                      * v [T, H * value_size], f32 [T, H], [T, H] */
zmlx_status zx_shape_short_conv(zx_node *node);      /* x [T, C], weight [taps, C] -> [T, C] */
zmlx_status zx_shape_chain(zx_node *node);           /* as its steps say */
zmlx_status zx_shape_position_scale(zx_node *node);  /* [T, C], kept */

#endif
