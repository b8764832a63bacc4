/* ministral3.c - Ministral 3: Llama's block, with queries that grow with their position.
 *
 *   q = rope(q) * (1 + beta * log(1 + floor(position / L))), L the context before it was extended
 */
#include <string.h>

#include "model/families/families.h"
#include "model/rope_config.h"

static const double default_beta = 0.1, default_period = 16384;

/* "original_max_position_embeddings" as the official code finds it: it fills in the context's
 * length for the types that extend it. */
static zmlx_status read_period(const zx_fields *fields, const zx_fields *rope,
                               const zx_config *config, size_t *period)
{
    int64_t length = 0;
    const char *type = "default";
    ZX_TRY(zx_fields_string(rope, "type", &type));
    ZX_TRY(zx_fields_string(rope, "rope_type", &type));
    ZX_TRY(zx_fields_integer(rope, "original_max_position_embeddings", 1, 1 << 30, &length));
    const bool extends =
        strcmp(type, "yarn") == 0 || strcmp(type, "llama3") == 0 || strcmp(type, "longrope") == 0;
    if (extends)
        ZX_TRY(zx_fields_integer(fields, "original_max_position_embeddings", 1, 1 << 30, &length));
    if (length == 0 && extends) length = (int64_t)config->context_length;
    if (length == 0)
        return zx_fields_fail(rope, "original_max_position_embeddings", "a whole number from 1");
    *period = (size_t)length;
    return ZMLX_OK;
}

static zmlx_status check(const zx_checkpoint *checkpoint, zx_config *config)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    zx_fields rope;
    zx_config_windows(config);
    ZX_TRY(zx_rope_object(&fields, NULL, &rope));
    config->query_scale_beta = default_beta;
    config->query_scale_period = (size_t)default_period;
    if (rope.object != NULL) {
        if (!zx_fields_have(&rope, "llama_4_scaling_beta"))
            return zx_fields_fail(&rope, "llama_4_scaling_beta", "a number");
        ZX_TRY(zx_fields_number(&rope, "llama_4_scaling_beta", 0, 1e3, &config->query_scale_beta));
        ZX_TRY(read_period(&fields, &rope, config, &config->query_scale_period));
    }
    return ZMLX_OK;
}

static zmlx_status adjust_rope(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, zx_rope_settings *settings)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    zx_fields rope;
    (void)config, (void)type;
    ZX_TRY(zx_rope_object(&fields, NULL, &rope));
    if (rope.object == NULL) {
        settings->type = ZX_ROPE_YARN;
        settings->theta = 1e6;
        settings->factor = 16;
        settings->original_length = default_period;
        settings->mscale = settings->mscale_all_dim = 1;
    }
    return ZMLX_OK;
}

static zmlx_status trace_block(zx_trace *trace, size_t layer, zx_value *x)
{
    const zx_attention attention = zx_attention_usual(trace, layer);
    return zx_trace_usual_block(trace, &attention, x);
}

static const zx_config_row rows[] = {
    {"vocab_size", ZX_FIELD_SIZE, offsetof(zx_config, vocabulary), ZX_OPTIONAL, 131072},
    {"hidden_size", ZX_FIELD_SIZE, offsetof(zx_config, hidden_size), ZX_OPTIONAL, 4096},
    {"intermediate_size", ZX_FIELD_SIZE, offsetof(zx_config, intermediate_size), ZX_OPTIONAL,
     14336},
    {"num_hidden_layers", ZX_FIELD_SIZE, offsetof(zx_config, layers), ZX_OPTIONAL, 34},
    {"num_attention_heads", ZX_FIELD_SIZE, offsetof(zx_config, heads), ZX_OPTIONAL, 32},
    {"num_key_value_heads", ZX_FIELD_SIZE, offsetof(zx_config, kv_heads), ZX_NULL_IS_NONE, 8},
    {"head_dim", ZX_FIELD_SIZE, offsetof(zx_config, head_size), ZX_NULL_IS_NONE, 128},
    {"max_position_embeddings", ZX_FIELD_SIZE, offsetof(zx_config, context_length), ZX_OPTIONAL,
     262144},
    {"sliding_window", ZX_FIELD_SIZE, offsetof(zx_config, window), ZX_OPTIONAL, 0},
    {"rms_norm_eps", ZX_FIELD_NUMBER, offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-5},
    {0},
};

const zx_family zx_family_ministral3 = {
    .name = "ministral3",
    .architectures = {"Ministral3ForCausalLM", NULL},
    .model_types = {"ministral3", NULL},
    .config = rows,
    .check = check,
    .adjust_rope = adjust_rope,
    .trace_block = trace_block,
};
