/* ropes.h - the frequencies of a step's sequences, where a graph has ropes that depend on the
 * length for which a sequence was opened.  A graph without such ropes costs nothing. */
#ifndef ZX_ENGINE_ROPES_H
#define ZX_ENGINE_ROPES_H

#include "graph/graph.h"

typedef struct zx_ropes { /* {0}: none depend on the length */
    zx_rope_table table;
    const zx_rope **general; /* [count]; outlive this */
    zx_rope *own;            /* [sequences][count] */
    float *frequencies;
    size_t *lengths; /* [sequences]: for which their ropes are filled */
} zx_ropes;

/* Room for steps of up to 'sequences' sequences. */
ZMLX_MUST_CHECK zmlx_status zx_ropes_init(const zx_graph *graph, size_t sequences, zx_ropes *ropes);
void zx_ropes_fini(zx_ropes *ropes);

/* The shortest length whose frequencies are those of 'length', 0 where they are the general ones:
 * what a prefix must have in common. */
size_t zx_ropes_length(const zx_ropes *ropes, size_t length);

/* Fills the place of the step's sequence 'index', opened for 'length' as zx_ropes_length gave it.
 * Allocates nothing, and computes nothing where the place held that length already. */
void zx_ropes_set(zx_ropes *ropes, size_t index, size_t length);

#endif
