/* read_loop.h - how fast this machine reads memory: the limit beside which decoding stands. */
#ifndef ZX_BENCH_READ_LOOP_H
#define ZX_BENCH_READ_LOOP_H

#include "base/pool.h"
#include "graph/graph.h"

/* Reads every weight of the graph with all threads of the pool and nothing but loads, once as they
 * come and once fetching lines ahead (which of them is faster depends on the processor); returns
 * the bytes per second of the faster. */
double zx_read_loop(const zx_graph *graph, zx_pool *pool);

#endif
