#include "engine/verify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fail.h"
#include "kernels/fill.h"

/* Tokens of a run, of two sequences: the first begins near a page's end, the second at position 0.
 */
enum {
    MOST_VALUES = 64,
    MOST_TOKENS = 256, /* of a measured run */
    PAGES_OF_SEQUENCE = 4,
    PAGES = 2 * PAGES_OF_SEQUENCE + 1,
    SLOTS = 4, /* of each sequence, and a snapshot of the first's */
    FIRST_POSITION = ZX_PAGE_TOKENS - 2,
};

static const size_t token_counts[] = {1, 3, 18};

/* A value of the graph and where its rows lie. */
typedef struct binding {
    zx_value value;
    zx_operand operand;
} binding;

/* An op ready to run. */
typedef struct runner {
    const zx_kernel *kernel;
    zx_launch launch;
} runner;

typedef struct trial {
    const zx_verifier *verifier;
    const zx_match *match;
    zx_fill fill;
    size_t tokens;
    uint64_t state; /* of the generator */
    zx_arena arena;
    binding bound[MOST_VALUES];
    size_t bound_count;
    zx_batch batch;
    zx_kv_pages kv;
    uint8_t *fresh_pages; /* what pages and slots hold before a run */
    size_t cache_bytes;
    int32_t ids[MOST_TOKENS], positions[MOST_TOKENS], sampled[MOST_TOKENS];
    int32_t token_start[3], page_start[3], pages[PAGES], states[2], snapshots[PAGES];
    runner unfused[ZX_MATCH_NODES], fused;
    bool missing; /* some op has no kernel */
} trial;

static zmlx_status new_operand(trial *t, const zx_type *type, zx_operand *operand)
{
    void *memory = NULL;
    const size_t rows = type->rows == ZX_ROWS_NONE ? 0 : t->tokens;
    const size_t stride = type->dtype == ZX_QUANTIZED
                              ? zx_activation_row_bytes(type->layout, type->columns)
                              : type->columns * zx_dtypes[type->dtype].bytes;
    ZX_TRY(zx_arena_alloc(&t->arena, rows * stride + 1, &memory));
    memset(memory, 0, rows * stride + 1); /* also between the parts of a quantized row */
    *operand = (zx_operand){.data = memory,
                            .rows = rows,
                            .columns = type->columns,
                            .stride = stride,
                            .dtype = type->dtype,
                            .layout = type->layout};
    return ZMLX_OK;
}

/* Chooses a kernel for the launch and takes its scratch. */
static zmlx_status prepare_op(trial *t, zx_op op, zx_launch *launch, runner *ready)
{
    void *scratch = NULL;
    launch->batch = &t->batch;
    launch->kv = &t->kv;
    launch->pool = t->verifier->pool;
    *ready = (runner){.kernel = zx_kernel_choose(op, launch)};
    if (ready->kernel == NULL) {
        t->missing = true;
        return ZMLX_OK;
    }
    ZX_TRY(zx_arena_alloc(&t->arena, ready->kernel->scratch(launch) + 1, &scratch));
    launch->scratch = scratch;
    ready->launch = *launch;
    return ZMLX_OK;
}

/* Numbers of experts, all different within a row. */
static void fill_numbers(trial *t, const zx_operand *x)
{
    size_t most = x->columns;
    for (int i = 0; i < t->match->bound_count; i++) {
        const zx_weight *weight = t->match->bound[i].node->weight;
        if (weight != NULL && weight->count > 1) most = weight->count;
    }
    for (size_t row = 0; row < x->rows; row++) {
        int32_t *const numbers = (int32_t *)(void *)((char *)x->data + row * x->stride);
        const size_t first = zx_fill_random(&t->state) % most;
        for (size_t i = 0; i < x->columns; i++) numbers[i] = (int32_t)((first + i) % most);
    }
}

static zmlx_status fill_quantized(trial *t, const zx_operand *x)
{
    const zx_type floats = {ZX_ROWS_TOKENS, x->columns, ZX_F32, {0}};
    const zx_attributes attributes = {.layout = x->layout};
    zx_launch launch = {.outputs = {*x}, .attributes = &attributes};
    runner quantize;
    ZX_TRY(new_operand(t, &floats, &launch.inputs[0]));
    zx_fill_rows(t->fill, &t->state, &launch.inputs[0]);
    ZX_TRY(prepare_op(t, ZX_OP_QUANTIZE, &launch, &quantize));
    return quantize.kernel->run(&quantize.launch);
}

static zmlx_status bind_input(trial *t, zx_value value)
{
    binding *b = &t->bound[t->bound_count++];
    *b = (binding){.value = value};
    if (value.node->op == ZX_OP_WEIGHT) {
        const zx_weight *weight = value.node->weight;
        b->operand = (zx_operand){.rows = weight->rows,
                                  .columns = weight->columns,
                                  .dtype = weight->dtype,
                                  .weight = weight};
        return ZMLX_OK;
    }
    ZX_TRY(new_operand(t, zx_value_type(value), &b->operand));
    if (b->operand.dtype == ZX_QUANTIZED) return fill_quantized(t, &b->operand);
    if (zx_dtypes[b->operand.dtype].is_float)
        zx_fill_rows(t->fill, &t->state, &b->operand);
    else
        fill_numbers(t, &b->operand);
    return ZMLX_OK;
}

static const zx_operand *find_operand(const trial *t, zx_value value)
{
    for (size_t i = 0; i < t->bound_count; i++)
        if (zx_value_same(t->bound[i].value, value)) return &t->bound[i].operand;
    return NULL;
}

/* One layer's room is enough, and one state's: only they are used. */
static zmlx_status place_cache(trial *t)
{
    const zx_verifier *v = t->verifier;
    const size_t layer = t->match->attributes.layer, state = t->match->attributes.state;
    const size_t bytes = ZX_PAGE_TOKENS * zx_dtypes[v->kv_dtype].bytes;
    void *memory = NULL;
    t->kv = (zx_kv_pages){.page_count = PAGES, .dtype = v->kv_dtype};
    t->kv.states.slot_count = SLOTS;
    if (layer > 0) {
        ZX_TRY(zx_arena_alloc(&t->arena, layer * sizeof(zx_kv_layer), &memory));
        zx_kv_layer *const own = (zx_kv_layer *)memory + layer - 1;
        *own = v->layers->kv[layer - 1];
        own->keys_offset = 0;
        own->values_offset = zx_round_up(own->kv_heads * own->key_size * bytes, 64);
        t->kv.page_bytes =
            own->values_offset + zx_round_up(own->kv_heads * own->value_size * bytes, 64);
        t->kv.layers = memory;
        t->kv.layer_count = layer;
    }
    if (state > 0) {
        ZX_TRY(zx_arena_alloc(&t->arena, state * sizeof(zx_state_layer), &memory));
        ((zx_state_layer *)memory)[state - 1] =
            (zx_state_layer){v->layers->states[state - 1].values, 0};
        t->kv.states.slot_bytes = v->layers->states[state - 1].values * sizeof(float);
        t->kv.states.layers = memory;
        t->kv.states.layer_count = state;
    }
    return ZMLX_OK;
}

/* A cache that holds random keys, values and states. */
static zmlx_status open_cache(trial *t)
{
    void *memory = NULL;
    ZX_TRY(place_cache(t));
    const size_t page_bytes = PAGES * t->kv.page_bytes;
    t->cache_bytes = page_bytes + (SLOTS - 1) * t->kv.states.slot_bytes;
    if (t->cache_bytes == 0) return ZMLX_OK;
    ZX_TRY(zx_arena_alloc(&t->arena, 2 * t->cache_bytes, &memory));
    t->fresh_pages = memory;
    t->kv.memory = t->fresh_pages + t->cache_bytes;
    t->kv.states.memory = t->kv.memory + page_bytes;
    const zx_dtype dtype = t->kv.dtype;
    for (size_t i = 0; i < page_bytes / zx_dtypes[dtype].bytes; i++)
        zx_store(dtype, t->fresh_pages, i, zx_fill_uniform(&t->state));
    for (size_t i = page_bytes / sizeof(float); i < t->cache_bytes / sizeof(float); i++)
        zx_store(ZX_F32, t->fresh_pages, i, zx_fill_uniform(&t->state));
    return ZMLX_OK;
}

/* Two sequences on pages of their own. */
static zmlx_status open_batch(trial *t)
{
    const size_t first = (t->tokens + 1) / 2;
    for (size_t i = 0; i < t->tokens; i++) {
        t->positions[i] = (int32_t)(i < first ? FIRST_POSITION + i : i - first);
        t->ids[i] = t->sampled[i] = (int32_t)i;
    }
    const size_t sequences = first < t->tokens ? 2 : 1;
    t->token_start[1] = (int32_t)first;
    t->token_start[2] = (int32_t)t->tokens;
    for (size_t i = 0; i < (size_t)2 * PAGES_OF_SEQUENCE; i++)
        t->pages[i] = (int32_t)(PAGES - 1 - i);
    for (size_t s = 0; s < 3; s++) t->page_start[s] = (int32_t)(s * PAGES_OF_SEQUENCE);
    t->batch = (zx_batch){.tokens = t->tokens,
                          .sequences = sequences,
                          .sampled_rows = t->tokens,
                          .ids = t->ids,
                          .positions = t->positions,
                          .token_start = t->token_start,
                          .page_start = t->page_start,
                          .pages = t->pages,
                          .sampled = t->sampled,
                          .states = t->states,
                          .snapshots = t->snapshots};
    t->states[0] = 2;
    t->states[1] = 1;
    t->snapshots[0] = 3;
    return open_cache(t);
}

static void reset_pages(trial *t)
{
    if (t->fresh_pages != NULL) memcpy(t->kv.memory, t->fresh_pages, t->cache_bytes);
}

/* The match's nodes, inputs first. */
static zmlx_status prepare_unfused(trial *t)
{
    const zx_match *match = t->match;
    bool done[ZX_MATCH_NODES] = {false};
    for (int turn = 0; turn < match->node_count; turn++) {
        int next = -1;
        for (int i = 0; i < match->node_count; i++)
            if (!done[i] && (next < 0 || match->nodes[i]->index < match->nodes[next]->index))
                next = i;
        done[next] = true;
        zx_node *const node = match->nodes[next];
        zx_launch launch = {.attributes = &node->attributes};
        for (int i = 0; i < zx_ops[node->op].inputs; i++) {
            const zx_operand *x = find_operand(t, node->inputs[i]);
            if (x != NULL) launch.inputs[i] = *x;
        }
        for (int i = 0; i < zx_ops[node->op].outputs; i++) {
            ZX_TRY(new_operand(t, &node->types[i], &launch.outputs[i]));
            t->bound[t->bound_count++] =
                (binding){.value = {node, i}, .operand = launch.outputs[i]};
        }
        ZX_TRY(prepare_op(t, node->op, &launch, &t->unfused[turn]));
    }
    return ZMLX_OK;
}

static zmlx_status prepare_fused(trial *t, const zx_fusion_rule *rule)
{
    zx_node fused = {.op = rule->fused};
    zx_launch launch = {0};
    void *memory = NULL;
    ZX_TRY(zx_arena_alloc(&t->arena, sizeof(zx_attributes), &memory));
    zx_attributes *const attributes = memory;
    ZX_TRY(zx_fusion_attributes(rule, t->match, &t->arena, attributes));
    zx_fusion_inputs(t->match, fused.inputs);
    for (int i = 0; i < zx_ops[rule->fused].inputs; i++) {
        const zx_operand *x = find_operand(t, fused.inputs[i]);
        if (x != NULL) launch.inputs[i] = *x;
    }
    fused.attributes = *attributes;
    ZX_TRY(zx_ops[rule->fused].shape(&fused));
    for (int i = 0; i < zx_ops[rule->fused].outputs; i++)
        ZX_TRY(new_operand(t, &fused.types[i], &launch.outputs[i]));
    launch.attributes = attributes;
    return prepare_op(t, rule->fused, &launch, &t->fused);
}

static zmlx_status run_unfused(const trial *t)
{
    for (int i = 0; i < t->match->node_count; i++)
        ZX_TRY(t->unfused[i].kernel->run(&t->unfused[i].launch));
    return ZMLX_OK;
}

static zmlx_status run_fused(const trial *t)
{
    return t->fused.kernel->run(&t->fused.launch);
}

/* Inputs, and both ways ready to run. */
static zmlx_status prepare(trial *t, const zx_fusion_rule *rule)
{
    ZX_TRY(open_batch(t));
    for (int i = 0; i < t->match->bound_count; i++) ZX_TRY(bind_input(t, t->match->bound[i]));
    ZX_TRY(prepare_unfused(t));
    return prepare_fused(t, rule);
}

/* The largest magnitude of a row, for bounds that are relative to it. */
static float largest_of_row(const zx_operand *x, size_t row)
{
    float largest = 0;
    for (size_t i = 0; i < x->columns; i++) {
        const float value = fabsf(zx_load(x->dtype, (char *)x->data + row * x->stride, i));
        largest = value > largest ? value : largest;
    }
    return largest;
}

static bool close_enough(const zx_fusion_rule *rule, float a, float b, float largest)
{
    if (zx_bits_from_float(a) == zx_bits_from_float(b) || (isnan(a) && isnan(b))) return true;
    return rule->fidelity == ZX_CLOSE &&
           fabs((double)a - (double)b) <= rule->bound * (double)largest;
}

static void describe(const trial *t, const char *what, char reason[ZX_REASON_BYTES])
{
    (void)snprintf(reason, ZX_REASON_BYTES, "%s differs with %s, seed %llu, %zu tokens", what,
                   zx_fill_names[t->fill], (unsigned long long)t->verifier->seed, t->tokens);
}

/* Rows of floats; a reason where they differ. */
static void compare_floats(const trial *t, const zx_fusion_rule *rule, const char *op,
                           const zx_operand *a, const zx_operand *b, char reason[ZX_REASON_BYTES])
{
    for (size_t row = 0; row < a->rows; row++) {
        const float largest = rule->fidelity == ZX_CLOSE ? largest_of_row(a, row) : 0;
        for (size_t i = 0; i < a->columns; i++) {
            const float x = zx_load(a->dtype, (char *)a->data + row * a->stride, i);
            const float y = zx_load(b->dtype, (char *)b->data + row * b->stride, i);
            if (close_enough(rule, x, y, largest)) continue;
            describe(t, op, reason);
            const size_t used = strlen(reason);
            (void)snprintf(reason + used, ZX_REASON_BYTES - used,
                           ": first at token %zu, column %zu: unfused %.9g, fused %.9g", row, i,
                           (double)x, (double)y);
            return;
        }
    }
}

static bool same_floats(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (zx_bits_from_float(a[i]) != zx_bits_from_float(b[i]) && !(isnan(a[i]) && isnan(b[i])))
            return false;
    return true;
}

/* Slots of integers; any NaN scale is like any other. */
static bool same_slot(zx_activation_layout layout, size_t columns, char *left, char *right)
{
    const zx_activation_row x = zx_activation_parts(layout, columns, left);
    const zx_activation_row y = zx_activation_parts(layout, columns, right);
    const size_t groups = columns / layout.group;
    return memcmp(left, right, layout.planes * zx_activation_plane_bytes(columns)) == 0 &&
           same_floats(x.scale, y.scale, groups) && same_floats(x.sum, y.sum, groups) &&
           memcmp(x.total, y.total, groups * sizeof *x.total) == 0;
}

static bool same_quantized(const zx_operand *a, const zx_operand *b)
{
    const size_t slots = zx_activation_slots(a->layout), columns = a->columns / slots;
    const size_t bytes = zx_activation_slot_bytes(a->layout, columns);
    for (size_t i = 0; i < a->rows * slots; i++) {
        const size_t row = i / slots, at = i % slots * bytes;
        if (!same_slot(a->layout, columns, (char *)a->data + row * a->stride + at,
                       (char *)b->data + row * b->stride + at))
            return false;
    }
    return true;
}

/* The value 'node' (of the match) against an output of the fused op. */
static void compare(const trial *t, const zx_fusion_rule *rule, const zx_node *node,
                    const zx_operand *fused, char reason[ZX_REASON_BYTES])
{
    const zx_operand *unfused = find_operand(t, (zx_value){(zx_node *)(size_t)node, 0});
    const char *op = zx_ops[node->op].text;
    if (*reason != '\0' || unfused->rows == 0) return;
    if (unfused->dtype == ZX_QUANTIZED) {
        if (!same_quantized(unfused, fused)) describe(t, op, reason);
    } else if (zx_dtypes[unfused->dtype].is_float)
        compare_floats(t, rule, op, unfused, fused, reason);
    else if (memcmp(unfused->data, fused->data, unfused->rows * unfused->stride) != 0)
        describe(t, op, reason);
}

/* Every output of both ways, and the cache that the unfused one left. */
static void compare_all(const trial *t, const zx_fusion_rule *rule, const uint8_t *unfused_pages,
                        char reason[ZX_REASON_BYTES])
{
    const zx_match *match = t->match;
    const zx_operand *outputs = t->fused.launch.outputs;
    const bool single = zx_ops[rule->fused].outputs == 1;
    for (int i = 0; i < match->root_count; i++)
        compare(t, rule, match->roots[i], &outputs[single ? 0 : i], reason);
    for (int i = 0; i < match->export_count; i++)
        compare(t, rule, match->exports[i], &outputs[match->root_count + i], reason);
    if (unfused_pages != NULL && *reason == '\0' &&
        memcmp(unfused_pages, t->kv.memory, t->cache_bytes) != 0)
        describe(t, "the cache", reason);
}

static zmlx_status run_trial(trial *t, const zx_fusion_rule *rule, char reason[ZX_REASON_BYTES])
{
    uint8_t *unfused_pages = NULL;
    ZX_TRY(prepare(t, rule));
    if (t->missing) {
        (void)snprintf(reason, ZX_REASON_BYTES, "no kernel takes operands of these types");
        return ZMLX_OK;
    }
    reset_pages(t);
    ZX_TRY(run_unfused(t));
    if (t->fresh_pages != NULL) {
        void *memory = NULL;
        ZX_TRY(zx_arena_alloc(&t->arena, t->cache_bytes, &memory));
        unfused_pages = memcpy(memory, t->kv.memory, t->cache_bytes);
        reset_pages(t);
    }
    ZX_TRY(run_fused(t));
    compare_all(t, rule, unfused_pages, reason);
    return ZMLX_OK;
}

zmlx_status zx_verify_match(const zx_verifier *verifier, const zx_fusion_rule *rule,
                            const zx_match *match, char reason[ZX_REASON_BYTES])
{
    enum { COUNTS = sizeof token_counts / sizeof token_counts[0] };
    *reason = '\0';
    for (size_t i = 0; i < (size_t)COUNTS * ZX_FILLS && *reason == '\0'; i++) {
        trial t = {.verifier = verifier,
                   .match = match,
                   .fill = (zx_fill)(i % ZX_FILLS),
                   .tokens = token_counts[i / ZX_FILLS],
                   .state = verifier->seed + i};
        const zmlx_status status = run_trial(&t, rule, reason);
        zx_arena_reset(&t.arena);
        ZX_TRY(status);
    }
    return ZMLX_OK;
}

/* Seconds of as many runs as take a millisecond or more. */
static zmlx_status time_runs(const trial *t, bool fused, size_t runs, double *seconds)
{
    const double start = zx_seconds();
    for (size_t i = 0; i < runs; i++) ZX_TRY(fused ? run_fused(t) : run_unfused(t));
    *seconds = zx_seconds() - start;
    return ZMLX_OK;
}

static zmlx_status measure(const trial *t, zx_gain *gain)
{
    enum { PAIRS = 12 };
    double ratios[PAIRS], once = 0, sum = 0, squares = 0;
    ZX_TRY(run_fused(t));
    ZX_TRY(time_runs(t, false, 3, &once));
    const size_t runs = once > 3e-3 ? 1 : (size_t)(3e-3 / (once + 1e-7)) + 1;
    for (size_t i = 0; i < PAIRS; i++) {
        double times[2] = {0, 0}; /* the order changes from pair to pair */
        for (size_t k = 0; k < 2; k++) ZX_TRY(time_runs(t, (i + k) % 2, runs, &times[(i + k) % 2]));
        ratios[i] = times[0] / (times[1] + 1e-12);
        sum += ratios[i];
    }
    gain->mean = sum / PAIRS;
    for (size_t i = 0; i < PAIRS; i++) squares += pow(ratios[i] - gain->mean, 2);
    const double error = 2 * sqrt(squares / (PAIRS - 1) / PAIRS);
    gain->low = gain->mean - error;
    gain->high = gain->mean + error;
    return ZMLX_OK;
}

zmlx_status zx_measure_match(const zx_verifier *verifier, const zx_fusion_rule *rule,
                             const zx_match *match, size_t tokens, zx_gain *gain)
{
    trial t = {
        .verifier = verifier, .match = match, .fill = ZX_FILL_RANDOM, .state = verifier->seed};
    *gain = (zx_gain){0};
    t.tokens = tokens < MOST_TOKENS ? tokens : MOST_TOKENS;
    zmlx_status status = prepare(&t, rule);
    reset_pages(&t);
    if (status == ZMLX_OK && !t.missing) status = measure(&t, gain);
    zx_arena_reset(&t.arena);
    return status;
}
