/* gguf_tables.c - GGUF's blocks whose nibbles index a table of values.
 *   iq4_nl   f16 d   16 bytes: nibbles as in gguf_blocks.c, of int8 values that lie closer to 0
 *   iq4_xs   f16 d   u16: the high two bits of 8 scales; 4 bytes: their low four, 32 too large;
 *            128 bytes: nibbles of 8 groups of 32
 *   mxfp4_b  E8M0    16 bytes: E2M1.  MLX's mxfp4 (mx.c) orders nibbles otherwise, and there the
 *            scale 255 is infinity, here 2^128 (only its half is ever a float) */
#include "quant/families.h"

enum { GROUP = 32 };

static void look_up(const uint8_t *packed, const uint8_t table[16], uint8_t *codes)
{
    for (size_t i = 0; i < GROUP / 2; i++) {
        codes[i] = table[packed[i] & 0xfu];
        codes[GROUP / 2 + i] = table[packed[i] >> 4];
    }
}

/* Of both iq4_nl and iq4_xs. */
void zx_iq4_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                  float *bias)
{
    /* -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113, from the zero on */
    static const uint8_t table[16] = {0,   23,  44,  62,  78,  92,  105, 117,
                                      128, 140, 152, 165, 180, 196, 216, 240};
    const uint8_t *const block = zx_block_at(weight, row, group);
    const size_t at = group % 8;
    *scale = zx_f16_to_f32(zx_load_u16(block));
    *bias = 0;
    if (weight->format == ZX_FORMAT_IQ4_NL) {
        look_up(block + 2, table, codes);
        return;
    }
    const unsigned low = block[4 + at / 2] >> at % 2 * 4 & 0xfu;
    const unsigned high = zx_load_u16(block + 2) >> 2 * at & 3u;
    *scale *= (float)((int)(low | high << 4) - 32);
    look_up(block + 8 + at * GROUP / 2, table, codes);
}

void zx_mxfp4_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                    float *bias)
{
    static const uint8_t table[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};
    const uint8_t *const block = zx_block_at(weight, row, group);
    const uint32_t exponent = block[0];
    const uint32_t bits = exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23;
    *scale = zx_float_from_bits(bits); /* the half */
    *bias = 0;
    look_up(block + 1, table, codes);
}
