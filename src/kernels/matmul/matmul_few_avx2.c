/* matmul_few_avx2.c - the integer matmuls for few tokens; matmul_few_avx512vnni.c for half the
 * width, with vpmaddubsw, whose sums of two products must fit 16 bits:
 *   4 bits   two such sums may be added before they are widened (E2M1 too: codes up to 24)
 *   6 bits   one fits
 *   8 bits   the top bit of the codes is multiplied apart
 * Eight groups of a row, a unit, leave a vector of sums; eight rows are transposed. */
#ifdef __AVX2__
#include "kernels/matmul/codes_avx2.h"
#include "kernels/matmul/few_avx2.h"
#include "kernels/matmul/lanes_avx2.h"

enum {
    PLANES = ZX_FEW_PLANES_AVX2,
    AHEAD = 8192, /* bytes: how far ahead a weight is fetched, also while no rows are read */
};

/* Rows of x; their planes in the order of chunks: of pairs 32 bytes that meet the low nibbles, then
 * 32 that meet the high ones. */
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

/* What 8 rows leave behind: [row][unit][scales, biases of SCALES_F32, tokens' sums]. */
typedef struct few_outputs {
    __m256i *vectors;
    size_t row_vectors, unit_vectors, scale_vectors;
    few_stage stage;
} few_outputs;

/* -------- one row -------- */

INLINE __m256i load_x(const int8_t *plane)
{
    return _mm256_load_si256((const __m256i *)(const void *)plane);
}

/* Sums of four products per dword. */
INLINE __m256i dot_pairs(__m256i low, __m256i high, const int8_t *x)
{
    const __m256i sums = _mm256_add_epi16(_mm256_maddubs_epi16(low, load_x(x)),
                                          _mm256_maddubs_epi16(high, load_x(x + CHUNK)));
    return _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
}

INLINE __m256i dot_bytes(codes_kind kind, __m256i codes, const int8_t *plane)
{
    const __m256i x = load_x(plane), one = _mm256_set1_epi16(1);
    if (kind != BYTES_8 && kind != BYTES_Q8_0 && kind != BYTES_STAGED_8)
        return _mm256_madd_epi16(_mm256_maddubs_epi16(codes, x), one);
    const __m256i rest = _mm256_and_si256(codes, _mm256_set1_epi8(0x7f));
    const __m256i top = _mm256_and_si256(_mm256_srli_epi16(codes, 7), _mm256_set1_epi8(1));
    return _mm256_add_epi32(
        _mm256_madd_epi16(_mm256_maddubs_epi16(rest, x), one),
        _mm256_madd_epi16(_mm256_maddubs_epi16(top, x), _mm256_set1_epi16(128)));
}

/* Dword 4 l + i of the result is the sum of the four dwords of lane l of vector i. */
INLINE __m256i add_four(const __m256i chunks[4])
{
    const __m256i ab = _mm256_add_epi32(_mm256_unpacklo_epi32(chunks[0], chunks[1]),
                                        _mm256_unpackhi_epi32(chunks[0], chunks[1]));
    const __m256i cd = _mm256_add_epi32(_mm256_unpacklo_epi32(chunks[2], chunks[3]),
                                        _mm256_unpackhi_epi32(chunks[2], chunks[3]));
    return _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
}

/* Dwords 2 i and 2 i + 1 of both added. */
INLINE __m256i add_dwords(__m256i a, __m256i b)
{
    return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8);
}

/* Both lanes of both added. */
INLINE __m256i add_lanes(__m256i a, __m256i b)
{
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                            _mm256_permute2x128_si256(a, b, 0x31));
}

/* A chunk, of which 'columns' exist, with every token. */
INLINE void one_chunk(codes_kind kind, size_t planes, size_t tokens, const uint8_t *codes,
                      size_t columns, size_t run_bytes, const few_rows *x, size_t at,
                      __m256i t[PLANES])
{
    __m256i low = _mm256_setzero_si256(), high = low;
    if (is_pairs(kind))
        load_pairs(kind, codes, columns > CHUNK ? run_bytes : 0, &low, &high);
    else
        low = load_bytes(kind, codes, columns);
#pragma GCC unroll 4
    for (size_t token = 0; token < tokens; token++) {
        __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 2
        for (size_t i = 0; i < planes; i++) {
            const int8_t *plane = x->planes[token * planes + i] + at;
            const __m256i products =
                is_pairs(kind) ? dot_pairs(low, high, plane) : dot_bytes(kind, low, plane);
            sum = i == 0 ? products : _mm256_add_epi32(_mm256_slli_epi32(sum, 8), products);
        }
        t[token] = sum;
    }
}

/* Four chunks, of which 'columns' exist. */
INLINE void four_chunks(codes_kind kind, size_t planes, size_t tokens, const uint8_t *codes,
                        size_t bytes, size_t columns, size_t run_bytes, const few_rows *x,
                        size_t at, __m256i sums[PLANES])
{
    const size_t chunk = chunk_columns(kind);
    __m256i t[4][PLANES];
    for (size_t i = 0; !is_staged(kind) && i < 4 * bytes; i += 64)
        _mm_prefetch((const char *)codes + AHEAD + i, _MM_HINT_T1);
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++, codes += bytes, at += chunk) {
        if (columns > i * chunk) {
            const size_t left = columns - i * chunk;
            one_chunk(kind, planes, tokens, codes, left < chunk ? left : chunk, run_bytes, x, at,
                      t[i]);
            continue;
        }
#pragma GCC unroll 4
        for (size_t token = 0; token < tokens; token++) t[i][token] = _mm256_setzero_si256();
    }
#pragma GCC unroll 4
    for (size_t token = 0; token < tokens; token++) {
        const __m256i chunks[4] = {t[0][token], t[1][token], t[2][token], t[3][token]};
        sums[token] = add_four(chunks);
    }
}

/* A unit, groups being 'size' granules, of which a chunk has two.  Sums of four chunks are added in
 * pairs as soon as both are there, sums of those too, and so on. */
INLINE void unit_sums(codes_kind kind, size_t planes, size_t tokens, size_t size,
                      const rows_source *s, const uint8_t *codes, size_t columns, const few_rows *x,
                      size_t at, __m256i *out)
{
    const size_t chunk = chunk_columns(kind), four = 4 * chunk;
    const size_t bytes = s->chunk_bytes, run_bytes = s->run_bytes;
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i waiting[3][PLANES], sums[PLANES];
#pragma GCC unroll 4
    for (size_t token = 0; token < tokens; token++)
        waiting[0][token] = waiting[1][token] = waiting[2][token] = _mm256_setzero_si256();
    for (size_t i = 0; i < size; i++, codes += 4 * bytes, at += four) {
        const size_t before = i * four, left = columns > before ? columns - before : 0;
        if (left >= four)
            four_chunks(kind, planes, tokens, codes, bytes, four, run_bytes, x, at, sums);
        else
            four_chunks(kind, planes, tokens, codes, bytes, left, run_bytes, x, at, sums);
#pragma GCC unroll 4
        for (size_t token = 0; token < tokens; token++) {
            __m256i sum = sums[token];
            if (size == 1) {
                out[token] = _mm256_permutevar8x32_epi32(sum, order);
            } else if (i % 2 == 0) {
                waiting[0][token] = sum;
            } else {
                sum = add_lanes(waiting[0][token], sum);
                if (i % 4 == 3) sum = add_dwords(waiting[1][token], sum);
                if (i == 7) sum = add_dwords(waiting[2][token], sum);
                if (i == 3) waiting[2][token] = sum;
                waiting[1][token] = sum;
                if (i + 1 == size) out[token] = sum;
            }
        }
    }
}

typedef void (*read_fn)(const rows_source *s, const few_rows *x, const few_outputs *out);

INLINE void load_unit_scales(codes_kind kind, const rows_source *s, size_t row, size_t group,
                             __m256i *to)
{
    const size_t left = s->groups - group, count = left < LANES ? left : LANES;
    if (is_staged(kind) && s->scales_kind == SCALES_F32_ALONE)
        load_scales(SCALES_F32_ALONE, s, row, group, count, to);
    else if (kind == PAIRS_E2M1 || kind == BYTES_E2M1)
        load_scales(SCALES_E8M0, s, row, group, count, to);
    else if (s->scales_kind == SCALES_HEADS)
        load_scales(SCALES_HEADS, s, row, group, count, to);
    else if (s->scales_kind == SCALES_F32)
        load_scales(SCALES_F32, s, row, group, count, to);
    else
        load_scales(SCALES_F16, s, row, group, count, to);
}

INLINE void read_rows(codes_kind kind, size_t planes, size_t tokens, const rows_source *s,
                      const few_rows *x, const few_outputs *out)
{
    const size_t size = s->group * 2 / chunk_columns(kind), unit = LANES * s->group;
    const size_t columns = s->groups * s->group;
    for (size_t row = 0; row < LANES; row++) {
        __m256i *to = out->vectors + row * out->row_vectors;
        const uint8_t *codes = codes_at(s, row, 0);
        if (is_staged(kind))
            zx_stage_row(out->stage.weight, out->stage.row + row, 0, &out->stage.to, 0);
        for (size_t at = 0, group = 0; at < columns; at += unit, group += LANES) {
            unit_sums(kind, planes, tokens, size, s, codes, columns - at, x, at,
                      to + out->scale_vectors);
            load_unit_scales(kind, s, row, group, to);
            codes += LANES * s->block_bytes;
            to += out->unit_vectors;
        }
    }
}

#define READ(kind, planes, tokens)                                                         \
    static void read_##kind##_##planes##_##tokens(const rows_source *s, const few_rows *x, \
                                                  const few_outputs *out)                  \
    {                                                                                      \
        read_rows(kind, planes, tokens, s, x, out);                                        \
    }
#define READS(kind)  \
    READ(kind, 1, 1) \
    READ(kind, 1, 2) \
    READ(kind, 1, 3) \
    READ(kind, 1, 4) \
    READ(kind, 2, 1) \
    READ(kind, 2, 2)
READS(PAIRS)
READS(PAIRS_E2M1)
READS(BYTES_2)
READS(BYTES_3)
READS(BYTES_5)
READS(BYTES_6)
READS(BYTES_8)
READS(BYTES_Q8_0)
READS(BYTES_E2M1)
READS(BYTES_STAGED)
READS(BYTES_STAGED_8)

/* [kind][q8 of 1, 2, 3, 4 tokens, q16 of 1, 2 tokens] */
static const read_fn reads[CODES_KINDS][6] = {
#define ROW(kind)                                                      \
    [kind] = {read_##kind##_1_1, read_##kind##_1_2, read_##kind##_1_3, \
              read_##kind##_1_4, read_##kind##_2_1, read_##kind##_2_2}
    ROW(PAIRS),      ROW(PAIRS_E2M1),   ROW(BYTES_2),       ROW(BYTES_3),
    ROW(BYTES_5),    ROW(BYTES_6),      ROW(BYTES_8),       ROW(BYTES_Q8_0),
    ROW(BYTES_E2M1), ROW(BYTES_STAGED), ROW(BYTES_STAGED_8)};

/* -------- eight rows -------- */

/* Vector 'index' of a unit of every row, transposed. */
INLINE void load_transposed(const few_outputs *rows, const __m256i *unit, size_t index,
                            __m256i vectors[LANES])
{
#pragma GCC unroll 8
    for (size_t row = 0; row < LANES; row++) vectors[row] = unit[row * rows->row_vectors + index];
    transpose_dwords(vectors);
}

/* Adds the groups of a unit to every token's sums. */
INLINE void add_unit(scales_kind kind, bool affine, const rows_source *s, const few_outputs *rows,
                     const __m256i *unit, size_t group, const few_rows *x, size_t tokens,
                     float *sums)
{
    const size_t left = s->groups - group, count = left < LANES ? left : LANES;
    float scales[LANES * LANES] __attribute__((aligned(32)));
    float biases[LANES * LANES] __attribute__((aligned(32)));
    __m256i dwords[LANES], more[LANES];
    load_transposed(rows, unit, 0, dwords);
    if (kind == SCALES_F32) load_transposed(rows, unit, 1, more);
#pragma GCC unroll 8
    for (size_t i = 0; i < LANES; i++) {
        _mm256_store_ps(scales + i * LANES, scale_of(kind, dwords[i]));
        if (affine)
            _mm256_store_ps(biases + i * LANES,
                            bias_of(kind, dwords[i], kind == SCALES_F32 ? more[i] : dwords[i]));
    }
    for (size_t token = 0; token < tokens; token++) {
        const zx_activation_row *in = &x->rows[token];
        __m256i whole[LANES];
        load_transposed(rows, unit, rows->scale_vectors + token, whole);
        __m256 sum = _mm256_load_ps(sums + token * LANES);
#pragma GCC unroll 8
        for (size_t i = 0; i < LANES; i++) {
            if (i == count) break;
            if (affine)
                sum = _mm256_fmadd_ps(_mm256_load_ps(biases + i * LANES),
                                      _mm256_set1_ps(in->sum[group + i]), sum);
            else
                whole[i] =
                    _mm256_sub_epi32(whole[i], _mm256_set1_epi32(s->zero * in->total[group + i]));
            const __m256 product =
                _mm256_mul_ps(_mm256_cvtepi32_ps(whole[i]), _mm256_set1_ps(in->scale[group + i]));
            sum = _mm256_fmadd_ps(product, _mm256_load_ps(scales + i * LANES), sum);
        }
        _mm256_store_ps(sums + token * LANES, sum);
    }
}

typedef void (*add_fn)(const rows_source *s, const few_outputs *rows, const few_rows *x,
                       size_t tokens, float *sums);

#define ADD(kind, affine)                                                                    \
    static void add_##kind(const rows_source *s, const few_outputs *rows, const few_rows *x, \
                           size_t tokens, float *sums)                                       \
    {                                                                                        \
        const __m256i *unit = rows->vectors;                                                 \
        for (size_t group = 0; group < s->groups; group += LANES) {                          \
            add_unit(kind, affine, s, rows, unit, group, x, tokens, sums);                   \
            unit += rows->unit_vectors;                                                      \
        }                                                                                    \
    }
ADD(SCALES_F16, true)
ADD(SCALES_BF16, true)
ADD(SCALES_F32, true)
ADD(SCALES_E8M0, false)
ADD(SCALES_E4M3, false)
ADD(SCALES_HEADS, false)
ADD(SCALES_F32_ALONE, false)

static const add_fn adds[SCALES_KINDS] = {add_SCALES_F16,      add_SCALES_BF16, add_SCALES_F32,
                                          add_SCALES_E8M0,     add_SCALES_E4M3, add_SCALES_HEADS,
                                          add_SCALES_F32_ALONE};

/* -------- strips -------- */

static size_t plane_bytes(const zx_operand *x)
{
    return zx_round_up(x->columns, 8 * CHUNK);
}

static few_outputs outputs_of(const zx_operand *x, size_t scale_vectors)
{
    const size_t groups = x->columns / x->layout.group, units = (groups + LANES - 1) / LANES;
    few_outputs out = {.unit_vectors = scale_vectors + x->rows, .scale_vectors = scale_vectors};
    /* an odd number, so that the rows do not meet in one set of the cache */
    out.row_vectors = units * out.unit_vectors | 1;
    return out;
}

size_t zx_few_scratch_avx2(const zx_launch *launch)
{
    zx_operand x = launch->inputs[0];
    if (x.rows > PLANES) x.rows = PLANES;
    const size_t groups = x.columns / x.layout.group;
    const size_t stage = zx_stages_any(launch, stages) ? zx_stage_bytes(1, x.columns, groups) : 0;
    return PLANES * plane_bytes(&x) + LANES * outputs_of(&x, 2).row_vectors * sizeof(__m256i) +
           zx_round_up(stage, 64);
}

/* Copies a plane in the order of chunks; what follows its end may meet no codes but zeros. */
static void order_plane(bool pairs, const int8_t *plane, size_t columns, int8_t *to)
{
    const size_t padded = zx_activation_plane_bytes(columns);
    memcpy(to, plane, padded);
    if (!pairs) return;
    for (size_t at = 0; at < padded; at += 2 * CHUNK) {
        const __m256i *from = (const __m256i *)(const void *)(plane + at);
        const __m256i first = _mm256_loadu_si256(from), second = _mm256_loadu_si256(from + 1);
        __m256i *out = (__m256i *)(void *)(to + at);
        _mm256_store_si256(out, _mm256_permute2x128_si256(first, second, 0x20));
        _mm256_store_si256(out + 1, _mm256_permute2x128_si256(first, second, 0x31));
    }
}

static void order_planes(const zx_operand *in, bool pairs, int8_t *to, few_rows *x)
{
    for (size_t token = 0, i = 0; token < in->rows; token++) {
        x->rows[token] = zx_activation_parts(in->layout, in->columns, zx_operand_row(in, token));
        for (size_t plane = 0; plane < in->layout.planes; plane++, i++, to += plane_bytes(in)) {
            order_plane(pairs, x->rows[token].plane[plane], in->columns, to);
            x->planes[i] = to;
        }
    }
}

/* sums[token][8] of half a strip of one matrix. */
static void run_rows(const zx_operand *in, const zx_weight *weight, size_t row, const few_rows *x,
                     __m256i *vectors, float *sums)
{
    rows_source s = source_of(weight, row);
    zx_weight staged;
    const size_t which = in->layout.planes == 1 ? in->rows - 1 : 3 + in->rows;
    few_outputs out = outputs_of(in, s.scales_kind == SCALES_F32 ? 2 : 1);
    out.vectors = vectors;
    if (is_staged(s.kind)) {
        void *const memory = vectors + LANES * outputs_of(in, 2).row_vectors;
        out.stage = (few_stage){weight, row, zx_stage_in(memory, 1, in->columns, s.groups)};
        s = staged_source(weight, &out.stage.to, false, &staged);
    }
    memset(sums, 0, in->rows * LANES * sizeof *sums);
    reads[s.kind][which](&s, x, &out);
    adds[s.scales_kind](&s, &out, x, in->rows, sums);
}

void zx_run_few_avx2(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    const zx_operand *in = matmul->x;
    char *memory = (char *)matmul->launch->scratch + thread * zx_few_scratch_avx2(matmul->launch);
    __m256i *vectors = (__m256i *)(void *)(memory + PLANES * plane_bytes(in));
    float sums[2][PLANES * LANES] __attribute__((aligned(32))) = {0};
    few_rows x;
    int ordered = -1; /* for pairs, or not */
    size_t index, end;
    zx_split(zx_count_strips(matmul), 1, part, parts, &index, &end);
    for (index *= 2, end *= 2; index < end; index++) { /* halves of strips */
        const zx_strip strip = zx_strip_at(matmul, index / 2);
        const size_t first = index % 2 * LANES;
        for (size_t i = 0; i < (matmul->gated ? 2 : 1); i++) {
            const zx_weight *weight = matmul->weights[strip.matrix + i];
            const bool pairs = is_pairs(source_of(weight, 0).kind);
            if (ordered != pairs) order_planes(in, pairs, (int8_t *)memory, &x);
            ordered = pairs;
            run_rows(in, weight, strip.row + first, &x, vectors, sums[i]);
        }
        for (size_t token = 0; token < in->rows; token++)
            finish_eight(matmul, strip, first, token, _mm256_load_ps(sums[0] + token * LANES),
                         _mm256_load_ps(sums[1] + token * LANES));
    }
}
#endif
