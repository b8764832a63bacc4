/* rope.h - rotary position embedding, as data.
 *
 * theta = RN_f32(position * inverse_frequency[i]) for i < dims / 2; the pair (a, b) becomes
 *   RN_T(magnitude * (a * cos - b * sin)),  RN_T(magnitude * (b * cos + a * sin))
 * Pairs are (i, i + dims / 2), or (2i, 2i + 1) where interleaved; elements from dims on stay. */
#ifndef ZX_GRAPH_ROPE_H
#define ZX_GRAPH_ROPE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct zx_rope {
    size_t dims;
    bool interleaved;
    float magnitude; /* multiplies cos and sin (rounded to f32): yarn, longrope; else 1 */
    const float *inverse_frequency; /* [dims / 2] */
} zx_rope;

#endif
