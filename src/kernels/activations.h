/* activations.h - the functions of graph/activations.def over runs of f32 values, as a table.
 * Include it only from kernel bodies: each instruction set gets its own vectorized copy. */
#ifndef ZX_KERNELS_ACTIVATIONS_H
#define ZX_KERNELS_ACTIVATIONS_H

#include "graph/ops.h"
#include "kernels/vmath.h"

/* y may be x. */
typedef void (*zx_activation_fn)(const float *x, size_t count, float *y);

#define ACTIVATION(id, text, function)                                           \
    static inline void zx_run_##function(const float *x, size_t count, float *y) \
    {                                                                            \
        for (size_t i = 0; i < count; i++) y[i] = zx_##function(x[i]);           \
    }
#include "graph/activations.def"
#undef ACTIVATION

static inline zx_activation_fn zx_activation_of(zx_activation activation)
{
    static const zx_activation_fn functions[ZX_ACTIVATION_COUNT] = {
        NULL,
#define ACTIVATION(id, text, function) zx_run_##function,
#include "graph/activations.def"
#undef ACTIVATION
    };
    return functions[activation];
}

#endif
