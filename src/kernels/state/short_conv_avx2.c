/* short_conv_avx2.c - the reference's loops, vectorized by the compiler for AVX2. */
#ifdef __AVX2__
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_avx2
#include "kernels/state/short_conv_body.h"
#endif
