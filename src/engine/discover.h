/* discover.h - every place of a graph where a fusion rule matches, tried on the model itself. */
#ifndef ZX_ENGINE_DISCOVER_H
#define ZX_ENGINE_DISCOVER_H

#include "engine/verdicts.h"
#include "engine/verify.h"

typedef enum zx_verdict {
    ZX_VERDICT_APPLIED,
    ZX_VERDICT_REFUSED, /* fused and unfused differ: never applied to this graph */
    ZX_VERDICT_OFF,     /* agrees, but nobody asked for it: a close rule, or one left out by name */
} zx_verdict;

typedef struct zx_found_site {
    zx_fusion_site site;
    zx_verdict verdict;
    const char *reason; /* "" where it was applied */
} zx_found_site;

typedef struct zx_discovery { /* {0} is empty */
    zx_arena arena;
    zx_found_site *sites;
    size_t count, capacity;
    uint64_t key; /* of the verdicts */
} zx_discovery;

/* Lowers a copy of the traced graph to the precision and goes over its matches in the order in
 * which an engine would apply them.  The outcome is the same in every run with the same seed. */
ZMLX_MUST_CHECK zmlx_status zx_discover(const zx_graph *traced, zx_precision precision,
                                        const zx_fusion_choice *choice, const zx_verifier *verifier,
                                        zx_discovery *discovery);
void zx_discovery_fini(zx_discovery *discovery);

/* Keeps the refusals for every later start. */
ZMLX_MUST_CHECK zmlx_status zx_discovery_save(const zx_discovery *discovery);

#endif
