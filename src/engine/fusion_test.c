/* fusion_test.c - every fusion rule, fused against unfused, bit by bit.
 *
 * The tree that a rule describes is built from its text over random values and weights, at every
 * dtype of activations and for dense and quantized weights, run as it is, then fused, then run
 * again.  Each root and exported value is made to count in the output. */
#include <string.h>

#include "base/memory.h"
#include "base/test.h"
#include "engine/plan.h"
#include "fuse/rules.h"
#include "kv/cache.h"

enum {
    EXPERTS = 4,
    CHOSEN = 2,
    LOGIT_ROWS = 16
}; /* LOGIT_ROWS: of an expert where WIDTH are chosen from */
enum { WIDTH = 128, TOKENS = 5, HEAD = 32, LEAVES = 8, ROW_BYTES = WIDTH * 4, LAYERS = 1 };
enum { TAPS = 3 };

typedef struct setting { /* one case */
    zx_dtype dtype;
    zx_precision precision; /* f32: matmuls read T, else quantized activations */
    zx_format format;       /* of matrices */
} setting;

static const setting settings[] = {
    {ZX_F32, ZX_PRECISION_F32, ZX_FORMAT_F32},   {ZX_F16, ZX_PRECISION_F32, ZX_FORMAT_F16},
    {ZX_BF16, ZX_PRECISION_F32, ZX_FORMAT_BF16}, {ZX_F32, ZX_PRECISION_F32, ZX_FORMAT_Q4_1},
    {ZX_F32, ZX_PRECISION_Q8, ZX_FORMAT_Q4_1},   {ZX_F32, ZX_PRECISION_Q16, ZX_FORMAT_Q4_1},
    {ZX_BF16, ZX_PRECISION_Q8, ZX_FORMAT_Q8_0},  {ZX_F16, ZX_PRECISION_Q16, ZX_FORMAT_Q4_0},
};

typedef struct builder {
    setting at;
    zx_arena arena; /* weights */
    zx_graph graph;
    zx_rope rope;
    const char *names[LEAVES];
    zx_value values[LEAVES];
    int count;
    bool own_x;   /* experts read a row each */
    bool without; /* optional ops are left out */
    bool failed;
} builder;

/* A GGUF block begins with its scale (and minimum) as f16; random bytes there would be NaN at
 * times. */
static void fill_row(const zx_weight *weight, size_t row, unsigned char *memory)
{
    float values[WIDTH];
    unsigned char *bytes = memory + row * weight->codes_stride;
    for (size_t i = 0; i < WIDTH; i++) values[i] = (float)(zx_test_uniform() * 2 - 1);
    if (zx_formats[weight->format].encode != NULL) {
        zx_formats[weight->format].encode(weight, row, values);
        return;
    }
    const size_t block = weight->codes_stride * weight->group / weight->columns;
    for (size_t i = 0; i < weight->codes_stride; i++) bytes[i] = (unsigned char)zx_test_random();
    for (size_t i = 0; i < weight->codes_stride; i += block) {
        const uint16_t halves[2] = {zx_f32_to_f16((float)zx_test_uniform() * 0.1F),
                                    zx_f32_to_f16((float)zx_test_uniform() - 1)};
        memcpy(bytes + i, halves, weight->format == ZX_FORMAT_Q4_1 ? 4 : 2);
    }
}

static zx_weight *random_weight(builder *b, zx_format format, size_t rows)
{
    void *memory = NULL;
    if (zx_arena_alloc(&b->arena, sizeof(zx_weight), &memory) != ZMLX_OK) return NULL;
    zx_weight *weight = memory;
    static const zx_dtype dense[] = {ZX_F32, ZX_F16, ZX_BF16};
    *weight = (zx_weight){.format = format,
                          .dtype = format <= ZX_FORMAT_BF16 ? dense[format] : ZX_F32,
                          .bits = zx_formats[format].bits,
                          .group = zx_formats[format].group,
                          .count = 1,
                          .rows = rows,
                          .columns = WIDTH};
    weight->codes_stride = zx_weight_row_bytes(weight);
    if (zx_arena_alloc(&b->arena, rows * weight->codes_stride, &memory) != ZMLX_OK) return NULL;
    weight->codes = memory;
    for (size_t row = 0; row < rows; row++) fill_row(weight, row, (unsigned char *)memory);
    return weight;
}

static zx_value weight_value(builder *b, zx_format format, size_t rows)
{
    zx_value value = {0};
    const zx_weight *weight = random_weight(b, format, rows);
    if (weight == NULL || zx_graph_weight(&b->graph, "weight", weight, &value) != ZMLX_OK)
        b->failed = true;
    return value;
}

static zx_value node_of(builder *b, zx_op op, const zx_value operands[],
                        const zx_attributes *attributes)
{
    zx_value value = {0};
    if (zx_graph_add(&b->graph, op, operands, attributes, &value) != ZMLX_OK) b->failed = true;
    return value;
}

static zx_value node(builder *b, zx_op op, zx_value first, zx_value second,
                     const zx_attributes *attributes)
{
    return node_of(b, op, (zx_value[]){first, second}, attributes);
}

/* So many matrices one after the other. */
static zx_value expert_weights(builder *b, zx_format format, size_t count, size_t rows)
{
    zx_value value = {0};
    zx_weight *weight = random_weight(b, format, count * rows);
    if (weight == NULL) {
        b->failed = true;
        return value;
    }
    weight->count = count;
    weight->rows = rows;
    if (zx_graph_weight(&b->graph, "weight", weight, &value) != ZMLX_OK) b->failed = true;
    return value;
}

/* A norm of heads: the first of a row's values. */
static zx_value head_weight(builder *b)
{
    zx_value value = {0};
    zx_weight *weight = random_weight(b, ZX_FORMAT_F32, 1);
    if (weight != NULL) weight->columns = HEAD;
    if (weight == NULL || zx_graph_weight(&b->graph, "weight", weight, &value) != ZMLX_OK)
        b->failed = true;
    return value;
}

/* Random values of T, one row a token. */
static zx_value random_values(builder *b)
{
    zx_value ids = {0};
    if (zx_graph_input(&b->graph, &ids) != ZMLX_OK) b->failed = true;
    const zx_attributes attributes = {.dtype = b->at.dtype};
    return node(b, ZX_OP_EMBED, ids, weight_value(b, ZX_FORMAT_F32, TOKENS), &attributes);
}

static zx_attributes quantize_attributes(const builder *b)
{
    zx_weight like = {.format = b->at.format == ZX_FORMAT_F32 ? ZX_FORMAT_Q4_1 : b->at.format,
                      .columns = WIDTH};
    if (like.format <= ZX_FORMAT_BF16) like.format = ZX_FORMAT_Q4_1;
    like.group = zx_formats[like.format].group;
    like.bits = zx_formats[like.format].bits;
    const zx_precision precision =
        b->at.precision == ZX_PRECISION_F32 ? ZX_PRECISION_Q8 : b->at.precision;
    return (zx_attributes){.layout = zx_weight_layout(&like, precision)};
}

static zx_attributes attributes_of(builder *b, zx_op op)
{
    zx_attributes attributes = {0};
    if (op == ZX_OP_ACTIVATION) /* another for every dtype */
        attributes.activation =
            (zx_activation)(ZX_ACTIVATION_SILU +
                            (unsigned)b->at.dtype % (ZX_ACTIVATION_COUNT - ZX_ACTIVATION_SILU));
    if (op == ZX_OP_RMSNORM || op == ZX_OP_LAYERNORM || op == ZX_OP_HEAD_RMSNORM)
        attributes.epsilon = 1e-5F;
    if (op == ZX_OP_QUANTIZE) attributes = quantize_attributes(b);
    if (op == ZX_OP_ROPE) attributes.rope = &b->rope;
    if (op == ZX_OP_ROPE || op == ZX_OP_KV_APPEND || op == ZX_OP_HEAD_RMSNORM)
        attributes.head_size = HEAD;
    if (op == ZX_OP_KV_APPEND) attributes.layer = 1;
    if (op == ZX_OP_SHORT_CONV) attributes.state = 1;
    if (op == ZX_OP_TOPK) attributes.top_k = CHOSEN;
    if (op == ZX_OP_NORMALIZE) attributes.epsilon = 1e-6F;
    if (op == ZX_OP_SCALE) attributes.scale = 2.5F;
    if (op == ZX_OP_GROUP_LIMIT) attributes.groups = 8;
    if (op == ZX_OP_GROUP_LIMIT) attributes.top_groups = 2;
    if (op == ZX_OP_CLAMPED_GLU || op == ZX_OP_SOFTCAP) attributes.limit = 1;
    if (op == ZX_OP_CLAMPED_GLU) attributes.alpha = 1.702F;
    return attributes;
}

/* Some experts of every token, and what they weigh. */
static zx_value random_indices(builder *b)
{
    const zx_value logits =
        node(b, ZX_OP_MATMUL, random_values(b), weight_value(b, ZX_FORMAT_F32, EXPERTS), NULL);
    const zx_attributes top = {.top_k = CHOSEN};
    return node(b, ZX_OP_TOPK, logits, (zx_value){0}, &top);
}

static zx_value random_shares(builder *b)
{
    const zx_value logits =
        node(b, ZX_OP_MATMUL, random_values(b), weight_value(b, ZX_FORMAT_F32, CHOSEN), NULL);
    return node(b, ZX_OP_SOFTMAX, logits, (zx_value){0}, NULL);
}

/* What experts multiply: a row for all of a token's, or a row for each. */
static zx_value expert_x(builder *b)
{
    zx_value x = random_values(b);
    zx_attributes attributes = quantize_attributes(b);
    if (b->own_x) {
        const zx_value weight = expert_weights(b, ZX_FORMAT_F32, EXPERTS, WIDTH);
        x = node_of(b, ZX_OP_EXPERT_MATMUL, (zx_value[]){x, random_indices(b), weight}, NULL);
        attributes.layout.slots = CHOSEN;
    }
    if (b->at.precision == ZX_PRECISION_F32) return x;
    return node(b, ZX_OP_QUANTIZE, x, (zx_value){0}, &attributes);
}

static zx_value expert_leaf(builder *b, int place)
{
    if (place == 0) return expert_x(b);
    if (place == 1) return random_indices(b);
    return expert_weights(b, b->at.format, EXPERTS, WIDTH);
}

static zx_value new_leaf(builder *b, zx_op reader, int place)
{
    if (reader == ZX_OP_MATMUL && place == 1) return weight_value(b, b->at.format, WIDTH);
    if ((reader == ZX_OP_RMSNORM || reader == ZX_OP_LAYERNORM) && place == 1)
        return weight_value(b, ZX_FORMAT_F32, 1);
    if (reader == ZX_OP_HEAD_RMSNORM && place == 1) return head_weight(b);
    if (reader == ZX_OP_ADD_ROW && place == 1) return weight_value(b, ZX_FORMAT_F32, 1);
    if (reader == ZX_OP_SHORT_CONV && place == 1) return weight_value(b, ZX_FORMAT_F32, TAPS);
    if (reader == ZX_OP_EXPERT_MATMUL) return expert_leaf(b, place);
    if (reader == ZX_OP_COMBINE && place == 1) return random_shares(b);
    const zx_value values = random_values(b);
    if (reader != ZX_OP_MATMUL || b->at.precision == ZX_PRECISION_F32) return values;
    const zx_attributes attributes = quantize_attributes(b);
    return node(b, ZX_OP_QUANTIZE, values, (zx_value){0}, &attributes);
}

static zx_value leaf(builder *b, const char **text, zx_op reader, int place)
{
    const char *name = *text;
    const size_t length = strcspn(name, " )");
    *text += length;
    for (int i = 0; i < b->count; i++)
        if (strcspn(b->names[i], " )") == length && memcmp(b->names[i], name, length) == 0)
            return b->values[i];
    b->names[b->count] = name;
    b->values[b->count] = new_leaf(b, reader, place);
    return b->values[b->count++];
}

static zx_value tree(builder *b, const char **text, zx_op reader, int place);

/* '@name(op ...)', a node with a name, or '@name', the node that has it. */
static zx_value named(builder *b, const char **text)
{
    const char *const name = *text;
    const size_t length = strcspn(name, " ()");
    *text += length;
    if (**text == '(') {
        const zx_value value = tree(b, text, ZX_OP_COUNT, 0);
        b->names[b->count] = name;
        b->values[b->count++] = value;
        return value;
    }
    for (int i = 0; i < b->count; i++)
        if (memcmp(b->names[i], name, length) == 0) return b->values[i];
    b->failed = true;
    return (zx_value){0};
}

static zx_value tree(builder *b, const char **text, zx_op reader, int place)
{
    if (**text == '?') return leaf(b, text, reader, place);
    if (**text == '@') return named(b, text);
    if (**text == '!') *text += strcspn(*text, "(");
    const char *word = ++*text;
    *text += strcspn(*text, " ");
    const bool optional = (*text)[-1] == '?';
    const zx_op op = zx_op_from_text(word, (size_t)(*text - word) - optional);
    zx_value operands[ZX_MAX_INPUTS] = {{0}};
    for (int i = 0; i < zx_ops[op].inputs; i++) {
        *text += strspn(*text, " ");
        operands[i] = tree(b, text, op, i);
    }
    *text += **text == ')' ? 1 : 0;
    if (optional && b->without) return operands[0];
    const zx_attributes attributes = attributes_of(b, op);
    return node_of(b, op, operands, &attributes);
}

/* A router's weights and the indices that it exported, by what experts make of them. */
static zx_value routed(builder *b, zx_value weights)
{
    zx_value indices = {0};
    for (zx_node *each = b->graph.first; each != NULL; each = each->next)
        if (each->op == ZX_OP_TOPK) indices = (zx_value){each, 0};
    const zx_value experts = expert_weights(b, ZX_FORMAT_F32, WIDTH, LOGIT_ROWS);
    const zx_value parts =
        node_of(b, ZX_OP_EXPERT_MATMUL, (zx_value[]){random_values(b), indices, experts}, NULL);
    return node(b, ZX_OP_COMBINE, parts, weights, NULL);
}

/* What makes a root count in the output, as values of T. */
static zx_value readable(builder *b, zx_value root)
{
    if (zx_value_type(root)->columns == CHOSEN) return routed(b, root);
    if (zx_value_type(root)->columns == CHOSEN * WIDTH)
        return node(b, ZX_OP_COMBINE, root, random_shares(b), NULL);
    if (root.node->op == ZX_OP_KV_APPEND) {
        const zx_attributes attributes = {.head_size = HEAD, .layer = 1, .scale = 0.2F};
        return node(b, ZX_OP_ATTENTION, random_values(b), root, &attributes);
    }
    if (zx_value_type(root)->dtype != ZX_QUANTIZED) return root;
    const bool dense = b->at.format <= ZX_FORMAT_BF16;
    return node(b, ZX_OP_MATMUL, root,
                weight_value(b, dense ? ZX_FORMAT_Q4_1 : b->at.format, WIDTH), NULL);
}

static void build(builder *b, const zx_fusion_rule *rule)
{
    zx_value sum = {0};
    b->own_x = strstr(rule->pattern, "combine") != NULL;
    for (const char *text = rule->pattern; *text != '\0'; text += strspn(text, " ")) {
        const zx_value root = tree(b, &text, ZX_OP_COUNT, 0);
        if (b->failed) return;
        const zx_value value = readable(b, root);
        sum = sum.node == NULL ? value : node(b, ZX_OP_ADD, sum, value, NULL);
        /* an exported value, the sum before a norm, is read once more */
        const zx_node *inner =
            root.node->op == ZX_OP_RMSNORM ? root.node : root.node->inputs[0].node;
        if (strstr(rule->pattern, "!sum") != NULL && inner->inputs[0].node != NULL)
            sum = node(b, ZX_OP_ADD, sum, inner->inputs[0], NULL);
    }
    b->graph.output = sum;
}

/* Runs the graph over TOKENS tokens of one sequence; the output's bytes go to 'result'. */
static bool run(const zx_graph *graph, unsigned char *result, size_t *bytes)
{
    static const int32_t ids[TOKENS] = {0, 1, 2, 3, 4}, starts[] = {0, TOKENS}, pages[] = {1};
    static const int32_t page_start[] = {0, 1};
    static const zx_kv_layer layers[LAYERS] = {
        {.kv_heads = WIDTH / HEAD, .key_size = HEAD, .value_size = HEAD}};
    static const zx_state_layer states[] = {{.values = (TAPS - 1) * WIDTH}};
    static const int32_t slots[] = {1}, snapshots[] = {0};
    const zx_cache_layers all = {
        .kv = layers, .kv_count = LAYERS, .states = states, .state_count = 1};
    const zx_batch batch = {.tokens = TOKENS,
                            .sequences = 1,
                            .sampled_rows = TOKENS,
                            .ids = ids,
                            .positions = ids,
                            .token_start = starts,
                            .page_start = page_start,
                            .pages = pages,
                            .sampled = ids,
                            .states = slots,
                            .snapshots = snapshots};
    const zx_plan_limits limits = {TOKENS, 1, TOKENS};
    zx_cache cache;
    zx_plan *plan = NULL;
    if (zx_cache_create(&all, ZX_F32, &(zx_cache_size){.pages = 3, .slots = 2}, &cache) != ZMLX_OK)
        return false;
    const bool ok = zx_plan_create(graph, &limits, NULL, &cache.pages, &plan) == ZMLX_OK &&
                    zx_plan_run(plan, &batch) == ZMLX_OK;
    if (ok) {
        const zx_operand *output = zx_plan_output(plan);
        *bytes = TOKENS * output->stride;
        memcpy(result, output->data, *bytes);
    }
    zx_plan_destroy(plan);
    zx_cache_destroy(&cache);
    return ok;
}

static bool holds_op(const zx_graph *graph, zx_op op)
{
    for (const zx_node *each = graph->first; each != NULL; each = each->next)
        if (each->op == op) return true;
    return false;
}

static bool same_bits(const zx_fusion_rule *rule, setting at, bool without)
{
    static unsigned char unfused[TOKENS * ROW_BYTES], fused[TOKENS * ROW_BYTES];
    static const float frequencies[HEAD / 2] = {1, 0.7F, 0.5F, 0.3F, 0.2F, 0.1F};
    builder b = {.at = at,
                 .without = without,
                 .rope = {.dims = HEAD, .magnitude = 1, .inverse_frequency = frequencies}};
    size_t bytes = 0, fused_bytes = 0;
    zx_match match;
    build(&b, rule);
    bool ok = !b.failed && zx_graph_sort(&b.graph) == ZMLX_OK && run(&b.graph, unfused, &bytes);
    bool matched = false;
    for (zx_node *each = b.graph.first; ok && !matched && each != NULL; each = each->next) {
        matched = zx_fusion_match(rule, &b.graph, each, &match);
        if (matched) ok = zx_fusion_replace(rule, &b.graph, &match) == ZMLX_OK;
    }
    ok = ok && matched && holds_op(&b.graph, rule->fused) && run(&b.graph, fused, &fused_bytes) &&
         bytes == fused_bytes && memcmp(unfused, fused, bytes) == 0;
    zx_graph_fini(&b.graph);
    zx_arena_reset(&b.arena);
    return ok;
}

TEST(every_fusion_rule_returns_the_bits_of_what_it_replaces)
{
    for (size_t i = 0; i < zx_fusion_rule_count; i++)
        for (size_t k = 0; k < sizeof settings / sizeof settings[0]; k++)
            for (int without = 0; without < 2; without++)
                CHECK_ON(zx_fusion_rules[i].name,
                         same_bits(&zx_fusion_rules[i], settings[k], without != 0));
}
