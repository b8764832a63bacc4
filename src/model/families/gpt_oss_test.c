/* gpt_oss_test.c - the rope of configs that do not spell all of it. */
#include <string.h>

#include "model/families/families_testing.h"

#define GPT_OSS(keys)                                                                       \
    "{\"hidden_size\":64,\"num_hidden_layers\":2,\"vocab_size\":4,\"intermediate_size\":8," \
    "\"num_attention_heads\":4,\"num_key_value_heads\":2," keys "\"model_type\":\"gpt_oss\"}"

TEST(gpt_oss_has_the_official_rope_where_a_config_has_none)
{
    static const struct {
        const char *config;
        zx_rope_type type;
        double theta, factor, original;
        bool truncate;
    } rows[] = {
        {GPT_OSS(""), ZX_ROPE_YARN, 150000, 32, 4096, false},
        {GPT_OSS("\"rope_theta\":5,\"rope_scaling\":null,"), ZX_ROPE_YARN, 5, 32, 4096, false},
        {GPT_OSS("\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,"
                 "\"original_max_position_embeddings\":64},"),
         ZX_ROPE_YARN, 150000, 4, 64, true},
        {GPT_OSS("\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":7},"),
         ZX_ROPE_DEFAULT, 7, 0, 131072, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        zx_config config;
        zx_rope_settings rope = {0};
        CHECK_ON(rows[i].config, read_config(rows[i].config, &config, &rope, NULL) == ZMLX_OK);
        CHECK_ON(rows[i].config, rope.type == rows[i].type && rope.theta == rows[i].theta);
        CHECK_ON(rows[i].config, rope.factor == rows[i].factor);
        CHECK_ON(rows[i].config, rope.original_length == rows[i].original);
        CHECK_ON(rows[i].config, rope.truncate == rows[i].truncate);
        CHECK_ON(rows[i].config, rope.beta_fast == 32 && rope.beta_slow == 1);
        CHECK_ON(rows[i].config, config.context_length == 131072);
    }
}
