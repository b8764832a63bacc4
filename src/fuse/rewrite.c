/* rewrite.c - puts fused ops in the place of what the rules matched. */
#include <string.h>

#include "base/fail.h"
#include "fuse/rules.h"

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
    zx_value value;
    ZX_TRY(zx_graph_add(graph, rule->fused, match->bound, &match->attributes, &value));
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

static zmlx_status apply(const zx_fusion_rule *rule, zx_graph *graph, size_t *count)
{
    zx_match match;
    zx_node *node = graph->first;
    while (node != NULL) {
        if (!zx_fusion_match(rule, graph, node, &match)) {
            node = node->next;
            continue;
        }
        ZX_TRY(zx_fusion_replace(rule, graph, &match));
        ++*count;
        /* the fused node may itself match again (share_quantize): go on from the first node it
         * replaced */
        for (node = graph->first; node != NULL && node->index < match.nodes[0]->index;)
            node = node->next;
    }
    return ZMLX_OK;
}

zmlx_status zx_fuse(zx_graph *graph, size_t counts[])
{
    for (size_t i = 0; i < zx_fusion_rule_count; i++) {
        size_t count = 0;
        if (zx_fusion_rules[i].fidelity == ZX_EXACT)
            ZX_TRY(apply(&zx_fusion_rules[i], graph, &count));
        if (counts != NULL) counts[i] = count;
    }
    return ZMLX_OK;
}
