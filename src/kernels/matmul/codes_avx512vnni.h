/* codes_avx512vnni.h - sixteen rows of a quantized weight as vectors whose lanes are rows.
 *
 * A unit is 32 columns (16 where the group is 16).  Every row gives 'bits' dwords per unit;
 * 16 bytes of 16 rows are loaded into four vectors, transposed so that a vector holds one dword of
 * each row, and spread into bytes: vector j holds four codes of each row, those that meet dword j
 * of the activations' plane.  Only the avx512vnni files include this. */
#ifndef ZX_KERNELS_MATMUL_CODES_AVX512VNNI_H
#define ZX_KERNELS_MATMUL_CODES_AVX512VNNI_H

#include <immintrin.h>

#include "quant/format.h"

enum { LANES = 16, UNIT_DWORDS = 8 };

/* How the codes of a unit are packed; a weight's format and bits decide (see kind_of). */
typedef enum code_kind {
    CODES_2,
    CODES_3,
    CODES_4, /* low nibbles, then high ones */
    CODES_5,
    CODES_6,
    CODES_8,
    CODES_8_SIGNED,
    CODES_E2M1,
    CODES_E2M1_16, /* a unit of 16 columns */
    CODE_KINDS,
} code_kind;

#define INLINE static inline __attribute__((always_inline))

INLINE __m128i load_dwords(const uint8_t *bytes, size_t count)
{
    if (count >= 4) return _mm_loadu_si128((const __m128i *)(const void *)bytes);
    return _mm_maskz_loadu_epi32((__mmask8)((1u << count) - 1), bytes);
}

/* 'count' (at most 4) dwords of rows 0, 4, 8 and 12, a row per 128-bit lane. */
INLINE __m512i load_four_rows(const uint8_t *bytes, size_t stride, size_t count)
{
    __m512i rows = _mm512_castsi128_si512(load_dwords(bytes, count));
    rows = _mm512_mask_broadcast_i32x4(rows, 0x00f0, load_dwords(bytes + 4 * stride, count));
    rows = _mm512_mask_broadcast_i32x4(rows, 0x0f00, load_dwords(bytes + 8 * stride, count));
    return _mm512_mask_broadcast_i32x4(rows, 0xf000, load_dwords(bytes + 12 * stride, count));
}

/* dwords[j]: dword j of each of 16 rows. */
INLINE void load_transposed(const uint8_t *bytes, size_t stride, size_t count, __m512i dwords[4])
{
    const __m512i r0 = load_four_rows(bytes, stride, count);
    const __m512i r1 = load_four_rows(bytes + stride, stride, count);
    const __m512i r2 = load_four_rows(bytes + 2 * stride, stride, count);
    const __m512i r3 = load_four_rows(bytes + 3 * stride, stride, count);
    const __m512i low01 = _mm512_unpacklo_epi32(r0, r1), low23 = _mm512_unpacklo_epi32(r2, r3);
    dwords[0] = _mm512_unpacklo_epi64(low01, low23);
    if (count > 1) dwords[1] = _mm512_unpackhi_epi64(low01, low23);
    if (count <= 2) return;
    const __m512i high01 = _mm512_unpackhi_epi32(r0, r1), high23 = _mm512_unpackhi_epi32(r2, r3);
    dwords[2] = _mm512_unpacklo_epi64(high01, high23);
    if (count > 3) dwords[3] = _mm512_unpackhi_epi64(high01, high23);
}

/* Four codes of 'bits' bits from bit 'at' of every row's bit string on. */
INLINE __m512i spread_bits(const __m512i *dwords, unsigned bits, unsigned at)
{
    const unsigned word = at / 32, shift = at % 32;
    __m512i source = dwords[word];
    unsigned first = shift;
    if (shift + 4 * bits > 32) {
        source = _mm512_or_si512(_mm512_srli_epi32(dwords[word], shift),
                                 _mm512_slli_epi32(dwords[word + 1], 32 - shift));
        first = 0;
    }
    const uint32_t low =
        first | (first + bits) << 8 | (first + 2 * bits) << 16 | (first + 3 * bits) << 24;
    const uint64_t control = (uint64_t)(low + 0x20202020u) << 32 | low;
    const __m512i bytes = _mm512_multishift_epi64_epi8(_mm512_set1_epi64((int64_t)control), source);
    return _mm512_and_si512(bytes, _mm512_set1_epi8((char)((1u << bits) - 1)));
}

/* 2 v + 12 for the value v of an E2M1 code. */
INLINE __m512i e2m1_codes(__m512i nibbles)
{
    const __m128i table = _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), nibbles);
}

INLINE size_t unit_columns(code_kind kind)
{
    return kind == CODES_E2M1_16 ? 16 : 32;
}

INLINE size_t unit_bytes(code_kind kind)
{
    static const uint8_t bytes[CODE_KINDS] = {8, 12, 16, 20, 24, 32, 32, 16, 8};
    return bytes[kind];
}

/* The codes of a unit: unit_columns / 4 vectors. */
INLINE void load_unit(code_kind kind, const uint8_t *bytes, size_t stride, __m512i *codes)
{
    const __m512i low = _mm512_set1_epi8(0x0f);
    const size_t dwords_of_row = unit_bytes(kind) / 4;
    __m512i dwords[UNIT_DWORDS];
    load_transposed(bytes, stride, dwords_of_row < 4 ? dwords_of_row : 4, dwords);
    if (dwords_of_row > 4) load_transposed(bytes + 16, stride, dwords_of_row - 4, dwords + 4);
    switch (kind) {
    case CODES_8:
    case CODES_8_SIGNED:
        for (size_t j = 0; j < 8; j++)
            codes[j] = kind == CODES_8 ? dwords[j]
                                       : _mm512_xor_si512(dwords[j], _mm512_set1_epi8((char)0x80));
        break;
    case CODES_4:
    case CODES_E2M1:
    case CODES_E2M1_16:
        for (size_t j = 0; j < dwords_of_row; j++) {
            codes[j] = _mm512_and_si512(dwords[j], low);
            codes[dwords_of_row + j] = _mm512_and_si512(_mm512_srli_epi32(dwords[j], 4), low);
        }
        if (kind == CODES_4) break;
        for (size_t j = 0; j < 2 * dwords_of_row; j++) codes[j] = e2m1_codes(codes[j]);
        break;
    case CODES_2:
    case CODES_3:
    case CODES_5:
    case CODES_6:
    case CODE_KINDS:
        for (unsigned j = 0; j < 8; j++) {
            const unsigned bits = (unsigned)dwords_of_row;
            codes[j] = spread_bits(dwords, bits, 4 * bits * j);
        }
        break;
    }
}

/* -------- scales: 16 rows, one f32 vector per group -------- */

INLINE __m512 f16_low_halves(__m512i dwords)
{
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(dwords));
}

/* The two 16-bit values in each dword. */
INLINE void store_halves(zx_dtype dtype, __m512i dwords, float *low, float *high)
{
    const __m512i upper = _mm512_srli_epi32(dwords, 16);
    if (dtype == ZX_F16) {
        _mm512_store_ps(low, f16_low_halves(dwords));
        _mm512_store_ps(high, f16_low_halves(upper));
    } else {
        _mm512_store_ps(low, _mm512_castsi512_ps(_mm512_slli_epi32(dwords, 16)));
        _mm512_store_ps(high, _mm512_castsi512_ps(_mm512_slli_epi32(upper, 16)));
    }
}

/* Half the value of the E8M0 or E4M3 byte in each dword's low byte. */
INLINE __m512 half_scale(bool e4m3, __m512i dwords)
{
    const __m512i byte = _mm512_and_si512(dwords, _mm512_set1_epi32(0xff));
    if (e4m3) {
        const __m512i magnitude = _mm512_and_si512(byte, _mm512_set1_epi32(0x7f));
        const __m512 value = f16_low_halves(_mm512_slli_epi32(magnitude, 7));
        const __m512i sign = _mm512_slli_epi32(_mm512_xor_si512(byte, magnitude), 24);
        return _mm512_castsi512_ps(_mm512_or_si512(
            _mm512_castps_si512(_mm512_mul_ps(value, _mm512_set1_ps(128.0F))), sign));
    }
    const __m512i zero = _mm512_set1_epi32(0x00400000); /* the code 0 is 2^-127 */
    const __mmask16 is_zero = _mm512_testn_epi32_mask(byte, byte);
    const __m512i bits = _mm512_mask_mov_epi32(_mm512_slli_epi32(byte, 23), is_zero, zero);
    return _mm512_mul_ps(_mm512_castsi512_ps(bits), _mm512_set1_ps(0.5F));
}

/* 'count' (at most 16) bytes of each of 16 rows, transposed. */
INLINE void load_bytes_transposed(const uint8_t *bytes, size_t stride, size_t count,
                                  __m512i dwords[4])
{
    uint8_t rows[LANES][16] __attribute__((aligned(64)));
    const __mmask16 mask = (__mmask16)((1u << count) - 1);
    if (count == 16) {
        load_transposed(bytes, stride, 4, dwords);
        return;
    }
    for (size_t row = 0; row < LANES; row++)
        _mm_store_si128((__m128i *)(void *)rows[row],
                        _mm_maskz_loadu_epi8(mask, bytes + row * stride));
    load_transposed(rows[0], sizeof rows[0], 4, dwords);
}

/* Scales (or biases) 'first' to 'first + groups' of 16 rows of the matrix at 'bytes' into
 * out[group][out_stride]. */
static inline void transpose_scales(const zx_weight *weight, const uint8_t *bytes, size_t first,
                                    size_t groups, size_t out_stride, float *out)
{
    const bool small_floats = weight->format != ZX_FORMAT_AFFINE;
    const size_t size = small_floats ? 1 : zx_dtypes[weight->dtype].bytes;
    const size_t per_load = 16 / size;
    float spare[LANES] __attribute__((aligned(64)));
    for (size_t done = 0; done < groups; done += per_load) {
        const size_t left = groups - done, count = left < per_load ? left : per_load;
        __m512i dwords[4];
        load_bytes_transposed(bytes + (first + done) * size, weight->scales_stride, count * size,
                              dwords);
        for (size_t i = 0; i < count; i++) {
            const __m512i four = dwords[i * size / 4];
            float *const at = out + (done + i) * out_stride;
            if (small_floats) {
                const __m512i one = _mm512_srl_epi32(four, _mm_cvtsi32_si128((int)(i % 4 * 8)));
                _mm512_store_ps(at, half_scale(weight->format == ZX_FORMAT_NVFP4, one));
            } else if (size == 4) {
                _mm512_store_ps(at, _mm512_castsi512_ps(four));
            } else {
                store_halves(weight->dtype, four, at, i + 1 < count ? at + out_stride : spare);
                i++;
            }
        }
    }
}

/* The scales (and minima) that stand in front of GGUF's blocks. */
static inline void gather_block_scales(const zx_weight *weight, const uint8_t *bytes,
                                       size_t block_bytes, size_t groups, size_t out_stride,
                                       float *scales, float *biases)
{
    const bool affine = weight->format == ZX_FORMAT_Q4_1;
    for (size_t group = 0; group < groups; group++, bytes += block_bytes) {
        uint32_t *const raw = (uint32_t *)(void *)(scales + group * out_stride);
        for (size_t row = 0; row < LANES; row++) {
            uint32_t value = 0;
            if (affine)
                memcpy(&value, bytes + row * weight->codes_stride, 4);
            else
                memcpy(&value, bytes + row * weight->codes_stride, 2);
            raw[row] = value;
        }
    }
    for (size_t group = 0; group < groups; group++) {
        float *const scale = scales + group * out_stride;
        const __m512i dwords = _mm512_load_si512(scale);
        if (affine)
            store_halves(ZX_F16, dwords, scale, biases + group * out_stride);
        else
            _mm512_store_ps(scale, f16_low_halves(dwords));
    }
}

#endif
