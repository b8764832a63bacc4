/* k_avx512vnni.h - GGUF's blocks of 256 columns as four chunks of 64 codes, and their scales.
 *
 * The nibbles of a load of 64 bytes are two chunks.  Of Q6_K they are 128 columns in order; of Q4_K
 * and Q5_K each half of 32 bytes holds two groups, low and high, so a chunk has every other group:
 *
 *   bytes        0 to 31               32 to 63               low chunk   groups 0, 2
 *   nibbles      group 0 and group 1   group 2 and group 3    high chunk  groups 1, 3
 *
 * The planes of the activations are put in that order once (see order_plane), and the sums back.
 *
 * Only matmul_few_avx512vnni.c includes this. */
#ifndef ZX_KERNELS_MATMUL_K_AVX512VNNI_H
#define ZX_KERNELS_MATMUL_K_AVX512VNNI_H

#include "kernels/matmul/codes_avx512vnni.h"

/* Whether a chunk has every other group. */
INLINE bool has_other_groups(codes_kind kind)
{
    return kind == BYTES_Q4_K || kind == BYTES_Q5_K;
}

/* Bytes from four chunks to the next four. */
INLINE size_t four_bytes(codes_kind kind)
{
    if (kind == BYTES_Q4_K) return 144;
    if (kind == BYTES_Q5_K) return 176;
    return kind == BYTES_Q6_K ? 210 : 4 * chunk_bytes(kind);
}

/* The kind of a weight whose rows are read in place for few tokens, though not for many. */
static inline codes_kind few_kind_of(const zx_weight *weight)
{
    if (weight->format == ZX_FORMAT_Q4_K) return BYTES_Q4_K;
    if (weight->format == ZX_FORMAT_Q5_K) return BYTES_Q5_K;
    return weight->format == ZX_FORMAT_Q6_K ? BYTES_Q6_K : kind_of(weight);
}

/* 'first' in the bytes of the first half, 'second' in those of the second. */
INLINE __m512i halves(int first, int second)
{
    return _mm512_inserti64x4(_mm512_set1_epi8((char)first), _mm256_set1_epi8((char)second), 1);
}

INLINE __m512i load_twice(const uint8_t *bytes)
{
    return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)bytes));
}

/* 16 is added where 'high' has a bit of 'bits'. */
INLINE __m512i add_fifth(__m512i codes, __m512i high, __m512i bits)
{
    return _mm512_mask_add_epi8(codes, _mm512_test_epi8_mask(high, bits), codes,
                                _mm512_set1_epi8(16));
}

/* Bits 'shift' on of the bytes of the first half, and two more of the second, as bits 4 and 5; the
 * other bits are anything. */
INLINE __m512i sixth(__m512i high, int shift)
{
    const int64_t bytes = 0x3830282018100800, ones = 0x0101010101010101;
    const int64_t first = bytes + ones * ((shift + 60) % 64), second = bytes + ones * (shift + 62);
    const __m512i shifts =
        _mm512_inserti64x4(_mm512_set1_epi64(first), _mm256_set1_epi64x(second), 1);
    return _mm512_multishift_epi64_epi8(shifts, high);
}

/* The codes of a block. */
INLINE void load_k(codes_kind kind, const uint8_t *block, __m512i chunks[4])
{
    const __m512i nibble = _mm512_set1_epi8(0x0f);
    const uint8_t *nibbles = block + (kind == BYTES_Q4_K ? 16 : kind == BYTES_Q5_K ? 48 : 0);
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++, nibbles += CHUNK) {
        __m512i low = _mm512_loadu_si512(nibbles), high = _mm512_srli_epi16(low, 4);
        if (kind == BYTES_Q6_K) {
            const __m512i top = load_twice(block + 128 + 32 * i);
            low = _mm512_ternarylogic_epi64(nibble, low, sixth(top, 0), 0xca);
            high = _mm512_ternarylogic_epi64(nibble, high, sixth(top, 4), 0xca);
            chunks[2 * i] = _mm512_and_si512(low, _mm512_set1_epi8(0x3f));
            chunks[2 * i + 1] = _mm512_and_si512(high, _mm512_set1_epi8(0x3f));
            continue;
        }
        low = _mm512_and_si512(low, nibble);
        high = _mm512_and_si512(high, nibble);
        if (kind == BYTES_Q5_K) {
            const __m512i fifths = load_twice(block + 16);
            low = add_fifth(low, fifths, halves(1 << 4 * i, 4 << 4 * i));
            high = add_fifth(high, fifths, halves(2 << 4 * i, 8 << 4 * i));
        }
        chunks[2 * i] = low;
        chunks[2 * i + 1] = high;
    }
}

/* The sums of 16 groups in ascending order, which chunks of every other group leave as dword
 * 8 b + 4 h + c: of block b, chunk c, the h-th group. */
INLINE __m512i order_other_groups(__m512i sums)
{
    return _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15), sums);
}

/* The scales of 'count' groups, and their biases where they have some, as f32 to out[0], out[1]. */
INLINE void copy_k_scales(codes_kind kind, const uint8_t *block, size_t count, __m512i *out)
{
    if (kind == BYTES_Q6_K) {
        const __m512i own =
            _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(block + 192)));
        const __m512 d = _mm512_set1_ps(stage_half(block + 208));
        out[0] = _mm512_castps_si512(_mm512_mul_ps(d, _mm512_cvtepi32_ps(own)));
        return;
    }
    float *const scales = (float *)(void *)out, *const biases = (float *)(void *)(out + 1);
    if (count < LANES) out[0] = out[1] = _mm512_setzero_si512();
    stage_k_scales(block, scales, biases);
    if (count == LANES) stage_k_scales(block + four_bytes(kind), scales + 8, biases + 8);
}

#endif
