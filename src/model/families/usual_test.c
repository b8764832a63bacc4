/* usual_test.c - what the official code takes for keys that a config lacks, or has as null, and
 * keys that it passes over. */
#include <string.h>

#include "model/families/families_testing.h"

#define TYPE(name) "\"model_type\":\"" name "\"}"
#define SIZES                                                                                 \
    "{\"hidden_size\":128,\"intermediate_size\":8,\"num_hidden_layers\":2,\"vocab_size\":96," \
    "\"num_attention_heads\":32,"
#define NEOX                                                                                  \
    "{\"hidden_size\":256,\"intermediate_size\":8,\"num_hidden_layers\":2,\"vocab_size\":96," \
    "\"num_attention_heads\":32,"
#define TEXT(name, keys)                                                     \
    "{\"architectures\":[\"SomeForConditionalGeneration\"],\"text_config\":" \
    "{" keys                                                                 \
    TYPE(name) "}"
#define TYPES "\"layer_types\":[\"full_attention\",\"sliding_attention\"],"

typedef struct reading {
    zx_config config;
    zx_rope_settings full, sliding;
} reading;

static zmlx_status read(const char *text, reading *found)
{
    return read_config(text, &found->config, &found->full, &found->sliding);
}

#define SIZE(field)   offsetof(zx_config, field), false
#define NUMBER(field) offsetof(zx_config, field), true

static const struct {
    const char *config;
    size_t offset;
    bool is_number;
    double value;
} rows[] = {
    {SIZES TYPE("gemma2"), NUMBER(attention_limit), 50},
    {SIZES TYPE("gemma2"), NUMBER(logit_limit), 30},
    {SIZES "\"attn_logit_softcapping\":null," TYPE("gemma2"), NUMBER(attention_limit), 0},
    {SIZES "\"final_logit_softcapping\":null," TYPE("gemma2"), NUMBER(logit_limit), 0},
    {SIZES TYPE("gemma2"), SIZE(kv_heads), 4},
    {SIZES TYPE("mixtral"), NUMBER(norm_epsilon), 1e-5},
    {SIZES TYPE("mixtral"), SIZE(kv_heads), 8},
    {SIZES TYPE("mixtral"), SIZE(context_length), 131072},
    {SIZES "\"num_key_value_heads\":null," TYPE("mixtral"), SIZE(kv_heads), 32},
    {SIZES "\"num_key_value_heads\":null," TYPE("mistral"), SIZE(kv_heads), 32},
    {SIZES "\"num_key_value_heads\":null," TYPE("ministral3"), SIZE(kv_heads), 32},
    {SIZES "\"head_dim\":null," TYPE("ministral3"), SIZE(head_size), 4},
    {SIZES "\"head_dim\":null," TYPE("gpt_oss"), SIZE(head_size), 4},
    {SIZES TYPE("phi3"), NUMBER(norm_epsilon), 1e-5},
    {SIZES TYPE("phi3"), SIZE(context_length), 4096},
    {SIZES TYPE("starcoder2"), SIZE(kv_heads), 2},
    {SIZES TYPE("smollm3"), SIZE(kv_heads), 4},
    {SIZES TYPE("qwen2"), SIZE(context_length), 32768},
    {SIZES TYPE("qwen3_next"), SIZE(kv_heads), 2},
    {SIZES TYPE("qwen3_5_text"), SIZE(kv_heads), 4},
    {SIZES TYPE("glm4_moe"), SIZE(context_length), 131072},
    {NEOX "\"num_key_value_heads\":2," TYPE("gpt_neox"), SIZE(kv_heads), 32},
    /* the text part of a published config leaves out what is usual, and its null is none */
    {TEXT("llama", ""), SIZE(hidden_size), 4096},
    {TEXT("llama", ""), SIZE(intermediate_size), 11008},
    {TEXT("llama", ""), SIZE(layers), 32},
    {TEXT("llama", "\"vocab_size\":32064,"), SIZE(vocabulary), 32064},
    {TEXT("mistral", ""), SIZE(window), 4096},
    {TEXT("mistral", "\"sliding_window\":null,"), SIZE(window), 0},
    {TEXT("gemma2", ""), SIZE(heads), 8},
    {TEXT("qwen2", ""), SIZE(intermediate_size), 22016},
    /* the whole model's code caps no logits */
    {TEXT("gemma3_text", "\"final_logit_softcapping\":3,\"hidden_size\":64,\"intermediate_size\":8,"
                         "\"num_hidden_layers\":1,"),
     NUMBER(logit_limit), 0},
};

TEST(absent_and_null_keys_mean_what_the_official_code_takes)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reading found = {0};
        const char *field = (const char *)&found.config + rows[i].offset;
        const zmlx_status status = read(rows[i].config, &found);
        CHECK_ON(status == ZMLX_OK ? rows[i].config : zmlx_error_message(), status == ZMLX_OK);
        const double value = rows[i].is_number ? *(const double *)(const void *)field
                                               : (double)*(const size_t *)(const void *)field;
        CHECK_ON(rows[i].config, value == rows[i].value);
    }
}

TEST(layer_types_count_only_where_the_official_code_reads_them)
{
    static const struct {
        const char *config;
        zx_layer_type first, second;
    } configs[] = {
        {SIZES TYPES "\"sliding_window\":7," TYPE("mistral"), ZX_LAYER_SLIDING, ZX_LAYER_SLIDING},
        {SIZES TYPES "\"sliding_window\":7," TYPE("mixtral"), ZX_LAYER_SLIDING, ZX_LAYER_SLIDING},
        {SIZES TYPES "\"sliding_window\":7," TYPE("phi3"), ZX_LAYER_SLIDING, ZX_LAYER_SLIDING},
        {SIZES TYPES "\"sliding_window\":7," TYPE("starcoder2"), ZX_LAYER_SLIDING,
         ZX_LAYER_SLIDING},
        {SIZES TYPES "\"sliding_window\":null," TYPE("mistral"), ZX_LAYER_FULL, ZX_LAYER_FULL},
        {SIZES TYPES "\"sliding_window\":7," TYPE("smollm3"), ZX_LAYER_FULL, ZX_LAYER_SLIDING},
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        reading found = {0};
        CHECK_ON(configs[i].config, read(configs[i].config, &found) == ZMLX_OK);
        CHECK_ON(configs[i].config, found.config.layer_types[0] == configs[i].first);
        CHECK_ON(configs[i].config, found.config.layer_types[1] == configs[i].second);
    }
}

#define SHARE  "\"partial_rotary_factor\":0.5"
#define PARTLY "\"rope_type\":\"default\"," SHARE

static const struct {
    const char *config;
    zx_rope_type type;
    size_t dims;
    double full, sliding; /* theta */
} ropes[] = {
    /* some families turn a share of the heads, the others whole ones whatever a config says */
    {SIZES "\"head_dim\":16," SHARE "," TYPE("qwen2"), ZX_ROPE_DEFAULT, 16, 1e4, 1e4},
    {SIZES "\"head_dim\":16," SHARE "," TYPE("phi3"), ZX_ROPE_DEFAULT, 8, 1e4, 1e4},
    {SIZES "\"head_dim\":32,\"rope_scaling\":{" PARTLY "}," TYPE("qwen3_5_text"), ZX_ROPE_DEFAULT,
     16, 1e4, 1e4},
    {SIZES "\"head_dim\":32,\"rope_scaling\":{\"rope_type\":\"default\",\"partial_rotary_factor\":"
           "1},\"num_key_value_heads\":8," TYPE("glm4_moe"),
     ZX_ROPE_DEFAULT, 32, 1e4, 1e4},
    /* the older word counts where it says anything */
    {SIZES "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2},\"rope_parameters\":"
           "{\"rope_type\":\"default\",\"rope_theta\":7}," TYPE("llama"),
     ZX_ROPE_LINEAR, 4, 1e4, 1e4},
    {SIZES "\"rope_scaling\":{},\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":7}"
           "," TYPE("llama"),
     ZX_ROPE_DEFAULT, 4, 7, 7},
    {SIZES "\"rope_scaling\":{}," TYPE("gpt_oss"), ZX_ROPE_YARN, 64, 150000, 150000},
    /* GPT-NeoX's own words say what the object does not */
    {NEOX "\"rotary_emb_base\":5,\"rope_parameters\":{" PARTLY "}," TYPE("gpt_neox"),
     ZX_ROPE_DEFAULT, 4, 5, 5},
    {NEOX "\"rotary_emb_base\":5,\"rope_parameters\":{\"rope_theta\":6}," TYPE("gpt_neox"),
     ZX_ROPE_DEFAULT, 2, 6, 6},
    {NEOX "\"rope_theta\":7," TYPE("gpt_neox"), ZX_ROPE_DEFAULT, 2, 1e4, 1e4},
    {NEOX "\"rope_scaling\":{},\"rope_parameters\":{\"rope_theta\":6}," TYPE("gpt_neox"),
     ZX_ROPE_DEFAULT, 2, 6, 6},
    /* ropes by type of layer: one object for all counts for nothing */
    {SIZES "\"rope_theta\":8,\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":2,"
           "\"rope_theta\":9}," TYPE("gemma3_text"),
     ZX_ROPE_DEFAULT, 256, 8, 1e4},
    {SIZES "\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":2,\"rope_theta\":9}"
           "," TYPE("olmo3"),
     ZX_ROPE_DEFAULT, 4, 5e5, 5e5},
    {SIZES "\"rope_theta\":8,\"rope_local_base_freq\":9,\"rope_parameters\":{\"full_attention\":"
           "{\"rope_type\":\"linear\",\"factor\":2},\"sliding_attention\":{}}"
           "," TYPE("gemma3_text"),
     ZX_ROPE_LINEAR, 256, 8, 9},
    {SIZES "\"rope_theta\":8,\"rope_parameters\":{\"full_attention\":"
           "{\"rope_type\":\"linear\",\"factor\":2},\"sliding_attention\":{}}," TYPE("olmo3"),
     ZX_ROPE_LINEAR, 4, 8, 5e5},
};

TEST(ropes_are_those_of_the_official_code)
{
    for (size_t i = 0; i < sizeof ropes / sizeof *ropes; i++) {
        reading found = {0};
        const zmlx_status status = read(ropes[i].config, &found);
        CHECK_ON(status == ZMLX_OK ? ropes[i].config : zmlx_error_message(), status == ZMLX_OK);
        CHECK_ON(ropes[i].config, found.full.type == ropes[i].type);
        CHECK_ON(ropes[i].config, found.full.dims == ropes[i].dims);
        CHECK_ON(ropes[i].config, found.full.theta == ropes[i].full);
        CHECK_ON(ropes[i].config, found.sliding.theta == ropes[i].sliding);
    }
}

#define LATENT                                                                           \
    "\"kv_lora_rank\":4,\"qk_nope_head_dim\":4,\"qk_rope_head_dim\":4,\"v_head_dim\":4," \
    "\"num_key_value_heads\":32,"
#define FACTORS "\"long_factor\":[1,1],\"short_factor\":[1,1]"

TEST(null_switches_off_what_is_on_where_a_key_is_absent)
{
    reading found = {0};
    CHECK(read(SIZES LATENT TYPE("deepseek_v3"), &found) == ZMLX_OK);
    CHECK(found.full.interleaved && found.config.normalize_weights);
    CHECK(read(SIZES LATENT "\"rope_interleave\":null,\"norm_topk_prob\":null," TYPE("deepseek_v3"),
               &found) == ZMLX_OK);
    CHECK(!found.full.interleaved && !found.config.normalize_weights);
}

TEST(phi3_counts_its_original_context_outside_the_ropes_object)
{
    reading found = {0};
    CHECK(read(SIZES "\"rope_scaling\":{\"type\":\"longrope\"," FACTORS
                     ",\"original_max_position_embeddings\":16}," TYPE("phi3"),
               &found) == ZMLX_OK);
    CHECK(found.full.original_length == 4096);
    CHECK(read(SIZES "\"original_max_position_embeddings\":24,\"rope_scaling\":{\"type\":"
                     "\"longrope\"," FACTORS "}," TYPE("phi3"),
               &found) == ZMLX_OK);
    CHECK(found.full.original_length == 24 && found.full.max_length == 4096);
}

TEST(configs_that_the_official_code_computes_otherwise_are_refused)
{
    static const struct {
        const char *config, *message;
    } refused[] = {
        {NEOX "\"head_dim\":4," TYPE("gpt_neox"),
         "c: config key 'head_dim' is 4; expected hidden_size / num_attention_heads"},
        {"{\"text_config\":7," TYPE("llama"), "c: config key 'hidden_size' is missing or no whole"},
        {SIZES "\"is_causal\":false," TYPE("llama"),
         "c: config key 'is_causal' is false; expected true"},
        {SIZES "\"rope_scaling\":{\"type\":\"yarn\"," FACTORS "}," TYPE("phi3"),
         "c: the rope's type is not known of this family; known are default and longrope"},
        {SIZES LATENT "\"n_routed_experts\":8,\"n_group\":4,\"topk_group\":1,"
                      "\"num_experts_per_tok\":3," TYPE("deepseek_v3"),
         "c: config key 'num_experts_per_tok' is 3; expected at most the experts of topk_group"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        reading found = {0};
        CHECK_ON(refused[i].config, read(refused[i].config, &found) != ZMLX_OK);
        CHECK_ON(zmlx_error_message(), strstr(zmlx_error_message(), refused[i].message) != NULL);
    }
}
