#include "engine/lower.h"

#include "base/fail.h"
#include "quant/format.h"

zmlx_status zx_lower_to_precision(zx_graph *graph, zx_precision precision)
{
    zx_node *const last = graph->last;
    for (zx_node *node = graph->first; node != NULL; node = node->next) {
        if (node->op == ZX_OP_MATMUL && zx_value_type(node->inputs[0])->dtype != ZX_QUANTIZED) {
            const zx_weight *weight = node->inputs[1].node->weight;
            const zx_attributes attributes = {.layout = zx_weight_layout(weight, precision)};
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
