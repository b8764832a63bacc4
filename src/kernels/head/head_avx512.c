/* head_avx512.c - the best matmul there is, with the soft cap vectorized for AVX-512. */
#ifdef __AVX512F__
#include "kernels/kernels.h"

#define ZX_KERNEL(name)     zx_##name##_avx512
#define HEAD_MATMUL(launch) zx_kernel_choose(ZX_OP_MATMUL, launch)
#include "kernels/head/head_body.h"
#endif
