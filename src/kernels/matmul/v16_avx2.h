/* v16_avx2.h - sixteen floats, or sixteen dwords, in two registers; see v16_avx512.h.  Only avx2
 * files include it. */
#ifndef ZX_KERNELS_MATMUL_V16_AVX2_H
#define ZX_KERNELS_MATMUL_V16_AVX2_H

#include "kernels/matmul/lanes_avx2.h"

/* The tile of the blocked loop: as many accumulators as registers allow; and how many rows a pass
 * over few tokens takes. */
enum { TILE_ROWS = 2, TILE_TOKENS = 3, FEW_ROWS = 4 };

#define INLINE static inline __attribute__((always_inline))

typedef struct v16 {
    __m256 low, high;
} v16;

typedef struct w16 {
    __m256i low, high;
} w16;

typedef __m128i b16; /* sixteen bytes */

INLINE v16 v16_zero(void)
{
    return (v16){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

INLINE v16 v16_set1(float value)
{
    return (v16){_mm256_set1_ps(value), _mm256_set1_ps(value)};
}

INLINE v16 v16_load(const float *from)
{
    return (v16){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}

INLINE void v16_store(float *to, v16 values)
{
    _mm256_storeu_ps(to, values.low);
    _mm256_storeu_ps(to + 8, values.high);
}

/* The first 'count' of an array of that dtype; the others are zero. */
INLINE v16 v16_load_dense(zx_dtype dtype, const uint8_t *from, size_t count)
{
    if (count == ZX_STRIP) return (v16){load_eight(dtype, from, 0), load_eight(dtype, from, 8)};
    float some[16] = {0};
    for (size_t i = 0; i < count; i++) some[i] = zx_load(dtype, from, i);
    return v16_load(some);
}

/* Element 'index' of an array of that dtype, in every lane. */
INLINE v16 v16_broadcast(zx_dtype dtype, const uint8_t *array, size_t index)
{
    uint16_t half;
    if (dtype != ZX_F16) return v16_set1(zx_load(dtype, array, index));
    memcpy(&half, array + index * sizeof half, sizeof half);
    return v16_set1(_cvtsh_ss(half));
}

INLINE v16 v16_mul(v16 a, v16 b)
{
    return (v16){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

INLINE v16 v16_add(v16 a, v16 b)
{
    return (v16){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

INLINE v16 v16_fma(v16 a, v16 b, v16 c)
{
    return (v16){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

/* The first 'count' lanes; the others keep c. */
INLINE v16 v16_fma_some(v16 a, v16 b, v16 c, size_t count)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i low = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lanes);
    const __m256i high = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count - 8), lanes);
    const v16 sum = v16_fma(a, b, c);
    return (v16){_mm256_blendv_ps(c.low, sum.low, _mm256_castsi256_ps(low)),
                 _mm256_blendv_ps(c.high, sum.high, _mm256_castsi256_ps(high))};
}

INLINE v16 v16_round(zx_dtype dtype, v16 values)
{
    return (v16){round_eight(dtype, values.low), round_eight(dtype, values.high)};
}

INLINE __m256 flip_eight(__m256 values, __m256i bits)
{
    const __m256i sign = _mm256_slli_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(8)), 28);
    return _mm256_xor_ps(values, _mm256_castsi256_ps(sign));
}

/* Flips the sign where bit 3 of the dword is set. */
INLINE v16 v16_flip(v16 values, w16 bits)
{
    return (v16){flip_eight(values.low, bits.low), flip_eight(values.high, bits.high)};
}

INLINE v16 v16_from_w16(w16 dwords)
{
    return (v16){_mm256_cvtepi32_ps(dwords.low), _mm256_cvtepi32_ps(dwords.high)};
}

INLINE __m256 look_up_eight(v16 table, __m256i index)
{
    const __m256 low = _mm256_permutevar8x32_ps(table.low, index);
    const __m256 high = _mm256_permutevar8x32_ps(table.high, index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}

/* table[index & 15] of each dword. */
INLINE v16 v16_look_up(v16 table, w16 index)
{
    return (v16){look_up_eight(table, index.low), look_up_eight(table, index.high)};
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
    return (w16){_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
}

INLINE w16 w16_from_i8(b16 bytes)
{
    return (w16){_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
}

INLINE __m256i load_shifts(const uint32_t *shifts)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)shifts);
}

/* The dword at 'low' for the first eight lanes, at 'high' for the others, lane i shifted right by
 * shifts[i]. */
INLINE w16 w16_shifted(const uint8_t *low, const uint8_t *high, const uint32_t shifts[16])
{
    int32_t first, second;
    memcpy(&first, low, sizeof first);
    memcpy(&second, high, sizeof second);
    return (w16){_mm256_srlv_epi32(_mm256_set1_epi32(first), load_shifts(shifts)),
                 _mm256_srlv_epi32(_mm256_set1_epi32(second), load_shifts(shifts + 8))};
}

/* Lane i: the four bytes from byte places[i] on, shifted right by shifts[i]. */
INLINE w16 w16_gathered(b16 bytes, const uint8_t places[64], const uint32_t shifts[16])
{
    const __m256i both = _mm256_broadcastsi128_si256(bytes);
    const __m256i *at = (const __m256i *)(const void *)places;
    return (w16){
        _mm256_srlv_epi32(_mm256_shuffle_epi8(both, _mm256_loadu_si256(at)), load_shifts(shifts)),
        _mm256_srlv_epi32(_mm256_shuffle_epi8(both, _mm256_loadu_si256(at + 1)),
                          load_shifts(shifts + 8))};
}

INLINE w16 w16_and(w16 dwords, uint32_t mask)
{
    const __m256i both = _mm256_set1_epi32((int)mask);
    return (w16){_mm256_and_si256(dwords.low, both), _mm256_and_si256(dwords.high, both)};
}

INLINE w16 w16_or(w16 a, w16 b)
{
    return (w16){_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}

INLINE w16 w16_add(w16 dwords, int32_t number)
{
    const __m256i both = _mm256_set1_epi32(number);
    return (w16){_mm256_add_epi32(dwords.low, both), _mm256_add_epi32(dwords.high, both)};
}

INLINE w16 w16_shift_left(w16 dwords, unsigned count)
{
    return (w16){_mm256_slli_epi32(dwords.low, (int)count),
                 _mm256_slli_epi32(dwords.high, (int)count)};
}

INLINE w16 w16_shift_right(w16 dwords, unsigned count)
{
    return (w16){_mm256_srli_epi32(dwords.low, (int)count),
                 _mm256_srli_epi32(dwords.high, (int)count)};
}

INLINE __m256 eight_from_f16(__m256i halves)
{
    return _mm256_cvtph_ps(
        _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
}

/* f16 bits in each dword. */
INLINE v16 v16_from_f16(w16 halves)
{
    return (v16){eight_from_f16(halves.low), eight_from_f16(halves.high)};
}

/* zx_add_partials of each of eight rows' partial sums. */
INLINE __m256 sums_of_eight(const v16 rows[8])
{
    __m256 four[4], two[2];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) { /* rows i and i + 4: | a 0 1 2 3 | b 0 1 2 3 | */
        const __m256 a = _mm256_add_ps(rows[i].low, rows[i].high);
        const __m256 b = _mm256_add_ps(rows[i + 4].low, rows[i + 4].high);
        four[i] =
            _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < 2; i++) { /* rows i and i + 2 of each four: | a 0 1 c 0 1 | */
        const __m256d a = _mm256_castps_pd(four[i]), b = _mm256_castps_pd(four[i + 2]);
        two[i] = _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)),
                               _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
    }
    const __m256 even = _mm256_shuffle_ps(two[0], two[1], 0x88); /* a 0 c 0 b 0 d 0 */
    const __m256 odd = _mm256_shuffle_ps(two[0], two[1], 0xdd);
    return _mm256_permute_ps(_mm256_add_ps(even, odd), 0xd8);
}

/* Of 16 rows. */
INLINE v16 v16_sums(const v16 rows[16])
{
    return (v16){sums_of_eight(rows), sums_of_eight(rows + 8)};
}

/* Stores a strip's outputs of one token. */
INLINE void v16_finish(const zx_matmul *matmul, zx_strip strip, size_t token, v16 sums, v16 up_sums)
{
    finish_eight(matmul, strip, 0, token, sums.low, up_sums.low);
    finish_eight(matmul, strip, 8, token, sums.high, up_sums.high);
}

#endif
