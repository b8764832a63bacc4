/* few_avx2.h - the integer matmuls for few tokens, which matmul_integers_avx2.c chooses. */
#ifndef ZX_KERNELS_MATMUL_FEW_AVX2_H
#define ZX_KERNELS_MATMUL_FEW_AVX2_H

#include "kernels/kernels.h"

enum { ZX_FEW_PLANES_AVX2 = 4 }; /* tokens times planes are at most this */

/* A part of a zx_matmul; parts are runs of strips. */
void zx_run_few_avx2(const void *context, size_t part, size_t parts, size_t thread);

/* Bytes of scratch per thread. */
size_t zx_few_scratch_avx2(const zx_launch *launch);

#endif
