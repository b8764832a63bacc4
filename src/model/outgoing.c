/* outgoing.c - tensors of a checkpoint, one by one: which module each belongs to, what mlx-lm calls
 * it, and in which of a few ways its rows are to be read.  Nothing is decoded here. */
#include "model/outgoing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/memory.h"
#include "model/leftover.h"
#include "model/mlx_names.h"
#include "model/outgoing_parts.h"

zmlx_status zx_outgoing_shape_error(const zx_stored_tensor *tensor, const char *expected)
{
    char shown[ZX_SHOWN_NAME], is[ZX_SHAPE_TEXT];
    return ZX_FAIL(ZMLX_ERROR_SHAPE, "%s: tensor '%s' is %s; expected %s", tensor->path,
                   zx_shown_name(tensor->name, tensor->name_length, shown),
                   zx_stored_describe(tensor, is), expected);
}

bool zx_name_ends(const char *name, const char *ending)
{
    const size_t length = strlen(name), tail = strlen(ending);
    return length >= tail && strcmp(name + length - tail, ending) == 0;
}

static zmlx_status keep_text(zx_collector *c, const char *text, const char **kept)
{
    void *memory = NULL;
    const size_t bytes = strlen(text) + 1;
    ZX_TRY(zx_arena_alloc(&c->list->arena, bytes, &memory));
    *kept = memcpy(memory, text, bytes);
    return ZMLX_OK;
}

/* -------- sources -------- */

zmlx_status zx_dense_source(const zx_stored_tensor *tensor, zx_weight *source)
{
    const unsigned rank = tensor->rank;
    char shown[ZX_SHOWN_NAME];
    const bool blocks = tensor->dtype == ZX_DTYPE_COUNT;
    if (tensor->format == ZX_FORMAT_COUNT)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: tensor '%s' has the type %s, which is not read",
                       tensor->path, zx_shown_name(tensor->name, tensor->name_length, shown),
                       tensor->type);
    *source = (zx_weight){.format = tensor->format,
                          .dtype = blocks ? ZX_F32 : tensor->dtype,
                          .bits = zx_formats[tensor->format].bits,
                          .group = zx_formats[tensor->format].group,
                          .count = 1,
                          .rows = rank > 1 ? tensor->shape[rank - 2] : 1,
                          .columns = rank > 0 ? tensor->shape[rank - 1] : 1,
                          .codes = tensor->data};
    for (unsigned i = 0; i + 2 < rank; i++)
        if (!zx_multiply_fits(source->count, tensor->shape[i], &source->count))
            return zx_outgoing_shape_error(tensor, "fewer elements");
    source->codes_stride = zx_weight_row_bytes(source);
    return zx_weight_check(source);
}

zmlx_status zx_rows_of_one(const zx_stored_tensor *vector, zx_weight *source)
{
    if (!zx_tensor_is_float(vector))
        return zx_outgoing_shape_error(vector, "a vector of F32, F16 or BF16");
    source->rows = source->columns;
    source->columns = 1;
    source->codes_stride = zx_weight_row_bytes(source);
    return ZMLX_OK;
}

void zx_raw_source(const zx_stored_tensor *tensor, zx_weight *source)
{
    const unsigned rank = tensor->rank;
    *source = (zx_weight){.format = ZX_FORMAT_COUNT,
                          .count = 1,
                          .rows = rank > 1 ? tensor->shape[rank - 2] : 1,
                          .columns = rank > 0 ? tensor->shape[rank - 1] : 1,
                          .codes = tensor->data};
    for (unsigned i = 0; i + 2 < rank; i++) source->count *= tensor->shape[i];
    source->codes_stride = source->columns * zx_dtypes[tensor->dtype].bytes;
}

bool zx_is_quantized(const zx_collector *c, const char *module)
{
    char name[ZX_MLX_NAME];
    const int length = snprintf(name, sizeof name, "%s.scales", module);
    if (length < 0 || (size_t)length >= sizeof name || zx_checkpoint_is_gguf(c->checkpoint))
        return false;
    const zx_stored_tensor *scales = zx_checkpoint_peek(c->checkpoint, name);
    (void)snprintf(name, sizeof name, "%s.weight", module);
    const zx_stored_tensor *codes = zx_checkpoint_peek(c->checkpoint, name);
    return scales != NULL && codes != NULL && codes->dtype == ZX_U32;
}

zmlx_status zx_quantized_source(const zx_collector *c, const zx_subject *s, zx_weight *source)
{
    const zx_stored_tensor *tensor = s->tensor;
    const size_t bits = zx_checkpoint_bits(c->checkpoint, s->module);
    if (tensor->rank < 2 || tensor->rank > 3)
        return zx_outgoing_shape_error(tensor, "one matrix or a stack");
    if (bits == 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: the config's 'quantization' does not say how many bits '%s' has",
                       tensor->path, s->module);
    const size_t columns = tensor->shape[tensor->rank - 1] * 32 / bits;
    const size_t rows = tensor->shape[tensor->rank - 2];
    if (tensor->rank == 3)
        ZX_TRY(
            zx_checkpoint_stack(c->checkpoint, s->module, tensor->shape[0], rows, columns, source));
    else
        ZX_TRY(zx_checkpoint_weight(c->checkpoint, s->module, rows, columns, source));
    source->bias = NULL;
    return ZMLX_OK;
}

/* Values of the zx_subject's tensor, whatever holds them. */
static zmlx_status source_of(const zx_collector *c, const zx_subject *s, zx_weight *source)
{
    if (strcmp(s->suffix, ".weight") == 0 && zx_is_quantized(c, s->module))
        return zx_quantized_source(c, s, source);
    return zx_dense_source(s->tensor, source);
}

/* -------- entries -------- */

/* Adds an entry for the module of that name; shape and sizes are the caller's to change. */
zmlx_status zx_outgoing_add(zx_collector *c, const zx_subject *s, const char *module,
                            const char *suffix, const zx_outgoing *what)
{
    zx_outgoing_list *list = c->list;
    char name[ZX_MLX_NAME];
    if (!zx_mlx_name(c->family, c->wrapped, module, name))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the module name '%.64s...' is too long",
                       s->tensor->path, module);
    ZX_TRY(zx_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items,
                   "list of tensors"));
    zx_outgoing *entry = &list->items[list->count];
    *entry = *what;
    ZX_TRY(keep_text(c, name, &entry->module));
    ZX_TRY(keep_text(c, suffix, &entry->suffix));
    entry->origin = s->tensor->name;
    entry->to_cast = zx_mlx_may_cast(c->family, name);
    const zx_weight *second = entry->order == ZX_ROWS_BY_KEY ? &entry->second : &entry->source;
    entry->encoded = entry->copied == ZX_DTYPE_COUNT && (entry->source.format > ZX_FORMAT_BF16 ||
                                                         second->format != entry->source.format);
    entry->matrix =
        what->matrix && strcmp(suffix, ".weight") == 0 && zx_mlx_may_quantize(c->family, name);
    entry->format = ZX_FORMAT_COUNT;
    entry->dtype = entry->copied < ZX_DTYPE_COUNT ? entry->copied : entry->source.dtype;
    list->count++;
    return ZMLX_OK;
}

zx_outgoing zx_values_of(const zx_weight *source)
{
    return (zx_outgoing){.source = *source,
                         .copied = ZX_DTYPE_COUNT,
                         .step = 1,
                         .rows = source->rows,
                         .columns = source->columns};
}

void zx_set_shape(zx_outgoing *entry, size_t stack)
{
    entry->rank = stack > 0 ? 3 : 2;
    entry->shape[0] = stack;
    entry->shape[stack > 0] = entry->rows;
    entry->shape[1 + (stack > 0)] = entry->columns;
}

/* The tensor by itself: values or bytes, in its own shape. */
static zmlx_status add_as_it_is(zx_collector *c, const zx_subject *s)
{
    const zx_stored_tensor *tensor = s->tensor;
    zx_weight source;
    const bool values = zx_tensor_is_float(tensor) || tensor->dtype == ZX_DTYPE_COUNT;
    const bool quantized = strcmp(s->suffix, ".weight") == 0 && zx_is_quantized(c, s->module);
    if (quantized && c->dequantize)
        ZX_TRY(zx_quantized_source(c, s, &source));
    else if (values)
        ZX_TRY(zx_dense_source(tensor, &source));
    else
        zx_raw_source(tensor, &source);
    zx_outgoing entry = zx_values_of(&source);
    if (!values && !(quantized && c->dequantize)) entry.copied = tensor->dtype;
    if (quantized && !c->dequantize) c->list->kept++;
    entry.rank = tensor->rank;
    memcpy(entry.shape, tensor->shape, sizeof entry.shape);
    if (entry.rank > 0) entry.shape[entry.rank - 1] = source.columns;
    if (entry.rank == 1 && zx_name_ends(s->module, ".shared_expert_gate")) {
        entry.rank = 2; /* GGUF leaves out dimensions of 1 */
        entry.shape[1] = entry.shape[0];
        entry.shape[0] = 1;
    }
    entry.matrix = entry.copied == ZX_DTYPE_COUNT && (entry.rank == 2 || entry.rank == 3);
    if (entry.rank == 1) entry.shift = zx_mlx_shift(c->family, c->checkpoint, c->config, s->module);
    return zx_outgoing_add(c, s, s->module, s->suffix, &entry);
}

/* Scales and biases of MLX go as they are with codes that do. */
static zmlx_status add_companion(zx_collector *c, const zx_subject *s)
{
    zx_weight source;
    if (c->dequantize) return ZMLX_OK;
    zx_raw_source(s->tensor, &source);
    zx_outgoing entry = zx_values_of(&source);
    entry.copied = s->tensor->dtype;
    entry.rank = s->tensor->rank;
    memcpy(entry.shape, s->tensor->shape, sizeof entry.shape);
    return zx_outgoing_add(c, s, s->module, s->suffix, &entry);
}

/* -------- convolutions -------- */

/* [columns, 1, taps] of Hugging Face has the bytes of MLX's [columns, taps, 1]. */
static zmlx_status add_conv(zx_collector *c, const zx_subject *s)
{
    const zx_stored_tensor *tensor = s->tensor;
    zx_weight source;
    if (tensor->rank != 3 || (tensor->shape[1] != 1 && tensor->shape[2] != 1))
        return zx_outgoing_shape_error(tensor, "three dimensions, one of the last two 1");
    ZX_TRY(zx_dense_source(tensor, &source));
    zx_outgoing entry = zx_values_of(&source);
    entry.rank = 3;
    entry.shape[0] = tensor->shape[0];
    entry.shape[1] = tensor->shape[1] * tensor->shape[2];
    entry.shape[2] = 1;
    return zx_outgoing_add(c, s, s->module, s->suffix, &entry);
}

/* -------- latent attention -------- */

/* kv_b_proj [heads * (nope + value), latent]: a head's keys, turned, and its values.  Where it was
 * quantized mlx-lm quantizes the halves again, from what its dequantize gives. */
static zmlx_status add_latent(zx_collector *c, const zx_subject *s)
{
    const zx_config *config = c->config;
    const size_t heads = config->heads, nope = config->nope_size, size = nope + config->value_size;
    const size_t parts[][2] = {{0, nope}, {nope, config->value_size}};
    static const char *const names[] = {"embed_q", "unembed_out"};
    const size_t above = strlen(s->module) - strlen("kv_b_proj");
    const bool quantized = zx_is_quantized(c, s->module);
    zx_weight source;
    ZX_TRY(source_of(c, s, &source));
    if (source.count != 1 || source.rows != heads * size)
        return zx_outgoing_shape_error(s->tensor, "a row for each key and value of each head");
    source.mlx_cpu_decode = source.format == ZX_FORMAT_AFFINE && !c->dequantize;
    for (size_t half = 0; half < 2; half++) {
        char module[ZX_MLX_NAME];
        void *memory = NULL;
        ZX_TRY(zx_arena_alloc(&c->list->arena, heads * sizeof(zx_weight), &memory));
        zx_weight *const matrices = memory;
        for (size_t i = 0; i < heads; i++)
            matrices[i] = zx_weight_rows(&source, i * size + parts[half][0], parts[half][1]);
        zx_outgoing entry = zx_values_of(&matrices[0]);
        entry.source.count = heads;
        entry.source.matrices = matrices;
        entry.matrix = true;
        entry.turned = half == 0;
        entry.rows = half == 0 ? source.columns : parts[half][1];
        entry.columns = half == 0 ? parts[half][1] : source.columns;
        zx_set_shape(&entry, heads);
        (void)snprintf(module, sizeof module, "%.*s%s", (int)above, s->module, names[half]);
        ZX_TRY(zx_outgoing_add(c, s, module, ".weight", &entry));
        zx_outgoing *added = &c->list->items[c->list->count - 1];
        if (!quantized || c->dequantize) continue;
        added->fixed = true;
        added->format = source.format;
        added->bits = source.bits;
        added->group = source.group;
    }
    return ZMLX_OK;
}

/* -------- GGUF -------- */

/* Rows that llama.cpp's converters put in another order.  '*taken' is false for every other tensor.
 */
static zmlx_status add_reordered(zx_collector *c, const zx_subject *s, bool *taken)
{
    const bool pairs = zx_checkpoint_interleaved_rope(c->checkpoint);
    const bool queries = pairs && zx_name_ends(s->module, "self_attn.q_proj");
    const bool keys = pairs && zx_name_ends(s->module, "self_attn.k_proj");
    const bool parts = zx_name_ends(s->module, "attention.query_key_value");
    const size_t heads = keys ? c->config->kv_heads : c->config->heads;
    zx_weight source;
    *taken = zx_checkpoint_is_gguf(c->checkpoint) && (queries || keys || parts);
    if (!*taken) return ZMLX_OK;
    ZX_TRY(zx_dense_source(s->tensor, &source));
    if (s->tensor->rank == 1) ZX_TRY(zx_rows_of_one(s->tensor, &source)); /* a bias */
    if (source.count != 1 || heads == 0 || source.rows % (heads * (parts ? 3 : 2)) != 0)
        return zx_outgoing_shape_error(s->tensor, "rows of whole heads");
    zx_outgoing entry = zx_values_of(&source);
    entry.order = parts ? ZX_ROWS_FROM_PARTS : ZX_ROWS_FROM_PAIRS;
    entry.heads = heads;
    entry.rank = s->tensor->rank;
    memcpy(entry.shape, s->tensor->shape, sizeof entry.shape);
    entry.matrix = entry.rank == 2;
    return zx_outgoing_add(c, s, s->module, s->suffix, &entry);
}

/* Factors of the rope stand in config.json. */
static bool is_rope_factor(const char *name)
{
    return strncmp(name, "rope_freqs.", 11) == 0 || strncmp(name, "rope_factors_", 13) == 0;
}

/* -------- the whole -------- */

static void split_name(const char *name, zx_subject *s)
{
    static const char *const suffixes[] = {".weight", ".bias", ".scales", ".biases"};
    s->suffix = "";
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (zx_name_ends(name, suffixes[i])) s->suffix = suffixes[i];
    length -= strlen(s->suffix);
    (void)snprintf(s->module, sizeof s->module, "%.*s", (int)length, name);
    if (zx_name_ends(s->module, ".sinks")) s->suffix = ""; /* GGUF's has one */
}

static zmlx_status collect_tensor(zx_collector *c, const zx_stored_tensor *tensor, const char *name)
{
    zx_subject s = {.tensor = tensor};
    bool taken = false;
    if (strlen(name) >= sizeof s.module)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the name of tensor '%.64s...' is too long",
                       tensor->path, name);
    split_name(name, &s);
    if (zx_checkpoint_is_gguf(c->checkpoint) && is_rope_factor(name)) return ZMLX_OK;
    ZX_TRY(zx_outgoing_add_experts(c, &s, &taken));
    if (!taken) ZX_TRY(add_reordered(c, &s, &taken));
    if (!taken) ZX_TRY(zx_outgoing_add_recurrent(c, &s, &taken));
    if (taken) return ZMLX_OK;
    const bool companion = strcmp(s.suffix, ".scales") == 0 || strcmp(s.suffix, ".biases") == 0;
    const bool latent = zx_name_ends(s.module, ".self_attn.kv_b_proj");
    if (companion && zx_is_quantized(c, s.module)) return latent ? ZMLX_OK : add_companion(c, &s);
    if (latent && strcmp(s.suffix, ".weight") == 0) return add_latent(c, &s);
    if (tensor->rank == 3 && strcmp(s.suffix, ".weight") == 0 &&
        (zx_name_ends(s.module, ".conv1d") || zx_name_ends(s.module, ".conv.conv")))
        return add_conv(c, &s);
    return add_as_it_is(c, &s);
}

/* In the order of the files and of their bytes, so that each is read once from start to end. */
typedef struct place {
    const zx_stored_tensor *tensor;
    size_t index;
} place;

static int by_place(const void *left, const void *right)
{
    const place *a = left, *b = right;
    const int files = strcmp(a->tensor->path, b->tensor->path);
    if (files != 0) return files;
    if (a->tensor->data != b->tensor->data) return a->tensor->data < b->tensor->data ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static zmlx_status collect_all(zx_collector *c, place *places, size_t count)
{
    zx_leftover_words words;
    ZX_TRY(zx_leftover_words_of(c->checkpoint, c->config, &words));
    for (size_t i = 0; i < count; i++) {
        bool used = false;
        places[i] = (place){zx_checkpoint_tensor(c->checkpoint, i, &used), i};
    }
    qsort(places, count, sizeof *places, by_place);
    for (size_t i = 0; i < count; i++) {
        const char *const name = zx_checkpoint_name(c->checkpoint, places[i].index);
        if (zx_is_leftover(places[i].tensor, &words)) continue;
        ZX_TRY(collect_tensor(c, zx_checkpoint_find(c->checkpoint, name), name));
    }
    return ZMLX_OK;
}

zmlx_status zx_outgoing_collect(const zx_checkpoint *checkpoint, const zx_family *family,
                                const zx_config *config, bool dequantize, zx_outgoing_list *list)
{
    const size_t count = zx_checkpoint_count(checkpoint);
    const json_t *text = json_object_get(zx_checkpoint_config(checkpoint), "text_config");
    zx_collector c = {.checkpoint = checkpoint,
                      .family = family,
                      .config = config,
                      .wrapped = zx_mlx_is_wrapped(family, text),
                      .dequantize = dequantize,
                      .list = list};
    void *places = NULL;
    ZX_TRY(zx_alloc_array(count, sizeof(place), "order of tensors", &places));
    const zmlx_status status = collect_all(&c, places, count);
    zx_free(places);
    return status;
}

void zx_outgoing_fini(zx_outgoing_list *list)
{
    zx_free(list->items);
    zx_arena_reset(&list->arena);
    *list = (zx_outgoing_list){0};
}
