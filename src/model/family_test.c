/* family_test.c - what is said of a config that no family fits, or that lacks something. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/family.h"
#include "model/make_files.h"

static bool says(const char *words)
{
    return strstr(zmlx_error_message(), words) != NULL;
}

/* Reads a config without weights; the model's size and context where that succeeds. */
static zmlx_status read_config(const char *text, zx_config *config)
{
    zx_checkpoint *checkpoint = NULL;
    const zx_family *family = NULL;
    zmlx_status status =
        zx_checkpoint_open_config("here/config.json", text, strlen(text), &checkpoint);
    if (status != ZMLX_OK) return status;
    status = zx_family_find(checkpoint, &family);
    if (status == ZMLX_OK) status = zx_config_read(family, checkpoint, config);
    zx_checkpoint_close(checkpoint);
    return status;
}

TEST(an_unknown_architecture_is_told_all_known_ones)
{
    zx_config config;
    CHECK(read_config("{\"architectures\":[\"LamaForCausalLM\"]}", &config) ==
          ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("here/config.json: architecture 'LamaForCausalLM' is not known; known are: "));
    for (size_t i = 0; zx_families[i] != NULL; i++)
        for (size_t k = 0; k < 4 && zx_families[i]->architectures[k] != NULL; k++)
            CHECK_ON(zx_families[i]->architectures[k], says(zx_families[i]->architectures[k]));
    CHECK(read_config("{\"model_type\":\"lama\"}", &config) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("architecture 'lama' is not known"));
    CHECK(read_config("{}", &config) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("architecture '(none written)' is not known"));
    CHECK(read_config("{\"architectures\":[7]}", &config) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("architecture '(none written)' is not known"));
}

/* A config of the family Llama; %s stands after the last key. */
static zmlx_status read_llama(const char *leave_out, const char *more, zx_config *config)
{
    static const struct {
        const char *key;
        int value;
    } keys[] = {{"hidden_size", 64},
                {"intermediate_size", 128},
                {"num_hidden_layers", 2},
                {"num_attention_heads", 4},
                {"vocab_size", 300}};
    char text[600];
    int used = snprintf(text, sizeof text, "{\"model_type\":\"llama\"");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i].key, leave_out) != 0)
            used += snprintf(text + used, sizeof text - (size_t)used, ",\"%s\":%d", keys[i].key,
                             keys[i].value);
    (void)snprintf(text + used, sizeof text - (size_t)used, "%s}", more);
    return read_config(text, config);
}

/* mlx-lm has names of its own for GPT-NeoX; what lies in the folder decides. */
static void finds_converted_names(const char *folder)
{
    static const char *const tensors[] = {"gpt_neox.embed_in", "model.embed_in"};
    static const char *const layers[] = {"gpt_neox.layers", "model.h"};
    CHECK(zx_put_file(folder, "config.json", "{\"model_type\":\"gpt_neox\"}"));
    for (size_t i = 0; i < 2; i++) {
        zx_text file = {0};
        char header[160];
        zx_checkpoint *checkpoint = NULL;
        const zx_family *family = NULL;
        (void)snprintf(header, sizeof header,
                       "{\"%s.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}",
                       tensors[i]);
        const bool made =
            zx_make_safetensors(&file, header, 8) &&
            zx_write_text(zx_in_folder(folder, "model.safetensors"), file.bytes, file.length);
        zx_text_fini(&file);
        CHECK(made && zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
        const bool found = zx_family_find(checkpoint, &family) == ZMLX_OK;
        const zx_outer_names names =
            found ? zx_family_names(family, checkpoint) : (zx_outer_names){0};
        zx_checkpoint_close(checkpoint);
        CHECK(found && strcmp(names.embedding, tensors[i]) == 0);
        CHECK(strcmp(names.layers, layers[i]) == 0);
    }
}

TEST(names_are_those_of_the_checkpoint)
{
    zx_with_folder(finds_converted_names);
}

TEST(missing_keys_of_a_config_are_named)
{
    static const char *const keys[] = {"hidden_size", "intermediate_size", "num_hidden_layers",
                                       "num_attention_heads", "vocab_size"};
    zx_config config;
    char expected[160];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        CHECK_ON(keys[i], read_llama(keys[i], "", &config) == ZMLX_ERROR_FORMAT);
        (void)snprintf(expected, sizeof expected,
                       "here/config.json: config key '%s' is missing or no whole number from 0 to",
                       keys[i]);
        CHECK_ON(keys[i], says(expected));
    }
    CHECK(read_llama("", "", &config) == ZMLX_OK);
    CHECK(config.kv_heads == 4 && config.head_size == 16 && config.context_length == 2048);
}

TEST(config_values_of_a_wrong_kind_or_size_are_named)
{
    static const struct {
        const char *more, *message;
    } rows[] = {
        {",\"rms_norm_eps\":\"small\"", "config key 'rms_norm_eps' is missing or no number"},
        {",\"rms_norm_eps\":2", "config key 'rms_norm_eps' is missing or no number from 0 to 1"},
        {",\"tie_word_embeddings\":1", "config key 'tie_word_embeddings' is missing or no boolean"},
        {",\"num_key_value_heads\":3",
         "config key 'num_key_value_heads' is 3; expected a divisor of num_attention_heads"},
        {",\"head_dim\":15", "config key 'head_dim' is 15; expected an even number up to 1024"},
        {",\"head_dim\":-2", "config key 'head_dim' is missing or no whole number"},
        {",\"max_position_embeddings\":0",
         "config key 'max_position_embeddings' is 0; expected a usual size"},
    };
    zx_config config;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CHECK_ON(rows[i].more, read_llama("", rows[i].more, &config) == ZMLX_ERROR_FORMAT);
        CHECK_ON(rows[i].more, says(rows[i].message));
    }
}
