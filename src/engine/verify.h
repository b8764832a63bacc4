/* verify.h - a match of a fusion rule, run both ways on the same inputs and compared.
 *
 * Inputs that are weights are the model's own; the others are made up: random values, and rows that
 * break sloppy kernels (ties, large and subnormal values, zeros, infinities).  Everything is taken
 * from the heap and given back: this is for discovery, not for running. */
#ifndef ZX_ENGINE_VERIFY_H
#define ZX_ENGINE_VERIFY_H

#include "base/pool.h"
#include "fuse/rules.h"
#include "tensor/batch.h"

typedef struct zx_verifier {
    zx_pool *pool;
    const zx_cache_layers *layers; /* of the model; NULL: none */
    zx_dtype kv_dtype;
    uint64_t seed;
} zx_verifier;

enum { ZX_REASON_BYTES = 256 };

/* Runs the match on inputs of every kind.  'reason' is empty where fused and unfused agree (bit for
 * bit, or within the rule's bound where it is close), else it names output, kind and seed of the
 * inputs, token and column of the first difference and both values; an op without a kernel is such
 * a reason too.  Fails only where memory runs out. */
ZMLX_MUST_CHECK zmlx_status zx_verify_match(const zx_verifier *verifier, const zx_fusion_rule *rule,
                                            const zx_match *match, char reason[ZX_REASON_BYTES]);

typedef struct zx_gain {    /* unfused time / fused time of paired runs */
    double mean, low, high; /* mean, less and plus two standard errors */
} zx_gain;

/* Times the match both ways, in turns, on 'tokens' tokens of random values; a gain of 0 where no
 * kernel takes an op. */
ZMLX_MUST_CHECK zmlx_status zx_measure_match(const zx_verifier *verifier,
                                             const zx_fusion_rule *rule, const zx_match *match,
                                             size_t tokens, zx_gain *gain);

#endif
