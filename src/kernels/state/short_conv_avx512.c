/* short_conv_avx512.c - the reference's loops, vectorized by the compiler for AVX-512. */
#ifdef __AVX512F__
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_avx512
#include "kernels/state/short_conv_body.h"
#endif
