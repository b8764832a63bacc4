/* embed_test.c - rows of a table, ids outside it, and the rows whose logits are wanted. */
#include "kernels/rows_testing.h"
#include "zmlx/status.h"

static const zx_activation_layout not_quantized = {0};

TEST(embed_decodes_and_rounds_a_row_per_id)
{
    static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
    static const int32_t ids[] = {4, 0, 9, 4, 3};
    for (size_t i = 0; i < 9; i++) {
        zx_operand table = testing_operand(dtypes[i / 3], not_quantized, 10, 37, 0);
        testing_fill(&table, 4);
        const zx_weight weight = testing_weight(&table);
        const zx_batch batch = {.tokens = 5, .ids = ids};
        const zx_launch launch = {
            .inputs = {{.rows = 5, .columns = 1}, {.weight = &weight}},
            .outputs = {testing_operand(dtypes[i % 3], not_quantized, 5, 37, 4)},
            .batch = &batch};
        const char *differs = testing_rows_differ(ZX_OP_EMBED, &launch);
        bool same = true;
        for (size_t k = 0; k < 5 * 37; k++) {
            const char *row = (char *)launch.outputs[0].data + k / 37 * launch.outputs[0].stride;
            const float wanted =
                zx_load(table.dtype, table.data, (size_t)ids[k / 37] * 37 + k % 37);
            same =
                same && zx_load(dtypes[i % 3], row, k % 37) == zx_round_to(dtypes[i % 3], wanted);
        }
        testing_free(table.data);
        testing_free(launch.outputs[0].data);
        CHECK_ON(differs, differs == NULL);
        CHECK(same);
    }
}

TEST(embed_refuses_an_id_outside_the_table)
{
    zx_operand table = testing_random(ZX_F32, 10, 8, 1);
    const zx_weight weight = testing_weight(&table);
    const int32_t ids[] = {3, 10}, negative[] = {-1, 3};
    zx_batch batch = {.tokens = 2, .ids = ids};
    zx_launch launch = {.inputs = {{.rows = 2, .columns = 1}, {.weight = &weight}},
                        .outputs = {testing_operand(ZX_F32, not_quantized, 2, 8, 0)},
                        .batch = &batch};
    const zmlx_status above = zx_kernel_reference(ZX_OP_EMBED)->run(&launch);
    const bool named = strstr(zmlx_error_message(), "token id 10") != NULL;
    batch.ids = negative;
    const zmlx_status below = zx_kernel_reference(ZX_OP_EMBED)->run(&launch);
    testing_free(table.data);
    testing_free(launch.outputs[0].data);
    CHECK(above == ZMLX_ERROR_ARGUMENT && below == ZMLX_ERROR_ARGUMENT && named);
}

TEST(select_copies_the_sampled_rows)
{
    static const int32_t sampled[] = {1, 4};
    const zx_batch batch = {.tokens = 5, .sampled_rows = 2, .sampled = sampled};
    const zx_launch launch = {.inputs = {testing_random(ZX_BF16, 5, 19, 1)},
                              .outputs = {testing_operand(ZX_BF16, not_quantized, 2, 19, 2)},
                              .batch = &batch};
    const char *differs = testing_rows_differ(ZX_OP_SELECT, &launch);
    bool same = true;
    for (size_t i = 0; i < 2; i++)
        same = same &&
               memcmp((char *)launch.outputs[0].data + i * launch.outputs[0].stride,
                      (char *)launch.inputs[0].data + (size_t)sampled[i] * launch.inputs[0].stride,
                      19 * 2) == 0;
    testing_free(launch.inputs[0].data);
    testing_free(launch.outputs[0].data);
    CHECK_ON(differs, differs == NULL);
    CHECK(same);
}
