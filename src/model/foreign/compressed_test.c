/* compressed_test.c - compressed-tensors' integers: a byte each, and packed without gaps. */
#include "model/foreign/foreign_testing.h"

enum { ROWS = 8, COLUMNS = 64, GROUPS = 2 };

typedef struct byte_case {
    size_t rank, high, wide; /* of the scales */
    bool zeros;
    zx_dtype dtype; /* of the weight's scales */
    const char *message;
} byte_case;

static const byte_case byte_cases[] = {
    {2, ROWS, GROUPS, false, ZX_F16, NULL}, /* 128 * scale is exact */
    {2, ROWS, GROUPS, true, ZX_F32, NULL},
    {2, ROWS, 1, false, ZX_F16, NULL},
    {2, ROWS, 1, true, ZX_F32, NULL},
    {1, ROWS, 1, true, ZX_F32, NULL},
    {1, 1, 1, true, ZX_F32, NULL},
    {2, ROWS - 1, 1, false, ZX_F16, "module 'm': 'weight_scale' is not F32, F16 or BF16 with one"},
    {2, ROWS, 4, false, ZX_F16, "module 'm': its groups of columns are not made of whole ones"},
};

static int byte_of(size_t row, size_t column)
{
    return (int)((row * 37 + column * 11) % 256) - 128;
}

static int byte_zero(const byte_case *row, size_t at)
{
    return row->zeros ? (int)((at * 29 + 5) % 256) - 128 : 0;
}

static bool put_bytes(const char *folder, const byte_case *row)
{
    int8_t codes[ROWS * COLUMNS], zeros[ROWS * 4];
    uint16_t scales[ROWS * 4];
    const float input = 1.0F;
    for (size_t i = 0; i < (size_t)ROWS * COLUMNS; i++)
        codes[i] = (int8_t)byte_of(i / COLUMNS, i % COLUMNS);
    for (size_t i = 0; i < row->high * row->wide; i++) {
        scales[i] = zx_f32_to_f16((float)(1025 + 3 * i) / 1024);
        zeros[i] = (int8_t)byte_zero(row, i);
    }
    const size_t high = row->rank == 2 ? row->high : 0,
                 wide = row->rank == 2 ? row->wide : row->high;
    const zx_stored_tensor tensors[] = {
        tensor_of("m.weight", ZX_I8, ROWS, COLUMNS, codes),
        tensor_of("m.weight_scale", ZX_F16, high, wide, scales),
        tensor_of("m.input_scale", ZX_F32, 0, 1, &input),
        tensor_of("m.weight_zero_point", ZX_I8, high, wide, zeros),
    };
    char config[160];
    (void)snprintf(config, sizeof config, INTEGER_CONFIG, "int-quantized");
    return zx_put_file(folder, "config.json", config) &&
           zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors,
                                row->zeros ? 4 : 3) == ZMLX_OK;
}

/* (code - zero) * scale */
static bool holds_bytes(const zx_checkpoint *checkpoint, const byte_case *row)
{
    zx_weight weight;
    float values[COLUMNS];
    if (zx_checkpoint_weight(checkpoint, "m", ROWS, COLUMNS, &weight) != ZMLX_OK ||
        zx_checkpoint_make(checkpoint, 1) != ZMLX_OK)
        return false;
    bool good = weight.format == ZX_FORMAT_AFFINE && weight.bits == 8 &&
                weight.dtype == row->dtype && zx_checkpoint_count(checkpoint) == 3;
    for (size_t r = 0; good && r < ROWS; r++) {
        zx_formats[weight.format].decode(&weight, r, 0, COLUMNS, values);
        for (size_t i = 0; i < COLUMNS; i++) {
            const size_t at = row->high == 1 ? 0 : r * row->wide + i / (COLUMNS / row->wide);
            const float value =
                (float)(byte_of(r, i) - byte_zero(row, at)) * ((float)(1025 + 3 * at) / 1024);
            good = good && values[i] == zx_round_to(row->dtype, value);
        }
    }
    return good;
}

static void reads_bytes(const char *folder)
{
    for (size_t i = 0; i < sizeof byte_cases / sizeof *byte_cases; i++) {
        const byte_case *row = &byte_cases[i];
        zx_checkpoint *checkpoint = NULL;
        char name[24];
        (void)snprintf(name, sizeof name, "case %zu", i);
        CHECK_ON(name, put_bytes(folder, row));
        const zmlx_status status = zx_checkpoint_open(folder, &checkpoint);
        const bool good = status == ZMLX_OK && holds_bytes(checkpoint, row);
        if (status == ZMLX_OK) zx_checkpoint_close(checkpoint);
        CHECK_ON(name, row->message != NULL ? status != ZMLX_OK && says(row->message) : good);
    }
}

TEST(foreign_reads_compressed_bytes)
{
    zx_with_folder(reads_bytes);
}

/* -------- packed without gaps -------- */

enum { HIGH = 40 }; /* rows */

typedef struct gapless_case {
    unsigned bits;
    size_t groups; /* 0: one scale for all */
    bool zeros;
} gapless_case;

static const gapless_case gapless_cases[] = {
    {2, 2, true}, {3, 2, false}, {3, 2, true},  {5, 1, true},
    {6, 2, true}, {8, 2, true},  {4, 0, false}, {6, 0, false},
};

static unsigned gapless_code(const gapless_case *row, size_t at, size_t column)
{
    return (unsigned)(at * 7 + column * 5 + column / 9) & ((1u << row->bits) - 1);
}

/* A bit at a time: value number 'index' of words that are 'stride' apart. */
static void put_bits(uint32_t *words, size_t stride, unsigned bits, size_t index, unsigned value)
{
    for (size_t i = 0; i < bits; i++) {
        const size_t bit = index * bits + i;
        words[bit / 32 * stride] |= (value >> i & 1u) << bit % 32;
    }
}

static bool put_gapless(const char *folder, const gapless_case *row)
{
    static const int64_t shape[] = {HIGH, COLUMNS};
    const unsigned bits = row->bits;
    const size_t groups = row->groups > 0 ? row->groups : 1, words = COLUMNS * bits / 32;
    uint32_t codes[HIGH * COLUMNS / 4] = {0}, zeros[(HIGH / 4 + 1) * 2] = {0};
    float scales[HIGH * 2];
    char config[160];
    for (size_t r = 0; r < HIGH; r++) {
        for (size_t i = 0; i < COLUMNS; i++)
            put_bits(codes + r * words, 1, bits, i, gapless_code(row, r, i));
        for (size_t g = 0; g < groups; g++) {
            scales[r * groups + g] = (float)(1025 + 3 * (r + g)) / 1024;
            put_bits(zeros + g, groups, bits, r, gapless_code(row, r, g + 3));
        }
    }
    const zx_stored_tensor tensors[] = {
        tensor_of("m.weight_packed", ZX_I32, HIGH, words, codes),
        tensor_of("m.weight_scale", ZX_F32, row->groups > 0 ? HIGH : 0, groups, scales),
        tensor_of("m.weight_shape", ZX_I64, 0, 2, shape),
        tensor_of("m.weight_zero_point", ZX_I32, (HIGH * bits + 31) / 32, groups, zeros),
    };
    (void)snprintf(config, sizeof config, INTEGER_CONFIG, "pack-quantized");
    return zx_put_file(folder, "config.json", config) &&
           zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors,
                                row->zeros ? 4 : 3) == ZMLX_OK;
}

static bool holds_gapless(const zx_checkpoint *checkpoint, const gapless_case *row)
{
    zx_weight weight;
    float values[COLUMNS];
    if (zx_checkpoint_weight(checkpoint, "m", HIGH, COLUMNS, &weight) != ZMLX_OK ||
        zx_checkpoint_make(checkpoint, 1) != ZMLX_OK)
        return false;
    bool good = weight.format == ZX_FORMAT_AFFINE && weight.bits == row->bits;
    for (size_t r = 0; good && r < HIGH; r++) {
        zx_formats[weight.format].decode(&weight, r, 0, COLUMNS, values);
        for (size_t i = 0; i < COLUMNS; i++) {
            const size_t group = row->groups > 0 ? i / (COLUMNS / row->groups) : 0;
            const size_t at = row->groups > 0 ? r + group : 0;
            const unsigned zero =
                row->zeros ? gapless_code(row, r, group + 3) : 1u << (row->bits - 1);
            good = good && values[i] == (float)((int)gapless_code(row, r, i) - (int)zero) *
                                            ((float)(1025 + 3 * at) / 1024);
        }
    }
    return good;
}

static void reads_gapless(const char *folder)
{
    for (size_t i = 0; i < sizeof gapless_cases / sizeof *gapless_cases; i++) {
        const gapless_case *row = &gapless_cases[i];
        zx_checkpoint *checkpoint = NULL;
        char name[24];
        (void)snprintf(name, sizeof name, "case %zu", i);
        CHECK_ON(name, put_gapless(folder, row));
        const zmlx_status status = zx_checkpoint_open(folder, &checkpoint);
        const bool good = status == ZMLX_OK && holds_gapless(checkpoint, row);
        if (status == ZMLX_OK) zx_checkpoint_close(checkpoint);
        CHECK_ON(name, good);
    }
}

TEST(foreign_reads_compressed_integers_without_gaps)
{
    zx_with_folder(reads_gapless);
}

/* -------- transforms -------- */

#define TRANSFORM_CONFIG                                                                         \
    "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":"              \
    "\"pack-quantized\",\"transform_config\":{\"config_groups\":{\"R1\":{\"type\":\"hadamard\"," \
    "\"apply\":[{\"targets\":[\"Linear\"],\"location\":\"%s\"}]}}}}}"

/* Weights that were turned hold their values; activations would have to be turned too. */
static void judges_transforms(const char *folder)
{
    static const char *const locations[] = {"weight_input", "weight_output", "input", "q_attn"};
    for (size_t i = 0; i < 4; i++) {
        zx_checkpoint *checkpoint = NULL;
        char config[320];
        (void)snprintf(config, sizeof config, TRANSFORM_CONFIG, locations[i]);
        CHECK(put_gapless(folder, &gapless_cases[0]));
        CHECK(zx_put_file(folder, "config.json", config));
        const zmlx_status status = zx_checkpoint_open(folder, &checkpoint);
        if (status == ZMLX_OK) zx_checkpoint_close(checkpoint);
        CHECK_ON(locations[i], (status == ZMLX_OK) == (i < 2));
        CHECK_ON(locations[i],
                 i < 2 || says("config key 'quantization_config.transform_config' is an object"));
    }
}

TEST(foreign_refuses_transforms_of_activations)
{
    zx_with_folder(judges_transforms);
}
