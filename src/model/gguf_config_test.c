/* gguf_config_test.c - what each architecture's metadata and names become, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/experts.h"
#include "model/families/families.h"
#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "model/gguf_testing.h"
#include "model/rope_config.h"

static zx_config large_config;

static const json_t *of(const zx_checkpoint *checkpoint, const char *key)
{
    return json_object_get(zx_checkpoint_config(checkpoint), key);
}

static json_int_t number(const zx_checkpoint *checkpoint, const char *key)
{
    return json_integer_value(of(checkpoint, key));
}

static bool is_class(const zx_checkpoint *checkpoint, const char *name)
{
    const char *word = json_string_value(json_array_get(of(checkpoint, "architectures"), 0));
    return word != NULL && strcmp(word, name) == 0;
}

TEST(an_unknown_gguf_architecture_is_told_all_known_ones)
{
    static const char *const some[] = {"llama, mistral3, ", "qwen3moe", "gpt-oss", "glm4moe"};
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    const zx_family *family = NULL;
    /* names that stand for the same in two architectures, for neither here */
    CHECK(zx_make_tensor(&maker, "blk.0.ffn_norm.weight", 0, (uint64_t[]){32}, 1, 128) &&
          zx_make_tensor(&maker, "blk.0.post_attention_norm.weight", 0, (uint64_t[]){32}, 1, 128));
    CHECK(start(&maker, "qwem") && open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_checkpoint_peek(checkpoint, "blk.0.ffn_norm.weight") != NULL);
    CHECK(zx_family_find(checkpoint, &family) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("f.gguf: metadata key 'general.architecture' is 'qwem', which is not known; "));
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) CHECK_ON(some[i], says(some[i]));
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
}

TEST(every_gguf_architecture_has_a_family)
{
    zx_text names = {0};
    CHECK(zx_gguf_known_architectures(&names) == ZMLX_OK);
    for (const char *at = names.bytes; at != NULL && *at != 0;) {
        char name[ZX_GGUF_WORD];
        zx_gguf_maker maker = {0};
        zx_gguf gguf = {0};
        const zx_gguf_architecture *row = NULL;
        const size_t length = strcspn(at, ",");
        size_t family = 0;
        (void)snprintf(name, sizeof name, "%.*s", (int)length, at);
        at += length + (at[length] == ',' ? 2 : 0);
        CHECK_ON(name, zx_make_string(&maker, "general.architecture", name) &&
                           zx_make_file(&maker) &&
                           zx_gguf_open_bytes("f", maker.file.bytes, maker.file.length, &gguf) ==
                               ZMLX_OK);
        CHECK_ON(name, zx_gguf_architecture_of(&gguf, &row) == ZMLX_OK && row != NULL);
        while (row != NULL && zx_families[family] != NULL &&
               strcmp(zx_families[family]->architectures[0], row->hub) != 0)
            family++;
        CHECK_ON(name, zx_families[family] != NULL);
        zx_gguf_close(&gguf);
        zx_gguf_maker_fini(&maker);
    }
    zx_text_fini(&names);
}

TEST(a_key_of_the_metadata_tells_families_apart)
{
    static const struct {
        const char *name, *key, *with, *without;
    } rows[] = {
        {"llama", "expert_count", "MixtralForCausalLM", "LlamaForCausalLM"},
        {"olmo2", "attention.sliding_window", "Olmo3ForCausalLM", "Olmo2ForCausalLM"},
        {"mistral3", "attention.temperature_scale", "Ministral3ForCausalLM", "LlamaForCausalLM"},
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        const size_t row = i / 2;
        zx_gguf_maker maker = {0};
        zx_checkpoint *checkpoint = NULL;
        CHECK(start(&maker, rows[row].name) && put(&maker, rows[row].name, "expert_used_count", 1));
        CHECK(put(&maker, rows[row].name, "rope.scaling.original_context_length", 16));
        CHECK(put_number(&maker, rows[row].name, "attn_logit_softcapping", 3));
        /* 0 is as good as absent */
        CHECK(i % 2 == 0 ? put(&maker, rows[row].name, rows[row].key, 8)
                         : put(&maker, rows[row].name, rows[row].key, 0));
        CHECK_ON(rows[row].with, open_maker(&maker, &checkpoint) == ZMLX_OK);
        CHECK_ON(rows[row].with,
                 is_class(checkpoint, i % 2 == 0 ? rows[row].with : rows[row].without));
        zx_checkpoint_close(checkpoint);
        zx_gguf_maker_fini(&maker);
    }
}

TEST(what_an_architecture_needs_is_named)
{
    static const struct {
        const char *name, *message;
        zmlx_status status;
    } rows[] = {
        {"gemma2", "f.gguf: metadata key 'gemma2.attention.sliding_window' is missing",
         ZMLX_ERROR_FORMAT},
        {"qwen3moe", "f.gguf: metadata key 'qwen3moe.expert_count' is missing", ZMLX_ERROR_FORMAT},
        {"deepseek2", "f.gguf: metadata key 'deepseek2.expert_count' is missing",
         ZMLX_ERROR_FORMAT},
        {"gptneox", "f.gguf: metadata key 'gptneox.rope.dimension_count' is missing",
         ZMLX_ERROR_FORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_gguf_maker maker = {0};
        zx_checkpoint *checkpoint = NULL;
        CHECK(start(&maker, rows[i].name));
        CHECK_ON(rows[i].name, open_maker(&maker, &checkpoint) == rows[i].status);
        CHECK_ON(rows[i].name, says(rows[i].message));
        zx_gguf_maker_fini(&maker);
    }
}

static bool start_experts(zx_gguf_maker *maker, const char *name)
{
    return start(maker, name) && put(maker, name, "expert_count", 8) &&
           put(maker, name, "expert_used_count", 2);
}

TEST(a_router_of_another_kind_is_refused)
{
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    CHECK(start_experts(&maker, "qwen3moe") && put(&maker, "qwen3moe", "expert_gating_func", 2));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("f.gguf: metadata key 'qwen3moe.expert_gating_func' is 2; this family knows 1 "
               "(softmax)"));
    zx_gguf_maker_fini(&maker);
    /* DeepSeek-V2, which says nothing */
    CHECK(start_experts(&maker, "deepseek2") &&
          put(&maker, "deepseek2", "attention.kv_lora_rank", 16) &&
          put(&maker, "deepseek2", "rope.dimension_count", 8) &&
          put(&maker, "deepseek2", "attention.key_length", 24));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("'deepseek2.expert_gating_func' is missing, so experts are scored by a softmax"));
    /* a head that is no larger than what turns of it */
    CHECK(put(&maker, "deepseek2", "expert_gating_func", 2) &&
          put(&maker, "deepseek2", "attention.key_length_mla", 8));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_ERROR_FORMAT);
    CHECK(says("'deepseek2.attention.key_length_mla' is 8; expected more than "));
    zx_gguf_maker_fini(&maker);
}

TEST(a_value_for_each_layer_may_be_a_list)
{
    static const uint8_t alike[] = {2, 2, 2, 2}, mixed[] = {2, 2, 1, 2}, slides[] = {1, 0, 1, 1};
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    CHECK(start(&maker, "qwen2") &&
          put_bytes(&maker, "qwen2", "attention.head_count_kv", ZX_GGUF_U8, alike, 4));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(number(checkpoint, "num_key_value_heads") == 2);
    CHECK(number(checkpoint, "head_dim") == 8); /* of the hidden size */
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
    CHECK(start(&maker, "qwen2") &&
          put_bytes(&maker, "qwen2", "attention.head_count_kv", ZX_GGUF_U8, mixed, 4));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(
        says("'qwen2.attention.head_count_kv' is a list of unlike numbers; expected one for all"));
    zx_gguf_maker_fini(&maker);
    CHECK(start(&maker, "qwen2") &&
          put_bytes(&maker, "qwen2", "attention.head_count_kv", ZX_GGUF_U8, alike, 3));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_ERROR_FORMAT);
    CHECK(says("f.gguf: metadata key 'qwen2.attention.head_count_kv' has 3 elements; expected one "
               "for each of the 4 blocks of 'qwen2.block_count'"));
    zx_gguf_maker_fini(&maker);
    CHECK(start(&maker, "qwen2") &&
          put_bytes(&maker, "qwen2", "attention.head_count_kv", ZX_GGUF_BOOL, slides, 4));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_ERROR_FORMAT);
    CHECK(says("f.gguf: metadata key 'qwen2.attention.head_count_kv' is no list of whole"));
    zx_gguf_maker_fini(&maker);
    CHECK(start(&maker, "olmo2") && put(&maker, "olmo2", "attention.sliding_window", 8) &&
          put_bytes(&maker, "olmo2", "attention.sliding_window_pattern", ZX_GGUF_BOOL, slides, 4));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    const json_t *types = of(checkpoint, "layer_types");
    CHECK(json_array_size(types) == 4);
    for (size_t i = 0; i < 4; i++)
        CHECK(strcmp(json_string_value(json_array_get(types, i)),
                     slides[i] != 0 ? "sliding_attention" : "full_attention") == 0);
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
}

static bool has_rope(const zx_checkpoint *checkpoint, const char *type, double theta,
                     zx_rope_type kind)
{
    zx_rope_settings settings;
    zx_arena arena = {0};
    const bool holds =
        zx_checkpoint_rope_settings(checkpoint, type, 8, &arena, &settings) == ZMLX_OK &&
        settings.theta == theta && settings.type == kind;
    zx_arena_reset(&arena);
    return holds;
}

TEST(sliding_layers_have_a_plain_rope_of_their_own)
{
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    CHECK(start(&maker, "gemma3") && put(&maker, "gemma3", "attention.sliding_window", 8) &&
          put_number(&maker, "gemma3", "rope.freq_base", 5e5F) &&
          zx_make_string(&maker, "gemma3.rope.scaling.type", "linear") &&
          put_number(&maker, "gemma3", "rope.scaling.factor", 8));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(has_rope(checkpoint, "full_attention", 5e5, ZX_ROPE_LINEAR));
    CHECK(has_rope(checkpoint, "sliding_attention", 1e4, ZX_ROPE_DEFAULT));
    CHECK(number(checkpoint, "query_pre_attn_scalar") == 8);
    zx_checkpoint_close(checkpoint);
    CHECK(put_number(&maker, "gemma3", "rope.freq_base_swa", 2e4F));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(has_rope(checkpoint, "sliding_attention", 2e4, ZX_ROPE_DEFAULT));
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
    /* OLMo 3's have the file's base */
    CHECK(start(&maker, "olmo2") && put(&maker, "olmo2", "attention.sliding_window", 8) &&
          put_number(&maker, "olmo2", "rope.freq_base", 5e5F) &&
          zx_make_string(&maker, "olmo2.rope.scaling.type", "yarn") &&
          put_number(&maker, "olmo2", "rope.scaling.factor", 8));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(has_rope(checkpoint, "full_attention", 5e5, ZX_ROPE_YARN));
    CHECK(has_rope(checkpoint, "sliding_attention", 5e5, ZX_ROPE_DEFAULT));
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
}

/* What the published files say that a tiny golden cannot: sizes by which a model is known. */
TEST(the_scale_of_gemmas_scores_follows_from_its_sizes)
{
    static const struct {
        const char *name;
        uint32_t layers, hidden, heads, head_size;
        json_int_t size;
    } rows[] = {
        {"gemma2", 26, 2304, 8, 256, 256},  {"gemma2", 46, 4608, 32, 128, 144},
        {"gemma3", 26, 1152, 4, 256, 256},  {"gemma3", 18, 640, 4, 256, 256},
        {"gemma3", 62, 5376, 32, 128, 168},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const name = rows[i].name;
        zx_gguf_maker maker = {0};
        zx_checkpoint *checkpoint = NULL;
        CHECK(zx_make_string(&maker, "general.architecture", name) &&
              put(&maker, name, "block_count", rows[i].layers) &&
              put(&maker, name, "embedding_length", rows[i].hidden) &&
              put(&maker, name, "feed_forward_length", 48) &&
              put(&maker, name, "attention.head_count", rows[i].heads) &&
              put(&maker, name, "attention.key_length", rows[i].head_size) &&
              put(&maker, name, "attention.sliding_window", 512));
        CHECK_ON(name, open_maker(&maker, &checkpoint) == ZMLX_OK);
        CHECK_ON(name, number(checkpoint, "query_pre_attn_scalar") == rows[i].size);
        /* early files of Gemma 2 do not say its caps */
        CHECK_ON(name, number(checkpoint, "final_logit_softcapping") ==
                           (strcmp(name, "gemma2") == 0 ? 30 : 0));
        zx_checkpoint_close(checkpoint);
        zx_gguf_maker_fini(&maker);
    }
}

TEST(gemma3_without_a_window_has_full_layers_alone)
{
    static const uint8_t unlike[] = {8, 4, 8, 4};
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    const zx_family *family = NULL;
    zx_config *const config = &large_config;
    CHECK(start(&maker, "gemma3") && open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_family_find(checkpoint, &family) == ZMLX_OK);
    CHECK(zx_config_read(family, checkpoint, config) == ZMLX_OK);
    CHECK(config->window == 0 && config->layer_types[0] == ZX_LAYER_FULL);
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
    CHECK(start(&maker, "gemma3") &&
          put_bytes(&maker, "gemma3", "attention.sliding_window", ZX_GGUF_U8, unlike, 4));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_ERROR_FORMAT);
    CHECK(says("'gemma3.attention.sliding_window' is a list of unlike numbers"));
    zx_gguf_maker_fini(&maker);
}

TEST(a_head_size_of_zero_is_as_none)
{
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    CHECK(start(&maker, "gemma3") && put(&maker, "gemma3", "attention.key_length", 0));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(number(checkpoint, "head_dim") == 8 && number(checkpoint, "query_pre_attn_scalar") == 8);
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
}

TEST(layers_that_predict_further_tokens_are_not_counted)
{
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    zx_config *const config = &large_config;
    zx_rope_settings settings;
    zx_arena arena = {0};
    CHECK(start_experts(&maker, "glm4moe") && put(&maker, "glm4moe", "expert_shared_count", 1) &&
          put(&maker, "glm4moe", "rope.dimension_count", 6) &&
          put(&maker, "glm4moe", "nextn_predict_layers", 1));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(number(checkpoint, "num_hidden_layers") == 3);
    CHECK(number(checkpoint, "num_nextn_predict_layers") == 1);
    CHECK(json_is_false(of(checkpoint, "use_qk_norm")));
    /* the file's word for what turns of a head goes before the family's half */
    CHECK(zx_config_read(&zx_family_glm4_moe, checkpoint, config) == ZMLX_OK);
    CHECK(zx_checkpoint_rope_settings(checkpoint, "full_attention", 8, &arena, &settings) ==
          ZMLX_OK);
    CHECK(zx_family_glm4_moe.adjust_rope(checkpoint, config, ZX_LAYER_FULL, &settings) == ZMLX_OK);
    CHECK(settings.dims == 6);
    zx_arena_reset(&arena);
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
}

TEST(an_architectures_own_names_go_before_the_usual_ones)
{
    static const struct {
        const char *architecture, *gguf, *hub;
    } rows[] = {
        {"gemma3", "blk.7.ffn_norm.weight", "model.layers.7.pre_feedforward_layernorm.weight"},
        {"gemma3", "blk.7.attn_q_norm.weight", "model.layers.7.self_attn.q_norm.weight"},
        {"gpt-oss", "blk.0.ffn_gate_inp.bias", "model.layers.0.mlp.router.bias"},
        {"gpt-oss", "blk.0.attn_sinks.weight", "model.layers.0.self_attn.sinks.weight"},
        {"gpt-oss", "blk.0.post_attention_norm.weight",
         "model.layers.0.post_attention_layernorm.weight"},
        {"qwen2moe", "blk.1.ffn_up_shexp.weight",
         "model.layers.1.mlp.shared_expert.up_proj.weight"},
        {"glm4moe", "blk.1.ffn_up_shexp.weight",
         "model.layers.1.mlp.shared_experts.up_proj.weight"},
        {"glm4moe", "blk.1.exp_probs_b.bias", "model.layers.1.mlp.gate.e_score_correction_bias"},
        {"qwen3moe", "blk.1.ffn_gate_up_exps.weight", "model.layers.1.mlp.experts.gate_up_proj"},
        {"gemma4", "blk.2.ffn_gate_inp.scale", "model.layers.2.router.scale"},
        {"gemma4", "blk.2.ffn_gate_inp.weight", "model.layers.2.router.proj.weight"},
        {"gemma4", "per_layer_token_embd.weight", "model.embed_tokens_per_layer.weight"},
        {"gptneox", "token_embd.weight", "gpt_neox.embed_in.weight"},
        {"gptneox", "blk.1.attn_qkv.bias", "gpt_neox.layers.1.attention.query_key_value.bias"},
        {"lfm2", "token_embd_norm.weight", "model.embedding_norm.weight"},
        {"lfm2", "blk.3.ffn_norm.weight", "model.layers.3.ffn_norm.weight"},
        {"lfm2", "blk.3.shortconv.in_proj.bias", "model.layers.3.conv.in_proj.bias"},
        {"lfm2moe", "blk.3.exp_probs_b.bias", "model.layers.3.feed_forward.expert_bias"},
        {"qwen3next", "blk.0.ssm_in.weight", "model.layers.0.linear_attn.in_proj_qkvz.weight"},
        {"qwen35", "blk.0.attn_gate.weight", "model.layers.0.linear_attn.in_proj_z.weight"},
        {"qwen35", "blk.0.ssm_a", "model.layers.0.linear_attn.A_log"},
        {"qwen35moe", "blk.0.ssm_dt.bias", "model.layers.0.linear_attn.dt_bias"},
        {"llama", "blk.5.ffn_up.12.weight", "model.layers.5.mlp.experts.12.up_proj.weight"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[ZX_TENSOR_NAME], back[ZX_TENSOR_NAME];
        zx_gguf_maker maker = {0};
        zx_gguf gguf = {0};
        const zx_gguf_architecture *row = NULL;
        CHECK(zx_make_string(&maker, "general.architecture", rows[i].architecture) &&
              zx_make_file(&maker) &&
              zx_gguf_open_bytes("f", maker.file.bytes, maker.file.length, &gguf) == ZMLX_OK &&
              zx_gguf_architecture_of(&gguf, &row) == ZMLX_OK);
        zx_gguf_to_hub_name(row, rows[i].gguf, name);
        CHECK_ON(rows[i].gguf, strcmp(name, rows[i].hub) == 0);
        CHECK_ON(rows[i].gguf, zx_hub_to_gguf_name(row, rows[i].hub, back));
        CHECK_ON(rows[i].gguf, strcmp(back, rows[i].gguf) == 0);
        zx_gguf_close(&gguf);
        zx_gguf_maker_fini(&maker);
    }
}

TEST(missing_experts_are_named_as_files_of_today_have_them)
{
    static const zx_expert_request request = {
        "model.layers.0.mlp", ZX_PROJECTION_UP, 8, 4, 32, false};
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    zx_arena arena = {0};
    zx_weight weight;
    CHECK(start_experts(&maker, "llama") && open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_checkpoint_experts(checkpoint, &request, &arena, &weight) == ZMLX_ERROR_FORMAT);
    CHECK(says(
        "f.gguf: tensor 'blk.0.ffn_up_exps.weight' (model.layers.0.mlp.experts.up_proj.weight) "
        "is missing"));
    zx_arena_reset(&arena);
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
}

TEST(a_factor_of_attention_is_a_usual_number_or_refused)
{
    static const float refused[] = {NAN, INFINITY, -1, 0, 1e6F};
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK(start(&maker, "phi3") &&
              put_number(&maker, "phi3", "rope.scaling.attn_factor", refused[i]));
        CHECK(open_maker(&maker, &checkpoint) == ZMLX_ERROR_FORMAT);
        CHECK(says("f.gguf: metadata key 'phi3.rope.scaling.attn_factor' is "));
        zx_gguf_maker_fini(&maker);
    }
    CHECK(start(&maker, "phi3") && put_number(&maker, "phi3", "rope.scaling.attn_factor", 1.25F));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    const json_t *rope = of(checkpoint, "rope_parameters");
    CHECK(json_number_value(json_object_get(rope, "attention_factor")) == 1.25);
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
}

TEST(a_model_that_sees_later_tokens_is_refused)
{
    static const uint8_t no = 0;
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    CHECK(start(&maker, "qwen2") &&
          zx_make_value(&maker, "qwen2.attention.causal", ZX_GGUF_BOOL, &no, 1));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("f.gguf: metadata key 'qwen2.attention.causal' is false"));
    zx_gguf_maker_fini(&maker);
}

TEST(heads_of_gemma4_that_contradict_are_refused)
{
    static const struct {
        const char *word, *message;
        uint32_t value;
    } rows[] = {
        {"attention.value_length", "value_length' is 8; expected 16 as attention.key_length", 8},
        {"attention.value_length_swa", "_swa' is 16; expected 8 as attention.key_length_swa", 16},
        {"rope.dimension_count", "dimension_count' is 4; expected 16 as attention.key_length", 4},
        {"rope.dimension_count_swa", "_swa' is 4; expected 8 as attention.key_length_swa", 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_gguf_maker maker = {0};
        zx_checkpoint *checkpoint = NULL;
        CHECK(start(&maker, "gemma4") && put(&maker, "gemma4", "attention.key_length", 16) &&
              put(&maker, "gemma4", "attention.key_length_swa", 8) &&
              put(&maker, "gemma4", "attention.sliding_window", 8) &&
              put(&maker, "gemma4", "attention.sliding_window_pattern", 2));
        CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
        zx_checkpoint_close(checkpoint);
        CHECK(put(&maker, "gemma4", rows[i].word, rows[i].value));
        CHECK_ON(rows[i].message, open_maker(&maker, &checkpoint) == ZMLX_ERROR_FORMAT);
        CHECK_ON(rows[i].message, says(rows[i].message));
        zx_gguf_maker_fini(&maker);
    }
}

/* Every list of Gemma 4 must have an element a block, and the same for layers of one kind. */
TEST(lists_of_gemma4_that_contradict_are_refused)
{
    static const struct {
        const char *word, *message;
        uint8_t list[4], count;
        zx_gguf_type type;
    } rows[] = {
        {"attention.head_count_kv",
         "_kv' has 3 elements; expected one for each of the 4 blocks",
         {2, 2, 1},
         3,
         ZX_GGUF_U8},
        {"attention.head_count_kv",
         "_kv' is 1 for block 2; expected the same number above 0 for "
         "all blocks with sliding_attention",
         {2, 2, 1, 1},
         4,
         ZX_GGUF_U8},
        {"attention.head_count_kv",
         "_kv' is 0 for block 3; expected the same number above 0 for "
         "all blocks with full_attention",
         {2, 2, 2, 0},
         4,
         ZX_GGUF_U8},
        {"attention.sliding_window_pattern",
         "_pattern' has 3 elements; expected one for each",
         {1, 1, 1},
         3,
         ZX_GGUF_BOOL},
        {"feed_forward_length",
         "_length' is 96 for block 2; expected 48",
         {48, 48, 96, 96},
         4,
         ZX_GGUF_U8},
        {"feed_forward_length",
         "_length' is 48 for block 3; expected 96",
         {48, 48, 96, 48},
         4,
         ZX_GGUF_U8},
        {"attention.head_count",
         "head_count' is a list of unlike numbers",
         {4, 4, 4, 8},
         4,
         ZX_GGUF_U8},
    };
    static const uint8_t slides[] = {1, 1, 1, 0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_gguf_maker maker = {0};
        zx_checkpoint *checkpoint = NULL;
        CHECK(zx_make_string(&maker, "general.architecture", "gemma4") &&
              put(&maker, "gemma4", "block_count", 4) &&
              put(&maker, "gemma4", "embedding_length", 32) &&
              put(&maker, "gemma4", "attention.key_length", 16) &&
              put(&maker, "gemma4", "attention.shared_kv_layers", i == 5 ? 2 : 1) &&
              put(&maker, "gemma4", "attention.sliding_window", 8));
        CHECK(put_bytes(&maker, "gemma4", rows[i].word, rows[i].type, rows[i].list, rows[i].count));
        if (i != 3)
            CHECK(put_bytes(&maker, "gemma4", "attention.sliding_window_pattern", ZX_GGUF_BOOL,
                            slides, 4));
        CHECK(i == 4 || i == 5 || put(&maker, "gemma4", "feed_forward_length", 48));
        CHECK(i == 6 || put(&maker, "gemma4", "attention.head_count", 4));
        CHECK_ON(rows[i].message, open_maker(&maker, &checkpoint) != ZMLX_OK);
        CHECK_ON(rows[i].message, says("f.gguf: metadata key 'gemma4.") && says(rows[i].message));
        zx_gguf_maker_fini(&maker);
    }
}

/* A size that no model has is named as the file names it. */
TEST(gguf_sizes_are_refused_by_the_key_of_the_file)
{
    static const struct {
        const char *key;
        uint32_t value;
        const char *message;
    } rows[] = {
        {"block_count", 5000, "f.gguf: metadata key 'llama.block_count' is 5000; expected a usual"},
        {"attention.head_count_kv", 3,
         "f.gguf: metadata key 'llama.attention.head_count_kv' is 3; expected a divisor of"},
        {"attention.key_length", 15, "f.gguf: metadata key 'llama.attention.key_length' is 15;"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_gguf_maker maker = {0};
        zx_checkpoint *checkpoint = NULL;
        CHECK(zx_make_string(&maker, "general.architecture", "llama") &&
              (i == 0 || put(&maker, "llama", "block_count", 2)) &&
              put(&maker, "llama", "embedding_length", 64) &&
              put(&maker, "llama", "feed_forward_length", 48) &&
              put(&maker, "llama", "attention.head_count", 4) &&
              put(&maker, "llama", "context_length", 64) &&
              put(&maker, "llama", "vocab_size", 32) &&
              zx_make_f32(&maker, "llama.attention.layer_norm_rms_epsilon", 1e-5F) &&
              put(&maker, "llama", rows[i].key, rows[i].value));
        const zmlx_status opened = open_maker(&maker, &checkpoint);
        const zmlx_status status = opened == ZMLX_OK
                                       ? zx_config_read(&zx_family_llama, checkpoint, &large_config)
                                       : opened;
        zx_checkpoint_close(opened == ZMLX_OK ? checkpoint : NULL);
        zx_gguf_maker_fini(&maker);
        CHECK_ON(rows[i].key, status == ZMLX_ERROR_FORMAT && says(rows[i].message));
    }
}
