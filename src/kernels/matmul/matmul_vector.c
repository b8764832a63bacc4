/* matmul_vector.c - matmuls of activations that are not quantized, in the compiler's vectors. */
#include "kernels/kernels.h"
#include "kernels/matmul/v16_vector.h"

#define ZX_KERNEL(name) zx_##name##_vector
#include "kernels/matmul/floats_body.h"
