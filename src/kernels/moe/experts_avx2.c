/* experts_avx2.c - the matmuls of experts, with what lies between them for AVX2. */
#ifdef __AVX2__
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_avx2
#include "kernels/moe/experts_body.h"
#endif
