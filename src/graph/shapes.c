#include "graph/shapes.h"

#include "base/fail.h"
#include "graph/chain.h"

static const zx_type *input(const zx_node *node, int index)
{
    return zx_value_type(node->inputs[index]);
}

static zmlx_status misfit(const zx_node *node, const char *what, size_t got, size_t expected)
{
    return ZX_FAIL(ZMLX_ERROR_SHAPE, "%s in %s: %s is %zu, expected %zu", zx_ops[node->op].text,
                   node->path != NULL ? node->path : "graph", what, got, expected);
}

zmlx_status zx_shape_given(zx_node *node)
{
    (void)node;
    return ZMLX_OK;
}

zmlx_status zx_shape_embed(zx_node *node)
{
    node->types[0] =
        (zx_type){ZX_ROWS_TOKENS, input(node, 1)->columns, node->attributes.dtype, {0}};
    return ZMLX_OK;
}

zmlx_status zx_shape_select(zx_node *node)
{
    node->types[0] = *input(node, 0);
    node->types[0].rows = ZX_ROWS_SAMPLED;
    return ZMLX_OK;
}

zmlx_status zx_shape_same(zx_node *node)
{
    node->types[0] = *input(node, 0);
    for (int i = 1; i < zx_ops[node->op].inputs; i++)
        if (input(node, i)->columns != input(node, 0)->columns)
            return misfit(node, "the width of the other operand", input(node, i)->columns,
                          input(node, 0)->columns);
    return ZMLX_OK;
}

zmlx_status zx_shape_activation(zx_node *node)
{
    const zx_activation activation = node->attributes.activation;
    if (activation == ZX_ACTIVATION_NONE || activation >= ZX_ACTIVATION_COUNT)
        return misfit(node, "the function's number", activation, ZX_ACTIVATION_SILU);
    return zx_shape_same(node);
}

static zmlx_status check_norm_weight(const zx_node *node, int index)
{
    const zx_weight *weight = node->inputs[index].node->weight;
    if (weight == NULL || weight->rows * weight->columns != input(node, 0)->columns)
        return misfit(node, "the weight's length",
                      weight == NULL ? 0 : weight->rows * weight->columns, input(node, 0)->columns);
    return ZMLX_OK;
}

zmlx_status zx_shape_norm(zx_node *node)
{
    node->types[0] = *input(node, 0);
    ZX_TRY(check_norm_weight(node, 1));
    if (node->op == ZX_OP_RMSNORM && node->inputs[1].node->weight->bias != NULL)
        return misfit(node, "the count of biases", 1, 0);
    return ZMLX_OK;
}

zmlx_status zx_shape_head_norm(zx_node *node)
{
    const zx_weight *weight = node->inputs[1].node->weight;
    ZX_TRY(zx_shape_heads(node));
    if (weight == NULL || weight->rows * weight->columns != node->attributes.head_size)
        return misfit(node, "the weight's length",
                      weight == NULL ? 0 : weight->rows * weight->columns,
                      node->attributes.head_size);
    return ZMLX_OK;
}

zmlx_status zx_shape_mul_rows(zx_node *node)
{
    node->types[0] = *input(node, 0);
    return input(node, 1)->columns == 1
               ? ZMLX_OK
               : misfit(node, "the width of the factors", input(node, 1)->columns, 1);
}

zmlx_status zx_shape_columns(zx_node *node)
{
    const zx_attributes *attributes = &node->attributes;
    ZX_TRY(zx_shape_heads(node));
    if (attributes->size == 0 || attributes->first > attributes->head_size ||
        attributes->size > attributes->head_size - attributes->first)
        return misfit(node, "the end of the part", attributes->first + (size_t)attributes->size,
                      attributes->head_size);
    node->types[0].columns = input(node, 0)->columns / attributes->head_size * attributes->size;
    return ZMLX_OK;
}

zmlx_status zx_shape_join(zx_node *node)
{
    const size_t head_size = node->attributes.head_size;
    const zx_type *a = input(node, 0), *b = input(node, 1);
    ZX_TRY(zx_shape_heads(node));
    const size_t heads = a->columns / head_size;
    if (b->columns % heads != 0)
        return misfit(node, "the remainder of the second width by the heads", b->columns % heads,
                      0);
    node->types[0].columns = a->columns + b->columns;
    return ZMLX_OK;
}

zmlx_status zx_shape_head_matmul(zx_node *node)
{
    const zx_attributes *attributes = &node->attributes;
    const zx_weight *weight = node->inputs[1].node->weight;
    const size_t size = attributes->head_size, end = attributes->first + (size_t)attributes->size;
    node->types[0] = *input(node, 0);
    if (weight == NULL || size == 0 || end > size || weight->count * weight->rows % size != 0)
        return misfit(node, "the rows of a head", end, size);
    const size_t heads = weight->count * weight->rows / size;
    const size_t from = attributes->transposed ? attributes->size : weight->columns;
    const size_t to = attributes->transposed ? weight->columns : attributes->size;
    if (input(node, 0)->columns != heads * from)
        return misfit(node, "the width of x", input(node, 0)->columns, heads * from);
    node->types[0].columns = heads * to;
    return ZMLX_OK;
}

static void set_quantized(zx_node *node, int output)
{
    node->types[output].dtype = ZX_QUANTIZED;
    node->types[output].layout = node->attributes.layout;
}

zmlx_status zx_shape_add_norm(zx_node *node)
{
    node->types[0] = node->types[1] = *input(node, 0);
    if (node->attributes.layout.planes != 0) set_quantized(node, 0);
    if (input(node, 1)->columns != input(node, 0)->columns)
        return misfit(node, "the residual's width", input(node, 1)->columns,
                      input(node, 0)->columns);
    return check_norm_weight(node, 2);
}

zmlx_status zx_shape_norm_add_norm(zx_node *node)
{
    node->types[0] = node->types[1] = *input(node, 0);
    if (node->attributes.layout.planes != 0) set_quantized(node, 0);
    if (input(node, 2)->columns != input(node, 0)->columns)
        return misfit(node, "the residual's width", input(node, 2)->columns,
                      input(node, 0)->columns);
    ZX_TRY(check_norm_weight(node, 1));
    return check_norm_weight(node, 3);
}

zmlx_status zx_shape_quantize(zx_node *node)
{
    const zx_activation_layout layout = node->attributes.layout;
    node->types[0] = *input(node, 0);
    set_quantized(node, 0);
    if (layout.group == 0 || node->types[0].columns % layout.group != 0)
        return misfit(node, "the remainder of the width by the group",
                      layout.group == 0 ? 0 : node->types[0].columns % layout.group, 0);
    return ZMLX_OK;
}

/* The dtype of a matmul's results is an attribute of the graph's dtype: x's own, or, where x is
 * quantized, the one it was quantized from. */
static zx_dtype matmul_dtype(const zx_node *node)
{
    const zx_node *maker = node->inputs[0].node;
    if (input(node, 0)->dtype != ZX_QUANTIZED) return input(node, 0)->dtype;
    return zx_value_type(maker->inputs[0])->dtype;
}

zmlx_status zx_shape_matmul(zx_node *node)
{
    const zx_type *x = input(node, 0);
    int output = 0;
    for (int i = 1; i < zx_ops[node->op].inputs; i++) {
        const zx_weight *weight = node->inputs[i].node->weight;
        if (weight == NULL) { /* the residual of matmul_add */
            if (input(node, i)->columns != node->types[0].columns)
                return misfit(node, "the residual's width", input(node, i)->columns,
                              node->types[0].columns);
            continue;
        }
        if (weight->columns != x->columns)
            return misfit(node, "the weight's width", weight->columns, x->columns);
        if (output < zx_ops[node->op].outputs)
            node->types[output++] = (zx_type){x->rows, weight->rows, matmul_dtype(node), {0}};
    }
    return ZMLX_OK;
}

zmlx_status zx_shape_scores(zx_node *node)
{
    node->types[0] = *input(node, 0);
    node->types[0].dtype = ZX_F32;
    return ZMLX_OK;
}

zmlx_status zx_shape_add_row(zx_node *node)
{
    node->types[0] = *input(node, 0);
    return check_norm_weight(node, 1);
}

zmlx_status zx_shape_group_limit(zx_node *node)
{
    const zx_attributes *attributes = &node->attributes;
    node->types[0] = *input(node, 0);
    if (attributes->groups == 0 || node->types[0].columns % attributes->groups != 0)
        return misfit(node, "the remainder of the experts by the groups",
                      attributes->groups == 0 ? 0 : node->types[0].columns % attributes->groups, 0);
    if (attributes->top_groups == 0 || attributes->top_groups > attributes->groups)
        return misfit(node, "the count of groups that stay", attributes->top_groups,
                      attributes->groups);
    return ZMLX_OK;
}

zmlx_status zx_shape_topk(zx_node *node)
{
    const uint32_t top_k = node->attributes.top_k;
    node->types[0] = *input(node, 0);
    node->types[0].dtype = ZX_I32;
    node->types[0].columns = top_k;
    if (top_k == 0 || top_k > input(node, 0)->columns)
        return misfit(node, "the count of experts to choose", top_k, input(node, 0)->columns);
    return ZMLX_OK;
}

zmlx_status zx_shape_gather_scores(zx_node *node)
{
    node->types[0] = *input(node, 1);
    node->types[0].dtype = ZX_F32;
    return ZMLX_OK;
}

/* One x for all experts of a token, or one for each. */
static zmlx_status check_slots(const zx_node *node, const zx_weight *weight)
{
    const zx_type *x = input(node, 0);
    const size_t slots = input(node, 1)->columns;
    const size_t expected = x->columns == weight->columns ? 1 : slots;
    if (x->columns != expected * weight->columns)
        return misfit(node, "the width of x", x->columns, slots * weight->columns);
    if (x->dtype == ZX_QUANTIZED && zx_activation_slots(x->layout) != expected)
        return misfit(node, "the count of slots in a row of x", zx_activation_slots(x->layout),
                      expected);
    return ZMLX_OK;
}

zmlx_status zx_shape_expert_matmul(zx_node *node)
{
    const zx_type *x = input(node, 0), *indices = input(node, 1);
    const zx_weight *weight = node->inputs[2].node->weight;
    if (weight == NULL || indices->dtype != ZX_I32)
        return misfit(node, "the dtype of the indices", indices->dtype, ZX_I32);
    node->types[0] = (zx_type){x->rows, indices->columns * weight->rows, matmul_dtype(node), {0}};
    const bool gated = node->op == ZX_OP_EXPERT_GLU || node->op == ZX_OP_EXPERT_CLAMPED_GLU;
    const zx_weight *up = gated ? node->inputs[3].node->weight : weight;
    if (up == NULL || up->rows != weight->rows || up->columns != weight->columns)
        return misfit(node, "the rows of the second weight", up != NULL ? up->rows : 0,
                      weight->rows);
    return check_slots(node, weight);
}

zmlx_status zx_shape_router(zx_node *node)
{
    ZX_TRY(zx_shape_topk(node));
    node->types[1] = node->types[0];
    node->types[0].dtype = ZX_F32;
    return ZMLX_OK;
}

zmlx_status zx_shape_expert_combine(zx_node *node)
{
    ZX_TRY(zx_shape_expert_matmul(node));
    node->types[0].columns = node->inputs[2].node->weight->rows;
    if (input(node, 3)->columns != input(node, 1)->columns)
        return misfit(node, "the count of weights", input(node, 3)->columns,
                      input(node, 1)->columns);
    if (node->op == ZX_OP_EXPERT_COMBINE_ADD && input(node, 4)->columns != node->types[0].columns)
        return misfit(node, "the residual's width", input(node, 4)->columns,
                      node->types[0].columns);
    return ZMLX_OK;
}

zmlx_status zx_shape_combine(zx_node *node)
{
    const size_t slots = input(node, 1)->columns;
    node->types[0] = *input(node, 0);
    if (slots == 0 || node->types[0].columns % slots != 0)
        return misfit(node, "the remainder of the width by the experts of a token",
                      slots == 0 ? 0 : node->types[0].columns % slots, 0);
    node->types[0].columns /= slots;
    return ZMLX_OK;
}

zmlx_status zx_shape_heads(zx_node *node)
{
    const size_t head_size = node->attributes.head_size;
    node->types[0] = *input(node, 0);
    if (head_size == 0 || node->types[0].columns % head_size != 0)
        return misfit(node, "the remainder of the width by the head size",
                      head_size == 0 ? 0 : node->types[0].columns % head_size, 0);
    return ZMLX_OK;
}

zmlx_status zx_shape_position_scale(zx_node *node)
{
    node->types[0] = *input(node, 0);
    if (node->types[0].rows != ZX_ROWS_TOKENS)
        return misfit(node, "the kind of the rows", node->types[0].rows, ZX_ROWS_TOKENS);
    return node->attributes.period > 0 ? ZMLX_OK : misfit(node, "the period", 0, 1);
}

zmlx_status zx_shape_cache(zx_node *node)
{
    node->types[0] = (zx_type){ZX_ROWS_NONE, 0, input(node, 0)->dtype, {0}};
    return ZMLX_OK;
}

zmlx_status zx_shape_attention(zx_node *node)
{
    const zx_attributes *attributes = &node->attributes;
    ZX_TRY(zx_shape_heads(node));
    const size_t heads = node->types[0].columns / attributes->head_size;
    if (attributes->value_size != 0) node->types[0].columns = heads * attributes->value_size;
    if (node->op != ZX_OP_ATTENTION_SINKS) return ZMLX_OK;
    const zx_weight *sinks = node->inputs[2].node->weight;
    const size_t count = sinks == NULL ? 0 : sinks->rows * sinks->columns;
    return count == heads ? ZMLX_OK : misfit(node, "the count of sinks", count, heads);
}

zmlx_status zx_shape_rope_append(zx_node *node)
{
    ZX_TRY(zx_shape_heads(node));
    node->types[1] = (zx_type){ZX_ROWS_NONE, 0, input(node, 0)->dtype, {0}};
    return ZMLX_OK;
}

/* Ops with a state see tokens in their order, and know where the state lies. */
static zmlx_status check_state(const zx_node *node)
{
    if (input(node, 0)->rows != ZX_ROWS_TOKENS)
        return misfit(node, "the kind of the rows", input(node, 0)->rows, ZX_ROWS_TOKENS);
    return node->attributes.state > 0 ? ZMLX_OK : misfit(node, "the number of the state", 0, 1);
}

zmlx_status zx_shape_short_conv(zx_node *node)
{
    const int place = node->op == ZX_OP_SHORT_CONV_GATED ? 2 : 1;
    const zx_weight *weight = node->inputs[place].node->weight;
    const size_t columns = input(node, 0)->columns;
    node->types[0] = *input(node, 0);
    ZX_TRY(check_state(node));
    if (weight == NULL || weight->columns != columns)
        return misfit(node, "the weight's width", weight != NULL ? weight->columns : 0, columns);
    if (weight->rows < 2 || weight->rows > ZX_MAX_TAPS)
        return misfit(node, "the count of taps", weight->rows, ZX_MAX_TAPS);
    for (int i = 1; i < zx_ops[node->op].inputs; i++)
        if (i != place && input(node, i)->columns != columns)
            return misfit(node, "the width of the other operand", input(node, i)->columns, columns);
    return ZMLX_OK;
}

zmlx_status zx_shape_head_l2norm(zx_node *node)
{
    ZX_TRY(zx_shape_heads(node));
    node->types[0].dtype = ZX_F32;
    return ZMLX_OK;
}

/* A vector of the model as an operand. */
static zmlx_status check_vector(const zx_node *node, int index, size_t length)
{
    const zx_weight *weight = node->inputs[index].node->weight;
    const size_t is = weight != NULL ? weight->rows * weight->columns : 0;
    return is == length ? ZMLX_OK : misfit(node, "the weight's length", is, length);
}

zmlx_status zx_shape_gated_head_norm(zx_node *node)
{
    ZX_TRY(zx_shape_heads(node));
    if (node->attributes.activation == ZX_ACTIVATION_NONE)
        return misfit(node, "the function's number", 0, ZX_ACTIVATION_SILU);
    if (input(node, 1)->columns != input(node, 0)->columns)
        return misfit(node, "the gate's width", input(node, 1)->columns, input(node, 0)->columns);
    return check_vector(node, 2, node->attributes.head_size);
}

zmlx_status zx_shape_decay(zx_node *node)
{
    node->types[0] = *input(node, 0);
    node->types[0].dtype = ZX_F32;
    ZX_TRY(check_vector(node, 1, input(node, 0)->columns));
    return check_vector(node, 2, input(node, 0)->columns);
}

zmlx_status zx_shape_gated_delta(zx_node *node)
{
    const size_t key_size = node->attributes.head_size, value_size = node->attributes.value_size;
    const zx_type *queries = input(node, 0), *keys = input(node, 1), *values = input(node, 2);
    ZX_TRY(zx_shape_heads(node));
    ZX_TRY(check_state(node));
    node->types[0] = *values;
    if (keys->columns != queries->columns)
        return misfit(node, "the keys' width", keys->columns, queries->columns);
    if (queries->dtype != ZX_F32 || keys->dtype != ZX_F32 || input(node, 3)->dtype != ZX_F32)
        return misfit(node, "the dtype of queries, keys or decays", 1, ZX_F32);
    const size_t key_heads = keys->columns / key_size;
    const size_t heads = value_size > 0 ? values->columns / value_size : 0;
    if (heads == 0 || heads * value_size != values->columns || heads % key_heads != 0)
        return misfit(node, "the count of values", values->columns, key_heads * value_size);
    for (int i = 3; i < 5; i++)
        if (input(node, i)->columns != heads)
            return misfit(node, "the count of decays or rates", input(node, i)->columns, heads);
    return ZMLX_OK;
}

zmlx_status zx_shape_chain(zx_node *node)
{
    const zx_chain *chain = node->attributes.chain;
    if (chain == NULL || chain->count == 0) return misfit(node, "the count of steps", 0, 1);
    for (int i = 0; i < ZX_MAX_OUTPUTS; i++)
        node->types[i] = (zx_type){ZX_ROWS_NONE, 0, ZX_F32, {0}};
    for (size_t i = 0; i < chain->count; i++)
        if (chain->steps[i].output >= 0) node->types[chain->steps[i].output] = chain->steps[i].type;
    return ZMLX_OK;
}
