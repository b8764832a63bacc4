/* discover.h - every place of a graph where a fusion rule matches, tried on the model itself; and
 * runs of row-wise ops beyond the rules. */
#ifndef ZX_ENGINE_DISCOVER_H
#define ZX_ENGINE_DISCOVER_H

#include "engine/verdicts.h"
#include "engine/verify.h"

typedef enum zx_verdict {
    ZX_VERDICT_APPLIED,
    ZX_VERDICT_REFUSED, /* fused and unfused differ: never applied to this graph */
    ZX_VERDICT_OFF,     /* agrees, but nobody asked for it: a close rule, one left out by name, or a
                         * chain that is not faster or was not measured */
} zx_verdict;

typedef struct zx_found_site {
    zx_fusion_site site;
    zx_verdict verdict;
    zx_token_range pays; /* where it was applied: to these steps */
    const char *reason;  /* "" where it was applied */
} zx_found_site;

typedef struct zx_discovery { /* {0} is empty */
    zx_arena arena;
    zx_found_site *sites;
    size_t count, capacity;
    zx_verdicts_key key;  /* of the verdicts */
    zx_verdicts measured; /* what was refused, and the steps for which rules and chains pay */
} zx_discovery;

/* What to do beside verifying.  What was measured earlier, with as many threads, is never measured
 * again: it decides until it is forgotten. */
typedef enum zx_discover_use {
    ZX_DISCOVER_LIST,  /* rules that were not measured are applied to every step, chains to none */
    ZX_DISCOVER_APPLY, /* each is measured at its first match of every shape and applied there to
                        * the steps for which it pays: a rule where it is not certainly slower, a
                        * chain where it is certainly faster */
} zx_discover_use;

/* Lowers a copy of the traced graph to the precision and goes over its matches in the order in
 * which an engine would apply them.  The outcome is the same in every run with the same seed, but
 * for what is measured for the first time. */
ZMLX_MUST_CHECK zmlx_status zx_discover(const zx_graph *traced, zx_precision precision,
                                        const zx_fusion_choice *choice, zx_discover_use use,
                                        const zx_verifier *verifier, zx_discovery *discovery);
void zx_discovery_fini(zx_discovery *discovery);

/* Keeps refusals, what was measured, and applied chains for every later start. */
ZMLX_MUST_CHECK zmlx_status zx_discovery_save(const zx_discovery *discovery);

#endif
