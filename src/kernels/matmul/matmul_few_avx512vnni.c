/* matmul_few_avx512vnni.c - the integer matmuls for few tokens: the reading of the weight sets the
 * pace, so it is read row after row, as it lies in memory.
 *
 * A chunk of a row meets the chunk of the planes lane by lane; four chunks' products are then added
 * as a transposition would move them, which leaves a sum per granule (a fourth of a chunk):
 *
 *   chunk a   | a0 a1 a2 a3 | ...      four chunks   | a b c d | a b c d | ...
 *   chunk b   | b0 b1 b2 b3 | ...  ->  a lane holds the sum of its four, the 128-bit lane l
 *                                      the granules l of the chunks
 *
 * When 16 rows are done their vectors are transposed: lanes are outputs, and the groups are added
 * in ascending order, without any horizontal addition of floats. */
#ifdef __AVX512VNNI__
#include "kernels/matmul/codes_avx512vnni.h"
#include "kernels/matmul/few_avx512vnni.h"
#include "kernels/matmul/lanes_avx512.h"

enum {
    PLANES = ZX_FEW_PLANES,
    GRANULES = 16, /* of four chunks */
    AHEAD = 16,    /* lines of the next strip to fetch per block of this one */
};

INLINE __m512i dot(__m512i sums, __m512i codes, __m512i values)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(codes), "v"(values));
    return sums;
}

/* Dword 4 l + i of the result is the sum of the four dwords of lane l of vector i. */
INLINE __m512i add_four(const __m512i chunks[4])
{
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(chunks[0], chunks[1]),
                                        _mm512_unpackhi_epi32(chunks[0], chunks[1]));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(chunks[2], chunks[3]),
                                        _mm512_unpackhi_epi32(chunks[2], chunks[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* The planes of all tokens, chunk by chunk: what meets the low nibbles, then the high ones. */
typedef struct few_rows {
    zx_activation_row rows[PLANES];
    const int8_t *planes[PLANES];
} few_rows;

/* The products of one chunk, of which 'columns' exist, with the planes of one token. */
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

/* One row: out[block][token][16 rows] (a vector each), 'out' being that of the row. */
INLINE void row_sums(codes_kind kind, size_t planes, size_t tokens, const codes_source *source,
                     const uint8_t *codes, const few_rows *x, __m512i *out)
{
    const size_t chunk = chunk_columns(kind), bytes = chunk_bytes(source);
    const size_t columns = source->groups * source->group;
    size_t at = 0;
    for (; at + 4 * chunk <= columns; at += 4 * chunk, codes += 4 * bytes, out += tokens * LANES) {
        __m512i t[PLANES][4];
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++) {
            __m512i low, high = _mm512_setzero_si512();
            if (is_pairs(kind))
                load_pairs(kind, codes + i * bytes, source->block_bytes, chunk, &low, &high);
            else
                low = load_bytes(kind, codes + i * bytes, source->block_bytes, chunk);
#pragma GCC unroll 4
            for (size_t token = 0; token < tokens; token++)
                t[token][i] = multiply_chunk(is_pairs(kind), planes, low, high,
                                             x->planes + token * planes, at + i * chunk);
        }
#pragma GCC unroll 4
        for (size_t token = 0; token < tokens; token++) out[token * LANES] = add_four(t[token]);
    }
    if (at == columns) return;
    __m512i t[PLANES][4] = {0};
    for (size_t i = 0; at < columns; i++, at += chunk, codes += bytes) {
        const size_t left = columns - at < chunk ? columns - at : chunk;
        __m512i low, high = _mm512_setzero_si512();
        if (is_pairs(kind))
            load_pairs(kind, codes, source->block_bytes, left, &low, &high);
        else
            low = load_bytes(kind, codes, source->block_bytes, left);
        for (size_t token = 0; token < tokens; token++)
            t[token][i] =
                multiply_chunk(is_pairs(kind), planes, low, high, x->planes + token * planes, at);
    }
    for (size_t token = 0; token < tokens; token++) out[token * LANES] = add_four(t[token]);
}

typedef void (*rows_fn)(const codes_source *source, const few_rows *x, __m512i *out);

INLINE void sixteen_rows(codes_kind kind, size_t planes, size_t tokens, const codes_source *source,
                         const few_rows *x, __m512i *out)
{
    const uint8_t *codes = source->codes;
    for (size_t row = 0; row < LANES; row++, codes += source->stride)
        row_sums(kind, planes, tokens, source, codes, x, out + row);
}

#define ROWS(kind, planes, tokens)                                                               \
    static void rows_##kind##_##planes##_##tokens(const codes_source *source, const few_rows *x, \
                                                  __m512i *out)                                  \
    {                                                                                            \
        sixteen_rows(kind, planes, tokens, source, x, out);                                      \
    }
#define ALL_ROWS(kind) \
    ROWS(kind, 1, 1)   \
    ROWS(kind, 1, 2) ROWS(kind, 1, 3) ROWS(kind, 1, 4) ROWS(kind, 2, 1) ROWS(kind, 2, 2)
ALL_ROWS(PAIRS)
ALL_ROWS(PAIRS_BLOCKS)
ALL_ROWS(PAIRS_E2M1)
ALL_ROWS(BYTES_2)
ALL_ROWS(BYTES_3)
ALL_ROWS(BYTES_5)
ALL_ROWS(BYTES_6)
ALL_ROWS(BYTES_8)
ALL_ROWS(BYTES_BLOCKS)
ALL_ROWS(BYTES_E2M1)

/* [kind][q8 of 1, 2, 3, 4 tokens, q16 of 1, 2 tokens] */
static const rows_fn all_rows[CODES_KINDS][6] = {
#define ROW(kind)                                                      \
    [kind] = {rows_##kind##_1_1, rows_##kind##_1_2, rows_##kind##_1_3, \
              rows_##kind##_1_4, rows_##kind##_2_1, rows_##kind##_2_2}
    ROW(PAIRS),   ROW(PAIRS_BLOCKS), ROW(PAIRS_E2M1), ROW(BYTES_2),      ROW(BYTES_3),
    ROW(BYTES_5), ROW(BYTES_6),      ROW(BYTES_8),    ROW(BYTES_BLOCKS), ROW(BYTES_E2M1)};

/* Adds one group to a token's sums. */
INLINE __m512 add_group(const codes_source *source, size_t group, __m512i whole,
                        const zx_activation_row *x, const float *scales, const float *biases,
                        __m512 sum)
{
    if (source->affine)
        sum = _mm512_fmadd_ps(_mm512_load_ps(biases + group * LANES), _mm512_set1_ps(x->sum[group]),
                              sum);
    else
        whole = _mm512_sub_epi32(whole, _mm512_set1_epi32(source->zero * x->total[group]));
    const __m512 product =
        _mm512_mul_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(x->scale[group]));
    return _mm512_fmadd_ps(product, _mm512_load_ps(scales + group * LANES), sum);
}

/* Adds a block's groups, 'size' granules each, to a token's sums. */
INLINE __m512 add_block(size_t size, const codes_source *source, size_t group,
                        const __m512i rows[LANES], const zx_activation_row *x, const float *scales,
                        const float *biases, __m512 sum)
{
    __m512i granules[LANES];
#pragma GCC unroll 16
    for (size_t i = 0; i < LANES; i++) granules[i] = rows[i];
    transpose_dwords(granules);
#pragma GCC unroll 16
    for (size_t i = 0; i < GRANULES / size; i++, group++) {
        if (group >= source->groups) return sum;
        __m512i whole = granules[i * size % 4 * 4 + i * size / 4];
#pragma GCC unroll 8
        for (size_t j = i * size + 1; j < (i + 1) * size; j++)
            whole = _mm512_add_epi32(whole, granules[j % 4 * 4 + j / 4]);
        sum = add_group(source, group, whole, x, scales, biases, sum);
    }
    return sum;
}

/* Fetches the beginning of what follows the strip while its sums are added. */
INLINE void fetch_ahead(const uint8_t *line, size_t block)
{
    for (size_t i = 0; i < AHEAD; i++)
        _mm_prefetch((const char *)line + (block * AHEAD + i) * 64, _MM_HINT_T1);
}

/* The sums of a token's 16 outputs. */
static __m512 add_blocks(const codes_source *source, const __m512i *blocks, size_t tokens,
                         const zx_activation_row *x, const float *scales, const float *biases)
{
    const size_t granule = chunk_columns(source->kind) / 4, size = source->group / granule;
    const uint8_t *next = source->codes + LANES * source->stride;
    __m512 sum = _mm512_setzero_ps();
    size_t group = 0;
    for (size_t block = 0; group < source->groups; block++, blocks += tokens * LANES) {
        fetch_ahead(next, block);
        if (size == 1)
            sum = add_block(1, source, group, blocks, x, scales, biases, sum);
        else if (size == 2)
            sum = add_block(2, source, group, blocks, x, scales, biases, sum);
        else if (size == 4)
            sum = add_block(4, source, group, blocks, x, scales, biases, sum);
        else
            sum = add_block(8, source, group, blocks, x, scales, biases, sum);
        group += GRANULES / size;
    }
    return sum;
}

/* A thread's memory: planes in the order of chunks, scales, biases, blocks of sums. */
typedef struct few_memory {
    int8_t *planes;
    float *scales, *biases;
    __m512i *blocks;
    size_t plane_bytes, scale_bytes, block_bytes;
} few_memory;

static few_memory memory_of(const zx_launch *launch, size_t thread)
{
    const zx_operand *x = &launch->inputs[0];
    const size_t columns = zx_round_up(x->columns, 4 * CHUNK);
    few_memory m = {.plane_bytes = PLANES * (columns + CHUNK),
                    .scale_bytes = x->columns / x->layout.group * LANES * sizeof(float),
                    .block_bytes = columns / (4 * CHUNK) * PLANES * LANES * sizeof(__m512i)};
    const size_t bytes = m.plane_bytes + 2 * m.scale_bytes + m.block_bytes;
    char *const memory = launch->scratch == NULL ? NULL : (char *)launch->scratch + thread * bytes;
    if (memory == NULL) return m;
    m.planes = (int8_t *)memory;
    m.scales = (float *)(void *)(memory + m.plane_bytes);
    m.biases = (float *)(void *)(memory + m.plane_bytes + m.scale_bytes);
    m.blocks = (__m512i *)(void *)(memory + m.plane_bytes + 2 * m.scale_bytes);
    return m;
}

size_t zx_few_scratch(const zx_launch *launch)
{
    const few_memory m = memory_of(launch, 0);
    return m.plane_bytes + 2 * m.scale_bytes + m.block_bytes;
}

/* Copies a plane; for pairs 64 bytes that meet low nibbles, 64 that meet high ones, and so on. */
static void order_plane(bool pairs, const int8_t *plane, size_t columns, int8_t *to)
{
    const size_t padded = zx_activation_plane_bytes(columns);
    const __m512i even = _mm512_setr_epi64(0, 1, 4, 5, 8, 9, 12, 13);
    const __m512i odd = _mm512_setr_epi64(2, 3, 6, 7, 10, 11, 14, 15);
    for (size_t at = 0; at < padded; at += 2 * CHUNK) {
        const __m512i first = _mm512_loadu_si512(plane + at);
        __m512i second = _mm512_setzero_si512();
        if (at + CHUNK < padded) second = _mm512_loadu_si512(plane + at + CHUNK);
        _mm512_store_si512(to + at, pairs ? _mm512_permutex2var_epi64(first, even, second) : first);
        _mm512_store_si512(to + at + CHUNK,
                           pairs ? _mm512_permutex2var_epi64(first, odd, second) : second);
    }
}

static void order_planes(const zx_matmul *matmul, bool pairs, const few_memory *m, few_rows *x)
{
    const zx_operand *in = matmul->x;
    const size_t bytes = zx_round_up(in->columns, 2 * CHUNK);
    int8_t *to = m->planes;
    for (size_t token = 0, i = 0; token < in->rows; token++) {
        x->rows[token] = zx_activation_parts(in->layout, in->columns, zx_operand_row(in, token));
        for (size_t plane = 0; plane < in->layout.planes; plane++, i++, to += bytes) {
            order_plane(pairs, x->rows[token].plane[plane], in->columns, to);
            x->planes[i] = to;
        }
    }
}

/* sums[token][16] of one strip of one matrix. */
static void run_strip(const zx_matmul *matmul, const zx_weight *weight, size_t row,
                      const few_rows *x, const few_memory *m, float *sums)
{
    const zx_operand *in = matmul->x;
    const codes_source source = source_of(weight, row, 0);
    const size_t which = in->layout.planes == 1 ? in->rows - 1 : 3 + in->rows;
    all_rows[source.kind][which](&source, x, m->blocks);
    load_scales(weight, row, 0, source.groups, LANES, m->scales, m->biases);
    for (size_t token = 0; token < in->rows; token++)
        _mm512_store_ps(sums + token * LANES,
                        add_blocks(&source, m->blocks + token * LANES, in->rows, &x->rows[token],
                                   m->scales, m->biases));
}

void zx_run_few(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    const few_memory m = memory_of(matmul->launch, thread);
    float sums[2][PLANES * LANES] __attribute__((aligned(64))) = {0};
    few_rows x;
    bool ordered = false, pairs = false;
    size_t index, end;
    zx_split(zx_count_strips(matmul), 1, part, parts, &index, &end);
    for (; index < end; index++) {
        const zx_strip at = zx_strip_at(matmul, index);
        for (size_t i = at.matrix; i <= at.matrix + matmul->swiglu; i++) {
            const zx_weight *weight = matmul->weights[i];
            if (!ordered || pairs != is_pairs(kind_of(weight))) {
                pairs = is_pairs(kind_of(weight));
                order_planes(matmul, pairs, &m, &x);
                ordered = true;
            }
            run_strip(matmul, weight, at.row, &x, &m, sums[i - at.matrix]);
        }
        for (size_t token = 0; token < matmul->x->rows; token++)
            finish_strip(matmul, at, token, _mm512_load_ps(sums[0] + token * LANES),
                         _mm512_load_ps(sums[1] + token * LANES));
    }
}
#endif
