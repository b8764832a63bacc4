/* matmul_avx512vnni.c - the integer matmuls with vpdpbusd, which adds four products of unsigned
 * codes and signed activations per lane.  Lanes are outputs, so a group's integer sum needs no
 * horizontal addition and groups can be added in ascending order.
 *
 * Few tokens are left to matmul_few_avx512vnni.c.  Else two strips are spread into a panel that
 * stays in L2, then all tokens are swept, up to 12 planes of rows at a time: 24 accumulators.  The
 * multiplying sets the pace.
 *
 *   panel   codes [group][dword][2][16 outputs][4]   scales, biases [group][2][16]
 *
 * Columns are cut into chunks that keep the panel small; sums then wait in memory between two
 * chunks. */
#ifdef __AVX512VNNI__
#include "kernels/matmul/codes_avx512vnni.h"
#include "kernels/matmul/few_avx512vnni.h"
#include "kernels/matmul/lanes_avx512.h"
#include "kernels/matmul/one_avx512vnni.h"

enum {
    BLOCK_PLANES = 12,
    PANEL_BYTES = 192 << 10,
    SMALL_PANEL_BYTES = 16 << 10, /* where few tokens follow, the panel is to stay in L1 */
    HALVES = 2,
};

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

/* sums[token][2][16] += the panel's groups, with 'planes' * 'tokens' at most BLOCK_PLANES. */
INLINE void block(size_t planes, size_t tokens, const panel *p, const token_block *x, float *sums)
{
    const size_t count = planes * tokens;
    const int8_t *values[BLOCK_PLANES];
    const uint8_t *codes = p->codes;
    for (size_t i = 0; i < count; i++)
        values[i] =
            (const int8_t *)at_token(x, x->values, i / planes) + i % planes * x->plane_bytes;
    for (size_t group = 0; group < p->groups; group++) {
        __m512i t[BLOCK_PLANES][HALVES];
#pragma GCC unroll 12
        for (size_t i = 0; i < count; i++) t[i][0] = t[i][1] = _mm512_setzero_si512();
        const size_t first = group * p->dwords * 4;
        for (size_t j = 0; j < p->dwords; j++, codes += HALVES * 64) {
            const __m512i left = _mm512_load_si512(codes), right = _mm512_load_si512(codes + 64);
#pragma GCC unroll 12
            for (size_t i = 0; i < count; i++) {
                int32_t dword;
                memcpy(&dword, values[i] + first + 4 * j, sizeof dword);
                const __m512i same = _mm512_set1_epi32(dword);
                t[i][0] = dot(t[i][0], left, same);
                t[i][1] = dot(t[i][1], right, same);
            }
        }
#pragma GCC unroll 2
        for (size_t half = 0; half < HALVES; half++) {
            const __m512 scale = _mm512_load_ps(p->scales + (group * HALVES + half) * LANES);
            const __m512 bias = _mm512_load_ps(p->biases + (group * HALVES + half) * LANES);
#pragma GCC unroll 12
            for (size_t i = 0; i < tokens; i++) {
                float *const at = sums + (i * HALVES + half) * LANES;
                __m512 sum = _mm512_load_ps(at);
                __m512i whole = t[i * planes][half];
                if (planes == 2)
                    whole = _mm512_add_epi32(_mm512_slli_epi32(whole, 8), t[i * planes + 1][half]);
                if (p->affine[half]) {
                    const float *total = at_token(x, x->sums + group, i);
                    sum = _mm512_fmadd_ps(bias, _mm512_set1_ps(*total), sum);
                } else {
                    const int32_t *total = at_token(x, x->totals + group, i);
                    whole = _mm512_sub_epi32(whole, _mm512_set1_epi32(p->zero[half] * *total));
                }
                const float *scale_of_x = at_token(x, x->scales + group, i);
                const __m512 product =
                    _mm512_mul_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(*scale_of_x));
                _mm512_store_ps(at, _mm512_fmadd_ps(product, scale, sum));
            }
        }
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
BLOCK(1, 7)
BLOCK(1, 8)
BLOCK(1, 9)
BLOCK(1, 10)
BLOCK(1, 11)
BLOCK(1, 12)
BLOCK(2, 1)
BLOCK(2, 2)
BLOCK(2, 3)
BLOCK(2, 4)
BLOCK(2, 5)
BLOCK(2, 6)

/* [planes - 1][tokens - 1] */
static const block_fn block_fns[2][BLOCK_PLANES] = {
    {block_1_1, block_1_2, block_1_3, block_1_4, block_1_5, block_1_6, block_1_7, block_1_8,
     block_1_9, block_1_10, block_1_11, block_1_12},
    {block_2_1, block_2_2, block_2_3, block_2_4, block_2_5, block_2_6}};

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

INLINE void spread_codes(codes_kind kind, const rows_source *source, size_t columns, uint8_t *codes)
{
    const size_t chunk = chunk_columns(kind);
    const uint8_t *from = source->codes;
    for (size_t at = 0; at < columns; at += chunk, from += chunk_bytes(kind)) {
        const size_t left = columns - at < chunk ? columns - at : chunk;
        const uint8_t *row_codes = from;
        __m512i low[LANES], high[LANES];
        for (size_t row = 0; row < LANES; row++, row_codes += source->stride)
            if (is_pairs(kind))
                load_pairs(kind, row_codes, left, &low[row], &high[row]);
            else
                low[row] = load_bytes(kind, row_codes, left);
        store_chunk(is_pairs(kind), low, at / 4, columns / 4, codes);
        if (is_pairs(kind)) store_chunk(true, high, at / 4 + 4, columns / 4, codes);
    }
}

/* Some scales of 16 rows, transposed, as f32. */
INLINE void spread_some_scales(scales_kind kind, bool affine, __m512i *scales, __m512i *biases,
                               size_t count, float *to_scales, float *to_biases)
{
    transpose_dwords(scales);
    if (kind == SCALES_F32) transpose_dwords(biases);
    for (size_t i = 0; i < count; i++, to_scales += HALVES * LANES, to_biases += HALVES * LANES) {
        _mm512_store_ps(to_scales, scale_of(kind, scales[i]));
        if (affine) _mm512_store_ps(to_biases, bias_of(kind, scales[i], biases[i]));
    }
}

INLINE __m512i load_heads(codes_kind kind, const uint8_t *blocks, size_t count)
{
    const size_t chunk = kind == BYTES_Q8_0 ? 2 : 4; /* blocks */
    __m512i heads = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (size_t i = 0; i < LANES / chunk; i++, blocks += chunk_bytes(kind)) {
        if (i * chunk >= count) break;
        const size_t left = count - i * chunk;
        heads = add_heads(kind, heads, i, blocks, chunk_bytes(kind) * left / chunk);
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
    if (kind == PAIRS_Q4_1)
        spread_scales(kind, SCALES_F16, true, source, p, half);
    else if (is_blocks(kind))
        spread_scales(kind, SCALES_HEADS, false, source, p, half);
    else if (kind == PAIRS_E2M1)
        spread_scales(kind, SCALES_E8M0, false, source, p, half);
    else if (kind == BYTES_E2M1)
        spread_scales(kind, SCALES_E4M3, false, source, p, half);
    else if (source->scales_kind == SCALES_F32)
        spread_scales(kind, SCALES_F32, true, source, p, half);
    else if (source->scales_kind == SCALES_F16)
        spread_scales(kind, SCALES_F16, true, source, p, half);
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
SPREAD(BYTES_E2M1)

static const spread_fn spreads[CODES_KINDS] = {
    [PAIRS] = spread_PAIRS,           [PAIRS_Q4_0] = spread_PAIRS_Q4_0,
    [PAIRS_Q4_1] = spread_PAIRS_Q4_1, [PAIRS_E2M1] = spread_PAIRS_E2M1,
    [BYTES_2] = spread_BYTES_2,       [BYTES_3] = spread_BYTES_3,
    [BYTES_5] = spread_BYTES_5,       [BYTES_6] = spread_BYTES_6,
    [BYTES_8] = spread_BYTES_8,       [BYTES_Q8_0] = spread_BYTES_Q8_0,
    [BYTES_E2M1] = spread_BYTES_E2M1,
};

/* How a launch is blocked, and a thread's memory: panel codes, scales, biases, sums. */
typedef struct blocking {
    size_t groups; /* of a chunk */
    size_t tokens; /* of a block */
    bool chunked;  /* the sums of all tokens wait in memory, else those of one block */
    size_t panel_bytes, scale_bytes, sum_bytes;
} blocking;

static blocking blocking_of(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0];
    const size_t group = x->layout.group, groups = x->columns / group;
    const size_t most = BLOCK_PLANES / x->layout.planes;
    const size_t count = (x->rows + most - 1) / most; /* of blocks */
    const size_t bytes = count > 1 ? PANEL_BYTES : SMALL_PANEL_BYTES;
    blocking b = {.groups = bytes / (HALVES * LANES * group)};
    if (b.groups > groups) b.groups = groups;
    b.tokens = count > 0 ? (x->rows + count - 1) / count : 1;
    b.chunked = b.groups < groups;
    b.panel_bytes = b.groups * group * HALVES * LANES;
    b.scale_bytes = b.groups * HALVES * LANES * sizeof(float);
    const size_t sums = b.chunked && x->rows > BLOCK_PLANES ? x->rows : BLOCK_PLANES;
    b.sum_bytes = sums * HALVES * LANES * sizeof(float);
    return b;
}

static void fill_half(panel *p, size_t half, const zx_weight *weight, size_t row, size_t first)
{
    const rows_source source = source_of(weight, row, first);
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
            if (!matmul->swiglu && strips[1].lanes != 0)
                finish_strip(matmul, strips[1], token + i, right_sums, right_sums);
        }
    }
}

static void run_panels(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    const zx_operand *in = matmul->x;
    const blocking b = blocking_of(matmul->launch);
    const size_t groups = in->columns / in->layout.group, step = matmul->swiglu ? 1 : HALVES;
    char *memory = (char *)matmul->launch->scratch +
                   thread * (b.panel_bytes + 2 * b.scale_bytes + b.sum_bytes);
    panel p = {.codes = (uint8_t *)memory,
               .scales = (float *)(void *)(memory + b.panel_bytes),
               .biases = (float *)(void *)(memory + b.panel_bytes + b.scale_bytes),
               .dwords = in->layout.group / 4u};
    float *const sums = (float *)(void *)(memory + b.panel_bytes + 2 * b.scale_bytes);
    size_t index, end;
    zx_split(zx_count_strips(matmul), step, part, parts, &index, &end);
    for (; index < end; index += step) {
        zx_strip strips[HALVES];
        strips[0] = strips[1] = zx_strip_at(matmul, index);
        if (matmul->swiglu)
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
    const size_t panels = b.panel_bytes + 2 * b.scale_bytes + b.sum_bytes;
    const size_t few = zx_few_scratch(launch);
    return zx_pool_threads(launch->pool) * (few > panels ? few : panels);
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

zmlx_status zx_matmul_swiglu_avx512vnni(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_gated(launch);
    return run(&matmul);
}
#endif
