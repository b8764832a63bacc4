/* sampler.h - from a row of logits to a token.
 *
 * Filters work on the untempered probabilities in the order top_p, min_p, top_k, as mlx-lm does;
 * then one token is drawn from softmax(logits / temperature) over what is left, taken in the order
 * of ids.  The number drawn is a function of seed and step alone.  temperature 0, or a logit of
 * +inf: the largest logit, the lowest id where several are.  A NaN is never chosen.
 *
 * A token takes time linear in the vocabulary, whatever the filters. */
#ifndef ZX_SERVE_SAMPLER_H
#define ZX_SERVE_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "zmlx/session.h"

typedef struct zx_bucket { /* tokens whose logits begin with the same bits */
    size_t count;
    double share; /* of the probability */
} zx_bucket;

typedef struct zx_sampler {
    float temperature, top_p, min_p;
    size_t top_k;
    uint64_t seed, step;
    size_t vocabulary;
    double *weights;    /* [vocabulary], scratch */
    int32_t *ids;       /* [vocabulary], scratch */
    zx_bucket *buckets; /* scratch */
} zx_sampler;

/* Checks the options' ranges; the message names the option, what it is and what it may be. */
ZMLX_MUST_CHECK zmlx_status zx_sampler_check(const zmlx_generate_options *options);

ZMLX_MUST_CHECK zmlx_status zx_sampler_init(size_t vocabulary, zx_sampler *sampler);
void zx_sampler_fini(zx_sampler *sampler);
/* Takes over checked options and begins at step 0. */
void zx_sampler_begin(zx_sampler *sampler, const zmlx_generate_options *options);

/* The next token.  ZMLX_ERROR_FORMAT where no logit is a number above -inf.  Allocates nothing. */
ZMLX_MUST_CHECK zmlx_status zx_sampler_next(zx_sampler *sampler, const float *logits, int32_t *id);

/* The id of the largest logit, the lowest where several are; of numbers before any NaN. */
int32_t zx_most_likely(const float *logits, size_t count);

#endif
