/* matmul_few_avx512vnni.c - the integer matmuls for few tokens: the reading of the weight sets the
 * pace, so it is read row after row, as it lies in memory.  (Two rows at a time run at a third of
 * the speed: they keep the prefetchers from seeing a stream.)
 *
 * A chunk of a row meets the chunk of the planes lane by lane.  Four chunks' products are added as
 * a transposition would move them, then, where a group is more than a fourth of a chunk (a
 * granule), neighbouring 128-bit lanes are, until a dword is the sum of a group:
 *
 *   chunk a   | a0 a1 a2 a3 | ...      four chunks   | a b c d | a b c d | ...
 *   chunk b   | b0 b1 b2 b3 | ...  ->  a dword holds the sum of its four, the 128-bit lane l
 *                                      the granules l of the chunks
 *
 * So 16 groups of a row, a unit, leave a vector of sums and one of scales.  When 16 rows are done
 * these are transposed: lanes are outputs, and the groups are added in ascending order, without any
 * horizontal addition of floats. */
#ifdef __AVX512VNNI__
#include <assert.h>

#include "kernels/matmul/codes_avx512vnni.h"
#include "kernels/matmul/few_avx512vnni.h"
#include "kernels/matmul/lanes_avx512.h"
#include "kernels/matmul/planes_avx512vnni.h"

enum {
    PLANES = ZX_FEW_PLANES,
    AHEAD = 8192, /* bytes: how far ahead a weight is fetched, also while no rows are read */
};

/* gcc 12 copies the accumulator around the intrinsic. */
INLINE __m512i dot(__m512i sums, __m512i codes, __m512i values)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(codes), "vm"(values));
    return sums;
}

/* Rows of x; their planes in the order of chunks: of pairs 64 bytes that meet the low nibbles, then
 * 64 that meet the high ones. */
typedef struct few_rows {
    zx_activation_row rows[PLANES];
    const int8_t *planes[PLANES];
} few_rows;

/* Where a row is staged before it is read. */
typedef struct few_stage {
    const zx_weight *weight;
    size_t row;
    zx_stage to;
} few_stage;

/* What 16 rows leave behind: [row][unit][scales, biases where they stand apart, tokens' sums], or
 * [row][unit][tokens' sums joined with the scales]. */
typedef struct few_outputs {
    __m512i *vectors;
    size_t row_vectors, unit_vectors, scale_vectors;
    few_stage stage;
} few_outputs;

/* -------- one row -------- */

/* Dword 4 l + i of the result is the sum of the four dwords of lane l of vector i. */
INLINE __m512i add_four(const __m512i chunks[4])
{
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(chunks[0], chunks[1]),
                                        _mm512_unpackhi_epi32(chunks[0], chunks[1]));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(chunks[2], chunks[3]),
                                        _mm512_unpackhi_epi32(chunks[2], chunks[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* Lanes 0 and 1, 2 and 3 of both added: a01 a23 b01 b23. */
INLINE __m512i add_lanes(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
}

/* Dwords 2 i and 2 i + 1 of both added. */
INLINE __m512i add_dwords(__m512i a, __m512i b)
{
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    return _mm512_add_epi32(_mm512_permutex2var_epi32(a, even, b),
                            _mm512_permutex2var_epi32(a, odd, b));
}

/* The sums of 16 groups in ascending order, groups being 'size' (below 4) granules. */
INLINE __m512i order_groups(codes_kind kind, size_t size, __m512i sums)
{
    if (has_other_groups(kind)) return order_other_groups(sums);
    const __m512i one = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i two = _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    return _mm512_permutexvar_epi32(size == 1 ? one : two, sums);
}

/* The products of one chunk with the planes of one token. */
INLINE __m512i multiply_chunk(bool pairs, size_t planes, __m512i low, __m512i high,
                              const int8_t *const *x, size_t at)
{
    __m512i t = _mm512_setzero_si512();
#pragma GCC unroll 2
    for (size_t i = 0; i < planes; i++) {
        if (i > 0) t = _mm512_slli_epi32(t, 8);
        t = dot(t, low, _mm512_load_si512(x[i] + at));
        if (pairs) t = dot(t, high, _mm512_load_si512(x[i] + at + CHUNK));
    }
    return t;
}

/* One chunk, of which 'columns' exist, with every token.  'heads' receives those of blocks; 'first'
 * is the chunk's place in its unit. */
INLINE void one_chunk(codes_kind kind, size_t planes, size_t tokens, const uint8_t *codes,
                      size_t columns, const few_rows *x, size_t at, size_t first, __m512i *heads,
                      __m512i t[PLANES])
{
    const __m512i bytes = load_first(kind, codes, columns);
    __m512i low, high = _mm512_setzero_si512();
    if (is_pairs(kind))
        load_pairs(kind, bytes, codes, columns, &low, &high);
    else
        low = load_bytes(kind, bytes, codes, columns);
    if (is_blocks(kind)) *heads = add_heads(kind, *heads, first, bytes);
#pragma GCC unroll 4
    for (size_t token = 0; token < tokens; token++)
        t[token] =
            multiply_chunk(is_pairs(kind), planes, low, high, x->planes + token * planes, at);
}

/* A block of 256 columns with every token. */
INLINE void k_chunks(codes_kind kind, size_t planes, size_t tokens, const uint8_t *block,
                     const few_rows *x, size_t at, __m512i t[4][PLANES])
{
    __m512i codes[4];
    load_k(kind, block, codes);
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
#pragma GCC unroll 4
        for (size_t token = 0; token < tokens; token++)
            t[i][token] = multiply_chunk(false, planes, codes[i], codes[i],
                                         x->planes + token * planes, at + i * CHUNK);
}

/* Every line: fetching some of them halves the speed, the hardware then fetches none of the others.
 */
INLINE void fetch_ahead(codes_kind kind, const uint8_t *codes, size_t bytes)
{
    for (size_t i = 0; kind != BYTES_STAGED && i < bytes; i += 64)
        _mm_prefetch((const char *)codes + AHEAD + i, _MM_HINT_T1);
}

/* Four chunks with every token: sums[token]. */
INLINE void four_chunks(codes_kind kind, size_t planes, size_t tokens, const uint8_t *codes,
                        const few_rows *x, size_t at, size_t first, __m512i *heads,
                        __m512i sums[PLANES])
{
    const size_t chunk = chunk_columns(kind), bytes = chunk_bytes(kind);
    __m512i t[4][PLANES];
    fetch_ahead(kind, codes, four_bytes(kind));
    if (is_k(kind)) k_chunks(kind, planes, tokens, codes, x, at, t);
#pragma GCC unroll 4
    for (size_t i = is_k(kind) ? 4 : 0; i < 4; i++)
        one_chunk(kind, planes, tokens, codes + i * bytes, chunk, x, at + i * chunk, first + i,
                  heads, t[i]);
#pragma GCC unroll 4
    for (size_t token = 0; token < tokens; token++) {
        const __m512i chunks[4] = {t[0][token], t[1][token], t[2][token], t[3][token]};
        sums[token] = add_four(chunks);
    }
}

/* Fewer than 'columns' of four chunks: the missing ones count as zeros. */
INLINE void last_chunks(codes_kind kind, size_t planes, size_t tokens, const uint8_t *codes,
                        size_t columns, const few_rows *x, size_t at, size_t first, __m512i *heads,
                        __m512i sums[PLANES])
{
    const size_t chunk = chunk_columns(kind), bytes = chunk_bytes(kind);
#pragma GCC unroll 4
    for (size_t token = 0; token < tokens; token++) sums[token] = _mm512_setzero_si512();
    if (is_k(kind)) return; /* its blocks are whole, so none of their columns are left */
    fetch_ahead(kind, codes, columns * bytes / chunk);
    for (size_t i = 0; i * chunk < columns; i++, codes += bytes, at += chunk) {
        const size_t left = columns - i * chunk;
        __m512i t[PLANES];
        one_chunk(kind, planes, tokens, codes, left < chunk ? left : chunk, x, at, first + i, heads,
                  t);
#pragma GCC unroll 4
        for (size_t token = 0; token < tokens; token++) {
            __m512i sum = _mm512_add_epi32(t[token], _mm512_shuffle_epi32(t[token], 0x4e));
            sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, 0xb1));
            sums[token] = _mm512_mask_mov_epi32(sums[token], (__mmask16)(0x1111u << i), sum);
        }
    }
}

/* A unit, of which 'columns' exist.  Sums of four chunks are added in pairs as soon as both are
 * there: waiting[0] is one that waits for its neighbour, waiting[1] a pair, waiting[2] two. */
INLINE void unit_sums(codes_kind kind, size_t planes, size_t tokens, size_t size,
                      const uint8_t *codes, size_t columns, const few_rows *x, size_t at,
                      __m512i *heads, __m512i *out)
{
    const size_t four = 4 * chunk_columns(kind), bytes = four_bytes(kind);
    __m512i waiting[3][PLANES], sums[PLANES];
#pragma GCC unroll 4
    for (size_t token = 0; token < tokens; token++)
        waiting[0][token] = waiting[1][token] = waiting[2][token] = out[token] =
            _mm512_setzero_si512();
    for (size_t i = 0; i < size; i++, codes += bytes, at += four) {
        const size_t before = i * four, left = columns > before ? columns - before : 0;
        if (left >= four)
            four_chunks(kind, planes, tokens, codes, x, at, 4 * i, heads, sums);
        else
            last_chunks(kind, planes, tokens, codes, left, x, at, 4 * i, heads, sums);
#pragma GCC unroll 4
        for (size_t token = 0; token < tokens; token++) {
            __m512i sum = sums[token];
            if (size == 1) {
                out[token] = order_groups(kind, 1, sum);
            } else if (i % 2 == 0) {
                waiting[0][token] = sum;
            } else {
                sum = add_lanes(waiting[0][token], sum);
                if (i % 4 == 3) sum = add_lanes(waiting[1][token], sum);
                if (i == 7) sum = add_dwords(waiting[2][token], sum);
                if (i == 3) waiting[2][token] = sum;
                waiting[1][token] = sum;
                if (i + 1 == size) out[token] = size == 2 ? order_groups(kind, 2, sum) : sum;
            }
        }
    }
}

/* True where a group's sum has 16 bits: 32 codes from -8 to 7 times values from -127 to 127.  Then
 * it is kept in a dword with its scale, and both are transposed at once. */
INLINE bool joins(codes_kind kind, size_t planes)
{
    return kind == PAIRS_Q4_0 && planes == 1;
}

/* Joins 16 groups' sums of codes from 0 on with their scales; 'total': of the activations. */
INLINE __m512i join(__m512i heads, __m512i sums, const int32_t *total)
{
    const __m512i zeros = _mm512_slli_epi32(_mm512_load_si512(total), 3);
    const __m512i high = _mm512_slli_epi32(_mm512_sub_epi32(sums, zeros), 16);
    return _mm512_mask_blend_epi16(0xaaaaaaaa, heads, high);
}

/* 'count' scales of a unit that stand apart from the codes; biases after them where they do too. */
INLINE void copy_scales(codes_kind kind, const rows_source *source, const uint8_t *scales,
                        const uint8_t *biases, size_t count, __m512i *out)
{
    if (source->scales_kind == SCALES_F32) {
        out[0] = load_scales(SCALES_F32, scales, NULL, count);
        out[1] = load_scales(SCALES_F32, biases, NULL, count);
    } else if (kind == BYTES_STAGED) {
        out[0] = load_scales(SCALES_F32_ALONE, scales, NULL, count);
    } else if (kind == PAIRS_E2M1 || kind == BYTES_E2M1) {
        out[0] = load_scales(SCALES_E8M0, scales, NULL, count);
    } else {
        out[0] = load_scales(SCALES_F16, scales, biases, count);
    }
}

/* Granules of a group, where the kind decides that. */
INLINE size_t fixed_size(codes_kind kind)
{
    if (is_blocks(kind)) return is_pairs(kind) ? 1 : 2;
    if (is_k(kind)) return has_other_groups(kind) ? 2 : 1;
    return kind == PAIRS_E2M1 || kind == BYTES_E2M1 ? 1 : 0;
}

/* One row; 'row' is its number of 16. */
INLINE void read_row(codes_kind kind, size_t planes, size_t tokens, size_t size,
                     const rows_source *source, size_t row, const few_rows *rows, __m512i *out,
                     const few_outputs *shape)
{
    const few_rows own = *rows, *const x = &own; /* what is written is none of these */
    const size_t unit_vectors = shape->unit_vectors, in_front = shape->scale_vectors;
    const uint8_t *codes = source->codes + row * source->stride;
    const uint8_t *scales = source->scales + row * source->scales_stride;
    const uint8_t *biases = source->biases + row * source->scales_stride;
    const size_t unit = 4 * size * chunk_columns(kind), bytes = size * four_bytes(kind);
    const size_t columns = source->groups * source->group;
    size_t groups = source->groups;
    for (size_t at = 0; at < columns; at += unit, codes += bytes, out += unit_vectors) {
        const size_t count = groups < LANES ? groups : LANES;
        __m512i heads = _mm512_setzero_si512(), sums[PLANES];
        if (columns - at >= unit)
            unit_sums(kind, planes, tokens, size, codes, unit, x, at, &heads, sums);
        else
            unit_sums(kind, planes, tokens, size, codes, columns - at, x, at, &heads, sums);
#pragma GCC unroll 4
        for (size_t token = 0; token < tokens; token++)
            if (joins(kind, planes))
                out[token] =
                    join(heads, sums[token], x->rows[token].total + source->groups - groups);
            else
                out[in_front + token] = sums[token];
        groups -= count;
        if (joins(kind, planes)) continue;
        if (is_blocks(kind)) {
            out[0] = heads;
            continue;
        }
        if (is_k(kind)) {
            copy_k_scales(kind, codes, count, out);
            continue;
        }
        copy_scales(kind, source, scales, biases, count, out);
        scales += LANES * source->scale_bytes;
        biases += LANES * source->scale_bytes;
    }
}

typedef void (*read_fn)(const rows_source *source, const few_rows *x, const few_outputs *out);

INLINE void read_rows(codes_kind kind, size_t planes, size_t tokens, const rows_source *source,
                      const few_rows *x, const few_outputs *out)
{
    const size_t size = source->group * 4 / chunk_columns(kind);
    for (size_t row = 0; row < LANES; row++) {
        __m512i *const to = out->vectors + row * out->row_vectors;
        if (kind == BYTES_STAGED) {
            zx_stage_row(out->stage.weight, out->stage.row + row, 0, &out->stage.to, 0);
            if (size == 2)
                read_row(kind, planes, tokens, 2, source, row, x, to, out);
            else
                read_row(kind, planes, tokens, 1, source, row, x, to, out);
            continue;
        }
        if (fixed_size(kind) > 0)
            read_row(kind, planes, tokens, fixed_size(kind), source, row, x, to, out);
        else
            read_row(kind, planes, tokens, size, source, row, x, to, out);
    }
}

#define READ(kind, planes, tokens)                                                              \
    static void read_##kind##_##planes##_##tokens(const rows_source *source, const few_rows *x, \
                                                  const few_outputs *out)                       \
    {                                                                                           \
        read_rows(kind, planes, tokens, source, x, out);                                        \
    }
#define READS(kind)  \
    READ(kind, 1, 1) \
    READ(kind, 1, 2) \
    READ(kind, 1, 3) \
    READ(kind, 1, 4) \
    READ(kind, 2, 1) \
    READ(kind, 2, 2)
READS(PAIRS)
READS(PAIRS_Q4_0)
READS(PAIRS_Q4_1)
READS(PAIRS_E2M1)
READS(BYTES_2)
READS(BYTES_3)
READS(BYTES_5)
READS(BYTES_6)
READS(BYTES_8)
READS(BYTES_Q8_0)
READS(BYTES_Q5_0)
READS(BYTES_E2M1)
READS(BYTES_STAGED)
READS(BYTES_Q4_K)
READS(BYTES_Q5_K)
READS(BYTES_Q6_K)

/* [kind][q8 of 1, 2, 3, 4 tokens, q16 of 1, 2 tokens] */
static const read_fn reads[CODES_KINDS][6] = {
#define ROW(kind)                                                      \
    [kind] = {read_##kind##_1_1, read_##kind##_1_2, read_##kind##_1_3, \
              read_##kind##_1_4, read_##kind##_2_1, read_##kind##_2_2}
    ROW(PAIRS),        ROW(PAIRS_Q4_0), ROW(PAIRS_Q4_1), ROW(PAIRS_E2M1),
    ROW(BYTES_2),      ROW(BYTES_3),    ROW(BYTES_5),    ROW(BYTES_6),
    ROW(BYTES_8),      ROW(BYTES_Q8_0), ROW(BYTES_Q5_0), ROW(BYTES_E2M1),
    ROW(BYTES_STAGED), ROW(BYTES_Q4_K), ROW(BYTES_Q5_K), ROW(BYTES_Q6_K)};

/* -------- 16 rows -------- */

/* Dwords 0 to 3 of vector 'index' of a unit of rows 0, 4, 8 and 12, a row per 128-bit lane. */
INLINE __m512i load_quarters(const few_outputs *rows, const __m512i *unit, size_t index)
{
    const __m128i *first = (const __m128i *)(unit + index);
    const size_t stride = 4 * 4 * rows->row_vectors;
    __m512i quarters = _mm512_castsi128_si512(_mm_load_si128(first));
    quarters = _mm512_mask_broadcast_i32x4(quarters, 0x00f0, _mm_load_si128(first + stride));
    quarters = _mm512_mask_broadcast_i32x4(quarters, 0x0f00, _mm_load_si128(first + 2 * stride));
    return _mm512_mask_broadcast_i32x4(quarters, 0xf000, _mm_load_si128(first + 3 * stride));
}

/* Vector 'index' of a unit of every row, transposed, as far as 'count' dwords matter. */
INLINE void load_transposed(const few_outputs *rows, const __m512i *unit, size_t index,
                            size_t count, __m512i vectors[LANES])
{
    if (count > 4) {
#pragma GCC unroll 16
        for (size_t row = 0; row < LANES; row++)
            vectors[row] = unit[row * rows->row_vectors + index];
        transpose_dwords(vectors);
        return;
    }
    __m512i q[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) q[i] = load_quarters(rows, unit + i * rows->row_vectors, index);
    const __m512i low01 = _mm512_unpacklo_epi32(q[0], q[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(q[2], q[3]);
    const __m512i high01 = _mm512_unpackhi_epi32(q[0], q[1]);
    const __m512i high23 = _mm512_unpackhi_epi32(q[2], q[3]);
    vectors[0] = _mm512_unpacklo_epi64(low01, low23);
    vectors[1] = _mm512_unpackhi_epi64(low01, low23);
    vectors[2] = _mm512_unpacklo_epi64(high01, high23);
    vectors[3] = _mm512_unpackhi_epi64(high01, high23);
#pragma GCC unroll 16
    for (size_t i = 4; i < LANES; i++) vectors[i] = _mm512_setzero_si512();
}

/* Adds the groups of a unit to every token's sums. */
INLINE void add_unit(scales_kind kind, bool affine, const rows_source *source,
                     const few_outputs *rows, const __m512i *unit, size_t group, const few_rows *x,
                     size_t tokens, float *sums)
{
    const size_t left = source->groups - group, count = left < LANES ? left : LANES;
    __m512i scales[LANES], biases[LANES], whole[LANES];
    if (kind != SCALES_JOINED) load_transposed(rows, unit, 0, count, scales);
    if (kind == SCALES_F32) load_transposed(rows, unit, 1, count, biases);
    for (size_t token = 0; token < tokens; token++) {
        const zx_activation_row *at = &x->rows[token];
        load_transposed(rows, unit, rows->scale_vectors + token, count, whole);
        __m512 sum = _mm512_load_ps(sums + token * LANES);
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES; i++) {
            if (i == count) break;
            if (kind == SCALES_JOINED) {
                scales[i] = whole[i];
                whole[i] = _mm512_srai_epi32(whole[i], 16);
            } else if (affine) {
                sum = _mm512_fmadd_ps(
                    bias_of(kind, scales[i], kind == SCALES_F32 ? biases[i] : scales[i]),
                    _mm512_set1_ps(at->sum[group + i]), sum);
            } else {
                whole[i] = _mm512_sub_epi32(whole[i],
                                            _mm512_set1_epi32(source->zero * at->total[group + i]));
            }
            const __m512 product =
                _mm512_mul_ps(_mm512_cvtepi32_ps(whole[i]), _mm512_set1_ps(at->scale[group + i]));
            sum = _mm512_fmadd_ps(product, scale_of(kind, scales[i]), sum);
        }
        _mm512_store_ps(sums + token * LANES, sum);
    }
}

typedef void (*add_fn)(const rows_source *source, const few_outputs *rows, const few_rows *x,
                       size_t tokens, float *sums);

#define ADD(kind, affine)                                                                         \
    static void add_##kind(const rows_source *source, const few_outputs *rows, const few_rows *x, \
                           size_t tokens, float *sums)                                            \
    {                                                                                             \
        const __m512i *unit = rows->vectors;                                                      \
        for (size_t group = 0; group < source->groups; group += LANES) {                          \
            add_unit(kind, affine, source, rows, unit, group, x, tokens, sums);                   \
            unit += rows->unit_vectors;                                                           \
        }                                                                                         \
    }
ADD(SCALES_F16, true)
ADD(SCALES_BF16, true)
ADD(SCALES_F32, true)
ADD(SCALES_E8M0, false)
ADD(SCALES_E4M3, false)
ADD(SCALES_HEADS, false)
ADD(SCALES_F32_ALONE, false)
ADD(SCALES_JOINED, false)

static const add_fn adds[SCALES_KINDS] = {
    [SCALES_F16] = add_SCALES_F16,
    [SCALES_BF16] = add_SCALES_BF16,
    [SCALES_F32] = add_SCALES_F32,
    [SCALES_E8M0] = add_SCALES_E8M0,
    [SCALES_E4M3] = add_SCALES_E4M3,
    [SCALES_HEADS] = add_SCALES_HEADS,
    [SCALES_F32_ALONE] = add_SCALES_F32_ALONE,
    [SCALES_JOINED] = add_SCALES_JOINED,
};

/* -------- strips -------- */

static size_t plane_bytes(const zx_operand *x)
{
    return zx_round_up(x->columns, 2 * CHUNK);
}

/* Vectors in front of the sums. */
static size_t scale_vectors(scales_kind kind)
{
    if (kind == SCALES_JOINED) return 0;
    return kind == SCALES_F32 ? 2 : 1;
}

static few_outputs outputs_of(const zx_operand *x, size_t in_front)
{
    const size_t groups = x->columns / x->layout.group;
    const size_t units = (groups + LANES - 1) / LANES;
    few_outputs out = {.unit_vectors = in_front + x->rows, .scale_vectors = in_front};
    /* an odd number, so that 16 rows do not meet in one set of the cache */
    out.row_vectors = units * out.unit_vectors | 1;
    return out;
}

static bool stages_few(const zx_weight *weight)
{
    return few_kind_of(weight) == BYTES_STAGED;
}

size_t zx_few_scratch(const zx_launch *launch)
{
    zx_operand x = launch->inputs[0];
    if (x.rows > PLANES) x.rows = PLANES;
    const size_t groups = x.columns / x.layout.group;
    const size_t stage =
        zx_stages_any(launch, stages_few) ? zx_stage_bytes(1, x.columns, groups) : 0;
    return PLANES * plane_bytes(&x) + LANES * outputs_of(&x, 2).row_vectors * sizeof(__m512i) +
           zx_round_up(stage, sizeof(__m512i));
}

static void order_planes(const zx_operand *in, plane_order order, int8_t *to, few_rows *x)
{
    for (size_t token = 0, i = 0; token < in->rows; token++) {
        x->rows[token] = zx_activation_parts(in->layout, in->columns, zx_operand_row(in, token));
        for (size_t plane = 0; plane < in->layout.planes; plane++, i++, to += plane_bytes(in)) {
            order_plane(order, x->rows[token].plane[plane], in->columns, to);
            x->planes[i] = to;
        }
    }
}

/* sums[token][16] of one strip of one matrix. */
static void run_strip(const zx_operand *in, const zx_weight *weight, size_t row, const few_rows *x,
                      __m512i *vectors, float *sums)
{
    rows_source source = source_of(few_kind_of(weight), weight, row, 0);
    if (joins(source.kind, in->layout.planes)) source.scales_kind = SCALES_JOINED;
    few_outputs out = outputs_of(in, scale_vectors(source.scales_kind));
    out.vectors = vectors;
    if (source.kind == BYTES_STAGED) {
        void *const memory = vectors + LANES * outputs_of(in, 2).row_vectors;
        const zx_stage to = zx_stage_in(memory, 1, in->columns, source.groups);
        out.stage = (few_stage){weight, row, to};
        source = staged_source(weight, 0, &to, false);
    }
    const size_t which = in->layout.planes == 1 ? in->rows - 1 : 3 + in->rows;
    assert(which < 6);
    memset(sums, 0, in->rows * LANES * sizeof *sums);
    reads[source.kind][which](&source, x, &out);
    adds[source.scales_kind](&source, &out, x, in->rows, sums);
}

void zx_run_few(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    const zx_operand *in = matmul->x;
    char *memory = (char *)matmul->launch->scratch + thread * zx_few_scratch(matmul->launch);
    __m512i *vectors = (__m512i *)(void *)(memory + PLANES * plane_bytes(in));
    float sums[2][PLANES * LANES] __attribute__((aligned(64))) = {0};
    few_rows x;
    plane_order ordered = ORDER_NONE;
    size_t index, end;
    zx_split(zx_count_strips(matmul), 1, part, parts, &index, &end);
    for (; index < end; index++) {
        const zx_strip strip = zx_strip_at(matmul, index);
        for (size_t i = 0; i < (matmul->gated ? 2 : 1); i++) {
            const zx_weight *weight = matmul->weights[strip.matrix + i];
            const plane_order order = order_of(few_kind_of(weight));
            if (ordered != order) order_planes(in, order, (int8_t *)memory, &x);
            ordered = order;
            run_strip(in, weight, strip.row, &x, vectors, sums[i]);
        }
        for (size_t token = 0; token < in->rows; token++)
            finish_strip(matmul, strip, token, _mm512_load_ps(sums[0] + token * LANES),
                         _mm512_load_ps(sums[1] + token * LANES));
    }
}
#endif
