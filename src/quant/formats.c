/* formats.c - the table of weight formats, and what they all share. */
#include "base/checked.h"
#include "base/fail.h"
#include "quant/families.h"

const zx_format_traits zx_formats[ZX_FORMAT_COUNT] = {
#define FORMAT(id, name, group, bits, integer, zero, block, bytes, at, family, codes, encode) \
    {name,  group, bits, ZX_INTEGER_##integer, zero,                                          \
     block, bytes, at,   zx_##family##_check,  zx_##family##_decode,                          \
     codes, encode},
#include "quant/formats.def"
#undef FORMAT
};

zmlx_status zx_weight_check(const zx_weight *weight)
{
    if ((unsigned)weight->format >= ZX_FORMAT_COUNT)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "weight format %d: unknown", (int)weight->format);
    const zx_format_traits *traits = &zx_formats[weight->format];
    if (traits->group != 0 && weight->group != traits->group)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s weight: group size %u, not %u", traits->name,
                       weight->group, traits->group);
    if (traits->bits != 0 && weight->bits != traits->bits)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s weight: %u bits, not %u", traits->name, weight->bits,
                       traits->bits);
    if ((unsigned)weight->dtype >= ZX_DTYPE_COUNT || !zx_dtypes[weight->dtype].is_float)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s weight: values of dtype %d, not f32, f16 or bf16",
                       traits->name, (int)weight->dtype);
    size_t rows;
    if (!zx_multiply_fits(weight->count, weight->rows, &rows))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s weight: %zu matrices of %zu rows", traits->name,
                       weight->count, weight->rows);
    return traits->check(weight);
}

zmlx_status zx_check_rows(const zx_weight *weight, size_t code_bytes, size_t scale_bytes)
{
    const char *const name = zx_formats[weight->format].name;
    if (weight->group == 0 || weight->columns % weight->group != 0)
        return ZX_FAIL(ZMLX_ERROR_SHAPE, "%s weight: %zu columns are no multiple of the group, %u",
                       name, weight->columns, weight->group);
    if (weight->codes == NULL || weight->codes_stride < code_bytes)
        return ZX_FAIL(ZMLX_ERROR_SHAPE, "%s weight: %zu columns take %zu bytes a row, not %zu",
                       name, weight->columns, code_bytes, weight->codes_stride);
    if (scale_bytes > 0 && (weight->scales == NULL || weight->scales_stride < scale_bytes))
        return ZX_FAIL(ZMLX_ERROR_SHAPE, "%s weight: scales take %zu bytes a row, not %zu", name,
                       scale_bytes, weight->scales_stride);
    return ZMLX_OK;
}

zx_weight zx_weight_rows(const zx_weight *weight, size_t first, size_t rows)
{
    zx_weight part = *weight;
    part.count = 1;
    part.rows = rows;
    part.codes += first * weight->codes_stride;
    if (weight->scales != NULL) part.scales += first * weight->scales_stride;
    if (weight->biases != NULL) part.biases += first * weight->scales_stride;
    if (weight->bias != NULL)
        part.bias = (const char *)weight->bias + first * zx_dtypes[weight->bias_dtype].bytes;
    return part;
}

zx_weight zx_weight_of_floats(const float *values, size_t columns)
{
    return (zx_weight){.format = ZX_FORMAT_F32,
                       .dtype = ZX_F32,
                       .bits = zx_formats[ZX_FORMAT_F32].bits,
                       .group = zx_formats[ZX_FORMAT_F32].group,
                       .count = 1,
                       .rows = 1,
                       .columns = columns,
                       .codes = (const uint8_t *)values,
                       .codes_stride = columns * sizeof(float)};
}

zx_weight zx_weight_matrix(const zx_weight *weight, size_t index)
{
    if (weight->matrices == NULL) return zx_weight_rows(weight, index * weight->rows, weight->rows);
    zx_weight matrix = weight->matrices[index];
    matrix.mlx_cpu_decode = weight->mlx_cpu_decode;
    return matrix;
}

size_t zx_weight_row_bytes(const zx_weight *weight)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    if (traits->block > 0) return weight->columns / traits->block * traits->block_bytes;
    return weight->columns * weight->bits / 8;
}

size_t zx_weight_bytes(const zx_weight *weight)
{
    size_t scale = 0; /* bytes per group, outside the codes */
    if (weight->format == ZX_FORMAT_AFFINE)
        scale = 2 * zx_dtypes[weight->dtype].bytes;
    else if (weight->scales != NULL)
        scale = 1;
    const size_t rows = weight->count * weight->rows;
    return rows * (zx_weight_row_bytes(weight) + scale * zx_weight_groups(weight));
}

zx_activation_layout zx_weight_layout(const zx_weight *weight, zx_precision precision)
{
    if (precision == ZX_PRECISION_F32 || zx_formats[weight->format].integer == ZX_INTEGER_NONE)
        return (zx_activation_layout){0};
    /* blocks keep a group's first half in the low nibbles, MLX's words every even column */
    const bool packed_pairs = weight->bits == 4 && zx_formats[weight->format].block == 0;
    return (zx_activation_layout){.planes = precision == ZX_PRECISION_Q8 ? 1 : 2,
                                  .order = packed_pairs ? ZX_ORDER_EVEN_ODD : ZX_ORDER_NATURAL,
                                  .group = weight->group};
}
