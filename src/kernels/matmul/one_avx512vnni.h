/* one_avx512vnni.h - the integer matmuls for one token and Q4_1 with short rows, which
 * matmul_avx512vnni.c chooses. */
#ifndef ZX_KERNELS_MATMUL_ONE_AVX512VNNI_H
#define ZX_KERNELS_MATMUL_ONE_AVX512VNNI_H

#include "kernels/matmul/matmul.h"

/* True where x is one token and every weight one that zx_run_one takes. */
bool zx_one_applies(const zx_matmul *matmul);

enum { ZX_ONE_SCRATCH = 8 << 10 }; /* bytes per thread */

/* A part of a zx_matmul; parts are runs of strips. */
void zx_run_one(const void *context, size_t part, size_t parts, size_t thread);

#endif
