/* gemma4_test.c - what Gemma 4's config means for its layers, and what is refused. */
#include <string.h>

#include "model/families/families_testing.h"

#define GEMMA(keys)                                                                           \
    "{\"hidden_size\":64,\"intermediate_size\":8,\"num_hidden_layers\":4,"                    \
    "\"num_attention_heads\":8,\"head_dim\":16,\"global_head_dim\":32,\"vocab_size\":4," keys \
    "\"model_type\":\"gemma4_text\"}"
#define TYPES(first, second, third, last) \
    "\"layer_types\":[\"" first "\",\"" second "\",\"" third "\",\"" last "\"],"
#define SLIDING "sliding_attention"
#define FULL    "full_attention"
#define MIXED   TYPES(SLIDING, FULL, SLIDING, FULL)

typedef struct seen {
    zx_config config;
    zx_heads sliding, full;
    zx_rope_settings ropes[2];
} seen;

static zmlx_status read(const char *text, seen *all)
{
    const zmlx_status status =
        read_config(text, &all->config, &all->ropes[ZX_LAYER_FULL], &all->ropes[ZX_LAYER_SLIDING]);
    if (status == ZMLX_OK) {
        all->sliding = zx_config_heads(&all->config, ZX_LAYER_SLIDING);
        all->full = zx_config_heads(&all->config, ZX_LAYER_FULL);
    }
    return status;
}

static const struct {
    const char *config;
    zx_heads sliding, full;
    const char *types; /* of the layers */
} rows[] = {
    {GEMMA(""), {16, 4}, {32, 4}, "sssf"},
    {GEMMA(MIXED), {16, 4}, {32, 4}, "sfsf"},
    {GEMMA(TYPES(SLIDING, FULL, SLIDING, SLIDING)), {16, 4}, {32, 4}, "sfsf"},
    {GEMMA("\"num_global_key_value_heads\":2,"), {16, 4}, {32, 4}, "sssf"},
    {GEMMA("\"num_global_key_value_heads\":2,\"attention_k_eq_v\":true,"),
     {16, 4},
     {32, 2},
     "sssf"},
    {GEMMA("\"num_global_key_value_heads\":null,\"attention_k_eq_v\":true,"),
     {16, 4},
     {32, 4},
     "sssf"},
    {GEMMA("\"per_layer_config\":{\"03\":{\"head_dim\":24,\"num_key_value_heads\":1}},"),
     {16, 4},
     {24, 1},
     "sssf"},
    {GEMMA("\"per_layer_config\":{\"3\":{\"num_key_value_heads\":1}},"), {16, 4}, {16, 1}, "sssf"},
    {GEMMA(MIXED "\"per_layer_config\":{\"0\":{\"head_dim\":8},\"2\":{\"head_dim\":8}},"),
     {8, 4},
     {16, 4},
     "sfsf"},
};

TEST(gemma4_gives_each_type_of_layer_its_heads)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        seen all = {0};
        const zmlx_status status = read(rows[i].config, &all);
        CHECK_ON(status == ZMLX_OK ? rows[i].config : zmlx_error_message(), status == ZMLX_OK);
        CHECK_ON(rows[i].config, all.sliding.head_size == rows[i].sliding.head_size);
        CHECK_ON(rows[i].config, all.sliding.kv_heads == rows[i].sliding.kv_heads);
        CHECK_ON(rows[i].config, all.full.head_size == rows[i].full.head_size);
        CHECK_ON(rows[i].config, all.full.kv_heads == rows[i].full.kv_heads);
        for (size_t k = 0; k < 4; k++)
            CHECK_ON(rows[i].config,
                     (all.config.layer_types[k] == ZX_LAYER_FULL) == (rows[i].types[k] == 'f'));
    }
}

TEST(gemma4_turns_a_share_of_full_layers_and_all_of_sliding_ones)
{
    seen all = {0};
    CHECK(read(GEMMA(""), &all) == ZMLX_OK);
    const zx_rope_settings *full = &all.ropes[ZX_LAYER_FULL];
    const zx_rope_settings *sliding = &all.ropes[ZX_LAYER_SLIDING];
    CHECK(full->type == ZX_ROPE_PROPORTIONAL && full->theta == 1e6);
    CHECK(full->dims == 32 && full->turns == 4);
    CHECK(sliding->type == ZX_ROPE_DEFAULT && sliding->theta == 1e4 && sliding->dims == 16);
    CHECK(read(GEMMA("\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"proportional\","
                     "\"partial_rotary_factor\":0.5,\"rope_theta\":7},\"sliding_attention\":{"
                     "\"partial_rotary_factor\":0.5,\"rope_theta\":3}},"),
               &all) == ZMLX_OK);
    CHECK(full->type == ZX_ROPE_PROPORTIONAL && full->theta == 7);
    CHECK(full->dims == 32 && full->turns == 8);
    CHECK(sliding->type == ZX_ROPE_DEFAULT && sliding->theta == 3 && sliding->dims == 16);
}

TEST(gemma4_refuses_what_it_does_not_compute)
{
    static const struct {
        const char *config, *message;
    } refused[] = {
        {GEMMA("\"num_kv_shared_layers\":1,"), "'num_kv_shared_layers' is 1; expected a number"},
        {GEMMA(MIXED "\"num_kv_shared_layers\":4,"), "'num_kv_shared_layers' is 4; expected"},
        {GEMMA(TYPES(SLIDING, "conv", FULL, FULL)), "'layer_types' is an array; expected words"},
        {GEMMA("\"use_bidirectional_attention\":\"all\","), "'use_bidirectional_attention' is"},
        {GEMMA("\"hidden_activation\":\"tanh\","), "'hidden_activation' is 'tanh', an activation"},
        {GEMMA("\"vocab_size_per_layer_input\":3,"), "'vocab_size_per_layer_input' is 3; expected"},
        {GEMMA("\"hidden_size_per_layer_input\":8000000,"), "'hidden_size_per_layer_input' is 8"},
        {GEMMA("\"num_global_key_value_heads\":3,\"attention_k_eq_v\":true,"),
         "'num_global_key_value_heads' is 3; expected a divisor"},
        {GEMMA("\"enable_moe_block\":true,\"num_experts\":4,\"top_k_experts\":2,"),
         "'moe_intermediate_size' is missing"},
        {GEMMA("\"enable_moe_block\":true,\"moe_intermediate_size\":4,"),
         "key 'num_experts' is 0; expected 1"},
        {GEMMA("\"per_layer_config\":{\"1\":{\"head_dim\":8}},"), "the same sizes for all layers"},
        {GEMMA("\"per_layer_config\":{\"3\":{\"sliding_window\":8}},"),
         "'per_layer_config.3' is an object; expected an object with head_dim and"},
        {GEMMA("\"per_layer_config\":{\"3\":5},"), "'per_layer_config.3' is 5; expected an object"},
        {GEMMA("\"rope_parameters\":{\"sliding_attention\":{\"rope_theta\":3}},"),
         "'rope_parameters.full_attention' is missing; expected an object"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        seen all = {0};
        CHECK_ON(refused[i].config, read(refused[i].config, &all) != ZMLX_OK);
        CHECK_ON(zmlx_error_message(), strstr(zmlx_error_message(), refused[i].message) != NULL);
    }
}
