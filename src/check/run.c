#include "check/run.h"

#include <assert.h>
#include <math.h>

#include "base/fail.h"
#include "base/hash.h"

enum { GUARD = 64 };

/* Beside values of this size nothing is measured relative to them. */
#define NEGLIGIBLE 0x1p-100

static const char *row_of(const zx_operand *x, size_t row)
{
    return (const char *)x->data + row * x->stride;
}

const char *zx_measured_name(size_t dtype)
{
    return dtype == ZX_QUANTIZED ? "integers" : zx_dtypes[dtype].name;
}

zmlx_status zx_results_open(zx_case *on, zx_placement placement, uint8_t poison,
                            zx_results *results)
{
    void *memory = NULL;
    *results = (zx_results){.poison = poison};
    for (size_t i = 0; i < ZX_MAX_OUTPUTS; i++)
        if (on->launch.outputs[i].columns > 0)
            ZX_TRY(zx_case_operand(&on->arena, &on->launch.outputs[i], placement, poison,
                                   &results->outputs[i]));
    if (on->kv.memory == NULL) return ZMLX_OK;
    const size_t bytes = on->kv.page_bytes * on->kv.page_count;
    results->kv = on->kv;
    ZX_TRY(zx_arena_alloc(&on->arena, bytes + (size_t)2 * GUARD, &memory));
    memset(memory, poison, bytes + (size_t)2 * GUARD);
    results->kv.memory = (uint8_t *)memory + GUARD;
    memcpy(results->kv.memory, on->kv.memory, bytes);
    if (on->kv.states.memory != NULL) results->kv.states.memory = results->kv.memory;
    return ZMLX_OK;
}

zx_run zx_run_all(const zx_case *on, const zx_kernel *kernel)
{
    return (zx_run){.kernel = kernel, .end = on->result_rows};
}

/* The batch of the result rows [first, end): whole, with the sequences' tokens cut. */
static void cut_batch(const zx_case *on, const zx_run *run, zx_batch *batch, int32_t *token_start)
{
    *batch = on->batch;
    if ((on->row->traits & ZX_TRAIT_GATHERS) != 0) {
        batch->sampled += run->first;
        batch->sampled_rows = run->end - run->first;
        return;
    }
    for (size_t s = 0; s <= on->batch.sequences; s++) {
        size_t start = (size_t)on->token_start[s];
        start = start < run->first ? run->first : start;
        start = start > run->end ? run->end : start;
        token_start[s] = (int32_t)(start - run->first);
    }
    batch->tokens = run->end - run->first;
    batch->ids += run->first;
    batch->positions += run->first;
    batch->token_start = token_start;
}

static bool holds_poison(const void *bytes, size_t count, uint8_t poison)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++)
        if (at[i] != poison) return false;
    return true;
}

zmlx_status zx_case_run(zx_case *on, const zx_run *run, zx_results *results, zx_ran *ran)
{
    zx_batch batch;
    int32_t token_start[ZX_CASE_SEQUENCES + 1];
    zx_launch launch = run->launch != NULL ? *run->launch : on->launch;
    const size_t rows = run->end - run->first;
    void *scratch = NULL;
    cut_batch(on, run, &batch, token_start);
    launch.batch = &batch;
    launch.pool = run->pool;
    launch.kv = on->kv.memory != NULL ? &results->kv : NULL;
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++) {
        zx_operand *const x = &launch.inputs[i];
        if (x->weight != NULL || (on->row->traits & ZX_TRAIT_GATHERS) != 0) continue;
        if (x->data != NULL) x->data = (char *)x->data + run->first * x->stride;
        if (x->columns > 0) x->rows = rows;
    }
    for (size_t i = 0; i < ZX_MAX_OUTPUTS; i++) {
        launch.outputs[i] = results->outputs[i];
        launch.outputs[i].rows = rows;
        if (launch.outputs[i].data != NULL)
            launch.outputs[i].data =
                (char *)launch.outputs[i].data + run->first * launch.outputs[i].stride;
    }
    *ran = ZX_NOT_MINE;
    if (!run->kernel->applies(&launch)) return ZMLX_OK;
    const size_t bytes = run->kernel->scratch(&launch);
    ZX_TRY(zx_arena_alloc(&on->arena, bytes + GUARD, &scratch));
    memset(scratch, results->poison, bytes + GUARD);
    launch.scratch = scratch;
    const zmlx_status status = run->kernel->run(&launch);
    const bool held = holds_poison((char *)scratch + bytes, GUARD, results->poison);
    *ran = status != ZMLX_OK ? ZX_RAN_INTO_ERROR : held ? ZX_RAN : ZX_RAN_BEYOND;
    return ZMLX_OK;
}

bool zx_results_within(const zx_case *on, const zx_results *results)
{
    for (size_t i = 0; i < ZX_MAX_OUTPUTS; i++) {
        const zx_operand *y = &results->outputs[i];
        if (y->data == NULL) continue;
        const size_t bytes = zx_case_row_bytes(y);
        if (!holds_poison((char *)y->data - GUARD, GUARD, results->poison) ||
            !holds_poison(row_of(y, y->rows), GUARD, results->poison))
            return false;
        for (size_t row = 0; row < y->rows; row++)
            if (!holds_poison(row_of(y, row) + bytes, y->stride - bytes, results->poison))
                return false;
    }
    if (on->kv.memory == NULL) return true;
    const size_t bytes = on->kv.page_bytes * on->kv.page_count;
    return holds_poison(results->kv.memory - GUARD, GUARD, results->poison) &&
           holds_poison(results->kv.memory + bytes, GUARD, results->poison);
}

/* The values of a row, whatever their type: of integers the codes, scales, sums and totals. */
static size_t count_values(const zx_operand *x)
{
    if (x->dtype != ZX_QUANTIZED) return x->columns;
    assert(x->layout.group > 0);
    return x->layout.planes * x->columns + 3 * x->columns / x->layout.group;
}

static size_t slot_values(const zx_operand *x, const char *at, double *values)
{
    const size_t columns = x->columns / zx_activation_slots(x->layout);
    const size_t groups = columns / x->layout.group;
    const zx_activation_row parts = zx_activation_parts(x->layout, columns, (char *)(uintptr_t)at);
    double *to = values;
    for (size_t plane = 0; plane < x->layout.planes; plane++)
        for (size_t i = 0; i < columns; i++) *to++ = parts.plane[plane][i];
    for (size_t g = 0; g < groups; g++) {
        *to++ = (double)parts.scale[g];
        *to++ = (double)parts.sum[g];
        *to++ = parts.total[g];
    }
    return (size_t)(to - values);
}

static void row_values(const zx_operand *x, size_t row, double *values)
{
    const char *at = row_of(x, row);
    if (x->dtype == ZX_QUANTIZED) {
        const size_t slots = zx_activation_slots(x->layout), columns = x->columns / slots;
        for (size_t i = 0; i < slots; i++)
            values += slot_values(x, at + i * zx_activation_slot_bytes(x->layout, columns), values);
        return;
    }
    for (size_t i = 0; i < x->columns; i++) {
        int32_t whole = 0;
        if (x->dtype == ZX_I32) memcpy(&whole, at + i * sizeof whole, sizeof whole);
        values[i] = x->dtype == ZX_I32 ? whole : (double)zx_load(x->dtype, at, i);
    }
}

/* Outputs one after the other, then the cache: a row a page.  False behind the last. */
static bool output_at(const zx_results *results, size_t index, zx_operand *y)
{
    if (index < ZX_MAX_OUTPUTS) {
        *y = results->outputs[index];
        return true;
    }
    const zx_kv_pages *kv = &results->kv;
    if (index > ZX_MAX_OUTPUTS || kv->memory == NULL) return false;
    *y = (zx_operand){.data = kv->memory,
                      .rows = kv->page_count,
                      .columns = kv->page_bytes / zx_dtypes[kv->dtype].bytes,
                      .stride = kv->page_bytes,
                      .dtype = kv->dtype};
    return true;
}

static bool is_float(const zx_operand *y)
{
    return y->dtype != ZX_QUANTIZED && zx_dtypes[y->dtype].is_float;
}

/* The place of a value among all of its dtype, in ascending order. */
static double rank_of(zx_dtype dtype, double value)
{
    const float magnitude = (float)fabs(value);
    const uint32_t bits = dtype == ZX_F16    ? zx_f32_to_f16(magnitude)
                          : dtype == ZX_BF16 ? zx_f32_to_bf16(magnitude)
                                             : zx_bits_from_float(magnitude);
    return signbit(value) ? -(double)bits : (double)bits;
}

static bool same(double a, double b)
{
    return (a == b && signbit(a) == signbit(b)) || (isnan(a) && isnan(b));
}

typedef struct sums {
    double errors, squares, largest;
} sums;

static void measure_row(const zx_operand *y, size_t row, const double *wanted, const double *got,
                        sums *all, zx_measure *m)
{
    zx_errors *const errors = &m->by[y->dtype].errors;
    const size_t count = count_values(y);
    double worst = 0, largest = 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(wanted[i])) {
            largest = fmax(largest, fabs(wanted[i]));
            all->squares += wanted[i] * wanted[i];
        }
    all->largest = fmax(all->largest, largest);
    for (size_t i = 0; i < count; i++) {
        const double a = wanted[i], b = got[i];
        if (same(a, b)) continue;
        if (m->wrong++ == 0) {
            m->row = row;
            m->column = i;
            m->wanted = a;
            m->got = b;
        }
        const double error = isfinite(a) && isfinite(b) ? fabs(a - b) : (double)INFINITY;
        worst = fmax(worst, error);
        all->errors += error * error;
        if (is_float(y) && fmax(fabs(a), fabs(b)) >= largest / 16 + NEGLIGIBLE && !isnan(a) &&
            !isnan(b))
            errors->ulps = fmax(errors->ulps, fabs(rank_of(y->dtype, a) - rank_of(y->dtype, b)));
    }
    if (worst > 0) errors->row_max = fmax(errors->row_max, worst / (largest + NEGLIGIBLE));
}

/* Sums of a dtype become its errors. */
static void add_up(const sums *all, zx_measure *m)
{
    for (size_t dtype = 0; dtype < ZX_MEASURED_DTYPES; dtype++) {
        const double squares = all[dtype].squares + NEGLIGIBLE * NEGLIGIBLE;
        if (all[dtype].errors > 0) m->by[dtype].errors.nmse = all[dtype].errors / squares;
        m->by[dtype].largest = all[dtype].largest * all[dtype].largest / squares;
    }
}

zmlx_status zx_results_measure(zx_case *on, const zx_results *wanted, const zx_results *got,
                               size_t only, zx_measure *m)
{
    zx_operand a, b;
    sums all[ZX_MEASURED_DTYPES] = {{0}};
    *m = (zx_measure){0};
    for (size_t output = 0; output_at(wanted, output, &a); output++) {
        void *memory = NULL;
        (void)output_at(got, output, &b);
        if (a.data == NULL || (only != SIZE_MAX && output == ZX_MAX_OUTPUTS)) continue;
        const size_t before = m->wrong, count = count_values(&a);
        ZX_TRY(zx_arena_alloc(&on->arena, (2 * count + 1) * sizeof(double), &memory));
        double *const values = memory;
        m->by[a.dtype].measured = true;
        for (size_t row = 0; row < a.rows; row++) {
            if (only != SIZE_MAX && row != only) continue;
            row_values(&a, row, values);
            row_values(&b, row, values + count);
            measure_row(&a, row, values, values + count, &all[a.dtype], m);
        }
        if (before == 0 && m->wrong > 0) m->output = output;
    }
    add_up(all, m);
    return ZMLX_OK;
}

/* Whether the kernel multiplies the experts' matrices by another one that does. */
static bool multiplies_rounded(const zx_case *on)
{
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++) {
        zx_launch matmul = {.inputs = {on->launch.inputs[0], on->launch.inputs[i]},
                            .outputs = {on->launch.outputs[0]}};
        if (on->row->inputs[i].kind != ZX_KIND_MATRICES) continue;
        matmul.inputs[0].columns = matmul.inputs[1].columns; /* of one slot */
        const zx_kernel *chosen = zx_kernel_choose(ZX_OP_MATMUL, &matmul);
        if (chosen != NULL && chosen->rounded) return true;
    }
    return false;
}

/* Distance of neighbours, relative to their size; 0 where no rounding of the dtype is allowed for.
 */
static double unit_of(zx_dtype dtype)
{
    return dtype == ZX_F16 ? 0x1p-10 : dtype == ZX_BF16 ? 0x1p-7 : 0;
}

/* Roundings that lie before an output: its own; where integers or pages are made of values that
 * were rounded before, also theirs. */
static double roundings_of(const zx_case *on, zx_dtype dtype)
{
    const bool passed_on =
        dtype == ZX_QUANTIZED || (on->row->traits & (ZX_TRAIT_APPENDS | ZX_TRAIT_STATE)) != 0;
    return fmax(unit_of(dtype), passed_on ? unit_of(on->shape.dtype) : 0);
}

void zx_measure_bound(const zx_case *on, const zx_kernel *kernel, zx_measure *m)
{
    const double tolerance = zx_ops[kernel->op].tolerance;
    m->exact = !kernel->rounded && kernel->backend == ZX_BACKEND_CPU && !multiplies_rounded(on);
    for (size_t dtype = 0; dtype < ZX_MEASURED_DTYPES && !m->exact; dtype++) {
        const double unit = roundings_of(on, (zx_dtype)dtype);
        const double row_max = tolerance + 4 * unit, most = tolerance / 8;
        if (!m->by[dtype].measured || dtype == ZX_I32) continue;
        /* every value a little beside, and one of them as far as it may be */
        m->by[dtype].bounds = (zx_errors){.nmse = most * most + unit * unit / 8 +
                                                  row_max * row_max * m->by[dtype].largest,
                                          .row_max = row_max,
                                          .ulps = 16 + 2 * tolerance / fmax(unit, 0x1p-23)};
    }
}

bool zx_measure_holds(const zx_measure *m, zx_beyond *beyond)
{
    *beyond = (zx_beyond){0};
    if (m->exact || m->wrong == 0) return m->wrong == 0;
    for (size_t dtype = 0; dtype < ZX_MEASURED_DTYPES; dtype++) {
        const zx_errors *is = &m->by[dtype].errors, *most = &m->by[dtype].bounds;
        const char *const name = zx_measured_name(dtype);
        const zx_beyond all[] = {{name, "row max", is->row_max, most->row_max},
                                 {name, "NMSE", is->nmse, most->nmse},
                                 {name, "ULPs", is->ulps, most->ulps}};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
            if (!(all[i].error <= all[i].bound)) {
                *beyond = all[i];
                return false;
            }
    }
    return true;
}

zmlx_status zx_results_digest(zx_case *on, const zx_results *results, uint64_t *digest)
{
    zx_operand y;
    for (size_t output = 0; output_at(results, output, &y); output++) {
        void *memory = NULL;
        if (y.data == NULL) continue;
        const size_t count = count_values(&y);
        ZX_TRY(zx_arena_alloc(&on->arena, (count + 1) * sizeof(double), &memory));
        double *const values = memory;
        for (size_t row = 0; row < y.rows; row++) {
            row_values(&y, row, values);
            for (size_t i = 0; i < count; i++)
                if (isnan(values[i])) values[i] = (double)NAN;
            *digest = zx_hash(values, count * sizeof *values, *digest);
        }
    }
    return ZMLX_OK;
}
