/* gguf_blocks.c - GGUF's blocks of 32 values, each with its own scale; and what all its blocks
 * share.
 *
 *   q4_0   f16 d            16 bytes: value i in the low nibble of byte i, 16 + i in the high one
 *   q4_1   f16 d, f16 min   the same nibbles
 *   q5_0   f16 d            u32: bit i is bit 4 of value i; the same nibbles
 *   q5_1   f16 d, f16 min   the same bits and nibbles
 *   q8_0   f16 d            32 signed bytes
 *
 * Blocks of 256 values are in gguf_k.c, those whose codes index a table in
 * gguf_tables.c. */
#include "base/fail.h"
#include "quant/families.h"

enum { BLOCK = 32 };

zmlx_status zx_block_check(const zx_weight *weight)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    if (weight->columns % traits->block != 0)
        return ZX_FAIL(ZMLX_ERROR_SHAPE, "%s weight: %zu columns are no multiple of the block, %u",
                       traits->name, weight->columns, traits->block);
    return zx_check_rows(weight, zx_weight_row_bytes(weight), 0);
}

void zx_block_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                    float *bias)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    const uint8_t *const block = zx_block_at(weight, row, group);
    const bool affine = traits->integer == ZX_INTEGER_AFFINE;
    const uint8_t *packed = block + (affine ? 4 : 2), *const bits = packed;
    *scale = zx_f16_to_f32(zx_load_u16(block));
    *bias = affine ? zx_f16_to_f32(zx_load_u16(block + 2)) : 0.0F;
    if (traits->bits == 8) {
        for (size_t i = 0; i < BLOCK; i++) codes[i] = packed[i] ^ 0x80u; /* q + 128 */
        return;
    }
    if (traits->bits == 5) packed += BLOCK / 8;
    for (size_t i = 0; i < BLOCK / 2; i++) {
        codes[i] = packed[i] & 0xfu;
        codes[BLOCK / 2 + i] = (uint8_t)(packed[i] >> 4);
    }
    for (size_t i = 0; traits->bits == 5 && i < BLOCK; i++)
        codes[i] = (uint8_t)(codes[i] | (bits[i / 8] >> i % 8 & 1u) << 4);
}

void zx_block_decode(const zx_weight *weight, size_t row, size_t first, size_t count, float *values)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    const size_t size = traits->group;
    uint8_t codes[BLOCK];
    for (size_t i = 0; i < count; i += size) {
        float scale, bias;
        traits->codes(weight, row, (first + i) / size, codes, &scale, &bias);
        for (size_t j = 0; j < size; j++) {
            float value = (float)(codes[j] - traits->zero) * scale;
            if (traits->integer == ZX_INTEGER_AFFINE) value = value + bias;
            values[i + j] = zx_round_to(weight->dtype, value);
        }
    }
}
