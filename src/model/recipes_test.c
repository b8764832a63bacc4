/* recipes_test.c - patterns of names, and mlx-lm's mixed recipe on names alone. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/recipes.h"

TEST(glob_fits_whole_names)
{
    static const struct {
        const char *pattern, *name;
        bool fits;
    } rows[] = {
        {"lm_head", "lm_head", true},
        {"lm_head", "model.lm_head", false},
        {"*", "", true},
        {"*.v_proj", "model.layers.3.self_attn.v_proj", true},
        {"*.v_proj", "model.layers.3.self_attn.v_proj.x", false},
        {"model.layers.?.mlp.*", "model.layers.3.mlp.up_proj", true},
        {"model.layers.?.mlp.*", "model.layers.13.mlp.up_proj", false},
        {"*a*b*", "xxaxxabxx", true},
        {"*a*b", "aab", true},
        {"*a*b", "aabc", false},
        {"", "a", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_ON(rows[i].pattern, zx_glob_fits(rows[i].pattern, rows[i].name) == rows[i].fits);
}

/* Twelve layers of values and ways down, with what mixed_2_6 makes of them in mlx-lm. */
TEST(mixed_recipe_gives_more_bits_at_both_ends_and_between)
{
    enum { LAYERS = 12 };
    static const uint8_t high[LAYERS] = {1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1};
    static const zx_family family = {.name = "llama"};
    static zx_config config;
    static char names[LAYERS + 1][64];
    static zx_outgoing items[LAYERS + 1];
    const zmlx_convert_options options = {
        .mode = ZMLX_QUANTIZATION_AFFINE, .recipe = "mixed_2_6", .bits = 2};
    config.layers = LAYERS;
    for (size_t i = 0; i <= LAYERS; i++) {
        (void)snprintf(names[i], sizeof names[i],
                       i == LAYERS ? "lm_head" : "model.layers.%zu.mlp.down_proj", i);
        items[i] = (zx_outgoing){.module = names[i],
                                 .suffix = ".weight",
                                 .source = {.format = ZX_FORMAT_F16, .dtype = ZX_F16},
                                 .copied = ZX_DTYPE_COUNT,
                                 .to_cast = true,
                                 .matrix = true,
                                 .columns = 64,
                                 .format = ZX_FORMAT_COUNT};
    }
    zx_outgoing_list list = {.items = items, .count = LAYERS + 1};
    CHECK(zx_recipe_apply(&options, &family, &config, ZX_F16, &list) == ZMLX_OK);
    for (size_t i = 0; i < LAYERS; i++)
        CHECK_ON(names[i], items[i].bits == (high[i] ? 6 : 2) && items[i].named);
    CHECK(items[LAYERS].bits == 6 && items[LAYERS].dtype == ZX_F16);
}
