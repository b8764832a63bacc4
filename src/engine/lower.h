/* lower.h - from what a model computes to how it is computed at a precision. */
#ifndef ZX_ENGINE_LOWER_H
#define ZX_ENGINE_LOWER_H

#include "graph/graph.h"

/* Puts a 'quantize' before every matmul whose weight has an integer form, unless the precision is
 * f32. Each matmul gets its own; the fusion rules share them. */
ZMLX_MUST_CHECK zmlx_status zx_lower_to_precision(zx_graph *graph, zx_precision precision);

#endif
