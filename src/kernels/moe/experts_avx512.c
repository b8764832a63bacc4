/* experts_avx512.c - the matmuls of experts, with what lies between them for AVX-512. */
#ifdef __AVX512F__
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_avx512
#include "kernels/moe/experts_body.h"
#endif
