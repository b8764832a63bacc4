/* properties.h - what must hold of every kernel on every case, as rows. */
#ifndef ZX_CHECK_PROPERTIES_H
#define ZX_CHECK_PROPERTIES_H

#include "check/run.h"

/* A kernel on a case, with the results of the reference and of a plain run. */
typedef struct zx_trial {
    zx_case *on;
    const zx_kernel *kernel;
    zx_pool *pool;  /* of several threads, for the property that wants some */
    uint64_t state; /* of a generator */
    zx_results wanted, got;
    zx_measure measure; /* of 'got' against 'wanted' */
    uint64_t inputs;    /* a digest of them before any run */
    /* filled where a property does not hold */
    zx_measure found;
    zx_beyond beyond; /* of 'reference': the bound that is exceeded */
    const char *why;  /* instead of a difference of values */
} zx_trial;

typedef enum zx_verdict { ZX_HOLDS, ZX_NOT_ASKED, ZX_BROKEN } zx_verdict;

typedef struct zx_property {
    const char *name, *text;
    uint32_t traits; /* asked of ops with all of these */
    /* Fails only where memory runs out. */
    zmlx_status (*check)(zx_trial *t, zx_verdict *verdict);
} zx_property;

extern const zx_property zx_properties[];
extern const size_t zx_property_count;

/* Runs reference and kernel; 'verdict' is ZX_NOT_ASKED where the kernel does not take the case. */
ZMLX_MUST_CHECK zmlx_status zx_trial_begin(zx_case *on, const zx_kernel *kernel, zx_pool *pool,
                                           zx_trial *t, zx_verdict *verdict);

/* For properties. */
ZMLX_MUST_CHECK zmlx_status zx_trial_run(zx_trial *t, const zx_run *run, zx_results *results,
                                         zx_verdict *verdict);
/* Broken where 'got' is not 'wanted', bit for bit. */
ZMLX_MUST_CHECK zmlx_status zx_trial_same(zx_trial *t, const zx_results *wanted,
                                          const zx_results *got, zx_verdict *verdict);
zmlx_status zx_check_pages(zx_trial *t, zx_verdict *verdict);
zmlx_status zx_check_recycled(zx_trial *t, zx_verdict *verdict);
zmlx_status zx_check_causal(zx_trial *t, zx_verdict *verdict);
zmlx_status zx_check_window(zx_trial *t, zx_verdict *verdict);
zmlx_status zx_check_equal_values(zx_trial *t, zx_verdict *verdict);
zmlx_status zx_check_heads(zx_trial *t, zx_verdict *verdict);
zmlx_status zx_check_sums(zx_trial *t, zx_verdict *verdict);
zmlx_status zx_check_rotation(zx_trial *t, zx_verdict *verdict);
zmlx_status zx_check_twice(zx_trial *t, zx_verdict *verdict);
zmlx_status zx_check_experts(zx_trial *t, zx_verdict *verdict);
zmlx_status zx_check_choice(zx_trial *t, zx_verdict *verdict);
zmlx_status zx_check_again(zx_trial *t, zx_verdict *verdict);

#endif
