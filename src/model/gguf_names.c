/* gguf_names.c - rows that pair GGUF's names with Hugging Face's: an architecture's own, then the
 * usual ones. */
#include "model/gguf_names.h"

#include <stdio.h>
#include <string.h>

/* Outside the layers. */
static const zx_gguf_name top_names[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {0},
};

/* "blk.N.LEFT" and "model.layers.N.RIGHT" */
static const zx_gguf_name layer_names[] = {
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_qkv", "self_attn.qkv_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"attn_sinks", "self_attn.sinks"},
    /* latent attention */
    {"attn_q_a", "self_attn.q_a_proj"},
    {"attn_q_a_norm", "self_attn.q_a_layernorm"},
    {"attn_q_b", "self_attn.q_b_proj"},
    {"attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"},
    {"attn_kv_a_norm", "self_attn.kv_a_layernorm"},
    {"attn_kv_b", "self_attn.kv_b_proj"},
    {"attn_k_b", "self_attn.embed_q"},
    {"attn_v_b", "self_attn.unembed_out"},
    {"ffn_norm", "post_attention_layernorm"},
    {"post_attention_norm", "post_attention_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
    {"exp_probs_b.bias", "mlp.gate.e_score_correction_bias"},
    {"ffn_gate_inp", "mlp.gate"},
    {"ffn_gate_exps", "mlp.experts.gate_proj"},
    {"ffn_up_exps", "mlp.experts.up_proj"},
    {"ffn_down_exps", "mlp.experts.down_proj"},
    {"ffn_gate_up_exps.weight", "mlp.experts.gate_up_proj"},
    {"ffn_gate_shexp", "mlp.shared_experts.gate_proj"},
    {"ffn_up_shexp", "mlp.shared_experts.up_proj"},
    {"ffn_down_shexp", "mlp.shared_experts.down_proj"},
    {0},
};

/* Of files from before experts were stacked: "LEFT.E.weight" and "mlp.experts.E.RIGHT.weight". */
static const zx_gguf_name expert_names[] = {
    {"ffn_gate", "gate_proj"},
    {"ffn_up", "up_proj"},
    {"ffn_down", "down_proj"},
};

enum { EXPERT_NAMES = sizeof expert_names / sizeof *expert_names };

static const char gguf_layers[] = "blk.", hub_layers[] = "model.layers.";

/* Puts what the rows have for 'word', with the suffix that stays, in 'other'. */
static bool find_in(const zx_gguf_name *rows, bool from_hub, const char *word,
                    char other[ZX_TENSOR_NAME])
{
    const char *const suffix = strrchr(word, '.');
    for (; rows != NULL && rows->gguf != NULL; rows++) {
        const bool marked = rows->gguf[0] == '=';
        const char *const gguf = rows->gguf + marked, *const known = from_hub ? rows->hub : gguf;
        const bool whole = marked || strchr(gguf, '.') != NULL;
        const size_t length = whole ? strlen(word) : suffix != NULL ? (size_t)(suffix - word) : 0;
        if (length == 0 || strlen(known) != length || memcmp(known, word, length) != 0) continue;
        (void)snprintf(other, ZX_TENSOR_NAME, "%s%s", from_hub ? gguf : rows->hub, word + length);
        return true;
    }
    return false;
}

/* The expert's number at 'digits', and the word behind it. */
static bool split_expert(const char *digits, size_t *length, const char **rest)
{
    *length = strspn(digits, "0123456789");
    *rest = digits + *length + 1;
    return *length > 0 && *length <= 9 && digits[*length] == '.';
}

static bool expert_to_hub(const char *word, char other[ZX_TENSOR_NAME])
{
    for (size_t i = 0; i < EXPERT_NAMES; i++) {
        const size_t start = strlen(expert_names[i].gguf);
        size_t digits = 0;
        const char *suffix = NULL;
        if (strncmp(word, expert_names[i].gguf, start) != 0 || word[start] != '.' ||
            !split_expert(word + start + 1, &digits, &suffix))
            continue;
        const int length = snprintf(other, ZX_TENSOR_NAME, "mlp.experts.%.*s.%s.%s", (int)digits,
                                    word + start + 1, expert_names[i].hub, suffix);
        return length < ZX_TENSOR_NAME;
    }
    return false;
}

static bool expert_to_gguf(const char *word, char other[ZX_TENSOR_NAME])
{
    static const char module[] = "mlp.experts.";
    const size_t start = sizeof module - 1;
    size_t digits = 0;
    const char *rest = NULL;
    if (strncmp(word, module, start) != 0 || !split_expert(word + start, &digits, &rest))
        return false;
    for (size_t i = 0; i < EXPERT_NAMES; i++) {
        const size_t length = strlen(expert_names[i].hub);
        if (strncmp(rest, expert_names[i].hub, length) != 0 || rest[length] != '.') continue;
        return snprintf(other, ZX_TENSOR_NAME, "%s.%.*s%s", expert_names[i].gguf, (int)digits,
                        word + start, rest + length) < ZX_TENSOR_NAME;
    }
    return false;
}

/* Renames between the two forms; 'from_hub' says which way. */
static bool rename_tensor(const zx_gguf_architecture *architecture, const char *name, bool from_hub,
                          char renamed[ZX_TENSOR_NAME])
{
    static const zx_gguf_architecture none;
    const zx_gguf_architecture *own = architecture != NULL ? architecture : &none;
    const char *const hub = own->layers != NULL ? own->layers : hub_layers;
    const char *const layers = from_hub ? hub : gguf_layers;
    const char *const other_layers = from_hub ? gguf_layers : hub;
    const size_t start = strlen(layers);
    char word[ZX_TENSOR_NAME];
    if (strncmp(name, layers, start) != 0)
        return find_in(own->top_names, from_hub, name, renamed) ||
               find_in(top_names, from_hub, name, renamed);
    const char *const number = name + start;
    const size_t digits = strspn(number, "0123456789");
    if (digits == 0 || digits > 9 || number[digits] != '.') return false;
    const char *const rest = number + digits + 1;
    if (!find_in(own->layer_names, from_hub, rest, word) &&
        !find_in(layer_names, from_hub, rest, word) &&
        !(from_hub ? expert_to_gguf(rest, word) : expert_to_hub(rest, word)))
        return false;
    const int length =
        snprintf(renamed, ZX_TENSOR_NAME, "%s%.*s.%s", other_layers, (int)digits, number, word);
    return length < ZX_TENSOR_NAME;
}

void zx_gguf_to_hub_name(const zx_gguf_architecture *architecture, const char *name,
                         char hub[ZX_TENSOR_NAME])
{
    if (!rename_tensor(architecture, name, false, hub))
        (void)snprintf(hub, ZX_TENSOR_NAME, "%s", name);
}

bool zx_hub_to_gguf_name(const zx_gguf_architecture *architecture, const char *hub,
                         char name[ZX_TENSOR_NAME])
{
    return rename_tensor(architecture, hub, true, name);
}
