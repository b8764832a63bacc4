/* folder_test.c - model folders: shards, indexes, MLX's quantized tensors, and bad ones. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/checkpoint.h"
#include "model/make_files.h"

static bool says(const char *message)
{
    const bool fits = strstr(zmlx_error_message(), message) != NULL;
    if (!fits) (void)printf("  is '%s'\n  not '%s'\n", zmlx_error_message(), message);
    return fits;
}

/* One safetensors file of tensors "NAME DTYPE SHAPE BYTES", NULL at the end. */
typedef struct made {
    const char *name, *dtype, *shape;
    size_t bytes;
} made;

static bool put_tensors(const char *folder, const char *file, const made *tensors)
{
    zx_text header = {0}, bytes = {0};
    size_t at = 0;
    bool good = zx_text_add_string(&header, "{") == ZMLX_OK;
    for (; tensors->name != NULL; tensors++) {
        good = good &&
               zx_text_format(&header,
                              "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                              at > 0 ? "," : "", tensors->name, tensors->dtype, tensors->shape, at,
                              at + tensors->bytes) == ZMLX_OK;
        at += tensors->bytes;
    }
    good = good && zx_text_add_string(&header, "}") == ZMLX_OK &&
           zx_make_safetensors(&bytes, header.bytes, at) &&
           zx_write_text(zx_in_folder(folder, file), bytes.bytes, bytes.length);
    zx_text_fini(&header);
    zx_text_fini(&bytes);
    return good;
}

static const made one[] = {{"one.weight", "F32", "[2,3]", 24}, {0}};
static const made two[] = {{"two.weight", "BF16", "[3]", 6}, {0}};

static zmlx_status open_and_close(const char *path)
{
    zx_checkpoint *checkpoint = NULL;
    const zmlx_status status = zx_checkpoint_open(path, &checkpoint);
    if (status == ZMLX_OK) zx_checkpoint_close(checkpoint);
    return status;
}

static void opens_shards(const char *folder)
{
    zx_checkpoint *checkpoint = NULL;
    const int32_t *ids = NULL;
    size_t count = 0;
    CHECK(zx_put_file(folder, "config.json", "{\"eos_token_id\":7}"));
    CHECK(zx_put_file(folder, "generation_config.json", "{\"eos_token_id\":[8,9]}"));
    CHECK(put_tensors(folder, "model-1.safetensors", one));
    CHECK(put_tensors(folder, "model-2.safetensors", two));
    CHECK(put_tensors(folder, "adapters.safetensors", two)); /* not part of the model */
    CHECK(zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
    CHECK(zx_checkpoint_count(checkpoint) == 2 && !zx_checkpoint_is_gguf(checkpoint));
    CHECK(zx_checkpoint_find(checkpoint, "two.weight") != NULL);
    zx_checkpoint_end_ids(checkpoint, &ids, &count);
    CHECK(count == 2 && ids[0] == 8 && ids[1] == 9);
    zx_checkpoint_close(checkpoint);
    /* with an index, what it does not name is not opened */
    CHECK(zx_put_file(folder, "model.safetensors.index.json",
                      "{\"metadata\":{\"total_size\":24},"
                      "\"weight_map\":{\"one.weight\":\"model-1.safetensors\"}}"));
    CHECK(zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
    CHECK(zx_checkpoint_count(checkpoint) == 1);
    zx_checkpoint_close(checkpoint);
    /* one file, its config beside it */
    CHECK(zx_checkpoint_open(zx_in_folder(folder, "model-2.safetensors"), &checkpoint) == ZMLX_OK);
    CHECK(zx_checkpoint_count(checkpoint) == 1);
    zx_checkpoint_close(checkpoint);
    /* the same tensor in two files */
    CHECK(remove(zx_in_folder(folder, "model.safetensors.index.json")) == 0);
    CHECK(put_tensors(folder, "model-3.safetensors", two));
    CHECK(open_and_close(folder) == ZMLX_ERROR_FORMAT);
    CHECK(says("model-3.safetensors: tensor 'two.weight' is there twice"));
}

TEST(folder_opens_shards)
{
    zx_with_folder(opens_shards);
}

static void refuses_indexes(const char *folder)
{
    static const struct {
        const char *index, *message;
    } rows[] = {
        {"{\"weight_map\":{\"one.weight\":\"../model-1.safetensors\"}}",
         "the file name '../model-1.safetensors' points outside the folder"},
        {"{\"weight_map\":{\"one.weight\":\"/etc/passwd\"}}",
         "the file name '/etc/passwd' points outside the folder"},
        {"{\"weight_map\":{\"one.weight\":\"model-9.safetensors\"}}",
         "model-9.safetensors: cannot open it"},
        {"{\"weight_map\":{\"no.weight\":\"model-1.safetensors\"}}",
         "tensor 'no.weight' is not in model-1.safetensors, where the index says it is"},
        {"{\"weight_map\":{\"one.weight\":\"model-1.safetensors\","
         "\"one.weight\":\"model-1.safetensors\"}}",
         "index.json: tensor 'one.weight' is there twice"},
        {"{\"weight_map\":{}}", "index.json: 'weight_map' names no file"},
        {"{}", "index.json: 'weight_map' names no file"},
        {"{\"weight_map\":[]}", "index.json: byte "},
        {"{\"weight_map\":{\"one.weight\":1}}", "index.json: byte "},
    };
    CHECK(zx_put_file(folder, "config.json", "{}"));
    CHECK(put_tensors(folder, "model-1.safetensors", one));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK(zx_put_file(folder, "model.safetensors.index.json", rows[i].index));
        CHECK_ON(rows[i].index, open_and_close(folder) != ZMLX_OK);
        CHECK_ON(rows[i].index, says(rows[i].message));
    }
}

TEST(folder_refuses_bad_indexes)
{
    zx_with_folder(refuses_indexes);
}

static void refuses_incomplete(const char *folder)
{
    CHECK(open_and_close(folder) == ZMLX_ERROR_IO);
    CHECK(says("/config.json: cannot open it"));
    CHECK(zx_put_file(folder, "config.json", "{"));
    CHECK(open_and_close(folder) == ZMLX_ERROR_FORMAT);
    CHECK(says("/config.json: byte 1: "));
    CHECK(zx_put_file(folder, "config.json", "{\"eos_token_id\":\"</s>\"}"));
    CHECK(open_and_close(folder) == ZMLX_ERROR_FORMAT);
    CHECK(
        says("/config.json: config key 'eos_token_id' is the string '</s>'; expected a token id"));
    CHECK(zx_put_file(folder, "config.json", "{}"));
    CHECK(open_and_close(folder) == ZMLX_ERROR_FORMAT);
    CHECK(says(": no weights: expected model.safetensors or model.safetensors.index.json"));
    CHECK(zx_put_file(folder, "model.safetensors", "short"));
    CHECK(open_and_close(folder) == ZMLX_ERROR_FORMAT);
    CHECK(says("/model.safetensors: truncated: 5 bytes are no safetensors file"));
    CHECK(zx_put_file(folder, "notes.txt", "Nothing to load."));
    CHECK(open_and_close(zx_in_folder(folder, "notes.txt")) == ZMLX_ERROR_FORMAT);
    CHECK(says("/notes.txt: neither a GGUF nor a safetensors file nor a model folder"));
    CHECK(zx_put_file(folder, "wrong.gguf", "GGML and more"));
    CHECK(open_and_close(zx_in_folder(folder, "wrong.gguf")) == ZMLX_ERROR_FORMAT);
    CHECK(says("/wrong.gguf: not a GGUF file: it begins with bytes 47 47 4d 4c, not 'GGUF'"));
    CHECK(zx_put_file(folder, "empty.gguf", ""));
    CHECK(open_and_close(zx_in_folder(folder, "empty.gguf")) == ZMLX_ERROR_FORMAT);
    CHECK(says("/empty.gguf: truncated: the magic takes 4 bytes at byte 0, where 0 are left"));
    CHECK(open_and_close(zx_in_folder(folder, "none")) == ZMLX_ERROR_IO);
    CHECK(says("/none: cannot open it"));
}

TEST(folder_refuses_what_is_incomplete)
{
    zx_with_folder(refuses_incomplete);
}

static const char quantized_config[] =
    "{\"quantization\":{\"group_size\":64,\"bits\":4,"
    "\"six\":{\"group_size\":32,\"bits\":6},"
    "\"fp\":{\"mode\":\"mxfp4\",\"bits\":4,\"group_size\":32},"
    "\"nv\":{\"mode\":\"nvfp4\",\"bits\":4,\"group_size\":16},"
    "\"byte\":{\"mode\":\"mxfp8\",\"bits\":8,\"group_size\":32},"
    "\"usual\":{},\"odd\":{\"mode\":\"mxfp4\",\"bits\":5,\"group_size\":32},"
    "\"strange\":{\"mode\":\"q9\"},\"wide\":{\"group_size\":128},\"seven\":{\"bits\":7},"
    "\"text\":{\"bits\":\"four\"},\"plain\":false}}";

static const made quantized[] = {
    {"four.weight", "U32", "[2,8]", 64},     {"four.scales", "BF16", "[2,1]", 4},
    {"four.biases", "BF16", "[2,1]", 4},     {"four.bias", "F16", "[2]", 4},
    {"six.weight", "U32", "[2,12]", 96},     {"six.scales", "F16", "[2,2]", 8},
    {"six.biases", "F16", "[2,2]", 8},       {"fp.weight", "U32", "[2,8]", 64},
    {"fp.scales", "U8", "[2,2]", 4},         {"nv.weight", "U32", "[2,8]", 64},
    {"nv.scales", "U8", "[2,4]", 8},         {"byte.weight", "U32", "[2,16]", 128},
    {"byte.scales", "U8", "[2,2]", 4},       {"usual.weight", "U32", "[2,8]", 64},
    {"usual.scales", "F32", "[2,1]", 8},     {"usual.biases", "F32", "[2,1]", 8},
    {"plain.weight", "F32", "[2,64]", 512},  {"plain.scales", "U8", "[2,2]", 4},
    {"odd.weight", "U32", "[2,8]", 64},      {"odd.scales", "U8", "[2,2]", 4},
    {"strange.weight", "U32", "[2,8]", 64},  {"strange.scales", "U8", "[2,2]", 4},
    {"wide.weight", "U32", "[2,8]", 64},     {"wide.scales", "U8", "[2,2]", 4},
    {"seven.weight", "U32", "[2,8]", 64},    {"seven.scales", "U8", "[2,2]", 4},
    {"text.weight", "U32", "[2,8]", 64},     {"text.scales", "U8", "[2,2]", 4},
    {"bare.weight", "U32", "[2,8]", 64},     {"bare.scales", "BF16", "[2,1]", 4},
    {"mixed.weight", "U32", "[2,8]", 64},    {"mixed.scales", "BF16", "[2,1]", 4},
    {"mixed.biases", "F16", "[2,1]", 4},     {"short.weight", "U32", "[2,8]", 64},
    {"short.scales", "BF16", "[2,2]", 8},    {"loose.weight", "U32", "[2,8]", 64},
    {"bent.weight", "F32", "[2,64]", 512},   {"bent.bias", "F32", "[3]", 12},
    {"cube.weight", "F32", "[1,2,64]", 512}, {0},
};

static void makes_quantized_weights(const char *folder)
{
    static const struct {
        const char *name;
        zx_format format;
        unsigned bits, group;
        zx_dtype dtype;
    } rows[] = {
        {"four", ZX_FORMAT_AFFINE, 4, 64, ZX_BF16}, {"six", ZX_FORMAT_AFFINE, 6, 32, ZX_F16},
        {"fp", ZX_FORMAT_MXFP4, 4, 32, ZX_F32},     {"nv", ZX_FORMAT_NVFP4, 4, 16, ZX_F32},
        {"byte", ZX_FORMAT_MXFP8, 8, 32, ZX_F32},   {"usual", ZX_FORMAT_AFFINE, 4, 64, ZX_F32},
        {"plain", ZX_FORMAT_F32, 32, 1, ZX_F32},
    };
    zx_checkpoint *checkpoint = NULL;
    zx_weight weight;
    for (int inferred = 0; inferred < 2; inferred++) { /* also where the config says nothing */
        CHECK(zx_put_file(folder, "config.json", inferred == 0 ? quantized_config : "{}"));
        CHECK(put_tensors(folder, "model.safetensors", quantized));
        CHECK(zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
        for (size_t i = 0; i < sizeof rows / sizeof *rows - (size_t)inferred; i++) {
            CHECK_ON(rows[i].name,
                     zx_checkpoint_weight(checkpoint, rows[i].name, 2, 64, &weight) == ZMLX_OK);
            CHECK_ON(rows[i].name, weight.format == rows[i].format && weight.bits == rows[i].bits);
            CHECK_ON(rows[i].name, weight.group == rows[i].group && weight.dtype == rows[i].dtype);
            CHECK_ON(rows[i].name, (weight.bias != NULL) == (i == 0));
            CHECK_ON(rows[i].name, weight.bias == NULL || weight.bias_dtype == ZX_F16);
        }
        zx_checkpoint_close(checkpoint);
    }
}

TEST(folder_makes_quantized_weights)
{
    zx_with_folder(makes_quantized_weights);
}

static void refuses_quantized(const char *folder)
{
    static const struct {
        const char *name;
        size_t rows, columns;
        const char *message;
    } rows[] = {
        {"odd", 2, 64, "tensor 'odd.weight': mode 'mxfp4', 5 bits, group size 32: the mode has no"},
        {"strange", 2, 64, "tensor 'strange.weight': mode 'q9', 0 bits, group size 0: modes are"},
        {"wide", 2, 64,
         "tensor 'wide.weight': mode 'affine', 4 bits, group size 128: the group does not divide"},
        {"seven", 2, 64, "tensor 'seven.weight': mode 'affine', 7 bits, group size 64: the mode"},
        {"text", 2, 64, "config.json: config key 'text.bits' is the string 'four'; expected"},
        {"bare", 2, 64, "tensor 'bare.biases' is missing"},
        {"mixed", 2, 64, "tensor 'mixed.biases' is F16 [2, 1]; expected BF16 [2, 1]"},
        {"short", 2, 64, "tensor 'short.scales' is BF16 [2, 2]; expected F32, F16 or BF16 [2, 1]"},
        {"four", 3, 64, "tensor 'four.weight' is U32 [2, 8]; expected U32 [3, 8]"},
        {"four", 2, 128, "tensor 'four.weight' is U32 [2, 8]; expected U32 [2, 16]"},
        {"loose", 2, 64, "tensor 'loose.weight' is U32 [2, 8]; expected F32, F16 or BF16 [2, 64]"},
        {"bent", 2, 64, "tensor 'bent.bias' is F32 [3]; expected F32, F16 or BF16 [2]"},
        {"cube", 2, 64, "tensor 'cube.weight' is F32 [1, 2, 64]; expected "},
        {"none", 2, 64, "tensor 'none.weight' is missing"},
    };
    zx_checkpoint *checkpoint = NULL;
    zx_weight weight;
    CHECK(zx_put_file(folder, "config.json", quantized_config));
    CHECK(put_tensors(folder, "model.safetensors", quantized));
    CHECK(zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_ON(rows[i].name, zx_checkpoint_weight(checkpoint, rows[i].name, rows[i].rows,
                                                    rows[i].columns, &weight) != ZMLX_OK);
        CHECK_ON(rows[i].name, says(rows[i].message));
    }
    zx_checkpoint_close(checkpoint);
}

TEST(folder_refuses_bad_quantized_weights)
{
    zx_with_folder(refuses_quantized);
}
