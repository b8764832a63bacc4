/* gguf_names.c - rows that pair GGUF's words with Hugging Face's.  A new family adds rows. */
#include "model/gguf_names.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

typedef struct pair {
    const char *gguf, *hub;
} pair;

/* Outside the layers; the suffix (".weight", ".bias") stays. */
static const pair top_names[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
};

/* "blk.N.LEFT" and "model.layers.N.RIGHT" */
static const pair layer_names[] = {
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
    {"ffn_gate_inp", "mlp.gate"},
    {"ffn_gate_exps", "mlp.experts.gate_proj"},
    {"ffn_up_exps", "mlp.experts.up_proj"},
    {"ffn_down_exps", "mlp.experts.down_proj"},
};

static const char gguf_layers[] = "blk.", hub_layers[] = "model.layers.";

/* general.architecture, and which class of transformers that is. */
static const struct {
    const char *gguf, *hub;
    bool interleaved;
} architectures[] = {
    {"llama", "LlamaForCausalLM", true},
};

enum { COUNT, NUMBER };

/* "ARCHITECTURE.LEFT" and the key of config.json. */
static const struct {
    const char *gguf, *hub;
    int kind;
    bool required;
} config_rows[] = {
    {"block_count", "num_hidden_layers", COUNT, true},
    {"context_length", "max_position_embeddings", COUNT, false},
    {"embedding_length", "hidden_size", COUNT, true},
    {"feed_forward_length", "intermediate_size", COUNT, true},
    {"attention.head_count", "num_attention_heads", COUNT, true},
    {"attention.head_count_kv", "num_key_value_heads", COUNT, false},
    {"attention.key_length", "head_dim", COUNT, false},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", NUMBER, false},
    {"attention.sliding_window", "sliding_window", COUNT, false},
    {"expert_count", "num_local_experts", COUNT, false},
    {"expert_used_count", "num_experts_per_tok", COUNT, false},
    {"rope.dimension_count", "rotary_dim", COUNT, false},
    {"vocab_size", "vocab_size", COUNT, false},
};

/* The same, into "rope_parameters". */
static const struct {
    const char *gguf, *hub;
    int kind;
} rope_rows[] = {
    {"rope.freq_base", "rope_theta", NUMBER},
    {"rope.scaling.factor", "factor", NUMBER},
    {"rope.scaling.original_context_length", "original_max_position_embeddings", COUNT},
    {"rope.scaling.yarn_beta_fast", "beta_fast", NUMBER},
    {"rope.scaling.yarn_beta_slow", "beta_slow", NUMBER},
};

static const pair token_rows[] = {
    {"tokenizer.ggml.bos_token_id", "bos_token_id"},
    {"tokenizer.ggml.eos_token_id", "eos_token_id"},
    {"tokenizer.ggml.padding_token_id", "pad_token_id"},
};

enum { KEY_BYTES = 160, MAX_COUNT = 1 << 30 };

/* The row whose word on the given side is the first 'length' bytes of 'text'; NULL where none is.
 */
static const pair *find_row(const pair *rows, size_t count, bool hub, const char *text,
                            size_t length)
{
    for (size_t i = 0; i < count; i++) {
        const char *word = hub ? rows[i].hub : rows[i].gguf;
        if (strlen(word) == length && memcmp(word, text, length) == 0) return &rows[i];
    }
    return NULL;
}

/* Renames between the two forms; 'from_hub' says which way. */
static bool rename_tensor(const char *name, bool from_hub, char renamed[ZX_TENSOR_NAME])
{
    const char *const suffix = strrchr(name, '.');
    const char *const layers = from_hub ? hub_layers : gguf_layers;
    const char *const other_layers = from_hub ? gguf_layers : hub_layers;
    const size_t start = strlen(layers);
    if (suffix == NULL) return false;
    if (strncmp(name, layers, start) != 0) {
        const pair *row = find_row(top_names, sizeof top_names / sizeof *top_names, from_hub, name,
                                   (size_t)(suffix - name));
        if (row == NULL) return false;
        (void)snprintf(renamed, ZX_TENSOR_NAME, "%s%s", from_hub ? row->gguf : row->hub, suffix);
        return true;
    }
    const char *const number = name + start;
    const size_t digits = strspn(number, "0123456789");
    const char *const word = number + digits + 1;
    if (digits == 0 || digits > 9 || number[digits] != '.' || word > suffix) return false;
    const pair *row = find_row(layer_names, sizeof layer_names / sizeof *layer_names, from_hub,
                               word, (size_t)(suffix - word));
    if (row == NULL) return false;
    (void)snprintf(renamed, ZX_TENSOR_NAME, "%s%.*s.%s%s", other_layers, (int)digits, number,
                   from_hub ? row->gguf : row->hub, suffix);
    return true;
}

void zx_gguf_to_hub_name(const char *name, char hub[ZX_TENSOR_NAME])
{
    if (!rename_tensor(name, false, hub)) (void)snprintf(hub, ZX_TENSOR_NAME, "%s", name);
}

bool zx_hub_to_gguf_name(const char *hub, char name[ZX_TENSOR_NAME])
{
    return rename_tensor(hub, true, name);
}

static zmlx_status set(const zx_gguf *gguf, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) == 0) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: no memory for its config", gguf->stored.path);
}

/* Copies one key where the file has it. */
static zmlx_status copy_row(const zx_gguf *gguf, const char *key, int kind, json_t *object,
                            const char *hub)
{
    int64_t count = 0;
    double number = 0;
    if (zx_gguf_find(gguf, key) == NULL) return ZMLX_OK;
    if (kind == COUNT) {
        ZX_TRY(zx_gguf_integer(gguf, key, 0, MAX_COUNT, &count));
        return set(gguf, object, hub, json_integer(count));
    }
    ZX_TRY(zx_gguf_number(gguf, key, &number));
    if (!isfinite(number))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is not a finite number",
                       gguf->stored.path, key);
    return set(gguf, object, hub, json_real(number));
}

static void architecture_key(const char *architecture, const char *word, char key[KEY_BYTES])
{
    (void)snprintf(key, KEY_BYTES, "%s.%s", architecture, word);
}

/* A string value that holds text, in 'text'; empty where it is absent. */
static zmlx_status read_word(const zx_gguf *gguf, const char *key, char text[64])
{
    zx_string_view view = {"", 0};
    ZX_TRY(zx_gguf_string(gguf, key, &view));
    if (view.length >= 64 || memchr(view.bytes, 0, view.length) != NULL ||
        !zx_utf8_valid(view.bytes, view.length))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is not a short text",
                       gguf->stored.path, key);
    memcpy(text, view.bytes, view.length);
    text[view.length] = 0;
    return ZMLX_OK;
}

/* What cos and sin are multiplied with: with yarn GGUF's factor comes on top of the usual one,
 * with longrope it is all. */
static zmlx_status set_attention_factor(const zx_gguf *gguf, const char *architecture, bool yarn,
                                        json_t *rope)
{
    char key[KEY_BYTES];
    double factor = 0;
    const double scale = json_number_value(json_object_get(rope, "factor"));
    architecture_key(architecture, "rope.scaling.attn_factor", key);
    ZX_TRY(zx_gguf_number(gguf, key, &factor));
    if (!(factor > 0 && factor < 1e6) || (yarn && !(scale > 1))) return ZMLX_OK;
    const double usual = yarn ? 0.1 * log(scale) + 1 : 1;
    return set(gguf, rope, "attention_factor", json_real(factor * usual));
}

static zmlx_status fill_rope(const zx_gguf *gguf, const char *architecture, json_t *rope)
{
    char key[KEY_BYTES], type[64];
    for (size_t i = 0; i < sizeof rope_rows / sizeof *rope_rows; i++) {
        architecture_key(architecture, rope_rows[i].gguf, key);
        ZX_TRY(copy_row(gguf, key, rope_rows[i].kind, rope, rope_rows[i].hub));
    }
    architecture_key(architecture, "rope.scaling.type", key);
    ZX_TRY(read_word(gguf, key, type));
    architecture_key(architecture, "rope.scale_linear", key); /* of older files */
    if (*type == 0 && zx_gguf_find(gguf, key) != NULL) {
        (void)snprintf(type, sizeof type, "linear");
        ZX_TRY(copy_row(gguf, key, NUMBER, rope, "factor"));
    }
    /* the tensors rope_factors_long and _short make it a longrope, whether it is called so or not
     */
    const bool plain = *type == 0 || strcmp(type, "none") == 0 || strcmp(type, "longrope") == 0;
    ZX_TRY(set_attention_factor(gguf, architecture, strcmp(type, "yarn") == 0, rope));
    return set(gguf, rope, "rope_type", json_string(plain ? "default" : type));
}

/* The vocabulary's size is that of its table where nobody says it. */
static zmlx_status fill_vocabulary(const zx_gguf *gguf, json_t *config)
{
    const zx_stored_tensor *table = zx_stored_find(&gguf->stored, "token_embd.weight");
    for (size_t i = 0; i < sizeof token_rows / sizeof *token_rows; i++)
        ZX_TRY(copy_row(gguf, token_rows[i].gguf, COUNT, config, token_rows[i].hub));
    const bool tied = zx_stored_find(&gguf->stored, "output.weight") == NULL;
    ZX_TRY(set(gguf, config, "tie_word_embeddings", json_boolean(tied)));
    if (json_object_get(config, "vocab_size") != NULL) return ZMLX_OK;
    zx_gguf_array tokens = {ZX_GGUF_STRING, 0, NULL};
    ZX_TRY(zx_gguf_array_of(gguf, "tokenizer.ggml.tokens", ZX_GGUF_STRING, &tokens));
    size_t size = tokens.count;
    if (size == 0 && table != NULL && table->rank == 2) size = table->shape[0];
    if (size == 0 || size > MAX_COUNT) return ZMLX_OK;
    return set(gguf, config, "vocab_size", json_integer((json_int_t)size));
}

static zmlx_status fill(const zx_gguf *gguf, json_t *config, bool *interleaved)
{
    char architecture[64], key[KEY_BYTES];
    const char *name = architecture;
    ZX_TRY(read_word(gguf, "general.architecture", architecture));
    if (*architecture == 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key 'general.architecture' is missing",
                       gguf->stored.path);
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++) {
        if (strcmp(architectures[i].gguf, architecture) != 0) continue;
        name = architectures[i].hub;
        *interleaved = architectures[i].interleaved;
    }
    const bool known = name != architecture;
    for (size_t i = 0; i < sizeof config_rows / sizeof *config_rows; i++) {
        architecture_key(architecture, config_rows[i].gguf, key);
        if (known && config_rows[i].required && zx_gguf_find(gguf, key) == NULL)
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: metadata key '%s' is missing", gguf->stored.path,
                           key);
        ZX_TRY(copy_row(gguf, key, config_rows[i].kind, config, config_rows[i].hub));
    }
    /* Mixtral calls itself llama. */
    const bool experts = json_integer_value(json_object_get(config, "num_local_experts")) > 0;
    if (experts && strcmp(architecture, "llama") == 0) name = "MixtralForCausalLM";
    ZX_TRY(set(gguf, config, "architectures", json_pack("[s]", name)));
    ZX_TRY(set(gguf, config, "model_type", json_string(architecture)));
    json_t *rope = json_object();
    ZX_TRY(set(gguf, config, "rope_parameters", rope));
    ZX_TRY(fill_rope(gguf, architecture, rope));
    return fill_vocabulary(gguf, config);
}

zmlx_status zx_gguf_config(const zx_gguf *gguf, json_t **config, bool *interleaved)
{
    json_t *object = json_object();
    *interleaved = false;
    const zmlx_status status = fill(gguf, object, interleaved);
    if (status == ZMLX_OK)
        *config = object;
    else
        json_decref(object);
    return status;
}
