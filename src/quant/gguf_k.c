/* gguf_k.c - GGUF's blocks of 256 values ("K"), whose groups have integer scales of their own
 * beside the block's f16 d (and dmin).  A group's scale is d times its own, its bias minus dmin
 * times its own minimum; both are exact in f32.
 *
 *   q2_k   16 bytes: scale and minimum of a group of 16 in the low and the high nibble;
 *          64 bytes; d; dmin
 *   q3_k   32 bytes: bit j of byte i is set where 4 is not to be taken from value 32 j + i;
 *          64 bytes; 12 bytes: 16 scales of 6 bits, 32 too large; d
 *   q4_k   d; dmin; 12 bytes: 8 scales and 8 minimums of 6 bits, of groups of 32; 128 bytes
 *   q5_k   d; dmin; the same 12 bytes; 32 bytes: bit j of byte i is bit 4 of value 32 j + i;
 *          128 bytes
 *   q6_k   128 bytes: the low four bits; 64 bytes: the high two; 16 signed scales; d
 *
 * Two bits: of each 128 values, value 32 j + i is in bits 2 j of byte i.  Nibbles: of each 64
 * values (of q6_k 128 values), the first half is in the low nibbles, the second in the high ones.
 */
#include "quant/families.h"

static float half_at(const uint8_t *bytes)
{
    return zx_f16_to_f32(zx_load_u16(bytes));
}

void zx_q2_k_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                   float *bias)
{
    const uint8_t *const block = zx_block_at(weight, row, group);
    const size_t at = group % 16;
    const uint8_t *const packed = block + 16 + at / 8 * 32 + at % 2 * 16;
    const unsigned shift = (unsigned)(at % 8 / 2 * 2);
    *scale = half_at(block + 80) * (float)(block[at] & 0xfu);
    *bias = -(half_at(block + 82) * (float)(block[at] >> 4));
    for (size_t i = 0; i < 16; i++) codes[i] = packed[i] >> shift & 3u;
}

void zx_q3_k_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                   float *bias)
{
    const uint8_t *const block = zx_block_at(weight, row, group), *const scales = block + 96;
    const size_t at = group % 16;
    const uint8_t *const packed = block + 32 + at / 8 * 32 + at % 2 * 16;
    const uint8_t *const high = block + at % 2 * 16;
    const unsigned shift = (unsigned)(at % 8 / 2 * 2), bit = (unsigned)(at / 2);
    const unsigned low = scales[at % 8] >> at / 8 * 4 & 0xfu,
                   top = scales[8 + at % 4] >> at / 4 * 2;
    *scale = half_at(block + 108) * (float)((int)(low | (top & 3u) << 4) - 32);
    *bias = 0;
    for (size_t i = 0; i < 16; i++)
        codes[i] = (uint8_t)((packed[i] >> shift & 3u) | (high[i] >> bit & 1u) << 2);
}

/* Also those of q5_k. */
void zx_q4_k_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                   float *bias)
{
    const bool five = weight->format == ZX_FORMAT_Q5_K;
    const uint8_t *const block = zx_block_at(weight, row, group), *const scales = block + 4;
    const size_t at = group % 8;
    const uint8_t *const packed = block + (five ? 48 : 16) + at / 2 * 32;
    unsigned own = scales[at % 4] & 63u, minimum = scales[4 + at % 4] & 63u;
    if (at >= 4) {
        own = (scales[4 + at] & 0xfu) | (unsigned)scales[at - 4] >> 6 << 4;
        minimum = (unsigned)scales[4 + at] >> 4 | (unsigned)scales[at] >> 6 << 4;
    }
    *scale = half_at(block) * (float)own;
    *bias = -(half_at(block + 2) * (float)minimum);
    for (size_t i = 0; i < 32; i++) codes[i] = packed[i] >> at % 2 * 4 & 0xfu;
    for (size_t i = 0; five && i < 32; i++)
        codes[i] = (uint8_t)(codes[i] | (block[16 + i] >> at & 1u) << 4);
}

void zx_q6_k_codes(const zx_weight *weight, size_t row, size_t group, uint8_t *codes, float *scale,
                   float *bias)
{
    const uint8_t *const block = zx_block_at(weight, row, group);
    const size_t at = group % 16, half = at / 8, quarter = at % 8 / 2, first = at % 2 * 16;
    const uint8_t *const low = block + half * 64 + quarter % 2 * 32 + first;
    const uint8_t *const high = block + 128 + half * 32 + first;
    const int own = block[192 + at] < 128 ? block[192 + at] : block[192 + at] - 256;
    *scale = half_at(block + 208) * (float)own;
    *bias = 0;
    for (size_t i = 0; i < 16; i++)
        codes[i] =
            (uint8_t)((low[i] >> quarter / 2 * 4 & 0xfu) | (high[i] >> quarter * 2 & 3u) << 4);
}
