/* chain.h - a fused op made of others: some row-wise ops, run one after the other over a few rows
 * at a time, so that what they hand on stays in the cache.
 *
 * It computes with the very kernels of its ops, so its bits are theirs by construction. */
#ifndef ZX_GRAPH_CHAIN_H
#define ZX_GRAPH_CHAIN_H

#include "graph/graph.h"

enum { ZX_CHAIN_STEPS = 12 };

typedef struct zx_chain_step {
    zx_op op;
    zx_attributes attributes;
    int inputs[ZX_MAX_INPUTS]; /* of an earlier step: its index; input k of the chain: ~k */
    zx_type type;              /* of its output */
    int output;                /* which one of the chain it is, or -1: an inner value */
} zx_chain_step;

typedef struct zx_chain {
    size_t count;
    zx_chain_step steps[ZX_CHAIN_STEPS];
    const char *text; /* the pattern it was made from */
} zx_chain;

/* Whether row r of the op's output follows from row r of its inputs alone, without the batch. */
bool zx_op_is_row_wise(zx_op op);

#endif
