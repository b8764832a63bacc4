/* v16_avx512.h - sixteen floats, or sixteen dwords, in one register: what floats_body.h is made
 * of.  v16_avx2.h says the same with two registers.  Only avx512 files include it. */
#ifndef ZX_KERNELS_MATMUL_V16_AVX512_H
#define ZX_KERNELS_MATMUL_V16_AVX512_H

#include "kernels/matmul/lanes_avx512.h"

/* The tile of the blocked loop: as many accumulators as registers allow; and how many rows a pass
 * over few tokens takes. */
enum { TILE_ROWS = 4, TILE_TOKENS = 4, FEW_ROWS = 4 };

#define INLINE static inline __attribute__((always_inline))

typedef __m512 v16;
typedef __m512i w16;
typedef __m128i b16; /* sixteen bytes */

INLINE v16 v16_zero(void)
{
    return _mm512_setzero_ps();
}

INLINE v16 v16_set1(float value)
{
    return _mm512_set1_ps(value);
}

INLINE v16 v16_load(const float *from)
{
    return _mm512_loadu_ps(from);
}

INLINE void v16_store(float *to, v16 values)
{
    _mm512_storeu_ps(to, values);
}

/* The first 'count' of an array of that dtype; the others are zero. */
INLINE v16 v16_load_dense(zx_dtype dtype, const uint8_t *from, size_t count)
{
    if (count == ZX_STRIP) {
        if (dtype == ZX_F32) return _mm512_loadu_ps(from);
        const __m256i halves = _mm256_loadu_si256((const __m256i *)(const void *)from);
        if (dtype == ZX_F16) return _mm512_cvtph_ps(halves);
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
    }
    return load_lanes(dtype, from, 0, (__mmask16)((1u << count) - 1));
}

/* Element 'index' of an array of that dtype, in every lane. */
INLINE v16 v16_broadcast(zx_dtype dtype, const uint8_t *array, size_t index)
{
    uint16_t half;
    if (dtype == ZX_F32) return _mm512_set1_ps(zx_load(ZX_F32, array, index));
    memcpy(&half, array + index * sizeof half, sizeof half);
    if (dtype == ZX_F16) return _mm512_cvtph_ps(_mm256_set1_epi16((short)half));
    return _mm512_castsi512_ps(_mm512_set1_epi32((int)((uint32_t)half << 16)));
}

INLINE v16 v16_mul(v16 a, v16 b)
{
    return _mm512_mul_ps(a, b);
}

INLINE v16 v16_add(v16 a, v16 b)
{
    return _mm512_add_ps(a, b);
}

INLINE v16 v16_fma(v16 a, v16 b, v16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* The first 'count' lanes; the others keep c. */
INLINE v16 v16_fma_some(v16 a, v16 b, v16 c, size_t count)
{
    return _mm512_mask3_fmadd_ps(a, b, c, (__mmask16)((1u << count) - 1));
}

INLINE v16 v16_round(zx_dtype dtype, v16 values)
{
    return round_lanes(dtype, values);
}

/* Flips the sign where bit 3 of the dword is set. */
INLINE v16 v16_flip(v16 values, w16 bits)
{
    const __m512i sign = _mm512_slli_epi32(_mm512_and_si512(bits, _mm512_set1_epi32(8)), 28);
    return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(values), sign));
}

INLINE v16 v16_from_w16(w16 dwords)
{
    return _mm512_cvtepi32_ps(dwords);
}

/* table[index & 15] of each dword. */
INLINE v16 v16_look_up(v16 table, w16 index)
{
    return _mm512_permutexvar_ps(index, table);
}

INLINE b16 b16_load(const uint8_t *from)
{
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

/* Eight bytes, then four. */
INLINE b16 b16_join(const uint8_t *eight, int32_t four)
{
    return _mm_insert_epi32(_mm_loadl_epi64((const __m128i *)(const void *)eight), four, 2);
}

/* The high nibble of each byte in its low one; what stands above it has no meaning. */
INLINE b16 b16_high_nibbles(b16 bytes)
{
    return _mm_srli_epi16(bytes, 4);
}

INLINE w16 w16_from_u8(b16 bytes)
{
    return _mm512_cvtepu8_epi32(bytes);
}

INLINE w16 w16_from_i8(b16 bytes)
{
    return _mm512_cvtepi8_epi32(bytes);
}

/* The dword at 'low' for the first eight lanes, at 'high' for the others, lane i shifted right by
 * shifts[i]. */
INLINE w16 w16_shifted(const uint8_t *low, const uint8_t *high, const uint32_t shifts[16])
{
    uint32_t first, second;
    memcpy(&first, low, sizeof first);
    memcpy(&second, high, sizeof second);
    const __m512i both = _mm512_mask_set1_epi32(_mm512_set1_epi32((int)first), 0xff00, (int)second);
    return _mm512_srlv_epi32(both, _mm512_loadu_si512(shifts));
}

/* Lane i: the four bytes from byte places[i] on, shifted right by shifts[i]. */
INLINE w16 w16_gathered(b16 bytes, const uint8_t places[64], const uint32_t shifts[16])
{
    const __m512i dwords =
        _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), _mm512_loadu_si512(places));
    return _mm512_srlv_epi32(dwords, _mm512_loadu_si512(shifts));
}

INLINE w16 w16_and(w16 dwords, uint32_t mask)
{
    return _mm512_and_si512(dwords, _mm512_set1_epi32((int)mask));
}

INLINE w16 w16_or(w16 a, w16 b)
{
    return _mm512_or_si512(a, b);
}

INLINE w16 w16_add(w16 dwords, int32_t number)
{
    return _mm512_add_epi32(dwords, _mm512_set1_epi32(number));
}

/* f16 bits in each dword. */
INLINE v16 v16_from_f16(w16 halves)
{
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(halves));
}

INLINE w16 w16_shift_left(w16 dwords, unsigned count)
{
    return _mm512_slli_epi32(dwords, count);
}

INLINE w16 w16_shift_right(w16 dwords, unsigned count)
{
    return _mm512_srli_epi32(dwords, count);
}

/* zx_add_partials of each of 16 rows' partial sums. */
INLINE v16 v16_sums(const v16 rows[16])
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512 four[4], two[2];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        const v16 *r = rows + 4 * i;
        const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(r[0], r[1], 0x44),
                                        _mm512_shuffle_f32x4(r[0], r[1], 0xee));
        const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(r[2], r[3], 0x44),
                                        _mm512_shuffle_f32x4(r[2], r[3], 0xee));
        four[i] =
            _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < 2; i++) {
        const __m512d a = _mm512_castps_pd(four[2 * i]), b = _mm512_castps_pd(four[2 * i + 1]);
        two[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                               _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    const __m512 one = _mm512_add_ps(_mm512_shuffle_ps(two[0], two[1], 0x88),
                                     _mm512_shuffle_ps(two[0], two[1], 0xdd));
    return _mm512_permutexvar_ps(order, one);
}

/* Stores a strip's outputs of one token (lanes_avx512.h). */
INLINE void v16_finish(const zx_matmul *matmul, zx_strip strip, size_t token, v16 sums, v16 up_sums)
{
    finish_strip(matmul, strip, token, sums, up_sums);
}

#endif
