/* fill.h - inputs at which kernels err, from a seed: what the check of kernels and the verification
 * of fusion rules fill rows with.  The same seed gives the same values on every machine. */
#ifndef ZX_KERNELS_FILL_H
#define ZX_KERNELS_FILL_H

#include "kernels/kernels.h"

typedef enum zx_fill { /* what values are like */
                       ZX_FILL_RANDOM,
                       ZX_FILL_TIES,
                       ZX_FILL_LARGE,
                       ZX_FILL_SUBNORMAL,
                       ZX_FILL_MASKED, /* zeros and -infinity among the values */
                       ZX_FILL_ZERO,
                       ZX_FILL_NAN, /* one, in one row */
                       ZX_FILL_INFINITY,
                       ZX_FILLS,
} zx_fill;

extern const char *const zx_fill_names[ZX_FILLS];

/* The next number of a generator (splitmix64), of which any state is a seed. */
uint64_t zx_fill_random(uint64_t *state);
/* Uniform in [-1, 1). */
float zx_fill_uniform(uint64_t *state);
/* Fills rows of floats; what lies between them stays. */
void zx_fill_rows(zx_fill fill, uint64_t *state, const zx_operand *x);

#endif
