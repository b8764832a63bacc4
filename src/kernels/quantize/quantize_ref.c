/* quantize_ref.c - rows of activations to integers; quant/activation.h has the formulas, which are
 * normative.  The output's layout says how. */
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_ref
#include "kernels/quantize/quantize_body.h"
