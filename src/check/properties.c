/* properties.c - what holds of every kernel: the table, and those that concern any op. */
#include "check/properties.h"

#include "base/fail.h"
#include "base/hash.h"

static const zx_placement plain = {0, 0};

zmlx_status zx_trial_run(zx_trial *t, const zx_run *run, zx_results *results, zx_verdict *verdict)
{
    static const char *const words[] = {NULL, NULL, "it wrote beyond its scratch",
                                        "it returned an error"};
    zx_ran ran = ZX_RAN;
    ZX_TRY(zx_case_run(t->on, run, results, &ran));
    *verdict = ran == ZX_RAN ? ZX_HOLDS : ran == ZX_NOT_MINE ? ZX_NOT_ASKED : ZX_BROKEN;
    if (*verdict == ZX_BROKEN) t->why = words[ran];
    return ZMLX_OK;
}

zmlx_status zx_trial_same(zx_trial *t, const zx_results *wanted, const zx_results *got,
                          zx_verdict *verdict)
{
    if (*verdict != ZX_HOLDS) return ZMLX_OK;
    ZX_TRY(zx_results_measure(t->on, wanted, got, SIZE_MAX, &t->found));
    if (t->found.wrong > 0) *verdict = ZX_BROKEN;
    return ZMLX_OK;
}

/* One run of the whole case into fresh results, which must be those of the plain run. */
static zmlx_status run_same(zx_trial *t, const zx_run *run, zx_placement placement, uint8_t poison,
                            zx_verdict *verdict)
{
    zx_results results;
    ZX_TRY(zx_results_open(t->on, placement, poison, &results));
    ZX_TRY(zx_trial_run(t, run, &results, verdict));
    return zx_trial_same(t, &t->got, &results, verdict);
}

static uint64_t digest_weight(const zx_weight *weight, uint64_t digest)
{
    const size_t rows = weight->count * weight->rows;
    digest = zx_hash(weight->codes, rows * weight->codes_stride, digest);
    if (weight->scales != NULL)
        digest = zx_hash(weight->scales, rows * weight->scales_stride, digest);
    if (weight->biases != NULL)
        digest = zx_hash(weight->biases, rows * weight->scales_stride, digest);
    return digest;
}

/* All bytes of the inputs, also those between rows. */
static uint64_t digest_inputs(const zx_case *on)
{
    uint64_t digest = 0;
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++) {
        const zx_operand *x = &on->launch.inputs[i];
        if (x->weight != NULL)
            digest = digest_weight(x->weight, digest);
        else if (x->data != NULL)
            digest = zx_hash(x->data, x->rows * x->stride, digest);
    }
    return digest;
}

zmlx_status zx_trial_begin(zx_case *on, const zx_kernel *kernel, zx_pool *pool, zx_trial *t,
                           zx_verdict *verdict)
{
    *t = (zx_trial){.on = on, .kernel = kernel, .pool = pool, .state = on->shape.seed};
    const zx_run reference = zx_run_all(on, zx_kernel_reference(on->shape.op));
    const zx_run run = zx_run_all(on, kernel);
    t->inputs = digest_inputs(on);
    ZX_TRY(zx_results_open(on, plain, 0xff, &t->wanted));
    ZX_TRY(zx_results_open(on, (zx_placement){0, 1}, 0xff, &t->got));
    ZX_TRY(zx_trial_run(t, &reference, &t->wanted, verdict));
    if (*verdict != ZX_HOLDS) return ZMLX_OK;
    ZX_TRY(zx_trial_run(t, &run, &t->got, verdict));
    if (*verdict != ZX_HOLDS) return ZMLX_OK;
    ZX_TRY(zx_results_measure(on, &t->wanted, &t->got, SIZE_MAX, &t->measure));
    zx_measure_bound(on, kernel, &t->measure);
    return ZMLX_OK;
}

static zmlx_status check_reference(zx_trial *t, zx_verdict *verdict)
{
    t->found = t->measure;
    if (!zx_measure_holds(&t->measure, &t->beyond)) *verdict = ZX_BROKEN;
    return ZMLX_OK;
}

static zmlx_status check_bounds(zx_trial *t, zx_verdict *verdict)
{
    t->why = "it wrote outside the rows of its outputs";
    if (!zx_results_within(t->on, &t->got)) *verdict = ZX_BROKEN;
    return ZMLX_OK;
}

static zmlx_status check_inputs(zx_trial *t, zx_verdict *verdict)
{
    const zx_kv_pages *kv = &t->on->kv;
    const bool reads = (t->on->row->traits & (ZX_TRAIT_APPENDS | ZX_TRAIT_STATE)) == 0;
    t->why = "it wrote into an input";
    if (digest_inputs(t->on) != t->inputs) *verdict = ZX_BROKEN;
    if (kv->memory != NULL && reads &&
        memcmp(kv->memory, t->got.kv.memory, kv->page_bytes * kv->page_count) != 0)
        *verdict = ZX_BROKEN;
    return ZMLX_OK;
}

/* What is not written, or read before it is, differs with what was there before. */
static zmlx_status check_written(zx_trial *t, zx_verdict *verdict)
{
    const zx_run run = zx_run_all(t->on, t->kernel);
    return run_same(t, &run, plain, 0x15, verdict);
}

static zmlx_status check_repeatable(zx_trial *t, zx_verdict *verdict)
{
    const zx_run run = zx_run_all(t->on, t->kernel);
    return run_same(t, &run, plain, 0xff, verdict);
}

static zmlx_status check_threads(zx_trial *t, zx_verdict *verdict)
{
    zx_run run = zx_run_all(t->on, t->kernel);
    run.pool = t->pool;
    if (t->pool == NULL) *verdict = ZX_NOT_ASKED;
    return t->pool == NULL ? ZMLX_OK : run_same(t, &run, plain, 0xff, verdict);
}

/* Rows in portions of 'size'. */
static zmlx_status check_portions(zx_trial *t, size_t size, zx_verdict *verdict)
{
    zx_results results;
    zx_run run = zx_run_all(t->on, t->kernel);
    ZX_TRY(zx_results_open(t->on, plain, 0xff, &results));
    for (size_t first = 0; first < t->on->result_rows; first += size) {
        run.first = first;
        run.end = first + size < t->on->result_rows ? first + size : t->on->result_rows;
        ZX_TRY(zx_trial_run(t, &run, &results, verdict));
        if (*verdict != ZX_HOLDS) return ZMLX_OK;
    }
    return zx_trial_same(t, &t->got, &results, verdict);
}

static zmlx_status check_alone(zx_trial *t, zx_verdict *verdict)
{
    return check_portions(t, 1, verdict);
}

static zmlx_status check_parts(zx_trial *t, zx_verdict *verdict)
{
    return check_portions(t, 2 + zx_fill_random(&t->state) % 6, verdict);
}

/* The matrix's bytes elsewhere, none of them aligned. */
static zmlx_status move_weight(zx_arena *arena, const zx_weight *weight, zx_operand *x)
{
    const size_t rows = weight->count * weight->rows;
    const size_t sizes[] = {rows * weight->codes_stride, rows * weight->scales_stride,
                            rows * weight->scales_stride};
    const uint8_t *const from[] = {weight->codes, weight->scales, weight->biases};
    const uint8_t *to[3] = {NULL};
    void *memory = NULL;
    for (size_t i = 0; i < 3; i++) {
        if (from[i] == NULL) continue;
        ZX_TRY(zx_arena_alloc(arena, sizes[i] + 1, &memory));
        to[i] = memcpy((uint8_t *)memory + 1, from[i], sizes[i]);
    }
    ZX_TRY(zx_arena_alloc(arena, sizeof *weight, &memory));
    zx_weight *const moved = memory;
    *moved = *weight;
    moved->codes = to[0];
    moved->scales = to[1];
    moved->biases = to[2];
    x->weight = moved;
    return ZMLX_OK;
}

static zmlx_status check_placement(zx_trial *t, zx_verdict *verdict)
{
    zx_launch launch = t->on->launch;
    zx_run run = zx_run_all(t->on, t->kernel);
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++) {
        zx_operand *const x = &launch.inputs[i];
        const zx_placement placement = {zx_fill_random(&t->state) % 4,
                                        zx_fill_random(&t->state) % 6};
        const bool is_matrix = t->on->row->inputs[i].kind >= ZX_KIND_TABLE;
        if (is_matrix) ZX_TRY(move_weight(&t->on->arena, x->weight, x));
        if (x->data != NULL)
            ZX_TRY(zx_case_move(&t->on->arena, &t->on->launch.inputs[i], placement, x));
    }
    run.launch = &launch;
    const zx_placement outputs = {1 + zx_fill_random(&t->state) % 3, 5};
    return run_same(t, &run, outputs, 0xff, verdict);
}

static zmlx_status check_no_rows(zx_trial *t, zx_verdict *verdict)
{
    zx_results before, after;
    zx_run run = zx_run_all(t->on, t->kernel);
    run.end = 0;
    ZX_TRY(zx_results_open(t->on, plain, 0x15, &before));
    ZX_TRY(zx_results_open(t->on, plain, 0x15, &after));
    ZX_TRY(zx_trial_run(t, &run, &after, verdict));
    return zx_trial_same(t, &before, &after, verdict);
}

static zmlx_status check_in_place(zx_trial *t, zx_verdict *verdict)
{
    zx_launch launch = t->on->launch;
    zx_results results;
    zx_run run = zx_run_all(t->on, t->kernel);
    ZX_TRY(zx_results_open(t->on, plain, 0xff, &results));
    ZX_TRY(zx_case_move(&t->on->arena, &t->on->launch.inputs[0], plain, &launch.inputs[0]));
    results.outputs[0] = launch.inputs[0];
    run.launch = &launch;
    ZX_TRY(zx_trial_run(t, &run, &results, verdict));
    return zx_trial_same(t, &t->got, &results, verdict);
}

const zx_property zx_properties[] = {
    {"reference", "the reference's bits, or within the op's tolerance of them", 0, check_reference},
    {"bounds", "nothing is written outside the rows of the outputs", 0, check_bounds},
    {"inputs", "inputs stay as they were", 0, check_inputs},
    {"written", "results do not depend on what memory held before", 0, check_written},
    {"repeatable", "a second run gives the same bits", 0, check_repeatable},
    {"threads", "several threads give the bits of one", 0, check_threads},
    {"alone", "a row alone gives the bits it has among others", 0, check_alone},
    {"parts", "rows in portions give the same bits", 0, check_parts},
    {"placement", "strides and unaligned beginnings change nothing", 0, check_placement},
    {"no rows", "no rows are no error, and nothing is written", 0, check_no_rows},
    {"in place", "the output may lie where the first input lies", ZX_TRAIT_IN_PLACE,
     check_in_place},
    {"pages", "other page numbers give the same bits", ZX_TRAIT_CACHE, zx_check_pages},
    {"recycled", "what pages hold beyond their sequence changes nothing", ZX_TRAIT_CACHE,
     zx_check_recycled},
    {"causal", "a later key changes no earlier query", ZX_TRAIT_CACHE, zx_check_causal},
    {"window", "a window beyond the length is none", ZX_TRAIT_CACHE, zx_check_window},
    {"equal values", "attention over equal values returns them", ZX_TRAIT_CACHE,
     zx_check_equal_values},
    {"heads", "every head given twice comes out twice", ZX_TRAIT_HEADS, zx_check_heads},
    {"sums", "a row of probabilities sums to 1", ZX_TRAIT_SUMS, zx_check_sums},
    {"rotation", "rope keeps the length of a head", ZX_TRAIT_LENGTH, zx_check_rotation},
    {"twice", "twice the input is twice the output, exactly", ZX_TRAIT_LINEAR, zx_check_twice},
    {"experts", "the experts' order changes nothing", ZX_TRAIT_EXPERTS, zx_check_experts},
    {"choice", "the largest are chosen in order, of equal ones the first", ZX_TRAIT_CHOOSES,
     zx_check_choice},
    {"again", "quantizing what was quantized gives the same integers", ZX_TRAIT_LAYOUT,
     zx_check_again},
};
const size_t zx_property_count = sizeof zx_properties / sizeof zx_properties[0];
