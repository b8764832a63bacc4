/* plan.c - choosing kernels and places, and running the steps. */
#include "engine/plan.h"

#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/region.h"
#include "engine/memory_layout.h"

typedef struct step {
    const zx_kernel *kernel;
    zx_node *node;
    zx_launch launch; /* all but the rows and the batch is set once */
    double seconds;
} step;

struct zx_plan {
    zx_arena arena;
    const zx_graph *graph;
    zx_plan_limits limits;
    step *steps;
    size_t step_count;
    zx_span_of_life *values; /* [graph->count * ZX_MAX_OUTPUTS] */
    void *memory;            /* values, then scratch */
    size_t value_bytes, scratch_bytes;
    zx_operand output;
    bool measuring;
    size_t runs;
};

static bool runs(const zx_node *node)
{
    return node->op != ZX_OP_INPUT && node->op != ZX_OP_WEIGHT;
}

static size_t row_count(const zx_type *type, size_t tokens, size_t sampled)
{
    if (type->rows == ZX_ROWS_NONE) return 0;
    return type->rows == ZX_ROWS_TOKENS ? tokens : sampled;
}

static size_t stride_of(const zx_type *type)
{
    if (type->rows == ZX_ROWS_NONE) return 0;
    if (type->dtype == ZX_QUANTIZED) return zx_activation_row_bytes(type->layout, type->columns);
    return type->columns * zx_dtypes[type->dtype].bytes;
}

static size_t value_index(zx_value value)
{
    return value.node->index * ZX_MAX_OUTPUTS + (size_t)value.output;
}

/* When each value is written and last read, in steps. */
static void find_lives(zx_plan *plan)
{
    size_t at = 0;
    for (const zx_node *node = plan->graph->first; node != NULL; node = node->next) {
        if (!runs(node)) continue;
        for (int i = 0; i < zx_ops[node->op].outputs; i++) {
            const zx_type *type = &node->types[i];
            zx_span_of_life *life = &plan->values[node->index * ZX_MAX_OUTPUTS + (size_t)i];
            life->bytes =
                stride_of(type) * row_count(type, plan->limits.tokens, plan->limits.sampled_rows);
            life->first = life->last = at;
        }
        for (int i = 0; i < zx_ops[node->op].inputs; i++)
            if (runs(node->inputs[i].node)) plan->values[value_index(node->inputs[i])].last = at;
        at++;
    }
    if (plan->graph->output.node != NULL) plan->values[value_index(plan->graph->output)].last = at;
}

static zx_operand operand_of(const zx_plan *plan, zx_value value)
{
    const zx_type *type = zx_value_type(value);
    const zx_weight *weight = value.node->op == ZX_OP_WEIGHT ? value.node->weight : NULL;
    if (weight != NULL)
        return (zx_operand){NULL, weight->rows, weight->columns, 0, weight->dtype, {0}, weight};
    const size_t offset = plan->values[value_index(value)].offset;
    const bool placed = plan->memory != NULL && runs(value.node);
    return (zx_operand){placed ? (char *)plan->memory + offset : NULL,
                        row_count(type, plan->limits.tokens, plan->limits.sampled_rows),
                        type->columns,
                        stride_of(type),
                        type->dtype,
                        type->layout,
                        NULL};
}

static void fill_operands(const zx_plan *plan, step *at)
{
    const zx_op_traits *op = &zx_ops[at->node->op];
    for (int i = 0; i < op->inputs; i++)
        at->launch.inputs[i] = operand_of(plan, at->node->inputs[i]);
    for (int i = 0; i < op->outputs; i++)
        at->launch.outputs[i] = operand_of(plan, (zx_value){at->node, i});
}

static zmlx_status no_kernel(const zx_node *node, const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0];
    const zx_weight *weight = NULL;
    for (int i = 0; i < zx_ops[node->op].inputs; i++)
        if (launch->inputs[i].weight != NULL) weight = launch->inputs[i].weight;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "no kernel for %s in %s: input %s, weight format %s",
                   zx_ops[node->op].text, node->path != NULL ? node->path : "graph",
                   x->dtype == ZX_QUANTIZED ? "quantized" : zx_dtypes[x->dtype].name,
                   weight != NULL ? zx_formats[weight->format].name : "none");
}

/* Chooses the kernels for the largest step, and the largest scratch that any needs. */
static zmlx_status choose_kernels(zx_plan *plan, zx_pool *pool, const zx_kv_pages *kv)
{
    const zx_batch largest = {.tokens = plan->limits.tokens,
                              .sequences = plan->limits.sequences,
                              .sampled_rows = plan->limits.sampled_rows};
    step *at = plan->steps;
    for (zx_node *node = plan->graph->first; node != NULL; node = node->next) {
        if (!runs(node)) continue;
        at->node = node;
        at->launch =
            (zx_launch){.attributes = &node->attributes, .batch = &largest, .kv = kv, .pool = pool};
        fill_operands(plan, at);
        at->kernel = zx_kernel_choose(node->op, &at->launch);
        if (at->kernel == NULL) return no_kernel(node, &at->launch);
        const size_t scratch = at->kernel->scratch(&at->launch);
        if (scratch > plan->scratch_bytes) plan->scratch_bytes = scratch;
        at->launch.batch = NULL;
        at++;
    }
    return ZMLX_OK;
}

static zmlx_status prepare(zx_plan *plan, zx_pool *pool, const zx_kv_pages *kv)
{
    void *memory = NULL;
    for (const zx_node *node = plan->graph->first; node != NULL; node = node->next)
        plan->step_count += runs(node) ? 1 : 0;
    ZX_TRY(zx_arena_alloc(&plan->arena, (plan->step_count + 1) * sizeof(step), &memory));
    plan->steps = memory;
    const size_t values = plan->graph->count * ZX_MAX_OUTPUTS;
    ZX_TRY(zx_arena_alloc(&plan->arena, (values + 1) * sizeof *plan->values, &memory));
    plan->values = memory;
    find_lives(plan);
    ZX_TRY(zx_memory_layout(plan->values, values, &plan->value_bytes));
    return choose_kernels(plan, pool, kv);
}

static void destroy_contents(zx_plan *plan)
{
    zx_region_unmap(plan->memory, plan->value_bytes + plan->scratch_bytes);
    zx_arena_reset(&plan->arena);
}

zmlx_status zx_plan_bytes(const zx_graph *graph, const zx_plan_limits *limits, zx_pool *pool,
                          const zx_kv_pages *kv, size_t *bytes)
{
    zx_plan plan = {.graph = graph, .limits = *limits};
    const zmlx_status status = prepare(&plan, pool, kv);
    *bytes = plan.value_bytes + plan.scratch_bytes;
    destroy_contents(&plan);
    return status;
}

zmlx_status zx_plan_create(const zx_graph *graph, const zx_plan_limits *limits, zx_pool *pool,
                           const zx_kv_pages *kv, zx_plan **plan)
{
    void *memory = NULL;
    ZX_TRY(zx_alloc(sizeof(zx_plan), "plan", &memory));
    zx_plan *fresh = memory;
    fresh->graph = graph;
    fresh->limits = *limits;
    zmlx_status status = prepare(fresh, pool, kv);
    if (status == ZMLX_OK)
        status =
            zx_region_map(fresh->value_bytes + fresh->scratch_bytes, "activations", &fresh->memory);
    if (status != ZMLX_OK) {
        zx_plan_destroy(fresh);
        return status;
    }
    for (size_t i = 0; i < fresh->step_count; i++) {
        fill_operands(fresh, &fresh->steps[i]);
        fresh->steps[i].launch.scratch = (char *)fresh->memory + fresh->value_bytes;
    }
    fresh->output = operand_of(fresh, graph->output);
    *plan = fresh;
    return ZMLX_OK;
}

void zx_plan_destroy(zx_plan *plan)
{
    if (plan == NULL) return;
    destroy_contents(plan);
    zx_free(plan);
}

static void set_rows(step *at, const zx_batch *batch)
{
    const zx_node *node = at->node;
    for (int i = 0; i < zx_ops[node->op].inputs; i++)
        if (at->launch.inputs[i].weight == NULL)
            at->launch.inputs[i].rows =
                row_count(zx_value_type(node->inputs[i]), batch->tokens, batch->sampled_rows);
    for (int i = 0; i < zx_ops[node->op].outputs; i++)
        at->launch.outputs[i].rows = row_count(&node->types[i], batch->tokens, batch->sampled_rows);
    at->launch.batch = batch;
}

zmlx_status zx_plan_run(zx_plan *plan, const zx_batch *batch)
{
    assert(batch->tokens <= plan->limits.tokens && batch->sequences <= plan->limits.sequences &&
           batch->sampled_rows <= plan->limits.sampled_rows);
    for (size_t i = 0; i < plan->step_count; i++) {
        step *at = &plan->steps[i];
        set_rows(at, batch);
        const double start = plan->measuring ? zx_seconds() : 0;
        ZX_TRY(at->kernel->run(&at->launch));
        if (plan->measuring) at->seconds += zx_seconds() - start;
    }
    plan->runs++;
    plan->output.rows = batch->sampled_rows;
    return ZMLX_OK;
}

size_t zx_plan_memory(const zx_plan *plan)
{
    return plan->value_bytes + plan->scratch_bytes;
}

const zx_operand *zx_plan_output(const zx_plan *plan)
{
    return &plan->output;
}

size_t zx_plan_steps(const zx_plan *plan)
{
    return plan->step_count;
}

void zx_plan_measure(zx_plan *plan, bool on)
{
    plan->measuring = on;
    plan->runs = 0;
    for (size_t i = 0; i < plan->step_count; i++) plan->steps[i].seconds = 0;
}

zx_step_time zx_plan_step_time(const zx_plan *plan, size_t index)
{
    const step *at = &plan->steps[index];
    return (zx_step_time){zx_ops[at->node->op].text, at->kernel->name, at->seconds, plan->runs};
}
