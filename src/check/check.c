/* check.c - every kernel on many cases, every property on each; failures made small. */
#include "check/check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "check/properties.h"

enum {
    DEFAULT_COUNT = 20,
    THREADS = 3,
    MOST_TRIES = 1000,
    /* seeds for a case that a kernel takes */ ABOUT = 640,
    COMMAND = 256,
    MOST_SHRINKS = 400
};

typedef struct found {
    zmlx_check_row row;
    char about[ABOUT], command[COMMAND];
} found;

struct zmlx_check {
    zx_arena arena; /* of rows and counts */
    size_t count;
    found *rows;
    size_t *held; /* [zx_property_count] */
    zx_pool *pool;
};

/* What one kernel showed on one case. */
typedef struct outcome {
    bool taken;
    const zx_property *broken;
    zx_measure measure, difference;
    zx_beyond beyond;
    const char *why;
    size_t checks;
} outcome;

static bool is_wanted(const zmlx_check_options *options, const zx_kernel *kernel)
{
    return (options->op == NULL || strcmp(options->op, zx_ops[kernel->op].text) == 0) &&
           (options->kernel == NULL || strcmp(options->kernel, kernel->name) == 0) &&
           (options->backend == NULL ||
            strcmp(options->backend, zx_backend_names[kernel->backend]) == 0);
}

static zmlx_status no_match(const zmlx_check_options *options)
{
    return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                   "no kernel of op '%s', name '%s', backend '%s'; 'zmlx kernels' lists them",
                   options->op != NULL ? options->op : "any",
                   options->kernel != NULL ? options->kernel : "any",
                   options->backend != NULL ? options->backend : "any");
}

static zmlx_status check_properties(zmlx_check *check, zx_trial *t, outcome *seen)
{
    for (size_t i = 0; i < zx_property_count; i++) {
        const zx_property *property = &zx_properties[i];
        zx_verdict verdict = ZX_HOLDS;
        if ((t->on->row->traits & property->traits) != property->traits) continue;
        t->why = NULL;
        t->found = (zx_measure){0};
        t->beyond = (zx_beyond){0};
        ZX_TRY(property->check(t, &verdict));
        seen->checks += verdict != ZX_NOT_ASKED;
        check->held[i] += verdict == ZX_HOLDS;
        if (verdict != ZX_BROKEN) continue;
        seen->broken = property;
        seen->difference = t->found;
        seen->beyond = t->beyond;
        seen->why = t->why;
        return ZMLX_OK;
    }
    return ZMLX_OK;
}

static zmlx_status try_kernel(zmlx_check *check, const zx_kernel *kernel,
                              const zx_case_shape *shape, outcome *seen)
{
    zx_case made;
    zx_trial t;
    zx_verdict verdict = ZX_HOLDS;
    *seen = (outcome){0};
    zmlx_status status = zx_case_open(shape, &made);
    if (status == ZMLX_OK && !kernel->applies(&made.launch)) verdict = ZX_NOT_ASKED;
    if (status == ZMLX_OK && verdict == ZX_HOLDS)
        status = zx_trial_begin(&made, kernel, check->pool, &t, &verdict);
    seen->taken = status == ZMLX_OK && verdict != ZX_NOT_ASKED;
    if (status == ZMLX_OK && verdict == ZX_BROKEN) {
        seen->broken = &zx_properties[0];
        seen->why = t.why;
    }
    if (status == ZMLX_OK && verdict == ZX_HOLDS) {
        seen->measure = t.measure;
        status = check_properties(check, &t, seen);
    }
    zx_case_close(&made);
    return status;
}

/* Takes every step that keeps the property broken. */
static zmlx_status shrink(zmlx_check *check, const zx_kernel *kernel, zx_case_shape *shape,
                          outcome *seen)
{
    size_t tries = 0;
    for (size_t way = 0; way < ZX_CASE_WAYS && tries < MOST_SHRINKS; way++) {
        zx_case_shape smaller;
        outcome now;
        if (!zx_case_smaller(shape, way, &smaller)) continue;
        ZX_TRY(try_kernel(check, kernel, &smaller, &now));
        tries++;
        if (now.broken != seen->broken) continue;
        *shape = smaller;
        *seen = now;
        way = SIZE_MAX; /* from the first again */
    }
    return ZMLX_OK;
}

static void describe(found *row, const zx_kernel *kernel, const zx_case_shape *shape,
                     const outcome *seen)
{
    char text[ZX_CASE_TEXT];
    const zx_measure *m = &seen->difference;
    zx_case_describe(shape, text);
    if (seen->why != NULL)
        (void)snprintf(row->about, sizeof row->about, "%s: %s", text, seen->why);
    else
        (void)snprintf(row->about, sizeof row->about,
                       "%s: %zu values differ; %s %zu, row %zu, column %zu: wanted %.9g (%a), got "
                       "%.9g (%a)",
                       text, m->wrong, m->output < ZX_MAX_OUTPUTS ? "output" : "the cache, output",
                       m->output, m->row, m->column, m->wanted, m->wanted, m->got, m->got);
    const size_t used = strlen(row->about);
    if (seen->beyond.what != NULL)
        (void)snprintf(row->about + used, sizeof row->about - used, "; %s of %s %.3g, at most %.3g",
                       seen->beyond.what, seen->beyond.dtype, seen->beyond.error,
                       seen->beyond.bound);
    (void)snprintf(row->command, sizeof row->command,
                   "zmlx kernels --check --op %s --kernel %s --seed %" PRIu64 " --count 1",
                   zx_ops[kernel->op].text, kernel->name, row->row.seed);
    row->row.broken = seen->broken->name;
    row->row.about = row->about;
    row->row.command = row->command;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* The type's errors in the row, in the order in which types were met. */
static zmlx_check_errors *errors_of(zmlx_check_row *row, const char *dtype)
{
    for (size_t i = 0; i < row->dtype_count; i++)
        if (strcmp(row->errors[i].dtype, dtype) == 0) return &row->errors[i];
    assert(row->dtype_count < ZMLX_CHECK_DTYPES);
    row->errors[row->dtype_count].dtype = dtype;
    return &row->errors[row->dtype_count++];
}

/* The bound depends on the case: both numbers are those of the case that came nearest to it. */
static void add_nmse(zmlx_check_errors *to, double is, double most)
{
    const bool nearer = is * to->nmse_bound > to->nmse * most;
    const bool stricter = is <= 0 && to->nmse <= 0 && most < to->nmse_bound;
    if (to->nmse_bound > 0 && (most <= 0 || !(nearer || stricter))) return;
    to->nmse = larger(is, most > 0 ? 0 : to->nmse);
    to->nmse_bound = most;
}

static void add_errors(zmlx_check_row *row, const zx_measure *m)
{
    for (size_t dtype = 0; dtype < ZX_MEASURED_DTYPES; dtype++) {
        const zx_errors *is = &m->by[dtype].errors, *most = &m->by[dtype].bounds;
        if (!m->by[dtype].measured) continue;
        zmlx_check_errors *const to = errors_of(row, zx_measured_name(dtype));
        add_nmse(to, is->nmse, most->nmse);
        to->row_max = larger(to->row_max, is->row_max);
        to->ulps = larger(to->ulps, is->ulps);
        to->row_max_bound = larger(to->row_max_bound, most->row_max);
        to->ulps_bound = larger(to->ulps_bound, most->ulps);
    }
}

static zmlx_status check_case(zmlx_check *check, const zx_kernel *kernel, uint64_t seed, found *row)
{
    outcome seen;
    zx_case_shape shape = zx_case_shape_of(kernel->op, seed);
    ZX_TRY(try_kernel(check, kernel, &shape, &seen));
    row->row.cases += seen.taken;
    row->row.checks += seen.checks;
    add_errors(&row->row, &seen.measure);
    if (seen.broken == NULL) return ZMLX_OK;
    row->row.seed = seed;
    ZX_TRY(shrink(check, kernel, &shape, &seen));
    describe(row, kernel, &shape, &seen);
    return ZMLX_OK;
}

/* As many cases as are wanted of those that the kernel takes. */
static zmlx_status check_kernel(zmlx_check *check, const zx_kernel *kernel,
                                const zmlx_check_options *options, found *row)
{
    const size_t cases = options->count > 0 ? options->count : DEFAULT_COUNT;
    const uint64_t seed = options->seed > 0 ? options->seed : 1;
    for (size_t i = 0; i < MOST_TRIES * cases && row->row.cases < cases; i++) {
        if (row->row.broken != NULL) break;
        ZX_TRY(check_case(check, kernel, seed + i, row));
    }
    return ZMLX_OK;
}

static zmlx_status run(zmlx_check *check, const zx_kernel *kernels, size_t count,
                       const zmlx_check_options *options)
{
    void *memory = NULL;
    ZX_TRY(zx_arena_alloc(&check->arena, zx_property_count * sizeof *check->held, &memory));
    check->held = memory;
    memset(check->held, 0, zx_property_count * sizeof *check->held);
    ZX_TRY(zx_arena_alloc(&check->arena, (count + 1) * sizeof *check->rows, &memory));
    check->rows = memory;
    ZX_TRY(zx_pool_create(THREADS, &check->pool));
    for (size_t i = 0; i < count; i++) {
        const zx_kernel *kernel = &kernels[i];
        zx_progress("kernels", i, count);
        if (!is_wanted(options, kernel)) continue;
        found *const row = &check->rows[check->count++];
        *row = (found){.row = {.kernel = kernel->name,
                               .op = zx_ops[kernel->op].text,
                               .backend = zx_backend_names[kernel->backend],
                               .usable = zx_kernel_usable(kernel)}};
        if (row->row.usable) ZX_TRY(check_kernel(check, kernel, options, row));
    }
    zx_progress("kernels", count, count);
    return check->count > 0 ? ZMLX_OK : no_match(options);
}

zmlx_status zx_check_table(const zx_kernel *kernels, size_t count,
                           const zmlx_check_options *options, zmlx_check **check)
{
    static const zmlx_check_options defaults = {0};
    void *memory = NULL;
    *check = NULL;
    ZX_TRY(zx_alloc(sizeof **check, "a check of kernels", &memory));
    zmlx_check *const made = memory;
    const zmlx_status status = run(made, kernels, count, options != NULL ? options : &defaults);
    zx_pool_destroy(made->pool);
    made->pool = NULL;
    if (status == ZMLX_OK)
        *check = made;
    else
        zmlx_check_close(made);
    return status;
}

zmlx_status zmlx_check_kernels(const zmlx_check_options *options, zmlx_check **check)
{
    return zx_check_table(zx_kernels, zx_kernel_count, options, check);
}

size_t zmlx_check_count(const zmlx_check *check)
{
    return check->count;
}

size_t zmlx_check_broken(const zmlx_check *check)
{
    size_t broken = 0;
    for (size_t i = 0; i < check->count; i++) broken += check->rows[i].row.broken != NULL;
    return broken;
}

zmlx_status zmlx_check_describe(const zmlx_check *check, size_t index, zmlx_check_row *row)
{
    if (index >= check->count)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "no row %zu; the check has %zu", index, check->count);
    *row = check->rows[index].row;
    return ZMLX_OK;
}

size_t zmlx_check_property_count(void)
{
    return zx_property_count;
}

zmlx_status zmlx_check_describe_property(const zmlx_check *check, size_t index,
                                         zmlx_check_property *property)
{
    if (index >= zx_property_count)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "no property %zu; there are %zu", index,
                       zx_property_count);
    *property = (zmlx_check_property){zx_properties[index].name, zx_properties[index].text,
                                      check->held[index]};
    return ZMLX_OK;
}

void zmlx_check_close(zmlx_check *check)
{
    if (check == NULL) return;
    zx_arena_reset(&check->arena);
    zx_free(check);
}
