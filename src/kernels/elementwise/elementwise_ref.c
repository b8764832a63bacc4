/* elementwise_ref.c - ops on single elements.  Normative, T the output's dtype (that of the first
 * input where the output is quantized):
 *   add          y = RN_T(a + b)
 *   mul          y = RN_T(a * b); mul_rows: b is one value for the whole row
 *   scale        y = RN_T(x * scale)
 *   position_scale  y = RN_T(x * RN_T(1 + beta * log(1 + floor(position / period)))), position and
 *                period as f32, log of vmath.h, each step rounded to f32
 *   activation   y = RN_T(f(x)), f a function of graph/activations.def as vmath.h has it, in f32
 *   glu          y = RN_T(RN_T(f(gate)) * up)
 *   glu_quantize the row of glu, then the formula of quant/activation.h
 *   softcap      y = RN_T(limit * tanh(x / limit)), each step rounded to f32
 *   clamped_glu  y = RN_T((u + 1) * (g * sigmoid(alpha * g))), each step rounded to f32,
 *                g = min(gate, limit), u = min(max(up, -limit), limit)
 * Every CPU kernel of these ops returns these bits. */
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_ref
#include "kernels/elementwise/elementwise_body.h"
