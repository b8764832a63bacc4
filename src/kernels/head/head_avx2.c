/* head_avx2.c - the best matmul there is, with the soft cap vectorized for AVX2. */
#ifdef __AVX2__
#include "kernels/kernels.h"

#define ZX_KERNEL(name)     zx_##name##_avx2
#define HEAD_MATMUL(launch) zx_kernel_choose(ZX_OP_MATMUL, launch)
#include "kernels/head/head_body.h"
#endif
