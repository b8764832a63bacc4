/* matmul_avx512bf16.c - matmuls of bf16 activations with bf16 weights by vdpbf16ps: twice the
 * products per instruction of an f32 FMA, and neither side is widened.
 *
 * These rows round their own way, T the output's dtype:
 *   sum = sixteen partial sums, each of column pairs (2 i, 2 i + 1), i by mod 16, ascending, as the
 *         processor's vdpbf16ps adds them (denormals count as zero); then added at distance 8, 4,
 * 2, 1 and from there on as matmul_ref.c says.  A row of y depends on its row of x alone, here too.
 * So that a fused op keeps the bits of those it replaces, they take every bf16 matrix, however
 * small, and run a launch that mixes formats as the ops it was fused from.
 *
 * A strip of 16 rows of the weight lies in L2 while tiles of TILE_MOST tokens sweep it; columns are
 * cut so that a tile's rows of x stay in L1. */
#ifdef __AVX512BF16__
#include "base/fail.h"
#include "kernels/matmul/v16_avx512.h"

enum {
    PAIRED = 32, /* columns in a register */
    TILE_MOST = 6,
    CHUNK = 1024, /* columns */
    LINE = 64,
    AHEAD = 4096, /* bytes: how far ahead a weight is fetched */
};

/* Rows of x, zeros up to a multiple of PAIRED columns. */
typedef struct dot_rows {
    const uint16_t *first;
    size_t stride; /* values */
} dot_rows;

static bool is_dense_bf16(const zx_weight *weight)
{
    return weight->format == ZX_FORMAT_BF16;
}

static bool is_mixed(const zx_matmul *matmul)
{
    for (size_t i = 0; i < matmul->matrices; i++)
        if (!is_dense_bf16(matmul->weights[i])) return true;
    return false;
}

/* -------- products -------- */

INLINE __m512bh load_pairs(const uint16_t *from)
{
    return (__m512bh)_mm512_loadu_si512(from);
}

/* partial[token][row] += 'columns' of 'tokens' rows of x and of rows of the weight. */
INLINE void tile(size_t tokens, size_t rows, const dot_rows *x, const uint16_t *const weight[],
                 size_t column, size_t columns, v16 *partial)
{
    v16 sum[TILE_MOST][TILE_ROWS];
    const uint16_t *const in = x->first + column;
    size_t at = 0;
#pragma GCC unroll 6
    for (size_t t = 0; t < tokens; t++)
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) sum[t][r] = partial[t * ZX_STRIP + r];
    for (; at + PAIRED <= columns; at += PAIRED) {
        __m512bh w[TILE_ROWS];
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) {
            w[r] = load_pairs(weight[r] + column + at);
            if (tokens == 1)
                _mm_prefetch((const char *)(weight[r] + column + at) + AHEAD, _MM_HINT_T0);
        }
#pragma GCC unroll 6
        for (size_t t = 0; t < tokens; t++) {
            const __m512bh v = load_pairs(in + t * x->stride + at);
#pragma GCC unroll 4
            for (size_t r = 0; r < rows; r++) sum[t][r] = _mm512_dpbf16_ps(sum[t][r], w[r], v);
        }
    }
    if (at < columns) {
        const __mmask32 some = (__mmask32)((1u << (columns - at)) - 1);
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) {
            const __m512bh w = (__m512bh)_mm512_maskz_loadu_epi16(some, weight[r] + column + at);
#pragma GCC unroll 6
            for (size_t t = 0; t < tokens; t++)
                sum[t][r] = _mm512_dpbf16_ps(sum[t][r], w, load_pairs(in + t * x->stride + at));
        }
    }
#pragma GCC unroll 6
    for (size_t t = 0; t < tokens; t++)
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) partial[t * ZX_STRIP + r] = sum[t][r];
}

/* partial[token][16 rows] of a strip; a matrix of fewer rows repeats its last. */
INLINE void multiply(size_t tokens, const zx_weight *weight, size_t first, const dot_rows *x,
                     v16 *partial)
{
    const size_t last = weight->rows - 1;
    for (size_t i = 0; i < tokens * ZX_STRIP; i++) partial[i] = v16_zero();
    for (size_t column = 0; column < weight->columns; column += CHUNK) {
        const size_t left = weight->columns - column, columns = left < CHUNK ? left : CHUNK;
        for (size_t row = 0; row < ZX_STRIP; row += TILE_ROWS) {
            const uint16_t *rows[TILE_ROWS];
            for (size_t r = 0; r < TILE_ROWS; r++) {
                const size_t n = first + row + r < last ? first + row + r : last;
                rows[r] =
                    (const uint16_t *)(const void *)(weight->codes + n * weight->codes_stride);
            }
            tile(tokens, TILE_ROWS, x, rows, column, columns, partial + row);
        }
    }
}

typedef void (*multiply_fn)(const zx_weight *weight, size_t first, const dot_rows *x, v16 *partial);

#define TOKENS(count)                                                                      \
    static void multiply_##count(const zx_weight *weight, size_t first, const dot_rows *x, \
                                 v16 *partial)                                             \
    {                                                                                      \
        multiply(count, weight, first, x, partial);                                        \
    }
TOKENS(1)
TOKENS(2)
TOKENS(3)
TOKENS(4)
TOKENS(5)
TOKENS(6)
static const multiply_fn by_tokens[TILE_MOST + 1] = {NULL,       multiply_1, multiply_2, multiply_3,
                                                     multiply_4, multiply_5, multiply_6};

/* -------- a launch -------- */

/* Many rows of x at their own stride would fall onto the same few lines of L1. */
static bool reads_in_place(const zx_operand *x)
{
    return x->rows <= TILE_MOST && x->columns % PAIRED == 0;
}

static size_t packed_stride(const zx_operand *x)
{
    return zx_round_up(x->columns, PAIRED) + LINE / sizeof(uint16_t);
}

static dot_rows rows_of(const zx_operand *x, const void *scratch)
{
    if (reads_in_place(x)) return (dot_rows){x->data, x->stride / sizeof(uint16_t)};
    return (dot_rows){scratch, packed_stride(x)};
}

static void pack_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const zx_matmul *matmul = context;
    const zx_operand *x = matmul->x;
    const size_t stride = packed_stride(x), bytes = x->columns * sizeof(uint16_t);
    size_t row, end;
    zx_split(x->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        uint16_t *to = (uint16_t *)matmul->launch->scratch + row * stride;
        memcpy(to, zx_operand_row(x, row), bytes);
        memset(to + x->columns, 0, (stride - x->columns) * sizeof *to);
    }
}

/* finish_strip of a matrix of fewer than 16 rows, whose bias ends before the strip does. */
static void finish_short(const zx_matmul *matmul, zx_strip strip, size_t token, v16 sums,
                         v16 up_sums)
{
    const zx_operand *y = matmul->outputs[strip.matrix], *residual = matmul->residual;
    const zx_weight *weight = matmul->weights[strip.matrix];
    float sum[ZX_STRIP], up[ZX_STRIP];
    v16_store(sum, sums);
    v16_store(up, up_sums);
    for (size_t n = 0; n < weight->rows; n++) {
        float value = zx_matmul_biased(y->dtype, weight, n, sum[n]);
        if (matmul->gated)
            value = zx_matmul_gate(y->dtype, matmul->activation, value,
                                   zx_matmul_biased(y->dtype, matmul->weights[1], n, up[n]));
        if (residual != NULL) value += zx_load(residual->dtype, zx_operand_row(residual, token), n);
        zx_store(y->dtype, zx_operand_row(y, token), n, value);
    }
}

static void run_strips(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const zx_matmul *matmul = context;
    const dot_rows x = rows_of(matmul->x, matmul->launch->scratch);
    const size_t tokens = matmul->x->rows;
    v16 partial[TILE_MOST * ZX_STRIP], up_partial[TILE_MOST * ZX_STRIP];
    size_t index, end;
    zx_split(zx_count_strips(matmul), 1, part, parts, &index, &end);
    for (; index < end; index++) {
        const zx_strip strip = zx_strip_at(matmul, index);
        const zx_weight *weight = matmul->weights[strip.matrix];
        for (size_t token = 0, count; token < tokens; token += count) {
            const dot_rows from = {x.first + token * x.stride, x.stride};
            count = tokens - token < TILE_MOST ? tokens - token : TILE_MOST;
            by_tokens[count](weight, strip.row, &from, partial);
            if (matmul->gated) by_tokens[count](matmul->weights[1], strip.row, &from, up_partial);
            for (size_t t = 0; t < count; t++) {
                const v16 sums = v16_sums(partial + t * ZX_STRIP);
                const v16 up = matmul->gated ? v16_sums(up_partial + t * ZX_STRIP) : sums;
                (weight->rows < ZX_STRIP ? finish_short : finish_strip)(matmul, strip, token + t,
                                                                        sums, up);
            }
        }
    }
}

static zmlx_status run(const zx_matmul *matmul)
{
    zx_pool *pool = matmul->launch->pool;
    if (matmul->x->rows == 0) return ZMLX_OK;
    if (!reads_in_place(matmul->x))
        zx_pool_run(pool, zx_row_parts(matmul->launch), pack_rows, matmul);
    zx_pool_run(pool, zx_strip_parts(matmul, 1), run_strips, matmul);
    return ZMLX_OK;
}

/* -------- matrices of several formats: as the ops that were fused -------- */

/* The product with matrix i, into 'y'. */
static zx_launch plain_of(const zx_launch *launch, size_t i, const zx_operand *y)
{
    return (zx_launch){.inputs = {launch->inputs[0], launch->inputs[1 + i]},
                       .outputs = {*y},
                       .attributes = launch->attributes,
                       .pool = launch->pool};
}

static size_t plain_scratch(const zx_matmul *matmul)
{
    size_t most = 0;
    for (size_t i = 0; i < matmul->matrices; i++) {
        const zx_launch plain = plain_of(matmul->launch, i, matmul->outputs[i]);
        const size_t bytes = zx_kernel_choose(ZX_OP_MATMUL, &plain)->scratch(&plain);
        if (bytes > most) most = bytes;
    }
    return zx_round_up(most, LINE);
}

static zmlx_status run_plain(const zx_matmul *matmul, size_t i, const zx_operand *y)
{
    zx_launch plain = plain_of(matmul->launch, i, y);
    plain.scratch = matmul->launch->scratch;
    return zx_kernel_choose(ZX_OP_MATMUL, &plain)->run(&plain);
}

/* Bytes of the products with gate or up. */
static size_t product_bytes(const zx_matmul *matmul)
{
    const zx_operand *y = matmul->outputs[0];
    return zx_round_up(y->rows * y->columns * zx_dtypes[y->dtype].bytes, LINE);
}

static zmlx_status run_mixed_gated(const zx_matmul *matmul)
{
    const zx_launch *launch = matmul->launch;
    zx_launch glu = {
        .outputs = {launch->outputs[0]}, .attributes = launch->attributes, .pool = launch->pool};
    char *memory = (char *)launch->scratch + plain_scratch(matmul);
    for (size_t i = 0; i < 2; i++) {
        glu.inputs[i] = launch->outputs[0];
        glu.inputs[i].stride = glu.inputs[i].columns * zx_dtypes[glu.inputs[i].dtype].bytes;
        glu.inputs[i].data = memory + i * product_bytes(matmul);
        ZX_TRY(run_plain(matmul, i, &glu.inputs[i]));
    }
    return zx_kernel_choose(ZX_OP_GLU, &glu)->run(&glu);
}

/* -------- the rows -------- */

size_t zx_scratch_matmul_avx512bf16(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0];
    return reads_in_place(x) ? 0 : x->rows * packed_stride(x) * sizeof(uint16_t);
}

size_t zx_scratch_matmul_qkv_avx512bf16(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_three(launch);
    return is_mixed(&matmul) ? plain_scratch(&matmul) : zx_scratch_matmul_avx512bf16(launch);
}

size_t zx_scratch_matmul_glu_avx512bf16(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_gated(launch);
    return is_mixed(&matmul) ? plain_scratch(&matmul) + 2 * product_bytes(&matmul)
                             : zx_scratch_matmul_avx512bf16(launch);
}

zmlx_status zx_matmul_avx512bf16(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_plain(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_add_avx512bf16(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_with_residual(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_qkv_avx512bf16(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_three(launch);
    if (!is_mixed(&matmul)) return run(&matmul);
    for (size_t i = 0; i < matmul.matrices; i++) ZX_TRY(run_plain(&matmul, i, matmul.outputs[i]));
    return ZMLX_OK;
}

zmlx_status zx_matmul_glu_avx512bf16(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_gated(launch);
    return is_mixed(&matmul) ? run_mixed_gated(&matmul) : run(&matmul);
}
#endif
