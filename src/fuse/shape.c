/* shape.c - what decides how fast a match runs, as a number: its ops, their constants, the types of
 * its values and the formats of its weights, but not which layer it lies in. */
#include "base/fail.h"
#include "base/hash.h"
#include "fuse/rules.h"

static uint64_t hash_numbers(const uint64_t *numbers, size_t count, uint64_t hash)
{
    return zx_hash(numbers, count * sizeof *numbers, hash);
}

static uint64_t hash_type(const zx_type *type, uint64_t hash)
{
    const uint64_t numbers[] = {(uint64_t)type->rows, type->columns,      (uint64_t)type->dtype,
                                type->layout.planes,  type->layout.group, type->layout.slots};
    return hash_numbers(numbers, sizeof numbers / sizeof numbers[0], hash);
}

static uint64_t hash_weight(const zx_weight *weight, uint64_t hash)
{
    const uint64_t numbers[] = {(uint64_t)weight->format,
                                weight->bits,
                                weight->group,
                                (uint64_t)weight->dtype,
                                weight->count,
                                weight->rows,
                                weight->columns,
                                weight->bias != NULL ? 1 + (uint64_t)weight->bias_dtype : 0};
    return hash_numbers(numbers, sizeof numbers / sizeof numbers[0], hash);
}

static zmlx_status hash_node(const zx_node *node, zx_text *text, uint64_t *hash)
{
    const uint64_t op = (uint64_t)node->op;
    zx_attributes attributes = node->attributes;
    attributes.layer = attributes.state = 0;
    zx_text_clear(text);
    ZX_TRY(zx_attributes_print(&attributes, text));
    *hash = zx_hash(text->bytes, text->length, hash_numbers(&op, 1, *hash));
    for (int i = 0; i < zx_ops[node->op].outputs; i++) *hash = hash_type(&node->types[i], *hash);
    return ZMLX_OK;
}

/* The node of the lowest index that is not below 'from'. */
static const zx_node *next_node(const zx_match *match, size_t from)
{
    const zx_node *next = NULL;
    for (int i = 0; i < match->node_count; i++) {
        const zx_node *node = match->nodes[i];
        if (node->index >= from && (next == NULL || node->index < next->index)) next = node;
    }
    return next;
}

zmlx_status zx_fusion_shape(const zx_match *match, uint64_t *shape)
{
    zx_text text = {0};
    zmlx_status status = ZMLX_OK;
    *shape = 0;
    for (const zx_node *node = next_node(match, 0); node != NULL && status == ZMLX_OK;
         node = next_node(match, node->index + 1))
        status = hash_node(node, &text, shape);
    for (int i = 0; i < match->bound_count; i++) {
        const zx_value value = match->bound[i];
        *shape = value.node->weight != NULL ? hash_weight(value.node->weight, *shape)
                                            : hash_type(zx_value_type(value), *shape);
    }
    zx_text_fini(&text);
    return status;
}
