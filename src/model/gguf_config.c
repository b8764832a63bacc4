/* gguf_config.c - rows that pair GGUF's metadata keys with config.json's.  A family reads the keys
 * that it knows, so a row may be there for the sake of one family alone. */
#include "model/gguf_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "model/gguf_layers.h"

typedef enum value_kind { COUNT, NUMBER, TRUTH } value_kind;

/* "ARCHITECTURE.LEFT" and the key of config.json; of rows with one key the first that is there, and
 * one must be where the first is required. */
static const struct {
    const char *gguf, *hub;
    value_kind kind;
    bool required;
} config_rows[] = {
    {"block_count", "num_hidden_layers", COUNT, true},
    {"context_length", "max_position_embeddings", COUNT, false},
    {"embedding_length", "hidden_size", COUNT, true},
    {"feed_forward_length", "intermediate_size", COUNT, true},
    {"expert_feed_forward_length", "intermediate_size", COUNT, false},
    {"attention.head_count", "num_attention_heads", COUNT, true},
    {"attention.head_count_kv", "num_key_value_heads", COUNT, false},
    {"attention.head_count", "num_key_value_heads", COUNT, false},
    {"attention.key_length", "head_dim", COUNT, false},
    {"attention.q_lora_rank", "q_lora_rank", COUNT, false},
    {"attention.kv_lora_rank", "kv_lora_rank", COUNT, false},
    {"attention.value_length_mla", "v_head_dim", COUNT, false},
    {"attention.value_length", "v_head_dim", COUNT, false},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", NUMBER, false},
    {"attention.layer_norm_epsilon", "layer_norm_eps", NUMBER, false},
    {"attention.layer_norm_epsilon", "norm_epsilon", NUMBER, false},
    {"attention.sliding_window", "sliding_window", COUNT, false},
    {"attention.scale", "attention_multiplier", NUMBER, false},
    {"attn_logit_softcapping", "attn_logit_softcapping", NUMBER, false},
    {"final_logit_softcapping", "final_logit_softcapping", NUMBER, false},
    {"attention.shared_kv_layers", "num_kv_shared_layers", COUNT, false},
    {"embedding_length_per_layer_input", "hidden_size_per_layer_input", COUNT, false},
    {"embedding_scale", "embedding_multiplier", NUMBER, false},
    {"residual_scale", "residual_multiplier", NUMBER, false},
    {"logit_scale", "logit_scale", NUMBER, false},
    {"logit_scale", "logits_scaling", NUMBER, false},
    {"use_parallel_residual", "use_parallel_residual", TRUTH, false},
    {"expert_count", "num_local_experts", COUNT, false},
    {"expert_used_count", "num_experts_per_tok", COUNT, false},
    {"expert_feed_forward_length", "moe_intermediate_size", COUNT, false},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size", COUNT, false},
    {"feed_forward_length", "shared_expert_intermediate_size", COUNT, false},
    {"expert_shared_count", "n_shared_experts", COUNT, false},
    {"expert_group_count", "n_group", COUNT, false},
    {"expert_group_used_count", "topk_group", COUNT, false},
    {"expert_weights_norm", "norm_topk_prob", TRUTH, false},
    {"expert_weights_scale", "routed_scaling_factor", NUMBER, false},
    {"leading_dense_block_count", "first_k_dense_replace", COUNT, false},
    {"nextn_predict_layers", "num_nextn_predict_layers", COUNT, false},
    {"rope.dimension_count", "rotary_dim", COUNT, false},
    {"vocab_size", "vocab_size", COUNT, false},
    {"shortconv.l_cache", "conv_L_cache", COUNT, false},
    {"ssm.conv_kernel", "linear_conv_kernel_dim", COUNT, false},
    {"ssm.state_size", "linear_key_head_dim", COUNT, false},
    {"ssm.group_count", "linear_num_key_heads", COUNT, false},
    {"ssm.time_step_rank", "linear_num_value_heads", COUNT, false},
    {"full_attention_interval", "full_attention_interval", COUNT, false},
};

/* The same, into "rope_parameters". */
static const struct {
    const char *gguf, *hub;
    value_kind kind;
} rope_rows[] = {
    {"rope.freq_base", "rope_theta", NUMBER},
    {"rope.scaling.factor", "factor", NUMBER},
    {"rope.scaling.original_context_length", "original_max_position_embeddings", COUNT},
    {"rope.scaling.yarn_beta_fast", "beta_fast", NUMBER},
    {"rope.scaling.yarn_beta_slow", "beta_slow", NUMBER},
};

static const zx_gguf_name token_rows[] = {
    {"tokenizer.ggml.bos_token_id", "bos_token_id"},
    {"tokenizer.ggml.eos_token_id", "eos_token_id"},
    {"tokenizer.ggml.padding_token_id", "pad_token_id"},
};

enum { MAX_COUNT = 1 << 30 };

/* -------- values -------- */

/* A number a layer: one number where all are alike. */
static zmlx_status copy_list(const zx_gguf *gguf, const zx_gguf_value *value, json_t *object,
                             const char *hub)
{
    static const char expected[] = "whole numbers from 0 to 1073741824";
    const zx_gguf_array *array = &value->array;
    const bool integers =
        array->type <= ZX_GGUF_I32 || array->type == ZX_GGUF_U64 || array->type == ZX_GGUF_I64;
    bool alike = true, fits = integers;
    ZX_TRY(zx_gguf_check_list(gguf, value, expected));
    for (size_t i = 0; fits && i < array->count; i++) {
        const double number = zx_gguf_element(array, i);
        fits = number >= 0 && number <= MAX_COUNT;
        alike = alike && number == zx_gguf_element(array, 0);
    }
    if (!fits)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is no list of %s",
                       gguf->stored.path, value->key, expected);
    if (alike)
        return zx_gguf_set(gguf, object, hub, json_integer((json_int_t)zx_gguf_element(array, 0)));
    json_t *list = json_array();
    ZX_TRY(zx_gguf_set(gguf, object, hub, list));
    for (size_t i = 0; i < array->count; i++)
        if (json_array_append_new(list, json_integer((json_int_t)zx_gguf_element(array, i))) != 0)
            return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: no memory for its config", gguf->stored.path);
    return ZMLX_OK;
}

static zmlx_status copy_number(const zx_gguf *gguf, const char *key, json_t *object,
                               const char *hub)
{
    double number = 0;
    ZX_TRY(zx_gguf_number(gguf, key, &number));
    if (!isfinite(number))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is not a finite number",
                       gguf->stored.path, key);
    return zx_gguf_set(gguf, object, hub, json_real(number));
}

/* Copies one key where the file has it. */
static zmlx_status copy_row(const zx_gguf *gguf, const char *key, value_kind kind, json_t *object,
                            const char *hub)
{
    int64_t count = 0;
    bool truth = false;
    const zx_gguf_value *value = zx_gguf_find(gguf, key);
    if (value == NULL) return ZMLX_OK;
    if (kind == NUMBER) return copy_number(gguf, key, object, hub);
    if (kind == TRUTH) {
        ZX_TRY(zx_gguf_bool(gguf, key, &truth));
        return zx_gguf_set(gguf, object, hub, json_boolean(truth));
    }
    if (value->type == ZX_GGUF_ARRAY) return copy_list(gguf, value, object, hub);
    ZX_TRY(zx_gguf_integer(gguf, key, 0, MAX_COUNT, &count));
    return zx_gguf_set(gguf, object, hub, json_integer(count));
}

/* -------- rope -------- */

/* What cos and sin are multiplied with: with yarn GGUF's factor comes on top of the usual one,
 * with longrope it is all. */
static zmlx_status set_attention_factor(const zx_gguf *gguf, const char *name, bool yarn,
                                        json_t *rope)
{
    char key[ZX_GGUF_KEY];
    double factor = 0;
    const double scale = json_number_value(json_object_get(rope, "factor"));
    zx_gguf_key(name, "rope.scaling.attn_factor", key);
    if (zx_gguf_find(gguf, key) == NULL) return ZMLX_OK;
    ZX_TRY(zx_gguf_number(gguf, key, &factor));
    if (!(factor > 0 && factor < 1e6))
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: metadata key '%s' is %g; expected a number above 0 and below 1000000",
                       gguf->stored.path, key, factor);
    if (yarn && !(scale > 1)) return ZMLX_OK;
    const double usual = yarn ? 0.1 * log(scale) + 1 : 1;
    return zx_gguf_set(gguf, rope, "attention_factor", json_real(factor * usual));
}

static zmlx_status fill_rope(const zx_gguf *gguf, const char *name, json_t *rope)
{
    char key[ZX_GGUF_KEY], type[ZX_GGUF_WORD];
    for (size_t i = 0; i < sizeof rope_rows / sizeof *rope_rows; i++) {
        zx_gguf_key(name, rope_rows[i].gguf, key);
        ZX_TRY(copy_row(gguf, key, rope_rows[i].kind, rope, rope_rows[i].hub));
    }
    zx_gguf_key(name, "rope.scaling.type", key);
    ZX_TRY(zx_gguf_word(gguf, key, type));
    zx_gguf_key(name, "rope.scale_linear", key); /* of older files */
    if (*type == 0 && zx_gguf_find(gguf, key) != NULL) {
        (void)snprintf(type, sizeof type, "linear");
        ZX_TRY(copy_row(gguf, key, NUMBER, rope, "factor"));
    }
    /* the tensors rope_factors_long and _short make it a longrope, whether it is called so or not
     */
    const bool plain = *type == 0 || strcmp(type, "none") == 0 || strcmp(type, "longrope") == 0;
    ZX_TRY(set_attention_factor(gguf, name, strcmp(type, "yarn") == 0, rope));
    return zx_gguf_set(gguf, rope, "rope_type", json_string(plain ? "default" : type));
}

/* Ropes by type of layer: the file's for the full ones, one without scaling for the sliding ones.
 */
static zmlx_status split_ropes(const zx_gguf *gguf, const zx_gguf_architecture *row, json_t *config)
{
    char key[ZX_GGUF_KEY];
    json_t *full = json_incref(json_object_get(config, "rope_parameters"));
    json_t *ropes = json_object(), *sliding = json_object();
    const json_t *theta = json_object_get(full, "rope_theta");
    double base = row->sliding_theta > 0 ? row->sliding_theta
                  : theta != NULL        ? json_number_value(theta)
                                         : 1e4;
    zx_gguf_key(row->name, "rope.freq_base_swa", key);
    zmlx_status status = zx_gguf_number(gguf, key, &base);
    if (status == ZMLX_OK && !isfinite(base))
        status = ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is not a finite number",
                         gguf->stored.path, key);
    if (status == ZMLX_OK) status = zx_gguf_set(gguf, sliding, "rope_type", json_string("default"));
    if (status == ZMLX_OK) status = zx_gguf_set(gguf, sliding, "rope_theta", json_real(base));
    if (status == ZMLX_OK)
        status = zx_gguf_set(gguf, ropes, "sliding_attention", json_incref(sliding));
    if (status == ZMLX_OK) status = zx_gguf_set(gguf, ropes, "full_attention", json_incref(full));
    if (status == ZMLX_OK)
        status = zx_gguf_set(gguf, config, "rope_parameters", json_incref(ropes));
    json_decref(full);
    json_decref(ropes);
    json_decref(sliding);
    return status;
}

/* -------- layers -------- */

/* A truth a layer says which slide; a number, that every so-manieth does not. */
static zmlx_status fill_layer_types(const zx_gguf *gguf, const char *name, json_t *config)
{
    static const char word[] = "attention.sliding_window_pattern";
    static const char *const types[2] = {"full_attention", "sliding_attention"};
    char key[ZX_GGUF_KEY];
    zx_gguf_key(name, word, key);
    const zx_gguf_value *value = zx_gguf_find(gguf, key);
    if (value == NULL) return ZMLX_OK;
    if (value->type != ZX_GGUF_ARRAY)
        return copy_row(gguf, key, COUNT, config, "sliding_window_pattern");
    return zx_gguf_set_layer_types(gguf, name, word, types, config);
}

/* GGUF counts the layers that predict further tokens among the blocks. */
static zmlx_status fill_layers(const zx_gguf *gguf, const char *name, json_t *config)
{
    const json_t *blocks = json_object_get(config, "num_hidden_layers");
    const json_int_t extra =
        json_integer_value(json_object_get(config, "num_nextn_predict_layers"));
    if (extra > 0 && json_integer_value(blocks) > extra)
        ZX_TRY(zx_gguf_set(gguf, config, "num_hidden_layers",
                           json_integer(json_integer_value(blocks) - extra)));
    return fill_layer_types(gguf, name, config);
}

/* A head is the hidden size's share, whatever a family takes for an absent head_dim. */
static zmlx_status fill_head(const zx_gguf *gguf, json_t *config)
{
    const json_int_t heads = json_integer_value(json_object_get(config, "num_attention_heads"));
    const json_int_t hidden = json_integer_value(json_object_get(config, "hidden_size"));
    const json_int_t said = json_integer_value(json_object_get(config, "head_dim"));
    if (said != 0 || heads <= 0) return ZMLX_OK;
    return zx_gguf_set(gguf, config, "head_dim", json_integer(hidden / heads));
}

/* The vocabulary's size is that of its table where nobody says it. */
static zmlx_status fill_vocabulary(const zx_gguf *gguf, json_t *config)
{
    const zx_stored_tensor *table = zx_stored_find(&gguf->stored, "token_embd.weight");
    for (size_t i = 0; i < sizeof token_rows / sizeof *token_rows; i++)
        ZX_TRY(copy_row(gguf, token_rows[i].gguf, COUNT, config, token_rows[i].hub));
    const bool tied = zx_stored_find(&gguf->stored, "output.weight") == NULL;
    ZX_TRY(zx_gguf_set(gguf, config, "tie_word_embeddings", json_boolean(tied)));
    if (json_object_get(config, "vocab_size") != NULL) return ZMLX_OK;
    zx_gguf_array tokens = {ZX_GGUF_STRING, 0, NULL};
    ZX_TRY(zx_gguf_array_of(gguf, "tokenizer.ggml.tokens", ZX_GGUF_STRING, &tokens));
    size_t size = tokens.count;
    if (size == 0 && table != NULL && table->rank == 2) size = table->shape[0];
    if (size == 0 || size > MAX_COUNT) return ZMLX_OK;
    return zx_gguf_set(gguf, config, "vocab_size", json_integer((json_int_t)size));
}

/* -------- the whole -------- */

static zmlx_status check_key(const zx_gguf *gguf, const char *name, const char *word)
{
    char key[ZX_GGUF_KEY];
    zx_gguf_key(name, word, key);
    if (zx_gguf_find(gguf, key) != NULL) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is missing", gguf->stored.path, key);
}

static zmlx_status check_needs(const zx_gguf *gguf, const zx_gguf_architecture *row)
{
    const char *words = row->needs;
    while (words != NULL && *words != 0) {
        char word[ZX_GGUF_WORD];
        const size_t length = strcspn(words, "|");
        (void)snprintf(word, sizeof word, "%.*s", (int)length, words);
        ZX_TRY(check_key(gguf, row->name, word));
        words += length + (words[length] == '|');
    }
    return ZMLX_OK;
}

static zmlx_status check_gating(const zx_gguf *gguf, const zx_gguf_architecture *row)
{
    static const char *const words[] = {"none", "softmax", "sigmoid", "softmax of the chosen"};
    char key[ZX_GGUF_KEY];
    int64_t gating = row->gating;
    zx_gguf_key(row->name, "expert_gating_func", key);
    ZX_TRY(zx_gguf_integer(gguf, key, 0, UINT16_MAX, &gating));
    if (row->gating == 0 || gating == 0 || gating == row->gating) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                   "%s: metadata key '%s' is %jd; this family knows %u (%s)", gguf->stored.path,
                   key, (intmax_t)gating, row->gating, words[row->gating]);
}

static zmlx_status fill_keys(const zx_gguf *gguf, const char *name, bool known, json_t *config)
{
    for (size_t i = 0; i < sizeof config_rows / sizeof *config_rows; i++) {
        char key[ZX_GGUF_KEY];
        const bool again = i > 0 && strcmp(config_rows[i].hub, config_rows[i - 1].hub) == 0;
        if (again && json_object_get(config, config_rows[i].hub) != NULL) continue;
        zx_gguf_key(name, config_rows[i].gguf, key);
        ZX_TRY(copy_row(gguf, key, config_rows[i].kind, config, config_rows[i].hub));
    }
    for (size_t i = 0; known && i < sizeof config_rows / sizeof *config_rows; i++)
        if (config_rows[i].required && json_object_get(config, config_rows[i].hub) == NULL)
            return check_key(gguf, name, config_rows[i].gguf);
    return ZMLX_OK;
}

/* A list is left where no family's own code has made a number of it. */
static zmlx_status check_lists(const zx_gguf *gguf, const char *name, const json_t *config)
{
    char key[ZX_GGUF_KEY];
    for (size_t i = 0; i < sizeof config_rows / sizeof *config_rows; i++) {
        if (!json_is_array(json_object_get(config, config_rows[i].hub))) continue;
        zx_gguf_key(name, config_rows[i].gguf, key);
        if (zx_gguf_find(gguf, key) == NULL) continue;
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                       "%s: metadata key '%s' is a list of unlike numbers; expected one for all "
                       "blocks",
                       gguf->stored.path, key);
    }
    return ZMLX_OK;
}

/* The models known here see earlier tokens alone. */
static zmlx_status check_causal(const zx_gguf *gguf, const char *name)
{
    char key[ZX_GGUF_KEY];
    bool causal = true;
    zx_gguf_key(name, "attention.causal", key);
    ZX_TRY(zx_gguf_bool(gguf, key, &causal));
    if (causal) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                   "%s: metadata key '%s' is false; models that see later tokens are not run",
                   gguf->stored.path, key);
}

static zmlx_status fill(const zx_gguf *gguf, const zx_gguf_architecture *row, json_t *config)
{
    char name[ZX_GGUF_WORD];
    ZX_TRY(zx_gguf_word(gguf, "general.architecture", name));
    ZX_TRY(fill_keys(gguf, name, row != NULL, config));
    ZX_TRY(zx_gguf_set(gguf, config, "architectures",
                       json_pack("[s]", row != NULL ? row->hub : name)));
    ZX_TRY(zx_gguf_set(gguf, config, "model_type", json_string(name)));
    json_t *rope = json_object_get(config, "rope_parameters");
    if (rope == NULL) {
        rope = json_object();
        ZX_TRY(zx_gguf_set(gguf, config, "rope_parameters", rope));
    }
    ZX_TRY(fill_rope(gguf, name, rope));
    ZX_TRY(fill_layers(gguf, name, config));
    ZX_TRY(fill_head(gguf, config));
    ZX_TRY(fill_vocabulary(gguf, config));
    if (row == NULL) return ZMLX_OK;
    ZX_TRY(check_needs(gguf, row));
    ZX_TRY(check_gating(gguf, row));
    ZX_TRY(check_causal(gguf, name));
    if (row->finish != NULL) ZX_TRY(row->finish(gguf, name, config));
    ZX_TRY(check_lists(gguf, name, config));
    return row->sliding_plain ? split_ropes(gguf, row, config) : ZMLX_OK;
}

zmlx_status zx_gguf_config(const zx_gguf *gguf, const zx_gguf_architecture *architecture,
                           json_t **config)
{
    const char *const settings = architecture != NULL ? architecture->settings : NULL;
    json_t *object = settings != NULL ? json_loads(settings, 0, NULL) : json_object();
    if (object == NULL)
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: no memory for its config", gguf->stored.path);
    const zmlx_status status = fill(gguf, architecture, object);
    if (status == ZMLX_OK)
        *config = object;
    else
        json_decref(object);
    return status;
}

bool zx_gguf_config_key(const zx_gguf *gguf, const char *hub, char key[ZX_GGUF_KEY])
{
    char name[ZX_GGUF_WORD];
    if (zx_gguf_word(gguf, "general.architecture", name) != ZMLX_OK) return false;
    for (size_t i = 0; i < sizeof config_rows / sizeof *config_rows; i++) {
        zx_gguf_key(name, config_rows[i].gguf, key);
        if (strcmp(config_rows[i].hub, hub) == 0 && zx_gguf_find(gguf, key) != NULL) return true;
    }
    return false;
}
