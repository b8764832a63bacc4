/* llama_test.c - the keys of a config that the official Llama and Mistral honour, ignore, or that
 * are refused. */
#include <stdio.h>
#include <string.h>

#include "model/families/families_testing.h"

#define SIZES                                                                              \
    "\"hidden_size\":64,\"intermediate_size\":8,\"num_hidden_layers\":2,\"vocab_size\":4," \
    "\"num_attention_heads\":16,"
#define LLAMA(keys)   "{" SIZES keys "\"model_type\":\"llama\"}"
#define MISTRAL(keys) "{" SIZES keys "\"model_type\":\"mistral\"}"

static const struct {
    const char *config;
    size_t window, kv_heads, context, dims;
    zx_layer_type second; /* of the second layer */
} rows[] = {
    {LLAMA(""), 0, 16, 2048, 4, ZX_LAYER_FULL},
    {LLAMA("\"num_key_value_heads\":2,\"head_dim\":8,"), 0, 2, 2048, 8, ZX_LAYER_FULL},
    {LLAMA("\"sliding_window\":7,"), 0, 16, 2048, 4, ZX_LAYER_FULL}, /* no layer slides */
    {LLAMA("\"sliding_window\":7,\"layer_types\":[\"full_attention\",\"sliding_attention\"],"), 0,
     16, 2048, 4, ZX_LAYER_SLIDING}, /* by name only: there is no window */
    {LLAMA("\"pretraining_tp\":4,\"use_sliding_window\":true,\"attn_logit_softcapping\":50.0,"), 0,
     16, 2048, 4, ZX_LAYER_FULL},
    {LLAMA("\"partial_rotary_factor\":0.5,"), 0, 16, 2048, 4, ZX_LAYER_FULL},
    {LLAMA("\"max_position_embeddings\":64,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2},"),
     0, 16, 128, 4, ZX_LAYER_FULL},
    {MISTRAL(""), 4096, 8, 131072, 4, ZX_LAYER_SLIDING},
    {MISTRAL("\"sliding_window\":null,"), 0, 8, 131072, 4, ZX_LAYER_FULL},
    {MISTRAL("\"sliding_window\":9,\"num_key_value_heads\":4,\"max_position_embeddings\":32,"), 9,
     4, 32, 4, ZX_LAYER_SLIDING},
};

TEST(llama_and_mistral_read_the_keys_of_the_official_code)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_config config;
        zx_rope_settings rope = {0};
        const zmlx_status status = read_config(rows[i].config, &config, &rope, NULL);
        CHECK_ON(status == ZMLX_OK ? rows[i].config : zmlx_error_message(), status == ZMLX_OK);
        CHECK_ON(rows[i].config, config.window == rows[i].window);
        CHECK_ON(rows[i].config, config.kv_heads == rows[i].kv_heads);
        CHECK_ON(rows[i].config, config.context_length == rows[i].context);
        CHECK_ON(rows[i].config, config.layer_types[1] == rows[i].second);
        CHECK_ON(rows[i].config, rope.dims == rows[i].dims);
    }
}

TEST(llama_refuses_what_it_does_not_compute)
{
    static const struct {
        const char *config, *message;
    } refused[] = {
        {LLAMA("\"hidden_act\":\"mish\","), "c: config key 'hidden_act' is 'mish', an activation"},
        {MISTRAL("\"hidden_act\":\"prelu\","),
         "c: config key 'hidden_act' is 'prelu', an activation"},
        {LLAMA("\"rope_scaling\":{\"type\":\"spiral\"},"), "c: rope type 'spiral' is not known"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        zx_config config;
        zx_rope_settings rope = {0};
        CHECK_ON(refused[i].config,
                 read_config(refused[i].config, &config, &rope, NULL) != ZMLX_OK);
        CHECK_ON(zmlx_error_message(), strstr(zmlx_error_message(), refused[i].message) != NULL);
    }
}
