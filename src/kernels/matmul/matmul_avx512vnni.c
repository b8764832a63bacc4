/* matmul_avx512vnni.c - the integer matmuls with vpdpbusd, which adds four products of unsigned
 * codes and signed activations per lane.  Lanes are outputs, so a group's integer sum needs no
 * horizontal addition and groups can be added in ascending order.
 *
 * Few tokens: a strip of 16 outputs is read straight from the weight, a unit at a time, while the
 * next strip is prefetched.  The reading sets the pace.
 * More tokens: two strips are spread into a panel that stays in L2, then all tokens are swept, up
 * to 12 planes of rows at a time: 24 accumulators.  The multiplying sets the pace.
 *
 *   panel   codes [group][dword][2][16 outputs][4]   scales, biases [group][2][16]
 *
 * Columns are cut into chunks that keep the panel small; sums then wait in memory between two
 * chunks. */
#ifdef __AVX512VNNI__
#include "kernels/matmul/codes_avx512vnni.h"
#include "kernels/matmul/lanes_avx512.h"

enum {
    DIRECT_PLANES = 4, /* as many planes of rows are multiplied without a panel */
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

/* The same with one dword of the plane for all lanes. */
INLINE __m512i dot_with(__m512i sums, __m512i codes, const int8_t *dword)
{
    struct four {
        int8_t bytes[4];
    };
    __asm__("vpdpbusd %2%{1to16%}, %1, %0"
            : "+v"(sums)
            : "v"(codes), "m"(*(const struct four *)(const void *)dword));
    return sums;
}

/* Sixteen rows of a weight, as the loops below read them. */
typedef struct codes_source {
    code_kind kind;
    bool affine;
    int32_t zero;
    const uint8_t *codes; /* of group 0 of the first row */
    size_t stride;        /* from row to row */
    size_t group_bytes;   /* from group to group */
    size_t units;         /* of a group */
} codes_source;

static code_kind kind_of(const zx_weight *weight)
{
    static const code_kind by_bits[] = {
        [2] = CODES_2, [3] = CODES_3, [4] = CODES_4, [5] = CODES_5, [6] = CODES_6, [8] = CODES_8};
    if (weight->format == ZX_FORMAT_MXFP4) return CODES_E2M1;
    if (weight->format == ZX_FORMAT_NVFP4) return CODES_E2M1_16;
    if (weight->format == ZX_FORMAT_Q8_0) return CODES_8_SIGNED;
    return by_bits[weight->bits];
}

/* Bytes of scales in front of a block's codes; 0 where scales stand apart. */
static size_t block_head(const zx_weight *weight)
{
    if (weight->format == ZX_FORMAT_Q4_1) return 4;
    return weight->format == ZX_FORMAT_Q4_0 || weight->format == ZX_FORMAT_Q8_0 ? 2 : 0;
}

static codes_source source_of(const zx_weight *weight, size_t row)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    const code_kind kind = kind_of(weight);
    return (codes_source){.kind = kind,
                          .affine = traits->integer == ZX_INTEGER_AFFINE,
                          .zero = traits->zero,
                          .codes = weight->codes + row * weight->codes_stride + block_head(weight),
                          .stride = weight->codes_stride,
                          .group_bytes =
                              block_head(weight) + (size_t)weight->group * weight->bits / 8,
                          .units = weight->group / unit_columns(kind)};
}

/* Scales and biases of 16 rows as f32, [group][out_stride]. */
static void load_scales(const zx_weight *weight, size_t row, size_t first, size_t groups,
                        size_t out_stride, float *scales, float *biases)
{
    const size_t head = block_head(weight);
    if (head > 0) {
        const size_t bytes = head + (size_t)weight->group * weight->bits / 8;
        gather_block_scales(weight, weight->codes + row * weight->codes_stride + first * bytes,
                            bytes, groups, out_stride, scales, biases);
        return;
    }
    const size_t at = row * weight->scales_stride;
    transpose_scales(weight, weight->scales + at, first, groups, out_stride, scales);
    if (weight->biases != NULL)
        transpose_scales(weight, weight->biases + at, first, groups, out_stride, biases);
}

/* -------- few tokens -------- */

/* The planes and per-group numbers of up to DIRECT_PLANES planes of rows of x. */
typedef struct few_rows {
    const int8_t *planes[DIRECT_PLANES];
    zx_activation_row rows[DIRECT_PLANES];
} few_rows;

INLINE const uint8_t *prefetch_until(const uint8_t *line, const uint8_t *end)
{
    for (; line < end; line += 64) _mm_prefetch((const char *)line, _MM_HINT_T0);
    return line;
}

/* sums[token][16] of one strip. */
INLINE void direct(code_kind kind, size_t planes, size_t tokens, const codes_source *source,
                   size_t groups, const few_rows *x, const float *scales, const float *biases,
                   float *sums)
{
    const size_t count = planes * tokens, dwords = unit_columns(kind) / 4;
    const size_t ahead = LANES * source->stride / groups;
    const uint8_t *codes = source->codes;
    const uint8_t *line = codes + LANES * source->stride;
    size_t at = 0; /* the column of the planes */
    __m512 sum[DIRECT_PLANES];
    for (size_t i = 0; i < tokens; i++) sum[i] = _mm512_setzero_ps();
    for (size_t group = 0; group < groups; group++, codes += source->group_bytes) {
        line = prefetch_until(line, source->codes + LANES * source->stride + (group + 1) * ahead);
        __m512i t[DIRECT_PLANES];
        for (size_t i = 0; i < count; i++) t[i] = _mm512_setzero_si512();
        for (size_t unit = 0; unit < source->units; unit++, at += 4 * dwords) {
            __m512i unit_codes[UNIT_DWORDS];
            load_unit(kind, codes + unit * unit_bytes(kind), source->stride, unit_codes);
            for (size_t j = 0; j < dwords; j++)
                for (size_t i = 0; i < count; i++)
                    t[i] = dot_with(t[i], unit_codes[j], x->planes[i] + at + 4 * j);
        }
        const __m512 scale = _mm512_load_ps(scales + group * LANES);
        for (size_t i = 0; i < tokens; i++) {
            const zx_activation_row *row = &x->rows[i];
            __m512i whole = t[i * planes];
            if (planes == 2)
                whole = _mm512_add_epi32(_mm512_slli_epi32(whole, 8), t[i * planes + 1]);
            if (source->affine)
                sum[i] = _mm512_fmadd_ps(_mm512_load_ps(biases + group * LANES),
                                         _mm512_set1_ps(row->sum[group]), sum[i]);
            else
                whole =
                    _mm512_sub_epi32(whole, _mm512_set1_epi32(source->zero * row->total[group]));
            const __m512 product =
                _mm512_mul_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(row->scale[group]));
            sum[i] = _mm512_fmadd_ps(product, scale, sum[i]);
        }
    }
    for (size_t i = 0; i < tokens; i++) _mm512_store_ps(sums + i * LANES, sum[i]);
}

typedef void (*direct_fn)(const codes_source *source, size_t groups, const few_rows *x,
                          const float *scales, const float *biases, float *sums);

#define DIRECT(kind, planes, tokens)                                                           \
    static void direct_##kind##_##planes##_##tokens(const codes_source *source, size_t groups, \
                                                    const few_rows *x, const float *scales,    \
                                                    const float *biases, float *sums)          \
    {                                                                                          \
        direct(kind, planes, tokens, source, groups, x, scales, biases, sums);                 \
    }
#define DIRECTS(kind)  \
    DIRECT(kind, 1, 1) \
    DIRECT(kind, 1, 2) DIRECT(kind, 1, 3) DIRECT(kind, 1, 4) DIRECT(kind, 2, 1) DIRECT(kind, 2, 2)
DIRECTS(CODES_2)
DIRECTS(CODES_3)
DIRECTS(CODES_4)
DIRECTS(CODES_5)
DIRECTS(CODES_6)
DIRECTS(CODES_8)
DIRECTS(CODES_8_SIGNED)
DIRECTS(CODES_E2M1)
DIRECTS(CODES_E2M1_16)

/* [kind][q8 of 1, 2, 3, 4 tokens, q16 of 1, 2 tokens] */
static const direct_fn directs[CODE_KINDS][6] = {
#define ROW(kind)                                                            \
    [kind] = {direct_##kind##_1_1, direct_##kind##_1_2, direct_##kind##_1_3, \
              direct_##kind##_1_4, direct_##kind##_2_1, direct_##kind##_2_2},
    ROW(CODES_2) ROW(CODES_3) ROW(CODES_4) ROW(CODES_5) ROW(CODES_6) ROW(CODES_8)
        ROW(CODES_8_SIGNED) ROW(CODES_E2M1) ROW(CODES_E2M1_16)};

/* Memory of one thread: first the scales and biases, then what only the panel needs. */
static size_t scale_floats(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0];
    return x->columns / x->layout.group * LANES;
}

static void direct_strip(const zx_matmul *matmul, const zx_weight *weight, zx_strip strip,
                         const few_rows *x, float *memory, float *sums)
{
    const zx_operand *in = matmul->x;
    const size_t groups = zx_weight_groups(weight);
    const codes_source source = source_of(weight, strip.row);
    float *const biases = memory + groups * LANES;
    load_scales(weight, strip.row, 0, groups, LANES, memory, biases);
    const size_t which = in->layout.planes == 1 ? in->rows - 1 : 3 + in->rows;
    directs[source.kind][which](&source, groups, x, memory, biases, sums);
}

static void run_direct(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    const zx_operand *in = matmul->x;
    float *memory = (float *)matmul->launch->scratch + thread * 2 * scale_floats(matmul->launch);
    float sums[HALVES][DIRECT_PLANES * LANES] __attribute__((aligned(64))) = {0};
    few_rows x;
    for (size_t token = 0; token < in->rows; token++) {
        x.rows[token] = zx_activation_parts(in->layout, in->columns, zx_operand_row(in, token));
        for (size_t plane = 0; plane < in->layout.planes; plane++)
            x.planes[token * in->layout.planes + plane] = x.rows[token].plane[plane];
    }
    size_t index, end;
    zx_split(zx_count_strips(matmul), 1, part, parts, &index, &end);
    for (; index < end; index++) {
        const zx_strip strip = zx_strip_at(matmul, index);
        direct_strip(matmul, matmul->weights[strip.matrix], strip, &x, memory, sums[0]);
        if (matmul->swiglu) direct_strip(matmul, matmul->weights[1], strip, &x, memory, sums[1]);
        for (size_t token = 0; token < in->rows; token++)
            finish_strip(matmul, strip, token, _mm512_load_ps(sums[0] + token * LANES),
                         _mm512_load_ps(sums[1] + token * LANES));
    }
}

/* -------- many tokens -------- */

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
static const block_fn blocks[2][BLOCK_PLANES] = {
    {block_1_1, block_1_2, block_1_3, block_1_4, block_1_5, block_1_6, block_1_7, block_1_8,
     block_1_9, block_1_10, block_1_11, block_1_12},
    {block_2_1, block_2_2, block_2_3, block_2_4, block_2_5, block_2_6}};

typedef void (*spread_fn)(const codes_source *source, size_t groups, uint8_t *codes);

/* A half of a panel's codes. */
INLINE void spread(code_kind kind, const codes_source *source, size_t groups, uint8_t *codes)
{
    const size_t dwords = unit_columns(kind) / 4;
    const uint8_t *from = source->codes;
    for (size_t group = 0; group < groups; group++, from += source->group_bytes)
        for (size_t unit = 0; unit < source->units; unit++) {
            __m512i unit_codes[UNIT_DWORDS];
            load_unit(kind, from + unit * unit_bytes(kind), source->stride, unit_codes);
            for (size_t j = 0; j < dwords; j++, codes += HALVES * 64)
                _mm512_store_si512(codes, unit_codes[j]);
        }
}

#define SPREAD(kind)                                                                     \
    static void spread_##kind(const codes_source *source, size_t groups, uint8_t *codes) \
    {                                                                                    \
        spread(kind, source, groups, codes);                                             \
    }
SPREAD(CODES_2)
SPREAD(CODES_3)
SPREAD(CODES_4)
SPREAD(CODES_5)
SPREAD(CODES_6)
SPREAD(CODES_8)
SPREAD(CODES_8_SIGNED)
SPREAD(CODES_E2M1)
SPREAD(CODES_E2M1_16)

static const spread_fn spreads[CODE_KINDS] = {
    [CODES_2] = spread_CODES_2,
    [CODES_3] = spread_CODES_3,
    [CODES_4] = spread_CODES_4,
    [CODES_5] = spread_CODES_5,
    [CODES_6] = spread_CODES_6,
    [CODES_8] = spread_CODES_8,
    [CODES_8_SIGNED] = spread_CODES_8_SIGNED,
    [CODES_E2M1] = spread_CODES_E2M1,
    [CODES_E2M1_16] = spread_CODES_E2M1_16,
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
    codes_source source = source_of(weight, row);
    source.codes += first * source.group_bytes;
    spreads[source.kind](&source, p->groups, p->codes + half * 64);
    load_scales(weight, row, first, p->groups, HALVES * LANES, p->scales + half * LANES,
                p->biases + half * LANES);
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
        blocks[in->layout.planes - 1][tokens - 1](p, &x, sums);
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

static bool is_direct(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0];
    return x->rows * x->layout.planes <= DIRECT_PLANES;
}

size_t zx_scratch_matmul_avx512vnni(const zx_launch *launch)
{
    const blocking b = blocking_of(launch);
    const size_t panels = b.panel_bytes + 2 * b.scale_bytes + b.sum_bytes;
    const size_t few = 2 * scale_floats(launch) * sizeof(float);
    return zx_pool_threads(launch->pool) * (few > panels ? few : panels);
}

static zmlx_status run(const zx_matmul *matmul)
{
    if (is_direct(matmul->launch))
        zx_pool_run(matmul->launch->pool, zx_strip_parts(matmul, 1), run_direct, matmul);
    else
        zx_pool_run(matmul->launch->pool, zx_strip_parts(matmul, HALVES), run_panels, matmul);
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
