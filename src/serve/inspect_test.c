/* inspect_test.c - what a report says of quantized modules, and what it does when memory runs out.
 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/test.h"
#include "model/make_files.h"
#include "zmlx/model.h"

/* Two projections of 256 numbers each, of 4 and of 8 bits, one of 128 of mxfp4, and a dense norm.
 */
static const char tensors[] =
    "{\"model.layers.0.self_attn.q_proj.weight\":"
    "{\"dtype\":\"U32\",\"shape\":[4,8],\"data_offsets\":[0,128]},"
    "\"model.layers.0.self_attn.q_proj.scales\":"
    "{\"dtype\":\"BF16\",\"shape\":[4,1],\"data_offsets\":[128,136]},"
    "\"model.layers.0.self_attn.q_proj.biases\":"
    "{\"dtype\":\"BF16\",\"shape\":[4,1],\"data_offsets\":[136,144]},"
    "\"model.layers.0.mlp.up_proj.weight\":"
    "{\"dtype\":\"U32\",\"shape\":[4,16],\"data_offsets\":[144,400]},"
    "\"model.layers.0.mlp.up_proj.scales\":"
    "{\"dtype\":\"BF16\",\"shape\":[4,1],\"data_offsets\":[400,408]},"
    "\"model.layers.0.mlp.up_proj.biases\":"
    "{\"dtype\":\"BF16\",\"shape\":[4,1],\"data_offsets\":[408,416]},"
    "\"lm_head.weight\":{\"dtype\":\"U32\",\"shape\":[4,4],\"data_offsets\":[416,480]},"
    "\"lm_head.scales\":{\"dtype\":\"U8\",\"shape\":[4,1],\"data_offsets\":[480,484]},"
    "\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[64],\"data_offsets\":[484,740]}}";
enum { DATA_BYTES = 740, PARAMETERS = 256 + 256 + 128 + 64 };

static const char settings[] = "{\"architectures\":[\"NobodyKnowsForCausalLM\"],\"%s\":"
                               "{\"group_size\":64,\"bits\":4,\"model.norm\":false,"
                               "\"model.layers.0.mlp.up_proj\":{\"group_size\":64,\"bits\":8},"
                               "\"lm_head\":{\"mode\":\"mxfp4\"}}}";

static bool put_model(const char *folder, const char *key)
{
    zx_text bytes = {0}, config = {0};
    bool good = zx_make_safetensors(&bytes, tensors, DATA_BYTES) &&
                zx_write_text(zx_in_folder(folder, "model.safetensors"), bytes.bytes, bytes.length);
    const char *place = strstr(settings, "%s");
    good = good && zx_text_add(&config, settings, (size_t)(place - settings)) == ZMLX_OK &&
           zx_text_add_string(&config, key) == ZMLX_OK &&
           zx_text_add_string(&config, place + 2) == ZMLX_OK &&
           zx_put_file(folder, "config.json", config.bytes);
    zx_text_fini(&bytes);
    zx_text_fini(&config);
    return good;
}

static double part_bits(const json_t *report, const char *name)
{
    const json_t *row = NULL;
    size_t i = 0;
    json_array_foreach(json_object_get(report, "parts"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
            return json_real_value(json_object_get(row, "bits_per_weight"));
    }
    return -1;
}

static void counts_modules(const char *folder)
{
    static const char *const keys[] = {"quantization", "quantization_config"};
    for (size_t i = 0; i < 2; i++) {
        zmlx_string text = {0};
        CHECK(put_model(folder, keys[i]));
        CHECK(zmlx_inspect(folder, &text) == ZMLX_OK);
        json_t *report = json_loadb(text.bytes, text.length, 0, NULL);
        const json_int_t parameters = json_integer_value(json_object_get(report, "parameters"));
        const double bits = json_real_value(json_object_get(report, "bits_per_weight"));
        const double attention = part_bits(report, "attention"), mlp = part_bits(report, "mlp");
        const double head = part_bits(report, "head"), other = part_bits(report, "other");
        zmlx_string_free(&text);
        json_decref(report);
        CHECK_ON(keys[i], parameters == PARAMETERS);
        CHECK_ON(keys[i], fabs(bits - 8.0 * DATA_BYTES / PARAMETERS) < 1e-6);
        CHECK_ON(keys[i], fabs(attention - 4.5) < 1e-6 && fabs(mlp - 8.5) < 1e-6);
        CHECK_ON(keys[i], fabs(head - 4.25) < 1e-6 && fabs(other - 32) < 1e-6);
    }
}

TEST(inspection_counts_each_module_by_its_own_bits)
{
    zx_with_folder(counts_modules);
}

/* However they are stored, biases count, and so does what no session reads: as the bytes do. */
TEST(inspection_counts_all_that_is_stored)
{
    static const struct {
        const char *folder;
        json_int_t parameters;
        double experts, all; /* bits per weight; 0: there are none */
    } rows[] = {
        {"tests/golden/gpt_oss", 191440, 32, 32},
        {"tests/golden/gpt_oss-mxfp4-hf", 191440, 58368 * 8.0 / 99840, 424768 * 8.0 / 191440},
        {"tests/golden/qwen3_5-vision", 20988, 0, 32},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zmlx_string text = {0};
        CHECK_ON(rows[i].folder, zmlx_inspect(rows[i].folder, &text) == ZMLX_OK);
        json_t *report = json_loadb(text.bytes, text.length, 0, NULL);
        const json_int_t parameters = json_integer_value(json_object_get(report, "parameters"));
        const double all = json_real_value(json_object_get(report, "bits_per_weight"));
        const double experts = part_bits(report, "experts");
        zmlx_string_free(&text);
        json_decref(report);
        CHECK_ON(rows[i].folder, parameters == rows[i].parameters);
        CHECK_ON(rows[i].folder, fabs(all - rows[i].all) < 1e-6);
        CHECK_ON(rows[i].folder, rows[i].experts <= 0 || fabs(experts - rows[i].experts) < 1e-6);
    }
}

/* jansson's memory, through the allocator that counts; the one that fails is chosen. */
static size_t until_fault;

static void *counted_alloc(size_t bytes)
{
    void *memory = NULL;
    if (until_fault > 0 && --until_fault == 0) return NULL;
    return zx_alloc(bytes, "JSON", &memory) == ZMLX_OK ? memory : NULL;
}

/* A value that is left out takes lines with it.  (jansson's parser may itself lose a character of a
 * string where memory ran out.) */
static size_t count_lines(const zmlx_string *text)
{
    size_t lines = 0;
    for (size_t i = 0; i < text->length; i++) lines += text->bytes[i] == '\n';
    return lines;
}

static void survives(const char *folder)
{
    json_malloc_t usual_alloc;
    json_free_t usual_free;
    zmlx_string whole = {0};
    size_t fault = 0;
    bool same = true, leaks = false, done = false;
    CHECK(put_model(folder, "quantization"));
    CHECK(zmlx_inspect(folder, &whole) == ZMLX_OK);
    const size_t blocks = zx_test_live_blocks();
    json_get_alloc_funcs(&usual_alloc, &usual_free);
    json_set_alloc_funcs(counted_alloc, zx_free);
    while (!done && same && !leaks && fault < 5000) {
        zmlx_string text = {0};
        until_fault = ++fault;
        const zmlx_status status = zmlx_inspect(folder, &text);
        done = until_fault > 0;
        until_fault = 0;
        same = status != ZMLX_OK || count_lines(&text) == count_lines(&whole);
        zmlx_string_free(&text);
        leaks = zx_test_live_blocks() != blocks;
    }
    json_set_alloc_funcs(usual_alloc, usual_free);
    zmlx_string_free(&whole);
    CHECK(same);
    CHECK(!leaks);
    CHECK(done && fault > 100);
}

TEST(inspection_without_memory_leaks_nothing_and_leaves_nothing_out)
{
    zx_with_folder(survives);
}
