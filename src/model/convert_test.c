/* convert_test.c - tiny models written as folders and read again: values, settings, shards, a run
 * that stops and goes on, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/test.h"
#include "model/checkpoint.h"
#include "model/make_files.h"
#include "model/safetensors.h"
#include "zmlx/convert.h"
#include "zmlx/tokenizer.h"

static const char llama[] = "tests/golden/llama";

static bool says(const char *message)
{
    const bool fits = strstr(zmlx_error_message(), message) != NULL;
    if (!fits) (void)printf("  is '%s'\n  not '%s'\n", zmlx_error_message(), message);
    return fits;
}

static char target[1024], partial[1040];

/* Calls 'body' with 'target' a name that is free, and cleans up. */
static void (*body_of_test)(void);

static void run_body(const char *folder)
{
    (void)snprintf(target, sizeof target, "%s/out", folder);
    (void)snprintf(partial, sizeof partial, "%s.partial", target);
    body_of_test();
    zx_remove_folder(target);
    zx_remove_folder(partial);
}

static void with_target(void (*body)(void))
{
    body_of_test = body;
    zx_with_folder(run_body);
}

static zmlx_status convert(const char *source, zmlx_convert_options options,
                           zmlx_convert_report *report)
{
    options.threads = 1;
    return zmlx_convert(source, target, &options, report);
}

static const zmlx_convert_options four_bits = {.mode = ZMLX_QUANTIZATION_AFFINE, .group = 32};

static bool exists(const char *folder, const char *name)
{
    return zx_path_exists(zx_in_folder(folder, name));
}

/* -------- values -------- */

/* The module's rows, encoded here from the source's values, against what was written. */
static bool module_is_encoded(const zx_checkpoint *from, const zx_checkpoint *to, const char *name,
                              size_t rows, size_t columns)
{
    zx_weight source, written;
    float values[256], decoded[256], expected[256];
    uint8_t codes[256], scales[64], biases[64];
    if (zx_checkpoint_weight(from, name, rows, columns, &source) != ZMLX_OK ||
        zx_checkpoint_weight(to, name, rows, columns, &written) != ZMLX_OK || columns > 256)
        return false;
    zx_weight row = written;
    row.rows = 1;
    row.codes = codes;
    row.scales = scales;
    row.biases = biases;
    for (size_t i = 0; i < rows; i++) {
        zx_formats[source.format].decode(&source, i, 0, columns, values);
        zx_formats[written.format].encode(&row, 0, values);
        zx_formats[row.format].decode(&row, 0, 0, columns, expected);
        zx_formats[written.format].decode(&written, i, 0, columns, decoded);
        if (memcmp(decoded, expected, columns * sizeof *decoded) != 0) return false;
    }
    return written.format == ZX_FORMAT_AFFINE && written.bits == 4 && written.group == 32;
}

static void quantizes(void)
{
    zx_checkpoint *from = NULL, *to = NULL;
    zmlx_model *model = NULL;
    zmlx_convert_report report;
    CHECK(convert(llama, four_bits, &report) == ZMLX_OK);
    CHECK(report.quantized == 23 && report.kept == 0 && report.shards == 1 && !report.interrupted);
    CHECK(exists(target, "model.safetensors.index.json") && !zx_path_exists(partial));
    CHECK(exists(target, "meta.json")); /* small files go along */
    CHECK(zx_checkpoint_open(llama, &from) == ZMLX_OK);
    const bool opened = zx_checkpoint_open(target, &to) == ZMLX_OK;
    const bool good = opened &&
                      module_is_encoded(from, to, "model.layers.1.self_attn.q_proj", 64, 64) &&
                      module_is_encoded(from, to, "model.layers.2.mlp.down_proj", 64, 128) &&
                      module_is_encoded(from, to, "lm_head", 320, 64);
    const zx_stored_tensor *norm = opened ? zx_checkpoint_find(to, "model.norm.weight") : NULL;
    const bool copied = norm != NULL && norm->dtype == ZX_F32;
    zx_checkpoint_close(from);
    zx_checkpoint_close(to);
    CHECK(good && copied);
    CHECK(zmlx_model_open(target, NULL, &model) == ZMLX_OK); /* no tensor is left over */
    zmlx_model_close(model);
}

TEST(convert_quantizes_every_matrix)
{
    with_target(quantizes);
}

static void dequantizes(void)
{
    zmlx_convert_report report;
    zx_checkpoint *from = NULL, *to = NULL;
    zx_weight coded, dense;
    float a[64], b[64];
    CHECK(convert("tests/golden/llama-4bit-g64",
                  (zmlx_convert_options){.dequantize = true, .dtype = ZMLX_DTYPE_F32},
                  &report) == ZMLX_OK);
    CHECK(report.quantized == 0 && report.kept == 0);
    CHECK(zx_checkpoint_open("tests/golden/llama-4bit-g64", &from) == ZMLX_OK);
    bool good = zx_checkpoint_open(target, &to) == ZMLX_OK &&
                zx_checkpoint_weight(from, "lm_head", 320, 64, &coded) == ZMLX_OK &&
                zx_checkpoint_weight(to, "lm_head", 320, 64, &dense) == ZMLX_OK &&
                dense.format == ZX_FORMAT_F32 &&
                json_object_get(zx_checkpoint_config(to), "quantization") == NULL;
    for (size_t i = 0; good && i < 320; i++) {
        zx_formats[coded.format].decode(&coded, i, 0, 64, a);
        zx_formats[dense.format].decode(&dense, i, 0, 64, b);
        good = memcmp(a, b, sizeof a) == 0;
    }
    zx_checkpoint_close(from);
    zx_checkpoint_close(to);
    CHECK(good);
}

TEST(convert_dequantizes)
{
    with_target(dequantizes);
}

static void casts(void)
{
    zx_checkpoint *to = NULL;
    CHECK(convert(llama, (zmlx_convert_options){.dtype = ZMLX_DTYPE_BF16}, NULL) == ZMLX_OK);
    CHECK(zx_checkpoint_open(target, &to) == ZMLX_OK);
    size_t others = 0;
    bool used;
    for (size_t i = 0; i < zx_checkpoint_count(to); i++)
        others += zx_checkpoint_tensor(to, i, &used)->dtype != ZX_BF16;
    const char *dtype = json_string_value(json_object_get(zx_checkpoint_config(to), "dtype"));
    const bool named = dtype != NULL && strcmp(dtype, "bfloat16") == 0;
    zx_checkpoint_close(to);
    CHECK(others == 0 && named);
}

TEST(convert_casts_and_says_so)
{
    with_target(casts);
}

/* -------- GGUF -------- */

static void keeps_codes(void)
{
    zmlx_convert_report report;
    zx_checkpoint *from = NULL, *to = NULL;
    zx_weight blocks, affine;
    float a[64], b[64];
    /* of f32 scales, so that both decode to the same bits */
    CHECK(convert("tests/golden/gguf/qwen2-q4_0.gguf",
                  (zmlx_convert_options){.dtype = ZMLX_DTYPE_F32}, &report) == ZMLX_OK);
    CHECK(report.quantized > 4);
    CHECK(zx_checkpoint_open("tests/golden/gguf/qwen2-q4_0.gguf", &from) == ZMLX_OK);
    const zx_stored_tensor *tensor = zx_checkpoint_find(from, "model.layers.0.mlp.up_proj.weight");
    const size_t rows = tensor != NULL ? tensor->shape[0] : 0;
    const size_t columns = tensor != NULL ? tensor->shape[1] : 0;
    const char name[] = "model.layers.0.mlp.up_proj";
    bool good = columns <= 64 && zx_checkpoint_open(target, &to) == ZMLX_OK &&
                zx_checkpoint_weight(from, name, rows, columns, &blocks) == ZMLX_OK &&
                zx_checkpoint_weight(to, name, rows, columns, &affine) == ZMLX_OK &&
                blocks.format == ZX_FORMAT_Q4_0 && affine.format == ZX_FORMAT_AFFINE &&
                affine.bits == 4 && affine.group == 32;
    for (size_t i = 0; good && i < rows; i++) {
        zx_formats[blocks.format].decode(&blocks, i, 0, columns, a);
        zx_formats[affine.format].decode(&affine, i, 0, columns, b);
        for (size_t k = 0; k < columns; k++) good = good && a[k] == b[k]; /* zeros of either sign */
    }
    zx_checkpoint_close(from);
    zx_checkpoint_close(to);
    CHECK(good);
}

TEST(convert_keeps_the_codes_of_blocks)
{
    with_target(keeps_codes);
}

/* What is in the way of a plain copy: rows of rope's pairs, a rope in tensors, norms with an
 * offset. */
static void opens_again(void)
{
    static const char *const names[] = {"llama-llama3", "gemma3",  "granite-bias", "phi3-longrope",
                                        "gptneox",      "gpt-oss", "deepseek2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        zmlx_model *model = NULL;
        (void)snprintf(path, sizeof path, "tests/golden/gguf/%s.gguf", names[i]);
        CHECK_ON(names[i], convert(path, (zmlx_convert_options){0}, NULL) == ZMLX_OK);
        CHECK_ON(names[i], zmlx_model_open(target, NULL, &model) == ZMLX_OK);
        zmlx_model_close(model);
        zx_remove_folder(target);
    }
}

TEST(convert_writes_models_of_gguf_that_open)
{
    with_target(opens_again);
}

static void writes_tokenizer(void)
{
    zx_gguf_maker maker = {0};
    zmlx_tokenizer *tokenizer = NULL;
    zmlx_ids ids = {0};
    char source[1050];
    (void)snprintf(source, sizeof source, "%s.gguf", target);
    const bool made =
        zx_make_llama(&maker, NULL) && zx_write_text(source, maker.file.bytes, maker.file.length);
    zx_gguf_maker_fini(&maker);
    CHECK(made);
    const zmlx_status status = convert(source, (zmlx_convert_options){0}, NULL);
    (void)remove(source);
    CHECK(status == ZMLX_OK);
    CHECK(exists(target, "tokenizer.json") && exists(target, "tokenizer_config.json"));
    CHECK(zmlx_tokenizer_open(target, &tokenizer) == ZMLX_OK);
    const bool good = zmlx_tokenizer_encode(tokenizer, "abb", 3, false, &ids) == ZMLX_OK &&
                      ids.count == 2 && ids.items[0] == 5 && ids.items[1] == 4;
    zmlx_ids_free(&ids);
    zmlx_tokenizer_close(tokenizer);
    CHECK(good);
}

TEST(convert_writes_a_tokenizer_of_gguf)
{
    with_target(writes_tokenizer);
}

/* -------- shards -------- */

static size_t pieces_left;

static bool stop_after(void *user)
{
    (void)user;
    return pieces_left-- > 0;
}

/* The files' texts, one behind the other. */
static bool read_weights(size_t shards, zx_text *all)
{
    bool good = true;
    for (size_t i = 1; i <= shards && good; i++) {
        char name[64], *text = NULL;
        size_t size = 0;
        (void)snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i, shards);
        good = zx_file_read(zx_in_folder(target, name), 1 << 20, &text, &size) == ZMLX_OK &&
               zx_text_add(all, text, size) == ZMLX_OK;
        zx_free(text);
    }
    return good;
}

static void goes_on(void)
{
    zmlx_convert_options options = four_bits;
    zmlx_convert_report report;
    zx_text whole = {0}, resumed = {0};
    char first[64];
    options.shard_bytes = 30000;
    CHECK(convert(llama, options, &report) == ZMLX_OK);
    CHECK(report.shards > 3 && report.reused == 0);
    const size_t shards = report.shards;
    CHECK(read_weights(shards, &whole));
    zx_remove_folder(target);
    options.keep_going = stop_after;
    pieces_left = 20;
    CHECK(convert(llama, options, &report) == ZMLX_ERROR_IO);
    CHECK(report.interrupted && says("interrupted; ") && says("out.partial keeps "));
    CHECK(!zx_path_exists(target));
    /* of what is whole only what still has its sum counts */
    (void)snprintf(first, sizeof first, "model-%05d-of-%05zu.safetensors", 1, shards);
    FILE *file = fopen(zx_in_folder(partial, first), "r+b");
    CHECK(file != NULL);
    (void)fseek(file, -1, SEEK_END);
    (void)fputc(0x55, file);
    (void)fclose(file);
    options.keep_going = NULL;
    CHECK(convert(llama, options, &report) == ZMLX_OK);
    CHECK(report.reused > 0 && report.reused < shards - 1);
    CHECK(!zx_path_exists(partial));
    const bool same = read_weights(shards, &resumed) && whole.length == resumed.length &&
                      memcmp(whole.bytes, resumed.bytes, whole.length) == 0;
    zx_text_fini(&whole);
    zx_text_fini(&resumed);
    CHECK(same);
}

TEST(convert_goes_on_where_it_stopped)
{
    with_target(goes_on);
}

static void begins_anew(void)
{
    zmlx_convert_options options = {.dtype = ZMLX_DTYPE_F16, .shard_bytes = 30000};
    zmlx_convert_report report;
    options.keep_going = stop_after;
    pieces_left = 20;
    CHECK(convert(llama, options, &report) == ZMLX_ERROR_IO);
    CHECK(says("out.partial keeps "));
    options.keep_going = NULL;
    options.dtype = ZMLX_DTYPE_BF16; /* other work, of files as large */
    CHECK(convert(llama, options, &report) == ZMLX_OK);
    CHECK(report.reused == 0);
}

TEST(convert_does_not_take_up_other_work)
{
    with_target(begins_anew);
}

static void leaves_nothing(void)
{
    zmlx_convert_options options = four_bits;
    options.keep_going = stop_after;
    pieces_left = 3;
    CHECK(convert(llama, options, NULL) == ZMLX_ERROR_IO);
    CHECK(!zx_path_exists(target) && !zx_path_exists(partial));
}

TEST(convert_leaves_nothing_where_no_file_is_whole)
{
    with_target(leaves_nothing);
}

/* -------- refusals -------- */

static void refuses_options(void)
{
    static const zmlx_module_rule nowhere = {
        .pattern = "*.nothing", .bits = 8, .mode = ZMLX_QUANTIZATION_AFFINE};
    const struct {
        zmlx_convert_options options;
        const char *message;
    } rows[] = {
        {{.mode = ZMLX_QUANTIZATION_AFFINE, .bits = 7},
         "affine has 2, 3, 4, 5, 6 or 8 bits, not 7"},
        {{.mode = ZMLX_QUANTIZATION_AFFINE, .group = 16}, "groups of 32, 64 or 128, not 16"},
        {{.mode = ZMLX_QUANTIZATION_MXFP4, .bits = 8}, "mxfp4 has 4 bits in groups of 32"},
        {{.mode = ZMLX_QUANTIZATION_AFFINE, .dequantize = true}, "exclude each other"},
        {{.mode = ZMLX_QUANTIZATION_AFFINE, .recipe = "mixed"}, "recipe 'mixed' is not known"},
        {{.mode = ZMLX_QUANTIZATION_NVFP4, .recipe = "mixed_2_6"}, "for the mode affine alone"},
        {{.mode = ZMLX_QUANTIZATION_AFFINE, .rules = &nowhere, .rule_count = 1},
         "no matrix has a name like '*.nothing'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_ON(rows[i].message, convert(llama, rows[i].options, NULL) == ZMLX_ERROR_ARGUMENT);
        CHECK_ON(rows[i].message, says(rows[i].message));
    }
    CHECK(convert("tests/golden/llama-4bit-g64", four_bits, NULL) == ZMLX_ERROR_ARGUMENT);
    CHECK(says("is quantized already; dequantize it first"));
    CHECK(!zx_path_exists(target) && !zx_path_exists(partial));
}

TEST(convert_refuses_options_that_do_not_fit)
{
    with_target(refuses_options);
}

static void refuses_targets(void)
{
    CHECK(mkdir(target, 0700) == 0);
    CHECK(convert(llama, four_bits, NULL) == ZMLX_OK); /* an empty folder is as good as none */
    CHECK(exists(target, "config.json"));
    CHECK(convert(llama, four_bits, NULL) == ZMLX_ERROR_IO);
    CHECK(says("/out: exists and is not empty; expected a new name or an empty folder"));
    zx_remove_folder(target);
    CHECK(mkdir(partial, 0700) == 0 && zx_put_file(partial, "mine.txt", "x"));
    CHECK(convert(llama, four_bits, NULL) == ZMLX_ERROR_IO);
    CHECK(says("so it is not the work of an earlier call") && exists(partial, "mine.txt"));
    CHECK(zmlx_convert(llama, "/nowhere/at/all", &four_bits, NULL) == ZMLX_ERROR_IO);
    CHECK(says("/nowhere/at/all.partial: cannot make the folder: No such file or directory"));
}

TEST(convert_refuses_targets_that_are_there)
{
    with_target(refuses_targets);
}

/* A value that f16 cannot hold, and one that is none. */
static void refuses_values(void)
{
    static const char config[] =
        "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_size\":32,"
        "\"intermediate_size\":32,\"num_hidden_layers\":1,\"num_attention_heads\":1,"
        "\"num_key_value_heads\":1,\"rms_norm_eps\":1e-5,\"vocab_size\":2,"
        "\"tie_word_embeddings\":true}";
    static const char header[] =
        "{\"model.embed_tokens.weight\":{\"dtype\":\"F32\",\"shape\":[2,32],\"data_offsets\":[0,"
        "256]},"
        "\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[32],\"data_offsets\":[256,384]}}";
    zx_text file = {0};
    char source[1050];
    (void)snprintf(source, sizeof source, "%s.source", target);
    bool made = mkdir(source, 0700) == 0 && zx_put_file(source, "config.json", config) &&
                zx_make_safetensors(&file, header, 384);
    const float values[] = {1e6F, INFINITY};
    const char *const messages[] = {".source: tensor 'model.embed_tokens.weight' holds values that "
                                    "are too large for f16",
                                    ".source: tensor 'model.embed_tokens.weight' holds values that "
                                    "are not finite, which cannot be quantized"};
    const zmlx_convert_options options[] = {{.dtype = ZMLX_DTYPE_F16}, four_bits};
    bool refused[2] = {false, false};
    for (size_t i = 0; i < 2 && made; i++) {
        memset(file.bytes + file.length - 384, 0, 384);
        memcpy(file.bytes + file.length - 384 + 128, &values[i], sizeof values[i]);
        made = zx_write_text(zx_in_folder(source, "model.safetensors"), file.bytes, file.length);
        refused[i] = convert(source, options[i], NULL) == ZMLX_ERROR_FORMAT && says(messages[i]);
    }
    zx_text_fini(&file);
    zx_remove_folder(source);
    CHECK(made && refused[0] && refused[1]);
    CHECK(!zx_path_exists(target) && !zx_path_exists(partial));
}

TEST(convert_refuses_values_that_do_not_fit)
{
    with_target(refuses_values);
}

/* Mixtral without the tensor 'skip', and with that many experts in its config. */
static bool put_mixtral(const char *folder, const char *skip, int experts)
{
    enum { MOST = 256 };
    static zx_stored_tensor tensors[MOST];
    zx_checkpoint *from = NULL;
    size_t count = 0;
    bool used = false;
    if (zx_checkpoint_open("tests/golden/mixtral", &from) != ZMLX_OK) return false;
    for (size_t i = 0; i < zx_checkpoint_count(from) && count < MOST; i++) {
        tensors[count] = *zx_checkpoint_tensor(from, i, &used);
        count += strcmp(tensors[count].name, skip) != 0;
    }
    json_t *config = json_deep_copy(zx_checkpoint_config(from));
    const bool good =
        json_object_set_new(config, "num_local_experts", json_integer(experts)) == 0 &&
        json_dump_file(config, zx_in_folder(folder, "config.json"), 0) == 0 &&
        zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors, count) == ZMLX_OK;
    json_decref(config);
    zx_checkpoint_close(from);
    return good;
}

static void refuses_experts(void)
{
    static const struct {
        const char *skip, *message;
        int less;
    } rows[] = {
        {"model.layers.1.block_sparse_moe.experts.0.w2.weight",
         "tensor 'model.layers.1.block_sparse_moe.experts.0.w2.weight' is missing", 0},
        {"model.layers.1.block_sparse_moe.experts.1.w2.weight",
         "tensor 'model.layers.1.block_sparse_moe.experts.1.w2.weight' is missing", 0},
        {"", ".block_sparse_moe.experts.3.w1.weight' is of expert 3; the config has 3", 1},
    };
    char source[1050];
    (void)snprintf(source, sizeof source, "%s.source", target);
    CHECK(mkdir(source, 0700) == 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const bool made = put_mixtral(source, rows[i].skip, 4 - rows[i].less);
        const zmlx_status status = made ? convert(source, four_bits, NULL) : ZMLX_ERROR_MEMORY;
        const bool good =
            status == ZMLX_ERROR_MEMORY || (status == ZMLX_ERROR_FORMAT && says(rows[i].message));
        if (status == ZMLX_OK) zx_remove_folder(target);
        CHECK_ON(rows[i].message, good);
    }
    CHECK(!zx_path_exists(target) && !zx_path_exists(partial));
    zx_remove_folder(source);
}

TEST(convert_refuses_experts_that_are_not_all_there)
{
    with_target(refuses_experts);
}

/* A file that is too large to go along is met before any other is written. */
static void refuses_large_files(void)
{
    char source[1050], path[1100];
    (void)snprintf(source, sizeof source, "%s.source", target);
    (void)snprintf(path, sizeof path, "%s/vocab.txt", source);
    const bool made = mkdir(source, 0700) == 0 && put_mixtral(source, "", 4) &&
                      zx_put_file(source, "vocab.txt", "") && truncate(path, (off_t)257 << 20) == 0;
    const zmlx_status status = made ? convert(source, four_bits, NULL) : ZMLX_OK;
    const bool named = says("vocab.txt: 257 MiB; files that go along have at most 256 MiB");
    zx_remove_folder(source);
    if (!made || status == ZMLX_ERROR_MEMORY) return;
    CHECK(status == ZMLX_ERROR_FORMAT && named);
    CHECK(!zx_path_exists(target) && !zx_path_exists(partial));
}

TEST(convert_refuses_large_files_before_it_writes)
{
    with_target(refuses_large_files);
}
