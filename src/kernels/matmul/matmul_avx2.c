/* matmul_avx2.c - matmuls of activations that are not quantized, for AVX2. */
#ifdef __AVX2__
#include "kernels/matmul/v16_avx2.h"

#define ZX_KERNEL(name) zx_##name##_avx2
#include "kernels/matmul/floats_body.h"
#endif
