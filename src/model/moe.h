/* moe.h - mixtures of experts: a router chooses some experts for every token and weighs them.
 *
 *   scores = softmax or sigmoid of the router's logits, in f32
 *   chosen = the top_k largest of scores (+ a bias that only chooses; of the best groups only)
 *   weight = scores of the chosen, softmax of their logits, / their sum, * scale
 *   y = sum over the chosen, in their order: weight * down(activation(gate x) * up x)
 *   y + shared(x), or y + sigmoid(shared_gate x) * shared(x) */
#ifndef ZX_MODEL_MOE_H
#define ZX_MODEL_MOE_H

#include "model/blocks.h"

/* How a router scores; the rows that families name. */
typedef struct zx_router {
    zx_op scores; /* ZX_OP_SOFTMAX or ZX_OP_SIGMOID_SCORES of all logits; ZX_OP_TOPK: none */
    bool softmax_of_chosen; /* of their logits */
    const char *bias;       /* a vector below the block's module, or NULL */
    float epsilon;          /* added to the sum that normalizes */
} zx_router;

extern const zx_router zx_router_softmax; /* Mixtral, Qwen, OLMoE */
extern const zx_router zx_router_chosen;  /* gpt-oss, Granite: softmax of the chosen logits */
extern const zx_router
    zx_router_sigmoid;                 /* DeepSeek-V3, GLM-4: bias gate.e_score_correction_bias */
extern const zx_router zx_router_lfm2; /* bias expert_bias */

/* A layer's mixture; zx_moe_usual is what the config says, under the usual names. */
typedef struct zx_moe {
    const char *modules[3]; /* the block's module, "": the layer's own; the first that has the
                             * router's weight; NULL at the end */
    const char *gate;       /* the router's module below it */
    const zx_router *router;
    zx_value scored;          /* what the router reads; node NULL: what the experts read */
    const char *expert_scale; /* a vector that multiplies the weights of its experts, or NULL */
    float limit, alpha;       /* a limit: the clamped gating of gpt-oss instead of the activation */
    bool transposed;          /* see experts.h */
    size_t experts, top_k, size;
    bool normalize;
    double scale;
    size_t groups, top_groups;
    const char *shared; /* a module with gate_proj, up_proj, down_proj, or NULL */
    size_t shared_size;
    const char *shared_gate; /* a matrix of one row, or NULL */
} zx_moe;

zx_moe zx_moe_usual(const zx_trace *trace, const zx_router *router);
ZMLX_MUST_CHECK zmlx_status zx_block_moe(zx_trace *trace, zx_value x, const zx_moe *moe,
                                         zx_value *y);

/* Of family's checks: whether the counts of experts make sense. */
ZMLX_MUST_CHECK zmlx_status zx_moe_check(const zx_checkpoint *checkpoint, zx_config *config);

#endif
