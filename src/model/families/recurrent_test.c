/* recurrent_test.c - the keys of LFM2's and Qwen3-Next's configs: sizes that are computed, which
 * layers are recurrent, and what is refused. */
#include <string.h>

#include "model/families/families_testing.h"

#define SIZES                                                      \
    "\"hidden_size\":64,\"num_hidden_layers\":5,\"vocab_size\":4," \
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,"
#define LFM2(keys)     "{" SIZES keys "\"model_type\":\"lfm2\"}"
#define LFM2_MOE(keys) "{" SIZES "\"intermediate_size\":40," keys "\"model_type\":\"lfm2_moe\"}"
#define NEXT(keys)     "{" SIZES keys "\"model_type\":\"qwen3_next\"}"
#define DENSE(keys)    "{" SIZES "\"intermediate_size\":40," keys "\"model_type\":\"qwen3_5_text\"}"
#define MOE(keys)      "{" SIZES keys "\"model_type\":\"qwen3_5_moe_text\"}"

TEST(a_config_without_theta_or_context_has_the_familys)
{
    static const struct {
        const char *config;
        double theta;
        size_t context;
    } usual[] = {
        {LFM2(""), 1e6, 128000},
        {LFM2("\"rope_theta\":3,\"max_position_embeddings\":99,"), 3, 99},
        {LFM2("\"rope_parameters\":{\"rope_type\":\"default\"},"), 1e6, 128000},
        {LFM2_MOE(""), 1e6, 128000},
        {LFM2_MOE("\"rope_parameters\":{\"rope_theta\":7,\"rope_type\":\"default\"},"), 7, 128000},
        {NEXT(""), 1e4, 32768},
        {DENSE(""), 1e4, 32768},
        {MOE(""), 1e4, 32768},
    };
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        zx_config config;
        zx_rope_settings rope = {0};
        CHECK_ON(usual[i].config, read_config(usual[i].config, &config, &rope, NULL) == ZMLX_OK);
        CHECK_ON(usual[i].config, rope.type == ZX_ROPE_DEFAULT && rope.theta == usual[i].theta);
        CHECK_ON(usual[i].config, config.context_length == usual[i].context);
    }
}

/* "cfcff": conv, linear or full attention, layer by layer */
static bool types_are(const zx_config *config, const char *types)
{
    static const char letters[] = {
        [ZX_LAYER_FULL] = 'f', [ZX_LAYER_LINEAR] = 'l', [ZX_LAYER_CONV] = 'c'};
    for (size_t i = 0; i < config->layers; i++)
        if (letters[config->layer_types[i]] != types[i]) return false;
    return true;
}

static const struct {
    const char *config, *types;
    size_t intermediate, taps, dims;
} rows[] = {
    {LFM2(""), "fffff", 8192, 3, 16}, /* 12288, two thirds of it */
    {LFM2("\"block_ff_dim\":100,\"block_multiple_of\":8,"), "fffff", 72, 3, 16},
    {LFM2("\"intermediate_size\":100,\"block_multiple_of\":8,\"block_ffn_dim_multiplier\":1.5,"),
     "fffff", 104, 3, 16},
    {LFM2("\"intermediate_size\":100,\"block_ffn_dim_multiplier\":null,"), "fffff", 66, 3, 16},
    {LFM2("\"intermediate_size\":100,\"block_auto_adjust_ff_dim\":false,\"conv_L_cache\":5,"),
     "fffff", 100, 5, 16},
    {LFM2("\"full_attn_idxs\":[1,3],"), "cfcfc", 8192, 3, 16},
    {LFM2("\"full_attn_idxs\":[1],\"layer_types\":[\"full_attention\",\"conv\",\"conv\",\"conv\","
          "\"conv\"],"),
     "fcccc", 8192, 3, 16},
    {LFM2_MOE(""), "fffff", 40, 3, 16},
    {NEXT(""), "lllfl", 5632, 4, 64},
    {NEXT("\"full_attention_interval\":2,\"head_dim\":32,"), "lflfl", 5632, 4, 8},
    {NEXT("\"partial_rotary_factor\":0.5,\"head_dim\":32,"), "lllfl", 5632, 4, 16},
    {DENSE("\"head_dim\":32,\"rope_parameters\":{\"rope_theta\":3,\"rope_type\":\"default\","
           "\"partial_rotary_factor\":1.0,\"mrope_section\":[1,1,0]},"),
     "lllfl", 40, 4, 32},
    {MOE("\"num_experts\":4,\"num_experts_per_tok\":2,\"norm_topk_prob\":false,"), "lllfl", 512, 4,
     64},
};

TEST(recurrent_families_read_the_keys_of_the_official_code)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_config config;
        zx_rope_settings rope = {0};
        const zmlx_status status = read_config(rows[i].config, &config, &rope, NULL);
        CHECK_ON(status == ZMLX_OK ? rows[i].config : zmlx_error_message(), status == ZMLX_OK);
        CHECK_ON(rows[i].config, types_are(&config, rows[i].types));
        CHECK_ON(rows[i].config, config.intermediate_size == rows[i].intermediate);
        CHECK_ON(rows[i].config, config.conv_taps == rows[i].taps);
        CHECK_ON(rows[i].config, rope.dims == rows[i].dims);
        const bool lfm2_dense = strstr(rows[i].config, "\"lfm2\"") != NULL;
        const bool dense = lfm2_dense || strstr(rows[i].config, "qwen3_5_text") != NULL;
        CHECK_ON(rows[i].config, dense || config.normalize_weights);
    }
}

TEST(lfm2_has_silu_whatever_a_config_says)
{
    static const char *const configs[] = {LFM2("\"hidden_act\":\"gelu\","),
                                          LFM2_MOE("\"hidden_act\":\"gelu\",")};
    for (size_t i = 0; i < 2; i++) {
        zx_config config;
        zx_rope_settings rope = {0};
        CHECK_ON(configs[i], read_config(configs[i], &config, &rope, NULL) == ZMLX_OK);
        CHECK_ON(configs[i], config.activation == ZX_ACTIVATION_SILU);
    }
}

TEST(recurrent_families_refuse_what_they_do_not_compute)
{
    static const struct {
        const char *config, *message;
    } refused[] = {
        {LFM2("\"conv_L_cache\":1,"), "config key 'conv_L_cache' is 1; expected 2"},
        {LFM2("\"conv_L_cache\":17,"), "is 17; expected 2 to 16"},
        {LFM2("\"layer_types\":[\"conv\",\"conv\",\"conv\",\"conv\",\"linear_attention\"],"),
         "'layer_types' says linear_attention; this family has full_attention and conv"},
        {LFM2("\"block_multiple_of\":0,"), "'block_multiple_of' is 0; expected"},
        {LFM2("\"block_ffn_dim_multiplier\":-1,"), "'block_ffn_dim_multiplier' is -1; expected"},
        {LFM2("\"block_ffn_dim_multiplier\":1e-6,"), "adjusted as the config says, is 0; expected"},
        {LFM2_MOE("\"num_experts_per_tok\":33,"), "config key 'num_experts_per_tok' is 33"},
        {NEXT("\"layer_types\":[\"conv\",\"conv\",\"conv\",\"conv\",\"conv\"],"),
         "'layer_types' says conv; this family has full_attention and linear_attention"},
        {NEXT("\"full_attention_interval\":0,"), "'full_attention_interval' is 0; expected"},
        {NEXT("\"linear_num_key_heads\":3,"),
         "key 'linear_num_value_heads' is 32; expected a multiple"},
        {NEXT("\"linear_key_head_dim\":0,"),
         "key 'linear_key_head_dim' is 0; expected a usual size"},
        {NEXT("\"linear_value_head_dim\":2048,"), "key 'linear_value_head_dim' is 2048; expected"},
        {NEXT("\"head_dim\":12,"),
         "rope turns 3 of a head's 12 dimensions (head_dim) in this family"},
        {NEXT("\"head_dim\":2,"),
         "rope turns 0 of a head's 2 dimensions (head_dim) in this family"},
        {DENSE("\"hidden_act\":\"gulu\","),
         "'hidden_act' is 'gulu', an activation that is not known"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        zx_config config;
        zx_rope_settings rope = {0};
        CHECK_ON(refused[i].config,
                 read_config(refused[i].config, &config, &rope, NULL) != ZMLX_OK);
        CHECK_ON(zmlx_error_message(), strstr(zmlx_error_message(), refused[i].message) != NULL);
    }
}
