/* text_part_test.c - the config and the names of a model that can do more than text. */
#include <string.h>

#include "base/test.h"
#include "model/text_part.h"

static const char whole[] =
    "{\"architectures\": [\"AnyForConditionalGeneration\"], \"model_type\": \"any\", "
    "\"hidden_size\": 7,"
    " \"text_config\": {\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"],"
    " \"hidden_size\": 64, \"rope_scaling\": null},"
    " \"rope_scaling\": {\"factor\": 2}, \"quantization\": {\"bits\": 4,"
    " \"language_model.model.layers.0.mlp\": {\"bits\": 8}, \"language_model.lm_head\": false}}";

TEST(text_part_config_counts_more_than_the_whole)
{
    json_t *config = json_loads(whole, 0, NULL);
    CHECK(config != NULL);
    const zmlx_status status = zx_text_part_config("config.json", config);
    const json_t *names = json_object_get(config, "architectures");
    const json_t *quantization = json_object_get(config, "quantization");
    const bool joined =
        json_array_size(names) == 2 &&
        strcmp(json_string_value(json_array_get(names, 1)), "LlamaForCausalLM") == 0;
    const bool replaced = json_integer_value(json_object_get(config, "hidden_size")) == 64 &&
                          json_is_object(json_object_get(config, "rope_scaling"));
    const bool renamed = json_object_get(quantization, "model.layers.0.mlp") != NULL &&
                         json_is_false(json_object_get(quantization, "lm_head")) &&
                         json_integer_value(json_object_get(quantization, "bits")) == 4;
    json_decref(config);
    CHECK(status == ZMLX_OK);
    CHECK(joined && replaced && renamed);
}

TEST(text_part_names_lose_their_prefix)
{
    static const char *const pairs[][2] = {
        {"language_model.model.layers.3.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight"},
        {"model.language_model.norm.weight", "model.norm.weight"},
        {"language_model.lm_head.weight", "lm_head.weight"},
        {"model.layers.0.input_layernorm.weight", "model.layers.0.input_layernorm.weight"},
        {"vision_tower.language_model.model.x", "vision_tower.language_model.model.x"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char buffer[64];
        CHECK_ON(pairs[i][0],
                 strcmp(zx_text_part_name(pairs[i][0], buffer, sizeof buffer), pairs[i][1]) == 0);
    }
    char small[8];
    CHECK(strcmp(zx_text_part_name(pairs[0][0], small, sizeof small), pairs[0][0]) == 0);
}
