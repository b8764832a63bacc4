/* ministral3_test.c - the keys of Ministral 3's config: windows, and the scale of queries. */
#include <string.h>

#include "model/families/families_testing.h"

#define MINISTRAL(keys)                                                                     \
    "{\"hidden_size\":64,\"intermediate_size\":8,\"num_hidden_layers\":2,\"vocab_size\":4," \
    "\"num_attention_heads\":8," keys "\"model_type\":\"ministral3\"}"
#define ROPE(keys) \
    "\"rope_parameters\":{\"llama_4_scaling_beta\":0.25," keys "\"rope_theta\":5000},"

static const struct {
    const char *config;
    double beta;
    size_t period, window;
    zx_layer_type first;
    zx_rope_type rope;
    double factor;
} rows[] = {
    {MINISTRAL(""), 0.1, 16384, 0, ZX_LAYER_FULL, ZX_ROPE_YARN, 16},
    {MINISTRAL("\"sliding_window\":9,"), 0.1, 16384, 9, ZX_LAYER_SLIDING, ZX_ROPE_YARN, 16},
    {MINISTRAL("\"sliding_window\":9,\"layer_types\":[\"full_attention\",\"full_attention\"],"),
     0.1, 16384, 9, ZX_LAYER_SLIDING, ZX_ROPE_YARN, 16},
    {MINISTRAL("\"layer_types\":[\"sliding_attention\",\"full_attention\"],"), 0.1, 16384, 0,
     ZX_LAYER_FULL, ZX_ROPE_YARN, 16},
    {MINISTRAL(ROPE("\"original_max_position_embeddings\":32,")), 0.25, 32, 0, ZX_LAYER_FULL,
     ZX_ROPE_DEFAULT, 0},
    {MINISTRAL("\"max_position_embeddings\":64," ROPE("\"type\":\"yarn\",\"factor\":2,")), 0.25, 64,
     0, ZX_LAYER_FULL, ZX_ROPE_YARN, 2},
};

TEST(ministral3_reads_the_keys_of_the_official_code)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_config config;
        zx_rope_settings rope = {0};
        const zmlx_status status = read_config(rows[i].config, &config, &rope, NULL);
        CHECK_ON(status == ZMLX_OK ? rows[i].config : zmlx_error_message(), status == ZMLX_OK);
        CHECK_ON(rows[i].config, config.query_scale_beta == rows[i].beta);
        CHECK_ON(rows[i].config, config.query_scale_period == rows[i].period);
        CHECK_ON(rows[i].config, config.window == rows[i].window);
        CHECK_ON(rows[i].config, config.layer_types[0] == rows[i].first);
        CHECK_ON(rows[i].config, rope.type == rows[i].rope && rope.factor == rows[i].factor);
        CHECK_ON(rows[i].config, rope.dims == 128 && config.kv_heads == 8);
    }
}

TEST(ministral3_refuses_what_the_official_code_cannot_do)
{
    static const struct {
        const char *config, *message;
    } refused[] = {
        {MINISTRAL(ROPE("")), "'rope_parameters.original_max_position_embeddings' is missing"},
        {MINISTRAL("\"rope_parameters\":{\"rope_theta\":5000},"),
         "'rope_parameters.llama_4_scaling_beta' is missing; expected a number"},
        {MINISTRAL("\"hidden_act\":\"prelu\","), "'hidden_act' is 'prelu', an activation"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        zx_config config;
        zx_rope_settings rope = {0};
        CHECK_ON(refused[i].config,
                 read_config(refused[i].config, &config, &rope, NULL) != ZMLX_OK);
        CHECK_ON(zmlx_error_message(), strstr(zmlx_error_message(), refused[i].message) != NULL);
    }
}
