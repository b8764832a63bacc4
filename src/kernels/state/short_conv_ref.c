/* short_conv_ref.c - a causal convolution of every column with the few tokens before it. Normative,
 * for x of C columns and a weight [L, C] (row 0 belongs to the oldest token):
 *   short_conv
 *     y_t[c] = RN_T(sum_j w[j][c] x_(t-L+1+j)[c] (+ bias[c])), j ascending with FMA from 0; tokens
 *     before the sequence are 0
 *   short_conv_activation
 *     RN_T(activation(y_t[c]))
 *   short_conv_gated (a, b, weight, gate)
 *     x = RN_T(a b), then RN_T(y_t[c] gate_t[c])
 * The state [L - 1][C] is the last inputs x, the oldest first.  Every CPU kernel of these ops
 * returns these bits.  The weight is dense; its bias has C values. */
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_ref
#include "kernels/state/short_conv_body.h"
