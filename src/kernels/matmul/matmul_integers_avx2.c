/* matmul_integers_avx2.c - the integer matmuls with vpmaddwd, which adds two products of 16-bit
 * integers per lane: exact for every code, and for activations of one plane or of two at the same
 * price.  Lanes are outputs.
 *
 * Few tokens are left to matmul_few_avx2.c.  Else the activations become 16-bit integers once, a
 * strip of 16 outputs is spread into a panel that stays in L2, and all tokens are swept, four at a
 * time: 8 integer accumulators, the float ones in L1.
 *
 *   panel   codes [group][pair of columns][2][8 outputs][2]   scales, biases [group][2][8]
 *
 * Columns are cut into chunks that keep the panel small; the sums of all tokens wait in memory. */
#ifdef __AVX2__
#include "kernels/matmul/codes_avx2.h"
#include "kernels/matmul/few_avx2.h"
#include "kernels/matmul/lanes_avx2.h"

enum {
    BLOCK_TOKENS = 4,
    HALVES = 2,
    PANEL_BYTES = 192 << 10,
    VECTOR = 32, /* bytes */
};

_Static_assert(PANEL_BYTES / (HALVES * LANES * sizeof(int16_t)) % ZX_STAGE_COLUMNS == 0,
               "a chunk would end inside a staged block");

/* Some groups of a strip. */
typedef struct panel {
    uint8_t *codes;
    float *scales, *biases;
    bool affine;
    int32_t zero;
    size_t groups, pairs; /* pairs of columns of a group */
    void *stage;          /* 8 rows' codes before they are spread */
} panel;

/* Rows of x from a first token and group on. */
typedef struct token_block {
    const int16_t *values;
    size_t columns; /* from token to token */
    const float *scales, *sums;
    const int32_t *totals;
    size_t stride; /* from token to token, of the other three */
} token_block;

INLINE const void *at_token(const token_block *x, const void *first, size_t token)
{
    return (const char *)first + token * x->stride;
}

/* sums[token][2][8] += the panel's groups. */
INLINE void block(size_t tokens, const panel *p, const token_block *x, float *sums)
{
    const uint8_t *codes = p->codes;
    for (size_t group = 0, at = 0; group < p->groups; group++) {
        __m256i t[BLOCK_TOKENS][HALVES];
#pragma GCC unroll 4
        for (size_t i = 0; i < tokens; i++) t[i][0] = t[i][1] = _mm256_setzero_si256();
        for (size_t pair = 0; pair < p->pairs; pair++, at += 2, codes += HALVES * VECTOR) {
            const __m256i left = _mm256_load_si256((const __m256i *)(const void *)codes);
            const __m256i right =
                _mm256_load_si256((const __m256i *)(const void *)(codes + VECTOR));
#pragma GCC unroll 4
            for (size_t i = 0; i < tokens; i++) {
                int32_t two;
                memcpy(&two, x->values + i * x->columns + at, sizeof two);
                const __m256i same = _mm256_set1_epi32(two);
                t[i][0] = _mm256_add_epi32(t[i][0], _mm256_madd_epi16(left, same));
                t[i][1] = _mm256_add_epi32(t[i][1], _mm256_madd_epi16(right, same));
            }
        }
#pragma GCC unroll 2
        for (size_t half = 0; half < HALVES; half++) {
            const __m256 scale = _mm256_load_ps(p->scales + (group * HALVES + half) * LANES);
            const __m256 bias = _mm256_load_ps(p->biases + (group * HALVES + half) * LANES);
#pragma GCC unroll 4
            for (size_t i = 0; i < tokens; i++) {
                const float *scale_of_x = at_token(x, x->scales + group, i);
                const float *sum_of_x = at_token(x, x->sums + group, i);
                const int32_t *total_of_x = at_token(x, x->totals + group, i);
                float *const to = sums + (i * HALVES + half) * LANES;
                __m256 sum = _mm256_load_ps(to);
                __m256i whole = t[i][half];
                if (p->affine)
                    sum = _mm256_fmadd_ps(bias, _mm256_set1_ps(*sum_of_x), sum);
                else
                    whole = _mm256_sub_epi32(whole, _mm256_set1_epi32(p->zero * *total_of_x));
                const __m256 product =
                    _mm256_mul_ps(_mm256_cvtepi32_ps(whole), _mm256_set1_ps(*scale_of_x));
                _mm256_store_ps(to, _mm256_fmadd_ps(product, scale, sum));
            }
        }
    }
}

typedef void (*block_fn)(const panel *p, const token_block *x, float *sums);

#define BLOCK(tokens)                                                             \
    static void block_##tokens(const panel *p, const token_block *x, float *sums) \
    {                                                                             \
        block(tokens, p, x, sums);                                                \
    }
BLOCK(1)
BLOCK(2)
BLOCK(3)
BLOCK(4)

static const block_fn block_fns[BLOCK_TOKENS] = {block_1, block_2, block_3, block_4};

/* -------- a panel -------- */

/* Dwords of 8 rows, transposed: each is four codes of every row, that is two pairs. */
INLINE void store_chunk(bool nibbles, __m256i rows[LANES], size_t first, size_t dwords,
                        uint8_t *codes)
{
    const __m256i even = _mm256_setr_epi8(0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1,
                                          0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1);
    const __m256i odd =
        _mm256_setr_epi8(2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15, -1, 2, -1, 3, -1,
                         6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15, -1);
    transpose_dwords(rows);
#pragma GCC unroll 8
    for (size_t j = 0; j < LANES; j++) {
        const size_t at = first + (nibbles ? j / 4 * 8 + j % 4 : j);
        if (at >= dwords) continue;
        uint8_t *const to = codes + 2 * at * HALVES * VECTOR;
        _mm256_store_si256((__m256i *)(void *)to, _mm256_shuffle_epi8(rows[j], even));
        _mm256_store_si256((__m256i *)(void *)(to + HALVES * VECTOR),
                           _mm256_shuffle_epi8(rows[j], odd));
    }
}

typedef void (*spread_fn)(const rows_source *s, size_t group, size_t columns, uint8_t *codes);

/* The codes of 8 rows, 'columns' from a group on. */
INLINE void spread(codes_kind kind, const rows_source *s, size_t group, size_t columns,
                   uint8_t *codes)
{
    const size_t chunk = chunk_columns(kind), stride = s->weight->codes_stride;
    const uint8_t *first = codes_at(s, 0, group);
    for (size_t at = 0; at < columns; at += chunk, first += s->chunk_bytes) {
        const size_t left = columns - at < chunk ? columns - at : chunk;
        __m256i low[LANES], high[LANES];
#pragma GCC unroll 8
        for (size_t row = 0; row < LANES; row++) {
            const uint8_t *from = first + row * stride;
            if (is_pairs(kind))
                load_pairs(kind, from, left > CHUNK ? s->run_bytes : 0, &low[row], &high[row]);
            else
                low[row] = load_bytes(kind, from, left);
        }
        store_chunk(is_pairs(kind), low, at / 4, columns / 4, codes);
        if (is_pairs(kind)) store_chunk(true, high, at / 4 + 4, columns / 4, codes);
    }
}

/* Scales and biases of 8 rows from a group on, [group][2][8]. */
INLINE void spread_scales(scales_kind kind, bool affine, const rows_source *s, size_t group,
                          const panel *p, size_t half)
{
    for (size_t first = 0; first < p->groups; first += LANES) {
        const size_t left = p->groups - first, count = left < LANES ? left : LANES;
        __m256i rows[LANES][2], dwords[LANES], more[LANES];
        for (size_t row = 0; row < LANES; row++)
            load_scales(kind, s, row, group + first, count, rows[row]);
        for (size_t row = 0; row < LANES; row++) {
            dwords[row] = rows[row][0];
            more[row] = rows[row][kind == SCALES_F32];
        }
        transpose_dwords(dwords);
        transpose_dwords(more);
        for (size_t i = 0; i < count; i++) {
            const size_t at = ((first + i) * HALVES + half) * LANES;
            _mm256_store_ps(p->scales + at, scale_of(kind, dwords[i]));
            if (affine) _mm256_store_ps(p->biases + at, bias_of(kind, dwords[i], more[i]));
        }
    }
}

typedef void (*scales_fn)(const rows_source *s, size_t group, const panel *p, size_t half);

#define SCALES(kind, affine)                                                                   \
    static void scales_##kind(const rows_source *s, size_t group, const panel *p, size_t half) \
    {                                                                                          \
        spread_scales(kind, affine, s, group, p, half);                                        \
    }
SCALES(SCALES_F16, true)
SCALES(SCALES_BF16, true)
SCALES(SCALES_F32, true)
SCALES(SCALES_E8M0, false)
SCALES(SCALES_E4M3, false)
SCALES(SCALES_HEADS, false)
SCALES(SCALES_F32_ALONE, false)

static const scales_fn scale_fns[SCALES_KINDS] = {
    scales_SCALES_F16,  scales_SCALES_BF16,  scales_SCALES_F32,      scales_SCALES_E8M0,
    scales_SCALES_E4M3, scales_SCALES_HEADS, scales_SCALES_F32_ALONE};

#define SPREAD(kind)                                                                              \
    static void spread_##kind(const rows_source *s, size_t group, size_t columns, uint8_t *codes) \
    {                                                                                             \
        spread(kind, s, group, columns, codes);                                                   \
    }
SPREAD(PAIRS)
SPREAD(PAIRS_E2M1)
SPREAD(BYTES_2)
SPREAD(BYTES_3)
SPREAD(BYTES_5)
SPREAD(BYTES_6)
SPREAD(BYTES_8)
SPREAD(BYTES_Q8_0)
SPREAD(BYTES_E2M1)
SPREAD(BYTES_STAGED)
SPREAD(BYTES_STAGED_8)

static const spread_fn spreads[CODES_KINDS] = {
    [PAIRS] = spread_PAIRS,
    [PAIRS_E2M1] = spread_PAIRS_E2M1,
    [BYTES_2] = spread_BYTES_2,
    [BYTES_3] = spread_BYTES_3,
    [BYTES_5] = spread_BYTES_5,
    [BYTES_6] = spread_BYTES_6,
    [BYTES_8] = spread_BYTES_8,
    [BYTES_Q8_0] = spread_BYTES_Q8_0,
    [BYTES_E2M1] = spread_BYTES_E2M1,
    [BYTES_STAGED] = spread_BYTES_STAGED,
    [BYTES_STAGED_8] = spread_BYTES_STAGED_8,
};

/* Groups from 'first' on of the strip's 16 rows. */
static void fill_panel(panel *p, const zx_weight *weight, size_t row, size_t first)
{
    for (size_t half = 0; half < HALVES; half++) {
        rows_source s = source_of(weight, row + half * LANES);
        zx_weight staged;
        size_t from = first;
        if (is_staged(s.kind)) {
            const zx_stage to = zx_stage_in(p->stage, LANES, p->groups * s.group, p->groups);
            for (size_t i = 0; i < LANES; i++)
                zx_stage_row(weight, row + half * LANES + i, first, &to, i);
            s = staged_source(weight, &to, true, &staged);
            from = 0;
        }
        spreads[s.kind](&s, from, p->groups * s.group, p->codes + half * VECTOR);
        scale_fns[s.scales_kind](&s, from, p, half);
        p->affine = s.affine;
        p->zero = s.zero;
    }
}

/* -------- a launch -------- */

/* How a launch is blocked.  Scratch: x as 16-bit integers, then a thread's panel codes, scales,
 * biases and sums (of gate, of up). */
typedef struct blocking {
    size_t groups; /* of a chunk */
    size_t x_columns, x_bytes, panel_bytes, scale_bytes, sum_bytes, stage_bytes;
} blocking;

static blocking blocking_of(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0];
    const size_t group = x->layout.group, groups = x->columns / group;
    blocking b = {.groups = PANEL_BYTES / (HALVES * LANES * group * sizeof(int16_t))};
    if (b.groups > groups) b.groups = groups;
    b.x_columns = zx_activation_plane_bytes(x->columns);
    b.x_bytes = zx_round_up(x->rows * b.x_columns * sizeof(int16_t), 64);
    b.panel_bytes = b.groups * group * HALVES * LANES * sizeof(int16_t);
    b.scale_bytes = b.groups * HALVES * LANES * sizeof(float);
    const size_t rows = x->rows > BLOCK_TOKENS ? x->rows : BLOCK_TOKENS;
    b.sum_bytes = rows * HALVES * LANES * sizeof(float);
    if (zx_stages_any(launch, stages))
        b.stage_bytes = zx_round_up(zx_stage_bytes(LANES, b.groups * group, b.groups), 64);
    return b;
}

static size_t thread_bytes(const blocking *b)
{
    return b->panel_bytes + 2 * b->scale_bytes + 2 * b->sum_bytes + b->stage_bytes;
}

/* Multiplies a filled panel with all tokens. */
static void sweep(const zx_matmul *matmul, const blocking *b, const panel *p, size_t first,
                  float *sums)
{
    const zx_operand *in = matmul->x;
    for (size_t token = 0; token < in->rows; token += BLOCK_TOKENS) {
        const size_t left = in->rows - token, tokens = left < BLOCK_TOKENS ? left : BLOCK_TOKENS;
        const zx_activation_row row =
            zx_activation_parts(in->layout, in->columns, zx_operand_row(in, token));
        const token_block x = {.values = (const int16_t *)matmul->launch->scratch +
                                         token * b->x_columns + first * in->layout.group,
                               .columns = b->x_columns,
                               .scales = row.scale + first,
                               .sums = row.sum + first,
                               .totals = row.total + first,
                               .stride = in->stride};
        block_fns[tokens - 1](p, &x, sums + token * HALVES * LANES);
    }
}

/* sums[token][2][8] of a strip of one matrix. */
static void multiply_strip(const zx_matmul *matmul, const blocking *b, panel *p,
                           const zx_weight *weight, size_t row, float *sums)
{
    const size_t groups = zx_weight_groups(weight);
    memset(sums, 0, matmul->x->rows * HALVES * LANES * sizeof *sums);
    for (size_t first = 0; first < groups; first += b->groups) {
        p->groups = groups - first < b->groups ? groups - first : b->groups;
        fill_panel(p, weight, row, first);
        sweep(matmul, b, p, first, sums);
    }
}

static void run_panels(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    const blocking b = blocking_of(matmul->launch);
    char *memory = (char *)matmul->launch->scratch + b.x_bytes + thread * thread_bytes(&b);
    panel p = {.codes = (uint8_t *)memory,
               .scales = (float *)(void *)(memory + b.panel_bytes),
               .biases = (float *)(void *)(memory + b.panel_bytes + b.scale_bytes),
               .pairs = matmul->x->layout.group / 2u,
               .stage = memory + thread_bytes(&b) - b.stage_bytes};
    float *sums = (float *)(void *)(memory + b.panel_bytes + 2 * b.scale_bytes);
    float *up_sums = sums + b.sum_bytes / sizeof *sums;
    size_t index, end;
    zx_split(zx_count_strips(matmul), 1, part, parts, &index, &end);
    for (; index < end; index++) {
        const zx_strip strip = zx_strip_at(matmul, index);
        multiply_strip(matmul, &b, &p, matmul->weights[strip.matrix], strip.row, sums);
        if (matmul->gated) multiply_strip(matmul, &b, &p, matmul->weights[1], strip.row, up_sums);
        for (size_t token = 0; token < matmul->x->rows; token++)
            for (size_t half = 0; half < HALVES; half++) {
                const size_t at = (token * HALVES + half) * LANES;
                const __m256 up = _mm256_load_ps((matmul->gated ? up_sums : sums) + at);
                finish_eight(matmul, strip, half * LANES, token, _mm256_load_ps(sums + at), up);
            }
    }
}

/* x as 16-bit integers, in the order of the planes. */
static void widen_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const zx_matmul *matmul = context;
    const zx_operand *in = matmul->x;
    const size_t columns = zx_activation_plane_bytes(in->columns);
    size_t row, end;
    zx_split(in->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        int16_t *to = (int16_t *)matmul->launch->scratch + row * columns;
        const zx_activation_row x =
            zx_activation_parts(in->layout, in->columns, zx_operand_row(in, row));
        if (in->layout.planes == 1)
            for (size_t i = 0; i < columns; i++) to[i] = (int16_t)(1 * x.plane[0][i]);
        else
            for (size_t i = 0; i < columns; i++)
                to[i] = (int16_t)(256 * x.plane[0][i] + x.plane[1][i]);
    }
}

size_t zx_scratch_matmul_integers_avx2(const zx_launch *launch)
{
    const blocking b = blocking_of(launch);
    const size_t few = zx_few_scratch_avx2(launch), panels = thread_bytes(&b);
    return b.x_bytes + zx_pool_threads(launch->pool) * (few > panels ? few : panels);
}

static zmlx_status run(const zx_matmul *matmul)
{
    const zx_operand *x = matmul->x;
    zx_pool *pool = matmul->launch->pool;
    const bool few = x->rows * x->layout.planes <= ZX_FEW_PLANES_AVX2;
    if (x->rows == 0) return ZMLX_OK;
    if (!few) zx_pool_run(pool, zx_row_parts(matmul->launch), widen_rows, matmul);
    zx_pool_run(pool, zx_strip_parts(matmul, 1), few ? zx_run_few_avx2 : run_panels, matmul);
    return ZMLX_OK;
}

zmlx_status zx_matmul_integers_avx2(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_plain(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_add_integers_avx2(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_with_residual(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_qkv_integers_avx2(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_three(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_glu_integers_avx2(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_gated(launch);
    return run(&matmul);
}
#endif
