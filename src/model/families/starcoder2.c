/* starcoder2.c - StarCoder2: layernorms, biases everywhere, an mlp without gate; a sliding_window
 * holds for every layer.
 *
 *   h = x + attention(norm(x)),  y = h + c_proj(gelu(c_fc(norm(h)))) */
#include "model/families/families.h"

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    (void)checkpoint;
    zx_config_windows(config);
    return ZMLX_OK;
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_attention attention = zx_attention_usual(trace, layer);
    zx_value part;
    ZX_TRY(zx_block_norm(trace, *x, "input_layernorm", &part));
    ZX_TRY(zx_block_attention(trace, part, &attention, &part));
    ZX_TRY(zx_block_add(trace, *x, part, x));
    ZX_TRY(zx_block_norm(trace, *x, "post_attention_layernorm", &part));
    ZX_TRY(zx_block_mlp(trace, part, "c_fc", "c_proj", &part));
    return zx_block_add(trace, *x, part, x);
}

static const zx_config_row rows[] = {
    ZX_SIZE_ROWS(3072, 12288, 30, 24, 2, 49152, 4096),
    {"hidden_act", ZX_FIELD_ACTIVATION, offsetof(zx_config, activation), ZX_OPTIONAL,
     ZX_ACTIVATION_GELU_TANH},
    {"norm_epsilon", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 0},
    {"tie_word_embeddings", ZX_FIELD_BOOL, offsetof(zx_config, tied), ZX_OPTIONAL, 1},
    {0},
};

const zx_family zx_family_starcoder2 = {
    .name = "starcoder2",
    .norm = {.layernorm = true},
    .architectures = {"Starcoder2ForCausalLM", NULL},
    .model_types = {"starcoder2", NULL},
    .config = rows,
    .check = check,
    .trace_block = trace_block,
};
