/* matmul_test.c - every matmul row against its reference: each format with each group and dtype,
 * many counts of tokens, odd counts of outputs, each dtype, with and without bias, hostile values;
 * and nothing written beyond the outputs.  Bit for bit, but for rows that round their own way
 * (matmul_dots_test.c has more).
 */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "base/test.h"
#include "kernels/matmul/matmul.h"
#include "kernels/quantize/quantize_rows.h"

enum { CANARY = 0x5a, GUARD = 64, MOST_OUTPUTS = 3, TOKENS = 33 };

typedef struct format_case {
    zx_format format;
    zx_dtype dtype;
    uint8_t bits;
    uint16_t group;
} format_case;

#define AFFINE_OF(bits, group)                                                         \
    {ZX_FORMAT_AFFINE, ZX_F16, bits, group}, {ZX_FORMAT_AFFINE, ZX_BF16, bits, group}, \
    {                                                                                  \
        ZX_FORMAT_AFFINE, ZX_F32, bits, group                                          \
    }
#define AFFINE(bits) AFFINE_OF(bits, 32), AFFINE_OF(bits, 64), AFFINE_OF(bits, 128)
static const format_case cases[] = {
    AFFINE(4),
    AFFINE(2),
    AFFINE(3),
    AFFINE(5),
    AFFINE(6),
    AFFINE(8),
    {ZX_FORMAT_Q4_1, ZX_F32, 4, 32},
    {ZX_FORMAT_Q4_0, ZX_F32, 4, 32},
    {ZX_FORMAT_Q8_0, ZX_F32, 8, 32},
    {ZX_FORMAT_Q5_0, ZX_F32, 5, 32},
    {ZX_FORMAT_Q5_1, ZX_F32, 5, 32},
    {ZX_FORMAT_Q2_K, ZX_F32, 2, 16},
    {ZX_FORMAT_Q3_K, ZX_F32, 3, 16},
    {ZX_FORMAT_Q4_K, ZX_F32, 4, 32},
    {ZX_FORMAT_Q5_K, ZX_F32, 5, 32},
    {ZX_FORMAT_Q6_K, ZX_F32, 6, 16},
    {ZX_FORMAT_IQ4_NL, ZX_F32, 4, 32},
    {ZX_FORMAT_IQ4_XS, ZX_F32, 4, 32},
    {ZX_FORMAT_MXFP4_B, ZX_F32, 4, 32},
    {ZX_FORMAT_MXFP4, ZX_BF16, 4, 32},
    {ZX_FORMAT_NVFP4, ZX_BF16, 4, 16},
    {ZX_FORMAT_MXFP8, ZX_BF16, 8, 32},
    {ZX_FORMAT_MXFP4, ZX_F16, 4, 32},
    {ZX_FORMAT_NVFP4, ZX_F32, 4, 16},
    {ZX_FORMAT_MXFP8, ZX_F16, 8, 32},
    {ZX_FORMAT_F32, ZX_F32, 32, 1},
    {ZX_FORMAT_F16, ZX_F16, 16, 1},
    {ZX_FORMAT_BF16, ZX_BF16, 16, 1},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static float random_normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += zx_test_uniform();
    return (float)sum;
}

/* Not through zx_alloc: kernels take no memory, and failing one here would test only the test. */
static void *take(size_t bytes)
{
    void *memory = zx_default_allocator.alloc(bytes + 1, zx_default_allocator.user);
    return memory != NULL ? memset(memory, 0, bytes + 1) : NULL;
}

static void give_back(void *memory)
{
    if (memory != NULL) zx_default_allocator.free(memory, zx_default_allocator.user);
}

/* A weight of random bytes whose scales are of the size that models have. */
typedef struct test_weight {
    zx_weight weight;
    uint8_t *codes, *scales, *biases;
    float bias[512];
} test_weight;

static void store_half(uint8_t *bytes, float value)
{
    zx_store(ZX_F16, bytes, 0, value);
}

static void fill_blocks(test_weight *w)
{
    const zx_format_traits *traits = &zx_formats[w->weight.format];
    const size_t blocks = w->weight.rows * w->weight.columns / traits->block;
    uint8_t *block = w->codes;
    for (size_t i = 0; i < blocks; i++, block += traits->block_bytes) {
        if (w->weight.format == ZX_FORMAT_MXFP4_B) {
            *block = (uint8_t)(i % 7 == 0 ? i % 3 : 110 + zx_test_below(16));
            continue;
        }
        store_half(block + traits->scale_at, 0.01F * random_normal());
        if (traits->integer == ZX_INTEGER_AFFINE)
            store_half(block + traits->scale_at + 2, 0.05F * random_normal());
    }
}

/* Columns that a row's count is a multiple of. */
static size_t unit_of(const format_case *format, size_t dense)
{
    const size_t block = zx_formats[format->format].block;
    return block > 0 ? block : format->group == 1 ? dense : format->group;
}

/* E4M3's NaN stays in the first row alone: elsewhere it would hide everything else. */
static void drop_nan(const test_weight *w)
{
    const zx_weight *weight = &w->weight;
    const bool codes = weight->format == ZX_FORMAT_MXFP8;
    uint8_t *const bytes = codes ? w->codes : w->scales;
    const size_t stride = codes ? weight->codes_stride : weight->scales_stride;
    if (!codes && weight->format != ZX_FORMAT_NVFP4) return;
    bytes[0] = 0x7f;
    for (size_t i = stride; i < weight->rows * stride; i++)
        if ((bytes[i] & 0x7f) == 0x7f) bytes[i] ^= 1;
}

static void init_weight(test_weight *w, const format_case *format, size_t rows, size_t columns)
{
    *w = (test_weight){.weight = {.format = format->format,
                                  .dtype = format->dtype,
                                  .bits = format->bits,
                                  .group = format->group,
                                  .count = 1,
                                  .rows = rows,
                                  .columns = columns}};
    zx_weight *weight = &w->weight;
    weight->codes_stride = zx_weight_row_bytes(weight);
    const size_t bytes = rows * weight->codes_stride, groups = columns / format->group;
    w->codes = take(bytes);
    for (size_t i = 0; i < bytes; i++) w->codes[i] = (uint8_t)zx_test_random();
    if (format->group == 1)
        for (size_t i = 0; i < rows * columns; i++)
            zx_store(format->dtype, w->codes, i, 0.05F * random_normal());
    const bool affine = format->format == ZX_FORMAT_AFFINE;
    const bool small = format->format == ZX_FORMAT_MXFP4 || format->format == ZX_FORMAT_MXFP8 ||
                       format->format == ZX_FORMAT_NVFP4;
    if (affine || small) {
        weight->scales_stride = groups * (affine ? zx_dtypes[format->dtype].bytes : 1);
        w->scales = take(rows * weight->scales_stride);
        w->biases = take(rows * weight->scales_stride);
        for (size_t i = 0; i < rows * groups; i++) {
            if (small) {
                w->scales[i] =
                    (uint8_t)(format->group == 16 ? zx_test_random() : 110 + zx_test_below(16));
                continue;
            }
            zx_store(format->dtype, w->scales, i, 0.01F * random_normal());
            zx_store(format->dtype, w->biases, i, 0.05F * random_normal());
        }
        weight->scales = w->scales;
        weight->biases = affine ? w->biases : NULL;
    } else if (format->group > 1) {
        fill_blocks(w);
    }
    drop_nan(w);
    weight->codes = w->codes;
    for (size_t i = 0; i < rows; i++) w->bias[i] = random_normal();
}

static void fini_weight(test_weight *w)
{
    give_back(w->codes);
    give_back(w->scales);
    give_back(w->biases);
}

/* Values that break sloppy kernels, one kind per row; most rows have none. */
static void fill_row(float *row, size_t columns, size_t kind)
{
    for (size_t i = 0; i < columns; i++) row[i] = random_normal();
    float *const at = row + zx_test_below(columns);
    if (kind == 1) *at = NAN;
    if (kind == 2) *at = INFINITY;
    if (kind == 3) memset(row, 0, columns * sizeof *row);
    if (kind == 4)
        for (size_t i = 0; i < columns; i++) row[i] *= 0x1p-140F;
    if (kind == 5) *at = 6e4F;
}

static bool same_bits(zx_dtype dtype, const void *a, const void *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float x = zx_load(dtype, a, i), y = zx_load(dtype, b, i);
        if (zx_bits_from_float(x) != zx_bits_from_float(y) && !(isnan(x) && isnan(y))) return false;
    }
    return true;
}

/* What rows that round their own way may show: the tolerance, relative to the largest value of the
 * row, and where T has 16 bits what its few roundings make of that; denormals may count as zero. */
static bool close_values(zx_dtype dtype, const void *a, const void *b, size_t count,
                         double tolerance)
{
    static const double units[] = {[ZX_F32] = 0, [ZX_F16] = 0x1p-10, [ZX_BF16] = 0x1p-7};
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        const double x = fabs((double)zx_load(dtype, a, i));
        if (isfinite(x)) largest = fmax(largest, x);
    }
    for (size_t i = 0; i < count; i++) {
        const double x = (double)zx_load(dtype, a, i), y = (double)zx_load(dtype, b, i);
        if (x == y || (isnan(x) && isnan(y))) continue;
        if (!(fabs(x - y) <= (tolerance + 4 * units[dtype]) * largest + 0x1p-100)) return false;
    }
    return true;
}

/* One launch and its memory: inputs shared, outputs of the reference and of the row under test. */
typedef struct bench {
    zx_launch launch;
    void *x, *residual;
    uint8_t *expected[MOST_OUTPUTS], *actual[MOST_OUTPUTS];
    size_t output_bytes[MOST_OUTPUTS];
} bench;

static void init_input(bench *b, size_t tokens, size_t columns, zx_dtype dtype,
                       zx_activation_layout layout)
{
    const bool quantized = layout.planes > 0;
    const size_t stride = quantized ? zx_activation_row_bytes(layout, columns) + 64
                                    : (columns + 3) * zx_dtypes[dtype].bytes;
    float *row = take(columns * sizeof *row);
    b->x = take(tokens * stride);
    for (size_t token = 0; token < tokens; token++) {
        char *const to = (char *)b->x + token * stride;
        fill_row(row, columns, token % 8 < 6 ? token % 8 : 0);
        for (size_t i = 0; i < columns; i++) row[i] = zx_round_to(dtype, row[i]);
        if (quantized)
            zx_quantize_row(layout, row, columns, to);
        else
            for (size_t i = 0; i < columns; i++) zx_store(dtype, to, i, row[i]);
    }
    give_back(row);
    b->launch.inputs[0] = (zx_operand){.data = b->x,
                                       .rows = tokens,
                                       .columns = columns,
                                       .stride = stride,
                                       .dtype = quantized ? ZX_QUANTIZED : dtype,
                                       .layout = layout};
}

static void init_output(bench *b, size_t index, size_t tokens, size_t columns, zx_dtype dtype)
{
    const size_t stride = (columns + 5) * zx_dtypes[dtype].bytes;
    b->output_bytes[index] = tokens * stride + 2 * GUARD;
    b->expected[index] = take(b->output_bytes[index]);
    b->actual[index] = take(b->output_bytes[index]);
    b->launch.outputs[index] =
        (zx_operand){.rows = tokens, .columns = columns, .stride = stride, .dtype = dtype};
}

static zmlx_status run_row(bench *b, const zx_kernel *kernel, uint8_t *const outputs[])
{
    for (size_t i = 0; i < MOST_OUTPUTS && outputs[i] != NULL; i++) {
        memset(outputs[i], CANARY, b->output_bytes[i]);
        b->launch.outputs[i].data = outputs[i] + GUARD;
    }
    b->launch.scratch = take(kernel->scratch(&b->launch));
    const zmlx_status status = kernel->run(&b->launch);
    give_back(b->launch.scratch);
    b->launch.scratch = NULL;
    return status;
}

static bool values_agree(const zx_kernel *kernel, zx_dtype dtype, const void *a, const void *b,
                         size_t count)
{
    return kernel->rounded ? close_values(dtype, a, b, count, zx_ops[kernel->op].tolerance)
                           : same_bits(dtype, a, b, count);
}

static bool outputs_agree(const bench *b, const zx_kernel *kernel)
{
    for (size_t i = 0; i < MOST_OUTPUTS && b->actual[i] != NULL; i++) {
        const zx_operand *y = &b->launch.outputs[i];
        const size_t width = y->columns * zx_dtypes[y->dtype].bytes;
        const size_t pad = y->stride - width;
        for (size_t token = 0; token < y->rows; token++) {
            const size_t at = GUARD + token * y->stride;
            if (!values_agree(kernel, y->dtype, b->expected[i] + at, b->actual[i] + at, y->columns))
                return false;
            if (memcmp(b->expected[i] + at + width, b->actual[i] + at + width, pad) != 0)
                return false;
        }
        for (size_t j = 0; j < GUARD; j++)
            if (b->actual[i][j] != CANARY || b->actual[i][b->output_bytes[i] - 1 - j] != CANARY)
                return false;
    }
    return true;
}

static void fini_bench(bench *b)
{
    give_back(b->x);
    give_back(b->residual);
    for (size_t i = 0; i < MOST_OUTPUTS; i++) {
        give_back(b->expected[i]);
        give_back(b->actual[i]);
    }
}

/* Every usable row of the op, but the reference. */
static bool rows_agree(bench *b, zx_op op, char *name, size_t name_size, size_t *compared)
{
    const zx_kernel *reference = zx_kernel_reference(op);
    if (run_row(b, reference, b->expected) != ZMLX_OK) return false;
    for (size_t i = 0; i < zx_kernel_count; i++) {
        const zx_kernel *kernel = &zx_kernels[i];
        if (kernel->op != op || kernel == reference || !zx_kernel_usable(kernel)) continue;
        if (!kernel->applies(&b->launch)) continue;
        (void)snprintf(name, name_size, "%s", kernel->name);
        if (run_row(b, kernel, b->actual) != ZMLX_OK || !outputs_agree(b, kernel)) return false;
        ++*compared;
    }
    return true;
}

typedef struct shape {
    size_t tokens, rows, columns;
    zx_dtype dtype;
    zx_precision precision;
    bool with_bias;
    zx_op op;
} shape;

static const char *describe(char text[160], const format_case *format, const shape *s)
{
    (void)snprintf(text, 160, " %s %s b%u g%u op %d M%zu N%zu K%zu T%d precision %d bias %d",
                   zx_formats[format->format].name, zx_dtypes[format->dtype].name, format->bits,
                   format->group, (int)s->op, s->tokens, s->rows, s->columns, (int)s->dtype,
                   (int)s->precision, s->with_bias);
    return text;
}

/* Matrices of the op, of different heights where it allows. */
static bool check_shape(const format_case *format, const shape *s, zx_pool *pool, char text[256],
                        size_t *compared)
{
    test_weight weights[3];
    /* any activation: a different one for every shape */
    const zx_attributes attributes = {
        .activation = (zx_activation)(1 + s->columns / 32 % (ZX_ACTIVATION_COUNT - 1))};
    bench b = {.launch = {.pool = pool, .attributes = &attributes}};
    const size_t matrices = s->op == ZX_OP_MATMUL_QKV ? 3 : s->op == ZX_OP_MATMUL_GLU ? 2 : 1;
    for (size_t i = 0; i < matrices; i++) {
        const size_t rows = s->op == ZX_OP_MATMUL_QKV && i > 0 ? 16 + 5 * i : s->rows;
        init_weight(&weights[i], format, rows, s->columns);
        weights[i].weight.bias = s->with_bias ? weights[i].bias : NULL;
        weights[i].weight.bias_dtype = ZX_F32;
        b.launch.inputs[1 + i] = (zx_operand){.weight = &weights[i].weight};
        if (i == 0 || s->op == ZX_OP_MATMUL_QKV) init_output(&b, i, s->tokens, rows, s->dtype);
    }
    init_input(&b, s->tokens, s->columns, s->dtype,
               zx_weight_layout(&weights[0].weight, s->precision));
    if (s->op == ZX_OP_MATMUL_ADD) {
        b.residual = take(s->tokens * s->rows * sizeof(float));
        for (size_t i = 0; i < s->tokens * s->rows; i++)
            zx_store(s->dtype, b.residual, i, random_normal());
        b.launch.inputs[2] = (zx_operand){.data = b.residual,
                                          .rows = s->tokens,
                                          .columns = s->rows,
                                          .stride = s->rows * zx_dtypes[s->dtype].bytes,
                                          .dtype = s->dtype};
    }
    char name[64] = "", about[160];
    const bool agree = rows_agree(&b, s->op, name, sizeof name, compared);
    (void)snprintf(text, 256, "%s%s", name, describe(about, format, s));
    fini_bench(&b);
    for (size_t i = 0; i < matrices; i++) fini_weight(&weights[i]);
    return agree;
}

static const zx_precision precisions[] = {ZX_PRECISION_F32, ZX_PRECISION_Q16, ZX_PRECISION_Q8};

static bool has_precision(const format_case *format, zx_precision precision)
{
    return precision == ZX_PRECISION_F32 || zx_formats[format->format].integer != ZX_INTEGER_NONE;
}

TEST(matmul_rows_agree_with_the_reference)
{
    static const size_t token_counts[] = {1, 2, 3, 4, 5, 12, 13, TOKENS};
    static const size_t row_counts[] = {16, 33, 50, 71};
    static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
    char text[256];
    size_t compared = 0, turn = 0;
    for (size_t i = 0; i < CASES; i++)
        for (size_t p = 0; p < 3; p++)
            for (size_t m = 0; m < 8; m++, turn++) {
                if (!has_precision(&cases[i], precisions[p])) continue;
                const size_t unit = unit_of(&cases[i], 20);
                const shape s = {
                    token_counts[m],  row_counts[turn % 4], unit * (1 + zx_test_below(9)),
                    dtypes[turn % 3], precisions[p],        turn % 2 == 0,
                    ZX_OP_MATMUL};
                CHECK_ON(text, check_shape(&cases[i], &s, NULL, text, &compared));
            }
    CHECK(compared > 0 || zx_cpu_features() == 0);
}

TEST(fused_matmul_rows_agree_with_their_references)
{
    static const zx_op ops[] = {ZX_OP_MATMUL_ADD, ZX_OP_MATMUL_QKV, ZX_OP_MATMUL_GLU};
    static const size_t token_counts[] = {1, 2, 7, 14};
    static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
    char text[256];
    size_t compared = 0, turn = 0;
    for (size_t i = 0; i < CASES; i++)
        for (size_t p = 0; p < 3; p++)
            for (size_t o = 0; o < 3; o++, turn++) {
                if (!has_precision(&cases[i], precisions[p])) continue;
                const size_t unit = unit_of(&cases[i], 24);
                const shape s = {token_counts[(turn + o) % 4],
                                 32 + turn % 20,
                                 unit * (1 + zx_test_below(5)),
                                 dtypes[turn % 3],
                                 precisions[p],
                                 turn % 2 == 0,
                                 ops[o]};
                CHECK_ON(text, check_shape(&cases[i], &s, NULL, text, &compared));
            }
    CHECK(compared > 0 || zx_cpu_features() == 0);
}

/* Chunks of columns, several threads, several parts. */
TEST(matmul_rows_cut_large_matrices)
{
    static const shape shapes[] = {
        {1, 300, 12800, ZX_F32, ZX_PRECISION_Q8, false, ZX_OP_MATMUL},
        {6, 40, 12800, ZX_F16, ZX_PRECISION_Q16, true, ZX_OP_MATMUL},
        {26, 49, 12800, ZX_BF16, ZX_PRECISION_Q8, false, ZX_OP_MATMUL_GLU},
        {26, 49, 12800, ZX_BF16, ZX_PRECISION_Q16, false, ZX_OP_MATMUL_QKV},
        {9, 49, 12800, ZX_F32, ZX_PRECISION_F32, false, ZX_OP_MATMUL_ADD},
    };
    char text[256];
    size_t compared = 0;
    zx_pool *pool = NULL;
    CHECK(zx_pool_create(3, &pool) == ZMLX_OK);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (size_t format = 1; format < 6; format += 2) {
            const bool agree = check_shape(&cases[format], &shapes[i], pool, text, &compared);
            if (!agree) zx_pool_destroy(pool);
            CHECK_ON(text, agree);
        }
    zx_pool_destroy(pool);
    CHECK(compared > 0 || zx_cpu_features() == 0);
}
