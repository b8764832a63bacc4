/* print.c - a graph as text for people, and as a Graphviz drawing.
 *
 *   %7 = rmsnorm %5 model.layers.0.input_layernorm : [T, 576] f32   # model.layers.0 */
#include "base/fail.h"
#include "base/hash.h"
#include "graph/graph.h"

static const char *dtype_text(const zx_type *type)
{
    if (type->dtype != ZX_QUANTIZED) return zx_dtypes[type->dtype].name;
    return type->layout.planes == 2 ? "q16" : "q8";
}

static zmlx_status print_type(const zx_type *type, zx_text *text)
{
    static const char *const symbols[] = {"T", "R"};
    if (type->rows == ZX_ROWS_NONE) return zx_text_add_string(text, "cache");
    return zx_text_format(text, "[%s, %zu] %s", symbols[type->rows], type->columns,
                          dtype_text(type));
}

static zmlx_status print_value(zx_value value, zx_text *text)
{
    if (value.node->op == ZX_OP_WEIGHT) return zx_text_add_string(text, value.node->path);
    if (value.output == 0) return zx_text_format(text, "%%%zu", value.node->index);
    return zx_text_format(text, "%%%zu.%d", value.node->index, value.output);
}

static zmlx_status print_node(const zx_node *node, zx_text *text)
{
    const zx_op_traits *op = &zx_ops[node->op];
    ZX_TRY(zx_text_format(text, "%%%zu = %s", node->index, op->text));
    ZX_TRY(zx_attributes_print(&node->attributes, text));
    for (int i = 0; i < op->inputs; i++) {
        ZX_TRY(zx_text_add_string(text, " "));
        ZX_TRY(print_value(node->inputs[i], text));
    }
    for (int i = 0; i < op->outputs; i++) {
        ZX_TRY(zx_text_add_string(text, i == 0 ? " : " : ", "));
        ZX_TRY(print_type(&node->types[i], text));
    }
    if (node->path != NULL && *node->path != '\0')
        ZX_TRY(zx_text_format(text, "  # %s", node->path));
    return zx_text_add_string(text, "\n");
}

zmlx_status zx_graph_print(const zx_graph *graph, zx_text *text)
{
    for (const zx_node *node = graph->first; node != NULL; node = node->next)
        if (node->op != ZX_OP_WEIGHT) ZX_TRY(print_node(node, text));
    ZX_TRY(zx_text_add_string(text, "output "));
    if (graph->output.node != NULL) ZX_TRY(print_value(graph->output, text));
    return zx_text_add_string(text, "\n");
}

static zmlx_status print_weight(const zx_weight *weight, zx_text *text)
{
    return zx_text_format(text, " %s/%d/%d/%d/%d %zu*%zu*%zu %d", zx_formats[weight->format].name,
                          weight->bits, weight->group, (int)weight->dtype, weight->mlx_cpu_decode,
                          weight->count, weight->rows, weight->columns,
                          weight->bias != NULL ? (int)weight->bias_dtype : -1);
}

zmlx_status zx_graph_fingerprint(const zx_graph *graph, uint64_t *fingerprint)
{
    zx_text text = {0};
    zmlx_status status = ZMLX_OK;
    *fingerprint = 0;
    for (const zx_node *node = graph->first; node != NULL && status == ZMLX_OK; node = node->next) {
        zx_text_clear(&text);
        status = print_node(node, &text);
        if (status == ZMLX_OK && node->weight != NULL) status = print_weight(node->weight, &text);
        if (status == ZMLX_OK) *fingerprint = zx_hash(text.bytes, text.length, *fingerprint);
    }
    zx_text_fini(&text);
    return status;
}

zmlx_status zx_graph_print_dot(const zx_graph *graph, zx_text *text)
{
    ZX_TRY(zx_text_add_string(text, "digraph model {\n  node [shape=box, fontname=monospace];\n"));
    for (const zx_node *node = graph->first; node != NULL; node = node->next) {
        if (node->op == ZX_OP_WEIGHT) continue;
        ZX_TRY(zx_text_format(text, "  n%zu [label=\"%s\\n%s\"];\n", node->index,
                              zx_ops[node->op].text, node->path != NULL ? node->path : ""));
        for (int i = 0; i < zx_ops[node->op].inputs; i++) {
            const zx_value value = node->inputs[i];
            if (value.node->op == ZX_OP_WEIGHT) continue;
            ZX_TRY(
                zx_text_format(text, "  n%zu -> n%zu [label=\"", value.node->index, node->index));
            ZX_TRY(print_type(zx_value_type(value), text));
            ZX_TRY(zx_text_add_string(text, "\"];\n"));
        }
    }
    return zx_text_add_string(text, "}\n");
}
