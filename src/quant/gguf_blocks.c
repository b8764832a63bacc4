/* gguf_blocks.c - GGUF's blocks of 32 values, each with its own scale:
 *   q4_0   f16 d            16 bytes: value i in the low nibble of byte i, 16 + i in the high one
 *   q4_1   f16 d, f16 min   the same nibbles
 *   q8_0   f16 d            32 signed bytes */
#include "base/fail.h"
#include "quant/families.h"

enum { BLOCK = 32 };

zmlx_status zx_block_check(const zx_weight *weight)
{
    return zx_check_rows(weight, zx_weight_row_bytes(weight), 0);
}

void zx_block_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                    float *bias)
{
    const size_t blocks = zx_weight_groups(weight);
    const size_t bytes = blocks > 0 ? zx_weight_row_bytes(weight) / blocks : 0;
    const uint8_t *block = weight->codes + row * weight->codes_stride + group * bytes;
    const uint8_t *packed = block + (weight->format == ZX_FORMAT_Q4_1 ? 4 : 2);
    *scale = zx_f16_to_f32(zx_load_u16(block));
    *bias = weight->format == ZX_FORMAT_Q4_1 ? zx_f16_to_f32(zx_load_u16(block + 2)) : 0.0F;
    if (weight->format == ZX_FORMAT_Q8_0) {
        for (size_t i = 0; i < BLOCK; i++) codes[i] = packed[i] ^ 0x80u; /* q + 128 */
        return;
    }
    for (size_t i = 0; i < BLOCK / 2; i++) {
        codes[i] = packed[i] & 0xfu;
        codes[BLOCK / 2 + i] = (uint8_t)(packed[i] >> 4);
    }
}

void zx_block_decode(const zx_weight *weight, size_t row, size_t first, size_t count, float *values)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    uint8_t codes[BLOCK];
    for (size_t i = 0; i < count; i += BLOCK) {
        float scale, bias;
        zx_block_codes(weight, row, (first + i) / BLOCK, codes, &scale, &bias);
        for (size_t j = 0; j < BLOCK; j++) {
            float value = (float)(codes[j] - traits->zero) * scale;
            if (traits->integer == ZX_INTEGER_AFFINE) value = value + bias;
            values[i + j] = zx_round_to(weight->dtype, value);
        }
    }
}
