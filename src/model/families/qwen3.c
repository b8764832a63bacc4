/* qwen3.c - Qwen3: Llama's block, with an rmsnorm of every head of queries and keys before rope. */
#include "model/families/families.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    return zx_qwen_windows(checkpoint, config);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    zx_attention attention = zx_attention_usual(trace, layer);
    attention.query_norm = "q_norm";
    attention.key_norm = "k_norm";
    return zx_trace_usual_block(trace, &attention, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(4096, 22016, 32, 32, 32, 151936, 32768),
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 4096},
    {"head_dim", ZX_FIELD_SIZE, offsetof(zx_config, head_size), ZX_OPTIONAL, 128},
    {0},
};

const zx_family zx_family_qwen3 = {
    .name = "qwen3",
    .architectures = {"Qwen3ForCausalLM", NULL},
    .model_types = {"qwen3", NULL},
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};
