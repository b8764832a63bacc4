/* mla.h - multi-head latent attention (DeepSeek): every head reads the same latent row of a token
 * and the same rotated part, so that is all the cache keeps.
 *
 *   [q_nope | q_pe] = queries, head by head;  [latent | k_pe] = what a token leaves
 *   score = scale * (q_nope . (W_k latent) + rope(q_pe) . rope(k_pe)),  value = W_v latent
 *
 * There is one form for prompts and for single tokens, the absorbed one: W_k goes to the queries
 * and W_v behind the sum over keys, so keys are [latent | k_pe] and values the latent.  Hugging
 * Face keeps both in kv_b_proj [heads * (nope + value), latent], MLX in embed_q [heads, latent,
 * nope] and unembed_out [heads, value, latent]. */
#ifndef ZX_MODEL_MLA_H
#define ZX_MODEL_MLA_H

#include "model/blocks.h"

typedef struct zx_mla {
    const char *module;    /* "self_attn" */
    double latent_epsilon; /* of the norms of queries' and keys' latent rows */
    double score_scale;    /* of the scores */
} zx_mla;

/* The config rows of the sizes, for a family's own rows. */
#define ZX_MLA_ROWS                                                                          \
    {"q_lora_rank", ZX_FIELD_SIZE, offsetof(zx_config, query_rank), ZX_OPTIONAL, 0},         \
        {"kv_lora_rank", ZX_FIELD_SIZE, offsetof(zx_config, latent_size), ZX_REQUIRED, 0},   \
        {"qk_nope_head_dim", ZX_FIELD_SIZE, offsetof(zx_config, nope_size), ZX_REQUIRED, 0}, \
        {"qk_rope_head_dim", ZX_FIELD_SIZE, offsetof(zx_config, rope_size), ZX_REQUIRED, 0}, \
    {                                                                                        \
        "v_head_dim", ZX_FIELD_SIZE, offsetof(zx_config, value_size), ZX_REQUIRED, 0         \
    }

/* Of a family's check: sizes that make sense; head_size becomes rope_size, which is what rope
 * turns. */
ZMLX_MUST_CHECK zmlx_status zx_mla_check(const zx_checkpoint *checkpoint, zx_config *config);

/* (nope + rope)^-0.5, times yarn's mscale squared where the config scales by mscale_all_dim. */
ZMLX_MUST_CHECK zmlx_status zx_mla_scale(const zx_checkpoint *checkpoint, const zx_config *config,
                                         double *scale);

ZMLX_MUST_CHECK zmlx_status zx_block_mla(zx_trace *trace, zx_value x, const zx_mla *mla,
                                         zx_value *y);

#endif
