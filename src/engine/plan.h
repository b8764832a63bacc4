/* plan.h - a graph made ready to run: a kernel per node, and a place in one block of memory per
 * value.
 *
 * Everything is decided once, for the largest step; running allocates nothing. */
#ifndef ZX_ENGINE_PLAN_H
#define ZX_ENGINE_PLAN_H

#include "graph/graph.h"
#include "kernels/kernels.h"

typedef struct zx_plan zx_plan;

typedef struct zx_plan_limits { /* of one step */
    size_t tokens, sequences, sampled_rows;
} zx_plan_limits;

/* 'graph', 'pool' and 'kv' must outlive the plan.  A node that no kernel takes is
 * ZMLX_ERROR_UNSUPPORTED, naming op, module, types and format. */
ZMLX_MUST_CHECK zmlx_status zx_plan_create(const zx_graph *graph, const zx_plan_limits *limits,
                                           zx_pool *pool, const zx_kv_pages *kv, zx_plan **plan);
void zx_plan_destroy(zx_plan *plan);

/* Bytes of activations and scratch that a plan has. */
size_t zx_plan_memory(const zx_plan *plan);

/* Bytes that a plan of this graph will take, without making it. */
ZMLX_MUST_CHECK zmlx_status zx_plan_bytes(const zx_graph *graph, const zx_plan_limits *limits,
                                          zx_pool *pool, const zx_kv_pages *kv, size_t *bytes);

/* Runs one step; the batch must be within the limits. */
ZMLX_MUST_CHECK zmlx_status zx_plan_run(zx_plan *plan, const zx_batch *batch);

/* The graph's output after a step: rows of f32, f16 or bf16, valid until the next. */
const zx_operand *zx_plan_output(const zx_plan *plan);

size_t zx_plan_steps(const zx_plan *plan);

typedef struct zx_step_time {
    const char *op, *kernel;
    double seconds; /* of all runs since zx_plan_measure */
    size_t runs;
} zx_step_time;

/* From now on (or no longer) every run adds up each step's time. */
void zx_plan_measure(zx_plan *plan, bool on);
/* The time of step 'index' below zx_plan_steps, while measuring. */
zx_step_time zx_plan_step_time(const zx_plan *plan, size_t index);

#endif
