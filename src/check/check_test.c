/* check_test.c - the engine on the kernels of this build, and on broken ones, which it has to
 * refuse, name and make small. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "check/check.h"
#include "check/properties.h"

TEST(every_kernel_passes_the_check)
{
    zmlx_check *check = NULL;
    const zmlx_check_options options = {.count = 3, .seed = 1 + zx_test_random() % 1000000};
    char about[900];
    if (zmlx_check_kernels(&options, &check) != ZMLX_OK) return;
    const size_t count = zmlx_check_count(check);
    bool holds = count == zx_kernel_count;
    (void)snprintf(about, sizeof about, "%zu rows", count);
    for (size_t i = 0; i < count && holds; i++) {
        zmlx_check_row row;
        holds = zmlx_check_describe(check, i, &row) == ZMLX_OK && row.broken == NULL &&
                (!row.usable || row.cases == 3);
        if (!holds)
            (void)snprintf(about, sizeof about, "%s: %zu cases, %s, %s", row.kernel, row.cases,
                           row.broken != NULL ? row.broken : "holds",
                           row.about != NULL ? row.about : "");
    }
    zmlx_check_close(check);
    CHECK_ON(about, holds);
}

TEST(every_op_that_computes_has_a_way_to_make_cases)
{
    for (int op = 0; op < ZX_OP_COUNT; op++)
        CHECK_ON(zx_ops[op].text,
                 (zx_case_op_of((zx_op)op) != NULL) == (zx_kernel_reference((zx_op)op) != NULL));
}

/* Broken kernels: each is the reference, and then a mistake. */
static zmlx_status wrong_tail(const zx_launch *launch)
{
    zx_operand y = launch->outputs[0];
    const zmlx_status status = zx_kernel_reference(ZX_OP_ADD)->run(launch);
    for (size_t row = 0; row < y.rows && y.columns > 16 && y.columns % 16 != 0; row++)
        zx_store(y.dtype, (char *)y.data + row * y.stride, y.columns - 1, 77);
    return status;
}

static zmlx_status unwritten(const zx_launch *launch)
{
    zx_launch less = *launch;
    if (launch->inputs[0].rows > 1)
        less.inputs[0].rows = less.outputs[0].rows = launch->inputs[0].rows - 1;
    return zx_kernel_reference(ZX_OP_ADD)->run(&less);
}

static zmlx_status overrun(const zx_launch *launch)
{
    const zx_operand *y = &launch->outputs[0];
    const zmlx_status status = zx_kernel_reference(ZX_OP_ADD)->run(launch);
    if (y->rows > 0) zx_store(y->dtype, (char *)y->data + (y->rows - 1) * y->stride, y->columns, 1);
    return status;
}

static zmlx_status spoiled_input(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[1];
    const zmlx_status status = zx_kernel_reference(ZX_OP_ADD)->run(launch);
    if (x->rows > 0) zx_store(x->dtype, x->data, 0, 5);
    return status;
}

static zmlx_status by_batch(const zx_launch *launch)
{
    const zx_operand *y = &launch->outputs[0];
    const zmlx_status status = zx_kernel_reference(ZX_OP_ADD)->run(launch);
    if (y->rows == 1) zx_store(y->dtype, y->data, 0, 1 + zx_load(y->dtype, y->data, 0));
    return status;
}

static zmlx_status by_threads(const zx_launch *launch)
{
    const zx_operand *y = &launch->outputs[0];
    const zmlx_status status = zx_kernel_reference(ZX_OP_ADD)->run(launch);
    if (launch->pool != NULL && y->rows > 0) zx_store(y->dtype, y->data, 0, 4321);
    return status;
}

static zmlx_status no_error(const zx_launch *launch)
{
    return launch->inputs[0].rows == 0 ? ZMLX_ERROR_SHAPE
                                       : zx_kernel_reference(ZX_OP_ADD)->run(launch);
}

/* Sees one key too many. */
static zmlx_status not_causal(const zx_launch *launch)
{
    zx_batch batch = *launch->batch;
    int32_t positions[64];
    zx_launch later = *launch;
    for (size_t s = 0; s < batch.sequences; s++)
        for (int32_t i = batch.token_start[s]; i < batch.token_start[s + 1]; i++)
            positions[i] = batch.positions[i] + (i + 1 < batch.token_start[s + 1]);
    batch.positions = positions;
    later.batch = &batch;
    return zx_kernel_reference(ZX_OP_ATTENTION)->run(&later);
}

typedef struct broken_row {
    const char *name;
    zx_op op;
    zx_kernel_fn run;
    const char *property; /* that shows it */
    const char *says;     /* part of what is said */
} broken_row;

static const broken_row broken[] = {
    {"wrong_tail", ZX_OP_ADD, wrong_tail, "reference", "rows 1, columns 17"},
    {"unwritten", ZX_OP_ADD, unwritten, "reference", "rows 2, columns 1"},
    {"overrun", ZX_OP_ADD, overrun, "bounds", "outside the rows"},
    {"spoiled_input", ZX_OP_ADD, spoiled_input, "inputs", "into an input"},
    {"by_batch", ZX_OP_ADD, by_batch, "alone", "rows 2, columns 1"},
    {"by_threads", ZX_OP_ADD, by_threads, "threads", "rows 1, columns 1"},
    {"no_error", ZX_OP_ADD, no_error, "no rows", "returned an error"},
    {"not_causal", ZX_OP_ATTENTION, not_causal, "reference", "rows 2"},
};
enum { BROKEN = sizeof broken / sizeof broken[0] };

TEST(broken_kernels_are_refused_named_and_made_small)
{
    for (size_t i = 0; i < BROKEN; i++) {
        const zx_kernel *reference = zx_kernel_reference(broken[i].op);
        zx_kernel kernel = *reference;
        zmlx_check *check = NULL;
        zmlx_check_row row = {0};
        char about[700] = "", command[64];
        kernel.name = broken[i].name;
        kernel.run = broken[i].run;
        const zmlx_check_options options = {.count = 30, .seed = 11};
        if (zx_check_table(&kernel, 1, &options, &check) != ZMLX_OK) return;
        const bool found =
            zmlx_check_broken(check) == 1 && zmlx_check_describe(check, 0, &row) == ZMLX_OK;
        const bool named = found && strcmp(row.broken, broken[i].property) == 0 &&
                           strstr(row.about, broken[i].says) != NULL;
        (void)snprintf(about, sizeof about, "%s: %s, %s", kernel.name,
                       found ? row.broken : "not found", found ? row.about : "");
        (void)snprintf(command, sizeof command, "--kernel %s --seed %llu --count 1", kernel.name,
                       (unsigned long long)row.seed);
        const bool repeats = found && strstr(row.command, command) != NULL;
        zmlx_check_close(check);
        CHECK_ON(about, named);
        CHECK_ON(about, repeats);
    }
}

/* Kernels that round their own way, or say so; softcap's tolerance is 1e-5.  'far' is added to the
 * values that are between a 16th and a 4th of their row's largest, relative to that. */
static zmlx_status softcap_beside(const zx_launch *launch, float factor, float far)
{
    const zx_operand *y = &launch->outputs[0];
    const zmlx_status status = zx_kernel_reference(ZX_OP_SOFTCAP)->run(launch);
    for (size_t row = 0; row < y->rows && y->dtype == ZX_F32; row++) {
        float *const values = (float *)(void *)((char *)y->data + row * y->stride), largest = 0;
        for (size_t i = 0; i < y->columns; i++) largest = fmaxf(largest, fabsf(values[i]));
        for (size_t i = 0; i < y->columns; i++) {
            const bool middle = fabsf(values[i]) > largest / 16 && fabsf(values[i]) < largest / 4;
            values[i] = values[i] * factor + (middle && row == 0 ? far * largest : 0);
        }
    }
    return status;
}

static zmlx_status as_reference(const zx_launch *launch)
{
    return softcap_beside(launch, 1 + 1e-6F, 0);
}

static zmlx_status by_row(const zx_launch *launch)
{
    return softcap_beside(launch, 1 + 2e-5F, 0);
}

static zmlx_status by_mean(const zx_launch *launch)
{
    return softcap_beside(launch, 1 + 8e-6F, 0);
}

static zmlx_status by_ulps(const zx_launch *launch)
{
    return softcap_beside(launch, 1, 9e-6F);
}

typedef struct bound_row {
    const char *name;
    zx_kernel_fn run;
    const char *says; /* NULL: it holds */
} bound_row;

TEST(each_bound_of_kernels_that_round_is_enforced)
{
    static const bound_row rows[] = {{"as_reference", as_reference, NULL},
                                     {"by_row", by_row, "; row max of f32 "},
                                     {"by_mean", by_mean, "; NMSE of f32 "},
                                     {"by_ulps", by_ulps, "; ULPs of f32 "}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        zx_kernel kernel = *zx_kernel_reference(ZX_OP_SOFTCAP);
        zmlx_check *check = NULL;
        zmlx_check_row row = {0};
        char about[900] = "";
        kernel.name = rows[i].name;
        kernel.run = rows[i].run;
        kernel.rounded = true;
        const zmlx_check_options options = {.count = 30, .seed = 3};
        if (zx_check_table(&kernel, 1, &options, &check) != ZMLX_OK) return;
        if (zmlx_check_describe(check, 0, &row) == ZMLX_OK && row.about != NULL)
            (void)snprintf(about, sizeof about, "%s: %s, %s", kernel.name, row.broken, row.about);
        const bool holds = row.broken == NULL && row.dtype_count == 3;
        zmlx_check_close(check);
        CHECK_ON(about, rows[i].says == NULL ? holds : strstr(about, rows[i].says) != NULL);
    }
}

TEST(errors_are_told_by_the_dtype_of_the_output)
{
    zx_kernel kernel = *zx_kernel_reference(ZX_OP_SOFTCAP);
    zmlx_check *check = NULL;
    zmlx_check_row row = {0};
    kernel.run = as_reference; /* beside in f32 alone */
    kernel.rounded = true;
    const zmlx_check_options options = {.count = 30, .seed = 3};
    if (zx_check_table(&kernel, 1, &options, &check) != ZMLX_OK) return;
    CHECK(zmlx_check_describe(check, 0, &row) == ZMLX_OK);
    for (size_t i = 0; i < row.dtype_count; i++) {
        const zmlx_check_errors *e = &row.errors[i];
        const bool beside = strcmp(e->dtype, "f32") == 0;
        CHECK_ON(e->dtype,
                 (e->row_max > 0) == beside && (e->nmse > 0) == beside && (e->ulps > 0) == beside);
        CHECK_ON(e->dtype, e->row_max_bound >= 1e-5 && e->nmse_bound > 0 && e->ulps_bound >= 16);
        CHECK_ON(e->dtype, beside == (e->row_max_bound < 2e-5));
    }
    zmlx_check_close(check);
}

TEST(a_check_of_nothing_is_refused)
{
    zmlx_check *check = NULL;
    const zmlx_check_options options = {.op = "no such op"};
    const zmlx_status status = zmlx_check_kernels(&options, &check);
    CHECK(status == ZMLX_ERROR_ARGUMENT || status == ZMLX_ERROR_MEMORY);
    CHECK(check == NULL);
    if (status == ZMLX_ERROR_ARGUMENT) CHECK(strstr(zmlx_error_message(), "no such op") != NULL);
}

/* A seed stands for one shape, and every smaller shape fits the op. */
TEST(shapes_shrink_to_the_smallest)
{
    for (size_t i = 0; i < zx_case_op_count; i++) {
        zx_case_shape shape = zx_case_shape_of(zx_case_ops[i].op, 5), again, smaller;
        again = zx_case_shape_of(zx_case_ops[i].op, 5);
        char text[ZX_CASE_TEXT], same[ZX_CASE_TEXT];
        zx_case_describe(&shape, text);
        zx_case_describe(&again, same);
        CHECK_ON(text, strcmp(text, same) == 0);
        size_t steps = 0;
        for (size_t way = 0; way < ZX_CASE_WAYS; way++)
            while (zx_case_smaller(&shape, way, &smaller) && steps++ < 2000) shape = smaller;
        CHECK_ON(text, steps < 2000 && shape.bits == 0);
        for (size_t dim = 0; dim < ZX_DIMS; dim++)
            CHECK_ON(text, shape.dims[dim] <= (dim == ZX_DIM_HEAD_SIZE ? 2 : 1));
    }
}
