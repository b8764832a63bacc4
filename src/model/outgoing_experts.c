/* outgoing_experts.c - the matrices of experts, which checkpoints hold in many forms
 * (model/experts.h), as mlx-lm's models have them: stacked, [experts, rows, columns], gate, up and
 * down each by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "model/outgoing_parts.h"

/* "MODULE.experts.N.PROJECTION": where the number stands; NULL: another name. */
static const char *expert_number(const char *module)
{
    static const char word[] = ".experts.";
    const char *at = strstr(module, word);
    if (at == NULL) return NULL;
    at += sizeof word - 1;
    const size_t digits = strspn(at, "0123456789");
    return digits > 0 && digits < 6 && at[digits] == '.' ? at : NULL;
}

static const char *projection_name(const char *word)
{
    static const char *const words[][2] = {
        {"w1", "gate_proj"}, {"w2", "down_proj"}, {"w3", "up_proj"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i][0], word) == 0) return words[i][1];
    return word;
}

/* The same tensor of another expert. */
static zmlx_status find_expert(const zx_collector *c, const zx_subject *first, const char *number,
                               size_t expert, zx_subject *other)
{
    char name[ZX_MLX_NAME];
    const char *rest = number + strspn(number, "0123456789");
    (void)snprintf(other->module, sizeof other->module, "%.*s%zu%s", (int)(number - first->module),
                   first->module, expert, rest);
    const int length = snprintf(name, sizeof name, "%s%s", other->module, first->suffix);
    other->suffix = first->suffix;
    other->tensor =
        length > 0 && (size_t)length < sizeof name ? zx_checkpoint_peek(c->checkpoint, name) : NULL;
    if (other->tensor == NULL) return zx_checkpoint_missing(c->checkpoint, name);
    const zx_stored_tensor *a = first->tensor, *b = other->tensor;
    const bool alike = a->rank == b->rank && a->dtype == b->dtype && a->format == b->format &&
                       memcmp(a->shape, b->shape, a->rank * sizeof a->shape[0]) == 0;
    return alike ? ZMLX_OK : zx_outgoing_shape_error(b, "the shape and type of the other experts'");
}

/* A tensor of another expert than 0 goes into that one's stack, which must be there. */
static zmlx_status check_stacked(const zx_collector *c, const zx_subject *s, const char *number)
{
    zx_subject first;
    const size_t expert = strtoul(number, NULL, 10);
    if (expert >= c->config->experts)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s' is of expert %zu; the config has %zu",
                       s->tensor->path, s->tensor->name, expert, c->config->experts);
    return find_expert(c, s, number, 0, &first);
}

/* Expert 0 stands for all: their tensors become one. */
static zmlx_status add_stack(zx_collector *c, const zx_subject *s, const char *number)
{
    const size_t count = c->config->experts;
    const bool raw = !zx_tensor_is_float(s->tensor) && s->tensor->dtype != ZX_DTYPE_COUNT;
    const bool quantized = zx_is_quantized(c, s->module);
    const bool companion = strcmp(s->suffix, ".scales") == 0 || strcmp(s->suffix, ".biases") == 0;
    const char *rest = number + strspn(number, "0123456789") + 1;
    char module[ZX_MLX_NAME];
    void *memory = NULL;
    if (number[0] != '0' || number[1] != '.') return check_stacked(c, s, number);
    if (companion && quantized && c->dequantize) return ZMLX_OK;
    if (count == 0 || s->tensor->rank == 0)
        return zx_outgoing_shape_error(s->tensor, "experts that the config counts");
    ZX_TRY(zx_arena_alloc(&c->list->arena, count * sizeof(zx_weight), &memory));
    zx_weight *const matrices = memory;
    for (size_t i = 0; i < count; i++) {
        zx_subject other;
        ZX_TRY(find_expert(c, s, number, i, &other));
        if (quantized && c->dequantize && !companion)
            ZX_TRY(zx_quantized_source(c, &other, &matrices[i]));
        else if (raw)
            zx_raw_source(other.tensor, &matrices[i]);
        else
            ZX_TRY(zx_dense_source(other.tensor, &matrices[i]));
    }
    zx_outgoing entry = zx_values_of(&matrices[0]);
    entry.source.count = count;
    entry.source.matrices = matrices;
    if ((raw || companion) && !(quantized && c->dequantize)) entry.copied = s->tensor->dtype;
    if (quantized && !c->dequantize && strcmp(s->suffix, ".weight") == 0) c->list->kept++;
    entry.matrix = entry.copied == ZX_DTYPE_COUNT && s->tensor->rank == 2;
    zx_set_shape(&entry, count);
    if (s->tensor->rank == 1) { /* a bias an expert */
        entry.rank = 2;
        entry.shape[1] = entry.columns;
    }
    const int above = (int)(number - s->module) - (int)strlen("experts.");
    (void)snprintf(module, sizeof module, "%.*s%s.%s", above, s->module, zx_mlx_experts(c->family),
                   projection_name(rest));
    return zx_outgoing_add(c, s, module, s->suffix, &entry);
}

/* A tensor that all experts share: the module it lies in, and whether it is that of 'down' alone
 * (1) or of gate and up (2). */
typedef struct shared {
    char prefix[ZX_MLX_NAME];
    size_t parts;
} shared;

/* Adds one of the parts: "PREFIX.switch_mlp.gate_proj". */
static zmlx_status add_part(zx_collector *c, const zx_subject *s, const shared *in, size_t part,
                            const char *suffix, const zx_outgoing *entry)
{
    char module[ZX_MLX_NAME];
    const char *half = part == 0 ? "gate_proj" : "up_proj";
    const int length = snprintf(module, sizeof module, "%s.%s.%s", in->prefix,
                                zx_mlx_experts(c->family), in->parts == 1 ? "down_proj" : half);
    if (length < 0 || length >= ZX_MLX_NAME)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "the module name '%.64s...' is too long", in->prefix);
    return zx_outgoing_add(c, s, module, suffix, entry);
}

/* Adds all parts of rows that take turns. */
static zmlx_status add_turns(zx_collector *c, const zx_subject *s, const shared *in,
                             const char *suffix, const zx_outgoing *whole)
{
    const zx_weight *from = &whole->source;
    for (size_t part = 0; part < in->parts; part++) {
        zx_outgoing entry = *whole;
        entry.source.codes += part * from->codes_stride;
        entry.source.codes_stride *= in->parts;
        if (from->scales != NULL) entry.source.scales += part * from->scales_stride;
        entry.source.scales_stride *= in->parts;
        entry.source.rows = entry.rows = from->rows / in->parts;
        zx_set_shape(&entry, from->count);
        ZX_TRY(add_part(c, s, in, part, suffix, &entry));
    }
    return ZMLX_OK;
}

/* [E, 2N, C]: gate's rows, then up's. */
static zmlx_status add_halves(zx_collector *c, const zx_subject *s, const shared *in)
{
    const zx_stored_tensor *tensor = s->tensor;
    zx_weight source;
    ZX_TRY(zx_dense_source(tensor, &source));
    if (tensor->rank != 3 || source.rows % 2 != 0)
        return zx_outgoing_shape_error(tensor, "[E, 2N, C]");
    for (size_t half = 0; half < in->parts; half++) {
        void *memory = NULL;
        ZX_TRY(zx_arena_alloc(&c->list->arena, source.count * sizeof(zx_weight), &memory));
        zx_weight *const matrices = memory;
        for (size_t i = 0; i < source.count; i++)
            matrices[i] =
                zx_weight_rows(&source, i * source.rows + half * source.rows / 2, source.rows / 2);
        zx_outgoing entry = zx_values_of(&matrices[0]);
        entry.source.count = source.count;
        entry.source.matrices = matrices;
        entry.matrix = true;
        zx_set_shape(&entry, source.count);
        ZX_TRY(add_part(c, s, in, half, ".weight", &entry));
    }
    return ZMLX_OK;
}

static zmlx_status add_down(zx_collector *c, const zx_subject *s, const shared *in)
{
    zx_weight source;
    ZX_TRY(zx_dense_source(s->tensor, &source));
    if (s->tensor->rank != 3) return zx_outgoing_shape_error(s->tensor, "[E, N, C]");
    zx_outgoing entry = zx_values_of(&source);
    entry.matrix = true;
    zx_set_shape(&entry, source.count);
    return add_part(c, s, in, 0, ".weight", &entry);
}

/* gpt-oss: [E, C, parts * N], of which columns of gate and up take turns. */
static zmlx_status add_turned(zx_collector *c, const zx_subject *s, const shared *in)
{
    const size_t parts = in->parts;
    zx_weight source;
    ZX_TRY(zx_dense_source(s->tensor, &source));
    if (s->tensor->rank != 3 || source.columns % parts != 0)
        return zx_outgoing_shape_error(s->tensor, "[E, C, N], N even where gate and up share it");
    for (size_t part = 0; part < parts; part++) {
        zx_outgoing entry = zx_values_of(&source);
        entry.turned = entry.matrix = true;
        entry.first = part;
        entry.step = parts;
        entry.rows = source.columns / parts;
        entry.columns = source.rows;
        zx_set_shape(&entry, source.count);
        ZX_TRY(add_part(c, s, in, part, ".weight", &entry));
    }
    return ZMLX_OK;
}

/* gpt-oss: biases [E, parts * N] in the same order. */
static zmlx_status add_turned_bias(zx_collector *c, const zx_subject *s, const shared *in)
{
    const size_t parts = in->parts;
    zx_weight source;
    ZX_TRY(zx_dense_source(s->tensor, &source));
    if (s->tensor->rank != 2 || source.columns % parts != 0)
        return zx_outgoing_shape_error(s->tensor, "[E, N], N even where gate and up share it");
    const size_t experts = source.rows, columns = source.columns / parts;
    source.count = experts; /* each [N, parts] */
    source.rows = columns;
    source.columns = parts;
    source.codes_stride = zx_weight_row_bytes(&source);
    for (size_t part = 0; part < parts; part++) {
        zx_outgoing entry = zx_values_of(&source);
        entry.turned = true;
        entry.first = part;
        entry.rows = 1;
        entry.columns = columns;
        entry.rank = 2;
        entry.shape[0] = experts;
        entry.shape[1] = columns;
        ZX_TRY(add_part(c, s, in, part, ".bias", &entry));
    }
    return ZMLX_OK;
}

/* gpt-oss: MXFP4 as [E, parts * N, groups, 16] bytes, or their scales [E, parts * N, groups]; rows
 * of gate and up take turns. */
static zmlx_status add_blocks(zx_collector *c, const zx_subject *s, const shared *in)
{
    const zx_stored_tensor *tensor = s->tensor;
    const bool codes = zx_name_ends(s->module, "_blocks");
    const bool fits = tensor->rank == (codes ? 4u : 3u) && tensor->shape[1] % in->parts == 0 &&
                      (tensor->dtype == ZX_U8 || (!codes && tensor->dtype == ZX_F8_E8M0)) &&
                      (!codes || tensor->shape[3] == 16);
    if (!fits)
        return zx_outgoing_shape_error(tensor,
                                       "U8 [E, N, groups, 16], or its scales [E, N, groups]");
    const size_t row = tensor->shape[2] * (codes ? tensor->shape[3] : 1);
    const zx_weight source = {.format = ZX_FORMAT_COUNT,
                              .count = tensor->shape[0],
                              .rows = tensor->shape[1],
                              .columns = codes ? row / 4 : row,
                              .codes = tensor->data,
                              .codes_stride = row};
    zx_outgoing whole = zx_values_of(&source);
    whole.copied = codes ? ZX_U32 : ZX_U8;
    if (codes) c->list->kept += in->parts;
    return add_turns(c, s, in, codes ? ".weight" : ".scales", &whole);
}

/* The same as values. */
static zmlx_status add_decoded_blocks(zx_collector *c, const zx_subject *s, const shared *in)
{
    char name[ZX_MLX_NAME];
    const size_t length = strlen(s->module) - strlen("blocks");
    if (!zx_name_ends(s->module, "_blocks")) return ZMLX_OK; /* scales go with them */
    (void)snprintf(name, sizeof name, "%.*sscales", (int)length, s->module);
    const zx_stored_tensor *codes = s->tensor, *scales = zx_checkpoint_peek(c->checkpoint, name);
    if (scales == NULL) return zx_checkpoint_missing(c->checkpoint, name);
    if (codes->rank != 4 || codes->shape[3] != 16 || codes->shape[1] % in->parts != 0)
        return zx_outgoing_shape_error(codes, "[E, N, groups, 16]");
    if (scales->rank != 3 || memcmp(scales->shape, codes->shape, 3 * sizeof codes->shape[0]) != 0 ||
        zx_dtypes[scales->dtype].bytes != 1)
        return zx_outgoing_shape_error(scales, "U8 [E, N, groups] of the blocks");
    const size_t groups = codes->shape[2];
    const zx_weight source = {.format = ZX_FORMAT_MXFP4,
                              .dtype = ZX_F32,
                              .bits = 4,
                              .group = 32,
                              .count = codes->shape[0],
                              .rows = codes->shape[1],
                              .columns = groups * 32,
                              .codes = codes->data,
                              .codes_stride = groups * 16,
                              .scales = scales->data,
                              .scales_stride = groups};
    zx_outgoing whole = zx_values_of(&source);
    whole.matrix = true;
    return add_turns(c, s, in, ".weight", &whole);
}

/* Tensors that hold all experts' gate and up, or down.  '*taken' is false for every other one. */
static zmlx_status add_together(zx_collector *c, const zx_subject *s, bool *taken)
{
    static const struct {
        const char *ending;
        size_t parts;
    } rows[] = {{".experts.gate_up_proj", 2}, {".experts.down_proj", 1}};
    const bool turned = strcmp(c->family->name, "gpt_oss") == 0;
    shared in;
    *taken = true;
    for (size_t i = 0; i < 2; i++) {
        const char *at = strstr(s->module, rows[i].ending);
        if (at == NULL) continue;
        const char *rest = at + strlen(rows[i].ending);
        in.parts = rows[i].parts;
        (void)snprintf(in.prefix, sizeof in.prefix, "%.*s", (int)(at - s->module), s->module);
        if (strcmp(rest, "_blocks") == 0 || strcmp(rest, "_scales") == 0)
            return c->dequantize ? add_decoded_blocks(c, s, &in) : add_blocks(c, s, &in);
        if (strcmp(rest, "_bias") == 0) return add_turned_bias(c, s, &in);
        if (*rest != 0 || *s->suffix != 0) continue;
        if (turned) return add_turned(c, s, &in);
        return in.parts == 2 ? add_halves(c, s, &in) : add_down(c, s, &in);
    }
    for (size_t i = 0; i < 2; i++) { /* GraniteMoE's words */
        static const char *const words[] = {".input_linear", ".output_linear"};
        if (!zx_name_ends(s->module, words[i]) || strcmp(s->suffix, ".weight") != 0) continue;
        const size_t length = strlen(s->module) - strlen(words[i]);
        in.parts = i == 0 ? 2 : 1;
        (void)snprintf(in.prefix, sizeof in.prefix, "%.*s", (int)length, s->module);
        return i == 0 ? add_halves(c, s, &in) : add_down(c, s, &in);
    }
    *taken = false;
    return ZMLX_OK;
}

zmlx_status zx_outgoing_add_experts(zx_collector *c, const zx_subject *s, bool *taken)
{
    const char *number = expert_number(s->module);
    *taken = number != NULL;
    return number != NULL ? add_stack(c, s, number) : add_together(c, s, taken);
}
