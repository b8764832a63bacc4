#include "fuse/chains.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/text.h"
#include "graph/chain.h"

enum { MOST_NODES = 8, MOST_EXPORTS = ZX_MAX_OUTPUTS - 1 };

zx_fusion_rule zx_chain_rule(const char *pattern)
{
    return (zx_fusion_rule){.name = "chain",
                            .pattern = pattern,
                            .fused = ZX_OP_CHAIN,
                            .fidelity = ZX_EXACT,
                            .why = "row-wise ops over a few rows at a time"};
}

/* -------- attributes and inputs of the fused op -------- */

/* The match's nodes in the graph's order: inputs first. */
static int ordered_nodes(const zx_match *match, zx_node *nodes[ZX_MATCH_NODES])
{
    memcpy(nodes, match->nodes, (size_t)match->node_count * sizeof nodes[0]);
    for (int i = 1; i < match->node_count; i++) {
        zx_node *const node = nodes[i];
        int at = i;
        for (; at > 0 && nodes[at - 1]->index > node->index; at--) nodes[at] = nodes[at - 1];
        nodes[at] = node;
    }
    return match->node_count;
}

static int output_of(const zx_match *match, const zx_node *node)
{
    for (int i = 0; i < match->root_count; i++)
        if (match->roots[i] == node) return i;
    for (int i = 0; i < match->export_count; i++)
        if (match->exports[i] == node) return match->root_count + i;
    return -1;
}

/* Where a step's input comes from: an earlier step, or a bound value. */
static zmlx_status find_source(const zx_match *match, zx_node *const nodes[], int index,
                               zx_value value, int *source)
{
    for (int i = 0; i < index; i++) {
        *source = i;
        if (nodes[i] == value.node) return ZMLX_OK;
    }
    for (int i = 0; i < match->bound_count; i++) {
        *source = ~i;
        if (zx_value_same(match->bound[i], value)) return ZMLX_OK;
    }
    return ZX_FAIL(ZMLX_ERROR_SHAPE, "a chain's %s has an input from nowhere",
                   zx_ops[nodes[index]->op].text);
}

zmlx_status zx_fusion_attributes(const zx_fusion_rule *rule, const zx_match *match, zx_arena *arena,
                                 zx_attributes *attributes)
{
    zx_node *nodes[ZX_MATCH_NODES];
    void *memory = NULL;
    *attributes = match->attributes;
    if (rule->fused != ZX_OP_CHAIN) return ZMLX_OK;
    const size_t bytes = strlen(rule->pattern) + 1;
    if (match->node_count > ZX_CHAIN_STEPS)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "a chain of %d ops; at most %d", match->node_count,
                       ZX_CHAIN_STEPS);
    ZX_TRY(zx_arena_alloc(arena, sizeof(zx_chain), &memory));
    zx_chain *const chain = memory;
    ZX_TRY(zx_arena_alloc(arena, bytes, &memory));
    *chain = (zx_chain){.text = memcpy(memory, rule->pattern, bytes)};
    chain->count = (size_t)ordered_nodes(match, nodes);
    for (int i = 0; i < match->node_count; i++) {
        zx_chain_step *const step = &chain->steps[i];
        *step = (zx_chain_step){.op = nodes[i]->op,
                                .attributes = nodes[i]->attributes,
                                .type = nodes[i]->types[0],
                                .output = output_of(match, nodes[i])};
        for (int k = 0; k < zx_ops[step->op].inputs; k++)
            ZX_TRY(find_source(match, nodes, i, nodes[i]->inputs[k], &step->inputs[k]));
    }
    *attributes = (zx_attributes){.chain = chain};
    return ZMLX_OK;
}

void zx_fusion_inputs(const zx_match *match, zx_value inputs[ZX_MAX_INPUTS])
{
    for (int i = 0; i < ZX_MAX_INPUTS; i++)
        inputs[i] = match->bound[i < match->bound_count ? i : 0];
}

/* -------- proposals -------- */

/* A tree of row-wise nodes under construction. */
typedef struct growth {
    const zx_graph *graph;
    const bool *taken; /* by node index: part of another proposal */
    zx_node *nodes[MOST_NODES];
    bool exported[MOST_NODES];
    int count, exports, most_exports;
    zx_value leaves[ZX_MAX_INPUTS];
    int leaf_count;
} growth;

/* How a node joins the tree: not at all, as a hidden value, or as an exported one. */
typedef enum membership { OUTSIDE, HIDDEN, EXPORTED } membership;

static membership judge_producer(const growth *g, zx_value value)
{
    const zx_node *node = value.node;
    if (value.output != 0 || !zx_op_is_row_wise(node->op) || g->count == MOST_NODES) return OUTSIDE;
    if (g->taken[node->index] || node->types[0].rows != g->nodes[0]->types[0].rows) return OUTSIDE;
    for (int i = 0; i < g->count; i++)
        if (g->nodes[i] == node) return OUTSIDE; /* not a tree any more */
    if (zx_graph_uses(g->graph, value) == 1) return HIDDEN;
    return g->exports < g->most_exports ? EXPORTED : OUTSIDE;
}

static void grow(growth *g, zx_node *node, bool exported)
{
    g->exported[g->count] = exported;
    g->nodes[g->count++] = node;
    g->exports += exported ? 1 : 0;
    for (int i = 0; i < zx_ops[node->op].inputs; i++) {
        const membership how = judge_producer(g, node->inputs[i]);
        if (how != OUTSIDE) grow(g, node->inputs[i].node, how == EXPORTED);
    }
}

/* " ?a", " ?b", ...; false where there are too many. */
static zmlx_status write_leaf(growth *g, zx_value value, zx_text *text)
{
    int i = 0;
    while (i < g->leaf_count && !zx_value_same(g->leaves[i], value)) i++;
    if (i == ZX_MAX_INPUTS) return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "a chain of too many inputs");
    if (i == g->leaf_count) g->leaves[g->leaf_count++] = value;
    return zx_text_format(text, " ?%c", 'a' + i);
}

/* The place of the value's node in the tree, or its size. */
static int member(const growth *g, zx_value value)
{
    int i = 0;
    while (i < g->count && (value.output != 0 || g->nodes[i] != value.node)) i++;
    return i;
}

static zmlx_status write_node(growth *g, int index, zx_text *text)
{
    const zx_node *node = g->nodes[index];
    if (g->exported[index]) ZX_TRY(zx_text_format(text, "!%c", 'p' + index));
    ZX_TRY(zx_text_format(text, "(%s", zx_ops[node->op].text));
    for (int i = 0; i < zx_ops[node->op].inputs; i++) {
        const int from = member(g, node->inputs[i]);
        if (from == g->count) {
            ZX_TRY(write_leaf(g, node->inputs[i], text));
            continue;
        }
        ZX_TRY(zx_text_add_string(text, " "));
        ZX_TRY(write_node(g, from, text));
    }
    return zx_text_add_string(text, ")");
}

/* True where a rule of the table takes these nodes already. */
static bool covered(const zx_graph *graph, const zx_match *match)
{
    for (size_t i = 0; i < zx_fusion_rule_count; i++) {
        zx_match by_rule;
        if (zx_fusion_match(&zx_fusion_rules[i], graph, match->roots[0], &by_rule) &&
            by_rule.node_count >= match->node_count)
            return true;
    }
    return false;
}

/* The pattern that ends in this node; empty where there is none of two ops or more. */
static void propose_at(const zx_graph *graph, const bool *taken, zx_node *node, int exports,
                       zx_text *text, zx_match *match)
{
    growth g = {.graph = graph, .taken = taken, .most_exports = exports};
    zx_text_clear(text);
    grow(&g, node, false);
    if (g.count < 2 || write_node(&g, 0, text) != ZMLX_OK) {
        zx_text_clear(text);
        return;
    }
    const zx_fusion_rule rule = zx_chain_rule(text->bytes);
    if (!zx_fusion_match(&rule, graph, node, match) || covered(graph, match)) zx_text_clear(text);
}

static zmlx_status add_proposal(zx_chain_proposals *proposals, const zx_text *text,
                                const zx_match *match)
{
    size_t i = 0;
    void *memory = NULL;
    while (i < proposals->count && strcmp(proposals->items[i].pattern, text->bytes) != 0) i++;
    if (i == proposals->count) {
        ZX_TRY(zx_grow(&proposals->items, &proposals->capacity, i + 1, sizeof *proposals->items,
                       "chains"));
        ZX_TRY(zx_arena_alloc(&proposals->arena, text->length + 1, &memory));
        memcpy(memory, text->bytes, text->length + 1);
        proposals->items[i] = (zx_chain_proposal){.pattern = memory};
        proposals->count++;
    }
    const zx_fusion_rule rule = zx_chain_rule(text->bytes);
    zx_chain_proposal *const item = &proposals->items[i];
    item->sites++;
    item->bytes_saved += zx_fusion_bytes_saved(&rule, match);
    item->launches_saved += (size_t)match->node_count - 1;
    return ZMLX_OK;
}

static int by_bytes(const void *a, const void *b)
{
    const zx_chain_proposal *x = a, *y = b;
    if (x->bytes_saved != y->bytes_saved) return x->bytes_saved < y->bytes_saved ? 1 : -1;
    return strcmp(x->pattern, y->pattern);
}

/* Nodes from the end on: a chain is met at its last op, and what it takes is not asked again. */
static zmlx_status propose(const zx_graph *graph, zx_node *const nodes[], bool *taken,
                           zx_text *text, zx_chain_proposals *proposals)
{
    for (size_t i = graph->count; i-- > 0;) {
        zx_match match;
        if (taken[i] || !zx_op_is_row_wise(nodes[i]->op)) continue;
        /* values that others read too may lead round in a circle: then with fewer of them */
        for (int exports = MOST_EXPORTS; exports >= 0; exports--) {
            propose_at(graph, taken, nodes[i], exports, text, &match);
            if (text->length > 0) break;
        }
        if (text->length == 0) continue;
        for (int k = 0; k < match.node_count; k++) taken[match.nodes[k]->index] = true;
        ZX_TRY(add_proposal(proposals, text, &match));
    }
    if (proposals->count > 0)
        qsort(proposals->items, proposals->count, sizeof *proposals->items, by_bytes);
    return ZMLX_OK;
}

zmlx_status zx_chains_propose(const zx_graph *graph, zx_chain_proposals *proposals)
{
    zx_text text = {0};
    void *nodes = NULL, *taken = NULL;
    *proposals = (zx_chain_proposals){0};
    zmlx_status status =
        zx_alloc_array(graph->count + 1, sizeof(zx_node *), "nodes of a graph", &nodes);
    if (status == ZMLX_OK)
        status = zx_alloc_array(graph->count + 1, sizeof(bool), "marks of nodes", &taken);
    if (status == ZMLX_OK) {
        for (zx_node *node = graph->first; node != NULL; node = node->next)
            ((zx_node **)nodes)[node->index] = node;
        status = propose(graph, nodes, taken, &text, proposals);
    }
    zx_free(nodes);
    zx_free(taken);
    zx_text_fini(&text);
    if (status != ZMLX_OK) zx_chain_proposals_fini(proposals);
    return status;
}

void zx_chain_proposals_fini(zx_chain_proposals *proposals)
{
    zx_free(proposals->items);
    zx_arena_reset(&proposals->arena);
    *proposals = (zx_chain_proposals){0};
}
