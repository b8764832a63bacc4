/* families.c - the table of families. */
#include "model/families/families.h"

const zx_family *const zx_families[] = {
    &zx_family_llama,         &zx_family_mistral,
    &zx_family_mixtral,       &zx_family_qwen2,
    &zx_family_qwen3,         &zx_family_qwen3_moe,
    &zx_family_gemma2,        &zx_family_gemma3,
    &zx_family_phi3,          &zx_family_olmo2,
    &zx_family_olmo3,         &zx_family_granite,
    &zx_family_cohere2,       &zx_family_smollm3,
    &zx_family_gpt_neox,      &zx_family_starcoder2,
    &zx_family_deepseek_v3,   &zx_family_glm4_moe,
    &zx_family_glm4_moe_lite, &zx_family_olmoe,
    &zx_family_granitemoe,    &zx_family_qwen2_moe,
    &zx_family_gpt_oss,       &zx_family_gemma4,
    &zx_family_ministral3,    NULL,
};
