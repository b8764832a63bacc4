/* gated_delta_ref.c - linear attention whose state forgets and corrects itself.  Normative:
 *   decay        (a, A, b): exp(-(exp(A_h) * softplus(a_h + b_h))), each step rounded to f32
 *   gated_delta  (queries, keys, values, decays, rates), heads h of the values, head h / (heads of
 *                values / heads of keys) of queries and keys, or, 'tiled', h % heads of keys; S is
 *                the state [key size][value size]
 *     S_ij = S_ij * decay
 *     m_j  = sum_i S_ij k_i, i ascending with FMA from 0
 *     d_j  = (v_j - m_j) * rate
 *     S_ij = fma(k_i, d_j, S_ij)
 *     y_j  = RN_T(sum_i S_ij (q_i * scale)), i ascending with FMA from 0
 *   token by token; T is the values' dtype, every step is rounded to f32.
 * The states of all heads lie one behind the other.  Every CPU kernel of these ops returns these
 * bits. */
#include "kernels/kernels.h"

#define ZX_KERNEL(name) zx_##name##_ref
#include "kernels/state/gated_delta_body.h"

/* Queries times the scale, and the columns of a state at work. */
size_t zx_scratch_gated_delta(const zx_launch *launch)
{
    const size_t size = launch->attributes->head_size;
    return zx_pool_threads(launch->pool) * size * (1 + LANES) * sizeof(float);
}
