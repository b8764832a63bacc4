/* gguf_architectures.c - the rows.  Where two rows have one name, the first that holds counts. */
#include "model/gguf_architectures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "model/gguf_layers.h"
#include "model/gguf_recurrent.h"

enum { SOFTMAX = 1, SIGMOID = 2, SOFTMAX_OF_CHOSEN = 3 }; /* expert_gating_func */

/* -------- names -------- */

static const zx_gguf_name gemma_names[] = {
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_attention_norm", "post_attention_layernorm"},
    {0},
};

static const zx_gguf_name gemma4_top_names[] = {
    {"per_layer_token_embd", "model.embed_tokens_per_layer"},
    {"per_layer_model_proj", "model.per_layer_model_projection"},
    {"per_layer_proj_norm", "model.per_layer_projection_norm"},
    {0},
};

static const zx_gguf_name gemma4_names[] = {
    {"ffn_gate_inp.scale", "router.scale"},
    {"ffn_down_exps.scale", "router.per_expert_scale"},
    {"ffn_gate_up_exps.weight", "experts.gate_up_proj"},
    {"layer_output_scale.weight", "layer_scalar"},
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_attention_norm", "post_attention_layernorm"},
    {"pre_ffw_norm_2", "pre_feedforward_layernorm_2"},
    {"post_ffw_norm_1", "post_feedforward_layernorm_1"},
    {"post_ffw_norm_2", "post_feedforward_layernorm_2"},
    {"inp_gate", "per_layer_input_gate"},
    {"proj", "per_layer_projection"},
    {"post_norm", "post_per_layer_input_norm"},
    {"ffn_gate_inp", "router.proj"},
    {"ffn_gate_exps", "experts.gate_proj"},
    {"ffn_up_exps", "experts.up_proj"},
    {"ffn_down_exps", "experts.down_proj"},
    {0},
};

/* The norm before the mlp is called by the other of its two names. */
static const zx_gguf_name second_norm_names[] = {
    {"post_attention_norm", "post_attention_layernorm"},
    {0},
};

static const zx_gguf_name gpt_oss_names[] = {
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_gate_inp", "mlp.router"},
    {0},
};

static const zx_gguf_name phi3_names[] = {
    {"ffn_up", "mlp.gate_up_proj"},
    {0},
};

static const zx_gguf_name qwen2_moe_names[] = {
    {"ffn_gate_inp_shexp", "mlp.shared_expert_gate"},
    {"ffn_gate_shexp", "mlp.shared_expert.gate_proj"},
    {"ffn_up_shexp", "mlp.shared_expert.up_proj"},
    {"ffn_down_shexp", "mlp.shared_expert.down_proj"},
    {0},
};

static const zx_gguf_name granitemoe_names[] = {
    {"ffn_gate_inp", "block_sparse_moe.router.layer"},
    {"ffn_gate_exps", "block_sparse_moe.experts.gate_proj"},
    {"ffn_up_exps", "block_sparse_moe.experts.up_proj"},
    {"ffn_down_exps", "block_sparse_moe.experts.down_proj"},
    {0},
};

static const zx_gguf_name starcoder2_names[] = {
    {"ffn_up", "mlp.c_fc"},
    {"ffn_down", "mlp.c_proj"},
    {0},
};

static const zx_gguf_name gpt_neox_top_names[] = {
    {"token_embd", "gpt_neox.embed_in"},
    {"output_norm", "gpt_neox.final_layer_norm"},
    {"output", "embed_out"},
    {0},
};

static const zx_gguf_name gpt_neox_names[] = {
    {"attn_qkv", "attention.query_key_value"},
    {"attn_output", "attention.dense"},
    {"ffn_up", "mlp.dense_h_to_4h"},
    {"ffn_down", "mlp.dense_4h_to_h"},
    {0},
};

/* -------- what no row can -------- */

static json_int_t count_of(const json_t *config, const char *key)
{
    return json_integer_value(json_object_get(config, key));
}

/* The scale of the scores is not written: it follows from the head's size, but in the one model
 * of so many layers, where it follows from the hidden size's share of a head. */
static zmlx_status set_query_size(const zx_gguf *gguf, json_t *config, json_int_t odd_layers)
{
    const json_int_t heads = count_of(config, "num_attention_heads");
    json_int_t size = count_of(config, "head_dim");
    if (count_of(config, "num_hidden_layers") == odd_layers && heads > 0)
        size = count_of(config, "hidden_size") / heads;
    return zx_gguf_set(gguf, config, "query_pre_attn_scalar", json_integer(size));
}

static zmlx_status finish_gemma2(const zx_gguf *gguf, const char *name, json_t *config)
{
    (void)name;
    return set_query_size(gguf, config, 46);
}

/* Without a window all layers are full ones. */
static zmlx_status finish_gemma3(const zx_gguf *gguf, const char *name, json_t *config)
{
    const json_t *window = json_object_get(config, "sliding_window");
    if (json_is_array(window))
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: metadata key '%s.attention.sliding_window' is a list of unlike "
                       "numbers; expected one for all layers",
                       gguf->stored.path, name);
    if (count_of(config, "sliding_window") == 0) {
        ZX_TRY(zx_gguf_set(gguf, config, "sliding_window", json_integer(0)));
        ZX_TRY(zx_gguf_set(gguf, config, "sliding_window_pattern", json_integer(1)));
    }
    return set_query_size(gguf, config, 62);
}

bool zx_gguf_has_tensor(const zx_gguf *gguf, const char *ending)
{
    const size_t length = strlen(ending);
    for (size_t i = 0; i < gguf->stored.count; i++) {
        const zx_stored_tensor *tensor = &gguf->stored.tensors[i];
        if (tensor->name_length >= length &&
            strcmp(tensor->name + tensor->name_length - length, ending) == 0)
            return true;
    }
    return false;
}

/* Full layers without a projection of values take their keys for them. */
static bool keys_are_values(const zx_gguf *gguf, const json_t *config)
{
    const json_t *types = json_object_get(config, "layer_types");
    for (size_t i = 0; i < json_array_size(types); i++) {
        char name[64];
        const char *type = json_string_value(json_array_get(types, i));
        (void)snprintf(name, sizeof name, "blk.%zu.attn_v.weight", i);
        if (type != NULL && strcmp(type, "full_attention") == 0)
            return zx_stored_find(&gguf->stored, name) == NULL;
    }
    return false;
}

/* A list of the mlp's sizes: the last layers, which share keys and values, have twice the size. */
static zmlx_status check_wide_mlp(const zx_gguf *gguf, const char *name, const json_t *config,
                                  json_int_t *size)
{
    char key[ZX_GGUF_KEY];
    const json_t *inner = json_object_get(config, "intermediate_size");
    const size_t count = json_array_size(inner);
    const json_int_t shared = count_of(config, "num_kv_shared_layers");
    *size = json_is_array(inner) ? json_integer_value(json_array_get(inner, 0))
                                 : json_integer_value(inner);
    for (size_t i = 0; i < count; i++) {
        const json_int_t is = json_integer_value(json_array_get(inner, i));
        const json_int_t wanted =
            (json_int_t)(i + 1) + shared <= (json_int_t)count ? *size : 2 * *size;
        if (is == wanted) continue;
        zx_gguf_key(name, "feed_forward_length", key);
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: metadata key '%s' is %jd for block %zu; expected %jd: twice the first "
                       "in the last attention.shared_kv_layers, %jd, blocks",
                       gguf->stored.path, key, (intmax_t)is, i, (intmax_t)wanted, (intmax_t)shared);
    }
    return ZMLX_OK;
}

/* Values of a head are as many as its keys, and all of them turn. */
static zmlx_status check_gemma4_heads(const zx_gguf *gguf, const char *name, int64_t full,
                                      int64_t sliding)
{
    const struct {
        const char *word;
        int64_t size;
    } sizes[] = {
        {"attention.value_length", full},
        {"attention.value_length_swa", sliding},
        {"rope.dimension_count", full},
        {"rope.dimension_count_swa", sliding},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char key[ZX_GGUF_KEY];
        int64_t size = sizes[i].size;
        zx_gguf_key(name, sizes[i].word, key);
        ZX_TRY(zx_gguf_integer(gguf, key, 0, 1 << 16, &size));
        if (size != sizes[i].size)
            return ZX_FAIL(ZMLX_ERROR_FORMAT,
                           "%s: metadata key '%s' is %jd; expected %jd as attention.key_length%s",
                           gguf->stored.path, key, (intmax_t)size, (intmax_t)sizes[i].size,
                           i % 2 == 0 ? "" : "_swa");
    }
    return ZMLX_OK;
}

/* Sizes that are lists here are two in config.json: of sliding layers, and of full ones. */
static zmlx_status finish_gemma4(const zx_gguf *gguf, const char *name, json_t *config)
{
    static const zx_gguf_layers kv_heads[] = {
        {"attention.head_count_kv", "num_key_value_heads", "full_attention"},
        {"attention.head_count_kv", "num_key_value_heads", "sliding_attention"},
    };
    char key[ZX_GGUF_KEY];
    int64_t sliding_head = count_of(config, "head_dim");
    json_int_t size = 0, heads[2];
    const bool wide = json_is_array(json_object_get(config, "intermediate_size"));
    ZX_TRY(check_wide_mlp(gguf, name, config, &size));
    for (size_t i = 0; i < 2; i++)
        ZX_TRY(zx_gguf_layers_value(gguf, name, config, &kv_heads[i], &heads[i]));
    const struct {
        const char *key;
        json_int_t value;
    } counts[] = {
        {"global_head_dim", count_of(config, "head_dim")},
        {"num_global_key_value_heads", heads[0]},
        {"num_key_value_heads", heads[1]},
        {"intermediate_size", size},
        {"vocab_size_per_layer_input", count_of(config, "vocab_size")},
        {"num_experts", count_of(config, "num_local_experts")},
        {"top_k_experts", count_of(config, "num_experts_per_tok")},
    };
    zx_gguf_key(name, "attention.key_length_swa", key);
    ZX_TRY(zx_gguf_integer(gguf, key, 1, 1 << 16, &sliding_head));
    ZX_TRY(check_gemma4_heads(gguf, name, count_of(config, "head_dim"), sliding_head));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        ZX_TRY(zx_gguf_set(gguf, config, counts[i].key, json_integer(counts[i].value)));
    ZX_TRY(zx_gguf_set(gguf, config, "head_dim", json_integer(sliding_head)));
    ZX_TRY(zx_gguf_set(gguf, config, "use_double_wide_mlp", json_boolean(wide)));
    ZX_TRY(zx_gguf_set(gguf, config, "enable_moe_block",
                       json_boolean(count_of(config, "num_experts") > 0)));
    ZX_TRY(
        zx_gguf_set(gguf, config, "attention_k_eq_v", json_boolean(keys_are_values(gguf, config))));
    (void)json_object_del(config, "shared_expert_intermediate_size"); /* of the same list */
    (void)json_object_del(config, "rotary_dim"); /* heads turn whole; rope_freqs says how far */
    return ZMLX_OK;
}

static zmlx_status finish_glm4_moe(const zx_gguf *gguf, const char *name, json_t *config)
{
    (void)name;
    return zx_gguf_set(gguf, config, "use_qk_norm",
                       json_boolean(zx_gguf_has_tensor(gguf, ".attn_q_norm.weight")));
}

/* "yarn_log_multiplier", times a factor, is mscale_all_dim; mscale is not written. */
static zmlx_status set_mscale(const zx_gguf *gguf, const char *name, double factor, double mscale,
                              json_t *config)
{
    char key[ZX_GGUF_KEY];
    double multiplier = 0;
    json_t *rope = json_object_get(config, "rope_parameters");
    zx_gguf_key(name, "rope.scaling.yarn_log_multiplier", key);
    ZX_TRY(zx_gguf_number(gguf, key, &multiplier));
    if (!isfinite(multiplier) || multiplier < 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is %g; expected at least 0",
                       gguf->stored.path, key, multiplier);
    if (multiplier == 0) return ZMLX_OK;
    multiplier *= factor;
    ZX_TRY(zx_gguf_set(gguf, rope, "mscale_all_dim", json_real(multiplier)));
    return zx_gguf_set(gguf, rope, "mscale", json_real(mscale > 0 ? mscale : multiplier));
}

/* DeepSeek-V2's files have the same architecture and a softmax over the experts: only the bias that
 * chooses, or the word for the function, shows a sigmoid. */
static zmlx_status check_sigmoid(const zx_gguf *gguf, const char *name)
{
    char key[ZX_GGUF_KEY];
    zx_gguf_key(name, "expert_gating_func", key);
    if (zx_gguf_find(gguf, key) != NULL || zx_gguf_has_tensor(gguf, ".exp_probs_b.bias"))
        return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                   "%s: metadata key '%s' is missing, so experts are scored by a softmax as in "
                   "DeepSeek-V2; this family knows the sigmoid (2)",
                   gguf->stored.path, key);
}

/* The heads' own sizes; key_length and value_length are those of the latent row, but in files from
 * before llama.cpp read it. */
static zmlx_status finish_deepseek2(const zx_gguf *gguf, const char *name, json_t *config)
{
    char key[ZX_GGUF_KEY];
    int64_t head = 0;
    const json_int_t turned = count_of(config, "rotary_dim");
    ZX_TRY(check_sigmoid(gguf, name));
    zx_gguf_key(name, "attention.key_length_mla", key);
    if (zx_gguf_find(gguf, key) == NULL) zx_gguf_key(name, "attention.key_length", key);
    ZX_TRY(zx_gguf_integer(gguf, key, 0, 1 << 16, &head));
    if (head <= turned)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: metadata key '%s' is %jd; expected more than rope.dimension_count, %jd",
                       gguf->stored.path, key, (intmax_t)head, (intmax_t)turned);
    ZX_TRY(zx_gguf_set(gguf, config, "qk_rope_head_dim", json_integer(turned)));
    ZX_TRY(zx_gguf_set(gguf, config, "qk_nope_head_dim", json_integer(head - turned)));
    /* converters write a tenth of it here */
    return set_mscale(gguf, name, 10, 0, config);
}

static zmlx_status finish_ministral3(const zx_gguf *gguf, const char *name, json_t *config)
{
    char key[ZX_GGUF_KEY];
    double beta = 0;
    json_t *rope = json_object_get(config, "rope_parameters");
    zx_gguf_key(name, "attention.temperature_scale", key);
    ZX_TRY(zx_gguf_number(gguf, key, &beta));
    if (!isfinite(beta))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is not a finite number",
                       gguf->stored.path, key);
    ZX_TRY(zx_gguf_set(gguf, rope, "llama_4_scaling_beta", json_real(beta)));
    return set_mscale(gguf, name, 1, 1, config);
}

/* -------- the rows -------- */

#define EXPERTS "expert_count|expert_used_count"
#define WINDOW  "attention.sliding_window"
#define DELTA                                                                           \
    "ssm.conv_kernel|ssm.state_size|ssm.group_count|ssm.time_step_rank|ssm.inner_size|" \
    "rope.dimension_count"

static const zx_gguf_architecture rows[] = {
    {.name = "llama",
     .hub = "MixtralForCausalLM",
     .when = "expert_count",
     .interleaved = true,
     .needs = EXPERTS,
     .gating = SOFTMAX},
    {.name = "llama", .hub = "LlamaForCausalLM", .interleaved = true},
    {.name = "mistral3",
     .hub = "Ministral3ForCausalLM",
     .when = "attention.temperature_scale",
     .interleaved = true,
     .needs = "rope.scaling.original_context_length",
     .finish = finish_ministral3},
    {.name = "mistral3", .hub = "LlamaForCausalLM", .interleaved = true},
    {.name = "qwen2", .hub = "Qwen2ForCausalLM"},
    {.name = "qwen2moe",
     .hub = "Qwen2MoeForCausalLM",
     .layer_names = qwen2_moe_names,
     .needs = EXPERTS,
     .gating = SOFTMAX},
    {.name = "qwen3", .hub = "Qwen3ForCausalLM"},
    {.name = "qwen3moe",
     .hub = "Qwen3MoeForCausalLM",
     .needs = EXPERTS,
     .gating = SOFTMAX,
     .settings = "{\"norm_topk_prob\": true}"},
    {.name = "gemma2",
     .hub = "Gemma2ForCausalLM",
     .layer_names = gemma_names,
     .needs = WINDOW,
     /* of files from before these were written */
     .settings = "{\"attn_logit_softcapping\": 50, \"final_logit_softcapping\": 30}",
     .finish = finish_gemma2},
    {.name = "gemma3",
     .hub = "Gemma3ForCausalLM",
     .layer_names = gemma_names,
     .sliding_plain = true,
     .sliding_theta = 1e4,
     .finish = finish_gemma3},
    {.name = "gemma4",
     .hub = "Gemma4ForCausalLM",
     .top_names = gemma4_top_names,
     .layer_names = gemma4_names,
     .sliding_plain = true,
     .sliding_theta = 1e4,
     .needs = WINDOW "|attention.key_length|attention.sliding_window_pattern",
     .gating = SOFTMAX,
     .settings = "{\"hidden_size_per_layer_input\": 0}",
     .finish = finish_gemma4},
    {.name = "phi3", .hub = "Phi3ForCausalLM", .layer_names = phi3_names},
    {.name = "olmo2",
     .hub = "Olmo3ForCausalLM",
     .when = WINDOW,
     .layer_names = second_norm_names,
     .sliding_plain = true},
    {.name = "olmo2", .hub = "Olmo2ForCausalLM", .layer_names = second_norm_names},
    {.name = "olmoe", .hub = "OlmoeForCausalLM", .needs = EXPERTS, .gating = SOFTMAX},
    {.name = "granite", .hub = "GraniteForCausalLM", .interleaved = true},
    {.name = "granitemoe",
     .hub = "GraniteMoeForCausalLM",
     .layer_names = granitemoe_names,
     .interleaved = true,
     .needs = EXPERTS,
     .gating = SOFTMAX},
    {.name = "gpt-oss",
     .hub = "GptOssForCausalLM",
     .layer_names = gpt_oss_names,
     .needs = EXPERTS "|" WINDOW,
     .gating = SOFTMAX_OF_CHOSEN,
     .settings = "{\"rope_parameters\": {\"truncate\": false}}"},
    {.name = "cohere2", .hub = "Cohere2ForCausalLM", .needs = WINDOW "|logit_scale"},
    {.name = "smollm3", .hub = "SmolLM3ForCausalLM", .interleaved = true},
    {.name = "gptneox",
     .hub = "GPTNeoXForCausalLM",
     .top_names = gpt_neox_top_names,
     .layer_names = gpt_neox_names,
     .layers = "gpt_neox.layers.",
     .needs = "rope.dimension_count"},
    {.name = "starcoder2", .hub = "Starcoder2ForCausalLM", .layer_names = starcoder2_names},
    /* also GLM-4.7-Flash, which is the same to the last detail that a file can say */
    {.name = "deepseek2",
     .hub = "DeepseekV3ForCausalLM",
     .needs = EXPERTS "|attention.kv_lora_rank|rope.dimension_count",
     .gating = SIGMOID,
     .settings = "{\"n_group\": 1, \"topk_group\": 1, \"n_shared_experts\": 0, "
                 "\"norm_topk_prob\": false, \"routed_scaling_factor\": 1, "
                 "\"first_k_dense_replace\": 0}",
     .finish = finish_deepseek2},
    {.name = "glm4moe",
     .hub = "Glm4MoeForCausalLM",
     .layer_names = second_norm_names,
     .needs = EXPERTS "|expert_shared_count|rope.dimension_count",
     .gating = SIGMOID,
     .settings = "{\"norm_topk_prob\": false, \"first_k_dense_replace\": 0}",
     .finish = finish_glm4_moe},
    {.name = "lfm2",
     .hub = "Lfm2ForCausalLM",
     .top_names = zx_gguf_lfm2_top_names,
     .layer_names = zx_gguf_lfm2_names,
     .needs = "shortconv.l_cache",
     .finish = zx_gguf_finish_lfm2},
    {.name = "lfm2moe",
     .hub = "Lfm2MoeForCausalLM",
     .top_names = zx_gguf_lfm2_top_names,
     .layer_names = zx_gguf_lfm2_names,
     .needs = EXPERTS "|shortconv.l_cache|expert_feed_forward_length",
     .gating = SIGMOID,
     .settings = "{\"norm_topk_prob\": true, \"first_k_dense_replace\": 0}",
     .finish = zx_gguf_finish_lfm2_moe},
    {.name = "qwen3next",
     .hub = "Qwen3NextForCausalLM",
     .layer_names = zx_gguf_qwen_next_names,
     .needs = EXPERTS "|" DELTA,
     .gating = SOFTMAX,
     .settings = "{\"norm_topk_prob\": true}",
     .finish = zx_gguf_finish_qwen_next},
    {.name = "qwen35",
     .hub = "Qwen3_5ForCausalLM",
     .layer_names = zx_gguf_qwen_next_names,
     .needs = DELTA,
     .finish = zx_gguf_finish_qwen_next},
    {.name = "qwen35moe",
     .hub = "Qwen3_5MoeForCausalLM",
     .layer_names = zx_gguf_qwen_next_names,
     .needs = EXPERTS "|" DELTA,
     .gating = SOFTMAX,
     .finish = zx_gguf_finish_qwen_next},
};

enum { ROWS = sizeof rows / sizeof *rows };

void zx_gguf_key(const char *name, const char *word, char key[ZX_GGUF_KEY])
{
    (void)snprintf(key, ZX_GGUF_KEY, "%s.%s", name, word);
}

zmlx_status zx_gguf_word(const zx_gguf *gguf, const char *key, char text[ZX_GGUF_WORD])
{
    zx_string_view view = {"", 0};
    ZX_TRY(zx_gguf_string(gguf, key, &view));
    if (view.length >= ZX_GGUF_WORD || memchr(view.bytes, 0, view.length) != NULL ||
        !zx_utf8_valid(view.bytes, view.length))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is not a short text",
                       gguf->stored.path, key);
    memcpy(text, view.bytes, view.length);
    text[view.length] = 0;
    return ZMLX_OK;
}

zmlx_status zx_gguf_set(const zx_gguf *gguf, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) == 0) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: no memory for its config", gguf->stored.path);
}

/* Whether a row's condition holds; a value of any type but a number's does not. */
static bool holds(const zx_gguf *gguf, const zx_gguf_architecture *row)
{
    char key[ZX_GGUF_KEY];
    double number = 0;
    if (row->when == NULL) return true;
    zx_gguf_key(row->name, row->when, key);
    return zx_gguf_find(gguf, key) != NULL && zx_gguf_number(gguf, key, &number) == ZMLX_OK &&
           number != 0;
}

zmlx_status zx_gguf_architecture_of(const zx_gguf *gguf, const zx_gguf_architecture **architecture)
{
    char name[ZX_GGUF_WORD];
    *architecture = NULL;
    ZX_TRY(zx_gguf_word(gguf, "general.architecture", name));
    if (*name == 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key 'general.architecture' is missing",
                       gguf->stored.path);
    for (size_t i = 0; i < ROWS && *architecture == NULL; i++)
        if (strcmp(rows[i].name, name) == 0 && holds(gguf, &rows[i])) *architecture = &rows[i];
    return ZMLX_OK;
}

zmlx_status zx_gguf_known_architectures(zx_text *text)
{
    for (size_t i = 0; i < ROWS; i++)
        if (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0)
            ZX_TRY(zx_text_format(text, "%s%s", i > 0 ? ", " : "", rows[i].name));
    return ZMLX_OK;
}
