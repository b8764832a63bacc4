/* gguf_recurrent_test.c - what the metadata of LFM2 and Qwen3.5 becomes, and what is refused; the
 * tiny files of tests/golden/gguf hold their tensors to the official logits. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/test.h"
#include "model/families/families.h"
#include "model/gguf_testing.h"
#include "model/rope_config.h"
#include "zmlx/zmlx.h"

static zx_config large_config;

static bool start_lfm2_of(zx_gguf_maker *maker, uint32_t taps, const uint8_t *heads, uint8_t count)
{
    return start(maker, "lfm2") && put(maker, "lfm2", "shortconv.l_cache", taps) &&
           put_number(maker, "lfm2", "attention.layer_norm_rms_epsilon", 0.5F) &&
           put_bytes(maker, "lfm2", "attention.head_count_kv", ZX_GGUF_U8, heads, count);
}

static bool start_lfm2(zx_gguf_maker *maker, const uint8_t *heads, uint8_t count)
{
    return start_lfm2_of(maker, 3, heads, count);
}

TEST(lfm2s_heads_say_which_layers_attend)
{
    static const uint8_t heads[] = {0, 2, 0, 2}, unlike[] = {0, 2, 0, 1}, none[] = {0, 0, 0, 0};
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    zx_config *const config = &large_config;
    CHECK(start_lfm2(&maker, heads, 4) && open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_config_read(&zx_family_lfm2, checkpoint, config) == ZMLX_OK);
    for (size_t i = 0; i < 4; i++)
        CHECK(config->layer_types[i] == (i % 2 == 0 ? ZX_LAYER_CONV : ZX_LAYER_FULL));
    CHECK(config->kv_heads == 2 && config->conv_taps == 3 && config->norm_epsilon == 0.5);
    CHECK(config->intermediate_size == 48); /* as it is */
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
    CHECK(start_lfm2(&maker, none, 4) && open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_config_read(&zx_family_lfm2, checkpoint, config) == ZMLX_OK);
    CHECK(config->layer_types[0] == ZX_LAYER_CONV && config->layer_types[3] == ZX_LAYER_CONV);
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
    CHECK(start_lfm2(&maker, unlike, 4) && open_maker(&maker, &checkpoint) == ZMLX_ERROR_FORMAT);
    CHECK(says("'lfm2.attention.head_count_kv' is 1 for block 3; expected the same number"));
    zx_gguf_maker_fini(&maker);
    CHECK(start_lfm2(&maker, heads, 4) && put(&maker, "lfm2", "attention.sliding_window", 8) &&
          open_maker(&maker, &checkpoint) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("f.gguf: metadata key 'lfm2.attention.sliding_window' is 8; this family is known"));
    zx_gguf_maker_fini(&maker);
    CHECK(start_lfm2_of(&maker, 99, heads, 4) && open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_config_read(&zx_family_lfm2, checkpoint, config) == ZMLX_ERROR_FORMAT);
    CHECK(says("f.gguf: metadata key 'lfm2.shortconv.l_cache' is 99; expected 2 to 16"));
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
}

static bool start_qwen35(zx_gguf_maker *maker, uint32_t inner, uint32_t turned)
{
    static const char name[] = "qwen35";
    return start(maker, name) && put(maker, name, "ssm.conv_kernel", 3) &&
           put(maker, name, "ssm.state_size", 8) && put(maker, name, "ssm.group_count", 2) &&
           put(maker, name, "ssm.time_step_rank", 4) && put(maker, name, "ssm.inner_size", inner) &&
           put(maker, name, "rope.dimension_count", turned) &&
           put(maker, name, "full_attention_interval", 2) &&
           put(maker, name, "attention.key_length", 16) &&
           put(maker, name, "nextn_predict_layers", 1);
}

TEST(qwen35s_keys_become_those_of_its_config)
{
    static const uint8_t recurrent[] = {1, 0, 0, 0};
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    zx_config *const config = &large_config;
    zx_rope_settings settings;
    zx_arena arena = {0};
    const zx_family *const family = &zx_family_qwen3_5;
    CHECK(start_qwen35(&maker, 24, 6) && open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_config_read(family, checkpoint, config) == ZMLX_OK);
    CHECK(config->layers == 3 && config->layer_types[1] == ZX_LAYER_FULL);
    CHECK(config->layer_types[0] == ZX_LAYER_LINEAR && config->layer_types[2] == ZX_LAYER_LINEAR);
    CHECK(config->linear_key_heads == 2 && config->linear_value_heads == 4);
    CHECK(config->linear_key_size == 8 && config->linear_value_size == 6 && config->conv_taps == 3);
    CHECK(config->linear_heads_tiled);
    CHECK(zx_family_rope(family, checkpoint, config, ZX_LAYER_FULL, &arena, &settings) == ZMLX_OK);
    CHECK(settings.dims == 6);
    zx_checkpoint_close(checkpoint);
    /* a list goes before the interval; the block that predicts is none of its layers */
    CHECK(put_bytes(&maker, "qwen35", "attention.recurrent_layers", ZX_GGUF_BOOL, recurrent, 4));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_config_read(family, checkpoint, config) == ZMLX_OK);
    CHECK(config->layer_types[0] == ZX_LAYER_LINEAR && config->layer_types[2] == ZX_LAYER_FULL);
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
    CHECK(start_qwen35(&maker, 26, 6) && open_maker(&maker, &checkpoint) == ZMLX_ERROR_FORMAT);
    CHECK(says("'qwen35.ssm.inner_size' is 26; expected a multiple of ssm.time_step_rank, 4"));
    zx_gguf_maker_fini(&maker);
    CHECK(start_qwen35(&maker, 24, 5) && open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_family_rope(family, checkpoint, config, ZX_LAYER_FULL, &arena, &settings) ==
          ZMLX_ERROR_FORMAT);
    CHECK(says("f.gguf: rope turns 5 of a head's 16 dimensions; expected an even number"));
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
    zx_arena_reset(&arena);
}

/* Opens a copy of a tiny file in which the first element of a tensor of F32 is another. */
static void open_changed(const char *folder)
{
    static const float values[] = {0.25F, NAN, -INFINITY};
    const char *const path = zx_in_folder(folder, "changed.gguf");
    zx_gguf gguf = {0};
    zx_text copy = {0};
    CHECK(zx_gguf_open("tests/golden/gguf/qwen35.gguf", &gguf) == ZMLX_OK);
    const zx_stored_tensor *tensor = zx_stored_find(&gguf.stored, "blk.0.ssm_a");
    CHECK(tensor != NULL && tensor->dtype == ZX_F32);
    const size_t at = (size_t)(tensor->data - (const uint8_t *)gguf.file.data);
    CHECK(zx_text_add(&copy, (const char *)gguf.file.data, gguf.file.size) == ZMLX_OK);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        zmlx_model *model = NULL;
        memcpy(copy.bytes + at, &values[i], sizeof values[i]);
        CHECK(zx_write_text(path, copy.bytes, copy.length));
        CHECK(zmlx_model_open(path, NULL, &model) == ZMLX_ERROR_FORMAT);
        CHECK(says("element 0 of tensor 'ssm_a' (model.layers.0.linear_attn.A_log) is "));
    }
    zx_text_fini(&copy);
    zx_gguf_close(&gguf);
}

TEST(a_decay_that_grows_is_refused)
{
    zx_with_folder(open_changed);
}
