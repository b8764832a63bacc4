/* compressed_test.c - compressed-tensors' integers of 8 bits, a byte each. */
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
