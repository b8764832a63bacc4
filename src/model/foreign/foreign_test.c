/* foreign_test.c - checkpoints of other quantizers: what becomes of them, and what is refused. */
#include <stdio.h>
#include <string.h>

#include "model/foreign/foreign_testing.h"
#include "model/foreign/methods.h"

static const char one_tensor[] =
    "{\"one.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}";

static void refuses_methods(const char *folder)
{
    static const struct {
        const char *method, *message;
    } rows[] = {
        {"aqlm", "is 'aqlm', which is not read: its weights are indices into learned codebooks"},
        {"bitnet", "is 'bitnet', which is not read: ternary weights need activations of 8 bits"},
        {"bitsandbytes", "is 'bitsandbytes', which is not read: its nf4 and int8 layouts"},
        {"quanto", "is 'quanto', which is not read: it quantizes while loading"},
        {"nonesuch", "config.json: config key 'quantization_config.quant_method' is 'nonesuch', "
                     "which is not known; read are "},
    };
    char config[128];
    zx_checkpoint *checkpoint = NULL;
    CHECK(put_header(folder, one_tensor, 24));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)snprintf(config, sizeof config, "{\"quantization_config\":{\"quant_method\":\"%s\"}}",
                       rows[i].method);
        CHECK(zx_put_file(folder, "config.json", config));
        const zmlx_status status = zx_checkpoint_open(folder, &checkpoint);
        if (status == ZMLX_OK) zx_checkpoint_close(checkpoint);
        CHECK_ON(rows[i].method, status == ZMLX_ERROR_UNSUPPORTED);
        CHECK_ON(rows[i].method, says(rows[i].message));
    }
    CHECK(zx_put_file(folder, "config.json",
                      "{\"quantization_config\":{\"quant_method\":[\"awq\"]}}"));
    CHECK(zx_checkpoint_open(folder, &checkpoint) != ZMLX_OK);
    CHECK(says("config key 'quantization_config.quant_method' is"));
    /* MLX's own settings count more, and mxfp4 is read as it lies there */
    static const char *const fine[] = {
        "{\"quantization\":{\"bits\":4},\"quantization_config\":{\"quant_method\":\"aqlm\"}}",
        "{\"quantization_config\":{\"quant_method\":\"mxfp4\"}}",
        "{\"quantization_config\":{\"bits\":4}}"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        CHECK(zx_put_file(folder, "config.json", fine[i]));
        CHECK_ON(fine[i], zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
        zx_checkpoint_close(checkpoint);
    }
}

TEST(foreign_refuses_methods)
{
    zx_with_folder(refuses_methods);
}

/* -------- AWQ and GPTQ -------- */

enum { ROWS = 8, COLUMNS = 64, GROUPS = 2 };

/* One module of them: what its tensors hold. */
typedef struct packed {
    uint32_t codes[COLUMNS * ROWS / 8], zeros[GROUPS * ROWS / 8];
    int32_t order[COLUMNS];
    uint16_t scales[GROUPS * ROWS];
} packed;

static unsigned code_of(size_t row, size_t column)
{
    return (unsigned)(row * 5 + column * 3 + column / 16) & 15u;
}

static float scale_of(size_t row, size_t group)
{
    return (float)(1025 + 2 * row + 16 * group) / 1024; /* 11 bits */
}

/* Codes as AutoAWQ packs them: the rows 0 to 7 lie at the places 0 4 1 5 2 6 3 7. */
static void pack_awq(packed *module, unsigned zero)
{
    static const unsigned places[] = {0, 4, 1, 5, 2, 6, 3, 7};
    *module = (packed){0};
    for (size_t column = 0; column < COLUMNS; column++)
        for (size_t row = 0; row < ROWS; row++)
            module->codes[column] |= code_of(row, column) << (4 * places[row]);
    for (size_t group = 0; group < GROUPS; group++)
        for (size_t row = 0; row < ROWS; row++) {
            const unsigned own = zero < 16 ? zero : (unsigned)(row + 3 * group) & 15u;
            module->zeros[group] |= own << (4 * places[row]);
            module->scales[group * ROWS + row] = zx_f32_to_f16(scale_of(row, group));
        }
}

/* As AutoGPTQ does: eight columns a word; zeros less 'less'. */
static void pack_gptq(packed *module, unsigned zero, unsigned less)
{
    *module = (packed){0};
    for (size_t column = 0; column < COLUMNS; column++) {
        module->order[column] = column < COLUMNS / GROUPS ? 0 : 1;
        for (size_t row = 0; row < ROWS; row++)
            module->codes[column / 8 * ROWS + row] |= code_of(row, column) << (column % 8 * 4);
    }
    for (size_t group = 0; group < GROUPS; group++)
        for (size_t row = 0; row < ROWS; row++) {
            const unsigned own = zero < 16 ? zero : (unsigned)(row + 3 * group + 1) & 15u;
            module->zeros[group] |= (own - less) << (row * 4);
            module->scales[group * ROWS + row] = zx_f32_to_f16(scale_of(row, group));
        }
}

static bool put_packed(const char *folder, const packed *module, bool awq, bool ordered)
{
    const size_t high = awq ? COLUMNS : COLUMNS / 8, wide = awq ? ROWS / 8 : ROWS;
    const zx_stored_tensor tensors[] = {
        tensor_of("m.qweight", ZX_I32, high, wide, module->codes),
        tensor_of("m.qzeros", ZX_I32, GROUPS, ROWS / 8, module->zeros),
        tensor_of("m.scales", ZX_F16, GROUPS, ROWS, module->scales),
        tensor_of("m.bias", ZX_F16, 0, ROWS, module->scales),
        tensor_of("m.g_idx", ZX_I32, 0, COLUMNS, module->order),
    };
    return zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors,
                                ordered ? 5 : 4) == ZMLX_OK;
}

/* The module's weight has that dtype T, and the values RN_T((code - zero) * scale). */
static bool holds(const char *folder, zx_dtype dtype, unsigned zero, unsigned first)
{
    zx_checkpoint *checkpoint = NULL;
    zx_weight weight;
    float values[COLUMNS];
    if (zx_checkpoint_open(folder, &checkpoint) != ZMLX_OK) return false;
    bool good = zx_checkpoint_weight(checkpoint, "m", ROWS, COLUMNS, &weight) == ZMLX_OK &&
                zx_checkpoint_make(checkpoint, 1) == ZMLX_OK;
    good = good && weight.format == ZX_FORMAT_AFFINE && weight.dtype == dtype &&
           weight.group == 32 && weight.bits == 4 && weight.bias != NULL &&
           zx_checkpoint_count(checkpoint) == 4 && zx_checkpoint_bits(checkpoint, "m") == 4 &&
           json_object_get(zx_checkpoint_config(checkpoint), "quantization_config") == NULL;
    for (size_t row = 0; good && row < ROWS; row++) {
        zx_formats[weight.format].decode(&weight, row, 0, COLUMNS, values);
        for (size_t i = 0; i < COLUMNS; i++) {
            const size_t group = i / 32;
            const unsigned own = zero < 16 ? zero : (unsigned)(row + 3 * group + first) & 15u;
            const float value = (float)((int)code_of(row, i) - (int)own) * scale_of(row, group);
            good = good && values[i] == zx_round_to(dtype, value);
        }
    }
    zx_checkpoint_close(checkpoint);
    return good;
}

#define AWQ_CONFIG  "{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,"
#define GPTQ_CONFIG "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,"
enum { OWN_ZEROS = 16 };

static void reads_awq(const char *folder)
{
    packed module;
    CHECK(zx_put_file(folder, "config.json", AWQ_CONFIG "\"version\":\"gemm\"}}"));
    pack_awq(&module, OWN_ZEROS); /* 15 * 1025 / 1024 is no f16 */
    CHECK(put_packed(folder, &module, true, false));
    CHECK(holds(folder, ZX_F32, OWN_ZEROS, 0));
    pack_awq(&module, 8);
    CHECK(put_packed(folder, &module, true, false));
    CHECK(holds(folder, ZX_F16, 8, 0));
    /* a word of AutoAWQ's, by hand: rows 0 to 7 have the codes 0 to 7 */
    for (size_t i = 0; i < COLUMNS; i++) module.codes[i] = 0x75316420;
    CHECK(put_packed(folder, &module, true, false));
    zx_checkpoint *checkpoint = NULL;
    CHECK(zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
    const zx_stored_tensor *weight = zx_checkpoint_find(checkpoint, "m.weight");
    const bool made = zx_checkpoint_make(checkpoint, 1) == ZMLX_OK;
    const bool found = made && weight != NULL && weight->data[0] == 0x00 &&
                       weight->data[7 * 32] == 0x77 && weight->data[3 * 32 + 31] == 0x33;
    zx_checkpoint_close(checkpoint);
    CHECK(found);
}

TEST(foreign_reads_awq)
{
    zx_with_folder(reads_awq);
}

static void reads_gptq(const char *folder)
{
    packed module;
    CHECK(zx_put_file(folder, "config.json", GPTQ_CONFIG "\"desc_act\":false}}"));
    static const char *const configs[] = {
        GPTQ_CONFIG "\"desc_act\":false,\"rotation\":null,\"checkpoint_format\":\"gptq_v2\"}}",
        GPTQ_CONFIG "\"desc_act\":false,\"format\":\"gptq_v2\"}}"};
    for (unsigned ordered = 0; ordered < 2; ordered++) {
        pack_gptq(&module, OWN_ZEROS, 0);
        CHECK(put_packed(folder, &module, false, ordered != 0));
        CHECK(zx_put_file(folder, "config.json", configs[ordered]));
        CHECK(holds(folder, ZX_F32, OWN_ZEROS, 1));
        /* as GPTQModel makes "gptq" of it: a zero of 0 borrows from the next */
        for (size_t i = 0; i < GROUPS * ROWS / 8; i++) module.zeros[i] -= 0x11111111;
        CHECK(put_packed(folder, &module, false, ordered != 0));
        CHECK(zx_put_file(folder, "config.json", GPTQ_CONFIG "\"desc_act\":false}}"));
        CHECK(holds(folder, ZX_F32, OWN_ZEROS, 1));
    }
    pack_gptq(&module, 8, 1); /* every word of zeros is 0x77777777, as in symmetric files */
    CHECK(module.zeros[0] == 0x77777777);
    CHECK(zx_put_file(folder, "config.json", GPTQ_CONFIG "\"desc_act\":true}}"));
    CHECK(put_packed(folder, &module, false, true)); /* act-order that left the order as it was */
    CHECK(holds(folder, ZX_F16, 8, 0));
}

TEST(foreign_reads_gptq)
{
    zx_with_folder(reads_gptq);
}

/* Three bits, of which two codes of 32 lie in two words; zeros too. */
enum { THREE_ROWS = 32 };

typedef struct three {
    uint32_t codes[COLUMNS * 3 / 32 * THREE_ROWS], zeros[GROUPS * THREE_ROWS * 3 / 32];
    uint16_t scales[GROUPS * THREE_ROWS];
} three;

/* As AutoGPTQ writes each of the 32: ten in a word, the eleventh across two, ten, one, ten. */
static void put_three(uint32_t words[3], size_t stride, size_t index, uint32_t code)
{
    if (index < 10)
        words[0] |= code << (3 * index);
    else if (index == 10) {
        words[0] |= code << 30;
        words[stride] |= code >> 2 & 1u;
    } else if (index < 21)
        words[stride] |= code << (3 * (index - 11) + 1);
    else if (index == 21) {
        words[stride] |= code << 31;
        words[2 * stride] |= code >> 1 & 3u;
    } else
        words[2 * stride] |= code << (3 * (index - 22) + 2);
}

static unsigned three_code(size_t row, size_t column)
{
    return (unsigned)(row * 3 + column * 5 + column / 8) & 7u;
}

static bool put_gptq_three(const char *folder, const char *format)
{
    three module = {0};
    char config[200];
    for (size_t row = 0; row < THREE_ROWS; row++) {
        for (size_t column = 0; column < COLUMNS; column++)
            put_three(&module.codes[column / 32 * 3 * THREE_ROWS + row], THREE_ROWS, column % 32,
                      three_code(row, column));
        for (size_t group = 0; group < GROUPS; group++) {
            put_three(&module.zeros[group * 3], 1, row, (uint32_t)(row + group) & 7u);
            module.scales[group * THREE_ROWS + row] = zx_f32_to_f16(scale_of(row, group));
        }
    }
    const zx_stored_tensor tensors[] = {
        tensor_of("m.qweight", ZX_I32, COLUMNS * 3 / 32, THREE_ROWS, module.codes),
        tensor_of("m.qzeros", ZX_I32, GROUPS, THREE_ROWS * 3 / 32, module.zeros),
        tensor_of("m.scales", ZX_F16, GROUPS, THREE_ROWS, module.scales),
    };
    (void)snprintf(config, sizeof config,
                   "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":3,"
                   "\"checkpoint_format\":\"%s\"}}",
                   format);
    return zx_put_file(folder, "config.json", config) &&
           zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors, 3) == ZMLX_OK;
}

static bool holds_three(const zx_checkpoint *checkpoint, unsigned more)
{
    zx_weight weight;
    float values[COLUMNS];
    if (zx_checkpoint_weight(checkpoint, "m", THREE_ROWS, COLUMNS, &weight) != ZMLX_OK ||
        zx_checkpoint_make(checkpoint, 1) != ZMLX_OK)
        return false;
    bool good = weight.bits == 3 && weight.group == 32 && weight.dtype == ZX_F32;
    for (size_t row = 0; good && row < THREE_ROWS; row++) {
        zx_formats[weight.format].decode(&weight, row, 0, COLUMNS, values);
        for (size_t i = 0; i < COLUMNS; i++) {
            const int zero = (int)((row + i / 32 + more) & 7u);
            good = good &&
                   values[i] == (float)((int)three_code(row, i) - zero) * scale_of(row, i / 32);
        }
    }
    return good;
}

static void reads_three(const char *folder)
{
    static const char *const formats[] = {"gptq_v2", "gptq"};
    for (unsigned i = 0; i < 2; i++) {
        zx_checkpoint *checkpoint = NULL;
        CHECK(put_gptq_three(folder, formats[i]));
        if (zx_checkpoint_open(folder, &checkpoint) != ZMLX_OK) return;
        const bool good = holds_three(checkpoint, i);
        zx_checkpoint_close(checkpoint);
        CHECK_ON(formats[i], good);
    }
}

TEST(foreign_reads_gptq_of_three_bits)
{
    zx_with_folder(reads_three);
}

static void refuses_packed(const char *folder)
{
    static const struct {
        const char *config, *message;
        bool awq, ordered;
    } rows[] = {
        {AWQ_CONFIG "\"version\":\"gemv\"}}", "config key 'quantization_config.version' is the",
         true, false},
        {AWQ_CONFIG "\"format\":\"gemv\"}}", "config key 'quantization_config.format' is the", true,
         false},
        {AWQ_CONFIG "\"version\":\"gemm\",\"backend\":\"llm-awq\"}}",
         "config key 'quantization_config.backend' is the string 'llm-awq'", true, false},
        {"{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":8}}",
         "config key 'quantization_config.bits' is 8; expected 4", true, false},
        {"{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":5}}",
         "config key 'quantization_config.bits' is 5; expected 2, 3, 4 or 8", false, true},
        {GPTQ_CONFIG "\"checkpoint_format\":\"marlin\"}}",
         "config key 'quantization_config.checkpoint_format' is the", false, true},
        {GPTQ_CONFIG "\"format\":\"bitblas\"}}", "config key 'quantization_config.format' is the",
         false, true},
        {GPTQ_CONFIG "\"rotation\":\"hadamard\"}}",
         "config key 'quantization_config.rotation' is the string 'hadamard'", false, true},
        {GPTQ_CONFIG "\"desc_act\":true}}",
         "module 'm': 'g_idx' puts columns into groups out of order", false, true},
        {GPTQ_CONFIG "\"desc_act\":true}}", "module 'm': 'desc_act' is true, but 'g_idx'", false,
         false},
        {AWQ_CONFIG "\"version\":\"gemm\"}}", "tensor 'm.scales' is F16 [2, 8]; expected", false,
         false},
    };
    packed module;
    zx_checkpoint *checkpoint = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pack_gptq(&module, 8, 1);
        module.order[3] = 1;
        CHECK(zx_put_file(folder, "config.json", rows[i].config));
        CHECK(put_packed(folder, &module, rows[i].awq, rows[i].ordered));
        const zmlx_status status = zx_checkpoint_open(folder, &checkpoint);
        if (status == ZMLX_OK) zx_checkpoint_close(checkpoint);
        CHECK_ON(rows[i].message, status != ZMLX_OK);
        CHECK_ON(rows[i].message, says(rows[i].message));
    }
}

/* Matrices of no value and 2^58 rows: nothing to read, and much to count. */
static void refuses_empty(const char *folder)
{
    static const char header[] =
        "{\"m.qweight\":{\"dtype\":\"I32\",\"shape\":[0,288230376151711744],"
        "\"data_offsets\":[0,0]},"
        "\"m.qzeros\":{\"dtype\":\"I32\",\"shape\":[0,36028797018963968],\"data_offsets\":[0,0]},"
        "\"m.scales\":{\"dtype\":\"F16\",\"shape\":[0,288230376151711744],"
        "\"data_offsets\":[0,0]}}";
    zx_checkpoint *checkpoint = NULL;
    CHECK(zx_put_file(folder, "config.json", GPTQ_CONFIG "\"desc_act\":false}}"));
    CHECK(put_header(folder, header, 0));
    CHECK(zx_checkpoint_open(folder, &checkpoint) != ZMLX_OK);
    CHECK(says("'qweight' or 'scales' holds no value"));
}

TEST(foreign_refuses_weights_without_values)
{
    zx_with_folder(refuses_empty);
}

TEST(foreign_refuses_bad_packed_weights)
{
    zx_with_folder(refuses_packed);
}

/* -------- compressed-tensors' integers -------- */

/* Four bits: words along the columns, zeros (if any) packed along the rows; scales [rows, groups].
 */
static bool put_integers(const char *folder, const char *format, unsigned zero, int64_t columns)
{
    packed module = {0};
    const int64_t shape[] = {ROWS, columns};
    char config[160];
    for (size_t row = 0; row < ROWS; row++) {
        for (size_t column = 0; column < COLUMNS; column++)
            module.codes[row * COLUMNS / 8 + column / 8] |= code_of(row, column)
                                                            << (column % 8 * 4);
        for (size_t group = 0; group < GROUPS; group++) {
            module.scales[row * GROUPS + group] = zx_f32_to_f16(scale_of(row, group));
            module.zeros[group] |= ((unsigned)(row + 3 * group) & 15u) << (row * 4);
        }
    }
    const zx_stored_tensor tensors[] = {
        tensor_of("m.weight_packed", ZX_I32, ROWS, COLUMNS / 8, module.codes),
        tensor_of("m.weight_scale", ZX_F16, ROWS, GROUPS, module.scales),
        tensor_of("m.weight_shape", ZX_I64, 0, 2, shape),
        tensor_of("m.bias", ZX_F16, 0, ROWS, module.scales),
        tensor_of("m.weight_zero_point", ZX_I32, ROWS / 8, GROUPS, module.zeros),
    };
    (void)snprintf(config, sizeof config, INTEGER_CONFIG, format);
    return zx_put_file(folder, "config.json", config) &&
           zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors,
                                zero == OWN_ZEROS ? 5 : 4) == ZMLX_OK;
}

static void reads_integers(const char *folder)
{
    zx_checkpoint *checkpoint = NULL;
    CHECK(put_integers(folder, "pack-quantized", 8, COLUMNS));
    CHECK(holds(folder, ZX_F16, 8, 0));
    CHECK(put_integers(folder, "pack-quantized", OWN_ZEROS, COLUMNS));
    CHECK(holds(folder, ZX_F32, OWN_ZEROS, 0));
    CHECK(put_integers(folder, "pack-quantized", 8, COLUMNS + 1));
    CHECK(zx_checkpoint_open(folder, &checkpoint) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("module 'm': 'weight_packed' has not 2, 3, 4, 5, 6 or 8 bits for each column"));
    CHECK(put_integers(folder, "nvfp4-pack-quantized", 8, COLUMNS));
    CHECK(zx_checkpoint_open(folder, &checkpoint) != ZMLX_OK);
    CHECK(says("config key 'quantization_config.format' is the string 'nvfp4-pack-quantized'"));
}

TEST(foreign_reads_compressed_integers)
{
    zx_with_folder(reads_integers);
}

/* -------- when and how values are made -------- */

/* Rows for several parts, the last of them short, and for a last tile of one word. */
enum { MANY = 2 * ZX_FOREIGN_STEP + 8 };

static uint32_t many_word(size_t word, size_t salt)
{
    return (uint32_t)((word + 1) * 2654435761u + salt * 40503u);
}

static unsigned nibble(uint32_t word, size_t place)
{
    return word >> (4 * place) & 15u;
}

typedef struct many {
    uint32_t codes[COLUMNS * MANY / 8], zeros[GROUPS * MANY / 8];
    uint16_t scales[GROUPS * MANY];
} many;

static bool put_many(const char *folder, many *module, bool awq)
{
    const size_t high = awq ? COLUMNS : COLUMNS / 8, wide = awq ? MANY / 8 : MANY;
    for (size_t i = 0; i < COLUMNS * MANY / 8; i++) module->codes[i] = many_word(i, 1);
    for (size_t i = 0; i < GROUPS * MANY / 8; i++) module->zeros[i] = many_word(i, 2);
    for (size_t i = 0; i < GROUPS * MANY; i++)
        module->scales[i] = zx_f32_to_f16((float)(1025 + i % 900) / 1024);
    const zx_stored_tensor tensors[] = {
        tensor_of("m.qweight", ZX_I32, high, wide, module->codes),
        tensor_of("m.qzeros", ZX_I32, GROUPS, MANY / 8, module->zeros),
        tensor_of("m.scales", ZX_F16, GROUPS, MANY, module->scales),
    };
    return zx_put_file(folder, "config.json",
                       awq ? AWQ_CONFIG "\"x\":0}}" : GPTQ_CONFIG "\"x\":0}}") &&
           zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors, 3) == ZMLX_OK;
}

/* (code - zero) * scale by the formula of the format. */
static float many_value(const many *module, bool awq, size_t row, size_t column)
{
    static const size_t places[] = {0, 4, 1, 5, 2, 6, 3, 7};
    const size_t group = column / 32, place = awq ? places[row % 8] : row % 8;
    const uint32_t ones = awq ? 0 : 0x11111111;
    const unsigned zero = nibble(module->zeros[group * MANY / 8 + row / 8] + ones, place);
    const unsigned code = awq ? nibble(module->codes[column * MANY / 8 + row / 8], place)
                              : nibble(module->codes[column / 8 * MANY + row], column % 8);
    return (float)((int)code - (int)zero) * zx_f16_to_f32(module->scales[group * MANY + row]);
}

static bool holds_many(const zx_checkpoint *checkpoint, const many *module, bool awq)
{
    zx_weight weight;
    float values[COLUMNS];
    if (zx_checkpoint_weight(checkpoint, "m", MANY, COLUMNS, &weight) != ZMLX_OK) return false;
    for (size_t row = 0; row < MANY; row++) {
        zx_formats[weight.format].decode(&weight, row, 0, COLUMNS, values);
        for (size_t i = 0; i < COLUMNS; i++)
            if (values[i] != many_value(module, awq, row, i)) return false;
    }
    return true;
}

static void makes_once(const char *folder)
{
    static many module;
    for (size_t i = 0; i < 4; i++) {
        const bool awq = i % 2 == 0;
        zx_checkpoint *checkpoint = NULL;
        CHECK(put_many(folder, &module, awq));
        if (zx_checkpoint_open(folder, &checkpoint) != ZMLX_OK) return;
        const zx_stored_tensor *codes = zx_checkpoint_find(checkpoint, "m.weight");
        const bool unmade = zx_checkpoint_made(checkpoint) == 0 && codes->data[0] == 0 &&
                            codes->data[codes->bytes / 2] == 0;
        const bool made = zx_checkpoint_make(checkpoint, i < 2 ? 1 : 3) == ZMLX_OK;
        const bool holds = made && holds_many(checkpoint, &module, awq);
        const bool sized = zx_checkpoint_made(checkpoint) >= COLUMNS * MANY / 2;
        if (made) ((uint8_t *)(uintptr_t)codes->data)[0] ^= 1; /* to see whether it is made anew */
        const bool once = made && zx_checkpoint_make(checkpoint, 1) == ZMLX_OK &&
                          !holds_many(checkpoint, &module, awq);
        zx_checkpoint_close(checkpoint);
        CHECK(unmade);
        if (!made) return;
        CHECK(holds && sized && once);
    }
}

TEST(foreign_values_are_made_once_and_later)
{
    zx_with_folder(makes_once);
}
