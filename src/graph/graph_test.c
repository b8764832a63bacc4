#include <string.h>

#include "base/test.h"
#include "graph/graph.h"

static const zx_weight table = {
    .format = ZX_FORMAT_F32, .dtype = ZX_F32, .group = 1, .count = 1, .rows = 9, .columns = 8};
static const zx_weight matrix = {
    .format = ZX_FORMAT_F32, .dtype = ZX_F32, .group = 1, .count = 1, .rows = 4, .columns = 8};

static const zx_attributes silu = {.activation = ZX_ACTIVATION_SILU};

/* logits = silu(embed(ids)) W^T; the silu is 'inner'. */
static bool trace(zx_graph *graph, zx_value *inner)
{
    zx_value ids, weight, x;
    const zx_attributes attributes = {.dtype = ZX_BF16};
    return zx_graph_enter(graph, "model.layers.%d", 3) == ZMLX_OK &&
           zx_graph_input(graph, &ids) == ZMLX_OK &&
           zx_graph_weight(graph, "embed", &table, &weight) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_EMBED, (zx_value[]){ids, weight}, &attributes, &x) ==
               ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_ACTIVATION, &x, &silu, inner) == ZMLX_OK &&
           zx_graph_weight(graph, "head", &matrix, &weight) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_MATMUL, (zx_value[]){*inner, weight}, NULL, &graph->output) ==
               ZMLX_OK;
}

TEST(shapes_and_paths_follow_from_the_trace)
{
    zx_graph graph = {0};
    zx_value inner;
    zx_text text = {0};
    CHECK(trace(&graph, &inner));
    CHECK(zx_value_type(inner)->columns == 8 && zx_value_type(inner)->dtype == ZX_BF16);
    CHECK(zx_value_type(graph.output)->columns == 4);
    CHECK(zx_graph_print(&graph, &text) == ZMLX_OK);
    CHECK(strstr(text.bytes, "= matmul %3 head : [T, 4] bf16  # model.layers.3\n") != NULL);
    zx_text_clear(&text);
    CHECK(zx_graph_print_dot(&graph, &text) == ZMLX_OK);
    CHECK(strncmp(text.bytes, "digraph model {", 15) == 0 &&
          strstr(text.bytes, "n3 -> n5") != NULL);
    zx_text_fini(&text);
    zx_graph_fini(&graph);
}

TEST(a_misfit_names_op_and_module)
{
    zx_graph graph = {0};
    zx_value inner, weight;
    CHECK(trace(&graph, &inner));
    CHECK(zx_graph_weight(&graph, "head", &matrix, &weight) == ZMLX_OK);
    CHECK(zx_graph_add(&graph, ZX_OP_MATMUL, (zx_value[]){graph.output, weight}, NULL, &inner) ==
          ZMLX_ERROR_SHAPE);
    CHECK(strstr(zmlx_error_message(), "matmul in model.layers.3") != NULL);
    zx_graph_fini(&graph);
}

TEST(sorting_drops_what_nobody_reads)
{
    zx_graph graph = {0};
    zx_value inner, unread;
    CHECK(trace(&graph, &inner));
    CHECK(zx_graph_add(&graph, ZX_OP_ACTIVATION, &inner, &silu, &unread) == ZMLX_OK);
    CHECK(graph.count == 7);
    CHECK(zx_graph_sort(&graph) == ZMLX_OK);
    CHECK(graph.count == 6 && graph.last == graph.output.node);
    zx_graph_fini(&graph);
}

TEST(sorting_puts_a_late_input_before_its_reader)
{
    zx_graph graph = {0};
    zx_value inner, late;
    CHECK(trace(&graph, &inner));
    CHECK(zx_graph_add(&graph, ZX_OP_ACTIVATION, &inner.node->inputs[0], &silu, &late) == ZMLX_OK);
    zx_graph_redirect(&graph, inner, late);
    inner.node->removed = true;
    CHECK(zx_graph_sort(&graph) == ZMLX_OK);
    CHECK(late.node->index < graph.output.node->index && graph.count == 6);
    late.node->inputs[0] = graph.output;
    CHECK(zx_graph_sort(&graph) != ZMLX_OK); /* now it is a cycle */
    zx_graph_fini(&graph);
}

TEST(a_copy_is_rewritten_without_the_original)
{
    zx_graph graph = {0}, copy;
    zx_value inner;
    CHECK(trace(&graph, &inner));
    CHECK(zx_graph_copy(&graph, &copy) == ZMLX_OK);
    CHECK(copy.count == graph.count && copy.output.node != graph.output.node);
    copy.output.node->removed = true;
    copy.output = copy.output.node->inputs[0];
    CHECK(zx_graph_sort(&copy) == ZMLX_OK);
    CHECK(copy.count == 4 && graph.count == 6);
    zx_graph_fini(&copy);
    CHECK(zx_graph_uses(&graph, inner) == 1);
    zx_graph_fini(&graph);
}

TEST(attributes_unite_only_where_they_agree)
{
    zx_attributes a = {.epsilon = 1e-5F};
    const zx_attributes layout = {.layout = {.planes = 1, .group = 32}}, other = {.epsilon = 1e-6F};
    CHECK(zx_attributes_unite(&a, &layout) && a.layout.group == 32);
    CHECK(!zx_attributes_unite(&a, &other) && a.epsilon == 1e-5F);
}
