/* matmul_dots_test.c - what holds of every matmul row, also of those that round their own way: they
 * keep the op's tolerance, a row of y depends on its row of x alone, and a fused op returns the
 * bits of those it replaces, whatever the formats and heights of its matrices. */
#include <stdio.h>

#include "kernels/rows_testing.h"

static const zx_activation_layout not_quantized = {0};
static const zx_attributes silu = {.activation = ZX_ACTIVATION_SILU};

enum { MATRICES = 3, TOKENS = 13 };

/* A launch of any matmul op: x, its matrices, a residual. */
typedef struct setup {
    zx_op op;
    size_t tokens, columns;
    size_t rows[MATRICES];
    zx_dtype formats[MATRICES]; /* of dense matrices */
    zx_dtype dtype;             /* of y and the residual; x is bf16 */
} setup;

typedef struct bench {
    zx_launch launch;
    zx_operand matrices[MATRICES];
    zx_weight weights[MATRICES];
    float bias[64];
} bench;

static size_t matrices_of(zx_op op)
{
    return op == ZX_OP_MATMUL_QKV ? 3 : op == ZX_OP_MATMUL_GLU ? 2 : 1;
}

static void init_bench(bench *b, const setup *s)
{
    *b = (bench){.launch = {.attributes = &silu}};
    for (size_t i = 0; i < 64; i++) b->bias[i] = testing_value(0.1F);
    b->launch.inputs[0] = testing_random(ZX_BF16, s->tokens, s->columns, 1);
    for (size_t i = 0; i < matrices_of(s->op); i++) {
        b->matrices[i] = testing_random(s->formats[i], s->rows[i], s->columns, 0.1F);
        b->weights[i] = testing_weight(&b->matrices[i]);
        b->weights[i].bias = b->bias;
        b->weights[i].bias_dtype = ZX_F32;
        b->launch.inputs[1 + i] = (zx_operand){.weight = &b->weights[i]};
        if (i == 0 || s->op == ZX_OP_MATMUL_QKV)
            b->launch.outputs[i] =
                testing_operand(s->dtype, not_quantized, s->tokens, s->rows[i], 8);
    }
    if (s->op == ZX_OP_MATMUL_ADD)
        b->launch.inputs[2] = testing_random(s->dtype, s->tokens, s->rows[0], 1);
}

static void fini_bench(bench *b)
{
    testing_free(b->launch.inputs[0].data);
    if (b->launch.inputs[2].weight == NULL) testing_free(b->launch.inputs[2].data);
    for (size_t i = 0; i < MATRICES; i++) {
        testing_free(b->matrices[i].data);
        testing_free(b->launch.outputs[i].data);
    }
}

static float value_at(const zx_operand *y, size_t row, size_t column)
{
    return zx_load(y->dtype, (const char *)y->data + row * y->stride, column);
}

/* Relative to the row's largest value: denormals may count as zero. */
static bool within(const zx_operand *wanted, const zx_operand *y, double tolerance)
{
    for (size_t row = 0; row < y->rows; row++) {
        double largest = 0;
        for (size_t i = 0; i < y->columns; i++) {
            const double size = fabs((double)value_at(wanted, row, i));
            if (size > largest) largest = size;
        }
        for (size_t i = 0; i < y->columns; i++) {
            const double off = (double)value_at(y, row, i) - (double)value_at(wanted, row, i);
            if (!(fabs(off) <= tolerance * largest + 0x1p-100)) return false;
        }
    }
    return true;
}

/* Every row of the op against its reference, within the tolerance; those that need no tolerance are
 * in matmul_test.c too.  NULL, or the row that is off. */
static const char *row_that_is_off(const setup *s)
{
    bench b;
    init_bench(&b, s);
    const char *off = testing_run(zx_kernel_reference(s->op), &b.launch) ? NULL : "reference";
    for (size_t k = 0; k < zx_kernel_count && off == NULL; k++) {
        const zx_kernel *kernel = &zx_kernels[k];
        if (kernel->op != s->op || !zx_kernel_usable(kernel) || !kernel->applies(&b.launch))
            continue;
        zx_launch launch = b.launch;
        for (size_t i = 0; i < testing_outputs(s->op, &b.launch); i++)
            launch.outputs[i] = testing_operand(s->dtype, not_quantized, s->tokens, s->rows[i], 8);
        if (!testing_run(kernel, &launch)) off = kernel->name;
        for (size_t i = 0; i < testing_outputs(s->op, &b.launch); i++) {
            if (!within(&b.launch.outputs[i], &launch.outputs[i], zx_ops[s->op].tolerance))
                off = kernel->name;
            testing_free(launch.outputs[i].data);
        }
    }
    fini_bench(&b);
    return off;
}

static const zx_op ops[] = {ZX_OP_MATMUL, ZX_OP_MATMUL_ADD, ZX_OP_MATMUL_QKV, ZX_OP_MATMUL_GLU};
enum { OPS = sizeof ops / sizeof ops[0] };

TEST(matmul_rows_keep_the_tolerance)
{
    static const size_t columns[] = {1, 31, 77, 96, 1024, 2085};
    for (size_t i = 0; i < OPS; i++)
        for (size_t k = 0; k < 6; k++)
            for (size_t tokens = 1; tokens <= TOKENS; tokens += 3) {
                const setup s = {ops[i],
                                 tokens,
                                 columns[k],
                                 {33, ops[i] == ZX_OP_MATMUL_GLU ? 33 : 5, 16},
                                 {ZX_BF16, ZX_BF16, ZX_BF16},
                                 ZX_F32};
                const char *off = row_that_is_off(&s);
                CHECK_ON(off, off == NULL);
            }
}

/* The row that would be chosen, on one thread or three; 'launch' holds its outputs. */
static bool run_chosen(zx_op op, const zx_launch *launch, zx_pool *pool)
{
    zx_launch threaded = *launch;
    threaded.pool = pool;
    return testing_run(zx_kernel_choose(op, launch), &threaded);
}

/* All rows of x at once on three threads, then each alone. */
static bool rows_are_alone(const setup *s, zx_pool *pool)
{
    bench b;
    init_bench(&b, s);
    bool same = run_chosen(s->op, &b.launch, pool);
    for (size_t token = 0; same && token < s->tokens; token++) {
        zx_launch alone = b.launch;
        alone.inputs[0].rows = 1;
        alone.inputs[0].data = (char *)b.launch.inputs[0].data + token * alone.inputs[0].stride;
        alone.outputs[0] = testing_operand(s->dtype, not_quantized, 1, s->rows[0], 0);
        same = run_chosen(s->op, &alone, NULL) &&
               testing_same_values(s->dtype, alone.outputs[0].data,
                                   (const char *)b.launch.outputs[0].data +
                                       token * b.launch.outputs[0].stride,
                                   s->rows[0]);
        testing_free(alone.outputs[0].data);
    }
    fini_bench(&b);
    return same;
}

TEST(a_row_of_a_matmul_depends_on_its_row_of_x_alone)
{
    static const size_t columns[] = {31, 96, 1061, 2080};
    zx_pool *pool = NULL;
    bool same = zx_pool_create(3, &pool) == ZMLX_OK;
    for (size_t k = 0; same && k < 4; k++)
        for (size_t tokens = 2; same && tokens <= TOKENS; tokens++) {
            const setup s = {ZX_OP_MATMUL,           tokens,    columns[k],
                             {5 + 11 * tokens % 60}, {ZX_BF16}, ZX_F32};
            same = rows_are_alone(&s, pool);
        }
    zx_pool_destroy(pool);
    CHECK(same);
}

/* Runs the ops that the launch's op was fused from; outputs of its own. */
static bool run_unfused(const setup *s, const zx_launch *fused, zx_operand outputs[MATRICES])
{
    bool ok = true;
    for (size_t i = 0; i < matrices_of(s->op); i++) {
        outputs[i] = testing_operand(s->dtype, not_quantized, s->tokens, s->rows[i], 8);
        const zx_launch plain = {.inputs = {fused->inputs[0], fused->inputs[1 + i]},
                                 .outputs = {outputs[i]},
                                 .attributes = &silu};
        ok = ok && run_chosen(ZX_OP_MATMUL, &plain, NULL);
    }
    zx_launch last = {.outputs = {outputs[0]}, .attributes = &silu};
    last.inputs[0] = outputs[0];
    last.inputs[1] = s->op == ZX_OP_MATMUL_GLU ? outputs[1] : fused->inputs[2];
    if (s->op == ZX_OP_MATMUL_QKV) return ok;
    const zx_op op = s->op == ZX_OP_MATMUL_GLU ? ZX_OP_GLU : ZX_OP_ADD;
    last.outputs[0] = testing_operand(s->dtype, not_quantized, s->tokens, s->rows[0], 8);
    ok = ok && run_chosen(op, &last, NULL);
    testing_free(outputs[0].data);
    outputs[0] = last.outputs[0];
    return ok;
}

static bool fused_is_unfused(const setup *s, zx_pool *pool)
{
    bench b;
    zx_operand outputs[MATRICES] = {{0}};
    init_bench(&b, s);
    bool same = run_chosen(s->op, &b.launch, pool) && run_unfused(s, &b.launch, outputs);
    for (size_t i = 0; same && i < testing_outputs(s->op, &b.launch); i++)
        same = testing_same(&b.launch.outputs[i], &outputs[i]);
    for (size_t i = 0; i < MATRICES; i++) testing_free(outputs[i].data);
    fini_bench(&b);
    return same;
}

TEST(fused_matmuls_of_any_formats_and_heights_return_the_unfused_bits)
{
    static const zx_dtype formats[] = {ZX_F32, ZX_F16, ZX_BF16};
    static const size_t rows[][MATRICES] = {{33, 33, 16}, {5, 5, 40}, {16, 16, 7}};
    char text[96];
    bool same = true;
    zx_pool *pool = NULL;
    CHECK(zx_pool_create(3, &pool) == ZMLX_OK);
    for (size_t i = 1; i < OPS; i++)
        for (size_t n = 0; same && n < 27 * 3; n++) {
            const setup s = {
                ops[i],
                1 + n % TOKENS,
                1061,
                {rows[n / 27][0], rows[n / 27][1], rows[n / 27][2]},
                {formats[n % 3], formats[n / 3 % 3], formats[n / 9 % 3]},
                n % 2 == 0 ? ZX_F32 : formats[n / 2 % 3],
            };
            same = fused_is_unfused(&s, pool);
            (void)snprintf(text, sizeof text, "%s rows %zu formats %d %d %d", zx_ops[s.op].text,
                           s.rows[0], (int)s.formats[0], (int)s.formats[1], (int)s.formats[2]);
        }
    zx_pool_destroy(pool);
    CHECK_ON(text, same);
}
