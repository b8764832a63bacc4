/* models_test.c - whole models of another quantizer: what reads them finds their values made. */
#include <fcntl.h>
#include <sys/stat.h>

#include "model/foreign/foreign_testing.h"
#include "model/model.h"
#include "zmlx/convert.h"
#include "zmlx/fusion.h"

/* The golden llama with some of its matrices as E4M3, each all of one value. */
typedef struct fp8_model {
    const char *names[3];
    uint8_t values[3];
    bool tied;
    bool apart;        /* those matrices, without their scales, in a file of their own */
    const char *extra; /* one number more */
} fp8_model;

enum { MOST_TENSORS = 64, MOST_CODES = 320 * 64 };

typedef struct lists {
    zx_stored_tensor items[MOST_TENSORS], apart[3];
    char names[3][128];
    size_t count, apart_count;
} lists;

static void turn(const fp8_model *model, size_t which, zx_stored_tensor *tensor, lists *all)
{
    static uint8_t codes[3][MOST_CODES];
    static const float scale = 0.0078125F;
    zx_stored_tensor *own = &all->apart[all->apart_count];
    const size_t bytes = tensor->shape[0] * tensor->shape[1];
    memset(codes[which], model->values[which], bytes);
    tensor->dtype = ZX_F8_E4M3;
    tensor->data = codes[which];
    tensor->bytes = bytes;
    (void)snprintf(all->names[which], sizeof all->names[which], "%s_scale", tensor->name);
    if (model->apart) *own = *tensor;
    all->apart_count += model->apart;
    zx_stored_tensor *by = model->apart ? tensor : &all->items[all->count++];
    *by = tensor_of(all->names[which], ZX_F32, 0, 1, &scale);
}

static void fill(const fp8_model *model, const zx_checkpoint *from, lists *all)
{
    static const float one = 1;
    bool used = false;
    const size_t count = zx_checkpoint_count(from);
    for (size_t i = 0; i < count; i++) all->items[i] = *zx_checkpoint_tensor(from, i, &used);
    all->count = count;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < 3; k++)
            if (model->names[k] != NULL && strcmp(all->items[i].name, model->names[k]) == 0) {
                turn(model, k, &all->items[i], all);
                break;
            }
    if (model->extra != NULL)
        all->items[all->count++] = tensor_of(model->extra, ZX_F32, 0, 1, &one);
}

static bool put_model(const char *folder, const fp8_model *model)
{
    static lists all;
    zx_checkpoint *from = NULL;
    if (zx_checkpoint_open("tests/golden/llama", &from) != ZMLX_OK) return false;
    all = (lists){0};
    fill(model, from, &all);
    json_t *config = json_deep_copy(zx_checkpoint_config(from));
    bool good = json_object_set_new(config, "quantization_config",
                                    json_pack("{s:s}", "quant_method", "fp8")) == 0 &&
                json_object_set_new(config, "tie_word_embeddings", json_boolean(model->tied)) == 0;
    good =
        good && json_dump_file(config, zx_in_folder(folder, "config.json"), 0) == 0 &&
        zx_safetensors_write(zx_in_folder(folder, "model-1.safetensors"), all.items, all.count) ==
            ZMLX_OK &&
        (all.apart_count == 0 || zx_safetensors_write(zx_in_folder(folder, "model-2.safetensors"),
                                                      all.apart, all.apart_count) == ZMLX_OK);
    json_decref(config);
    zx_checkpoint_close(from);
    return good;
}

/* -------- the head -------- */

static void unties(const char *folder)
{
    static const fp8_model models[] = {
        {{"model.embed_tokens.weight", "lm_head.weight"}, {0x38, 0x40}, .tied = true},
        {{"lm_head.weight"}, {0x40}, .tied = true},
        {{"model.embed_tokens.weight"}, {0x40}, .tied = true},
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        zmlx_model *model = NULL;
        CHECK_ON(models[i].names[0], put_model(folder, &models[i]));
        CHECK_ON(models[i].names[0], zmlx_model_open(folder, NULL, &model) == ZMLX_OK);
        const bool tied = model->config.tied;
        zmlx_model_close(model);
        CHECK_ON(models[i].names[0], !tied);
    }
}

TEST(foreign_heads_that_differ_from_the_table_count)
{
    zx_with_folder(unties);
}

/* The same packed codes, of which a file has the words, with scales that differ. */
static void unties_by_scales(const char *folder)
{
    enum { HIGH = 8, WIDE = 32 };
    static const uint32_t codes[HIGH * WIDE / 8];
    static const float scales[2][HIGH] = {{1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 2}};
    static const int64_t shape[2] = {HIGH, WIDE};
    const zx_stored_tensor tensors[] = {
        tensor_of("model.embed_tokens.weight_packed", ZX_I32, HIGH, WIDE / 8, codes),
        tensor_of("model.embed_tokens.weight_scale", ZX_F32, HIGH, 1, scales[0]),
        tensor_of("model.embed_tokens.weight_shape", ZX_I64, 0, 2, shape),
        tensor_of("lm_head.weight_packed", ZX_I32, HIGH, WIDE / 8, codes),
        tensor_of("lm_head.weight_scale", ZX_F32, HIGH, 1, scales[1]),
        tensor_of("lm_head.weight_shape", ZX_I64, 0, 2, shape),
    };
    static zx_config config;
    const zx_family *family = NULL;
    zx_checkpoint *checkpoint = NULL;
    CHECK(zx_put_file(folder, "config.json",
                      "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":32,"
                      "\"intermediate_size\":32,\"num_hidden_layers\":1,"
                      "\"num_attention_heads\":1,\"vocab_size\":8,\"tie_word_embeddings\":true,"
                      "\"quantization_config\":{\"quant_method\":\"compressed-tensors\"}}"));
    CHECK(zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors, 6) == ZMLX_OK);
    CHECK(zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
    const bool read = zx_family_find(checkpoint, &family) == ZMLX_OK &&
                      zx_config_read(family, checkpoint, &config) == ZMLX_OK;
    zx_checkpoint_close(checkpoint);
    CHECK(read && !config.tied);
}

TEST(foreign_heads_with_other_scales_count)
{
    zx_with_folder(unties_by_scales);
}

/* -------- discovery -------- */

static void discovers(const char *folder)
{
    static const fp8_model llama = {{"model.layers.0.mlp.gate_proj.weight"}, {0x38}, .tied = false};
    const zmlx_discover_options options = {.threads = 1};
    zmlx_model *model = NULL;
    zmlx_discovery *discovery = NULL;
    if (!put_model(folder, &llama) || zmlx_model_open(folder, NULL, &model) != ZMLX_OK) return;
    const size_t before = zx_checkpoint_made(model->checkpoint);
    const zmlx_status status = zmlx_discover(model, &options, &discovery);
    const size_t made = zx_checkpoint_made(model->checkpoint);
    const size_t sites = status == ZMLX_OK ? zmlx_discovery_count(discovery) : 0;
    zmlx_discovery_close(discovery);
    zmlx_model_close(model);
    CHECK(status == ZMLX_OK && sites > 0);
    CHECK(before == 0 && made == (size_t)2 * 128 * 64);
}

TEST(foreign_weights_are_made_for_discovery)
{
    zx_with_folder(discovers);
}

/* -------- scales of caches -------- */

static void ignores_cache_scales(const char *folder)
{
    static const struct {
        const char *name;
        zmlx_status status;
    } rows[] = {
        {"model.layers.0.self_attn.k_scale", ZMLX_OK},
        {"model.layers.2.self_attn.v_scale", ZMLX_OK},
        {"model.layers.0.self_attn.k_proj.k_scale", ZMLX_OK},
        {"model.layers.1.self_attn.kv_scale", ZMLX_OK},
        {"model.layers.0.self_attn.q_scale", ZMLX_OK},
        {"model.layers.0.self_attn.v_proj.output_scale", ZMLX_OK},
        {"model.layers.0.self_attn.x_scale", ZMLX_ERROR_UNSUPPORTED},
    };
    fp8_model llama = {{"model.layers.0.mlp.gate_proj.weight"}, {0x38}, .tied = false};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zmlx_model *model = NULL;
        llama.extra = rows[i].name;
        CHECK_ON(rows[i].name, put_model(folder, &llama));
        const zmlx_status status = zmlx_model_open(folder, NULL, &model);
        zmlx_model_close(model);
        CHECK_ON(rows[i].name, status == rows[i].status);
    }
}

TEST(foreign_scales_of_caches_are_not_used)
{
    zx_with_folder(ignores_cache_scales);
}

/* -------- conversions that go on -------- */

static size_t pieces_left;

static bool stop_after(void *user)
{
    (void)user;
    return pieces_left-- > 0;
}

/* 1 * 2^-7 everywhere */
static bool was_made(const char *folder)
{
    zx_checkpoint *checkpoint = NULL;
    zx_weight weight;
    if (zx_checkpoint_open(folder, &checkpoint) != ZMLX_OK) return false;
    bool good = zx_checkpoint_weight(checkpoint, "model.layers.0.mlp.gate_proj", 128, 64,
                                     &weight) == ZMLX_OK &&
                weight.format == ZX_FORMAT_F16;
    for (size_t i = 0; good && i < (size_t)128 * 64; i++)
        good = zx_load(ZX_F16, weight.codes, i) == 0x1p-7F;
    zx_checkpoint_close(checkpoint);
    return good;
}

/* A file that holds nothing but matrices of E4M3 is another before the second call. */
static void looks_at_all_files(const char *folder)
{
    static const fp8_model llama = {{"model.layers.0.mlp.gate_proj.weight"}, {0x38}, .apart = true};
    zmlx_convert_options options = {.dtype = ZMLX_DTYPE_F16, .shard_bytes = 30000, .threads = 1};
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    zmlx_convert_report report = {0};
    char target[1024];
    (void)snprintf(target, sizeof target, "%s", zx_in_folder(folder, "out"));
    options.keep_going = stop_after;
    pieces_left = 20;
    CHECK(put_model(folder, &llama));
    const zmlx_status stopped = zmlx_convert(folder, target, &options, NULL);
    const bool kept = says("out.partial keeps ");
    const char *const file = zx_in_folder(folder, "model-2.safetensors");
    const bool changed = utimensat(AT_FDCWD, file, times, 0) == 0;
    options.keep_going = NULL;
    const zmlx_status status = zmlx_convert(folder, target, &options, &report);
    const bool made = status == ZMLX_OK && was_made(target);
    CHECK(stopped == ZMLX_ERROR_IO && kept && changed && made);
    CHECK(status == ZMLX_OK && report.reused == 0);
}

TEST(foreign_files_of_weights_belong_to_the_work)
{
    zx_with_folder(looks_at_all_files);
}
