/* properties_test.c - each property refuses a kernel that breaks it: the reference, and then a
 * mistake that this property is there to find. */
#include <string.h>

#include "base/test.h"
#include "check/properties.h"

/* Adds to the first value of an output. */
static void nudge(const zx_operand *y, float amount)
{
    if (y->rows > 0) zx_store(y->dtype, y->data, 0, zx_load(y->dtype, y->data, 0) + amount);
}

#define AFTER(name, op, amount)                                               \
    static zmlx_status name(const zx_launch *launch)                          \
    {                                                                         \
        const zmlx_status status = zx_kernel_reference(op)->run(launch);      \
        if (launch->inputs[0].rows > 0) nudge(&launch->outputs[0], (amount)); \
        return status;                                                        \
    }

static float counter;
AFTER(counts, ZX_OP_ADD, counter++)
AFTER(by_threads, ZX_OP_ADD, launch->pool != NULL ? 9 : 0)
AFTER(by_rows, ZX_OP_ADD, (float)launch->inputs[0].rows)
AFTER(by_page, ZX_OP_ATTENTION, (float)launch->batch->pages[0])
AFTER(by_old_contents, ZX_OP_ATTENTION, zx_load(launch->kv->dtype, launch->kv->memory, 0))
AFTER(by_window, ZX_OP_ATTENTION, launch->attributes->window > 0 ? 1 : 0)
AFTER(more_attention, ZX_OP_ATTENTION, 1)
AFTER(by_head_count, ZX_OP_ATTENTION, (float)launch->inputs[0].columns)
AFTER(more_probability, ZX_OP_SOFTMAX, 0.5F)
AFTER(more_length, ZX_OP_ROPE, 9)
AFTER(not_linear, ZX_OP_MATMUL, 1)
AFTER(by_expert, ZX_OP_EXPERT_MATMUL, (float)*(const int32_t *)launch->inputs[1].data)

static zmlx_status reads_output(const zx_launch *launch)
{
    const float before =
        launch->outputs[0].rows > 0 ? *(const uint8_t *)launch->outputs[0].data : 0;
    const zmlx_status status = zx_kernel_reference(ZX_OP_ADD)->run(launch);
    nudge(&launch->outputs[0], before);
    return status;
}

static zmlx_status tight_rows(const zx_launch *launch)
{
    zx_launch tight = *launch;
    tight.inputs[0].stride = zx_case_row_bytes(&launch->inputs[0]);
    return zx_kernel_reference(ZX_OP_ADD)->run(&tight);
}

static zmlx_status adds_twice(const zx_launch *launch)
{
    const zmlx_status status = zx_kernel_reference(ZX_OP_ADD)->run(launch);
    return status != ZMLX_OK ? status : zx_kernel_reference(ZX_OP_ADD)->run(launch);
}

static zmlx_status sees_later_keys(const zx_launch *launch)
{
    zx_batch batch = *launch->batch;
    int32_t positions[64] = {0};
    zx_launch later = *launch;
    for (size_t s = 0; s < batch.sequences; s++)
        for (int32_t i = batch.token_start[s]; i < batch.token_start[s + 1]; i++)
            positions[i] = batch.positions[i] + (i + 1 < batch.token_start[s + 1]);
    batch.positions = positions;
    later.batch = &batch;
    return zx_kernel_reference(ZX_OP_ATTENTION)->run(&later);
}

static zmlx_status chooses_next(const zx_launch *launch)
{
    const zmlx_status status = zx_kernel_reference(ZX_OP_TOPK)->run(launch);
    int32_t *const first = launch->outputs[0].data;
    if (launch->outputs[0].rows > 0) *first = (*first + 1) % (int32_t)launch->inputs[0].columns;
    return status;
}

static zmlx_status one_more(const zx_launch *launch)
{
    const zmlx_status status = zx_kernel_reference(ZX_OP_QUANTIZE)->run(launch);
    int8_t *const code = launch->outputs[0].data;
    if (launch->outputs[0].rows > 0) *code = (int8_t)(*code + (*code < 100 ? 1 : -1));
    return status;
}

static zmlx_status too_much_scratch(const zx_launch *launch)
{
    const zmlx_status status = zx_kernel_reference(ZX_OP_RMSNORM)->run(launch);
    memset(launch->scratch, 1, zx_kernel_reference(ZX_OP_RMSNORM)->scratch(launch) + 1);
    return status;
}

typedef struct mistake {
    const char *property;
    zx_op op;
    zx_kernel_fn run;
} mistake;

static const mistake mistakes[] = {
    {"reference", ZX_OP_ADD, counts},
    {"written", ZX_OP_ADD, reads_output},
    {"repeatable", ZX_OP_ADD, counts},
    {"threads", ZX_OP_ADD, by_threads},
    {"alone", ZX_OP_ADD, by_rows},
    {"parts", ZX_OP_ADD, by_rows},
    {"placement", ZX_OP_ADD, tight_rows},
    {"in place", ZX_OP_ADD, adds_twice},
    {"pages", ZX_OP_ATTENTION, by_page},
    {"recycled", ZX_OP_ATTENTION, by_old_contents},
    {"causal", ZX_OP_ATTENTION, sees_later_keys},
    {"window", ZX_OP_ATTENTION, by_window},
    {"equal values", ZX_OP_ATTENTION, more_attention},
    {"heads", ZX_OP_ATTENTION, by_head_count},
    {"sums", ZX_OP_SOFTMAX, more_probability},
    {"rotation", ZX_OP_ROPE, more_length},
    {"twice", ZX_OP_MATMUL, not_linear},
    {"experts", ZX_OP_EXPERT_MATMUL, by_expert},
    {"choice", ZX_OP_TOPK, chooses_next},
    {"again", ZX_OP_QUANTIZE, one_more},
};
enum { MISTAKES = sizeof mistakes / sizeof mistakes[0], SEEDS = 60 };

static const zx_property *property_of(const char *name)
{
    for (size_t i = 0; i < zx_property_count; i++)
        if (strcmp(zx_properties[i].name, name) == 0) return &zx_properties[i];
    return NULL;
}

/* On how many cases the property held and was broken. */
static zmlx_status try_seeds(const zx_property *property, const zx_kernel *kernel, zx_pool *pool,
                             size_t counts_of[3])
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const zx_case_shape shape = zx_case_shape_of(kernel->op, seed);
        zx_case made;
        zx_trial t;
        zx_verdict verdict = ZX_HOLDS;
        zmlx_status status = zx_case_open(&shape, &made);
        if (status == ZMLX_OK) status = zx_trial_begin(&made, kernel, pool, &t, &verdict);
        if (status == ZMLX_OK && verdict == ZX_HOLDS) status = property->check(&t, &verdict);
        zx_case_close(&made);
        if (status != ZMLX_OK) return status;
        counts_of[verdict]++;
    }
    return ZMLX_OK;
}

TEST(properties_refuse_what_breaks_them_and_hold_of_the_reference)
{
    zx_pool *pool = NULL;
    if (zx_pool_create(3, &pool) != ZMLX_OK) return;
    for (size_t i = 0; i < MISTAKES; i++) {
        const zx_property *property = property_of(mistakes[i].property);
        const zx_kernel *reference = zx_kernel_reference(mistakes[i].op);
        zx_kernel wrong = *reference;
        size_t right[3] = {0}, broken[3] = {0};
        wrong.run = mistakes[i].run;
        counter = 0;
        const zmlx_status status =
            property == NULL ? ZMLX_OK : try_seeds(property, reference, pool, right);
        const zmlx_status second =
            property == NULL ? ZMLX_OK : try_seeds(property, &wrong, pool, broken);
        if (status != ZMLX_OK || second != ZMLX_OK) break;
        const bool refused = broken[ZX_BROKEN] > 0;
        const bool holds = right[ZX_HOLDS] > 0 && right[ZX_BROKEN] == 0;
        if (!refused || !holds) zx_pool_destroy(pool);
        CHECK_ON(mistakes[i].property, property != NULL);
        CHECK_ON(mistakes[i].property, refused);
        CHECK_ON(mistakes[i].property, holds);
    }
    zx_pool_destroy(pool);
}

TEST(a_kernel_that_leaves_its_scratch_is_found)
{
    const zx_case_shape shape = zx_case_shape_of(ZX_OP_RMSNORM, 1);
    zx_kernel wrong = *zx_kernel_reference(ZX_OP_RMSNORM);
    zx_case made;
    zx_trial t = {.why = NULL};
    zx_verdict verdict = ZX_HOLDS;
    wrong.run = too_much_scratch;
    zmlx_status status = zx_case_open(&shape, &made);
    if (status == ZMLX_OK) status = zx_trial_begin(&made, &wrong, NULL, &t, &verdict);
    zx_case_close(&made);
    if (status != ZMLX_OK) return;
    CHECK(verdict == ZX_BROKEN && strstr(t.why, "scratch") != NULL);
}
