/* rewrite.c - puts fused ops in the place of what the rules matched. */
#include <string.h>

#include "base/fail.h"
#include "fuse/rules.h"
#include "graph/chain.h"

/* Output k of the fused op stands for this value of the old graph. */
static bool stands_for(zx_graph *graph, zx_node *fused, int output, zx_node *old)
{
    const zx_type *was = &old->types[0];
    const zx_type *is = &fused->types[output];
    if (was->rows != is->rows || was->columns != is->columns || was->dtype != is->dtype)
        return false;
    zx_graph_redirect(graph, (zx_value){old, 0}, (zx_value){fused, output});
    return true;
}

zmlx_status zx_fusion_replace(const zx_fusion_rule *rule, zx_graph *graph, const zx_match *match)
{
    zx_value value, inputs[ZX_MAX_INPUTS];
    zx_attributes attributes;
    ZX_TRY(zx_fusion_attributes(rule, match, &graph->arena, &attributes));
    zx_fusion_inputs(match, inputs);
    ZX_TRY(zx_graph_add(graph, rule->fused, inputs, &attributes, &value));
    zx_node *fused = value.node;
    fused->path = match->roots[match->root_count - 1]->path;
    const bool single = zx_ops[rule->fused].outputs == 1;
    bool fits = true;
    for (int i = 0; i < match->root_count; i++)
        fits = fits && stands_for(graph, fused, single ? 0 : i, match->roots[i]);
    for (int i = 0; i < match->export_count; i++)
        fits = fits && stands_for(graph, fused, match->root_count + i, match->exports[i]);
    if (!fits)
        return ZX_FAIL(ZMLX_ERROR_SHAPE,
                       "fusion rule %s: %s gives other types than what it replaces", rule->name,
                       zx_ops[rule->fused].text);
    for (int i = 0; i < match->node_count; i++) match->nodes[i]->removed = true;
    return zx_graph_sort(graph);
}

/* Bytes of a token's part of a value; a cache counts as nothing, as both sides write it. */
static int64_t row_bytes(zx_value value)
{
    const zx_type *type = zx_value_type(value);
    if (value.node->op == ZX_OP_WEIGHT || type->rows == ZX_ROWS_NONE) return 0;
    if (type->dtype == ZX_QUANTIZED)
        return (int64_t)zx_activation_row_bytes(type->layout, type->columns);
    return (int64_t)(type->columns * zx_dtypes[type->dtype].bytes);
}

/* What the nodes read and write, less what one op over the bound values reads and writes. */
int64_t zx_fusion_bytes_saved(const zx_fusion_rule *rule, const zx_match *match)
{
    int64_t bytes = 0;
    for (int i = 0; i < match->node_count; i++) {
        zx_node *node = match->nodes[i];
        for (int k = 0; k < zx_ops[node->op].inputs; k++) bytes += row_bytes(node->inputs[k]);
        for (int k = 0; k < zx_ops[node->op].outputs; k++) bytes += row_bytes((zx_value){node, k});
    }
    for (int i = 0; i < match->bound_count; i++) bytes -= row_bytes(match->bound[i]);
    const int roots = zx_ops[rule->fused].outputs == 1 ? 1 : match->root_count;
    for (int i = 0; i < roots; i++) bytes -= row_bytes((zx_value){match->roots[i], 0});
    for (int i = 0; i < match->export_count; i++)
        bytes -= row_bytes((zx_value){match->exports[i], 0});
    return bytes;
}

/* One rule over the whole graph. */
typedef struct pass {
    const zx_fusion_rule *rule;
    zx_graph *graph;
    zx_fusion_judge judge;
    void *user;
    const char *where; /* of the last site */
    size_t ordinal;    /* of the next site there */
} pass;

static zmlx_status judge_site(pass *at, const zx_match *match, bool *apply)
{
    const char *where = match->roots[match->root_count - 1]->path;
    if (where == NULL) where = "";
    if (at->where == NULL || strcmp(at->where, where) != 0) at->ordinal = 0;
    at->where = where;
    const zx_fusion_site site = {at->rule, where, at->ordinal++,
                                 zx_fusion_bytes_saved(at->rule, match), (size_t)match->node_count};
    *apply = at->rule->fidelity == ZX_EXACT;
    return at->judge != NULL ? at->judge(at->graph, &site, match, apply, at->user) : ZMLX_OK;
}

/* The first node from which the rule's matches are to be looked for again: the fused node may
 * itself match (share_quantize). */
static zx_node *first_changed(const zx_graph *graph, const zx_match *match)
{
    size_t lowest = match->nodes[0]->index;
    for (int i = 1; i < match->node_count; i++)
        if (match->nodes[i]->index < lowest) lowest = match->nodes[i]->index;
    zx_node *node = graph->first;
    while (node != NULL && node->index < lowest) node = node->next;
    return node;
}

static zmlx_status run_pass(pass *at)
{
    zx_match match;
    zx_node *node = at->graph->first;
    while (node != NULL) {
        bool apply = false;
        const bool matches = !node->refused && zx_fusion_match(at->rule, at->graph, node, &match);
        if (matches) ZX_TRY(judge_site(at, &match, &apply));
        if (matches && apply) {
            ZX_TRY(zx_fusion_replace(at->rule, at->graph, &match));
            node = first_changed(at->graph, &match);
            continue;
        }
        node->refused = node->refused || matches;
        node = node->next;
    }
    for (node = at->graph->first; node != NULL; node = node->next) node->refused = false;
    return ZMLX_OK;
}

zmlx_status zx_fuse_rule(const zx_fusion_rule *rule, zx_graph *graph, zx_fusion_judge judge,
                         void *user)
{
    pass at = {.rule = rule, .graph = graph, .judge = judge, .user = user};
    if (judge == NULL && rule->fidelity != ZX_EXACT) return ZMLX_OK;
    return run_pass(&at);
}

/* Whether some op of the pattern is not row-wise; share_quantize, with a root of its own for every
 * reader, counts as such too. */
static bool crosses_rows(const zx_fusion_rule *rule)
{
    for (const char *at = strchr(rule->pattern, '('); at != NULL; at = strchr(at + 1, '('))
        if (!zx_op_is_row_wise(zx_op_from_text(at + 1, strcspn(at + 1, " ()")))) return true;
    return strstr(rule->pattern, ") (") != NULL && *rule->pattern == '(' &&
           rule->fused == ZX_OP_QUANTIZE;
}

static zmlx_status fuse_half(bool across, zx_graph *graph, zx_fusion_judge judge, void *user)
{
    for (size_t i = 0; i < zx_fusion_rule_count; i++)
        if (crosses_rows(&zx_fusion_rules[i]) == across)
            ZX_TRY(zx_fuse_rule(&zx_fusion_rules[i], graph, judge, user));
    return ZMLX_OK;
}

zmlx_status zx_fuse_across_rows(zx_graph *graph, zx_fusion_judge judge, void *user)
{
    return fuse_half(true, graph, judge, user);
}

zmlx_status zx_fuse_rows(zx_graph *graph, zx_fusion_judge judge, void *user)
{
    return fuse_half(false, graph, judge, user);
}

zmlx_status zx_fuse(zx_graph *graph, zx_fusion_judge judge, void *user)
{
    ZX_TRY(zx_fuse_across_rows(graph, judge, user));
    return zx_fuse_rows(graph, judge, user);
}
