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

#ifdef __cplusplus
}
#endif
#endif
