/* variants.h - a traced graph, fused and planned once for every range of step sizes.
 *
 * Most graphs have one range.  Where discovery measured that a fusion pays for steps of some sizes
 * only, steps of other sizes run a graph without it; the results are the same, bit for bit. */
#ifndef ZX_ENGINE_VARIANTS_H
#define ZX_ENGINE_VARIANTS_H

#include "engine/options.h"

enum { ZX_MOST_VARIANTS = 8 };

typedef struct zx_variant {
    zx_graph graph;
    zx_plan *plan; /* NULL until zx_variants_plan_all */
    size_t most;   /* tokens of the steps it is for */
} zx_variant;

typedef struct zx_variants { /* {0} is empty; by size */
    zx_variant items[ZX_MOST_VARIANTS];
    size_t count;
} zx_variants;

/* Lowers and fuses the graph for all steps within the options' limits. */
ZMLX_MUST_CHECK zmlx_status zx_variants_init(const zx_graph *traced,
                                             const zx_engine_options *options,
                                             zx_variants *variants);
void zx_variants_fini(zx_variants *variants);

/* Makes the plans; 'pool' and 'kv' must outlive them. */
ZMLX_MUST_CHECK zmlx_status zx_variants_plan_all(zx_variants *variants,
                                                 const zx_engine_options *options, zx_pool *pool,
                                                 const zx_kv_pages *kv);
/* Bytes that they take, or would. */
ZMLX_MUST_CHECK zmlx_status zx_variants_bytes(const zx_variants *variants,
                                              const zx_engine_options *options, zx_pool *pool,
                                              const zx_kv_pages *kv, size_t *bytes);

/* Where other fusions begin to pay, for steps of at most 'most' tokens: range i goes from starts[i]
 * to before starts[i + 1].  starts[0] is 1.  Returns their count. */
size_t zx_variant_starts(const zx_verdicts *verdicts, size_t most, size_t starts[ZX_MOST_VARIANTS]);

/* The plan for a step of so many tokens. */
zx_plan *zx_variants_plan(const zx_variants *variants, size_t tokens);

/* The graph for steps of options->limits.tokens tokens, or of very many where that is 0. */
ZMLX_MUST_CHECK zmlx_status zx_engine_graph(const zx_graph *traced,
                                            const zx_engine_options *options, zx_graph *graph);

#endif
