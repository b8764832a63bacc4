/* codes_avx2.h - codes and scales of a quantized weight as vectors; codes_avx512vnni.h for half the
 * width.
 *
 *   pairs   32 packed bytes are 64 columns: the low nibbles of byte 16 p + i meet byte 32 p + i of
 *           the activations' plane, the high ones byte 32 p + 16 + i
 *   bytes   32 columns, one code per byte, in the order of the plane
 *
 * A chunk is always whole: of pairs two runs of 32 columns, the second of which may be missing (it
 * then reads as zeros), of bytes one or, of NVFP4, two runs of 16.
 * Only the avx2 files include this. */
#ifndef ZX_KERNELS_MATMUL_CODES_AVX2_H
#define ZX_KERNELS_MATMUL_CODES_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "kernels/matmul/stage_avx2.h"
#include "quant/format.h"

enum { LANES = 8, CHUNK = 32 };

/* How the scales of a row are kept: 8 groups of a row are 8 dwords. */
typedef enum scales_kind {
    SCALES_F16, /* the scale in the low half, the bias or minimum in the high half */
    SCALES_BF16,
    SCALES_F32, /* the biases as dwords of their own */
    SCALES_E8M0,
    SCALES_E4M3,
    SCALES_HEADS,     /* of blocks: an f16 scale in the low half */
    SCALES_F32_ALONE, /* staged, without biases */
    SCALES_KINDS,
} scales_kind;

typedef enum codes_kind {
    PAIRS, /* affine with 4 bits, Q4_0, Q4_1 */
    PAIRS_E2M1,
    BYTES_2,
    BYTES_3,
    BYTES_5,
    BYTES_6,
    BYTES_8,
    BYTES_Q8_0,
    BYTES_E2M1,
    BYTES_STAGED, /* a row, or a strip, that stage_avx2.h has unpacked: codes below 64 */
    BYTES_STAGED_8,
    CODES_KINDS,
} codes_kind;

#define INLINE static inline __attribute__((always_inline))

/* Rows of a weight from a first row on. */
typedef struct rows_source {
    codes_kind kind;
    scales_kind scales_kind;
    const zx_weight *weight;
    size_t row;
    bool affine;
    int32_t zero;
    size_t group, groups;
    size_t head, block_bytes; /* in front of a group's codes; from group to group */
    size_t chunk_bytes;       /* from chunk to chunk */
    size_t run_bytes;         /* from the first run of a chunk of pairs to the second */
} rows_source;

INLINE bool is_pairs(codes_kind kind)
{
    return kind <= PAIRS_E2M1;
}

INLINE bool is_staged(codes_kind kind)
{
    return kind >= BYTES_STAGED;
}

INLINE size_t chunk_columns(codes_kind kind)
{
    return is_pairs(kind) ? 2 * CHUNK : CHUNK;
}

static inline scales_kind scales_kind_of(const zx_weight *weight)
{
    static const scales_kind kinds[ZX_FORMAT_COUNT] = {
        [ZX_FORMAT_MXFP4] = SCALES_E8M0, [ZX_FORMAT_NVFP4] = SCALES_E4M3,
        [ZX_FORMAT_Q4_0] = SCALES_HEADS, [ZX_FORMAT_Q4_1] = SCALES_F16,
        [ZX_FORMAT_Q8_0] = SCALES_HEADS,
    };
    if (weight->format != ZX_FORMAT_AFFINE) return kinds[weight->format];
    if (weight->dtype == ZX_F32) return SCALES_F32;
    return weight->dtype == ZX_F16 ? SCALES_F16 : SCALES_BF16;
}

/* Whether its blocks are staged. */
static inline bool stages(const zx_weight *weight)
{
    return zx_formats[weight->format].block > 0 && weight->format != ZX_FORMAT_Q4_0 &&
           weight->format != ZX_FORMAT_Q4_1 && weight->format != ZX_FORMAT_Q8_0;
}

static inline rows_source source_of(const zx_weight *weight, size_t row)
{
    static const codes_kind by_bits[] = {
        [2] = BYTES_2, [3] = BYTES_3, [4] = PAIRS, [5] = BYTES_5, [6] = BYTES_6, [8] = BYTES_8};
    static const codes_kind by_format[ZX_FORMAT_COUNT] = {[ZX_FORMAT_MXFP4] = PAIRS_E2M1,
                                                          [ZX_FORMAT_NVFP4] = BYTES_E2M1,
                                                          [ZX_FORMAT_Q8_0] = BYTES_Q8_0};
    static const uint8_t heads[ZX_FORMAT_COUNT] = {
        [ZX_FORMAT_Q4_0] = 2, [ZX_FORMAT_Q4_1] = 4, [ZX_FORMAT_Q8_0] = 2};
    const zx_format_traits *traits = &zx_formats[weight->format];
    rows_source s = {.kind = weight->format == ZX_FORMAT_AFFINE ? by_bits[weight->bits]
                                                                : by_format[weight->format],
                     .scales_kind = scales_kind_of(weight),
                     .weight = weight,
                     .row = row,
                     .affine = traits->integer == ZX_INTEGER_AFFINE,
                     .zero = traits->zero,
                     .group = weight->group,
                     .groups = zx_weight_groups(weight),
                     .head = heads[weight->format]};
    s.block_bytes = s.head + s.group * weight->bits / 8;
    if (stages(weight)) { /* staged_source says where */
        s.kind = s.zero > 64 ? BYTES_STAGED_8 : BYTES_STAGED;
        s.scales_kind = s.affine ? SCALES_F32 : SCALES_F32_ALONE;
        s.block_bytes = s.group;
    }
    s.chunk_bytes = chunk_columns(s.kind) * s.block_bytes / s.group;
    s.run_bytes = s.head > 0 ? s.block_bytes : CHUNK / 2;
    return s;
}

/* The same of rows staged as 'staged' is told to say; strides 0: each in the place of the one
 * before. */
static inline rows_source staged_source(const zx_weight *weight, const zx_stage *at, bool strides,
                                        zx_weight *staged)
{
    rows_source s = source_of(weight, 0);
    *staged = *weight;
    staged->codes = at->codes;
    staged->codes_stride = strides ? at->columns : 0;
    staged->scales = (const uint8_t *)at->scales;
    staged->biases = (const uint8_t *)at->biases;
    staged->scales_stride = strides ? at->groups * sizeof(float) : 0;
    s.weight = staged;
    return s;
}

/* The codes of a group of a row. */
INLINE const uint8_t *codes_at(const rows_source *s, size_t row, size_t group)
{
    return s->weight->codes + (s->row + row) * s->weight->codes_stride + group * s->block_bytes +
           s->head;
}

/* -------- codes -------- */

INLINE __m128i load_16(const uint8_t *bytes)
{
    return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

/* 2 v + 12 for the value v of an E2M1 code. */
INLINE __m256i e2m1_codes(__m256i nibbles)
{
    const __m128i table = _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibbles);
}

/* A chunk of pairs whose second run lies 'next' bytes further, or nowhere (0). */
INLINE void load_pairs(codes_kind kind, const uint8_t *bytes, size_t next, __m256i *low,
                       __m256i *high)
{
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    __m256i packed = _mm256_zextsi128_si256(load_16(bytes));
    if (next == 16)
        packed = _mm256_loadu_si256((const __m256i *)(const void *)bytes);
    else if (next > 0)
        packed = _mm256_inserti128_si256(packed, load_16(bytes + next), 1);
    *low = _mm256_and_si256(packed, nibble);
    *high = _mm256_and_si256(_mm256_srli_epi16(packed, 4), nibble);
    if (kind != PAIRS_E2M1) return;
    *low = e2m1_codes(*low);
    *high = e2m1_codes(*high);
}

/* 16 codes of 'bits' bits: 2 * bits bytes, no more of which are read. */
INLINE __m128i load_bit_string(unsigned bits, const uint8_t *bytes)
{
    int64_t first = 0;
    int32_t last = 0;
    memcpy(&first, bytes, bits < 4 ? 2 * bits : 8);
    if (bits > 4) memcpy(&last, bytes + 8, 2 * bits - 8);
    return _mm_insert_epi32(_mm_cvtsi64_si128(first), last, 2);
}

/* 32 codes of 'bits' bits: a dword takes the bytes that hold four codes, which are then moved
 * apart. */
INLINE __m256i spread_bits(unsigned bits, const uint8_t *bytes)
{
    uint8_t places[CHUNK];
    uint32_t shifts[LANES];
#pragma GCC unroll 8
    for (unsigned i = 0; i < LANES; i++) {
        const unsigned bit = i % 4 * 4 * bits;
#pragma GCC unroll 4
        for (unsigned j = 0; j < 4; j++) places[4 * i + j] = (uint8_t)(bit / 8 + j);
        shifts[i] = bit % 8;
    }
    const int mask = (1 << bits) - 1;
    const __m256i packed =
        _mm256_inserti128_si256(_mm256_castsi128_si256(load_bit_string(bits, bytes)),
                                load_bit_string(bits, bytes + 2 * bits), 1);
    const __m256i fours = _mm256_srlv_epi32(
        _mm256_shuffle_epi8(packed, _mm256_loadu_si256((const __m256i *)(const void *)places)),
        _mm256_loadu_si256((const __m256i *)(const void *)shifts));
    __m256i codes = _mm256_and_si256(fours, _mm256_set1_epi32(mask));
#pragma GCC unroll 3
    for (int j = 1; j < 4; j++)
        codes = _mm256_or_si256(
            codes, _mm256_and_si256(_mm256_slli_epi32(fours, j * (8 - (int)bits)),
                                    _mm256_set1_epi32((int)((unsigned)mask << 8 * j))));
    return codes;
}

/* A chunk of bytes, of which 'columns' (32, or 16 of NVFP4) exist. */
INLINE __m256i load_bytes(codes_kind kind, const uint8_t *bytes, size_t columns)
{
    if (kind == BYTES_2) return spread_bits(2, bytes);
    if (kind == BYTES_3) return spread_bits(3, bytes);
    if (kind == BYTES_5) return spread_bits(5, bytes);
    if (kind == BYTES_6) return spread_bits(6, bytes);
    if (kind == BYTES_E2M1) { /* of each 16 columns the even ones, then the odd ones */
        const __m128i eight = _mm_loadl_epi64((const __m128i *)(const void *)bytes);
        const __m128i packed = columns == CHUNK ? load_16(bytes) : eight;
        const __m128i nibble = _mm_set1_epi8(0x0f);
        const __m128i low = _mm_and_si128(packed, nibble);
        const __m128i high = _mm_and_si128(_mm_srli_epi16(packed, 4), nibble);
        return e2m1_codes(
            _mm256_set_m128i(_mm_unpackhi_epi64(low, high), _mm_unpacklo_epi64(low, high)));
    }
    const __m256i codes = _mm256_loadu_si256((const __m256i *)(const void *)bytes);
    return kind == BYTES_8 || is_staged(kind)
               ? codes
               : _mm256_xor_si256(codes, _mm256_set1_epi8((char)0x80));
}

/* vectors[i] dword j becomes vectors[j] dword i. */
INLINE void transpose_dwords(__m256i vectors[LANES])
{
    __m256i t[LANES];
#pragma GCC unroll 2
    for (size_t i = 0; i < LANES; i += 4) { /* 4 x 4 within each 128-bit lane */
        const __m256i a = _mm256_unpacklo_epi32(vectors[i], vectors[i + 1]);
        const __m256i b = _mm256_unpackhi_epi32(vectors[i], vectors[i + 1]);
        const __m256i c = _mm256_unpacklo_epi32(vectors[i + 2], vectors[i + 3]);
        const __m256i d = _mm256_unpackhi_epi32(vectors[i + 2], vectors[i + 3]);
        t[i] = _mm256_unpacklo_epi64(a, c);
        t[i + 1] = _mm256_unpackhi_epi64(a, c);
        t[i + 2] = _mm256_unpacklo_epi64(b, d);
        t[i + 3] = _mm256_unpackhi_epi64(b, d);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        vectors[i] = _mm256_permute2x128_si256(t[i], t[4 + i], 0x20);
        vectors[4 + i] = _mm256_permute2x128_si256(t[i], t[4 + i], 0x31);
    }
}

/* -------- scales -------- */

INLINE __m256i widen_words(const uint8_t *bytes)
{
    return _mm256_cvtepu16_epi32(load_16(bytes));
}

/* The scales of 8 groups of a row from 'group' on, of which 'count' exist: into to[0], the biases
 * of SCALES_F32 into to[1]. */
INLINE void load_scales(scales_kind kind, const rows_source *s, size_t row, size_t group,
                        size_t count, __m256i *to)
{
    const zx_weight *w = s->weight;
    if (kind == SCALES_HEADS || (kind == SCALES_F16 && s->head > 0)) {
        const uint8_t *head = codes_at(s, row, group) - s->head;
        for (size_t i = 0; i < LANES; i++, head += s->block_bytes) { /* not reloaded soon */
            uint32_t dword = 0;
            if (i < count) memcpy(&dword, head, kind == SCALES_HEADS ? 2 : 4);
            memcpy((char *)to + 4 * i, &dword, 4);
        }
        return;
    }
    const bool wide = kind == SCALES_F32 || kind == SCALES_F32_ALONE;
    const size_t size = wide ? 4 : kind == SCALES_E8M0 || kind == SCALES_E4M3 ? 1 : 2;
    const size_t at = (s->row + row) * w->scales_stride + group * size;
    const uint8_t *scales = w->scales + at, *biases = scales;
    uint8_t few[2][LANES * 4] = {{0}};
    if (size > 1) biases = w->biases + at;
    if (count < LANES || size == 1) { /* no byte beyond is read */
        memcpy(few[0], scales, count * size);
        memcpy(few[1], biases, count * size);
        scales = few[0];
        biases = few[1];
    }
    if (size == 4) {
        to[0] = _mm256_loadu_si256((const __m256i *)(const void *)scales);
        if (kind == SCALES_F32) to[1] = _mm256_loadu_si256((const __m256i *)(const void *)biases);
    } else if (size == 1) {
        to[0] = _mm256_cvtepu8_epi32(load_16(scales));
    } else {
        to[0] = _mm256_or_si256(widen_words(scales), _mm256_slli_epi32(widen_words(biases), 16));
    }
}

/* f16 bits in each dword. */
INLINE __m256 from_f16(__m256i halves)
{
    return _mm256_cvtph_ps(
        _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
}

INLINE __m256 scale_of(scales_kind kind, __m256i dwords)
{
    if (kind == SCALES_F32 || kind == SCALES_F32_ALONE) return _mm256_castsi256_ps(dwords);
    if (kind == SCALES_BF16) return _mm256_castsi256_ps(_mm256_slli_epi32(dwords, 16));
    if (kind == SCALES_E4M3) { /* half of zx_e4m3_to_f32 */
        const __m256i magnitude = _mm256_and_si256(dwords, _mm256_set1_epi32(0x7f));
        const __m256i sign = _mm256_slli_epi32(_mm256_xor_si256(dwords, magnitude), 24);
        const __m256i is_nan = _mm256_and_si256(_mm256_add_epi32(magnitude, _mm256_set1_epi32(1)),
                                                _mm256_set1_epi32(0x80));
        const __m256i half = _mm256_slli_epi32(_mm256_or_si256(magnitude, is_nan), 7);
        const __m256 value = _mm256_mul_ps(from_f16(half), _mm256_set1_ps(128.0F));
        return _mm256_or_ps(value, _mm256_castsi256_ps(sign));
    }
    if (kind == SCALES_E8M0) {
        const __m256i least = _mm256_set1_epi32(0x00400000); /* the code 0 is 2^-127 */
        const __m256i is_zero = _mm256_cmpeq_epi32(dwords, _mm256_setzero_si256());
        const __m256i bits = _mm256_blendv_epi8(_mm256_slli_epi32(dwords, 23), least, is_zero);
        return _mm256_mul_ps(_mm256_castsi256_ps(bits), _mm256_set1_ps(0.5F));
    }
    return from_f16(_mm256_and_si256(dwords, _mm256_set1_epi32(0xffff)));
}

/* 'biases': the dwords of SCALES_F32. */
INLINE __m256 bias_of(scales_kind kind, __m256i dwords, __m256i biases)
{
    if (kind == SCALES_F32) return _mm256_castsi256_ps(biases);
    const __m256i upper = _mm256_srli_epi32(dwords, 16);
    if (kind == SCALES_BF16) return _mm256_castsi256_ps(_mm256_slli_epi32(upper, 16));
    return from_f16(upper);
}

#endif
