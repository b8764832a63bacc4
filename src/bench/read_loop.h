/* read_loop.h - how fast this machine reads memory: the limit beside which decoding stands. */
#ifndef ZX_BENCH_READ_LOOP_H
#define ZX_BENCH_READ_LOOP_H

#include "base/pool.h"
#include "graph/graph.h"

/* Reads every weight of the graph once, with all threads of the pool and nothing but loads; returns
 * bytes per second. */
double zx_read_loop(const zx_graph *graph, zx_pool *pool);

#endif
