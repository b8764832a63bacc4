/* codes_avx512vnni.h - codes and scales of a quantized weight as vectors.
 *
 * Codes are loaded a row at a time and 64 bytes at a time, so that a cache line is touched once:
 * many models have rows 4096 bytes apart, and sixteen such lines do not fit a set of the L1 cache.
 *
 *   pairs   64 packed bytes are 128 columns: the low nibbles of byte 16 p + i meet byte 32 p + i of
 *           the activations' plane, the high ones byte 32 p + 16 + i
 *   bytes   64 columns, one code per byte, in the order of the plane
 *
 * Only the avx512vnni files include this. */
#ifndef ZX_KERNELS_MATMUL_CODES_AVX512VNNI_H
#define ZX_KERNELS_MATMUL_CODES_AVX512VNNI_H

#include <immintrin.h>

#include "quant/format.h"

enum { LANES = 16, CHUNK = 64 };

/* How the codes of a row are packed; a weight's format and bits decide (see zx_codes_kind). */
typedef enum codes_kind {
    PAIRS,        /* affine with 4 bits */
    PAIRS_BLOCKS, /* Q4_0, Q4_1 */
    PAIRS_E2M1,   /* MXFP4 */
    BYTES_2,      /* affine with 2 bits, and so on */
    BYTES_3,
    BYTES_5,
    BYTES_6,
    BYTES_8,
    BYTES_BLOCKS, /* Q8_0 */
    BYTES_E2M1,   /* NVFP4 */
    CODES_KINDS,
} codes_kind;

#define INLINE static inline __attribute__((always_inline))

/* Sixteen rows of a weight. */
typedef struct codes_source {
    codes_kind kind;
    bool affine;
    int32_t zero;
    size_t group, groups;
    const uint8_t *codes; /* of the first row and group */
    size_t stride;        /* from row to row */
    size_t block_bytes;   /* from group to group */
} codes_source;

INLINE bool is_pairs(codes_kind kind)
{
    return kind <= PAIRS_E2M1;
}

/* Columns of a chunk. */
INLINE size_t chunk_columns(codes_kind kind)
{
    return is_pairs(kind) ? 2 * CHUNK : CHUNK;
}

/* Bytes from chunk to chunk of a row. */
INLINE size_t chunk_bytes(const codes_source *source)
{
    return chunk_columns(source->kind) * source->block_bytes / source->group;
}

/* 2 v + 12 for the value v of an E2M1 code. */
INLINE __m512i e2m1_codes(__m512i nibbles)
{
    const __m128i table = _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), nibbles);
}

INLINE __m512i load_some(const uint8_t *bytes, size_t count)
{
    if (count == CHUNK) return _mm512_loadu_si512(bytes);
    return _mm512_maskz_loadu_epi8(((__mmask64)1 << count) - 1, bytes);
}

/* 16 bytes of each of 'count' (at most 4) blocks. */
INLINE __m512i load_nibble_blocks(const uint8_t *bytes, size_t block_bytes, size_t count)
{
    const __m128i *first = (const __m128i *)(const void *)bytes;
    __m512i packed = _mm512_castsi128_si512(_mm_loadu_si128(first));
    if (count > 1)
        packed = _mm512_mask_broadcast_i32x4(
            packed, 0x00f0, _mm_loadu_si128((const __m128i *)(const void *)(bytes + block_bytes)));
    if (count > 2)
        packed = _mm512_mask_broadcast_i32x4(
            packed, 0x0f00,
            _mm_loadu_si128((const __m128i *)(const void *)(bytes + 2 * block_bytes)));
    if (count > 3)
        packed = _mm512_mask_broadcast_i32x4(
            packed, 0xf000,
            _mm_loadu_si128((const __m128i *)(const void *)(bytes + 3 * block_bytes)));
    return packed;
}

/* A chunk of pairs, of which 'columns' exist. */
INLINE void load_pairs(codes_kind kind, const uint8_t *bytes, size_t block_bytes, size_t columns,
                       __m512i *low, __m512i *high)
{
    const __m512i nibble = _mm512_set1_epi8(0x0f);
    const __m512i packed = kind == PAIRS_BLOCKS
                               ? load_nibble_blocks(bytes, block_bytes, columns / 32)
                               : load_some(bytes, columns / 2);
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

/* A chunk of bytes, of which 'columns' exist. */
INLINE __m512i load_bytes(codes_kind kind, const uint8_t *bytes, size_t block_bytes, size_t columns)
{
    if (kind == BYTES_8) return load_some(bytes, columns);
    if (kind == BYTES_BLOCKS) {
        __m512i codes =
            _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)bytes));
        if (columns > 32)
            codes = _mm512_mask_broadcast_i64x4(
                codes, 0xf0,
                _mm256_loadu_si256((const __m256i *)(const void *)(bytes + block_bytes)));
        return _mm512_xor_si512(codes, _mm512_set1_epi8((char)0x80));
    }
    if (kind == BYTES_E2M1) { /* of each 16 columns the even ones, then the odd ones */
        const __m512i packed = load_some(bytes, columns / 2);
        const __m512i twice =
            _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3), packed);
        const __m512i nibbles = _mm512_srlv_epi64(twice, _mm512_setr_epi64(0, 4, 0, 4, 0, 4, 0, 4));
        return e2m1_codes(_mm512_and_si512(nibbles, _mm512_set1_epi8(0x0f)));
    }
    const unsigned bits = kind == BYTES_2 ? 2 : kind == BYTES_3 ? 3 : kind == BYTES_5 ? 5 : 6;
    return spread_bits(load_some(bytes, columns / 8 * bits), bits);
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

/* -------- scales: 16 rows, one f32 vector per group -------- */

/* How a row keeps its scales: 16 groups of a row are loaded as 16 dwords. */
typedef enum scales_kind {
    SCALES_F16, /* affine: the scale in the low half, the bias in the high half */
    SCALES_BF16,
    SCALES_F32, /* affine, the biases apart */
    SCALES_E8M0,
    SCALES_E4M3,
    SCALES_Q4_0, /* in front of blocks of 18 bytes */
    SCALES_Q4_1, /* 20 bytes, with minima */
    SCALES_Q8_0, /* 34 bytes */
} scales_kind;

static inline scales_kind scales_kind_of(const zx_weight *weight)
{
    static const scales_kind kinds[ZX_FORMAT_COUNT] = {
        [ZX_FORMAT_MXFP4] = SCALES_E8M0, [ZX_FORMAT_NVFP4] = SCALES_E4M3,
        [ZX_FORMAT_Q4_0] = SCALES_Q4_0,  [ZX_FORMAT_Q4_1] = SCALES_Q4_1,
        [ZX_FORMAT_Q8_0] = SCALES_Q8_0,
    };
    if (weight->format != ZX_FORMAT_AFFINE) return kinds[weight->format];
    if (weight->dtype == ZX_F32) return SCALES_F32;
    return weight->dtype == ZX_F16 ? SCALES_F16 : SCALES_BF16;
}

/* The 16-bit scales (and minima) of 'count' blocks of 'words' 16-bit words. */
INLINE __m512i load_block_scales(const uint8_t *block, unsigned words, bool minima, size_t count)
{
    const unsigned of_load = 1 + 31 / words; /* blocks whose head lies within 64 bytes */
    uint16_t places[2 * LANES] __attribute__((aligned(64)));
    __m512i dwords = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (unsigned first = 0; first < LANES; first += of_load) {
        const size_t left = count > first ? (count - first) * words * 2 : 0;
        const __m512i bytes = load_some(block + first * words * 2, left < CHUNK ? left : CHUNK);
#pragma GCC unroll 16
        for (unsigned i = 0; i < LANES; i++) {
            const bool here = i >= first && i < first + of_load;
            const unsigned at = (i - first) * words;
            places[2 * i] = (uint16_t)(here ? 32 + at : 2 * i);
            places[2 * i + 1] = (uint16_t)(here ? 32 + at + minima : 2 * i + 1);
        }
        dwords = _mm512_permutex2var_epi16(dwords, _mm512_load_si512(places), bytes);
    }
    return dwords;
}

INLINE __m512i widen_words(const uint8_t *bytes, size_t count)
{
    const __mmask16 mask = (__mmask16)((1u << count) - 1);
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, bytes));
}

/* 'count' (at most 16) groups of a row, from the first that 'scales' and 'biases' point to. */
INLINE __m512i load_scale_dwords(scales_kind kind, const uint8_t *scales, const uint8_t *biases,
                                 size_t count)
{
    switch (kind) {
    case SCALES_F16:
    case SCALES_BF16:
        return _mm512_or_si512(widen_words(scales, count),
                               _mm512_slli_epi32(widen_words(biases, count), 16));
    case SCALES_F32: return load_some(scales, 4 * count);
    case SCALES_E8M0:
    case SCALES_E4M3:
        return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8((__mmask16)((1u << count) - 1), scales));
    case SCALES_Q4_0: return load_block_scales(scales, 9, false, count);
    case SCALES_Q4_1: return load_block_scales(scales, 10, true, count);
    case SCALES_Q8_0: return load_block_scales(scales, 17, false, count);
    }
    return _mm512_setzero_si512();
}

INLINE __m512 f16_low_halves(__m512i dwords)
{
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(dwords));
}

INLINE __m512 scale_of(scales_kind kind, __m512i dwords)
{
    if (kind == SCALES_F32) return _mm512_castsi512_ps(dwords);
    if (kind == SCALES_BF16) return _mm512_castsi512_ps(_mm512_slli_epi32(dwords, 16));
    if (kind == SCALES_E4M3) { /* as f16 it is 2^-8 of its value, of which half is wanted */
        const __m512i magnitude = _mm512_and_si512(dwords, _mm512_set1_epi32(0x7f));
        const __m512i sign = _mm512_slli_epi32(_mm512_xor_si512(dwords, magnitude), 24);
        const __m512 value =
            _mm512_mul_ps(f16_low_halves(_mm512_slli_epi32(magnitude, 7)), _mm512_set1_ps(128.0F));
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

INLINE __m512 bias_of(scales_kind kind, __m512i dwords)
{
    if (kind == SCALES_BF16)
        return _mm512_castsi512_ps(_mm512_and_si512(dwords, _mm512_set1_epi32(-0x10000)));
    return f16_low_halves(_mm512_srli_epi32(dwords, 16));
}

/* Where 16 rows' scales are and where they go: [group][out_stride]. */
typedef struct scales_source {
    const uint8_t *scales, *biases; /* of the first row and group */
    size_t stride;                  /* from row to row */
    size_t step;                    /* from group to group */
    size_t groups, out_stride;
    float *out_scales, *out_biases;
} scales_source;

INLINE void store_scales(scales_kind kind, const scales_source *s)
{
    const bool packed = kind == SCALES_F16 || kind == SCALES_BF16 || kind == SCALES_Q4_1;
    for (size_t first = 0; first < s->groups; first += LANES) {
        const size_t left = s->groups - first, count = left < LANES ? left : LANES;
        const uint8_t *scales = s->scales + first * s->step;
        const uint8_t *biases = packed ? s->biases + first * s->step : NULL;
        float *out_scales = s->out_scales + first * s->out_stride;
        float *out_biases = s->out_biases + first * s->out_stride;
        __m512i rows[LANES];
#pragma GCC unroll 16
        for (size_t row = 0; row < LANES; row++, scales += s->stride, biases += s->stride) {
            __asm__("" : "+r"(scales), "+r"(biases)); /* one pointer, not sixteen */
            rows[row] = load_scale_dwords(kind, scales, biases, count);
        }
        transpose_dwords(rows);
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES; i++) {
            if (i == count) break;
            _mm512_store_ps(out_scales, scale_of(kind, rows[i]));
            out_scales += s->out_stride;
            if (!packed) continue;
            _mm512_store_ps(out_biases, bias_of(kind, rows[i]));
            out_biases += s->out_stride;
        }
    }
}

static void store_f16_scales(const scales_source *s)
{
    store_scales(SCALES_F16, s);
}

static void store_bf16_scales(const scales_source *s)
{
    store_scales(SCALES_BF16, s);
}

static void store_f32_scales(const scales_source *s)
{
    scales_source biases = *s;
    store_scales(SCALES_F32, s);
    biases.scales = s->biases;
    biases.out_scales = s->out_biases;
    store_scales(SCALES_F32, &biases);
}

static void store_e8m0_scales(const scales_source *s)
{
    store_scales(SCALES_E8M0, s);
}

static void store_e4m3_scales(const scales_source *s)
{
    store_scales(SCALES_E4M3, s);
}

static void store_q4_0_scales(const scales_source *s)
{
    store_scales(SCALES_Q4_0, s);
}

static void store_q4_1_scales(const scales_source *s)
{
    store_scales(SCALES_Q4_1, s);
}

static void store_q8_0_scales(const scales_source *s)
{
    store_scales(SCALES_Q8_0, s);
}

/* -------- a weight's rows -------- */

static inline codes_kind kind_of(const zx_weight *weight)
{
    static const codes_kind by_bits[] = {
        [2] = BYTES_2, [3] = BYTES_3, [4] = PAIRS, [5] = BYTES_5, [6] = BYTES_6, [8] = BYTES_8};
    static const codes_kind by_format[ZX_FORMAT_COUNT] = {[ZX_FORMAT_MXFP4] = PAIRS_E2M1,
                                                          [ZX_FORMAT_NVFP4] = BYTES_E2M1,
                                                          [ZX_FORMAT_Q4_0] = PAIRS_BLOCKS,
                                                          [ZX_FORMAT_Q4_1] = PAIRS_BLOCKS,
                                                          [ZX_FORMAT_Q8_0] = BYTES_BLOCKS};
    return weight->format == ZX_FORMAT_AFFINE ? by_bits[weight->bits] : by_format[weight->format];
}

/* Bytes of scales in front of a block's codes; 0 where scales stand apart. */
static inline size_t block_head(const zx_weight *weight)
{
    if (weight->format == ZX_FORMAT_Q4_1) return 4;
    return weight->format == ZX_FORMAT_Q4_0 || weight->format == ZX_FORMAT_Q8_0 ? 2 : 0;
}

/* Rows 'row' on, groups 'first' on. */
static inline codes_source source_of(const zx_weight *weight, size_t row, size_t first)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    const size_t block_bytes = block_head(weight) + (size_t)weight->group * weight->bits / 8;
    return (codes_source){.kind = kind_of(weight),
                          .affine = traits->integer == ZX_INTEGER_AFFINE,
                          .zero = traits->zero,
                          .group = weight->group,
                          .groups = zx_weight_groups(weight) - first,
                          .codes = weight->codes + row * weight->codes_stride +
                                   first * block_bytes + block_head(weight),
                          .stride = weight->codes_stride,
                          .block_bytes = block_bytes};
}

/* Scales and biases of 'groups' groups of 16 rows as f32, [group][out_stride]. */
static inline void load_scales(const zx_weight *weight, size_t row, size_t first, size_t groups,
                               size_t out_stride, float *scales, float *biases)
{
    static void (*const store[])(const scales_source *) = {
        store_f16_scales,  store_bf16_scales, store_f32_scales,  store_e8m0_scales,
        store_e4m3_scales, store_q4_0_scales, store_q4_1_scales, store_q8_0_scales};
    scales_source s = {
        .groups = groups, .out_stride = out_stride, .out_scales = scales, .out_biases = biases};
    if (block_head(weight) > 0) {
        s.step = block_head(weight) + (size_t)weight->group * weight->bits / 8;
        s.stride = weight->codes_stride;
        s.scales = s.biases = weight->codes + row * s.stride + first * s.step;
    } else {
        const bool affine = weight->format == ZX_FORMAT_AFFINE;
        s.step = affine ? zx_dtypes[weight->dtype].bytes : 1;
        s.stride = weight->scales_stride;
        s.scales = weight->scales + row * s.stride + first * s.step;
        if (affine) s.biases = weight->biases + row * s.stride + first * s.step;
    }
    store[scales_kind_of(weight)](&s);
}

#endif
