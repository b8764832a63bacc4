/* mlx_names.c - rows about mlx-lm 0.32's models, by family. */
#include "model/mlx_names.h"

#include <stdio.h>
#include <string.h>

/* The first place where 'from' stands in a name becomes 'to'. */
static const struct {
    const char *family, *from, *to;
} renames[] = {
    {"gpt_neox", "gpt_neox.layers.", "model.h."},
    {"gpt_neox", "gpt_neox.", "model."},
    {"gpt_neox", "embed_out", "model.embed_out"},
    {"lfm2", "feed_forward.gate_proj", "feed_forward.w1"},
    {"lfm2", "feed_forward.down_proj", "feed_forward.w2"},
    {"lfm2", "feed_forward.up_proj", "feed_forward.w3"},
    {"lfm2_moe", "feed_forward.w1", "feed_forward.gate_proj"},
    {"lfm2_moe", "feed_forward.w2", "feed_forward.down_proj"},
    {"lfm2_moe", "feed_forward.w3", "feed_forward.up_proj"},
    /* GGUF has one name for what families call by several */
    {"mixtral", ".mlp.gate", ".block_sparse_moe.gate"},
    {"mixtral", ".mlp.experts", ".block_sparse_moe.experts"},
    {"mixtral", ".mlp.switch_mlp", ".block_sparse_moe.switch_mlp"},
    {"gemma4", ".experts.gate_proj", ".experts.switch_glu.gate_proj"},
    {"gemma4", ".experts.up_proj", ".experts.switch_glu.up_proj"},
    {"gemma4", ".experts.down_proj", ".experts.switch_glu.down_proj"},
    {"mixtral", ".experts.", ".switch_mlp."},
    {"granitemoe", ".experts.", ".switch_mlp."},
    {"qwen2_moe", ".experts.", ".switch_mlp."},
    {"qwen3_moe", ".experts.", ".switch_mlp."},
    {"qwen3_next", ".experts.", ".switch_mlp."},
    {"qwen3_5_moe", ".experts.", ".switch_mlp."},
    {"olmoe", ".experts.", ".switch_mlp."},
    {"lfm2_moe", ".experts.", ".switch_mlp."},
    {"deepseek_v3", ".experts.", ".switch_mlp."},
    {"glm4_moe", ".experts.", ".switch_mlp."},
    {"glm4_moe_lite", ".experts.", ".switch_mlp."},
};

typedef struct ending_row {
    const char *family, *ending;
} ending_row;

/* Plain arrays of mlx-lm's classes, no layers that it could quantize. */
static const ending_row plain_rows[] = {
    {"deepseek_v3", ".mlp.gate"}, {"glm4_moe", ".mlp.gate"}, {"glm4_moe_lite", ".mlp.gate"}, {0}};

/* Each model's quant_predicate. */
static const ending_row eight_rows[] = {
    {"qwen3_moe", "mlp.gate"},
    {"qwen3_next", "mlp.gate"},
    {"qwen3_next", "shared_expert_gate"},
    {"qwen3_5_moe", "mlp.gate"},
    {"qwen3_5_moe", "shared_expert_gate"},
    {"gpt_oss", "router"},
    {"gemma4", "router.proj"},
    {"lfm2_moe", "feed_forward.gate"},
    {"granite", "self_attn.o_proj"},
    {"granite", "mlp.down_proj"},
    {"granite", "lm_head"},
    {"granitemoe", "block_sparse_moe.router.layer"},
    {"granitemoe", "self_attn.o_proj"},
    {"granitemoe", "mlp.down_proj"},
    {"granitemoe", "lm_head"},
    {0},
};

/* Each model's cast_predicate. */
static const ending_row uncast_rows[] = {
    {"deepseek_v3", "e_score_correction_bias"},
    {"glm4_moe", "e_score_correction_bias"},
    {"glm4_moe_lite", "e_score_correction_bias"},
    {"lfm2_moe", "expert_bias"},
    {"qwen3_5", "A_log"},
    {"qwen3_5_moe", "A_log"},
    {0},
};

/* Norms that a family's official weights have without their offset, as mlx-lm does not. */
static const ending_row shifted_rows[] = {
    {"qwen3_", ".input_layernorm"}, {"qwen3_", ".post_attention_layernorm"},
    {"qwen3_", "model.norm"},       {"qwen3_", ".q_norm"},
    {"qwen3_", ".k_norm"},          {0},
};

static bool ends_with(const char *name, const char *ending)
{
    const size_t length = strlen(name), tail = strlen(ending);
    return length >= tail && strcmp(name + length - tail, ending) == 0;
}

static bool is_row(const ending_row *rows, const zx_family *family, const char *name)
{
    for (; rows->family != NULL; rows++)
        if (strcmp(rows->family, family->name) == 0 && ends_with(name, rows->ending)) return true;
    return false;
}

static bool replace(char name[ZX_MLX_NAME], const char *from, const char *to)
{
    char *at = strstr(name, from);
    char rest[ZX_MLX_NAME];
    if (at == NULL) return true;
    (void)snprintf(rest, sizeof rest, "%s", at + strlen(from));
    const size_t room = ZX_MLX_NAME - (size_t)(at - name);
    const int length = snprintf(at, room, "%s%s", to, rest);
    return length > 0 && (size_t)length < room;
}

bool zx_mlx_is_wrapped(const zx_family *family, const json_t *text)
{
    return json_is_object(text) || strncmp(family->name, "qwen3_5", 7) == 0;
}

bool zx_mlx_name(const zx_family *family, bool wrapped, const char *module, char name[ZX_MLX_NAME])
{
    const int length =
        snprintf(name, ZX_MLX_NAME, "%s%s", wrapped ? "language_model." : "", module);
    bool fits = length > 0 && length < ZX_MLX_NAME;
    for (size_t i = 0; fits && i < sizeof renames / sizeof *renames; i++) {
        const bool done = strstr(name, renames[i].to) != NULL; /* as MLX has it already */
        if (strcmp(renames[i].family, family->name) == 0 && !done)
            fits = replace(name, renames[i].from, renames[i].to);
    }
    return fits;
}

const char *zx_mlx_experts(const zx_family *family)
{
    if (strcmp(family->name, "gemma4") == 0) return "experts.switch_glu";
    return strcmp(family->name, "gpt_oss") == 0 ? "experts" : "switch_mlp";
}

bool zx_mlx_may_quantize(const zx_family *family, const char *name)
{
    return !is_row(plain_rows, family, name);
}

bool zx_mlx_wants_8_bits(const zx_family *family, const zx_config *config, const char *name)
{
    const bool dense = strcmp(family->name, "granite") == 0;
    return (dense || config->experts > 0) && is_row(eight_rows, family, name);
}

bool zx_mlx_may_cast(const zx_family *family, const char *name)
{
    return !is_row(uncast_rows, family, name);
}

float zx_mlx_shift(const zx_family *family, const zx_checkpoint *checkpoint,
                   const zx_config *config, const char *module)
{
    if (zx_checkpoint_is_gguf(checkpoint)) {
        /* llama.cpp's files have the offset in the weight, mlx-lm's of Gemma do not */
        const bool gemma = strncmp(family->name, "gemma", 5) == 0 && ends_with(module, "norm");
        return gemma ? -family->norm.offset : 0.0F;
    }
    if (strncmp(family->name, "qwen3_", 6) != 0 || config->norms_shifted) return 0;
    for (const ending_row *row = shifted_rows; row->family != NULL; row++)
        if (ends_with(module, row->ending)) return family->norm.offset;
    return 0;
}
