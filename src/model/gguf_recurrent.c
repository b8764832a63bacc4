/* gguf_recurrent.c - LFM2, Qwen3-Next and Qwen3.5 in GGUF's words.
 *
 * What the converters do to values is undone where the layer is traced: see recurrent.c. */
#include "model/gguf_recurrent.h"

#include "base/fail.h"
#include "model/gguf_layers.h"

/* -------- names -------- */

const zx_gguf_name zx_gguf_lfm2_top_names[] = {
    {"token_embd_norm", "model.embedding_norm"}, /* the norm behind the last layer */
    {"output_norm", "model.embedding_norm"},
    {0},
};

const zx_gguf_name zx_gguf_lfm2_names[] = {
    {"attn_norm", "operator_norm"},
    {"ffn_norm", "ffn_norm"},
    {"attn_output", "self_attn.out_proj"},
    {"attn_q_norm", "self_attn.q_layernorm"},
    {"attn_k_norm", "self_attn.k_layernorm"},
    {"shortconv.conv.weight", "conv.conv.weight"},
    {"shortconv.conv.bias", "conv.conv.bias"},
    {"shortconv.in_proj.weight", "conv.in_proj.weight"},
    {"shortconv.in_proj.bias", "conv.in_proj.bias"},
    {"shortconv.out_proj.weight", "conv.out_proj.weight"},
    {"shortconv.out_proj.bias", "conv.out_proj.bias"},
    {"ffn_gate", "feed_forward.gate_proj"},
    {"ffn_up", "feed_forward.up_proj"},
    {"ffn_down", "feed_forward.down_proj"},
    {"ffn_gate_inp", "feed_forward.gate"},
    {"exp_probs_b.bias", "feed_forward.expert_bias"},
    {"ffn_gate_exps", "feed_forward.experts.gate_proj"},
    {"ffn_up_exps", "feed_forward.experts.up_proj"},
    {"ffn_down_exps", "feed_forward.experts.down_proj"},
    {"ffn_gate_up_exps.weight", "feed_forward.experts.gate_up_proj"},
    {0},
};

const zx_gguf_name zx_gguf_qwen_next_names[] = {
    {"attn_qkv", "linear_attn.in_proj_qkv"},
    {"attn_gate", "linear_attn.in_proj_z"},
    {"ssm_in", "linear_attn.in_proj_qkvz"}, /* of older files of Qwen3-Next */
    {"ssm_ba", "linear_attn.in_proj_ba"},
    {"ssm_beta", "linear_attn.in_proj_b"},
    {"ssm_alpha", "linear_attn.in_proj_a"},
    {"ssm_conv1d", "linear_attn.conv1d"},
    {"ssm_dt.bias", "linear_attn.dt_bias"},
    {"=ssm_a", "linear_attn.A_log"}, /* its exponential, negated */
    {"ssm_norm", "linear_attn.norm"},
    {"ssm_out", "linear_attn.out_proj"},
    {"ffn_gate_inp_shexp", "mlp.shared_expert_gate"},
    {"ffn_gate_shexp", "mlp.shared_expert.gate_proj"},
    {"ffn_up_shexp", "mlp.shared_expert.up_proj"},
    {"ffn_down_shexp", "mlp.shared_expert.down_proj"},
    {0},
};

/* -------- LFM2 -------- */

/* Layers without heads of keys are convolutions. */
static zmlx_status set_lfm2_types(const zx_gguf *gguf, const char *name, json_t *config)
{
    static const char word[] = "attention.head_count_kv";
    static const char *const types[2] = {"conv", "full_attention"};
    const zx_gguf_layers attending = {word, "num_key_value_heads", types[1]};
    char key[ZX_GGUF_KEY];
    json_int_t heads = 0;
    zx_gguf_key(name, word, key);
    const zx_gguf_value *value = zx_gguf_find(gguf, key);
    if (value == NULL || value->type != ZX_GGUF_ARRAY) return ZMLX_OK; /* all attend */
    ZX_TRY(zx_gguf_set_layer_types(gguf, name, word, types, config));
    ZX_TRY(zx_gguf_layers_value(gguf, name, config, &attending, &heads));
    return zx_gguf_set(gguf, config, attending.key, json_integer(heads));
}

zmlx_status zx_gguf_finish_lfm2(const zx_gguf *gguf, const char *name, json_t *config)
{
    char key[ZX_GGUF_KEY];
    int64_t window = 0;
    zx_gguf_key(name, "attention.sliding_window", key);
    ZX_TRY(zx_gguf_integer(gguf, key, 0, INT32_MAX, &window));
    if (window > 0)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                       "%s: metadata key '%s' is %jd; this family is known without a window",
                       gguf->stored.path, key, (intmax_t)window);
    json_t *epsilon = json_object_get(config, "rms_norm_eps");
    if (epsilon != NULL) ZX_TRY(zx_gguf_set(gguf, config, "norm_eps", json_incref(epsilon)));
    /* the mlp's size is the adjusted one */
    ZX_TRY(zx_gguf_set(gguf, config, "block_auto_adjust_ff_dim", json_false()));
    return set_lfm2_types(gguf, name, config);
}

zmlx_status zx_gguf_finish_lfm2_moe(const zx_gguf *gguf, const char *name, json_t *config)
{
    static const struct {
        const char *from, *to;
    } copied[] = {
        {"num_local_experts", "num_experts"},
        {"first_k_dense_replace", "num_dense_layers"},
    };
    ZX_TRY(zx_gguf_finish_lfm2(gguf, name, config));
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        ZX_TRY(zx_gguf_set(gguf, config, copied[i].to,
                           json_incref(json_object_get(config, copied[i].from))));
    return zx_gguf_set(gguf, config, "use_expert_bias",
                       json_boolean(zx_gguf_has_tensor(gguf, ".exp_probs_b.bias")));
}

/* -------- Qwen3-Next, Qwen3.5 -------- */

zmlx_status zx_gguf_finish_qwen_next(const zx_gguf *gguf, const char *name, json_t *config)
{
    static const char *const types[2] = {"full_attention", "linear_attention"};
    char key[ZX_GGUF_KEY];
    int64_t size = 0;
    const json_int_t heads = json_integer_value(json_object_get(config, "linear_num_value_heads"));
    zx_gguf_key(name, "ssm.inner_size", key);
    ZX_TRY(zx_gguf_integer(gguf, key, 1, INT32_MAX, &size));
    if (heads <= 0 || size % heads != 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: metadata key '%s' is %jd; expected a multiple of ssm.time_step_rank, "
                       "%jd",
                       gguf->stored.path, key, (intmax_t)size, (intmax_t)heads);
    ZX_TRY(zx_gguf_set(gguf, config, "linear_value_head_dim", json_integer(size / heads)));
    return zx_gguf_set_layer_types(gguf, name, "attention.recurrent_layers", types, config);
}
