/* chain_test.c - a chain gives the bits of its ops run one after the other, whatever the rows and
 * threads, and writes its exported value. */
#include "graph/chain.h"
#include "kernels/rows_testing.h"

static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
static const size_t row_counts[] = {1, 2, 15, 16, 17, 40};
static const zx_activation_layout not_quantized = {0};

enum { DTYPES = 3, COUNTS = 6, WIDTH = 70 };

/* y = rmsnorm(sum, w), sum = softcap(x) * 0.5 + residual, which is kept. */
static zx_chain make_chain(zx_dtype dtype)
{
    const zx_type type = {ZX_ROWS_TOKENS, WIDTH, dtype, {0}};
    return (zx_chain){.count = 4,
                      .steps = {{ZX_OP_SOFTCAP, {.limit = 3}, {~0}, type, -1},
                                {ZX_OP_SCALE, {.scale = 0.5F}, {0}, type, -1},
                                {ZX_OP_ADD, {0}, {1, ~1}, type, 1},
                                {ZX_OP_RMSNORM, {.epsilon = 1e-5F}, {2, ~2}, type, 0}},
                      .text = "test"};
}

/* The same, op by op; sum and y are the last two values. */
static bool run_steps(const zx_chain *chain, const zx_launch *launch, zx_operand values[4])
{
    bool ran = true;
    for (size_t i = 0; i < chain->count; i++) {
        const zx_chain_step *step = &chain->steps[i];
        zx_launch one = {.attributes = &step->attributes};
        for (int k = 0; k < zx_ops[step->op].inputs; k++)
            one.inputs[k] =
                step->inputs[k] < 0 ? launch->inputs[~step->inputs[k]] : values[step->inputs[k]];
        values[i] = testing_operand(
            step->type.dtype, not_quantized, launch->inputs[0].rows, WIDTH,
            i < 2 ? 0 : launch->outputs[0].stride - testing_row_bytes(&launch->outputs[0]));
        one.outputs[0] = values[i];
        ran = testing_run(zx_kernel_choose(step->op, &one), &one) && ran;
    }
    return ran;
}

TEST(a_chain_gives_the_bits_of_its_ops)
{
    for (size_t i = 0; i < DTYPES * COUNTS; i++) {
        const zx_dtype dtype = dtypes[i % DTYPES];
        const size_t rows = row_counts[i / DTYPES];
        const zx_chain chain = make_chain(dtype);
        const zx_attributes attributes = {.chain = &chain};
        zx_operand weights = testing_operand(ZX_F32, not_quantized, 1, WIDTH, 0), values[4];
        testing_fill(&weights, 2);
        const zx_weight weight = testing_weight(&weights);
        const zx_launch launch = {
            .inputs = {testing_random(dtype, rows, WIDTH, 8),
                       testing_random(dtype, rows, WIDTH, 8),
                       {.weight = &weight}},
            .outputs = {testing_operand(dtype, not_quantized, rows, WIDTH, 12),
                        testing_operand(dtype, not_quantized, rows, WIDTH, 12)},
            .attributes = &attributes};
        const char *differs = testing_rows_differ(ZX_OP_CHAIN, &launch);
        const bool ran = run_steps(&chain, &launch, values);
        const bool same = testing_same(&launch.outputs[1], &values[2]) &&
                          testing_same(&launch.outputs[0], &values[3]);
        for (size_t k = 0; k < 4; k++) testing_free(values[k].data);
        for (size_t k = 0; k < 2; k++) {
            testing_free(launch.inputs[k].data);
            testing_free(launch.outputs[k].data);
        }
        testing_free(weights.data);
        CHECK_ON(differs, differs == NULL);
        CHECK(ran && same);
    }
}
