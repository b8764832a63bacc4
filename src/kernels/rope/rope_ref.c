/* rope_ref.c - rotary embedding, and keys and values into their pages.  Normative:
 *   theta_i = RN_f32(f32(position) * inverse_frequency_i), of the sequence's own rope where
 *             frequencies depend on the length (graph/rope.h)
 *   c_i = RN_f32(magnitude * cos(theta_i)),  s_i = RN_f32(magnitude * sin(theta_i)), of vmath.h
 *   the pair (a, b) becomes RN_T(fma(a, c, -RN(b * s))), RN_T(fma(b, c, RN(a * s))), T the dtype of
 *   the output; which elements are a pair: graph/rope.h; elements from dims on are copied
 *   kv_append    keys and values rounded into the cache's dtype, at the slot of the position
 *   rope_append  rope of the queries; rope of the keys, T their own dtype, then kv_append
 *   norm_rope_append  head_rmsnorm of the queries and of the keys, then rope_append
 * Every CPU kernel of these ops returns these bits. */
#include "kernels/kernels.h"

size_t zx_scratch_rope(const zx_launch *launch)
{
    const zx_rope *rope = launch->attributes->rope;
    size_t head = launch->attributes->head_size;
    if (launch->attributes->layer > 0 && launch->kv != NULL) {
        const zx_kv_layer *layer = &launch->kv->layers[launch->attributes->layer - 1];
        head = layer->key_size > head ? layer->key_size : head;
        head = layer->value_size > head ? layer->value_size : head;
    }
    const size_t floats = 3 * head + (rope != NULL ? rope->dims : 0);
    return zx_pool_threads(launch->pool) * zx_round_up(floats * sizeof(float), 64);
}

#define ZX_KERNEL(name) zx_##name##_ref
#include "kernels/rope/rope_body.h"
