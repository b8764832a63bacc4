/* checkpoint_test.c - files of each kind as one model, and what is wrong with bad ones. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/test.h"
#include "model/checkpoint.h"
#include "model/gguf_names.h"
#include "model/make_files.h"
#include "model/rope_config.h"

static bool says(const char *message)
{
    const bool fits = strstr(zmlx_error_message(), message) != NULL;
    if (!fits) (void)printf("  is '%s'\n  not '%s'\n", zmlx_error_message(), message);
    return fits;
}

static json_int_t number(const zx_checkpoint *checkpoint, const char *key)
{
    return json_integer_value(json_object_get(zx_checkpoint_config(checkpoint), key));
}

static zmlx_status open_maker(const zx_gguf_maker *maker, zx_checkpoint **checkpoint)
{
    return zx_checkpoint_open_gguf("f.gguf", maker->file.bytes, maker->file.length, checkpoint);
}

TEST(checkpoint_tells_gguf_as_a_config)
{
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    zx_arena arena = {0};
    zx_rope rope;
    const int32_t *ids = NULL;
    size_t count = 0;
    CHECK(zx_make_llama(&maker, NULL) && open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_checkpoint_is_gguf(checkpoint) && zx_checkpoint_interleaved_rope(checkpoint));
    CHECK(zx_checkpoint_gguf(checkpoint) != NULL);
    const json_t *config = zx_checkpoint_config(checkpoint);
    const json_t *name = json_array_get(json_object_get(config, "architectures"), 0);
    CHECK(strcmp(json_string_value(name), "LlamaForCausalLM") == 0);
    CHECK(number(checkpoint, "hidden_size") == 32);
    CHECK(number(checkpoint, "num_key_value_heads") == 1);
    CHECK(number(checkpoint, "vocab_size") == 6);
    CHECK(json_is_true(json_object_get(config, "tie_word_embeddings")));
    zx_checkpoint_end_ids(checkpoint, &ids, &count);
    CHECK(count == 1 && ids[0] == 2);
    CHECK(zx_checkpoint_rope(checkpoint, 16, &arena, &rope) == ZMLX_OK);
    CHECK(rope.dims == 16 && rope.interleaved && rope.inverse_frequency[4] == 1 / 70.7106781F);
    zx_arena_reset(&arena);
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
}

TEST(checkpoint_makes_weights_of_blocks)
{
    static const struct {
        const char *name;
        size_t rows, columns;
        zx_format format;
    } rows[] = {
        {"model.embed_tokens", 6, 32, ZX_FORMAT_Q8_0},
        {"model.layers.0.self_attn.q_proj", 32, 32, ZX_FORMAT_Q4_0},
        {"model.layers.0.self_attn.k_proj", 16, 32, ZX_FORMAT_Q4_1},
        {"model.layers.0.self_attn.v_proj", 16, 32, ZX_FORMAT_F16},
        {"model.layers.0.self_attn.o_proj", 32, 32, ZX_FORMAT_BF16},
        {"model.layers.0.mlp.down_proj", 32, 64, ZX_FORMAT_Q4_1},
    };
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    zx_weight weight;
    size_t unused = 0;
    CHECK(zx_make_llama(&maker, NULL) && open_maker(&maker, &checkpoint) == ZMLX_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_ON(rows[i].name, zx_checkpoint_weight(checkpoint, rows[i].name, rows[i].rows,
                                                    rows[i].columns, &weight) == ZMLX_OK);
        CHECK_ON(rows[i].name, weight.format == rows[i].format && weight.codes != NULL);
        CHECK_ON(rows[i].name, (weight.bias != NULL) == (i == 1));
    }
    CHECK(zx_checkpoint_vector(checkpoint, "model.layers.0.post_attention_layernorm", 32,
                               &weight) == ZMLX_OK);
    CHECK(weight.format == ZX_FORMAT_F16 && weight.rows == 1 && weight.columns == 32);
    for (size_t i = 0; i < zx_checkpoint_count(checkpoint); i++) {
        bool used = false;
        CHECK(zx_checkpoint_tensor(checkpoint, i, &used) != NULL);
        unused += !used;
    }
    CHECK(unused == 4); /* norms of attention and output, gate, up */
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
}

TEST(checkpoint_names_the_tensor_that_is_wrong)
{
    static const uint64_t shape[2] = {256, 4};
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    zx_weight weight;
    CHECK(zx_make_llama(&maker, "blk.0.attn_k.weight") &&
          zx_make_tensor(&maker, "blk.1.attn_q.weight", 9, shape, 2, 4 * 8 * 36) &&
          zx_make_tensor(&maker, "blk.1.attn_k.weight", 26, shape, 2, 4096) &&
          zx_make_file(&maker));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_checkpoint_weight(checkpoint, "model.layers.0.self_attn.k_proj", 16, 32, &weight) ==
          ZMLX_ERROR_FORMAT);
    CHECK(says("f.gguf: tensor 'blk.0.attn_k.weight' (model.layers.0.self_attn.k_proj.weight) is "
               "missing"));
    CHECK(zx_checkpoint_weight(checkpoint, "model.layers.0.self_attn.q_proj", 64, 32, &weight) ==
          ZMLX_ERROR_SHAPE);
    CHECK(says("f.gguf: tensor 'blk.0.attn_q.weight' is Q4_0 [32, 32]; expected "));
    CHECK(says("[64, 32]"));
    CHECK(zx_checkpoint_weight(checkpoint, "model.layers.1.self_attn.q_proj", 4, 256, &weight) ==
          ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("f.gguf: tensor 'blk.1.attn_q.weight' has the type Q8_1, which is not read"));
    CHECK(zx_checkpoint_weight(checkpoint, "model.layers.1.self_attn.k_proj", 4, 256, &weight) ==
          ZMLX_ERROR_SHAPE);
    CHECK(says("f.gguf: tensor 'blk.1.attn_k.weight' is I32 [4, 256]; expected "));
    CHECK(zx_checkpoint_vector(checkpoint, "model.norm", 31, &weight) == ZMLX_ERROR_SHAPE);
    CHECK(says("f.gguf: tensor 'output_norm.weight' is F32 [32]; expected F32, F16 or BF16 [31]"));
    zx_checkpoint_close(checkpoint);
    zx_gguf_maker_fini(&maker);
}

TEST(checkpoint_names_the_key_that_is_missing)
{
    static const struct {
        const char *key, *message;
    } rows[] = {
        {"general.architecture", "f.gguf: metadata key 'general.architecture' is missing"},
        {"llama.embedding_length", "f.gguf: metadata key 'llama.embedding_length' is missing"},
        {"llama.block_count", "f.gguf: metadata key 'llama.block_count' is missing"},
    };
    zx_checkpoint *checkpoint = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_gguf_maker maker = {0};
        CHECK(zx_make_llama(&maker, rows[i].key));
        CHECK_ON(rows[i].key, open_maker(&maker, &checkpoint) == ZMLX_ERROR_FORMAT);
        CHECK_ON(rows[i].key, says(rows[i].message));
        zx_gguf_maker_fini(&maker);
    }
    zx_gguf_maker maker = {0};
    CHECK(zx_make_llama(&maker, "llama.block_count") &&
          zx_make_string(&maker, "llama.block_count", "one") && zx_make_file(&maker));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_ERROR_FORMAT);
    CHECK(says("f.gguf: metadata key 'llama.block_count' is a string; expected an integer"));
    zx_gguf_maker_fini(&maker);
    CHECK(zx_make_llama(&maker, NULL) && zx_make_u32(&maker, "split.count", 3) &&
          zx_make_file(&maker));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_ERROR_FORMAT);
    CHECK(says("f.gguf: part 1 of 3 of a split model"));
    zx_gguf_maker_fini(&maker);
}

TEST(checkpoint_reads_rope_of_gguf)
{
    static const uint64_t shape[1] = {8};
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    zx_arena arena = {0};
    zx_rope plain, scaled;
    CHECK(zx_make_llama(&maker, NULL));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_checkpoint_rope(checkpoint, 16, &arena, &plain) == ZMLX_OK);
    zx_checkpoint_close(checkpoint);
    CHECK(zx_make_string(&maker, "llama.rope.scaling.type", "linear") &&
          zx_make_f32(&maker, "llama.rope.scaling.factor", 4) &&
          zx_make_tensor(&maker, "rope_freqs.weight", 0, shape, 1, 32) && zx_make_file(&maker));
    const float divisor = 2;
    memcpy(maker.file.bytes + maker.file.length - 4, &divisor, 4);
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_checkpoint_rope(checkpoint, 16, &arena, &scaled) == ZMLX_OK);
    CHECK(scaled.inverse_frequency[7] == plain.inverse_frequency[7] / 8);
    zx_checkpoint_close(checkpoint);
    zx_arena_reset(&arena);
    zx_gguf_maker_fini(&maker);
}

/* The factors lie among the tensors; llama.cpp writes no type beside them for some families. */
TEST(checkpoint_reads_longrope_of_gguf)
{
    static const uint64_t shape[1] = {8};
    zx_gguf_maker maker = {0};
    zx_checkpoint *checkpoint = NULL;
    zx_arena arena = {0};
    zx_rope rope = {0};
    float frequencies[8], magnitude = 0;
    const float factors[16] = {2, 2, 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4}; /* short, long */
    CHECK(zx_make_llama(&maker, NULL) &&
          zx_make_u32(&maker, "llama.rope.scaling.original_context_length", 32) &&
          zx_make_f32(&maker, "llama.rope.scaling.attn_factor", 1.5F) &&
          zx_make_tensor(&maker, "rope_factors_short.weight", 0, shape, 1, 32) &&
          zx_make_file(&maker));
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_checkpoint_rope(checkpoint, 16, &arena, &rope) == ZMLX_ERROR_FORMAT);
    CHECK(says("f.gguf: tensor 'rope_factors_long.weight' is missing"));
    zx_checkpoint_close(checkpoint);
    CHECK(zx_make_tensor(&maker, "rope_factors_long.weight", 0, shape, 1, 32) &&
          zx_make_file(&maker));
    memcpy(maker.file.bytes + maker.file.length - sizeof factors, factors, sizeof factors);
    CHECK(open_maker(&maker, &checkpoint) == ZMLX_OK);
    CHECK(zx_checkpoint_rope(checkpoint, 16, &arena, &rope) == ZMLX_OK);
    CHECK(rope.by_length != NULL && rope.magnitude == 1.5F && rope.inverse_frequency[0] == 0.5F);
    const zx_rope_by_length *rule = rope.by_length;
    CHECK(rule->shortest(rule->settings, 32) == 0 && rule->shortest(rule->settings, 40) == 33);
    rule->fill(rule->settings, 33, frequencies, &magnitude);
    CHECK(frequencies[0] == 0.25F && magnitude == 1.5F);
    zx_checkpoint_close(checkpoint);
    zx_arena_reset(&arena);
    zx_gguf_maker_fini(&maker);
}

TEST(gguf_names_go_both_ways)
{
    char name[ZX_TENSOR_NAME], back[ZX_TENSOR_NAME];
    static const char *const pairs[][2] = {
        {"token_embd.weight", "model.embed_tokens.weight"},
        {"output.weight", "lm_head.weight"},
        {"blk.12.ffn_norm.weight", "model.layers.12.post_attention_layernorm.weight"},
        {"blk.0.attn_v.bias", "model.layers.0.self_attn.v_proj.bias"},
        {"blk.3.ffn_gate_inp.weight", "model.layers.3.mlp.gate.weight"},
        {"blk.3.ffn_up_exps.weight", "model.layers.3.mlp.experts.up_proj.weight"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        zx_gguf_to_hub_name(NULL, pairs[i][0], name);
        CHECK_ON(pairs[i][0], strcmp(name, pairs[i][1]) == 0);
        CHECK_ON(pairs[i][0],
                 zx_hub_to_gguf_name(NULL, name, back) && strcmp(back, pairs[i][0]) == 0);
    }
    static const char *const kept[] = {"rope_freqs.weight",
                                       "blk.x.attn_q.weight",
                                       "blk.1.attn_q",
                                       "blk.1",
                                       "output",
                                       "blk.1234567890.attn_q.weight",
                                       "."};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        zx_gguf_to_hub_name(NULL, kept[i], name);
        CHECK_ON(kept[i], strcmp(name, kept[i]) == 0 && !zx_hub_to_gguf_name(NULL, kept[i], back));
    }
}

/* Asks for everything that a trace asks for; true where it behaved. */
static bool uses(const char *bytes, size_t size)
{
    void *copy = NULL;
    zx_checkpoint *checkpoint = NULL;
    zx_weight weight;
    zx_arena arena = {0};
    zx_rope rope;
    float values[64];
    volatile float read_to_the_end = 0;
    zx_meter meter;
    if (zx_alloc(size, "copy", &copy) != ZMLX_OK) return false;
    memcpy(copy, bytes, size);
    zx_meter_start(&meter);
    const zmlx_status status = zx_checkpoint_open_gguf("f", copy, size, &checkpoint);
    if (status == ZMLX_OK) {
        if (zx_checkpoint_rope(checkpoint, 16, &arena, &rope) == ZMLX_OK)
            read_to_the_end = rope.inverse_frequency[rope.dims / 2 - 1];
        static const char *const names[] = {"self_attn.q_proj", "self_attn.v_proj"};
        for (size_t i = 0; i < 2; i++) {
            char name[64];
            (void)snprintf(name, sizeof name, "model.layers.0.%s", names[i]);
            const size_t rows = i == 0 ? 32 : 16;
            if (zx_checkpoint_weight(checkpoint, name, rows, 32, &weight) != ZMLX_OK) continue;
            zx_formats[weight.format].decode(&weight, rows - 1, 0, 32, values);
            read_to_the_end = values[31];
        }
        zx_checkpoint_close(checkpoint);
    }
    (void)read_to_the_end;
    zx_arena_reset(&arena);
    zx_meter_stop(&meter);
    zx_free(copy);
    return meter.now == 0 && meter.peak < size + 512 * 1024;
}

TEST(checkpoint_survives_every_damage)
{
    static const uint8_t masks[] = {0x01, 0x80, 0xff};
    zx_gguf_maker maker = {0};
    CHECK(zx_make_llama(&maker, NULL));
    zx_text *const file = &maker.file;
    for (size_t size = 0; size < file->length; size += 7) CHECK(uses(file->bytes, size));
    for (size_t i = 0; i < file->length - maker.data.length; i++)
        for (size_t k = 0; k < sizeof masks; k++) {
            file->bytes[i] = (char)(file->bytes[i] ^ masks[k]);
            CHECK(uses(file->bytes, file->length));
            file->bytes[i] = (char)(file->bytes[i] ^ masks[k]);
        }
    zx_gguf_maker_fini(&maker);
}

TEST(checkpoint_opens_the_goldens)
{
    static const char *const names[] = {"llama",          "llama-tied",     "mistral",
                                        "llama-3bit-g64", "llama-4bit-g64", "llama-6bit-g32",
                                        "llama-8bit-g64", "llama-mxfp4"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char folder[64];
        zx_checkpoint *checkpoint = NULL;
        zx_weight weight;
        zx_arena arena = {0};
        zx_rope rope;
        (void)snprintf(folder, sizeof folder, "tests/golden/%s", names[i]);
        CHECK_ON(names[i], zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
        const size_t hidden = (size_t)number(checkpoint, "hidden_size");
        const size_t ff = (size_t)number(checkpoint, "intermediate_size");
        CHECK_ON(names[i], zx_checkpoint_weight(checkpoint, "model.layers.1.mlp.down_proj", hidden,
                                                ff, &weight) == ZMLX_OK);
        CHECK_ON(names[i],
                 (weight.format == ZX_FORMAT_AFFINE) == (strstr(names[i], "bit") != NULL));
        CHECK_ON(names[i], zx_checkpoint_rope(checkpoint, (size_t)number(checkpoint, "head_dim"),
                                              &arena, &rope) == ZMLX_OK);
        zx_arena_reset(&arena);
        zx_checkpoint_close(checkpoint);
    }
}
