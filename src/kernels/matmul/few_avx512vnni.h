/* few_avx512vnni.h - the integer matmuls for few tokens, which matmul_avx512vnni.c chooses. */
#ifndef ZX_KERNELS_MATMUL_FEW_AVX512VNNI_H
#define ZX_KERNELS_MATMUL_FEW_AVX512VNNI_H

#include "kernels/kernels.h"

enum { ZX_FEW_PLANES = 4 }; /* tokens times planes are at most this */

/* A part of a zx_matmul; parts are runs of strips. */
void zx_run_few(const void *context, size_t part, size_t parts, size_t thread);

/* Bytes of scratch per thread. */
size_t zx_few_scratch(const zx_launch *launch);

#endif
