/* floats_body.h - matmuls of activations that are not quantized: decoded weights, f32 FMA.  The
 * sixteen partial sums of the row-sum order are the lanes of a v16, so that every product of a row
 * of x with a row of the weight has an accumulator of its own, added up at the end.
 *
 * Few tokens: rows of the weight are decoded into registers and used at once.  More tokens: a strip
 * of 16 rows is decoded into a panel that stays in L2, then all tokens are swept in tiles of
 * TILE_TOKENS x TILE_ROWS accumulators; columns are cut so that TILE_TOKENS rows of x stay in L1.
 * Included once per instruction set, after its v16 header; ZX_KERNEL names the functions. */
#include "base/fail.h"
#include "kernels/matmul/strips.h"

enum {
    LANES = 16,
    FEW_TOKENS = 4,
    DENSE_GROUP = 64,
    CHUNK = 1024, /* columns */
    LINE = 64,
    AHEAD = 8192, /* bytes: how far ahead a weight is fetched */
};

typedef enum floats_kind {
    FLOATS_DENSE,
    FLOATS_AFFINE_2, /* up to here codes of 4 bits: they index a table per group */
    FLOATS_AFFINE_3,
    FLOATS_AFFINE_4,
    FLOATS_NIBBLE_BLOCKS, /* Q4_0, Q4_1 */
    FLOATS_E2M1,
    FLOATS_AFFINE_5,
    FLOATS_AFFINE_6,
    FLOATS_AFFINE_8,
    FLOATS_Q8_0,
    FLOATS_E4M3,
    FLOATS_BLOCKS, /* other blocks: as quant/ decodes them, also for few tokens */
    FLOATS_KINDS,
} floats_kind;

/* A weight as the loops below read it. */
typedef struct floats_source {
    const zx_weight *weight;
    zx_dtype dtype;
    size_t group; /* 64 of a dense weight, whose last one may be shorter */
    size_t block_bytes, head;
    bool round_products; /* before the bias is added */
} floats_source;

static floats_kind kind_of(const zx_weight *weight)
{
    static const floats_kind by_bits[] = {
        [2] = FLOATS_AFFINE_2, [3] = FLOATS_AFFINE_3, [4] = FLOATS_AFFINE_4,
        [5] = FLOATS_AFFINE_5, [6] = FLOATS_AFFINE_6, [8] = FLOATS_AFFINE_8};
    static const floats_kind by_format[ZX_FORMAT_COUNT] = {
        [ZX_FORMAT_MXFP4] = FLOATS_E2M1,         [ZX_FORMAT_NVFP4] = FLOATS_E2M1,
        [ZX_FORMAT_MXFP8] = FLOATS_E4M3,         [ZX_FORMAT_Q4_0] = FLOATS_NIBBLE_BLOCKS,
        [ZX_FORMAT_Q4_1] = FLOATS_NIBBLE_BLOCKS, [ZX_FORMAT_Q8_0] = FLOATS_Q8_0};
    const bool own = by_format[weight->format] != 0;
    if (zx_formats[weight->format].block > 0 && !own) return FLOATS_BLOCKS;
    return weight->format == ZX_FORMAT_AFFINE ? by_bits[weight->bits] : by_format[weight->format];
}

static floats_source source_of(const zx_weight *weight)
{
    static const uint8_t heads[ZX_FORMAT_COUNT] = {
        [ZX_FORMAT_Q4_0] = 2, [ZX_FORMAT_Q4_1] = 4, [ZX_FORMAT_Q8_0] = 2};
    const size_t group = weight->group == 1 ? DENSE_GROUP : weight->group;
    const size_t head = heads[weight->format];
    return (floats_source){.weight = weight,
                           .dtype = weight->dtype,
                           .group = group,
                           .block_bytes = head + group * weight->bits / 8,
                           .head = head,
                           .round_products =
                               weight->format == ZX_FORMAT_AFFINE && weight->mlx_cpu_decode};
}

/* -------- decoding sixteen columns -------- */

/* What the columns of a group have in common. */
typedef struct group_values {
    v16 table; /* of codes up to 4 bits */
    v16 scale, bias;
} group_values;

INLINE bool is_table(floats_kind kind)
{
    return kind >= FLOATS_AFFINE_2 && kind <= FLOATS_E2M1;
}

INLINE bool is_affine(floats_kind kind)
{
    return (kind >= FLOATS_AFFINE_2 && kind <= FLOATS_AFFINE_4) ||
           (kind >= FLOATS_AFFINE_5 && kind <= FLOATS_AFFINE_8);
}

static inline float small_scale(const zx_weight *weight, uint8_t code)
{
    if (weight->format != ZX_FORMAT_NVFP4)
        return zx_float_from_bits(code == 0 ? 0x00400000u : (uint32_t)code << 23);
    return zx_e4m3_to_f32(code);
}

/* The values of all codes of at most 4 bits; those of fewer bits repeat. */
INLINE v16 table_codes(floats_kind kind, const zx_weight *weight)
{
    static const float e2m1[16] = {0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,  4.0F,  6.0F,
                                   -0.0F, -0.5F, -1.0F, -1.5F, -2.0F, -3.0F, -4.0F, -6.0F};
    static const float four[24] = {-8, -7, -6, -5, -4, -3, -2, -1, 0,  1,  2,  3,
                                   4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15};
    static const float three[16] = {0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7};
    static const float two[16] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
    if (kind == FLOATS_E2M1) return v16_load(e2m1);
    if (kind == FLOATS_AFFINE_3) return v16_load(three);
    if (kind == FLOATS_AFFINE_2) return v16_load(two);
    return v16_load(weight->format == ZX_FORMAT_Q4_0 ? four : four + 8);
}

/* RN_T of code * scale (+ bias) as quant/format.h says. */
INLINE v16 value_of(bool with_bias, const floats_source *s, v16 codes, v16 scale, v16 bias)
{
    v16 value = v16_mul(codes, scale);
    if (with_bias) {
        if (s->round_products) value = v16_round(s->dtype, value);
        value = v16_add(value, bias);
    }
    return v16_round(s->dtype, value);
}

INLINE group_values load_group(floats_kind kind, const floats_source *s, size_t row, size_t group)
{
    const zx_weight *w = s->weight;
    group_values g = {v16_zero(), v16_zero(), v16_zero()};
    if (kind == FLOATS_DENSE) return g;
    const size_t at = row * w->scales_stride;
    bool with_bias = is_affine(kind);
    if (is_affine(kind)) {
        g.scale = v16_broadcast(s->dtype, w->scales + at, group);
        g.bias = v16_broadcast(s->dtype, w->biases + at, group);
    } else if (kind == FLOATS_NIBBLE_BLOCKS || kind == FLOATS_Q8_0) {
        const uint8_t *head = w->codes + row * w->codes_stride + group * s->block_bytes;
        with_bias = w->format == ZX_FORMAT_Q4_1;
        g.scale = v16_broadcast(ZX_F16, head, 0);
        if (with_bias) g.bias = v16_broadcast(ZX_F16, head, 1);
    } else {
        g.scale = v16_set1(small_scale(w, w->scales[at + group]));
    }
    if (!is_table(kind)) return g;
    const v16 codes = table_codes(kind, w);
    g.table = kind == FLOATS_NIBBLE_BLOCKS && !with_bias
                  ? value_of(false, s, codes, g.scale, g.bias)
                  : value_of(kind != FLOATS_E2M1, s, codes, g.scale, g.bias);
    return g;
}

/* Sixteen codes of 5 or 6 bits. */
INLINE w16 codes_of_bits(unsigned bits, const uint8_t *bytes)
{
    uint8_t places[64];
    uint32_t shifts[16];
    int32_t last = 0;
#pragma GCC unroll 16
    for (unsigned i = 0; i < 16; i++) {
#pragma GCC unroll 4
        for (unsigned j = 0; j < 4; j++) places[4 * i + j] = (uint8_t)(i * bits / 8 + j);
        shifts[i] = i * bits % 8;
    }
    memcpy(&last, bytes + 8, bits == 5 ? 2 : 4);
    return w16_and(w16_gathered(b16_join(bytes, last), places, shifts), (1u << bits) - 1);
}

/* Dwords whose low 4 bits are the codes of the run-th sixteen columns of a group. */
INLINE w16 table_indices(floats_kind kind, const uint8_t *codes, size_t run)
{
    static const uint32_t by2[16] = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    static const uint32_t by3[16] = {0, 3, 6, 9, 12, 15, 18, 21, 8, 11, 14, 17, 20, 23, 26, 29};
    static const uint32_t by4[16] = {0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28};
    if (kind == FLOATS_NIBBLE_BLOCKS) {
        const b16 bytes = b16_load(codes);
        return w16_from_u8(run == 0 ? bytes : b16_high_nibbles(bytes));
    }
    if (kind == FLOATS_AFFINE_2) return w16_shifted(codes + 4 * run, codes + 4 * run, by2);
    if (kind == FLOATS_AFFINE_3) return w16_shifted(codes + 6 * run, codes + 6 * run + 2, by3);
    return w16_shifted(codes + 8 * run, codes + 8 * run + 4, by4);
}

/* The run-th sixteen columns of a group, of which 'count' exist (fewer only of a dense weight). */
INLINE v16 load_values(floats_kind kind, const floats_source *s, const group_values *g,
                       const uint8_t *codes, size_t run, size_t count)
{
    const uint8_t *bytes = codes + run * LANES;
    if (kind == FLOATS_DENSE)
        return v16_load_dense(s->dtype, codes + run * LANES * s->weight->bits / 8, count);
    if (is_table(kind)) return v16_look_up(g->table, table_indices(kind, codes, run));
    if (kind == FLOATS_AFFINE_5)
        return value_of(true, s, v16_from_w16(codes_of_bits(5, codes + 10 * run)), g->scale,
                        g->bias);
    if (kind == FLOATS_AFFINE_6)
        return value_of(true, s, v16_from_w16(codes_of_bits(6, codes + 12 * run)), g->scale,
                        g->bias);
    const b16 sixteen = b16_load(bytes);
    if (kind == FLOATS_AFFINE_8)
        return value_of(true, s, v16_from_w16(w16_from_u8(sixteen)), g->scale, g->bias);
    if (kind == FLOATS_Q8_0)
        return value_of(false, s, v16_from_w16(w16_from_i8(sixteen)), g->scale, g->bias);
    const w16 e4m3 = w16_from_u8(sixteen); /* as zx_e4m3_to_f32 */
    const w16 code = w16_and(e4m3, 0x7f), is_nan = w16_and(w16_add(code, 1), 0x80);
    const v16 magnitude =
        v16_mul(v16_from_f16(w16_shift_left(w16_or(code, is_nan), 7)), v16_set1(256.0F));
    return value_of(false, s, v16_flip(magnitude, w16_shift_right(e4m3, 4)), g->scale, g->bias);
}

/* -------- few tokens -------- */

/* Rows of x as f32. */
typedef struct float_rows {
    const float *first;
    size_t stride; /* floats */
} float_rows;

/* partial[token][16 rows]: those of 'rows' rows from 'row' of the strip on. */
INLINE void few_rows(floats_kind kind, size_t rows, size_t tokens, const floats_source *s,
                     size_t first, size_t row, const float_rows *x, v16 *partial)
{
    const size_t columns = s->weight->columns, stride = s->weight->codes_stride;
    const uint8_t *codes = s->weight->codes + (first + row) * stride;
    const uint8_t *next = codes + (rows * stride > AHEAD ? rows * stride : AHEAD);
    v16 sum[FEW_ROWS][FEW_TOKENS];
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t t = 0; t < tokens; t++) sum[r][t] = v16_zero();
    for (size_t at = 0, group = 0; at < columns; group++, codes += s->block_bytes) {
        group_values g[FEW_ROWS];
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) g[r] = load_group(kind, s, first + row + r, group);
        for (size_t i = 0; i < rows * s->block_bytes; i += LINE) __builtin_prefetch(next + i, 0, 2);
        next += rows * s->block_bytes;
        for (size_t run = 0; run < s->group / LANES && at < columns; run++, at += LANES) {
            const size_t left = columns - at;
            v16 in[FEW_TOKENS];
            if (kind == FLOATS_DENSE && left < LANES) {
                const v16 value = load_values(kind, s, &g[0], codes, run, left);
#pragma GCC unroll 4
                for (size_t t = 0; t < tokens; t++)
                    sum[0][t] = v16_fma_some(
                        value,
                        v16_load_dense(ZX_F32, (const uint8_t *)(x->first + t * x->stride + at),
                                       left),
                        sum[0][t], left);
                continue;
            }
#pragma GCC unroll 4
            for (size_t t = 0; t < tokens; t++) in[t] = v16_load(x->first + t * x->stride + at);
#pragma GCC unroll 4
            for (size_t r = 0; r < rows; r++) {
                const v16 value =
                    load_values(kind, s, &g[r], codes + r * stride + s->head, run, LANES);
#pragma GCC unroll 4
                for (size_t t = 0; t < tokens; t++) sum[r][t] = v16_fma(value, in[t], sum[r][t]);
            }
        }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t t = 0; t < tokens; t++) partial[t * LANES + row + r] = sum[r][t];
}

typedef void (*few_fn)(const floats_source *s, size_t first, const float_rows *x, v16 *partial);

INLINE void few_strip(floats_kind kind, size_t tokens, const floats_source *s, size_t first,
                      const float_rows *x, v16 *partial)
{
    const size_t rows = kind == FLOATS_DENSE ? 1 : FEW_ROWS;
    for (size_t row = 0; row < LANES; row += rows)
        few_rows(kind, rows, tokens, s, first, row, x, partial);
}

/* -------- many tokens -------- */

typedef void (*decode_fn)(const floats_source *s, size_t first, size_t column, size_t columns,
                          float *panel);

/* panel[16 rows][CHUNK]: 'columns' from 'column' on, which begins a group. */
INLINE void decode_strip(floats_kind kind, const floats_source *s, size_t first, size_t column,
                         size_t columns, float *panel)
{
    for (size_t row = 0; row < LANES; row++, panel += CHUNK) {
        size_t group = column / s->group;
        const uint8_t *codes = s->weight->codes + (first + row) * s->weight->codes_stride +
                               group * s->block_bytes + s->head;
        for (size_t at = 0; at < columns; group++, codes += s->block_bytes) {
            const group_values g = load_group(kind, s, first + row, group);
            for (size_t run = 0; run < s->group / LANES && at < columns; run++, at += LANES) {
                const size_t left = columns - at;
                v16_store(panel + at,
                          load_values(kind, s, &g, codes, run, left < LANES ? left : LANES));
            }
        }
    }
}

/* partial[token][16 rows] += a tile of rows of x and of the panel. */
INLINE void tile(size_t tokens, const float_rows *x, const float *panel, size_t columns,
                 v16 *partial)
{
    v16 sum[TILE_TOKENS][TILE_ROWS];
#pragma GCC unroll 4
    for (size_t t = 0; t < tokens; t++)
#pragma GCC unroll 4
        for (size_t r = 0; r < TILE_ROWS; r++) sum[t][r] = partial[t * LANES + r];
    size_t at = 0;
    for (; at + LANES <= columns; at += LANES) {
        v16 in[TILE_TOKENS];
#pragma GCC unroll 4
        for (size_t t = 0; t < tokens; t++) in[t] = v16_load(x->first + t * x->stride + at);
#pragma GCC unroll 4
        for (size_t r = 0; r < TILE_ROWS; r++) {
            const v16 value = v16_load(panel + r * CHUNK + at);
#pragma GCC unroll 4
            for (size_t t = 0; t < tokens; t++) sum[t][r] = v16_fma(value, in[t], sum[t][r]);
        }
    }
    for (; at < columns; at = columns)
#pragma GCC unroll 4
        for (size_t t = 0; t < tokens; t++) {
            const uint8_t *row = (const uint8_t *)(x->first + t * x->stride + at);
            const v16 in = v16_load_dense(ZX_F32, row, columns - at);
#pragma GCC unroll 4
            for (size_t r = 0; r < TILE_ROWS; r++)
                sum[t][r] =
                    v16_fma_some(v16_load(panel + r * CHUNK + at), in, sum[t][r], columns - at);
        }
#pragma GCC unroll 4
    for (size_t t = 0; t < tokens; t++)
#pragma GCC unroll 4
        for (size_t r = 0; r < TILE_ROWS; r++) partial[t * LANES + r] = sum[t][r];
}

static void tile_full(const float_rows *x, const float *panel, size_t columns, v16 *partial)
{
    tile(TILE_TOKENS, x, panel, columns, partial);
}

static void tile_one(const float_rows *x, const float *panel, size_t columns, v16 *partial)
{
    tile(1, x, panel, columns, partial);
}

/* All tokens with a filled panel; 'x' begins at the panel's first column. */
static void sweep(const float_rows *x, size_t tokens, const float *panel, size_t columns,
                  v16 *partial)
{
    for (size_t token = 0; token < tokens;) {
        const bool full = tokens - token >= TILE_TOKENS;
        const float_rows rows = {x->first + token * x->stride, x->stride};
        for (size_t row = 0; row < LANES; row += TILE_ROWS)
            (full ? tile_full : tile_one)(&rows, panel + row * CHUNK, columns,
                                          partial + token * LANES + row);
        token += full ? TILE_TOKENS : 1;
    }
}

#define KIND(kind)                                                                                 \
    static void few_1_##kind(const floats_source *s, size_t first, const float_rows *x,            \
                             v16 *partial)                                                         \
    {                                                                                              \
        few_strip(kind, 1, s, first, x, partial);                                                  \
    }                                                                                              \
    static void few_4_##kind(const floats_source *s, size_t first, const float_rows *x,            \
                             v16 *partial)                                                         \
    {                                                                                              \
        few_strip(kind, FEW_TOKENS, s, first, x, partial);                                         \
    }                                                                                              \
    static void decode_##kind(const floats_source *s, size_t first, size_t column, size_t columns, \
                              float *panel)                                                        \
    {                                                                                              \
        decode_strip(kind, s, first, column, columns, panel);                                      \
    }
KIND(FLOATS_DENSE)
KIND(FLOATS_AFFINE_2)
KIND(FLOATS_AFFINE_3)
KIND(FLOATS_AFFINE_4)
KIND(FLOATS_NIBBLE_BLOCKS)
KIND(FLOATS_E2M1)
KIND(FLOATS_AFFINE_5)
KIND(FLOATS_AFFINE_6)
KIND(FLOATS_AFFINE_8)
KIND(FLOATS_Q8_0)
KIND(FLOATS_E4M3)

static void decode_blocks(const floats_source *s, size_t first, size_t column, size_t columns,
                          float *panel)
{
    for (size_t row = 0; row < LANES; row++, panel += CHUNK)
        zx_formats[s->weight->format].decode(s->weight, first + row, column, columns, panel);
}

typedef struct kind_functions {
    few_fn few[2]; /* 1 and FEW_TOKENS tokens */
    decode_fn decode;
} kind_functions;

static const kind_functions functions[FLOATS_KINDS] = {
#define ROW(kind) [kind] = {{few_1_##kind, few_4_##kind}, decode_##kind}
    ROW(FLOATS_DENSE),         ROW(FLOATS_AFFINE_2),
    ROW(FLOATS_AFFINE_3),      ROW(FLOATS_AFFINE_4),
    ROW(FLOATS_NIBBLE_BLOCKS), ROW(FLOATS_E2M1),
    ROW(FLOATS_AFFINE_5),      ROW(FLOATS_AFFINE_6),
    ROW(FLOATS_AFFINE_8),      ROW(FLOATS_Q8_0),
    ROW(FLOATS_E4M3),          [FLOATS_BLOCKS] = {{NULL, NULL}, decode_blocks}};

/* -------- a launch -------- */

/* Scratch: x as f32 unless it is, then per thread a panel and two sets of partial sums. */
static size_t x_bytes(const zx_operand *x)
{
    return x->dtype == ZX_F32 ? 0 : zx_round_up(x->rows * x->columns * sizeof(float), LINE);
}

static size_t thread_bytes(const zx_operand *x)
{
    const size_t tokens = x->rows > FEW_TOKENS ? x->rows : FEW_TOKENS;
    return (LANES * CHUNK) * sizeof(float) + 2 * tokens * LANES * sizeof(v16);
}

size_t ZX_KERNEL(scratch_matmul)(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0];
    return x_bytes(x) + zx_pool_threads(launch->pool) * thread_bytes(x);
}

static float_rows rows_of(const zx_operand *x, const void *scratch)
{
    if (x->dtype == ZX_F32) return (float_rows){x->data, x->stride / sizeof(float)};
    return (float_rows){scratch, x->columns};
}

static void convert_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const zx_matmul *matmul = context;
    const zx_operand *x = matmul->x;
    size_t row, end;
    zx_split(x->rows, 1, part, parts, &row, &end);
    for (; row < end; row++)
        (void)zx_row_load(x->dtype, zx_operand_row(x, row), x->columns,
                          (float *)matmul->launch->scratch + row * x->columns);
}

/* partial[token][16 rows] of a strip. */
static void multiply_strip(const zx_weight *weight, size_t first, const float_rows *x,
                           size_t tokens, float *panel, v16 *partial)
{
    const floats_source s = source_of(weight);
    const kind_functions *of_kind = &functions[kind_of(weight)];
    if (of_kind->few[0] != NULL && (tokens == 1 || tokens == FEW_TOKENS)) {
        of_kind->few[tokens == FEW_TOKENS](&s, first, x, partial);
        return;
    }
    for (size_t i = 0; i < tokens * LANES; i++) partial[i] = v16_zero();
    for (size_t column = 0; column < weight->columns; column += CHUNK) {
        const size_t left = weight->columns - column, columns = left < CHUNK ? left : CHUNK;
        const float_rows from = {x->first + column, x->stride};
        of_kind->decode(&s, first, column, columns, panel);
        sweep(&from, tokens, panel, columns, partial);
    }
}

static void run_strips(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    const zx_operand *in = matmul->x;
    char *memory = (char *)matmul->launch->scratch + x_bytes(in) + thread * thread_bytes(in);
    const float_rows x = rows_of(in, matmul->launch->scratch);
    float *panel = (float *)(void *)memory;
    v16 *partial = (v16 *)(void *)(memory + LANES * CHUNK * sizeof(float));
    v16 *up_partial = partial + in->rows * LANES;
    size_t index, end;
    zx_split(zx_count_strips(matmul), 1, part, parts, &index, &end);
    for (; index < end; index++) {
        const zx_strip strip = zx_strip_at(matmul, index);
        multiply_strip(matmul->weights[strip.matrix], strip.row, &x, in->rows, panel, partial);
        if (matmul->gated)
            multiply_strip(matmul->weights[1], strip.row, &x, in->rows, panel, up_partial);
        for (size_t token = 0; token < in->rows; token++) {
            const v16 sums = v16_sums(partial + token * LANES);
            const v16 up = matmul->gated ? v16_sums(up_partial + token * LANES) : sums;
            v16_finish(matmul, strip, token, sums, up);
        }
    }
}

static zmlx_status run(const zx_matmul *matmul)
{
    zx_pool *pool = matmul->launch->pool;
    if (matmul->x->rows == 0) return ZMLX_OK;
    if (matmul->x->dtype != ZX_F32)
        zx_pool_run(pool, zx_row_parts(matmul->launch), convert_rows, matmul);
    zx_pool_run(pool, zx_strip_parts(matmul, 1), run_strips, matmul);
    return ZMLX_OK;
}

zmlx_status ZX_KERNEL(matmul)(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_plain(launch);
    return run(&matmul);
}

zmlx_status ZX_KERNEL(matmul_add)(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_with_residual(launch);
    return run(&matmul);
}

zmlx_status ZX_KERNEL(matmul_qkv)(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_three(launch);
    return run(&matmul);
}

zmlx_status ZX_KERNEL(matmul_glu)(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_gated(launch);
    return run(&matmul);
}
