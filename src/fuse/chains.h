/* chains.h - runs of row-wise ops that no rule of the table covers, proposed as rules: text that
 * the matcher reads like any other, with the op 'chain' in the place of a hand-written one. */
#ifndef ZX_FUSE_CHAINS_H
#define ZX_FUSE_CHAINS_H

#include "fuse/rules.h"

/* A rule of a pattern's text, which must outlive it. */
zx_fusion_rule zx_chain_rule(const char *pattern);

typedef struct zx_chain_proposal {
    const char *pattern; /* in the arena */
    size_t sites;        /* where it matches */
    int64_t bytes_saved; /* per token, of all sites */
    size_t launches_saved;
} zx_chain_proposal;

typedef struct zx_chain_proposals { /* {0} is empty */
    zx_arena arena;
    zx_chain_proposal *items; /* those that save most bytes first */
    size_t count, capacity;
} zx_chain_proposals;

/* The graph is one to which the rules across rows were applied and the others not. */
ZMLX_MUST_CHECK zmlx_status zx_chains_propose(const zx_graph *graph, zx_chain_proposals *proposals);
void zx_chain_proposals_fini(zx_chain_proposals *proposals);

#endif
