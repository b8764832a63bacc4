/* head_test.c - matmul_softcap: every row, whatever the count of threads, is the matmul that would
 * be chosen and softcap after it. */
#include "kernels/rows_testing.h"

static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
static const zx_activation_layout not_quantized = {0};
static const zx_attributes capped = {.limit = 2.5F};

typedef struct head_case {
    zx_dtype dtype, format; /* of x and y, of the matrix */
    size_t tokens, columns, rows;
} head_case;

/* The unfused ops by the rows that would be chosen. */
static bool run_unfused(const zx_launch *fused, zx_operand *y)
{
    zx_launch launch = {
        .inputs = {fused->inputs[0], fused->inputs[1]}, .outputs = {*y}, .attributes = &capped};
    if (!testing_run(zx_kernel_choose(ZX_OP_MATMUL, &launch), &launch)) return false;
    const zx_launch cap = {.inputs = {*y}, .outputs = {*y}, .attributes = &capped};
    return testing_run(zx_kernel_choose(ZX_OP_SOFTCAP, &cap), &cap);
}

/* The name of a row of MATMUL_SOFTCAP that is not as unfused, or NULL. */
static const char *row_that_differs(const head_case *c, zx_pool *pool)
{
    const char *differs = NULL;
    const zx_operand matrix = testing_random(c->format, c->rows, c->columns, 0.3F);
    const zx_weight weight = testing_weight(&matrix);
    zx_operand wanted = testing_operand(c->dtype, not_quantized, c->tokens, c->rows, 8);
    zx_launch launch = {
        .inputs = {testing_random(c->dtype, c->tokens, c->columns, 1), {.weight = &weight}},
        .attributes = &capped,
        .pool = pool};
    launch.outputs[0] = wanted; /* for what is chosen */
    if (!run_unfused(&launch, &wanted)) differs = "unfused";
    for (size_t i = 0; i < zx_kernel_count && differs == NULL; i++) {
        const zx_kernel *kernel = &zx_kernels[i];
        const bool dots = c->dtype == ZX_BF16 && c->format == ZX_BF16;
        if (kernel->op != ZX_OP_MATMUL_SOFTCAP || !zx_kernel_usable(kernel)) continue;
        if (dots && kernel == zx_kernel_reference(ZX_OP_MATMUL_SOFTCAP)) continue;
        launch.outputs[0] = testing_operand(c->dtype, not_quantized, c->tokens, c->rows, 8);
        if (!testing_run(kernel, &launch) || !testing_same(&launch.outputs[0], &wanted))
            differs = kernel->name;
        testing_free(launch.outputs[0].data);
    }
    testing_free(launch.inputs[0].data);
    testing_free(matrix.data);
    testing_free(wanted.data);
    return differs;
}

TEST(matmul_softcap_is_matmul_then_softcap)
{
    static const size_t rows[] = {1, 33, 700, 5000}, tokens[] = {1, 3, 14};
    zx_pool *pool = NULL;
    const char *differs = NULL;
    CHECK(zx_pool_create(3, &pool) == ZMLX_OK);
    for (size_t i = 0; i < 9 * 12 && differs == NULL; i++) {
        const head_case c = {dtypes[i % 3], dtypes[i / 3 % 3], tokens[i / 9 % 3], 77, rows[i / 27]};
        differs = row_that_differs(&c, i % 2 == 0 ? pool : NULL);
    }
    zx_pool_destroy(pool);
    CHECK_ON(differs, differs == NULL);
}
