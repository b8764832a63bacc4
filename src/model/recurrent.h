/* recurrent.h - layers that keep a state instead of keys and values: short convolutions (LFM2) and
 * linear attention by the gated delta rule (Qwen3-Next, Qwen3.5).
 *
 *   short_conv   in_proj x = [b | c | x'];  out_proj(c * conv(b * x'))
 *   delta        q, k, v = activation(conv(projections of x)), q and k made heads of length 1,
 *                decay = exp(-exp(A_log) * softplus(a + dt_bias)), rate = sigmoid(b),
 *                out_proj(rmsnorm(gated_delta(q, k, v, decay, rate)) * silu(z)) */
#ifndef ZX_MODEL_RECURRENT_H
#define ZX_MODEL_RECURRENT_H

#include "model/blocks.h"

/* The module with in_proj, conv and out_proj. */
ZMLX_MUST_CHECK zmlx_status zx_block_short_conv(zx_trace *trace, zx_value x, const char *module,
                                                zx_value *y);

/* The module with the projections in_proj_qkv, in_proj_z, in_proj_b and in_proj_a, or, 'together',
 * with in_proj_qkvz and in_proj_ba, whose rows stand key head by key head; files of llama.cpp have
 * split only the former of these, and have -exp(A_log) for A_log. */
ZMLX_MUST_CHECK zmlx_status zx_block_delta(zx_trace *trace, zx_value x, const char *module,
                                           bool together, zx_value *y);

/* Of family's checks: whether a convolution's taps and the heads of linear attention make sense. */
ZMLX_MUST_CHECK zmlx_status zx_check_taps(const zx_checkpoint *checkpoint, const zx_config *config);
ZMLX_MUST_CHECK zmlx_status zx_check_delta(const zx_checkpoint *checkpoint,
                                           const zx_config *config);

#endif
