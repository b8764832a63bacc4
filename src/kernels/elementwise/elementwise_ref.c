/* elementwise_ref.c - ops on single elements.  Normative, T the output's dtype (that of the first
 * input where the output is quantized):
 *   add     y = RN_T(a + b)
 *   mul     y = RN_T(a * b)
 *   silu    y = RN_T(x * sigmoid(x)), the sigmoid and the product as vmath.h has them, in f32
 *   swiglu  y = RN_T(RN_T(gate * sigmoid(gate)) * up)
 *   swiglu_quantize  the row of swiglu, then the formula of quant/activation.h
 * Every CPU kernel of these ops returns these bits. */
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_ref
#include "kernels/elementwise/elementwise_body.h"
