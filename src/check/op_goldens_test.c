/* op_goldens_test.c - single ops against values that torch or plain Python worked out in float64
 * (tests/golden/ops, made by tests/golden/make/ops.py): every usable kernel of the op, within a
 * tenth of the op's tolerance (all is f32 here) relative to the largest value of the row, or
 * exactly rounded where that is 0. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/test.h"
#include "check/run.h"

enum { LINE = 1 << 16, MOST_ROWS = 128, SHARPER = 10 };

/* What a case of a file says. */
typedef struct golden {
    char name[64];
    zx_arena arena;
    zx_op op;
    zx_launch launch;
    zx_attributes attributes;
    zx_rope rope;
    zx_batch batch;
    int32_t positions[MOST_ROWS], ids[MOST_ROWS], sampled[MOST_ROWS];
    int32_t token_start[2], page_start[2], pages[4];
    zx_kv_layer layer;
    zx_kv_pages kv;
    zx_state_layer state_layer;
    zx_operand state; /* before the step */
    zx_operand keys, values;
    zx_precision precision;
    zx_activation_layout layout; /* of a quantized output */
    size_t inputs, outputs;
    zx_weight *weight;                 /* the last one */
    zx_operand wanted[ZX_MAX_OUTPUTS]; /* f64, i32 */
} golden;

typedef struct reader {
    FILE *file;
    char line[LINE];
    char *at; /* behind the words read so far */
} reader;

static bool next_line(reader *r)
{
    do
        if (fgets(r->line, LINE, r->file) == NULL) return false;
    while (*r->line == '#');
    r->line[strcspn(r->line, "\n")] = 0;
    r->at = r->line;
    return true;
}

/* The next word of the line, ended; empty at its end. */
static char *word(reader *r)
{
    char *const begin = r->at + strspn(r->at, " ");
    char *const end = begin + strcspn(begin, " ");
    r->at = *end != 0 ? end + 1 : end;
    *end = 0;
    return begin;
}

static size_t whole(reader *r)
{
    return (size_t)strtoull(word(r), NULL, 10);
}

static double real(reader *r)
{
    return strtod(word(r), NULL);
}

/* The lines of a table into rows of f32, f64 or i32. */
static zmlx_status read_table(golden *g, reader *r, zx_dtype dtype, zx_operand *x)
{
    const zx_operand like = {.rows = whole(r), .columns = whole(r), .dtype = dtype};
    ZX_TRY(zx_case_operand(&g->arena, &like, (zx_placement){0, 0}, 0xff, x));
    for (size_t row = 0; row < x->rows; row++) {
        char *const to = (char *)x->data + row * x->stride;
        if (!next_line(r)) return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a row is missing", g->name);
        for (size_t i = 0; i < x->columns; i++) {
            const double value = real(r);
            if (dtype == ZX_F64)
                memcpy(to + i * sizeof value, &value, sizeof value);
            else if (dtype == ZX_I32)
                memcpy(to + i * sizeof(int32_t), &(int32_t){(int32_t)value}, sizeof(int32_t));
            else
                zx_store(dtype, to, i, (float)value);
        }
    }
    return ZMLX_OK;
}

/* A line of numbers, of which there are 'count' in "1 count". */
static zmlx_status read_integers(golden *g, reader *r, int32_t *to, size_t *count)
{
    (void)whole(r);
    *count = whole(r);
    if (*count > MOST_ROWS || !next_line(r))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a line of numbers is missing", g->name);
    for (size_t i = 0; i < *count; i++) to[i] = (int32_t)whole(r);
    return ZMLX_OK;
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
}

/* Two digits a byte; returns how many bytes. */
static size_t read_bytes(const char *text, uint8_t *to)
{
    size_t count = 0;
    for (; text[0] != 0 && text[1] != 0; text += 2)
        to[count++] = (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
    return count;
}

static zx_format format_of(const char *name)
{
    size_t format = 0;
    while (format < ZX_FORMAT_COUNT && strcmp(zx_formats[format].name, name) != 0) format++;
    return (zx_format)format;
}

/* format bits group dtype count rows columns, and a line for each row of each. */
static zmlx_status read_weight(golden *g, reader *r)
{
    void *memory = NULL, *bytes[3] = {NULL};
    ZX_TRY(zx_arena_alloc(&g->arena, sizeof(zx_weight), &memory));
    zx_weight *const weight = g->weight = memory;
    weight->format = format_of(word(r));
    weight->bits = (uint8_t)whole(r);
    weight->group = (uint16_t)whole(r);
    const char *dtype = word(r);
    weight->dtype = zx_dtype_from_text(dtype, strlen(dtype));
    weight->count = whole(r);
    weight->rows = whole(r);
    weight->columns = whole(r);
    const size_t rows = weight->count * weight->rows;
    for (size_t i = 0; i < 3; i++) /* codes, scales, biases; none takes more than f32 would */
        ZX_TRY(zx_arena_alloc(&g->arena, (rows + 1) * weight->columns * 4, &bytes[i]));
    for (size_t row = 0; row < rows; row++) {
        size_t strides[3] = {0};
        if (!next_line(r))
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a weight's row is missing", g->name);
        for (size_t i = 0; i < 3; i++) {
            const size_t stride = i == 0 ? weight->codes_stride : weight->scales_stride;
            strides[i] = read_bytes(word(r), (uint8_t *)bytes[i] + row * stride);
        }
        weight->codes_stride = strides[0];
        weight->scales_stride = strides[1];
        weight->scales = strides[1] > 0 ? bytes[1] : NULL;
        weight->biases = strides[2] > 0 ? bytes[2] : NULL;
    }
    weight->codes = bytes[0];
    if (weight->format == ZX_FORMAT_COUNT || weight->dtype == ZX_DTYPE_COUNT)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: an unknown format", g->name);
    g->launch.inputs[g->inputs++] = (zx_operand){
        .rows = weight->rows, .columns = weight->columns, .dtype = weight->dtype, .weight = weight};
    return ZMLX_OK;
}

static zmlx_status read_bias(golden *g, reader *r)
{
    void *memory = NULL;
    const size_t count = whole(r);
    ZX_TRY(zx_arena_alloc(&g->arena, count * sizeof(float), &memory));
    if (!next_line(r)) return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a bias is missing", g->name);
    for (size_t i = 0; i < count; i++) zx_store(ZX_F32, memory, i, (float)real(r));
    g->weight->bias = memory;
    g->weight->bias_dtype = ZX_F32;
    return ZMLX_OK;
}

/* A cache of one layer on three pages, in another order than they are numbered in. */
static zmlx_status read_cache(golden *g, reader *r)
{
    void *memory = NULL;
    g->layer = (zx_kv_layer){.kv_heads = whole(r), .key_size = whole(r), .value_size = whole(r)};
    const size_t head = g->layer.kv_heads * ZX_PAGE_TOKENS * sizeof(float);
    g->layer.values_offset = head * g->layer.key_size;
    g->kv = (zx_kv_pages){.page_bytes = head * (g->layer.key_size + g->layer.value_size),
                          .page_count = 3,
                          .dtype = ZX_F32,
                          .layer_count = 1,
                          .layers = &g->layer};
    ZX_TRY(zx_arena_alloc(&g->arena, 3 * g->kv.page_bytes, &memory));
    g->kv.memory = memset(memory, 0xff, 3 * g->kv.page_bytes);
    g->page_start[1] = 2;
    g->pages[0] = 2;
    g->pages[1] = 1;
    g->attributes.layer = 1;
    return ZMLX_OK;
}

/* A slot with the state that the step begins with. */
static zmlx_status read_state(golden *g, reader *r)
{
    void *memory = NULL;
    ZX_TRY(read_table(g, r, ZX_F32, &g->state));
    ZX_TRY(zx_arena_alloc(&g->arena, g->state.stride, &memory));
    g->state_layer.values = g->state.columns;
    g->kv.states = (zx_state_slots){.memory = memory,
                                    .slot_bytes = g->state.stride,
                                    .slot_count = 2,
                                    .layer_count = 1,
                                    .layers = &g->state_layer};
    g->attributes.state = 1;
    return ZMLX_OK;
}

static zmlx_status read_rope(golden *g, reader *r)
{
    void *memory = NULL;
    g->rope = (zx_rope){.dims = whole(r), .interleaved = whole(r) != 0, .magnitude = 1};
    ZX_TRY(zx_arena_alloc(&g->arena, g->rope.dims * sizeof(float), &memory));
    for (size_t i = 0; i < g->rope.dims / 2; i++) zx_store(ZX_F32, memory, i, (float)real(r));
    g->rope.inverse_frequency = memory;
    g->attributes.rope = &g->rope;
    return ZMLX_OK;
}

static const struct {
    const char *name;
    size_t offset;
    enum { REAL, NUMBER, FLAG } kind;
} attributes[] = {
#define ATTRIBUTE(name, kind)                      \
    {                                              \
#name, offsetof(zx_attributes, name), kind \
    }
    ATTRIBUTE(epsilon, REAL),  ATTRIBUTE(offset, REAL),       ATTRIBUTE(wide, FLAG),
    ATTRIBUTE(scale, REAL),    ATTRIBUTE(limit, REAL),        ATTRIBUTE(alpha, REAL),
    ATTRIBUTE(beta, REAL),     ATTRIBUTE(head_size, NUMBER),  ATTRIBUTE(first, NUMBER),
    ATTRIBUTE(size, NUMBER),   ATTRIBUTE(value_size, NUMBER), ATTRIBUTE(transposed, FLAG),
    ATTRIBUTE(window, NUMBER), ATTRIBUTE(period, NUMBER),     ATTRIBUTE(top_k, NUMBER),
    ATTRIBUTE(groups, NUMBER), ATTRIBUTE(top_groups, NUMBER),
#undef ATTRIBUTE
};

static zmlx_status read_attribute(golden *g, reader *r)
{
    const char *name = word(r);
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        char *const field = (char *)&g->attributes + attributes[i].offset;
        if (strcmp(attributes[i].name, name) != 0) continue;
        if (attributes[i].kind == REAL)
            *(float *)(void *)field = (float)real(r);
        else if (attributes[i].kind == FLAG)
            *(bool *)field = whole(r) != 0;
        else
            *(uint32_t *)(void *)field = (uint32_t)whole(r);
        return ZMLX_OK;
    }
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: attribute '%s'", g->name, name);
}

/* Those that some case has had. */
static bool activations[ZX_ACTIVATION_COUNT];

static zmlx_status read_activation(golden *g, reader *r)
{
    const char *name = word(r);
    size_t i = 1;
    while (i < ZX_ACTIVATION_COUNT && strcmp(zx_activation_names[i], name) != 0) i++;
    if (i == ZX_ACTIVATION_COUNT)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: activation '%s'", g->name, name);
    g->attributes.activation = (zx_activation)i;
    activations[i] = true;
    return ZMLX_OK;
}

static zmlx_status read_input(golden *g, reader *r)
{
    return read_table(g, r, ZX_F32, &g->launch.inputs[g->inputs++]);
}

static zmlx_status read_indices(golden *g, reader *r)
{
    return read_table(g, r, ZX_I32, &g->launch.inputs[g->inputs++]);
}

static zmlx_status skip_input(golden *g, reader *r)
{
    (void)r;
    g->inputs++;
    return ZMLX_OK;
}

static zmlx_status read_output(golden *g, reader *r)
{
    return read_table(g, r, ZX_F64, &g->wanted[g->outputs++]);
}

static zmlx_status read_output_indices(golden *g, reader *r)
{
    return read_table(g, r, ZX_I32, &g->wanted[g->outputs++]);
}

static zmlx_status read_keys(golden *g, reader *r)
{
    return read_table(g, r, ZX_F32, &g->keys);
}

static zmlx_status read_values(golden *g, reader *r)
{
    return read_table(g, r, ZX_F32, &g->values);
}

static zmlx_status read_positions(golden *g, reader *r)
{
    return read_integers(g, r, g->positions, &g->batch.tokens);
}

static zmlx_status read_ids(golden *g, reader *r)
{
    ZX_TRY(read_integers(g, r, g->ids, &g->batch.tokens));
    g->launch.inputs[g->inputs++] = (zx_operand){.rows = g->batch.tokens, .columns = 1};
    return ZMLX_OK;
}

static zmlx_status read_sampled(golden *g, reader *r)
{
    return read_integers(g, r, g->sampled, &g->batch.sampled_rows);
}

static zmlx_status read_precision(golden *g, reader *r)
{
    g->precision = strcmp(word(r), "q8") == 0 ? ZX_PRECISION_Q8 : ZX_PRECISION_Q16;
    return ZMLX_OK;
}

static zmlx_status read_layout(golden *g, reader *r)
{
    g->layout.planes = (uint8_t)whole(r);
    g->layout.order = (uint8_t)whole(r);
    g->layout.group = (uint16_t)whole(r);
    g->attributes.layout = g->layout;
    return ZMLX_OK;
}

static zmlx_status read_op(golden *g, reader *r)
{
    const char *name = word(r);
    g->op = zx_op_from_text(name, strlen(name));
    return g->op < ZX_OP_COUNT ? ZMLX_OK : ZX_FAIL(ZMLX_ERROR_FORMAT, "op '%s'", name);
}

static const struct {
    const char *word;
    zmlx_status (*read)(golden *g, reader *r);
} lines[] = {
    {"op", read_op},
    {"attribute", read_attribute},
    {"activation", read_activation},
    {"input", read_input},
    {"indices", read_indices},
    {"no_input", skip_input},
    {"weight", read_weight},
    {"bias", read_bias},
    {"cache", read_cache},
    {"state", read_state},
    {"keys", read_keys},
    {"values", read_values},
    {"rope", read_rope},
    {"positions", read_positions},
    {"ids", read_ids},
    {"sampled", read_sampled},
    {"precision", read_precision},
    {"layout", read_layout},
    {"output", read_output},
    {"output_indices", read_output_indices},
    {"output_quantized", read_output},
};

/* One case, up to its "end". */
static zmlx_status read_case(golden *g, reader *r)
{
    while (next_line(r)) {
        const char *key = word(r);
        size_t i = 0;
        if (strcmp(key, "end") == 0) return ZMLX_OK;
        while (i < sizeof lines / sizeof *lines && strcmp(lines[i].word, key) != 0) i++;
        if (i == sizeof lines / sizeof *lines)
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a line begins with '%s'", g->name, key);
        ZX_TRY(lines[i].read(g, r));
    }
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: it has no end", g->name);
}

static zmlx_status run_kernel(golden *g, const zx_kernel *kernel, zx_launch *launch)
{
    void *scratch = NULL;
    if (g->kv.states.memory != NULL) memcpy(g->kv.states.memory, g->state.data, g->state.stride);
    ZX_TRY(zx_arena_alloc(&g->arena, kernel->scratch(launch) + 1, &scratch));
    launch->scratch = scratch;
    return kernel->run(launch);
}

/* Input 0 as integers, where the case says so. */
static zmlx_status quantize(golden *g)
{
    zx_operand *const x = &g->launch.inputs[0];
    zx_operand like = *x;
    if (g->precision == ZX_PRECISION_DEFAULT) return ZMLX_OK;
    like.dtype = ZX_QUANTIZED;
    like.layout = zx_weight_layout(g->weight, g->precision);
    const zx_attributes of_quantize = {.layout = like.layout};
    zx_launch launch = {.inputs = {*x}, .attributes = &of_quantize};
    ZX_TRY(zx_case_operand(&g->arena, &like, (zx_placement){0, 0}, 0xff, &launch.outputs[0]));
    *x = launch.outputs[0];
    return run_kernel(g, zx_kernel_reference(ZX_OP_QUANTIZE), &launch);
}

/* Keys and values into the cache, and the batch of one sequence. */
static zmlx_status prepare(golden *g)
{
    static const int32_t slots[] = {1}, none[4] = {0};
    g->launch.attributes = &g->attributes;
    g->attributes.dtype = ZX_F32;
    g->token_start[1] = (int32_t)g->batch.tokens;
    g->batch.sequences = 1;
    g->batch.positions = g->positions;
    g->batch.ids = g->ids;
    g->batch.sampled = g->sampled;
    g->batch.token_start = g->token_start;
    g->batch.page_start = g->page_start;
    g->batch.pages = g->pages;
    g->batch.states = slots;
    g->batch.snapshots = none;
    g->launch.batch = &g->batch;
    ZX_TRY(quantize(g));
    if (g->kv.states.memory != NULL) g->launch.kv = &g->kv;
    if (g->kv.memory == NULL) return ZMLX_OK;
    g->launch.kv = &g->kv;
    zx_launch append = g->launch;
    append.inputs[0] = g->keys;
    append.inputs[1] = g->values;
    return run_kernel(g, zx_kernel_reference(ZX_OP_KV_APPEND), &append);
}

/* Code i of a quantized row; behind the codes the scales. */
static double quantized_value(const zx_operand *y, size_t row, size_t i)
{
    const zx_activation_row parts =
        zx_activation_parts(y->layout, y->columns, (char *)y->data + row * y->stride);
    if (i >= y->columns) return (double)parts.scale[i - y->columns];
    const size_t run = y->layout.group < 32 ? y->layout.group : 32;
    const size_t half = i % run / 2 + i % 2 * (run / 2);
    const size_t at = y->layout.order == ZX_ORDER_NATURAL ? i : i / run * run + half;
    return y->layout.planes == 2 ? 256 * parts.plane[0][at] + parts.plane[1][at]
                                 : parts.plane[0][at];
}

static double value_at(const zx_operand *x, size_t row, size_t i)
{
    const char *at = (const char *)x->data + row * x->stride;
    double value = 0;
    int32_t number = 0;
    if (x->dtype == ZX_QUANTIZED) return quantized_value(x, row, i);
    if (x->dtype == ZX_F64) memcpy(&value, at + i * sizeof value, sizeof value);
    if (x->dtype == ZX_I32) memcpy(&number, at + i * sizeof number, sizeof number);
    if (x->dtype == ZX_F32) value = (double)zx_load(ZX_F32, at, i);
    return x->dtype == ZX_I32 ? number : value;
}

/* Whether a row is near what is wanted; says where not. */
static bool row_is_right(const golden *g, const zx_kernel *kernel, const zx_operand *wanted,
                         const zx_operand *y, size_t row)
{
    double largest = 0;
    for (size_t i = 0; i < wanted->columns; i++)
        if (isfinite(value_at(wanted, row, i)))
            largest = fmax(largest, fabs(value_at(wanted, row, i)));
    for (size_t i = 0; i < wanted->columns; i++) {
        const double a = value_at(wanted, row, i), b = value_at(y, row, i);
        const double bound = zx_ops[g->op].tolerance / SHARPER * largest;
        if (a == b || (double)(float)a == b || fabs(a - b) <= bound) continue;
        (void)fprintf(stderr, "%s: %s: row %zu, column %zu: wanted %.9g, got %.9g, %.3g allowed\n",
                      g->name, kernel->name, row, i, a, b, bound);
        return false;
    }
    return true;
}

static zmlx_status check_kernel(golden *g, const zx_kernel *kernel, bool *right)
{
    zx_launch launch = g->launch;
    for (size_t i = 0; i < g->outputs; i++) {
        zx_operand like = g->wanted[i];
        if (like.dtype == ZX_F64) like.dtype = ZX_F32;
        if (g->layout.planes != 0) {
            like.dtype = ZX_QUANTIZED;
            like.layout = g->layout;
            like.columns = g->launch.inputs[0].columns;
        }
        ZX_TRY(zx_case_operand(&g->arena, &like, (zx_placement){0, 0}, 0xff, &launch.outputs[i]));
    }
    if (!kernel->applies(&launch)) return ZMLX_OK;
    ZX_TRY(run_kernel(g, kernel, &launch));
    for (size_t i = 0; i < g->outputs; i++)
        for (size_t row = 0; row < g->wanted[i].rows && *right; row++)
            *right = row_is_right(g, kernel, &g->wanted[i], &launch.outputs[i], row);
    return ZMLX_OK;
}

static zmlx_status check_case(golden *g, reader *r, bool *right)
{
    ZX_TRY(read_case(g, r));
    ZX_TRY(prepare(g));
    for (size_t i = 0; i < zx_kernel_count && *right; i++)
        if (zx_kernels[i].op == g->op && zx_kernel_usable(&zx_kernels[i]))
            ZX_TRY(check_kernel(g, &zx_kernels[i], right));
    return ZMLX_OK;
}

static const char *const files[] = {"elementwise", "norms",    "routers",   "heads",   "formats",
                                    "matmul",      "quantize", "attention", "experts", "states"};

/* Ops that no file names; each for a reason. */
static const zx_op without[] = {
    ZX_OP_INPUT,
    ZX_OP_WEIGHT, /* compute nothing */
    ZX_OP_CHAIN,  /* as its ops */
    ZX_OP_KV_APPEND,
    ZX_OP_ROPE_APPEND, /* attention's cases read what they wrote; as rope */
    ZX_OP_GLU_QUANTIZE,
    ZX_OP_RMSNORM_QUANTIZE, /* as the two ops they are made of */
    ZX_OP_ADD_RMSNORM_QUANTIZE,
    ZX_OP_LAYERNORM_QUANTIZE,
    ZX_OP_ADD_LAYERNORM_QUANTIZE,
    ZX_OP_RMSNORM_ADD_RMSNORM_QUANTIZE,
    ZX_OP_NORM_ROPE_APPEND,
};

TEST(ops_give_what_others_worked_out_in_double)
{
    static reader r;
    static golden g;
    bool seen[ZX_OP_COUNT] = {false};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64];
        size_t cases = 0;
        (void)snprintf(path, sizeof path, "tests/golden/ops/%s.txt", files[i]);
        r.file = fopen(path, "r");
        CHECK_ON(path, r.file != NULL);
        while (next_line(&r) && strcmp(word(&r), "case") == 0) {
            bool right = true;
            g = (golden){.op = ZX_OP_COUNT};
            (void)snprintf(g.name, sizeof g.name, "%s", word(&r));
            const zmlx_status status = check_case(&g, &r, &right);
            zx_arena_reset(&g.arena);
            if (status == ZMLX_ERROR_MEMORY || status != ZMLX_OK || !right) (void)fclose(r.file);
            if (status == ZMLX_ERROR_MEMORY) return;
            CHECK_ON(status != ZMLX_OK ? zmlx_error_message() : g.name, status == ZMLX_OK && right);
            seen[g.op] = true;
            cases++;
        }
        CHECK_ON(path, feof(r.file) && cases > 0);
        (void)fclose(r.file);
    }
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        CHECK_ON(zx_ops[without[i]].text, !seen[without[i]]);
        seen[without[i]] = true;
    }
    for (int op = 0; op < ZX_OP_COUNT; op++) CHECK_ON(zx_ops[op].text, seen[op]);
    for (size_t i = 1; i < ZX_ACTIVATION_COUNT; i++)
        CHECK_ON(zx_activation_names[i], activations[i]);
}
