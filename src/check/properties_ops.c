/* properties_ops.c - properties of some ops: of the cache, of probabilities, of experts, ... */
#include <math.h>

#include "base/fail.h"
#include "check/properties.h"

static const zx_placement plain = {0, 0};

/* Values for which a bound makes sense. */
static bool is_tame(const zx_trial *t)
{
    return t->on->shape.fill == ZX_FILL_RANDOM || t->on->shape.fill == ZX_FILL_TIES;
}

static bool only_reads(const zx_trial *t)
{
    return (t->on->row->traits & ZX_TRAIT_APPENDS) == 0;
}

static zmlx_status not_asked(zx_verdict *verdict)
{
    *verdict = ZX_NOT_ASKED;
    return ZMLX_OK;
}

static double unit_of(zx_dtype dtype)
{
    return dtype == ZX_F32 ? 0x1p-23 : dtype == ZX_F16 ? 0x1p-10 : 0x1p-7;
}

static double value_at(const zx_operand *x, size_t row, size_t column)
{
    return (double)zx_load(x->dtype, (const char *)x->data + row * x->stride, column);
}

static zmlx_status broken_value(zx_trial *t, size_t row, size_t column, double wanted, double got,
                                zx_verdict *verdict)
{
    t->found = (zx_measure){.wrong = 1, .row = row, .column = column, .wanted = wanted, .got = got};
    *verdict = ZX_BROKEN;
    return ZMLX_OK;
}

/* Every page id is followed by the next one; the last one becomes the first. */
static int32_t renamed(const zx_case *on, int32_t page)
{
    const int32_t count = (int32_t)on->kv.page_count - 1; /* page 0 is nobody's */
    return page == 0 ? 0 : 1 + page % count;
}

zmlx_status zx_check_pages(zx_trial *t, zx_verdict *verdict)
{
    zx_case *const on = t->on;
    zx_results moved, back;
    const size_t bytes = on->kv.page_bytes, count = (size_t)on->page_start[on->batch.sequences];
    const zx_run run = zx_run_all(on, t->kernel);
    void *memory = NULL;
    ZX_TRY(zx_results_open(on, plain, 0xff, &moved));
    ZX_TRY(zx_results_open(on, plain, 0xff, &back));
    ZX_TRY(zx_arena_alloc(&on->arena, count * sizeof(int32_t), &memory));
    memcpy(memory, on->pages, count * sizeof(int32_t));
    for (size_t i = 0; i < count; i++) on->pages[i] = renamed(on, on->pages[i]);
    for (size_t page = 0; page < on->kv.page_count; page++)
        memcpy(moved.kv.memory + (size_t)renamed(on, (int32_t)page) * bytes,
               on->kv.memory + page * bytes, bytes);
    const zmlx_status status = zx_trial_run(t, &run, &moved, verdict);
    memcpy(on->pages, memory, count * sizeof(int32_t));
    if (status != ZMLX_OK) return status;
    for (size_t page = 0; page < on->kv.page_count; page++)
        memcpy(back.kv.memory + page * bytes,
               moved.kv.memory + (size_t)renamed(on, (int32_t)page) * bytes, bytes);
    memcpy(back.outputs, moved.outputs, sizeof back.outputs);
    return zx_trial_same(t, &t->got, &back, verdict);
}

/* Calls for every element of the cache that belongs to a position of the step's sequences. */
typedef void (*cached_fn)(zx_trial *t, const zx_cached *at, uint8_t *memory);

static void each_cached(zx_trial *t, uint8_t *memory, cached_fn visit)
{
    const zx_case *on = t->on;
    const zx_kv_layer *layer = &on->layers[ZX_CASE_LAYER - 1];
    for (size_t s = 0; s < on->batch.sequences; s++) {
        const size_t last = (size_t)on->positions[on->token_start[s + 1] - 1];
        for (size_t i = 0; i < (last + 1) * layer->kv_heads * 2; i++) {
            zx_cached at = {s, i / 2 / layer->kv_heads, i / 2 % layer->kv_heads, 0, i % 2 == 1};
            const size_t size = at.is_value ? layer->value_size : layer->key_size;
            for (; at.d < size; at.d++) visit(t, &at, memory);
        }
    }
}

static void copy_cached(zx_trial *t, const zx_cached *at, uint8_t *memory)
{
    const zx_dtype dtype = t->on->kv.dtype;
    size_t index = 0;
    const void *from = zx_case_cached(t->on, t->on->kv.memory, at, &index);
    const float value = zx_load(dtype, from, index);
    zx_store(dtype, zx_case_cached(t->on, memory, at, &index), index, value);
}

/* Pages that were others' before: all but what the sequences wrote is another number. */
zmlx_status zx_check_recycled(zx_trial *t, zx_verdict *verdict)
{
    zx_results results;
    const zx_run run = zx_run_all(t->on, t->kernel);
    if (!only_reads(t)) return not_asked(verdict);
    ZX_TRY(zx_results_open(t->on, plain, 0xff, &results));
    memset(results.kv.memory, 0x3c, t->on->kv.page_bytes * t->on->kv.page_count);
    each_cached(t, results.kv.memory, copy_cached);
    ZX_TRY(zx_trial_run(t, &run, &results, verdict));
    results.kv = t->got.kv;
    return zx_trial_same(t, &t->got, &results, verdict);
}

/* The last key and value of every sequence become others; all rows but the last of each stay. */
static void change_last(zx_trial *t, const zx_cached *at, uint8_t *memory)
{
    const zx_case *on = t->on;
    size_t index = 0;
    if (at->position != (size_t)on->positions[on->token_start[at->sequence + 1] - 1]) return;
    void *const array = zx_case_cached(on, memory, at, &index);
    zx_store(on->kv.dtype, array, index, 1 - zx_load(on->kv.dtype, array, index));
}

zmlx_status zx_check_causal(zx_trial *t, zx_verdict *verdict)
{
    zx_results results;
    const zx_case *on = t->on;
    const zx_run run = zx_run_all(on, t->kernel);
    if (!only_reads(t)) return not_asked(verdict);
    ZX_TRY(zx_results_open(t->on, plain, 0xff, &results));
    each_cached(t, results.kv.memory, change_last);
    ZX_TRY(zx_trial_run(t, &run, &results, verdict));
    for (size_t s = 0; s < on->batch.sequences; s++)
        for (int32_t row = on->token_start[s]; row + 1 < on->token_start[s + 1]; row++) {
            if (*verdict != ZX_HOLDS) return ZMLX_OK;
            ZX_TRY(zx_results_measure(t->on, &t->got, &results, (size_t)row, &t->found));
            if (t->found.wrong > 0) *verdict = ZX_BROKEN;
        }
    return ZMLX_OK;
}

static zmlx_status run_with_window(zx_trial *t, uint32_t window, zx_results *results,
                                   zx_verdict *verdict)
{
    zx_attributes attributes = t->on->attributes;
    zx_launch launch = t->on->launch;
    zx_run run = zx_run_all(t->on, t->kernel);
    attributes.window = window;
    launch.attributes = &attributes;
    run.launch = &launch;
    ZX_TRY(zx_results_open(t->on, plain, 0xff, results));
    return zx_trial_run(t, &run, results, verdict);
}

zmlx_status zx_check_window(zx_trial *t, zx_verdict *verdict)
{
    zx_results none, wide;
    if (!only_reads(t)) return not_asked(verdict);
    ZX_TRY(run_with_window(t, 0, &none, verdict));
    if (*verdict != ZX_HOLDS) return ZMLX_OK;
    ZX_TRY(run_with_window(t, 1 << 20, &wide, verdict));
    return zx_trial_same(t, &none, &wide, verdict);
}

static void equal_value(zx_trial *t, const zx_cached *at, uint8_t *memory)
{
    size_t index = 0;
    void *const array = zx_case_cached(t->on, memory, at, &index);
    if (at->is_value) zx_store(t->on->kv.dtype, array, index, 0.75F + (float)(at->d % 4));
}

zmlx_status zx_check_equal_values(zx_trial *t, zx_verdict *verdict)
{
    zx_results results;
    const zx_run run = zx_run_all(t->on, t->kernel);
    const size_t size = t->on->attributes.value_size;
    const double bound = 1e-5 + 2 * unit_of(t->on->shape.dtype);
    if (!only_reads(t) || !is_tame(t) || t->on->launch.inputs[2].weight != NULL)
        return not_asked(verdict);
    ZX_TRY(zx_results_open(t->on, plain, 0xff, &results));
    each_cached(t, results.kv.memory, equal_value);
    ZX_TRY(zx_trial_run(t, &run, &results, verdict));
    const zx_operand *y = &results.outputs[0];
    for (size_t i = 0; i < y->rows * y->columns && *verdict == ZX_HOLDS; i++) {
        const double wanted = 0.75 + (double)(i % y->columns % size % 4);
        const double got = value_at(y, i / y->columns, i % y->columns);
        if (!(fabs(got - wanted) <= bound * wanted))
            return broken_value(t, i / y->columns, i % y->columns, wanted, got, verdict);
    }
    return ZMLX_OK;
}

static size_t heads_of(const zx_trial *t)
{
    return zx_case_width(&t->on->shape, ZX_WIDTH_HEAD_COUNT);
}

/* Rows with every head twice, one behind the other. */
static zmlx_status double_rows(zx_trial *t, const zx_operand *x, zx_operand *twice)
{
    zx_operand like = *x;
    const size_t bytes = zx_case_row_bytes(x) / heads_of(t);
    like.columns *= 2;
    ZX_TRY(zx_case_operand(&t->on->arena, &like, plain, 0xff, twice));
    for (size_t i = 0; i < x->rows * 2 * heads_of(t); i++) {
        const size_t row = i / 2 / heads_of(t), head = i % (2 * heads_of(t));
        memcpy((char *)twice->data + row * twice->stride + head * bytes,
               (const char *)x->data + row * x->stride + head / 2 * bytes, bytes);
    }
    return ZMLX_OK;
}

/* A dense vector with a value for every head. */
static zmlx_status double_vector(zx_trial *t, const zx_weight *weight, zx_operand *x)
{
    const zx_operand values = {.data = (void *)(uintptr_t)weight->codes,
                               .rows = 1,
                               .columns = weight->columns,
                               .stride = weight->codes_stride,
                               .dtype = weight->dtype};
    zx_operand twice;
    void *memory = NULL;
    ZX_TRY(double_rows(t, &values, &twice));
    ZX_TRY(zx_arena_alloc(&t->on->arena, sizeof *weight, &memory));
    zx_weight *const doubled = memory;
    *doubled = *weight;
    doubled->columns = x->columns = twice.columns;
    doubled->codes = twice.data;
    doubled->codes_stride = twice.stride;
    x->weight = doubled;
    return ZMLX_OK;
}

/* The first (0) or the second (1) of every two heads. */
static void take_half(const zx_trial *t, const zx_operand *twice, size_t which, zx_operand *y)
{
    const size_t heads = heads_of(t), bytes = zx_case_row_bytes(y) / heads;
    for (size_t i = 0; i < y->rows * heads; i++)
        memcpy((char *)y->data + i / heads * y->stride + i % heads * bytes,
               (const char *)twice->data + i / heads * twice->stride +
                   (i % heads * 2 + which) * bytes,
               bytes);
}

zmlx_status zx_check_heads(zx_trial *t, zx_verdict *verdict)
{
    zx_launch launch = t->on->launch;
    zx_results twice, half;
    zx_run run = zx_run_all(t->on, t->kernel);
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++) {
        const zx_operand *x = &t->on->launch.inputs[i];
        const zx_width width = t->on->row->inputs[i].columns;
        if (width == ZX_WIDTH_HEADS || width == ZX_WIDTH_HEADS_OF_VALUES)
            ZX_TRY(double_rows(t, x, &launch.inputs[i]));
        if (width == ZX_WIDTH_HEAD_COUNT) ZX_TRY(double_vector(t, x->weight, &launch.inputs[i]));
    }
    run.launch = &launch;
    ZX_TRY(zx_results_open(t->on, plain, 0xff, &twice));
    ZX_TRY(zx_results_open(t->on, plain, 0xff, &half));
    zx_operand like = twice.outputs[0];
    like.columns *= 2;
    ZX_TRY(zx_case_operand(&t->on->arena, &like, plain, 0xff, &twice.outputs[0]));
    ZX_TRY(zx_trial_run(t, &run, &twice, verdict));
    half.kv = twice.kv;
    for (size_t which = 0; which < 2 && *verdict == ZX_HOLDS; which++) {
        take_half(t, &twice.outputs[0], which, &half.outputs[0]);
        ZX_TRY(zx_trial_same(t, &t->got, &half, verdict));
    }
    return ZMLX_OK;
}

zmlx_status zx_check_sums(zx_trial *t, zx_verdict *verdict)
{
    const zx_operand *y = &t->got.outputs[0];
    if (!is_tame(t)) return not_asked(verdict);
    for (size_t row = 0; row < y->rows; row++) {
        double sum = 0;
        for (size_t i = 0; i < y->columns; i++) sum += value_at(y, row, i);
        if (!(fabs(sum - 1) <= 1e-5)) return broken_value(t, row, 0, 1, sum, verdict);
    }
    return ZMLX_OK;
}

zmlx_status zx_check_rotation(zx_trial *t, zx_verdict *verdict)
{
    const zx_operand *x = &t->on->launch.inputs[0], *y = &t->got.outputs[0];
    const size_t head = t->on->attributes.head_size;
    if (!is_tame(t)) return not_asked(verdict);
    for (size_t i = 0; i < y->rows * y->columns / head; i++) {
        const size_t row = i * head / y->columns, first = i * head % y->columns;
        double before = 0, after = 0;
        for (size_t k = first; k < first + head; k++) {
            before += pow(value_at(x, row, k), 2);
            after += pow(value_at(y, row, k), 2);
        }
        if (!(fabs(after - before) <= (1e-5 + 2 * unit_of(x->dtype)) * before))
            return broken_value(t, row, first, before, after, verdict);
    }
    return ZMLX_OK;
}

/* Twice the values; of integers twice their scales. */
static void double_values(const zx_operand *x)
{
    const size_t slots = zx_activation_slots(x->layout), columns = x->columns / slots;
    for (size_t row = 0; row < x->rows; row++) {
        char *const at = (char *)x->data + row * x->stride;
        for (size_t i = 0; x->dtype != ZX_QUANTIZED && i < x->columns; i++)
            zx_store(x->dtype, at, i, 2 * zx_load(x->dtype, at, i));
        for (size_t i = 0; x->dtype == ZX_QUANTIZED && i < slots; i++) {
            const zx_activation_row parts = zx_activation_parts(
                x->layout, columns, at + i * zx_activation_slot_bytes(x->layout, columns));
            for (size_t g = 0; g < columns / x->layout.group; g++) {
                parts.scale[g] *= 2;
                parts.sum[g] *= 2;
            }
        }
    }
}

/* Not with f16: its small numbers are not spaced like the large ones. */
zmlx_status zx_check_twice(zx_trial *t, zx_verdict *verdict)
{
    zx_launch launch = t->on->launch;
    zx_results doubled, results;
    zx_run run = zx_run_all(t->on, t->kernel);
    if (!is_tame(t) || t->on->shape.dtype == ZX_F16 || (t->on->shape.bits & ZX_BIT_BIAS) != 0)
        return not_asked(verdict);
    ZX_TRY(zx_case_move(&t->on->arena, &t->on->launch.inputs[0], plain, &launch.inputs[0]));
    double_values(&launch.inputs[0]);
    run.launch = &launch;
    ZX_TRY(zx_results_open(t->on, plain, 0xff, &results));
    ZX_TRY(zx_results_open(t->on, plain, 0xff, &doubled));
    ZX_TRY(zx_trial_run(t, &run, &results, verdict));
    for (size_t i = 0; i < ZX_MAX_OUTPUTS; i++) {
        const zx_operand *y = &t->got.outputs[i];
        if (y->data == NULL) continue;
        ZX_TRY(zx_case_move(&t->on->arena, y, plain, &doubled.outputs[i]));
        double_values(&doubled.outputs[i]);
    }
    return zx_trial_same(t, &doubled, &results, verdict);
}

/* Each expert one place further on. */
static zmlx_status turn_experts(zx_arena *arena, const zx_weight *weight, zx_operand *x)
{
    void *memory = NULL;
    ZX_TRY(zx_arena_alloc(arena, (weight->count + 1) * sizeof(zx_weight), &memory));
    zx_weight *const turned = memory;
    for (size_t i = 0; i < weight->count; i++)
        turned[1 + (i + 1) % weight->count] = zx_weight_matrix(weight, i);
    turned[0] = *weight;
    turned[0].matrices = turned + 1;
    x->weight = turned;
    return ZMLX_OK;
}

zmlx_status zx_check_experts(zx_trial *t, zx_verdict *verdict)
{
    zx_launch launch = t->on->launch;
    zx_results results;
    zx_run run = zx_run_all(t->on, t->kernel);
    zx_operand *const indices = &launch.inputs[1];
    const size_t experts = t->on->shape.dims[ZX_DIM_EXPERTS];
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++)
        if (t->on->row->inputs[i].kind == ZX_KIND_MATRICES)
            ZX_TRY(turn_experts(&t->on->arena, launch.inputs[i].weight, &launch.inputs[i]));
    ZX_TRY(zx_case_move(&t->on->arena, &t->on->launch.inputs[1], plain, indices));
    for (size_t i = 0; i < indices->rows * indices->columns; i++) {
        int32_t *const index = (int32_t *)indices->data + i;
        *index = (int32_t)(((size_t)*index + 1) % experts);
    }
    run.launch = &launch;
    ZX_TRY(zx_results_open(t->on, plain, 0xff, &results));
    ZX_TRY(zx_trial_run(t, &run, &results, verdict));
    return zx_trial_same(t, &t->got, &results, verdict);
}

/* Whether value i of the row stands before value j: larger, or equal and first; NaN last. */
static bool stands_before(const zx_operand *x, size_t row, size_t i, size_t j)
{
    const double a = value_at(x, row, i), b = value_at(x, row, j);
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b) ? i < j : isnan(b);
    return a > b || (a == b && i < j);
}

/* Each is preceded by as many as stand before it. */
zmlx_status zx_check_choice(zx_trial *t, zx_verdict *verdict)
{
    const zx_operand *x = &t->on->launch.inputs[0];
    const zx_operand *y = &t->got.outputs[t->got.outputs[0].dtype == ZX_I32 ? 0 : 1];
    for (size_t i = 0; i < y->rows * y->columns; i++) {
        const size_t row = i / y->columns, rank = i % y->columns;
        int32_t chosen;
        memcpy(&chosen, (const char *)y->data + row * y->stride + rank * sizeof chosen,
               sizeof chosen);
        size_t before = 0;
        for (size_t k = 0; chosen >= 0 && k < x->columns; k++)
            before += stands_before(x, row, k, (size_t)chosen);
        if (chosen < 0 || before != rank)
            return broken_value(t, row, rank, (double)rank, (double)before, verdict);
    }
    return ZMLX_OK;
}

/* What the integers of a row stand for. */
static void decode_row(const zx_operand *y, size_t row, float *values)
{
    const zx_activation_row parts =
        zx_activation_parts(y->layout, y->columns, (char *)y->data + row * y->stride);
    const size_t run = y->layout.group < 32 ? y->layout.group : 32;
    for (size_t i = 0; i < y->columns; i++) {
        const size_t half = i % run / 2 + i % 2 * (run / 2);
        const size_t at = y->layout.order == ZX_ORDER_NATURAL ? i : i / run * run + half;
        const int code = y->layout.planes == 2 ? 256 * parts.plane[0][at] + parts.plane[1][at]
                                               : parts.plane[0][at];
        values[i] = (float)code * parts.scale[i / y->layout.group];
    }
}

static bool same_codes(const zx_operand *a, const zx_operand *b, size_t row)
{
    return memcmp((const char *)a->data + row * a->stride, (const char *)b->data + row * b->stride,
                  a->layout.planes * zx_activation_plane_bytes(a->columns)) == 0;
}

zmlx_status zx_check_again(zx_trial *t, zx_verdict *verdict)
{
    zx_launch launch = t->on->launch;
    zx_results results;
    zx_run run = zx_run_all(t->on, t->kernel);
    const zx_operand *y = &t->got.outputs[0];
    if (t->kernel->op != ZX_OP_QUANTIZE || t->on->shape.dtype != ZX_F32 || !is_tame(t))
        return not_asked(verdict);
    ZX_TRY(zx_case_move(&t->on->arena, &t->on->launch.inputs[0], plain, &launch.inputs[0]));
    for (size_t row = 0; row < y->rows; row++)
        decode_row(
            y, row,
            (float *)(void *)((char *)launch.inputs[0].data + row * launch.inputs[0].stride));
    run.launch = &launch;
    ZX_TRY(zx_results_open(t->on, plain, 0xff, &results));
    ZX_TRY(zx_trial_run(t, &run, &results, verdict));
    t->why = "the integers of what the integers stand for are others";
    for (size_t row = 0; row < y->rows && *verdict == ZX_HOLDS; row++)
        if (!same_codes(y, &results.outputs[0], row)) *verdict = ZX_BROKEN;
    return ZMLX_OK;
}
