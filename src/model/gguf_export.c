/* gguf_export.c - the way back from GGUF's words to Hugging Face's: the config that gguf_config.c
 * made for this house, with the keys that mlx-lm's models want, and the rope's factors as a rule
 * instead of tensors. */
#include "model/gguf_export.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "model/rope_config.h"

static const double two_pi = 6.283185307179586476925286766559;

/* A key's value under another name too, where that is absent. */
static const struct {
    const char *family, *from, *to;
} aliases[] = {
    {"qwen2_moe", "num_local_experts", "num_experts"},
    {"qwen3_moe", "num_local_experts", "num_experts"},
    {"olmoe", "num_local_experts", "num_experts"},
    {"qwen3_next", "num_local_experts", "num_experts"},
    {"qwen3_5_moe", "num_local_experts", "num_experts"},
    {"lfm2", "intermediate_size", "block_ff_dim"},
    {"lfm2", "hidden_size", "block_dim"},
    {"deepseek_v3", "num_local_experts", "n_routed_experts"},
    {"glm4_moe", "num_local_experts", "n_routed_experts"},
    {"gpt_neox", "rope_theta", "rotary_emb_base"},
    {"gpt_neox", "partial_rotary_factor", "rotary_pct"},
    {"phi3", "max_position_embeddings", "original_max_position_embeddings"},
};

/* Keys that GGUF has no word for, as the family's official configs have them. */
static const struct {
    const char *family, *settings;
} defaults[] = {
    {"qwen2_moe",
     "{\"decoder_sparse_step\": 1, \"mlp_only_layers\": [], \"norm_topk_prob\": false, "
     "\"hidden_act\": \"silu\"}"},
    {"qwen3_moe", "{\"decoder_sparse_step\": 1, \"mlp_only_layers\": [], \"norm_topk_prob\": true, "
                  "\"hidden_act\": \"silu\"}"},
    {"qwen3_next",
     "{\"decoder_sparse_step\": 1, \"mlp_only_layers\": [], \"attention_bias\": false, "
     "\"hidden_act\": \"silu\"}"},
    {"lfm2", "{\"block_multiple_of\": 256, \"block_ffn_dim_multiplier\": 1.0}"},
    {"granite", "{\"attention_bias\": false, \"mlp_bias\": false}"},
    {"granitemoe", "{\"attention_bias\": false}"},
    {"glm4_moe", "{\"attention_bias\": false, \"partial_rotary_factor\": 1.0}"},
    {"deepseek_v3", "{\"moe_layer_freq\": 1, \"topk_method\": \"noaux_tc\", \"scoring_func\": "
                    "\"sigmoid\", \"q_lora_rank\": null}"},
    {"starcoder2", "{\"use_bias\": true, \"hidden_act\": \"gelu_pytorch_tanh\"}"},
    {"gpt_neox", "{\"hidden_act\": \"gelu\", \"rotary_pct\": 1.0}"},
};

static zmlx_status no_memory(const zx_checkpoint *checkpoint)
{
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: no memory for its config",
                   zx_checkpoint_path(checkpoint));
}

static zmlx_status set(const zx_checkpoint *checkpoint, json_t *object, const char *key,
                       json_t *value)
{
    return json_object_set_new(object, key, value) == 0 ? ZMLX_OK : no_memory(checkpoint);
}

/* -------- rope -------- */

static zmlx_status set_list(const zx_checkpoint *checkpoint, json_t *rope, const char *key,
                            const float *values, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(list, json_real((double)values[i])) != 0) {
            json_decref(list);
            return no_memory(checkpoint);
        }
    return set(checkpoint, rope, key, list);
}

/* The wave of a pair, in tokens. */
static double wave_of(const zx_rope_settings *rope, size_t i)
{
    return two_pi * pow(rope->theta, 2.0 * (double)i / (double)rope->dims);
}

static double llama3_divisor(double wave, double factor, double original)
{
    const double smooth = (original / wave - 1) / 3;
    if (wave < original / 4) return 1;
    if (wave > original) return factor;
    return 1 / ((1 - smooth) / factor + smooth);
}

/* llama3's rule with the usual low_freq_factor 1 and high_freq_factor 4: the original context
 * follows from a divisor between the two ends, or from where they meet. */
static bool find_llama3(const zx_rope_settings *rope, double *factor, double *original)
{
    const size_t half = rope->dims / 2;
    *factor = (double)rope->divisors[half - 1];
    *original = 0;
    if (!(*factor > 1)) return false;
    for (size_t i = 0; i < half && *original == 0; i++) {
        const double divisor = (double)rope->divisors[i];
        const double smooth = (1 / divisor - 1 / *factor) / (1 - 1 / *factor);
        if (smooth > 1e-3 && smooth < 1 - 1e-3) *original = wave_of(rope, i) * (3 * smooth + 1);
    }
    for (size_t i = 1; i < half && *original == 0; i++)
        if (rope->divisors[i] > rope->divisors[i - 1])
            *original = sqrt(4 * wave_of(rope, i - 1) * wave_of(rope, i));
    *original = rint(*original);
    for (size_t i = 0; i < half; i++) {
        const double divisor = llama3_divisor(wave_of(rope, i), *factor, *original);
        if (fabs(divisor / (double)rope->divisors[i] - 1) > 1e-3) return false;
    }
    return true;
}

/* A proportional rope: the first pairs turn, the others are divided by so much that they do not. */
static bool find_proportional(const zx_rope_settings *rope, size_t *turns)
{
    const size_t half = rope->dims / 2;
    size_t i = 0;
    while (i < half && rope->divisors[i] == 1.0F) i++;
    *turns = i;
    while (i < half && rope->divisors[i] > 1e9F) i++;
    return i == half;
}

static zmlx_status describe_divisors(const zx_checkpoint *checkpoint, const zx_rope_settings *rope,
                                     json_t *object)
{
    double factor = 0, original = 0;
    size_t turns = 0;
    if (find_proportional(rope, &turns)) {
        ZX_TRY(set(checkpoint, object, "rope_type", json_string("proportional")));
        return set(checkpoint, object, "partial_rotary_factor",
                   json_real(2.0 * (double)turns / (double)rope->dims));
    }
    if (rope->type != ZX_ROPE_DEFAULT || !find_llama3(rope, &factor, &original))
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                       "%s: tensor 'rope_freqs.weight' follows no rule that config.json can say "
                       "(llama3, proportional)",
                       zx_checkpoint_path(checkpoint));
    ZX_TRY(set(checkpoint, object, "rope_type", json_string("llama3")));
    ZX_TRY(set(checkpoint, object, "factor", json_real(factor)));
    ZX_TRY(set(checkpoint, object, "low_freq_factor", json_real(1)));
    ZX_TRY(set(checkpoint, object, "high_freq_factor", json_real(4)));
    return set(checkpoint, object, "original_max_position_embeddings",
               json_integer((json_int_t)original));
}

/* What stood in tensors, in the object that describes the rope of full layers. */
static zmlx_status describe_factors(const zx_checkpoint *checkpoint, const zx_rope_settings *rope,
                                    json_t *document, json_t *object)
{
    if (rope->divisors != NULL) return describe_divisors(checkpoint, rope, object);
    if (rope->type != ZX_ROPE_LONGROPE) return ZMLX_OK;
    json_t *original = json_object_get(object, "original_max_position_embeddings");
    ZX_TRY(set(checkpoint, object, "rope_type", json_string("longrope")));
    ZX_TRY(set_list(checkpoint, object, "long_factor", rope->long_factors, rope->dims / 2));
    ZX_TRY(set_list(checkpoint, object, "short_factor", rope->short_factors, rope->dims / 2));
    if (original == NULL) return ZMLX_OK;
    return set(checkpoint, document, "original_max_position_embeddings", json_incref(original));
}

/* The older keys, which mlx-lm's models read: "rope_theta" and "rope_scaling". */
static zmlx_status set_older_keys(const zx_checkpoint *checkpoint, const zx_rope_settings *rope,
                                  json_t *document, json_t *full)
{
    const char *type = json_string_value(json_object_get(full, "rope_type"));
    ZX_TRY(set(checkpoint, document, "rope_theta", json_real(rope->theta)));
    if (type == NULL || strcmp(type, "default") == 0 || strcmp(type, "proportional") == 0)
        return set(checkpoint, document, "rope_scaling", json_null());
    json_t *scaling = json_deep_copy(full);
    (void)json_object_del(scaling, "rope_theta");
    ZX_TRY(set(checkpoint, document, "rope_scaling", scaling));
    return set(checkpoint, scaling, "type", json_string(type));
}

/* Families that turn a part of the head where no share is given. */
static bool turns_a_part(const zx_family *family)
{
    return strcmp(family->name, "qwen3_next") == 0 || strncmp(family->name, "qwen3_5", 7) == 0;
}

/* GGUF's count of dimensions that turn is a share of the head there; in the object that describes
 * the rope of full layers too where mlx-lm's model looks for it there. */
static zmlx_status set_share(const zx_checkpoint *checkpoint, const zx_family *family,
                             const zx_config *config, json_t *document)
{
    json_int_t turned = json_integer_value(json_object_get(document, "rotary_dim"));
    const json_int_t head = (json_int_t)zx_config_heads(config, ZX_LAYER_FULL).head_size;
    const bool always = turns_a_part(family);
    (void)json_object_del(document, "rotary_dim");
    if (always && turned <= 0) turned = head / 4;
    if (turned <= 0 || head == 0 || (turned == head && !always) || config->latent_size > 0)
        return ZMLX_OK;
    const double share = (double)turned / (double)head;
    if (always)
        ZX_TRY(set(checkpoint, json_object_get(document, "rope_parameters"),
                   "partial_rotary_factor", json_real(share)));
    return set(checkpoint, document, "partial_rotary_factor", json_real(share));
}

static zmlx_status fill_rope(const zx_checkpoint *checkpoint, const zx_family *family,
                             const zx_config *config, json_t *document)
{
    zx_rope_settings settings;
    zx_arena arena = {0};
    json_t *ropes = json_object_get(document, "rope_parameters");
    json_t *full = json_object_get(ropes, "full_attention");
    const json_t *sliding = json_object_get(ropes, "sliding_attention");
    const json_t *theta = json_object_get(sliding, "rope_theta");
    const bool split = full != NULL;
    if (!split) full = ropes;
    zmlx_status status =
        zx_family_rope(family, checkpoint, config, ZX_LAYER_FULL, &arena, &settings);
    if (status == ZMLX_OK) status = set_share(checkpoint, family, config, document);
    if (status == ZMLX_OK) status = set(checkpoint, full, "rope_theta", json_real(settings.theta));
    if (status == ZMLX_OK) status = describe_factors(checkpoint, &settings, document, full);
    if (status == ZMLX_OK) status = set_older_keys(checkpoint, &settings, document, full);
    if (status == ZMLX_OK && split && theta != NULL)
        status =
            set(checkpoint, document, "rope_local_base_freq", json_real(json_number_value(theta)));
    zx_arena_reset(&arena);
    return status;
}

/* -------- the whole -------- */

static zmlx_status fill_words(const zx_checkpoint *checkpoint, const zx_family *family,
                              json_t *document)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        json_t *value = json_object_get(document, aliases[i].from);
        if (strcmp(aliases[i].family, family->name) != 0 || value == NULL) continue;
        if (json_object_get(document, aliases[i].to) == NULL)
            ZX_TRY(set(checkpoint, document, aliases[i].to, json_incref(value)));
    }
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        if (strcmp(defaults[i].family, family->name) != 0) continue;
        json_t *settings = json_loads(defaults[i].settings, 0, NULL);
        if (settings == NULL || json_object_update_missing(document, settings) != 0) {
            json_decref(settings);
            return no_memory(checkpoint);
        }
        json_decref(settings);
    }
    return ZMLX_OK;
}

static bool has_bias(const zx_checkpoint *checkpoint, const char *name)
{
    return zx_checkpoint_peek(checkpoint, name) != NULL;
}

/* Biases that a config only says are there. */
static zmlx_status fill_biases(const zx_checkpoint *checkpoint, json_t *document)
{
    static const char *const rows[][2] = {
        {"attention_bias", "model.layers.0.self_attn.q_proj.bias"},
        {"mlp_bias", "model.layers.0.mlp.gate_proj.bias"}};
    for (size_t i = 0; i < 2; i++)
        if (has_bias(checkpoint, rows[i][1]))
            ZX_TRY(set(checkpoint, document, rows[i][0], json_true()));
    return ZMLX_OK;
}

/* Layers without rope, one to each layer, as SmolLM3's config has them. */
static zmlx_status fill_smollm3(const zx_checkpoint *checkpoint, const zx_config *config,
                                json_t *document)
{
    json_t *list = json_array();
    ZX_TRY(set(checkpoint, document, "no_rope_layers", list));
    for (size_t i = 0; i < config->layers; i++)
        if (json_array_append_new(list, json_integer((i + 1) % 4 != 0)) != 0)
            return no_memory(checkpoint);
    return ZMLX_OK;
}

/* Any layer's tensor of that name. */
static bool some_layer_has(const zx_checkpoint *checkpoint, const zx_config *config,
                           const char *rest)
{
    char name[128];
    for (size_t i = 0; i < config->layers; i++) {
        (void)snprintf(name, sizeof name, "model.layers.%zu.%s", i, rest);
        if (zx_checkpoint_peek(checkpoint, name) != NULL) return true;
    }
    return false;
}

static zmlx_status fill_lfm2(const zx_checkpoint *checkpoint, const zx_config *config,
                             json_t *document)
{
    json_t *types = json_array();
    ZX_TRY(set(checkpoint, document, "layer_types", types));
    for (size_t i = 0; i < config->layers; i++) {
        const bool conv = config->layer_types[i] == ZX_LAYER_CONV;
        if (json_array_append_new(types, json_string(conv ? "conv" : "full_attention")) != 0)
            return no_memory(checkpoint);
    }
    return set(checkpoint, document, "conv_bias",
               json_boolean(some_layer_has(checkpoint, config, "conv.conv.bias")));
}

/* mlx-lm's models know which layers attend by an interval alone. */
static zmlx_status fill_interval(const zx_checkpoint *checkpoint, const zx_config *config,
                                 json_t *document)
{
    size_t interval = 1;
    while (interval < config->layers && config->layer_types[interval - 1] != ZX_LAYER_FULL)
        interval++;
    return set(checkpoint, document, "full_attention_interval", json_integer((json_int_t)interval));
}

/* Families whose layers keep a state. */
static zmlx_status fill_recurrent(const zx_checkpoint *checkpoint, const zx_family *family,
                                  const zx_config *config, json_t *document)
{
    if (strncmp(family->name, "lfm2", 4) == 0) return fill_lfm2(checkpoint, config, document);
    if (!turns_a_part(family)) return ZMLX_OK;
    if (json_object_get(document, "layer_types") == NULL) return ZMLX_OK;
    return fill_interval(checkpoint, config, document);
}

/* The name that mlx-lm's model has: it is not called by the text's part of it. */
static const char *model_type(const zx_family *family)
{
    const char *const *types = family->model_types;
    const size_t length = strlen(types[0]);
    const bool part = length > 5 && strcmp(types[0] + length - 5, "_text") == 0;
    return part && types[1] != NULL && strncmp(family->name, "qwen3_5", 7) == 0 ? types[1]
                                                                                : types[0];
}

zmlx_status zx_gguf_export_config(const zx_checkpoint *checkpoint, const zx_family *family,
                                  const zx_config *config, json_t **document)
{
    const char *type = model_type(family);
    *document = json_deep_copy(zx_checkpoint_config(checkpoint));
    if (*document == NULL) return no_memory(checkpoint);
    ZX_TRY(fill_biases(checkpoint, *document));
    ZX_TRY(fill_rope(checkpoint, family, config, *document));
    ZX_TRY(fill_words(checkpoint, family, *document));
    ZX_TRY(fill_recurrent(checkpoint, family, config, *document));
    if (strcmp(family->name, "smollm3") == 0) ZX_TRY(fill_smollm3(checkpoint, config, *document));
    return set(checkpoint, *document, "model_type", json_string(type));
}
