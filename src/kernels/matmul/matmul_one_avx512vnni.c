/* matmul_one_avx512vnni.c - one token times Q4_1: decoding a model whose rows are short.
 *
 * Sixteen rows are read side by side, 16 bytes of each at a time, and transposed in registers so
 * that lanes are rows:
 *
 *   rows 0 4 8 12 | rows 1 5 9 13 | ...   ->   dword j of rows 0 1 2 ... 15
 *
 * A dword then holds eight codes of a row; its low and its high nibbles each meet one broadcast
 * dword of the activations.  Sums need no horizontal addition, and a group's sum meets its scale as
 * soon as it is whole.  Four groups are 80 bytes, five such loads, whose dwords 0, 5, 10, 15 are
 * the scales and minima.
 *
 * Reading rows side by side in memory leaves the prefetcher without a pattern, so a strip is first
 * copied into the L1 cache from front to back: 13 GB/s of a mapped file instead of 7.  Longer rows
 * are left to matmul_few_avx512vnni.c, which reads row after row. */
#ifdef __AVX512VNNI__
#include <immintrin.h>
#include <string.h>

#include "kernels/matmul/lanes_avx512.h"
#include "kernels/matmul/one_avx512vnni.h"

enum { LANES = 16, LINE = 64, LOAD = 16, Q4_1_BLOCK = 20, Q4_1_GROUPS = 4, Q4_1_LOADS = 5 };

#define INLINE static inline __attribute__((always_inline))

/* sums += the products of a dword's bytes with the bytes of one dword of x, the same for all lanes.
 */
INLINE __m512i dot(__m512i sums, __m512i codes, const int8_t *x)
{
    __asm__("vpdpbusd %2%{1to16%}, %1, %0"
            : "+v"(sums)
            : "v"(codes), "m"(*(const int32_t *)(const void *)x));
    return sums;
}

/* 16 bytes (those dwords of them in 'mask') of rows first, first + 4, first + 8, first + 12. */
INLINE __m512i load_four(const uint8_t *at, size_t stride, __mmask8 mask)
{
    const __m128i a = _mm_maskz_loadu_epi32(mask, at);
    const __m128i b = _mm_maskz_loadu_epi32(mask, at + 4 * stride);
    const __m128i c = _mm_maskz_loadu_epi32(mask, at + 8 * stride);
    const __m128i d = _mm_maskz_loadu_epi32(mask, at + 12 * stride);
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(c), d, 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

INLINE __m512i load_four_whole(const uint8_t *at, size_t stride)
{
    const __m128i *const a = (const __m128i *)(const void *)at;
    __m512i rows = _mm512_castsi128_si512(_mm_loadu_si128(a));
    rows = _mm512_mask_broadcast_i32x4(
        rows, 0x00f0, _mm_loadu_si128((const __m128i *)(const void *)(at + 4 * stride)));
    rows = _mm512_mask_broadcast_i32x4(
        rows, 0x0f00, _mm_loadu_si128((const __m128i *)(const void *)(at + 8 * stride)));
    return _mm512_mask_broadcast_i32x4(
        rows, 0xf000, _mm_loadu_si128((const __m128i *)(const void *)(at + 12 * stride)));
}

/* dwords[j] = dword j of the 16 bytes at 'at' of each of 16 rows; 'mask' as above, 15: all.
 * Four lines from 'next' on are touched. */
INLINE void load_dwords(const uint8_t *at, size_t stride, __mmask8 mask, __m512i dwords[4])
{
    __m512i rows[4];
    for (size_t i = 0; i < 4; i++)
        rows[i] = mask == 15 ? load_four_whole(at + i * stride, stride)
                             : load_four(at + i * stride, stride, mask);
    const __m512i a = _mm512_unpacklo_epi32(rows[0], rows[1]);
    const __m512i b = _mm512_unpackhi_epi32(rows[0], rows[1]);
    const __m512i c = _mm512_unpacklo_epi32(rows[2], rows[3]);
    const __m512i d = _mm512_unpackhi_epi32(rows[2], rows[3]);
    dwords[0] = _mm512_unpacklo_epi64(a, c);
    dwords[1] = _mm512_unpackhi_epi64(a, c);
    dwords[2] = _mm512_unpacklo_epi64(b, d);
    dwords[3] = _mm512_unpackhi_epi64(b, d);
}

/* The sum over 32 columns: 16 times that of the low nibbles is kept apart from that of the high
 * ones, which stand 16-fold in their bytes. */
INLINE void add_nibbles(const __m512i dwords[4], const int8_t *x, __m512i *low, __m512i *high)
{
    const __m512i low_mask = _mm512_set1_epi8(0x0f), high_mask = _mm512_set1_epi8((char)0xf0);
    for (size_t j = 0; j < 4; j++) {
        *low = dot(*low, _mm512_and_si512(dwords[j], low_mask), x + 4 * j);
        *high = dot(*high, _mm512_and_si512(dwords[j], high_mask), x + 16 + 4 * j);
    }
}

typedef struct one_token {
    zx_activation_row row;
    size_t planes, groups;
} one_token;

/* The exact sum of 'loads' times 32 columns from column 'at' on. */
INLINE __m512i group_sum(size_t planes, size_t loads, const __m512i *dwords, const one_token *x,
                         size_t at)
{
    __m512i sum = _mm512_setzero_si512();
    for (size_t plane = 0; plane < planes; plane++) {
        __m512i low = _mm512_setzero_si512(), high = _mm512_setzero_si512();
        for (size_t i = 0; i < loads; i++)
            add_nibbles(dwords + 4 * i, x->row.plane[plane] + at + 32 * i, &low, &high);
        low = _mm512_add_epi32(low, _mm512_srai_epi32(high, 4));
        sum = plane == 0 ? low : _mm512_add_epi32(_mm512_slli_epi32(sum, 8), low);
    }
    return sum;
}

INLINE __m512 add_group(__m512 sum, __m512i whole, __m512 scale, __m512 bias, const one_token *x,
                        size_t group)
{
    sum = _mm512_fmadd_ps(bias, _mm512_set1_ps(x->row.sum[group]), sum);
    const __m512 product =
        _mm512_mul_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(x->row.scale[group]));
    return _mm512_fmadd_ps(product, scale, sum);
}

/* The low (scales) and high (minima) halves of the dwords of two groups, as f32. */
INLINE void two_scales(__m512i first, __m512i second, __m512 scales[2], __m512 biases[2])
{
    static const uint16_t even[32] __attribute__((aligned(LINE))) = {
        0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30,
        32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
    static const uint16_t odd[32] __attribute__((aligned(LINE))) = {
        1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
        33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
    const __m512i lows = _mm512_permutex2var_epi16(first, _mm512_load_si512(even), second);
    const __m512i highs = _mm512_permutex2var_epi16(first, _mm512_load_si512(odd), second);
    scales[0] = _mm512_cvtph_ps(_mm512_castsi512_si256(lows));
    scales[1] = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(lows, 1));
    biases[0] = _mm512_cvtph_ps(_mm512_castsi512_si256(highs));
    biases[1] = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(highs, 1));
}

/* Up to four groups of 16 rows of Q4_1. */
INLINE __m512 add_blocks(size_t planes, size_t count, const uint8_t *at, size_t stride,
                         const one_token *x, size_t group, __m512 sum)
{
    __m512i dwords[4 * Q4_1_LOADS];
    __m512 scales[Q4_1_GROUPS], biases[Q4_1_GROUPS];
    for (size_t i = 0; i < Q4_1_LOADS; i++) {
        const size_t left = count * Q4_1_BLOCK / 4;
        if (4 * i >= left) break;
        const size_t some = left - 4 * i < 4 ? left - 4 * i : 4;
        load_dwords(at + LOAD * i, stride, (__mmask8)((1u << some) - 1), dwords + 4 * i);
    }
    for (size_t i = 0; i < count; i += 2)
        two_scales(dwords[5 * i], dwords[i + 1 < count ? 5 * i + 5 : 0], scales + i, biases + i);
    for (size_t i = 0; i < count; i++)
        sum = add_group(sum, group_sum(planes, 1, dwords + 5 * i + 1, x, 32 * (group + i)),
                        scales[i], biases[i], x, group + i);
    return sum;
}

/* Copies a strip from front to back. */
INLINE void copy_strip(const uint8_t *from, size_t bytes, uint8_t *to)
{
    size_t i = 0;
    for (; i + 4 * LINE <= bytes; i += 4 * LINE) {
        const __m512i a = _mm512_loadu_si512(from + i), b = _mm512_loadu_si512(from + i + LINE);
        const __m512i c = _mm512_loadu_si512(from + i + 2 * LINE);
        const __m512i d = _mm512_loadu_si512(from + i + 3 * LINE);
        _mm512_store_si512(to + i, a);
        _mm512_store_si512(to + i + LINE, b);
        _mm512_store_si512(to + i + 2 * LINE, c);
        _mm512_store_si512(to + i + 3 * LINE, d);
    }
    memcpy(to + i, from + i, bytes - i);
}

/* The sums of 16 rows of 'stride' bytes. */
INLINE __m512 blocks_strip(size_t planes, const uint8_t *at, size_t stride, const one_token *x)
{
    __m512 sum = _mm512_setzero_ps();
    size_t group = 0;
    for (; group + Q4_1_GROUPS <= x->groups; group += Q4_1_GROUPS, at += Q4_1_GROUPS * Q4_1_BLOCK)
        sum = add_blocks(planes, 4, at, stride, x, group, sum);
    switch (x->groups - group) {
    case 1: return add_blocks(planes, 1, at, stride, x, group, sum);
    case 2: return add_blocks(planes, 2, at, stride, x, group, sum);
    case 3: return add_blocks(planes, 3, at, stride, x, group, sum);
    default: return sum;
    }
}

static __m512 q4_1_strip(const zx_weight *weight, size_t row, const one_token *x, uint8_t *copy)
{
    const size_t stride = weight->codes_stride;
    copy_strip(weight->codes + row * stride, LANES * stride, copy);
    if (x->planes == 2) return blocks_strip(2, copy, stride, x);
    return blocks_strip(1, copy, stride, x);
}

bool zx_one_applies(const zx_matmul *matmul)
{
    if (matmul->x->rows != 1) return false;
    for (size_t i = 0; i < matmul->matrices; i++) {
        const zx_weight *weight = matmul->weights[i];
        if (weight->format != ZX_FORMAT_Q4_1 || LANES * weight->codes_stride > ZX_ONE_SCRATCH)
            return false;
    }
    return true;
}

void zx_run_one(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    const zx_operand *in = matmul->x;
    const one_token x = {zx_activation_parts(in->layout, in->columns, in->data), in->layout.planes,
                         in->columns / in->layout.group};
    size_t index, end;
    uint8_t *copy = (uint8_t *)matmul->launch->scratch + thread * ZX_ONE_SCRATCH;
    zx_split(zx_count_strips(matmul), 1, part, parts, &index, &end);
    for (; index < end; index++) {
        const zx_strip strip = zx_strip_at(matmul, index);
        __m512 up = _mm512_setzero_ps();
        const __m512 sums = q4_1_strip(matmul->weights[strip.matrix], strip.row, &x, copy);
        if (matmul->gated) up = q4_1_strip(matmul->weights[1], strip.row, &x, copy);
        finish_strip(matmul, strip, 0, sums, up);
    }
}
#endif
