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

/* 'count' (at most 64) bytes of each of 16 rows, transposed. */
INLINE void load_transposed(const uint8_t *bytes, size_t stride, size_t count,
                            __m512i dwords[LANES])
{
    for (size_t row = 0; row < LANES; row++) dwords[row] = load_some(bytes + row * stride, count);
    transpose_dwords(dwords);
}

/* Scales (or biases) 'first' to 'first + groups' of 16 rows of the matrix at 'bytes' into
 * out[group][out_stride]. */
static inline void transpose_scales(const zx_weight *weight, const uint8_t *bytes, size_t first,
                                    size_t groups, size_t out_stride, float *out)
{
    const bool small_floats = weight->format != ZX_FORMAT_AFFINE;
    const size_t size = small_floats ? 1 : zx_dtypes[weight->dtype].bytes;
    const size_t per_load = CHUNK / size;
    float spare[LANES] __attribute__((aligned(64)));
    for (size_t done = 0; done < groups; done += per_load) {
        const size_t left = groups - done, count = left < per_load ? left : per_load;
        __m512i dwords[LANES];
        load_transposed(bytes + (first + done) * size, weight->scales_stride, count * size, dwords);
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

/* Scales and biases of the source's groups, which begin at 'first', as f32, [group][out_stride]. */
static inline void load_scales(const zx_weight *weight, size_t row, size_t first,
                               const codes_source *source, size_t out_stride, float *scales,
                               float *biases)
{
    const size_t head = block_head(weight), at = row * weight->scales_stride;
    if (head > 0) {
        gather_block_scales(weight, source->codes - head, source->block_bytes, source->groups,
                            out_stride, scales, biases);
        return;
    }
    transpose_scales(weight, weight->scales + at, first, source->groups, out_stride, scales);
    if (weight->biases != NULL)
        transpose_scales(weight, weight->biases + at, first, source->groups, out_stride, biases);
}

#endif
