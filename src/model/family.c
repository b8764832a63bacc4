/* family.c - finding a checkpoint's family, and reading its config by rows. */
#include "model/family.h"

#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "model/gguf_architectures.h"
#include "model/rope_config.h"
#include "model/text_part.h"

const char *const zx_layer_type_names[ZX_LAYER_TYPES] = {
    [ZX_LAYER_FULL] = "full_attention",
    [ZX_LAYER_SLIDING] = "sliding_attention",
    [ZX_LAYER_LINEAR] = "linear_attention",
    [ZX_LAYER_CONV] = "conv",
};

static const zx_config_row common_rows[] = {
    {"hidden_size", ZX_FIELD_SIZE, offsetof(zx_config, hidden_size), ZX_REQUIRED, 0},
    {"intermediate_size", ZX_FIELD_SIZE, offsetof(zx_config, intermediate_size), ZX_REQUIRED, 0},
    {"num_hidden_layers", ZX_FIELD_SIZE, offsetof(zx_config, layers), ZX_REQUIRED, 0},
    {"num_attention_heads", ZX_FIELD_SIZE, offsetof(zx_config, heads), ZX_REQUIRED, 0},
    {"num_key_value_heads", ZX_FIELD_SIZE, offsetof(zx_config, kv_heads), ZX_OPTIONAL, 0},
    {"head_dim", ZX_FIELD_SIZE, offsetof(zx_config, head_size), ZX_OPTIONAL, 0},
    {"vocab_size", ZX_FIELD_SIZE, offsetof(zx_config, vocabulary), ZX_REQUIRED, 0},
    {"max_position_embeddings", ZX_FIELD_SIZE, offsetof(zx_config, context_length), ZX_OPTIONAL,
     2048},
    {"rms_norm_eps|layer_norm_eps|norm_eps|layer_norm_epsilon|norm_epsilon", ZX_FIELD_NUMBER,
     offsetof(zx_config, norm_epsilon), ZX_OPTIONAL, 1e-6},
    {"hidden_act", ZX_FIELD_ACTIVATION, offsetof(zx_config, activation), ZX_OPTIONAL,
     ZX_ACTIVATION_SILU},
    {"tie_word_embeddings", ZX_FIELD_BOOL, offsetof(zx_config, tied), ZX_OPTIONAL, 0},
    {0},
};

enum { MAX_CONTEXT = 1 << 30 };

static bool holds(const char *const names[], const json_t *name)
{
    for (size_t i = 0; json_is_string(name) && i < 4 && names[i] != NULL; i++)
        if (strcmp(names[i], json_string_value(name)) == 0) return true;
    return false;
}

/* The same in GGUF's words. */
static zmlx_status unknown_gguf(const zx_checkpoint *checkpoint, const json_t *name)
{
    zx_text known = {0};
    zmlx_status status = zx_gguf_known_architectures(&known);
    if (status == ZMLX_OK)
        status = ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                         "%s: metadata key 'general.architecture' is '%s', which is not known; "
                         "known are: %s",
                         zx_checkpoint_path(checkpoint), json_string_value(name), known.bytes);
    zx_text_fini(&known);
    return status;
}

static zmlx_status unknown_family(const zx_checkpoint *checkpoint, const json_t *name)
{
    char known[1600] = "";
    if (zx_checkpoint_is_gguf(checkpoint)) return unknown_gguf(checkpoint, name);
    size_t used = 0;
    for (size_t i = 0; zx_families[i] != NULL; i++)
        for (size_t k = 0; k < 4 && zx_families[i]->architectures[k] != NULL; k++) {
            const char *architecture = zx_families[i]->architectures[k];
            const size_t length = strlen(architecture);
            if (used + length + 3 > sizeof known) continue;
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                     used > 0 ? ", " : "", architecture);
        }
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: architecture '%s' is not known; known are: %s",
                   zx_checkpoint_path(checkpoint),
                   json_is_string(name) ? json_string_value(name) : "(none written)", known);
}

zmlx_status zx_family_find(const zx_checkpoint *checkpoint, const zx_family **family)
{
    const json_t *config = zx_checkpoint_config(checkpoint);
    const json_t *architectures = json_object_get(config, "architectures");
    const json_t *type = json_object_get(config, "model_type");
    const size_t count = json_array_size(architectures);
    for (size_t k = 0; k < count + 1; k++)
        for (size_t i = 0; zx_families[i] != NULL; i++) {
            /* the type counts where no architecture is written, and for a text part */
            const bool by_type =
                k == count && (count == 0 || json_object_get(config, "text_config"));
            if (k < count ? !holds(zx_families[i]->architectures, json_array_get(architectures, k))
                          : !by_type || !holds(zx_families[i]->model_types, type))
                continue;
            *family = zx_families[i];
            return ZMLX_OK;
        }
    return unknown_family(checkpoint, count > 0 ? json_array_get(architectures, 0) : type);
}

static zmlx_status wrong_field(const zx_checkpoint *checkpoint, const char *key,
                               const char *expected)
{
    char text[ZX_KEY_TEXT];
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %s is missing or no %s", zx_checkpoint_path(checkpoint),
                   zx_checkpoint_key(checkpoint, key, text), expected);
}

/* The value under the first of a row's keys that is there; null where no more than that is. */
static const json_t *find_value(const json_t *config, const char *keys)
{
    const json_t *null = NULL;
    while (*keys != '\0') {
        char key[64];
        const size_t length = strcspn(keys, "|");
        (void)snprintf(key, sizeof key, "%.*s", (int)length, keys);
        const json_t *value = json_object_get(config, key);
        if (value != NULL && !json_is_null(value)) return value;
        if (value != NULL) null = value;
        keys += length + (keys[length] == '|');
    }
    return null;
}

/* The words that the official code has for them. */
static const struct {
    const char *word;
    zx_activation activation;
} activations[] = {
    {"silu", ZX_ACTIVATION_SILU},
    {"swish", ZX_ACTIVATION_SILU},
    {"gelu", ZX_ACTIVATION_GELU},
    {"gelu_python", ZX_ACTIVATION_GELU},
    {"gelu_new", ZX_ACTIVATION_GELU_TANH},
    {"gelu_fast", ZX_ACTIVATION_GELU_TANH},
    {"gelu_pytorch_tanh", ZX_ACTIVATION_GELU_TANH},
    {"gelu_accurate", ZX_ACTIVATION_GELU_TANH},
    {"relu", ZX_ACTIVATION_RELU},
    {"relu2", ZX_ACTIVATION_RELU2},
    {"sigmoid", ZX_ACTIVATION_SIGMOID},
};

enum { ACTIVATIONS = sizeof activations / sizeof activations[0] };

static zmlx_status read_activation(const zx_checkpoint *checkpoint, const char *key,
                                   const json_t *value, zx_activation *activation)
{
    const char *word = json_string_value(value);
    char known[160] = "";
    for (size_t i = 0; i < ACTIVATIONS; i++) {
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                       activations[i].word);
        if (word == NULL || strcmp(word, activations[i].word) != 0) continue;
        *activation = activations[i].activation;
        return ZMLX_OK;
    }
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                   "%s: config key '%.*s' is '%s', an activation that is not known; known are %s",
                   zx_checkpoint_path(checkpoint), (int)strcspn(key, "|"), key,
                   word != NULL ? word : "no string", known);
}

/* The text part of a published config leaves out what is as in the official code; another config
 * without its sizes is taken for a broken one. */
static bool is_needed(const json_t *config, const zx_config_row *row)
{
    return row->need == ZX_REQUIRED && (row->fallback == 0 || !zx_has_text_part(config));
}

static zmlx_status read_row(const zx_checkpoint *checkpoint, const zx_config_row *row,
                            zx_config *config)
{
    static const char *const kinds[] = {"whole number from 0 to 1073741824", "number", "boolean",
                                        "activation"};
    const json_t *file = zx_checkpoint_config(checkpoint), *value = find_value(file, row->key);
    void *field = (char *)config + row->offset;
    const bool absent = value == NULL || json_is_null(value);
    const double usual = value != NULL && row->need == ZX_NULL_IS_NONE ? 0 : row->fallback;
    if (absent && is_needed(file, row)) return wrong_field(checkpoint, row->key, kinds[row->kind]);
    bool fits = true;
    if (row->kind == ZX_FIELD_ACTIVATION) {
        zx_activation *activation = field;
        *activation = (zx_activation)usual;
        return absent ? ZMLX_OK : read_activation(checkpoint, row->key, value, activation);
    }
    if (row->kind == ZX_FIELD_SIZE) {
        const json_int_t number = absent ? (json_int_t)usual : json_integer_value(value);
        fits = (absent || json_is_integer(value)) && number >= 0 && number <= MAX_CONTEXT;
        if (fits) *(size_t *)field = (size_t)number;
    } else if (row->kind == ZX_FIELD_NUMBER) {
        fits = absent || json_is_number(value);
        *(double *)field = absent ? usual : json_number_value(value);
    } else {
        fits = absent || json_is_boolean(value);
        *(bool *)field = absent ? usual != 0 : json_is_true(value);
    }
    return fits ? ZMLX_OK : wrong_field(checkpoint, row->key, kinds[row->kind]);
}

zmlx_status zx_config_refuse(const zx_checkpoint *checkpoint, const char *key, size_t value,
                             const char *expected)
{
    char text[ZX_KEY_TEXT];
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %s is %zu; expected %s", zx_checkpoint_path(checkpoint),
                   zx_checkpoint_key(checkpoint, key, text), value, expected);
}

static zmlx_status check_sizes(const zx_checkpoint *checkpoint, zx_config *config)
{
    const struct {
        const char *key;
        size_t value, most;
    } sizes[] = {
        {"hidden_size", config->hidden_size, ZX_MAX_SIZE},
        {"intermediate_size", config->intermediate_size, ZX_MAX_SIZE},
        {"num_hidden_layers", config->layers, ZX_MAX_LAYERS},
        {"num_attention_heads", config->heads, ZX_MAX_SIZE},
        {"vocab_size", config->vocabulary, ZX_MAX_SIZE},
        {"max_position_embeddings", config->context_length, MAX_CONTEXT},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].value == 0 || sizes[i].value > sizes[i].most)
            return zx_config_refuse(checkpoint, sizes[i].key, sizes[i].value, "a usual size");
    if (config->kv_heads == 0) config->kv_heads = config->heads;
    if (config->heads % config->kv_heads != 0)
        return zx_config_refuse(checkpoint, "num_key_value_heads", config->kv_heads,
                                "a divisor of num_attention_heads");
    if (config->head_size == 0) config->head_size = config->hidden_size / config->heads;
    if (config->head_size == 0 || config->head_size > 1024 || config->head_size % 2 != 0)
        return zx_config_refuse(checkpoint, "head_dim", config->head_size,
                                "an even number up to 1024");
    if (!(config->norm_epsilon >= 0 && config->norm_epsilon < 1))
        return wrong_field(checkpoint, "rms_norm_eps", "number from 0 to 1");
    return ZMLX_OK;
}

static zmlx_status wrong_layer_types(const zx_checkpoint *checkpoint, const zx_config *config)
{
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: config key 'layer_types' is no list of %zu words; known words are "
                   "full_attention, sliding_attention, linear_attention and conv",
                   zx_checkpoint_path(checkpoint), config->layers);
}

static zmlx_status read_layer_types(const zx_checkpoint *checkpoint, zx_config *config)
{
    const json_t *types = json_object_get(zx_checkpoint_config(checkpoint), "layer_types");
    if (types == NULL || json_is_null(types)) return ZMLX_OK;
    if (json_array_size(types) != config->layers) return wrong_layer_types(checkpoint, config);
    for (size_t i = 0; i < config->layers; i++) {
        const char *word = json_string_value(json_array_get(types, i));
        size_t type = 0;
        while (word != NULL && type < ZX_LAYER_TYPES &&
               strcmp(word, zx_layer_type_names[type]) != 0)
            type++;
        if (word == NULL || type == ZX_LAYER_TYPES) return wrong_layer_types(checkpoint, config);
        config->layer_types[i] = (uint8_t)type;
    }
    return ZMLX_OK;
}

zx_heads zx_config_heads(const zx_config *config, zx_layer_type type)
{
    zx_heads heads = config->heads_of[type];
    if (heads.head_size == 0) heads.head_size = config->head_size;
    if (heads.kv_heads == 0) heads.kv_heads = config->kv_heads;
    return heads;
}

void zx_config_windows(zx_config *config)
{
    for (size_t i = 0; i < config->layers; i++)
        config->layer_types[i] = config->window > 0 ? ZX_LAYER_SLIDING : ZX_LAYER_FULL;
}

void zx_config_pattern(const zx_checkpoint *checkpoint, size_t period, zx_layer_type type,
                       zx_config *config)
{
    const json_t *types = json_object_get(zx_checkpoint_config(checkpoint), "layer_types");
    if (json_is_array(types)) return;
    for (size_t i = 0; i < config->layers; i++)
        config->layer_types[i] =
            (uint8_t)(period > 0 && (i + 1) % period == 0 ? ZX_LAYER_FULL : type);
}

zmlx_status zx_config_expect_types(const zx_checkpoint *checkpoint, const zx_config *config,
                                   zx_layer_type a, zx_layer_type b)
{
    for (size_t i = 0; i < config->layers; i++) {
        const uint8_t type = config->layer_types[i];
        if (type == a || type == b) continue;
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                       "%s: config key 'layer_types' says %s; this family has %s and %s",
                       zx_checkpoint_path(checkpoint), zx_layer_type_names[type],
                       zx_layer_type_names[a], zx_layer_type_names[b]);
    }
    return ZMLX_OK;
}

zmlx_status zx_config_refuse_true(const zx_checkpoint *checkpoint, const char *key)
{
    if (!json_is_true(json_object_get(zx_checkpoint_config(checkpoint), key))) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                   "%s: config key '%s' is true; this family is known without it",
                   zx_checkpoint_path(checkpoint), key);
}

/* Whether both modules have the same tensor of that suffix, or neither has one.  What is still to
 * be made counts as different, which gives the same logits where it is not. */
static bool is_same(const zx_checkpoint *checkpoint, const char *one, const char *other,
                    const char *suffix)
{
    char name[128];
    (void)snprintf(name, sizeof name, "%s.%s", one, suffix);
    const zx_stored_tensor *a = zx_checkpoint_peek(checkpoint, name);
    (void)snprintf(name, sizeof name, "%s.%s", other, suffix);
    const zx_stored_tensor *b = zx_checkpoint_peek(checkpoint, name);
    if (a == NULL || b == NULL) return a == b;
    return !zx_checkpoint_makes(checkpoint, a) && !zx_checkpoint_makes(checkpoint, b) &&
           a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

/* A config that does not say: a file without a head can only mean the embedding's table.  One that
 * says tied, beside a head that differs from the table: the official code goes by the file. */
static bool is_tied(const zx_family *family, const zx_checkpoint *checkpoint, bool said)
{
    char name[128];
    const zx_outer_names names = zx_family_names(family, checkpoint);
    const json_t *value = json_object_get(zx_checkpoint_config(checkpoint), "tie_word_embeddings");
    (void)snprintf(name, sizeof name, "%s.weight", names.head);
    const zx_stored_tensor *head = zx_checkpoint_peek(checkpoint, name);
    /* what stands around a text part may tie whatever that says */
    const bool silent =
        value == NULL || json_is_null(value) || zx_has_text_part(zx_checkpoint_config(checkpoint));
    if (silent && !said) return zx_checkpoint_count(checkpoint) > 0 && head == NULL;
    if (!said || head == NULL) return said;
    (void)snprintf(name, sizeof name, "%s.weight", names.embedding);
    const zx_stored_tensor *table = zx_checkpoint_peek(checkpoint, name);
    return table == NULL || table->rank != head->rank ||
           memcmp(table->shape, head->shape, head->rank * sizeof head->shape[0]) != 0 ||
           (is_same(checkpoint, names.embedding, names.head, "weight") &&
            is_same(checkpoint, names.embedding, names.head, "scales") &&
            is_same(checkpoint, names.embedding, names.head, "biases"));
}

static bool has_own_row(const zx_family *family, size_t offset)
{
    for (const zx_config_row *row = family->config; row->key != NULL; row++)
        if (row->offset == offset) return true;
    return false;
}

zx_outer_names zx_family_names(const zx_family *family, const zx_checkpoint *checkpoint)
{
    char embedding[128] = "";
    zx_outer_names names = family->names;
    if (family->converted.embedding != NULL)
        (void)snprintf(embedding, sizeof embedding, "%s.weight", family->converted.embedding);
    if (embedding[0] != '\0' && zx_checkpoint_peek(checkpoint, embedding) != NULL)
        names = family->converted;
    if (names.embedding == NULL) names.embedding = "model.embed_tokens";
    if (names.layers == NULL) names.layers = "model.layers";
    if (names.norm == NULL) names.norm = "model.norm";
    if (names.head == NULL) names.head = "lm_head";
    return names;
}

zmlx_status zx_config_read(const zx_family *family, const zx_checkpoint *checkpoint,
                           zx_config *config)
{
    *config = (zx_config){0};
    for (const zx_config_row *row = common_rows; row->key != NULL; row++)
        if (!has_own_row(family, row->offset)) ZX_TRY(read_row(checkpoint, row, config));
    for (const zx_config_row *row = family->config; row->key != NULL; row++)
        ZX_TRY(read_row(checkpoint, row, config));
    ZX_TRY(check_sizes(checkpoint, config));
    ZX_TRY(read_layer_types(checkpoint, config));
    config->tied = is_tied(family, checkpoint, config->tied);
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    bool causal = true;
    ZX_TRY(zx_fields_bool(&fields, "is_causal", &causal));
    if (!causal) return zx_fields_fail(&fields, "is_causal", "true: text is attended to one way");
    ZX_TRY(zx_rope_context(&fields, &config->context_length));
    return family->check != NULL ? family->check(checkpoint, config) : ZMLX_OK;
}

/* A config without a context has the family's; dynamic has stretched that already. */
static void set_context(const zx_checkpoint *checkpoint, const zx_config *config,
                        zx_rope_settings *settings)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    const bool stretched = settings->type == ZX_ROPE_DYNAMIC && settings->factor > 1;
    const double usual = (double)config->context_length / (stretched ? settings->factor : 1);
    if (zx_fields_have(&fields, "max_position_embeddings")) return;
    if (settings->original_length == settings->max_length) settings->original_length = usual;
    settings->max_length = usual;
}

zmlx_status zx_family_rope(const zx_family *family, const zx_checkpoint *checkpoint,
                           const zx_config *config, zx_layer_type type, zx_arena *arena,
                           zx_rope_settings *settings)
{
    const char *const name = zx_layer_type_names[type];
    const size_t head_size = zx_config_heads(config, type).head_size;
    ZX_TRY(zx_checkpoint_rope_settings(checkpoint, name, head_size, arena, settings));
    if (family->rope_theta > 0 && !zx_checkpoint_has_theta(checkpoint, name))
        settings->theta = family->rope_theta;
    set_context(checkpoint, config, settings);
    if (!family->partial_rope && !zx_checkpoint_is_gguf(checkpoint)) settings->dims = head_size;
    if (family->adjust_rope == NULL) return ZMLX_OK;
    ZX_TRY(family->adjust_rope(checkpoint, config, type, settings));
    if (settings->dims > 0 && settings->dims % 2 == 0) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: rope turns %zu of a head's %zu dimensions (head_dim) in this family; "
                   "expected an even number",
                   zx_checkpoint_path(checkpoint), settings->dims, head_size);
}
