/* matmul_avx512vnni.c - the integer matmuls with vpdpbusd, which adds four products of unsigned
 * codes and signed activations per lane.  Lanes are outputs, so a group's integer sum needs no
 * horizontal addition and groups can be added in ascending order.
 *
 * Few tokens are left to matmul_few_avx512vnni.c.  Else two strips are spread into a panel that
 * stays in L2, then all tokens are swept, 6 (of two
 * planes 4) at a time: 12 (16) integer and 12 (8) float accumulators.  The multiplying sets the
 * pace.
 *
 *   panel   codes [group][dword][2][16 outputs][4]   scales, biases [group][2][16]
 *
 * Columns are cut into chunks that keep the panel small; sums then wait in memory between two
 * chunks. */
#ifdef __AVX512VNNI__
#include <assert.h>

#include "kernels/matmul/codes_avx512vnni.h"
#include "kernels/matmul/few_avx512vnni.h"
#include "kernels/matmul/lanes_avx512.h"
#include "kernels/matmul/one_avx512vnni.h"

enum {
    BLOCK_PLANES = 8,
    PANEL_BYTES = 192 << 10,
    HALVES = 2,
};

_Static_assert(PANEL_BYTES / (HALVES * LANES) % ZX_STAGE_COLUMNS == 0,
               "a chunk would end inside a staged block");

/* gcc 12 copies the accumulator around the intrinsic, see perf of both before changing this. */
INLINE __m512i dot(__m512i sums, __m512i codes, __m512i values)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(codes), "v"(values));
    return sums;
}

/* Some groups of two strips. */
typedef struct panel {
    uint8_t *codes;
    float *scales, *biases;
    bool affine[HALVES];
    int32_t zero[HALVES];
    size_t groups, dwords; /* dwords of a group */
    void *stage;           /* a strip's codes before they are spread */
} panel;

/* Rows of x from a first token and group on. */
typedef struct token_block {
    zx_activation_layout layout;
    const int8_t *values; /* of the first token, at the first group */
    const float *scales, *sums;
    const int32_t *totals;
    size_t plane_bytes, stride; /* from plane to plane, from token to token */
} token_block;

INLINE const void *at_token(const token_block *x, const void *first, size_t token)
{
    return (const char *)first + token * x->stride;
}

/* The products of one group of a panel with 'count' planes of rows. */
INLINE void multiply_group(size_t count, const panel *p, size_t group, const int8_t *const *values,
                           __m512i t[BLOCK_PLANES][HALVES])
{
    const uint8_t *codes = p->codes + group * p->dwords * HALVES * 64;
    const size_t end = (group + 1) * p->dwords * 4;
#pragma GCC unroll 8
    for (size_t i = 0; i < count; i++) t[i][0] = t[i][1] = _mm512_setzero_si512();
    for (size_t at = group * p->dwords * 4; at < end; at += 4, codes += HALVES * 64) {
        const __m512i left = _mm512_load_si512(codes), right = _mm512_load_si512(codes + 64);
#pragma GCC unroll 8
        for (size_t i = 0; i < count; i++) {
            int32_t dword;
            memcpy(&dword, values[i] + at, sizeof dword);
            const __m512i same = _mm512_set1_epi32(dword);
            t[i][0] = dot(t[i][0], left, same);
            t[i][1] = dot(t[i][1], right, same);
        }
    }
}

/* sums[token][2][16] += the panel's groups, with 'planes' * 'tokens' at most BLOCK_PLANES.  Both
 * the integer and the float sums stay in registers. */
INLINE void block(size_t planes, size_t tokens, const panel *p, const token_block *x, float *sums)
{
    const int8_t *values[BLOCK_PLANES];
    __m512 sum[BLOCK_PLANES][HALVES];
#pragma GCC unroll 8
    for (size_t i = 0; i < planes * tokens; i++)
        values[i] =
            (const int8_t *)at_token(x, x->values, i / planes) + i % planes * x->plane_bytes;
#pragma GCC unroll 8
    for (size_t i = 0; i < tokens; i++) {
        sum[i][0] = _mm512_load_ps(sums + i * HALVES * LANES);
        sum[i][1] = _mm512_load_ps(sums + i * HALVES * LANES + LANES);
    }
    for (size_t group = 0; group < p->groups; group++) {
        __m512i t[BLOCK_PLANES][HALVES];
        multiply_group(planes * tokens, p, group, values, t);
#pragma GCC unroll 2
        for (size_t half = 0; half < HALVES; half++) {
            const __m512 scale = _mm512_load_ps(p->scales + (group * HALVES + half) * LANES);
            const __m512 bias = _mm512_load_ps(p->biases + (group * HALVES + half) * LANES);
            const bool affine = p->affine[half];
#pragma GCC unroll 8
            for (size_t i = 0; i < tokens; i++) {
                const float *scale_of_x = at_token(x, x->scales + group, i);
                const float *sum_of_x = at_token(x, x->sums + group, i);
                const int32_t *total_of_x = at_token(x, x->totals + group, i);
                __m512i whole = t[i * planes][half];
                if (planes == 2)
                    whole = _mm512_add_epi32(_mm512_slli_epi32(whole, 8), t[i * planes + 1][half]);
                if (affine)
                    sum[i][half] = _mm512_fmadd_ps(bias, _mm512_set1_ps(*sum_of_x), sum[i][half]);
                else
                    whole = _mm512_sub_epi32(whole, _mm512_set1_epi32(p->zero[half] * *total_of_x));
                const __m512 product =
                    _mm512_mul_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(*scale_of_x));
                sum[i][half] = _mm512_fmadd_ps(product, scale, sum[i][half]);
            }
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < tokens; i++) {
        _mm512_store_ps(sums + i * HALVES * LANES, sum[i][0]);
        _mm512_store_ps(sums + i * HALVES * LANES + LANES, sum[i][1]);
    }
}

typedef void (*block_fn)(const panel *p, const token_block *x, float *sums);

#define BLOCK(planes, tokens)                                                                \
    static void block_##planes##_##tokens(const panel *p, const token_block *x, float *sums) \
    {                                                                                        \
        block(planes, tokens, p, x, sums);                                                   \
    }
BLOCK(1, 1)
BLOCK(1, 2)
BLOCK(1, 3)
BLOCK(1, 4)
BLOCK(1, 5)
BLOCK(1, 6)
BLOCK(2, 1)
BLOCK(2, 2)
BLOCK(2, 3)
BLOCK(2, 4)

/* [planes - 1][tokens - 1] */
static const block_fn block_fns[2][6] = {
    {block_1_1, block_1_2, block_1_3, block_1_4, block_1_5, block_1_6},
    {block_2_1, block_2_2, block_2_3, block_2_4}};

/* How many tokens a block takes. */
static size_t block_tokens(size_t planes)
{
    return planes == 1 ? 6 : 4;
}

typedef void (*spread_fn)(const rows_source *source, const panel *p, size_t half);

/* Dwords of 16 rows, transposed, to where the panel wants those that exist; nibbles of pairs come
 * in runs of four dwords. */
INLINE void store_chunk(bool pairs, __m512i rows[LANES], size_t first, size_t dwords,
                        uint8_t *codes)
{
    transpose_dwords(rows);
#pragma GCC unroll 16
    for (size_t j = 0; j < LANES; j++) {
        const size_t at = first + (pairs ? j / 4 * 8 + j % 4 : j);
        if (at < dwords) _mm512_store_si512(codes + at * HALVES * 64, rows[j]);
    }
}

/* One chunk of 16 rows, of pairs first the low nibbles, then the high ones: both at once do not fit
 * the registers. */
INLINE void spread_chunk(codes_kind kind, const uint8_t *codes, size_t stride, size_t columns,
                         size_t first, size_t dwords, uint8_t *to)
{
    const size_t turns = is_pairs(kind) ? 2 : 1;
#pragma GCC unroll 2
    for (size_t turn = 0; turn < turns; turn++) {
        const uint8_t *row_codes = codes;
        __m512i rows[LANES];
#pragma GCC unroll 16
        for (size_t row = 0; row < LANES; row++, row_codes += stride) {
            __m512i low, high;
            __asm__("" : "+r"(row_codes)); /* one pointer, not sixteen */
            const __m512i bytes = load_first(kind, row_codes, columns);
            if (is_pairs(kind))
                load_pairs(kind, bytes, row_codes, columns, &low, &high);
            else
                low = high = load_bytes(kind, bytes, row_codes, columns);
            rows[row] = turn == 0 ? low : high;
        }
        store_chunk(is_pairs(kind), rows, first + 4 * turn, dwords, to);
    }
}

/* The next panel's rows are fetched in the order of memory, while this one is used. */
INLINE void fetch(const uint8_t *next, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) _mm_prefetch((const char *)next + i, _MM_HINT_T1);
}

INLINE void spread_codes(codes_kind kind, const rows_source *source, size_t columns, uint8_t *to)
{
    const size_t chunk = chunk_columns(kind), bytes = LANES * chunk_bytes(kind);
    const uint8_t *codes = source->codes, *next = codes + HALVES * LANES * source->stride;
    for (size_t at = 0; at < columns; at += chunk, codes += chunk_bytes(kind), next += bytes) {
        const size_t left = columns - at;
        if (kind != BYTES_STAGED) fetch(next, bytes);
        if (left >= chunk)
            spread_chunk(kind, codes, source->stride, chunk, at / 4, columns / 4, to);
        else
            spread_chunk(kind, codes, source->stride, left, at / 4, columns / 4, to);
    }
}

/* Some scales of 16 rows, transposed, as f32. */
INLINE void spread_some_scales(scales_kind kind, bool affine, __m512i *scales, __m512i *biases,
                               size_t count, float *to_scales, float *to_biases)
{
    transpose_dwords(scales);
    if (kind == SCALES_F32) transpose_dwords(biases);
#pragma GCC unroll 1
    for (size_t i = 0; i < count; i++, to_scales += HALVES * LANES, to_biases += HALVES * LANES) {
        _mm512_store_ps(to_scales, scale_of(kind, scales[i]));
        if (affine) _mm512_store_ps(to_biases, bias_of(kind, scales[i], biases[i]));
    }
}

INLINE __m512i load_heads(codes_kind kind, const uint8_t *bytes, size_t count)
{
    const size_t chunk = is_pairs(kind) ? 4 : 2; /* blocks */
    __m512i heads = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (size_t i = 0; i < LANES / chunk; i++, bytes += chunk_bytes(kind)) {
        if (i * chunk >= count) break;
        const size_t left = count - i * chunk;
        heads =
            add_heads(kind, heads, i, load_first(kind, bytes, 32 * (left < chunk ? left : chunk)));
    }
    return heads;
}

INLINE void spread_scales(codes_kind kind, scales_kind how, bool affine, const rows_source *source,
                          const panel *p, size_t half)
{
    for (size_t first = 0; first < p->groups; first += LANES) {
        const size_t left = p->groups - first, count = left < LANES ? left : LANES;
        const size_t at = (first * HALVES + half) * LANES, skip = first * source->scale_bytes;
        __m512i scales[LANES], biases[LANES];
        for (size_t row = 0; row < LANES; row++) {
            const uint8_t *own = source->scales + row * source->scales_stride + skip;
            const uint8_t *bias = source->biases + row * source->scales_stride + skip;
            if (is_blocks(kind)) {
                const uint8_t *blocks = source->codes + row * source->stride;
                scales[row] = load_heads(kind, blocks + first * source->block_bytes, count);
            } else {
                scales[row] = load_scales(how, own, bias, count);
                if (how == SCALES_F32) biases[row] = load_scales(SCALES_F32, bias, NULL, count);
            }
        }
        spread_some_scales(how, affine, scales, how == SCALES_F32 ? biases : scales, count,
                           p->scales + at, p->biases + at);
    }
}

/* A half of a panel. */
INLINE void spread(codes_kind kind, const rows_source *source, const panel *p, size_t half)
{
    spread_codes(kind, source, p->groups * source->group, p->codes + half * 64);
    if (is_blocks(kind) && kind != PAIRS_Q4_1)
        spread_scales(kind, SCALES_HEADS, false, source, p, half);
    else if (kind == PAIRS_E2M1)
        spread_scales(kind, SCALES_E8M0, false, source, p, half);
    else if (kind == BYTES_E2M1)
        spread_scales(kind, SCALES_E4M3, false, source, p, half);
    else if (kind == BYTES_STAGED && !source->affine)
        spread_scales(kind, SCALES_F32_ALONE, false, source, p, half);
    else if (kind == PAIRS_Q4_1 || source->scales_kind == SCALES_F16)
        spread_scales(kind, SCALES_F16, true, source, p, half);
    else if (source->scales_kind == SCALES_F32)
        spread_scales(kind, SCALES_F32, true, source, p, half);
    else
        spread_scales(kind, SCALES_BF16, true, source, p, half);
}

#define SPREAD(kind)                                                                  \
    static void spread_##kind(const rows_source *source, const panel *p, size_t half) \
    {                                                                                 \
        spread(kind, source, p, half);                                                \
    }
SPREAD(PAIRS)
SPREAD(PAIRS_Q4_0)
SPREAD(PAIRS_Q4_1)
SPREAD(PAIRS_E2M1)
SPREAD(BYTES_2)
SPREAD(BYTES_3)
SPREAD(BYTES_5)
SPREAD(BYTES_6)
SPREAD(BYTES_8)
SPREAD(BYTES_Q8_0)
SPREAD(BYTES_Q5_0)
SPREAD(BYTES_E2M1)
SPREAD(BYTES_STAGED)

static const spread_fn spreads[CODES_KINDS] = {
    [PAIRS] = spread_PAIRS,
    [PAIRS_Q4_0] = spread_PAIRS_Q4_0,
    [PAIRS_Q4_1] = spread_PAIRS_Q4_1,
    [PAIRS_E2M1] = spread_PAIRS_E2M1,
    [BYTES_2] = spread_BYTES_2,
    [BYTES_3] = spread_BYTES_3,
    [BYTES_5] = spread_BYTES_5,
    [BYTES_6] = spread_BYTES_6,
    [BYTES_8] = spread_BYTES_8,
    [BYTES_Q8_0] = spread_BYTES_Q8_0,
    [BYTES_Q5_0] = spread_BYTES_Q5_0,
    [BYTES_E2M1] = spread_BYTES_E2M1,
    [BYTES_STAGED] = spread_BYTES_STAGED,
};

/* How a launch is blocked, and a thread's memory: panel codes, scales, biases, sums, a strip's
 * staged codes. */
typedef struct blocking {
    size_t groups; /* of a chunk */
    size_t tokens; /* of a block */
    bool chunked;  /* the sums of all tokens wait in memory, else those of one block */
    size_t panel_bytes, scale_bytes, sum_bytes, stage_bytes;
} blocking;

static blocking blocking_of(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0];
    const size_t group = x->layout.group, groups = x->columns / group;
    const size_t most = block_tokens(x->layout.planes);
    const size_t count = (x->rows + most - 1) / most; /* of blocks */
    blocking b = {.groups = PANEL_BYTES / (HALVES * LANES * group)};
    if (b.groups > groups) b.groups = groups;
    b.tokens = count > 0 ? (x->rows + count - 1) / count : 1;
    b.chunked = b.groups < groups;
    b.panel_bytes = b.groups * group * HALVES * LANES;
    b.scale_bytes = b.groups * HALVES * LANES * sizeof(float);
    const size_t sums = b.chunked && x->rows > BLOCK_PLANES ? x->rows : BLOCK_PLANES;
    b.sum_bytes = sums * HALVES * LANES * sizeof(float);
    if (zx_stages_any(launch, stages))
        b.stage_bytes = zx_round_up(zx_stage_bytes(LANES, b.groups * group, b.groups), 64);
    return b;
}

static size_t thread_bytes(const blocking *b)
{
    return b->panel_bytes + 2 * b->scale_bytes + b->sum_bytes + b->stage_bytes;
}

static void fill_half(panel *p, size_t half, const zx_weight *weight, size_t row, size_t first)
{
    rows_source source = source_of(kind_of(weight), weight, row, first);
    if (source.kind == BYTES_STAGED) {
        const zx_stage to = zx_stage_in(p->stage, LANES, p->groups * source.group, p->groups);
        for (size_t i = 0; i < LANES; i++) zx_stage_row(weight, row + i, first, &to, i);
        source = staged_source(weight, first, &to, true);
    }
    assert(spreads[source.kind] != NULL); /* K blocks are staged here */
    spreads[source.kind](&source, p, half);
    p->affine[half] = source.affine;
    p->zero[half] = source.zero;
}

/* Multiplies a filled panel with all tokens; finishes the outputs after the last chunk. */
static void sweep(const zx_matmul *matmul, const blocking *b, const panel *p, size_t first,
                  const zx_strip strips[HALVES], float *memory)
{
    const zx_operand *in = matmul->x;
    const size_t groups = in->columns / in->layout.group;
    const bool last = first + p->groups == groups;
    for (size_t token = 0; token < in->rows; token += b->tokens) {
        const size_t left = in->rows - token, tokens = left < b->tokens ? left : b->tokens;
        const zx_activation_row row =
            zx_activation_parts(in->layout, in->columns, zx_operand_row(in, token));
        const token_block x = {.layout = in->layout,
                               .values = row.plane[0] + first * in->layout.group,
                               .scales = row.scale + first,
                               .sums = row.sum + first,
                               .totals = row.total + first,
                               .plane_bytes = zx_activation_plane_bytes(in->columns),
                               .stride = in->stride};
        float *const sums = b->chunked ? memory + token * HALVES * LANES : memory;
        if (first == 0) memset(sums, 0, tokens * HALVES * LANES * sizeof *sums);
        block_fns[in->layout.planes - 1][tokens - 1](p, &x, sums);
        for (size_t i = 0; last && i < tokens; i++) {
            const __m512 left_sums = _mm512_load_ps(sums + i * HALVES * LANES);
            const __m512 right_sums = _mm512_load_ps(sums + i * HALVES * LANES + LANES);
            finish_strip(matmul, strips[0], token + i, left_sums, right_sums);
            if (!matmul->gated && strips[1].lanes != 0)
                finish_strip(matmul, strips[1], token + i, right_sums, right_sums);
        }
    }
}

static void run_panels(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    const zx_operand *in = matmul->x;
    const blocking b = blocking_of(matmul->launch);
    const size_t groups = in->columns / in->layout.group, step = matmul->gated ? 1 : HALVES;
    char *memory = (char *)matmul->launch->scratch + thread * thread_bytes(&b);
    panel p = {.codes = (uint8_t *)memory,
               .scales = (float *)(void *)(memory + b.panel_bytes),
               .biases = (float *)(void *)(memory + b.panel_bytes + b.scale_bytes),
               .dwords = in->layout.group / 4u,
               .stage = memory + thread_bytes(&b) - b.stage_bytes};
    float *const sums = (float *)(void *)(memory + b.panel_bytes + 2 * b.scale_bytes);
    size_t index, end;
    zx_split(zx_count_strips(matmul), step, part, parts, &index, &end);
    for (; index < end; index += step) {
        zx_strip strips[HALVES];
        strips[0] = strips[1] = zx_strip_at(matmul, index);
        if (matmul->gated)
            strips[1].matrix = 1;
        else if (index + 1 < end)
            strips[1] = zx_strip_at(matmul, index + 1);
        else
            strips[1].lanes = 0;
        for (size_t first = 0; first < groups; first += b.groups) {
            p.groups = groups - first < b.groups ? groups - first : b.groups;
            for (size_t half = 0; half < HALVES; half++)
                fill_half(&p, half, matmul->weights[strips[half].matrix], strips[half].row, first);
            sweep(matmul, &b, &p, first, strips, sums);
        }
    }
}

/* -------- rows of the kernel table -------- */

size_t zx_scratch_matmul_avx512vnni(const zx_launch *launch)
{
    const blocking b = blocking_of(launch);
    const size_t panels = thread_bytes(&b);
    size_t most = zx_few_scratch(launch);
    if (most < panels) most = panels;
    if (most < ZX_ONE_SCRATCH) most = ZX_ONE_SCRATCH;
    return zx_pool_threads(launch->pool) * most;
}

static zmlx_status run(const zx_matmul *matmul)
{
    const zx_operand *x = matmul->x;
    const bool few = x->rows * x->layout.planes <= ZX_FEW_PLANES;
    if (x->rows == 0) return ZMLX_OK;
    if (zx_one_applies(matmul)) {
        zx_pool_run(matmul->launch->pool, zx_strip_parts(matmul, 1), zx_run_one, matmul);
        return ZMLX_OK;
    }
    zx_pool_run(matmul->launch->pool, zx_strip_parts(matmul, few ? 1 : HALVES),
                few ? zx_run_few : run_panels, matmul);
    return ZMLX_OK;
}

zmlx_status zx_matmul_avx512vnni(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_plain(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_add_avx512vnni(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_with_residual(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_qkv_avx512vnni(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_three(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_glu_avx512vnni(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_gated(launch);
    return run(&matmul);
}
#endif
