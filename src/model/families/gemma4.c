/* gemma4.c - Gemma 4, its text part: Gemma 3's block with a norm of the values too, scores that are
 * not scaled, and a scalar behind every layer.  Full layers have heads of their own size, may take
 * their keys for values, and turn a share of each head.  By config: the last layers read the cache
 * of the last one of their type before them; every layer adds an embedding of its own; a mixture
 * of experts stands beside the mlp.
 *
 *   h = x + norm(attention(norm(x)))
 *   h = h + norm(mlp(norm(h)))            or  h + norm(norm(mlp(norm(h))) + norm(moe(norm(h))))
 *   h = h + norm(projection(gelu(gate(h)) * input))
 *   y = h * scalar */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/families/families.h"
#include "model/rope_config.h"

enum { MOST_WIDTH = 1 << 24 };

/* -------- config -------- */

/* Transformers writes what differs from the config's own sizes layer by layer. */
static zmlx_status read_layer(const zx_checkpoint *checkpoint, const zx_config *config,
                              const zx_fields *layers, size_t layer, zx_heads *heads)
{
    const char *key;
    json_t *object;
    int64_t head_size = (int64_t)config->head_size, kv_heads = (int64_t)config->kv_heads;
    json_object_foreach((json_t *)(uintptr_t)layers->object, key, object)
    {
        char *end = NULL;
        if (strtoul(key, &end, 10) != layer || end == key || *end != '\0') continue;
        const zx_fields fields = {zx_checkpoint_path(checkpoint), "per_layer_config", object};
        const size_t known = zx_fields_have(&fields, "head_dim") +
                             (size_t)zx_fields_have(&fields, "num_key_value_heads");
        if (!json_is_object(object) || json_object_size(object) != known)
            return zx_fields_fail(layers, key,
                                  "an object with head_dim and num_key_value_heads alone");
        ZX_TRY(zx_fields_integer(&fields, "head_dim", 2, 1024, &head_size));
        ZX_TRY(zx_fields_integer(&fields, "num_key_value_heads", 1, 1 << 24, &kv_heads));
    }
    *heads = (zx_heads){(size_t)head_size, (size_t)kv_heads};
    return ZMLX_OK;
}

static zmlx_status read_layers(const zx_checkpoint *checkpoint, zx_config *config)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    zx_fields layers = {fields.file, NULL, NULL};
    zx_heads of[ZX_LAYER_TYPES] = {{0}};
    ZX_TRY(zx_fields_object(&fields, "per_layer_config", &layers));
    for (size_t i = 0; i < config->layers; i++) {
        zx_heads heads = {0};
        zx_heads *const known = &of[config->layer_types[i]];
        ZX_TRY(read_layer(checkpoint, config, &layers, i, &heads));
        if (known->head_size == 0) *known = heads;
        if (known->head_size != heads.head_size || known->kv_heads != heads.kv_heads)
            return zx_fields_fail(&fields, "per_layer_config",
                                  "the same sizes for all layers of a type");
    }
    memcpy(config->heads_of, of, sizeof of);
    return ZMLX_OK;
}

static zmlx_status read_heads(const zx_checkpoint *checkpoint, zx_config *config)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    if (zx_fields_have(&fields, "per_layer_config"))
        ZX_TRY(read_layers(checkpoint, config));
    else if (!config->keys_are_values)
        config->heads_of[ZX_LAYER_FULL].kv_heads = 0;
    for (size_t type = ZX_LAYER_FULL; type <= ZX_LAYER_SLIDING; type++) {
        const zx_heads heads = zx_config_heads(config, (zx_layer_type)type);
        if (heads.head_size % 2 != 0 || heads.head_size > 1024)
            return zx_fields_fail(&fields, "global_head_dim", "an even number up to 1024");
        if (config->heads % heads.kv_heads != 0)
            return zx_fields_fail(&fields, "num_global_key_value_heads",
                                  "a divisor of num_attention_heads");
    }
    return ZMLX_OK;
}

/* Layers that share need one of their type before them that has a cache. */
static zmlx_status check_shared(const zx_checkpoint *checkpoint, const zx_config *config)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    bool before[ZX_LAYER_TYPES] = {false};
    for (size_t i = 0; i < config->layers; i++) {
        const uint8_t type = config->layer_types[i];
        if (type != ZX_LAYER_FULL && type != ZX_LAYER_SLIDING)
            return zx_fields_fail(&fields, "layer_types",
                                  "words full_attention and sliding_attention alone");
        if (i + config->shared_layers < config->layers) before[type] = true;
        if (!before[type])
            return zx_fields_fail(&fields, "num_kv_shared_layers",
                                  "a number that leaves a layer of every type with its own cache");
    }
    return ZMLX_OK;
}

static zmlx_status check_experts(const zx_checkpoint *checkpoint, zx_config *config)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    bool enabled = false;
    ZX_TRY(zx_fields_bool(&fields, "enable_moe_block", &enabled));
    if (!enabled) config->experts = 0;
    if (!enabled) return ZMLX_OK;
    if (config->expert_size == 0)
        return zx_fields_fail(&fields, "moe_intermediate_size", "a number");
    config->normalize_weights = true;
    return zx_moe_check(checkpoint, config);
}

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    const char *both_ways = "";
    zx_config_pattern(checkpoint, 6, ZX_LAYER_SLIDING, config);
    config->layer_types[config->layers - 1] = ZX_LAYER_FULL;
    config->attention_scale = 1;
    config->embedding_scale = sqrt((double)config->hidden_size);
    config->embedding_scale_rounded = true;
    ZX_TRY(check_shared(checkpoint, config));
    ZX_TRY(read_heads(checkpoint, config));
    ZX_TRY(check_experts(checkpoint, config));
    if (config->layer_input_size > MOST_WIDTH / config->layers)
        return zx_fields_fail(&fields, "hidden_size_per_layer_input", "a usual size");
    if (config->layer_input_size > 0 && config->layer_vocabulary < config->vocabulary)
        return zx_fields_fail(&fields, "vocab_size_per_layer_input", "at least vocab_size");
    ZX_TRY(zx_fields_string(&fields, "use_bidirectional_attention", &both_ways));
    if (strcmp(both_ways, "all") == 0)
        return zx_fields_fail(&fields, "use_bidirectional_attention",
                              "null or \"vision\": text is attended to one way");
    return ZMLX_OK;
}

static bool has_layer(const zx_config *config, zx_layer_type type)
{
    size_t layer = 0;
    while (layer < config->layers && config->layer_types[layer] != type) layer++;
    return layer < config->layers;
}

static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    const char *own = zx_layer_type_names[type];
    const size_t head_size = zx_config_heads(config, type).head_size;
    zx_fields ropes = {fields.file, "rope_parameters", NULL};
    ZX_TRY(zx_fields_object(&fields, "rope_parameters", &ropes));
    if (settings->type == ZX_ROPE_DEFAULT) settings->dims = head_size; /* whatever the share */
    if (ropes.object != NULL)
        return zx_fields_have(&ropes, own) || !has_layer(config, type)
                   ? ZMLX_OK
                   : zx_fields_fail(&ropes, own, "an object");
    const bool full = type == ZX_LAYER_FULL;
    *settings = (zx_rope_settings){.type = full ? ZX_ROPE_PROPORTIONAL : ZX_ROPE_DEFAULT,
                                   .theta = full ? 1e6 : 1e4,
                                   .dims = head_size,
                                   .turns = head_size / 8,
                                   .interleaved = settings->interleaved};
    return ZMLX_OK;
}

/* -------- trace -------- */

/* Every layer's input: the token's row of a table of its own and a projection of its embedding. */
static zmlx_status trace_inputs(zx_trace *trace, zx_value x)
{
    const zx_config *config = trace->config;
    const size_t size = config->layer_input_size, width = config->layers * size;
    const double scale = (double)zx_round_to(trace->dtype, (float)sqrt((double)size));
    const zx_embedding table = {"embed_tokens_per_layer", config->layer_vocabulary, width, scale};
    const char *outer = NULL;
    zx_value rows, projected;
    if (size == 0) return ZMLX_OK;
    ZX_TRY(zx_block_enter(trace, "model", &outer));
    ZX_TRY(zx_block_embed(trace, &table, &rows));
    ZX_TRY(zx_block_linear(trace, x, "per_layer_model_projection", width, &projected));
    ZX_TRY(zx_block_scale(trace, projected, 1 / sqrt((double)config->hidden_size), &projected));
    ZX_TRY(zx_block_head_norm(trace, projected, "per_layer_projection_norm", size, &projected));
    ZX_TRY(zx_block_add(trace, projected, rows, &rows));
    ZX_TRY(zx_block_scale(trace, rows, sqrt(0.5), &trace->layer_inputs));
    zx_block_leave(trace, outer);
    return ZMLX_OK;
}

static zmlx_status add_input(zx_trace *trace, size_t layer, zx_value *x)
{
    const size_t size = trace->config->layer_input_size;
    zx_value part, input;
    if (size == 0) return ZMLX_OK;
    ZX_TRY(zx_block_columns(trace, trace->layer_inputs, trace->config->layers * size, layer * size,
                            size, &input));
    ZX_TRY(zx_block_linear(trace, *x, "per_layer_input_gate", size, &part));
    ZX_TRY(zx_block_gate(trace, part, input, trace->config->activation, &part));
    ZX_TRY(zx_block_linear(trace, part, "per_layer_projection", trace->config->hidden_size, &part));
    ZX_TRY(zx_block_norm(trace, part, "post_per_layer_input_norm", &part));
    return zx_block_add(trace, *x, part, x);
}

/* The scalar behind a layer, 1 where the file has none. */
static zmlx_status scale_layer(zx_trace *trace, zx_value *x)
{
    static const char module[] = "layer_scalar";
    char name[ZX_MODULE_NAME];
    zx_weight scalar;
    float value = 1;
    zx_block_name(trace, module, name);
    if (zx_checkpoint_find(trace->checkpoint, name) == NULL) return ZMLX_OK;
    ZX_TRY(zx_checkpoint_vector(trace->checkpoint, name, 1, &scalar));
    zx_formats[scalar.format].decode(&scalar, 0, 0, 1, &value);
    const zx_attributes attributes = {.scale = zx_round_to(trace->dtype, value)};
    return attributes.scale == 1 ? ZMLX_OK
                                 : zx_graph_add(trace->graph, ZX_OP_SCALE, x, &attributes, x);
}

/* The router reads h without the norm of the experts, behind one of its own. */
static zmlx_status trace_experts(zx_trace *trace, zx_value h, zx_value *y)
{
    const zx_config *config = trace->config;
    const double root = 1 / sqrt((double)config->hidden_size);
    zx_moe moe = zx_moe_usual(trace, &zx_router_softmax);
    zx_value normed;
    moe.modules[0] = "";
    moe.modules[1] = NULL;
    moe.gate = "router.proj";
    moe.expert_scale = "router.per_expert_scale";
    ZX_TRY(zx_block_rmsnorm(trace, h, "router.scale", config->norm_epsilon, &moe.scored));
    ZX_TRY(zx_block_scale(trace, moe.scored, root, &moe.scored));
    ZX_TRY(zx_block_norm(trace, h, "pre_feedforward_layernorm_2", &normed));
    ZX_TRY(zx_block_moe(trace, normed, &moe, y));
    return zx_block_norm(trace, *y, "post_feedforward_layernorm_2", y);
}

static zmlx_status add_feed_forward(zx_trace *trace, bool shares, zx_value *x)
{
    const zx_config *config = trace->config;
    const size_t size = config->intermediate_size * (shares && config->wide_shared ? 2 : 1);
    zx_value part, experts;
    ZX_TRY(zx_block_norm(trace, *x, "pre_feedforward_layernorm", &part));
    ZX_TRY(zx_block_glu(trace, part, "mlp", size, &part));
    if (config->experts > 0) {
        ZX_TRY(zx_block_norm(trace, part, "post_feedforward_layernorm_1", &part));
        ZX_TRY(trace_experts(trace, *x, &experts));
        ZX_TRY(zx_block_add(trace, part, experts, &part));
    }
    ZX_TRY(zx_block_norm(trace, part, "post_feedforward_layernorm", &part));
    return zx_block_add(trace, *x, part, x);
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_config *config = trace->config;
    zx_attention attention = zx_attention_usual(trace, layer);
    attention.query_norm = "q_norm";
    attention.key_norm = "k_norm";
    attention.value_norm = true;
    attention.keys_are_values = config->keys_are_values && attention.type == ZX_LAYER_FULL;
    attention.shares_cache = layer + config->shared_layers >= config->layers;
    zx_value part;
    ZX_TRY(zx_block_norm(trace, *x, "input_layernorm", &part));
    ZX_TRY(zx_block_attention(trace, part, &attention, &part));
    ZX_TRY(zx_block_norm(trace, part, "post_attention_layernorm", &part));
    ZX_TRY(zx_block_add(trace, *x, part, x));
    ZX_TRY(add_feed_forward(trace, attention.shares_cache, x));
    ZX_TRY(add_input(trace, layer, x));
    return scale_layer(trace, x);
}

static const zx_config_row rows[] = {
    {"hidden_activation", ZX_FIELD_ACTIVATION, offsetof(zx_config, activation), ZX_OPTIONAL,
     ZX_ACTIVATION_GELU_TANH},
    {"vocab_size", ZX_FIELD_SIZE, offsetof(zx_config, vocabulary), ZX_OPTIONAL, 262144},
    {"hidden_size", ZX_FIELD_SIZE, offsetof(zx_config, hidden_size), ZX_OPTIONAL, 2304},
    {"intermediate_size", ZX_FIELD_SIZE, offsetof(zx_config, intermediate_size), ZX_OPTIONAL, 9216},
    {"num_hidden_layers", ZX_FIELD_SIZE, offsetof(zx_config, layers), ZX_OPTIONAL, 30},
    {"num_attention_heads", ZX_FIELD_SIZE, offsetof(zx_config, heads), ZX_OPTIONAL, 8},
    {"num_key_value_heads", ZX_FIELD_SIZE, offsetof(zx_config, kv_heads), ZX_OPTIONAL, 4},
    {"head_dim", ZX_FIELD_SIZE, offsetof(zx_config, head_size), ZX_OPTIONAL, 256},
    {"global_head_dim", ZX_FIELD_SIZE, offsetof(zx_config, heads_of[ZX_LAYER_FULL].head_size),
     ZX_OPTIONAL, 512},
    {"num_global_key_value_heads", ZX_FIELD_SIZE,
     offsetof(zx_config, heads_of[ZX_LAYER_FULL].kv_heads), ZX_OPTIONAL, 0},
    {"attention_k_eq_v", ZX_FIELD_BOOL, offsetof(zx_config, keys_are_values), ZX_OPTIONAL, 0},
    {"max_position_embeddings", ZX_FIELD_SIZE, offsetof(zx_config, context_length), ZX_OPTIONAL,
     131072},
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 512},
    {"hidden_size_per_layer_input", ZX_FIELD_SIZE, offsetof(zx_config, layer_input_size),
     ZX_OPTIONAL, 256},
    {"vocab_size_per_layer_input", ZX_FIELD_SIZE, offsetof(zx_config, layer_vocabulary),
     ZX_OPTIONAL, 262144},
    {"num_kv_shared_layers", ZX_FIELD_SIZE, offsetof(zx_config, shared_layers), ZX_OPTIONAL, 0},
    {"use_double_wide_mlp", ZX_FIELD_BOOL, offsetof(zx_config, wide_shared), ZX_OPTIONAL, 0},
    {"num_experts", ZX_FIELD_SIZE, offsetof(zx_config, experts), ZX_OPTIONAL, 0},
    {"top_k_experts", ZX_FIELD_SIZE, offsetof(zx_config, experts_per_token), ZX_OPTIONAL, 0},
    {"moe_intermediate_size", ZX_FIELD_SIZE, offsetof(zx_config, expert_size), ZX_OPTIONAL, 0},
    {"final_logit_softcapping", ZX_FIELD_NUMBER, offsetof(zx_config, logit_limit), ZX_OPTIONAL, 0},
    {"tie_word_embeddings", ZX_FIELD_BOOL, offsetof(zx_config, tied), ZX_OPTIONAL, 1},
    {0},
};

const zx_family zx_family_gemma4 = {
    .name = "gemma4",
    .norm = {.wide = true},
    .architectures = {"Gemma4ForCausalLM", NULL},
    .model_types = {"gemma4_text", "gemma4", NULL},
    .partial_rope = true,
    .config = rows,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_inputs = trace_inputs,
    .trace_block = trace_block,
};
