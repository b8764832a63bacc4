/* codes_avx512vnni.h - codes and scales of a quantized weight as vectors.
 *
 * Codes are loaded row by row, 64 bytes at a time:
 *   pairs   64 packed bytes are 128 columns: the low nibbles of byte 16 p + i meet byte 32 p + i of
 *           the activations' plane, the high ones byte 32 p + 16 + i
 *   bytes   64 columns, one code per byte, in the order of the plane
 * Scales are loaded 16 groups of a row at a time, as dwords.
 *
 * Only the avx512vnni files include this. */
#ifndef ZX_KERNELS_MATMUL_CODES_AVX512VNNI_H
#define ZX_KERNELS_MATMUL_CODES_AVX512VNNI_H

#include <immintrin.h>

#include "kernels/matmul/stage_avx2.h"
#include "quant/format.h"

enum { LANES = 16, CHUNK = 64 };

/* How the codes of a row are packed; a weight's format and bits decide (see kind_of). */
typedef enum codes_kind {
    PAIRS, /* affine with 4 bits */
    PAIRS_Q4_0,
    PAIRS_Q4_1,
    PAIRS_E2M1, /* MXFP4 */
    BYTES_2,    /* affine with 2 bits, and so on */
    BYTES_3,
    BYTES_5,
    BYTES_6,
    BYTES_8,
    BYTES_Q8_0,
    BYTES_Q5_0,
    BYTES_E2M1,   /* NVFP4 */
    BYTES_STAGED, /* a row, or a strip, that stage_avx2.h has unpacked */
    BYTES_Q4_K,   /* these in k_avx512vnni.h */
    BYTES_Q5_K,
    BYTES_Q6_K,
    CODES_KINDS,
} codes_kind;

/* How the scales of a row are kept. */
typedef enum scales_kind {
    SCALES_F16, /* affine: the scale in the low half of a dword, the bias in the high half */
    SCALES_BF16,
    SCALES_F32, /* affine, the biases as a dword of their own */
    SCALES_E8M0,
    SCALES_E4M3,
    SCALES_HEADS,     /* of blocks: an f16 scale in the low half */
    SCALES_F32_ALONE, /* staged, without biases */
    SCALES_JOINED,    /* made of heads: the scale in the low half, the group's sum in the high */
    SCALES_KINDS,
} scales_kind;

#define INLINE static inline __attribute__((always_inline))

/* Rows of a weight from a first row and group on. */
typedef struct rows_source {
    codes_kind kind;
    scales_kind scales_kind;
    bool affine;
    int32_t zero;
    size_t group, groups;
    const uint8_t *codes; /* of the first row and group; with blocks, of the block's head */
    size_t stride;        /* from row to row */
    size_t block_bytes;   /* from group to group */
    const uint8_t *scales, *biases; /* of affine, and of MX formats */
    size_t scales_stride, scale_bytes;
} rows_source;

INLINE bool is_pairs(codes_kind kind)
{
    return kind <= PAIRS_E2M1;
}

INLINE bool is_blocks(codes_kind kind)
{
    return kind == PAIRS_Q4_0 || kind == PAIRS_Q4_1 || kind == BYTES_Q8_0 || kind == BYTES_Q5_0;
}

INLINE size_t chunk_columns(codes_kind kind)
{
    return is_pairs(kind) ? 2 * CHUNK : CHUNK;
}

/* Blocks of 256 columns, which k_avx512vnni.h unpacks. */
INLINE bool is_k(codes_kind kind)
{
    return kind == BYTES_Q4_K || kind == BYTES_Q5_K || kind == BYTES_Q6_K;
}

/* Bytes from chunk to chunk of a row; of K blocks see four_bytes. */
INLINE size_t chunk_bytes(codes_kind kind)
{
    static const uint8_t bytes[CODES_KINDS] = {
        [PAIRS] = 64,       [PAIRS_Q4_0] = 72, [PAIRS_Q4_1] = 80, [PAIRS_E2M1] = 64,
        [BYTES_2] = 16,     [BYTES_3] = 24,    [BYTES_5] = 40,    [BYTES_6] = 48,
        [BYTES_8] = 64,     [BYTES_Q8_0] = 68, [BYTES_Q5_0] = 44, [BYTES_E2M1] = 32,
        [BYTES_STAGED] = 64};
    return bytes[kind];
}

/* -------- codes -------- */

/* 2 v + 12 for the value v of an E2M1 code. */
INLINE __m512i e2m1_codes(__m512i nibbles)
{
    const __m128i table = _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), nibbles);
}

/* The first 64 of 'count' bytes. */
INLINE __m512i load_some(const uint8_t *bytes, size_t count)
{
    if (count >= CHUNK) return _mm512_loadu_si512(bytes);
    return _mm512_maskz_loadu_epi8(((__mmask64)1 << count) - 1, bytes);
}

/* The last of four blocks (of two, of Q8_0) goes to the last lanes. */
INLINE __m512i load_last_block(codes_kind kind, __m512i others, const uint8_t *codes)
{
    if (kind == BYTES_Q8_0)
        return _mm512_mask_broadcast_i64x4(
            others, 0xf0, _mm256_loadu_si256((const __m256i *)(const void *)codes));
    return _mm512_mask_broadcast_i32x4(others, 0xf000,
                                       _mm_loadu_si128((const __m128i *)(const void *)codes));
}

/* The codes of a chunk of blocks without what is between them: 'first' are its first 64 bytes (most
 * loads of 64 bytes meet two cache lines, so it is loaded once), 'columns' exist. */
INLINE __m512i pack_blocks(codes_kind kind, __m512i first, const uint8_t *blocks, size_t columns)
{
    static const uint16_t q4_0[32] __attribute__((aligned(64))) = {
        1,  2,  3,  4,  5,  6,  7,  8,  10, 11, 12, 13, 14, 15, 16, 17,
        19, 20, 21, 22, 23, 24, 25, 26, 28, 29, 30, 31, 31, 31, 31, 31};
    static const uint16_t q8_0[32] __attribute__((aligned(64))) = {
        1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 31, 31};
    const __m512i q4_1 = _mm512_setr_epi32(1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 15, 15, 15, 15);
    const size_t last = chunk_bytes(kind) - (kind == BYTES_Q8_0 ? 32 : 16);
    __m512i packed;
    if (kind == PAIRS_Q4_1)
        packed = _mm512_permutexvar_epi32(q4_1, first);
    else
        packed =
            _mm512_permutexvar_epi16(_mm512_load_si512(kind == PAIRS_Q4_0 ? q4_0 : q8_0), first);
    return columns == chunk_columns(kind) ? load_last_block(kind, packed, blocks + last) : packed;
}

/* The first 64 bytes of a chunk, of which 'columns' exist. */
INLINE __m512i load_first(codes_kind kind, const uint8_t *bytes, size_t columns)
{
    __m512i first = load_some(bytes, columns * chunk_bytes(kind) / chunk_columns(kind));
    __asm__("" : "+v"(first)); /* once, not once per use */
    return first;
}

/* A chunk of pairs. */
INLINE void load_pairs(codes_kind kind, __m512i first, const uint8_t *bytes, size_t columns,
                       __m512i *low, __m512i *high)
{
    const __m512i nibble = _mm512_set1_epi8(0x0f);
    const __m512i packed = is_blocks(kind) ? pack_blocks(kind, first, bytes, columns) : first;
    *low = _mm512_and_si512(packed, nibble);
    *high = _mm512_and_si512(_mm512_srli_epi32(packed, 4), nibble);
    if (kind != PAIRS_E2M1) return;
    *low = e2m1_codes(*low);
    *high = e2m1_codes(*high);
}

/* 64 codes of 'bits' bits: eight columns fill whole bytes, which become a quadword each. */
INLINE __m512i spread_bits(__m512i packed, unsigned bits)
{
    uint8_t places[CHUNK] __attribute__((aligned(64)));
    uint64_t shifts = 0;
#pragma GCC unroll 64
    for (unsigned i = 0; i < CHUNK; i++) places[i] = (uint8_t)(i / 8 * bits + i % 8);
#pragma GCC unroll 8
    for (unsigned i = 0; i < 8; i++) shifts |= (uint64_t)(i * bits) << 8 * i;
    const __m512i spread = _mm512_permutexvar_epi8(_mm512_load_si512(places), packed);
    const __m512i codes = _mm512_multishift_epi64_epi8(_mm512_set1_epi64((int64_t)shifts), spread);
    return _mm512_and_si512(codes, _mm512_set1_epi8((char)((1u << bits) - 1)));
}

/* Two blocks of Q5_0, of 22 bytes: a head, the fifth bits, then the nibbles of columns 0 to 15
 * (low) and 16 to 31 (high). */
INLINE __m512i q5_0_codes(__m512i blocks)
{
    uint8_t nibbles[CHUNK] __attribute__((aligned(64))), fifths[CHUNK] __attribute__((aligned(64)));
#pragma GCC unroll 64
    for (unsigned i = 0; i < CHUNK; i++) {
        nibbles[i] = (uint8_t)(i / 32 * 22 + 6 + i % 16);
        fifths[i] = (uint8_t)(i / 32 * 22 + 2 + i % 32 / 8);
    }
    const int64_t low = 0x3830282018100800, high = 0x3c342c241c140c04; /* shifts of eight bytes */
    const __m512i shifts = _mm512_setr_epi64(low, low, high, high, low, low, high, high);
    const __m512i bytes = _mm512_permutexvar_epi8(_mm512_load_si512(nibbles), blocks);
    const __m512i codes =
        _mm512_and_si512(_mm512_multishift_epi64_epi8(shifts, bytes), _mm512_set1_epi8(0x0f));
    const __mmask64 fifth =
        _mm512_test_epi8_mask(_mm512_permutexvar_epi8(_mm512_load_si512(fifths), blocks),
                              _mm512_set1_epi64((int64_t)0x8040201008040201));
    return _mm512_mask_add_epi8(codes, fifth, codes, _mm512_set1_epi8(16));
}

/* A chunk of bytes. */
INLINE __m512i load_bytes(codes_kind kind, __m512i first, const uint8_t *bytes, size_t columns)
{
    if (kind == BYTES_8 || kind == BYTES_STAGED) return first;
    if (kind == BYTES_Q8_0)
        return _mm512_xor_si512(pack_blocks(kind, first, bytes, columns),
                                _mm512_set1_epi8((char)0x80));
    if (kind == BYTES_Q5_0) return q5_0_codes(first);
    if (kind == BYTES_E2M1) { /* of each 16 columns the even ones, then the odd ones */
        const __m512i twice =
            _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3), first);
        const __m512i nibbles = _mm512_srlv_epi64(twice, _mm512_setr_epi64(0, 4, 0, 4, 0, 4, 0, 4));
        return e2m1_codes(_mm512_and_si512(nibbles, _mm512_set1_epi8(0x0f)));
    }
    return spread_bits(first, kind == BYTES_2 ? 2 : kind == BYTES_3 ? 3 : kind == BYTES_5 ? 5 : 6);
}

/* vectors[i] dword j becomes vectors[j] dword i. */
INLINE void transpose_dwords(__m512i vectors[LANES])
{
    __m512i t[LANES];
#pragma GCC unroll 4
    for (size_t i = 0; i < LANES; i += 4) { /* 4 x 4 within each 128-bit lane */
        const __m512i a = _mm512_unpacklo_epi32(vectors[i], vectors[i + 1]);
        const __m512i b = _mm512_unpackhi_epi32(vectors[i], vectors[i + 1]);
        const __m512i c = _mm512_unpacklo_epi32(vectors[i + 2], vectors[i + 3]);
        const __m512i d = _mm512_unpackhi_epi32(vectors[i + 2], vectors[i + 3]);
        t[i] = _mm512_unpacklo_epi64(a, c);
        t[i + 1] = _mm512_unpackhi_epi64(a, c);
        t[i + 2] = _mm512_unpacklo_epi64(b, d);
        t[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) { /* then the 4 x 4 lanes */
        const __m512i a = _mm512_shuffle_i32x4(t[i], t[4 + i], 0x44);
        const __m512i b = _mm512_shuffle_i32x4(t[i], t[4 + i], 0xee);
        const __m512i c = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0x44);
        const __m512i d = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0xee);
        vectors[i] = _mm512_shuffle_i32x4(a, c, 0x88);
        vectors[4 + i] = _mm512_shuffle_i32x4(a, c, 0xdd);
        vectors[8 + i] = _mm512_shuffle_i32x4(b, d, 0x88);
        vectors[12 + i] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
}

/* -------- scales -------- */

/* The heads of a chunk's blocks go to the dwords of 'dwords' that belong to the chunk-th of 16
 * groups. */
INLINE __m512i add_heads(codes_kind kind, __m512i dwords, size_t chunk, __m512i head)
{
    static const uint16_t q4_0[32]
        __attribute__((aligned(64))) = {0, 0, 9, 0, 18, 0, 27, 0, 0, 0, 9, 0, 18, 0, 27, 0,
                                        0, 0, 9, 0, 18, 0, 27, 0, 0, 0, 9, 0, 18, 0, 27, 0};
    static const uint16_t q8_0[32]
        __attribute__((aligned(64))) = {0, 0, 17, 0, 0, 0, 17, 0, 0, 0, 17, 0, 0, 0, 17, 0,
                                        0, 0, 17, 0, 0, 0, 17, 0, 0, 0, 17, 0, 0, 0, 17, 0};
    static const uint16_t q5_0[32]
        __attribute__((aligned(64))) = {0, 0, 11, 0, 0, 0, 11, 0, 0, 0, 11, 0, 0, 0, 11, 0,
                                        0, 0, 11, 0, 0, 0, 11, 0, 0, 0, 11, 0, 0, 0, 11, 0};
    if (kind == PAIRS_Q4_1) {
        const __m512i places =
            _mm512_setr_epi32(0, 5, 10, 15, 0, 5, 10, 15, 0, 5, 10, 15, 0, 5, 10, 15);
        return _mm512_mask_permutexvar_epi32(dwords, (__mmask16)(0xfu << 4 * chunk), places, head);
    }
    if (kind == PAIRS_Q4_0)
        return _mm512_mask_permutexvar_epi16(dwords, (__mmask32)(0x55u << 8 * chunk),
                                             _mm512_load_si512(q4_0), head);
    return _mm512_mask_permutexvar_epi16(dwords, (__mmask32)(0x5u << 4 * chunk),
                                         _mm512_load_si512(kind == BYTES_Q8_0 ? q8_0 : q5_0), head);
}

INLINE __m512i widen_words(const uint8_t *bytes, __mmask16 mask)
{
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, bytes));
}

/* 'count' (at most 16) scales that stand apart from the codes. */
INLINE __m512i load_scales(scales_kind kind, const uint8_t *scales, const uint8_t *biases,
                           size_t count)
{
    const __mmask16 mask = (__mmask16)((1u << count) - 1);
    if (kind == SCALES_F32 || kind == SCALES_F32_ALONE)
        return _mm512_maskz_loadu_epi32(mask, scales);
    if (kind == SCALES_E8M0 || kind == SCALES_E4M3)
        return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, scales));
    return _mm512_or_si512(widen_words(scales, mask),
                           _mm512_slli_epi32(widen_words(biases, mask), 16));
}

INLINE __m512 f16_low_halves(__m512i dwords)
{
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(dwords));
}

INLINE __m512 scale_of(scales_kind kind, __m512i dwords)
{
    if (kind == SCALES_F32 || kind == SCALES_F32_ALONE) return _mm512_castsi512_ps(dwords);
    if (kind == SCALES_BF16) return _mm512_castsi512_ps(_mm512_slli_epi32(dwords, 16));
    if (kind == SCALES_E4M3) { /* half of zx_e4m3_to_f32 */
        const __m512i magnitude = _mm512_and_si512(dwords, _mm512_set1_epi32(0x7f));
        const __m512i sign = _mm512_slli_epi32(_mm512_xor_si512(dwords, magnitude), 24);
        const __m512i is_nan = _mm512_and_si512(_mm512_add_epi32(magnitude, _mm512_set1_epi32(1)),
                                                _mm512_set1_epi32(0x80));
        const __m512i half = _mm512_slli_epi32(_mm512_or_si512(magnitude, is_nan), 7);
        const __m512 value = _mm512_mul_ps(f16_low_halves(half), _mm512_set1_ps(128.0F));
        return _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(value), sign));
    }
    if (kind == SCALES_E8M0) {
        const __m512i least = _mm512_set1_epi32(0x00400000); /* the code 0 is 2^-127 */
        const __mmask16 is_zero = _mm512_testn_epi32_mask(dwords, dwords);
        const __m512i bits = _mm512_mask_mov_epi32(_mm512_slli_epi32(dwords, 23), is_zero, least);
        return _mm512_mul_ps(_mm512_castsi512_ps(bits), _mm512_set1_ps(0.5F));
    }
    return f16_low_halves(dwords);
}

/* 'biases': the dwords of SCALES_F32. */
INLINE __m512 bias_of(scales_kind kind, __m512i dwords, __m512i biases)
{
    if (kind == SCALES_F32) return _mm512_castsi512_ps(biases);
    if (kind == SCALES_BF16)
        return _mm512_castsi512_ps(_mm512_and_si512(dwords, _mm512_set1_epi32(-0x10000)));
    return f16_low_halves(_mm512_srli_epi32(dwords, 16));
}

/* -------- a weight's rows -------- */

static inline codes_kind kind_of(const zx_weight *weight)
{
    static const codes_kind by_bits[] = {
        [2] = BYTES_2, [3] = BYTES_3, [4] = PAIRS, [5] = BYTES_5, [6] = BYTES_6, [8] = BYTES_8};
    static const codes_kind by_format[ZX_FORMAT_COUNT] = {
        [ZX_FORMAT_MXFP4] = PAIRS_E2M1,    [ZX_FORMAT_NVFP4] = BYTES_E2M1,
        [ZX_FORMAT_Q4_0] = PAIRS_Q4_0,     [ZX_FORMAT_Q4_1] = PAIRS_Q4_1,
        [ZX_FORMAT_Q5_0] = BYTES_Q5_0,     [ZX_FORMAT_Q5_1] = BYTES_STAGED,
        [ZX_FORMAT_Q8_0] = BYTES_Q8_0,     [ZX_FORMAT_Q2_K] = BYTES_STAGED,
        [ZX_FORMAT_Q3_K] = BYTES_STAGED,   [ZX_FORMAT_Q4_K] = BYTES_STAGED,
        [ZX_FORMAT_Q5_K] = BYTES_STAGED,   [ZX_FORMAT_Q6_K] = BYTES_STAGED,
        [ZX_FORMAT_IQ4_NL] = BYTES_STAGED, [ZX_FORMAT_IQ4_XS] = BYTES_STAGED,
        [ZX_FORMAT_MXFP4_B] = BYTES_STAGED};
    return weight->format == ZX_FORMAT_AFFINE ? by_bits[weight->bits] : by_format[weight->format];
}

static inline bool stages(const zx_weight *weight)
{
    return kind_of(weight) == BYTES_STAGED;
}

static inline scales_kind scales_kind_of(const zx_weight *weight)
{
    static const scales_kind kinds[ZX_FORMAT_COUNT] = {
        [ZX_FORMAT_MXFP4] = SCALES_E8M0, [ZX_FORMAT_NVFP4] = SCALES_E4M3,
        [ZX_FORMAT_Q4_0] = SCALES_HEADS, [ZX_FORMAT_Q4_1] = SCALES_F16,
        [ZX_FORMAT_Q8_0] = SCALES_HEADS, [ZX_FORMAT_Q5_0] = SCALES_HEADS,
    };
    if (weight->format != ZX_FORMAT_AFFINE) return kinds[weight->format];
    if (weight->dtype == ZX_F32) return SCALES_F32;
    return weight->dtype == ZX_F16 ? SCALES_F16 : SCALES_BF16;
}

/* Rows 'row' on, groups 'first' on (of K blocks 0), read as 'kind' says. */
static inline rows_source source_of(codes_kind kind, const zx_weight *weight, size_t row,
                                    size_t first)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    rows_source s = {.kind = kind,
                     .scales_kind = scales_kind_of(weight),
                     .affine = traits->integer == ZX_INTEGER_AFFINE,
                     .zero = traits->zero,
                     .group = weight->group,
                     .groups = zx_weight_groups(weight) - first,
                     .stride = weight->codes_stride,
                     .block_bytes = chunk_bytes(kind) * weight->group / chunk_columns(kind),
                     .scales_stride = weight->scales_stride};
    if (kind == BYTES_STAGED || is_k(kind))
        s.scales_kind = s.affine ? SCALES_F32 : SCALES_F32_ALONE;
    if (kind != BYTES_STAGED) s.codes = weight->codes + row * s.stride + first * s.block_bytes;
    if (is_blocks(kind) || is_k(kind)) return s;
    s.scale_bytes = 4;
    if (kind == BYTES_STAGED) return s; /* staged_source says where */
    const bool affine = weight->format == ZX_FORMAT_AFFINE;
    s.scale_bytes = affine ? zx_dtypes[weight->dtype].bytes : 1;
    s.scales = weight->scales + row * s.scales_stride + first * s.scale_bytes;
    if (affine) s.biases = weight->biases + row * s.scales_stride + first * s.scale_bytes;
    return s;
}

/* The same of rows staged from group 'first' on; strides 0: each in the place of the one before. */
static inline rows_source staged_source(const zx_weight *weight, size_t first, const zx_stage *at,
                                        bool strides)
{
    rows_source s = source_of(BYTES_STAGED, weight, 0, first);
    s.codes = at->codes;
    s.stride = strides ? at->columns : 0;
    s.scales = (const uint8_t *)at->scales;
    s.biases = (const uint8_t *)at->biases;
    s.scales_stride = strides ? at->groups * sizeof(float) : 0;
    return s;
}

#endif
