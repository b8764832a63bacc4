/* matmul_avx512.c - matmuls of activations that are not quantized, for AVX-512. */
#ifdef __AVX512F__
#include "kernels/matmul/v16_avx512.h"

#define ZX_KERNEL(name) zx_##name##_avx512
#include "kernels/matmul/floats_body.h"
#endif
