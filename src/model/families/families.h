/* families.h - one line per family. */
#ifndef ZX_MODEL_FAMILIES_FAMILIES_H
#define ZX_MODEL_FAMILIES_FAMILIES_H

#include "base/fail.h"
#include "model/blocks.h"
#include "model/moe.h"

extern const zx_family zx_family_cohere2;
extern const zx_family zx_family_deepseek_v3;
extern const zx_family zx_family_gemma2;
extern const zx_family zx_family_gemma3;
extern const zx_family zx_family_gemma4;
extern const zx_family zx_family_glm4_moe;
extern const zx_family zx_family_glm4_moe_lite;
extern const zx_family zx_family_gpt_neox;
extern const zx_family zx_family_granite;
extern const zx_family zx_family_granitemoe;
extern const zx_family zx_family_gpt_oss;
extern const zx_family zx_family_lfm2;
extern const zx_family zx_family_lfm2_moe;
extern const zx_family zx_family_llama;
extern const zx_family zx_family_ministral3;
extern const zx_family zx_family_mistral;
extern const zx_family zx_family_mixtral;
extern const zx_family zx_family_olmo2;
extern const zx_family zx_family_olmo3;
extern const zx_family zx_family_olmoe;
extern const zx_family zx_family_phi3;
extern const zx_family zx_family_qwen2;
extern const zx_family zx_family_qwen2_moe;
extern const zx_family zx_family_qwen3;
extern const zx_family zx_family_qwen3_moe;
extern const zx_family zx_family_qwen3_5;
extern const zx_family zx_family_qwen3_5_moe;
extern const zx_family zx_family_qwen3_next;
extern const zx_family zx_family_smollm3;
extern const zx_family zx_family_starcoder2;

/* Rows of the sizes that the official code takes where a config leaves them out; no heads of keys:
 * as many as those of queries, which null means too. */
#define ZX_SIZE_ROWS(hidden, inner, depth, queries, keys, words, context)                         \
    {"hidden_size", ZX_FIELD_SIZE, offsetof(zx_config, hidden_size), ZX_REQUIRED, hidden},        \
        {"intermediate_size", ZX_FIELD_SIZE, offsetof(zx_config, intermediate_size), ZX_REQUIRED, \
         inner},                                                                                  \
        {"num_hidden_layers", ZX_FIELD_SIZE, offsetof(zx_config, layers), ZX_REQUIRED, depth},    \
        {"num_attention_heads", ZX_FIELD_SIZE, offsetof(zx_config, heads), ZX_REQUIRED, queries}, \
        {"num_key_value_heads", ZX_FIELD_SIZE, offsetof(zx_config, kv_heads), ZX_NULL_IS_NONE,    \
         keys},                                                                                   \
        {"vocab_size", ZX_FIELD_SIZE, offsetof(zx_config, vocabulary), ZX_REQUIRED, words},       \
    {                                                                                             \
        "max_position_embeddings", ZX_FIELD_SIZE, offsetof(zx_config, context_length),            \
            ZX_OPTIONAL, context                                                                  \
    }

/* x + attention(norm(x)), then x + mlp(norm(x)): Llama's block and that of those who change only
 * its attention. */
ZMLX_MUST_CHECK zmlx_status zx_trace_usual_block(zx_trace *trace, const zx_attention *attention,
                                                 zx_value *x);

/* The same with a mixture of experts for the mlp. */
ZMLX_MUST_CHECK zmlx_status zx_trace_moe_block(zx_trace *trace, const zx_attention *attention,
                                               const zx_moe *moe, zx_value *x);

/* Gemma's block, with norms before and behind attention and mlp; and what its configs share. */
ZMLX_MUST_CHECK zmlx_status zx_trace_gemma_block(zx_trace *trace, const zx_attention *attention,
                                                 zx_value *x);
ZMLX_MUST_CHECK zmlx_status zx_check_gemma(const zx_checkpoint *checkpoint, zx_config *config);

/* Ropes by type of layer (Gemma 3, OLMo 3): theta where no object of the type has one; that of full
 * layers may also stand in "rope_theta", that of sliding ones in a key of its own. */
typedef struct zx_typed_ropes {
    double full_theta, sliding_theta;
    const char *sliding_key; /* or NULL */
} zx_typed_ropes;

ZMLX_MUST_CHECK zmlx_status zx_rope_of_type(const zx_checkpoint *checkpoint, zx_layer_type type,
                                            const zx_typed_ropes *usual,
                                            struct zx_rope_settings *settings);

/* Which layers of Qwen have experts, and which slide. */
bool zx_qwen_has_experts(const zx_trace *trace, size_t layer);
ZMLX_MUST_CHECK zmlx_status zx_qwen_windows(const zx_checkpoint *checkpoint, zx_config *config);

#endif
