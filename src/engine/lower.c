#include "engine/lower.h"

#include "base/fail.h"
#include "quant/format.h"

/* The place of the weight of ops whose first input may be quantized; 0 for others. */
static const int weight_places[ZX_OP_COUNT] = {[ZX_OP_MATMUL] = 1, [ZX_OP_EXPERT_MATMUL] = 2};

/* How x is to be quantized for this weight: where it is wider, as slots, one for each expert. */
static zx_activation_layout layout_of(const zx_weight *weight, const zx_type *x,
                                      zx_precision precision)
{
    zx_activation_layout layout = zx_weight_layout(weight, precision);
    if (layout.planes != 0 && x->columns != weight->columns)
        layout.slots = (uint16_t)(x->columns / weight->columns);
    return layout;
}

zmlx_status zx_lower_to_precision(zx_graph *graph, zx_precision precision)
{
    zx_node *const last = graph->last;
    for (zx_node *node = graph->first; node != NULL; node = node->next) {
        const int place = weight_places[node->op];
        if (place != 0 && zx_value_type(node->inputs[0])->dtype != ZX_QUANTIZED) {
            const zx_weight *weight = node->inputs[place].node->weight;
            const zx_type *x = zx_value_type(node->inputs[0]);
            const zx_attributes attributes = {.layout = layout_of(weight, x, precision)};
            if (attributes.layout.planes != 0) {
                zx_value quantized;
                ZX_TRY(zx_graph_add(graph, ZX_OP_QUANTIZE, node->inputs, &attributes, &quantized));
                quantized.node->path = node->path;
                node->inputs[0] = quantized;
            }
        }
        if (node == last) break;
    }
    return zx_graph_sort(graph);
}
