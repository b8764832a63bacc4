/* stage_avx2.h - GGUF's blocks whose codes an integer matmul does not read in place (which:
 * 'stages' of codes_avx2.h and codes_avx512vnni.h, 'stages_few'), as a byte per code in the order
 * of columns and as f32 scales and biases: what quant's codes functions say, a block at a time.  A
 * row (a few tokens) or a strip's columns of a panel (many) are staged in memory that stays in the
 * cache, then read like 8-bit codes.
 *
 * 256 bits wide; only the avx2 and avx512vnni files include it. */
#ifndef ZX_KERNELS_MATMUL_STAGE_AVX2_H
#define ZX_KERNELS_MATMUL_STAGE_AVX2_H

#include <assert.h>
#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"

#define STAGE static inline __attribute__((always_inline))

/* Columns of the largest block: a panel's chunk of columns holds whole ones. */
enum { ZX_STAGE_COLUMNS = 256 };

/* Where a row's (or a strip's) codes, scales and biases go, from row to row. */
typedef struct zx_stage {
    uint8_t *codes;
    float *scales, *biases;
    size_t columns, groups;
} zx_stage;

/* Whether any weight of a launch is one that 'stages'. */
static inline bool zx_stages_any(const zx_launch *launch, bool (*stages)(const zx_weight *))
{
    bool any = false;
    for (size_t i = 1; i <= 3; i++) {
        const zx_weight *weight = launch->inputs[i].weight;
        any = any || (weight != NULL && stages(weight));
    }
    return any;
}

/* 'rows' rows of so many columns in groups: bytes, and the places in that memory. */
static inline size_t zx_stage_bytes(size_t rows, size_t columns, size_t groups)
{
    return rows * columns + zx_round_up(2 * rows * groups * sizeof(float), 64) + 64;
}

static inline zx_stage zx_stage_in(void *memory, size_t rows, size_t columns, size_t groups)
{
    float *const scales = memory;
    uint8_t *const codes = (uint8_t *)memory + zx_round_up(2 * rows * groups * sizeof(float), 64);
    return (zx_stage){codes, scales, scales + rows * groups, columns, groups};
}

/* -------- blocks -------- */

STAGE __m256i stage_load(const uint8_t *bytes)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)bytes);
}

STAGE void stage_store(uint8_t *to, __m256i codes)
{
    _mm256_storeu_si256((__m256i *)(void *)to, codes);
}

/* Bits [shift, shift + width) of every byte, moved to bit 'to'. */
STAGE __m256i stage_bits(__m256i bytes, int shift, int width, int to)
{
    const __m256i mask = _mm256_set1_epi8((char)(((1 << width) - 1) << to));
    const __m256i moved =
        shift > to ? _mm256_srli_epi16(bytes, shift - to) : _mm256_slli_epi16(bytes, to - shift);
    return _mm256_and_si256(moved, mask);
}

STAGE float stage_half(const uint8_t *bytes)
{
    uint16_t half;
    memcpy(&half, bytes, sizeof half);
    return _cvtsh_ss(half);
}

/* The low nibbles of 16 bytes, then the high ones. */
STAGE __m256i stage_nibbles(const uint8_t *bytes)
{
    const __m128i packed = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(packed, 4), packed),
                            _mm256_set1_epi8(0x0f));
}

STAGE __m256i stage_look_up(__m128i table, __m256i nibbles)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibbles);
}

/* Bit i of a dword as bit 4 of byte i. */
STAGE __m256i stage_fifth(const uint8_t *bytes)
{
    int32_t dword;
    memcpy(&dword, bytes, sizeof dword);
    const __m256i places =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bits = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    const __m256i own =
        _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(dword), places), bits);
    return _mm256_and_si256(_mm256_cmpeq_epi8(own, bits), _mm256_set1_epi8(16));
}

STAGE void stage_q5_0(const uint8_t *block, uint8_t *codes, float *scales)
{
    scales[0] = stage_half(block);
    stage_store(codes, _mm256_or_si256(stage_nibbles(block + 6), stage_fifth(block + 2)));
}

STAGE void stage_q5_1(const uint8_t *block, uint8_t *codes, float *scales, float *biases)
{
    scales[0] = stage_half(block);
    biases[0] = stage_half(block + 2);
    stage_store(codes, _mm256_or_si256(stage_nibbles(block + 8), stage_fifth(block + 4)));
}

/* Eight bytes (signed or not) times a factor. */
STAGE __m256 stage_scales(float factor, __m256i dwords)
{
    return _mm256_mul_ps(_mm256_set1_ps(factor), _mm256_cvtepi32_ps(dwords));
}

STAGE __m256 stage_negative(__m256 values)
{
    return _mm256_xor_ps(values, _mm256_set1_ps(-0.0F));
}

STAGE void stage_q2_k(const uint8_t *block, uint8_t *codes, float *scales, float *biases)
{
    const float d = stage_half(block + 80), dmin = stage_half(block + 82);
    for (size_t i = 0; i < 16; i += 8) {
        const __m256i own =
            _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(block + i)));
        _mm256_storeu_ps(scales + i, stage_scales(d, _mm256_and_si256(own, _mm256_set1_epi32(15))));
        _mm256_storeu_ps(biases + i, stage_negative(stage_scales(dmin, _mm256_srli_epi32(own, 4))));
    }
    for (size_t half = 0; half < 2; half++, codes += 128) {
        const __m256i packed = stage_load(block + 16 + 32 * half);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) stage_store(codes + 32 * i, stage_bits(packed, 2 * i, 2, 0));
    }
}

STAGE void stage_q3_k(const uint8_t *block, uint8_t *codes, float *scales)
{
    const float d = stage_half(block + 108);
    const __m256i high = stage_load(block);
    for (size_t i = 0; i < 16; i++) {
        const unsigned low = block[96 + i % 8] >> i / 8 * 4 & 15u;
        const unsigned top = block[104 + i % 4] >> i / 4 * 2 & 3u;
        scales[i] = d * (float)((int)(low | top << 4) - 32);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        const __m256i packed = stage_load(block + 32 + 32 * (i / 4));
        stage_store(codes + 32 * i, _mm256_or_si256(stage_bits(packed, i % 4 * 2, 2, 0),
                                                    stage_bits(high, i, 1, 2)));
    }
}

/* Of Q4_K and Q5_K: eight scales and eight minimums of six bits. */
STAGE void stage_k_scales(const uint8_t *block, float *scales, float *biases)
{
    uint32_t a, b, c;
    memcpy(&a, block + 4, 4);
    memcpy(&b, block + 8, 4);
    memcpy(&c, block + 12, 4);
    const uint32_t own = (c & 0x0f0f0f0fu) | (a >> 2 & 0x30303030u);
    const uint32_t least = (c >> 4 & 0x0f0f0f0fu) | (b >> 2 & 0x30303030u);
    const uint64_t all = (a & 0x3f3f3f3fu) | (uint64_t)own << 32;
    const uint64_t minimums = (b & 0x3f3f3f3fu) | (uint64_t)least << 32;
    _mm256_storeu_ps(scales, stage_scales(stage_half(block),
                                          _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)all))));
    _mm256_storeu_ps(biases, stage_negative(stage_scales(
                                 stage_half(block + 2),
                                 _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)minimums)))));
}

STAGE void stage_q4_k(const uint8_t *block, uint8_t *codes, float *scales, float *biases)
{
    stage_k_scales(block, scales, biases);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++, codes += 64) {
        const __m256i packed = stage_load(block + 16 + 32 * i);
        stage_store(codes, stage_bits(packed, 0, 4, 0));
        stage_store(codes + 32, stage_bits(packed, 4, 4, 0));
    }
}

STAGE void stage_q5_k(const uint8_t *block, uint8_t *codes, float *scales, float *biases)
{
    const __m256i high = stage_load(block + 16);
    stage_k_scales(block, scales, biases);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++, codes += 64) {
        const __m256i packed = stage_load(block + 48 + 32 * i);
        stage_store(codes,
                    _mm256_or_si256(stage_bits(packed, 0, 4, 0), stage_bits(high, 2 * i, 1, 4)));
        stage_store(codes + 32, _mm256_or_si256(stage_bits(packed, 4, 4, 0),
                                                stage_bits(high, 2 * i + 1, 1, 4)));
    }
}

STAGE void stage_q6_k(const uint8_t *block, uint8_t *codes, float *scales)
{
    const float d = stage_half(block + 208);
    for (size_t i = 0; i < 16; i += 8)
        _mm256_storeu_ps(scales + i,
                         stage_scales(d, _mm256_cvtepi8_epi32(_mm_loadl_epi64(
                                             (const __m128i *)(const void *)(block + 192 + i)))));
    for (size_t half = 0; half < 2; half++, codes += 128) {
        const __m256i high = stage_load(block + 128 + 32 * half);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const __m256i low = stage_load(block + 64 * half + 32 * (i % 2));
            stage_store(codes + 32 * i, _mm256_or_si256(stage_bits(low, i / 2 * 4, 4, 0),
                                                        stage_bits(high, 2 * i, 2, 4)));
        }
    }
}

STAGE __m256i stage_iq4(const uint8_t *bytes)
{
    const __m128i table =
        _mm_setr_epi8(0, 23, 44, 62, 78, 92, 105, 117, -128, -116, -104, -91, -76, -60, -40, -16);
    return stage_look_up(table, stage_nibbles(bytes));
}

STAGE void stage_iq4_nl(const uint8_t *block, uint8_t *codes, float *scales)
{
    scales[0] = stage_half(block);
    stage_store(codes, stage_iq4(block + 2));
}

STAGE void stage_iq4_xs(const uint8_t *block, uint8_t *codes, float *scales)
{
    const float d = stage_half(block);
    uint16_t high;
    memcpy(&high, block + 2, sizeof high);
    for (size_t i = 0; i < 8; i++) {
        const unsigned low = block[4 + i / 2] >> i % 2 * 4 & 15u;
        scales[i] = d * (float)((int)(low | (high >> 2 * i & 3u) << 4) - 32);
        stage_store(codes + 32 * i, stage_iq4(block + 8 + 16 * i));
    }
}

STAGE void stage_mxfp4_b(const uint8_t *block, uint8_t *codes, float *scales)
{
    const __m128i table = _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    const uint32_t exponent = block[0];
    scales[0] = zx_float_from_bits(exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23);
    stage_store(codes, stage_look_up(table, stage_nibbles(block + 1)));
}

/* -------- rows -------- */

/* Groups [first, first + groups) of a row, whole blocks; they lie in the row-th row of 'to'. */
typedef void (*stage_fn)(const zx_weight *weight, size_t row, size_t first, const zx_stage *to,
                         size_t at);

#define STAGE_AHEAD 8192 /* bytes: how far ahead a weight is fetched */

/* 'call' stages a block at 'block' into codes + i and what lies at 'group'. */
#define STAGE_ROW(name, block_columns, size, bytes, call)                                     \
    static void stage_row_##name(const zx_weight *weight, size_t row, size_t first,           \
                                 const zx_stage *to, size_t at)                               \
    {                                                                                         \
        const uint8_t *block = weight->codes + row * weight->codes_stride +                   \
                               first * (size) / (block_columns) * (bytes);                    \
        uint8_t *codes = to->codes + at * to->columns;                                        \
        float *scales = to->scales + at * to->groups, *biases = to->biases + at * to->groups; \
        (void)biases;                                                                         \
        for (size_t i = 0; i < to->columns; i += (block_columns), block += (bytes)) {         \
            for (size_t line = 0; line < (bytes); line += 64)                                 \
                _mm_prefetch((const char *)block + STAGE_AHEAD + line, _MM_HINT_T1);          \
            const size_t group = i / (size);                                                  \
            call;                                                                             \
        }                                                                                     \
    }
STAGE_ROW(q5_0, 32, 32, 22, stage_q5_0(block, codes + i, scales + group))
STAGE_ROW(q5_1, 32, 32, 24, stage_q5_1(block, codes + i, scales + group, biases + group))
STAGE_ROW(q2_k, 256, 16, 84, stage_q2_k(block, codes + i, scales + group, biases + group))
STAGE_ROW(q3_k, 256, 16, 110, stage_q3_k(block, codes + i, scales + group))
STAGE_ROW(q4_k, 256, 32, 144, stage_q4_k(block, codes + i, scales + group, biases + group))
STAGE_ROW(q5_k, 256, 32, 176, stage_q5_k(block, codes + i, scales + group, biases + group))
STAGE_ROW(q6_k, 256, 16, 210, stage_q6_k(block, codes + i, scales + group))
STAGE_ROW(iq4_nl, 32, 32, 18, stage_iq4_nl(block, codes + i, scales + group))
STAGE_ROW(iq4_xs, 256, 32, 136, stage_iq4_xs(block, codes + i, scales + group))
STAGE_ROW(mxfp4_b, 32, 32, 17, stage_mxfp4_b(block, codes + i, scales + group))

static inline void zx_stage_row(const zx_weight *weight, size_t row, size_t first,
                                const zx_stage *to, size_t at)
{
    static const stage_fn rows[ZX_FORMAT_COUNT] = {
        [ZX_FORMAT_Q5_0] = stage_row_q5_0,     [ZX_FORMAT_Q5_1] = stage_row_q5_1,
        [ZX_FORMAT_Q2_K] = stage_row_q2_k,     [ZX_FORMAT_Q3_K] = stage_row_q3_k,
        [ZX_FORMAT_Q4_K] = stage_row_q4_k,     [ZX_FORMAT_Q5_K] = stage_row_q5_k,
        [ZX_FORMAT_Q6_K] = stage_row_q6_k,     [ZX_FORMAT_IQ4_NL] = stage_row_iq4_nl,
        [ZX_FORMAT_IQ4_XS] = stage_row_iq4_xs, [ZX_FORMAT_MXFP4_B] = stage_row_mxfp4_b,
    };
    assert(rows[weight->format] != NULL);
    rows[weight->format](weight, row, first, to, at);
}

#endif
