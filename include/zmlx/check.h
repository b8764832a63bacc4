/* check.h - what this machine computes: a fingerprint of its kernels, and a check of each of them
 * against its reference. */
#ifndef ZMLX_CHECK_H
#define ZMLX_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zmlx/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZMLX_FINGERPRINT_CLASSES = 16, ZMLX_FINGERPRINT_TEXT = 512 };

typedef struct zmlx_fingerprint_class {
    const char *name; /* such as "sums" or "matmul_q16" */
    uint64_t digest;  /* of the bits that its probes gave */
    size_t probes;
    bool may_differ; /* from one instruction set to another; no other class may */
} zmlx_fingerprint_class;

typedef struct zmlx_fingerprint {
    size_t count, probes;
    zmlx_fingerprint_class classes[ZMLX_FINGERPRINT_CLASSES];
} zmlx_fingerprint;

/* Runs some thirty probes, fixed inputs through the kernels that this machine chooses (about 20 ms,
 * one thread).  Two machines, or two builds, whose digests of a class agree compute alike there.
 * Digests are comparable within one version of the library. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_fingerprint_take(zmlx_fingerprint *fingerprint);

/* "exact=0123456789abcdef sums=..." */
ZMLX_API void zmlx_fingerprint_print(const zmlx_fingerprint *fingerprint,
                                     char text[ZMLX_FINGERPRINT_TEXT]);

typedef struct zmlx_check_options {    /* zero means the default */
    const char *op, *kernel, *backend; /* names; NULL: all */
    uint64_t seed;                     /* of the first case; default 1 */
    size_t count;                      /* cases that each kernel takes; default 20 */
} zmlx_check_options;

/* How far values of one type are from the reference's, in the worst case, and how far they may be.
 */
typedef struct zmlx_check_errors {
    const char *dtype; /* "f16"; "integers": quantized rows */
    double nmse;       /* squared errors / squares */
    double row_max;    /* largest |error| / largest |value| of its row */
    double ulps; /* largest distance in values of the type, of values not small in their row */
    double nmse_bound, row_max_bound, ulps_bound; /* 0: every bit must agree */
} zmlx_check_errors;

enum { ZMLX_CHECK_DTYPES = 6 };

/* What was found about one kernel.  Texts belong to the check. */
typedef struct zmlx_check_row {
    const char *kernel, *op, *backend;
    bool usable;          /* false: it cannot run here, and was not checked */
    size_t cases, checks; /* that it took; properties that were asked of it */
    size_t dtype_count;   /* types that its outputs had */
    zmlx_check_errors errors[ZMLX_CHECK_DTYPES];
    const char *broken;  /* the property that does not hold, or NULL */
    const char *about;   /* the smallest case found: its shape and the first difference */
    const char *command; /* that shows it again */
    uint64_t seed;       /* of the case */
} zmlx_check_row;

typedef struct zmlx_check_property {
    const char *name, *text;
    size_t held; /* how often it was asked and held */
} zmlx_check_property;

typedef struct zmlx_check zmlx_check;

/* Runs kernels on cases made from seeds, each against the reference of its op and against the
 * properties that must hold of it; what fails is made as small as it goes.  A kernel is left at
 * its first failure.  Fails for names that match nothing, with ZMLX_ERROR_ARGUMENT, and where
 * memory runs out; a broken kernel is no failure of the call. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_check_kernels(const zmlx_check_options *options,
                                                        zmlx_check **check);
ZMLX_API size_t zmlx_check_count(const zmlx_check *check);  /* rows */
ZMLX_API size_t zmlx_check_broken(const zmlx_check *check); /* rows with a broken property */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_check_describe(const zmlx_check *check, size_t index,
                                                         zmlx_check_row *row);
ZMLX_API size_t zmlx_check_property_count(void);
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_check_describe_property(const zmlx_check *check,
                                                                  size_t index,
                                                                  zmlx_check_property *property);
ZMLX_API void zmlx_check_close(zmlx_check *check); /* NULL does nothing */

#ifdef __cplusplus
}
#endif
#endif
