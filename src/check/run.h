/* run.h - runs of a kernel on a case, and what their results have in common. */
#ifndef ZX_CHECK_RUN_H
#define ZX_CHECK_RUN_H

#include "check/case.h"

/* Fresh outputs and, where the op has a cache, a copy of its pages. */
typedef struct zx_results {
    zx_operand outputs[ZX_MAX_OUTPUTS];
    zx_kv_pages kv;
    uint8_t poison;
} zx_results;

ZMLX_MUST_CHECK zmlx_status zx_results_open(zx_case *on, zx_placement placement, uint8_t poison,
                                            zx_results *results);

/* One run over the result rows [first, end). */
typedef struct zx_run {
    const zx_kernel *kernel;
    const zx_launch *launch; /* NULL: the case's */
    zx_pool *pool;
    size_t first, end;
} zx_run;

/* The whole case. */
zx_run zx_run_all(const zx_case *on, const zx_kernel *kernel);

typedef enum zx_ran {
    ZX_RAN,
    ZX_NOT_MINE,   /* the kernel does not apply to these rows */
    ZX_RAN_BEYOND, /* it wrote beyond its scratch */
    ZX_RAN_INTO_ERROR,
} zx_ran;

/* Fails only where memory runs out. */
ZMLX_MUST_CHECK zmlx_status zx_case_run(zx_case *on, const zx_run *run, zx_results *results,
                                        zx_ran *ran);

/* Whether nothing was written outside the rows. */
bool zx_results_within(const zx_case *on, const zx_results *results);

/* How far the values of one dtype are from those expected, or may be; 0: every bit agrees. */
typedef struct zx_errors {
    double nmse;    /* sum of squared errors / sum of squares */
    double row_max; /* largest |error| / largest |value| of its row */
    double ulps;    /* largest distance in values of the dtype, of values that are not small in
                       their row (less than a 16th of its largest) */
} zx_errors;

enum { ZX_MEASURED_DTYPES = ZX_QUANTIZED + 1 };
const char *zx_measured_name(size_t dtype); /* "f16", "integers" */

typedef struct zx_measure {
    struct {
        bool measured; /* an output or the cache is of this dtype */
        zx_errors errors, bounds;
        double largest; /* square of the largest value / sum of squares */
    } by[ZX_MEASURED_DTYPES];
    bool exact;                 /* no value may differ; of the bounds */
    size_t wrong;               /* values that differ; NaN is equal to NaN */
    size_t output, row, column; /* of the first that differs */
    double wanted, got;
} zx_measure;

/* The first error beyond its bound; all 0 where no value may differ. */
typedef struct zx_beyond {
    const char *dtype, *what; /* "f16", "NMSE" */
    double error, bound;
} zx_beyond;

/* Of all rows, or of one ('only' not SIZE_MAX).  Fails only where memory runs out. */
ZMLX_MUST_CHECK zmlx_status zx_results_measure(zx_case *on, const zx_results *wanted,
                                               const zx_results *got, size_t only,
                                               zx_measure *measure);

/* Fills in the bounds, those that follow from the op's tolerance (of a kernel that rounds its own
 * way), or 0: bit for bit. */
void zx_measure_bound(const zx_case *on, const zx_kernel *kernel, zx_measure *measure);
/* Whether the errors of every dtype are within them; 'beyond' says which is not. */
bool zx_measure_holds(const zx_measure *measure, zx_beyond *beyond);

/* Folds the results into a number that follows from their bits (any NaN counts as any other). */
ZMLX_MUST_CHECK zmlx_status zx_results_digest(zx_case *on, const zx_results *results,
                                              uint64_t *digest);

/* An element of the cache. */
typedef struct zx_cached {
    size_t sequence, position, head, d;
    bool is_value;
} zx_cached;

/* Its array and its index in there, in pages that lie in 'memory'. */
void *zx_case_cached(const zx_case *made, uint8_t *memory, const zx_cached *at, size_t *index);

#endif
