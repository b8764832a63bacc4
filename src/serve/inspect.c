/* inspect.c - a report on a model or weight file, made from headers alone.
 *
 * It stands here, above sessions, because it says what a session would need.  A file whose
 * architecture is not known is still described: its tensors, its config, and why it cannot run. */
#include <jansson.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "hub/cache.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "model/strings.h"
#include "zmlx/session.h"

typedef struct part { /* of a model, by what its tensors' names hold */
    const char *name;
    const char *words[4];
    size_t parameters, bytes;
} part;

static const part part_rows[] = {
    {.name = "embedding", .words = {"embed_tokens", "token_embd"}},
    {.name = "attention", .words = {"self_attn", "attn_"}},
    {.name = "experts", .words = {"experts", "_exps", "switch_mlp"}},
    {.name = "mlp", .words = {"mlp", "ffn_", "feed_forward"}},
    {.name = "head", .words = {"lm_head", "output.weight"}},
    {.name = "other", .words = {""}},
};
enum { PARTS = sizeof part_rows / sizeof part_rows[0] };

typedef struct report {
    const zx_checkpoint *checkpoint; /* NULL: one file, of whose modules nothing is known */
    json_t *object, *tensors, *unusual;
    bool memory; /* ran out: something is missing */
    part parts[PARTS];
    size_t parameters, bytes;
} summary;

/* Both take the value, and note where memory ran out. */
static void set(summary *report, const char *key, json_t *value)
{
    if (json_object_set_new(report->object, key, value) != 0) report->memory = true;
}

static void append(summary *report, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0) report->memory = true;
}

static bool matches(const part *row, const char *name)
{
    for (size_t i = 0; i < 4 && row->words[i] != NULL; i++)
        if (strstr(name, row->words[i]) != NULL) return true;
    return false;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Bits of the codes of the tensor's module; 0 where it is not MLX-quantized or not known to be. */
static size_t bits_of(const summary *report, const zx_stored_tensor *tensor)
{
    char module[256];
    const char *dot = strrchr(tensor->name, '.');
    const size_t length = dot != NULL ? (size_t)(dot - tensor->name) : 0;
    if (report->checkpoint == NULL || length == 0 || length >= sizeof module) return 0;
    memcpy(module, tensor->name, length);
    module[length] = '\0';
    return zx_checkpoint_bits(report->checkpoint, module);
}

/* How many numbers of the model a stored tensor stands for: packed words hold several, and scales
 * and biases of quantized groups none of their own. */
static size_t parameters_of(const summary *report, const zx_stored_tensor *tensor)
{
    size_t elements = 0, all_bits = 0;
    if (!zx_stored_elements(tensor, &elements)) return 0;
    const size_t bits = bits_of(report, tensor);
    if (tensor->dtype == ZX_U8 && ends_with(tensor->name, "_blocks")) /* gpt-oss: two a byte */
        return zx_multiply_fits(elements, 2, &all_bits) ? all_bits : 0;
    if (tensor->dtype == ZX_U8 && ends_with(tensor->name, "_scales")) return 0;
    if (bits == 0) return elements;
    if (ends_with(tensor->name, ".scales") || ends_with(tensor->name, ".biases")) return 0;
    if (tensor->dtype != ZX_U32) return elements;
    return zx_multiply_fits(elements, 32, &all_bits) ? all_bits / bits : elements / bits * 32;
}

/* The shape as JSON; NULL where memory ran out. */
static json_t *shape_array(const zx_stored_tensor *tensor)
{
    json_t *shape = json_array();
    for (unsigned i = 0; i < tensor->rank; i++)
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    return shape;
}

static void add_tensor(summary *report, const zx_stored_tensor *tensor)
{
    const size_t parameters = parameters_of(report, tensor);
    size_t place = 0;
    while (!matches(&part_rows[place], tensor->name)) place++;
    report->parts[place].parameters += parameters;
    report->parts[place].bytes += tensor->bytes;
    report->parameters += parameters;
    report->bytes += tensor->bytes;
    append(report, report->tensors,
           json_pack("{s:s, s:s, s:o, s:I}", "name", tensor->name, "type", tensor->type, "shape",
                     shape_array(tensor), "bytes", (json_int_t)tensor->bytes));
}

/* A path or a message, either of which may hold bytes that are no UTF-8. */
static json_t *text_value(const char *text)
{
    char shown[2048];
    size_t length = 0;
    if (zx_utf8_valid(text, strlen(text))) return json_string(text);
    for (; text[length] != '\0' && length + 1 < sizeof shown; length++)
        shown[length] = (unsigned char)text[length] < 0x80 ? text[length] : '?';
    return json_stringn(shown, length);
}

static void say_unusual(summary *report, const char *text)
{
    append(report, report->unusual, text_value(text));
}

static double bits_per_weight(size_t bytes, size_t parameters)
{
    return parameters > 0 ? 8.0 * (double)bytes / (double)parameters : 0;
}

static void add_sums(summary *report)
{
    json_t *parts = json_array();
    for (size_t i = 0; i < PARTS; i++) {
        const part *each = &report->parts[i];
        if (each->bytes == 0) continue;
        json_t *row = json_pack("{s:s, s:I, s:I, s:f}", "name", part_rows[i].name, "parameters",
                                (json_int_t)each->parameters, "bytes", (json_int_t)each->bytes,
                                "bits_per_weight", bits_per_weight(each->bytes, each->parameters));
        append(report, parts, row);
    }
    set(report, "parameters", json_integer((json_int_t)report->parameters));
    set(report, "bytes", json_integer((json_int_t)report->bytes));
    set(report, "bits_per_weight", json_real(bits_per_weight(report->bytes, report->parameters)));
    set(report, "parts", parts);
}

/* What a session needs at three contexts. */
static void add_memory(summary *report, const zmlx_model *model)
{
    static const size_t contexts[] = {4096, 32768, 131072};
    json_t *rows = json_array();
    for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++) {
        const zmlx_session_options options = {.context = contexts[i]};
        zmlx_memory memory;
        if (zmlx_session_estimate(model, &options, &memory) != ZMLX_OK) continue;
        const size_t total = memory.weights + memory.kv + memory.activations;
        json_t *row =
            json_pack("{s:I, s:I, s:I, s:I, s:I}", "context", (json_int_t)contexts[i], "weights",
                      (json_int_t)memory.weights, "kv", (json_int_t)memory.kv, "activations",
                      (json_int_t)memory.activations, "total", (json_int_t)total);
        append(report, rows, row);
    }
    set(report, "memory", rows);
}

static void add_model(summary *report, const zmlx_model *model)
{
    const zx_config *config = &model->config;
    set(report, "family", json_string(model->family->name));
    set(report, "layers", json_integer((json_int_t)config->layers));
    set(report, "hidden_size", json_integer((json_int_t)config->hidden_size));
    set(report, "heads", json_integer((json_int_t)config->heads));
    set(report, "kv_heads", json_integer((json_int_t)config->kv_heads));
    set(report, "head_size", json_integer((json_int_t)config->head_size));
    set(report, "vocabulary", json_integer((json_int_t)config->vocabulary));
    set(report, "context_length", json_integer((json_int_t)config->context_length));
    set(report, "activations", json_string(zx_dtypes[model->dtype].name));
    set(report, "bytes_per_token", json_integer((json_int_t)model->bytes_per_token));
    if (config->window > 0) say_unusual(report, "attention sees a sliding window");
    if (config->shared_layers > 0)
        say_unusual(report, "the last layers read the keys and values of earlier ones");
    if (config->tied) say_unusual(report, "the head is the embedding's table");
    if (config->head_size * config->heads != config->hidden_size)
        say_unusual(report, "heads times head size is not the hidden size");
    add_memory(report, model);
}

static zmlx_status add_checkpoint(summary *report, const char *path)
{
    zx_checkpoint *checkpoint = NULL;
    zmlx_model *model = NULL;
    ZX_TRY(zx_checkpoint_open(path, &checkpoint));
    const json_t *config = zx_checkpoint_config(checkpoint);
    report->checkpoint = checkpoint;
    for (size_t i = 0; i < zx_checkpoint_count(checkpoint); i++) {
        bool used = false;
        add_tensor(report, zx_checkpoint_tensor(checkpoint, i, &used));
    }
    report->checkpoint = NULL;
    set(report, "kind", json_string(zx_checkpoint_is_gguf(checkpoint) ? "gguf" : "folder"));
    json_t *architecture = json_array_get(json_object_get(config, "architectures"), 0);
    if (architecture == NULL) architecture = json_object_get(config, "model_type");
    set(report, "architecture", architecture != NULL ? json_copy(architecture) : json_null());
    const zmlx_status opened = zmlx_model_open(path, NULL, &model);
    if (opened == ZMLX_OK)
        add_model(report, model);
    else
        say_unusual(report, zmlx_error_message());
    set(report, "runs", json_boolean(model != NULL));
    set(report, "config", json_deep_copy(config));
    zmlx_model_close(model);
    zx_checkpoint_close(checkpoint);
    return opened == ZMLX_ERROR_MEMORY ? opened : ZMLX_OK;
}

/* One weight file on its own. */
static zmlx_status add_safetensors(summary *report, const char *path)
{
    zx_safetensors file;
    ZX_TRY(zx_safetensors_open(path, &file));
    for (size_t i = 0; i < file.stored.count; i++) add_tensor(report, &file.stored.tensors[i]);
    set(report, "kind", json_string("safetensors"));
    set(report, "architecture", json_null());
    zx_safetensors_close(&file);
    return ZMLX_OK;
}

static int add_bytes(const char *bytes, size_t count, void *text)
{
    return zx_text_add(text, bytes, count) == ZMLX_OK ? 0 : -1;
}

static zmlx_status finish(summary *report, zmlx_string *json)
{
    zx_text text = {0};
    add_sums(report);
    set(report, "unusual", json_incref(report->unusual));
    if (json_object_get(report->object, "memory") == NULL) set(report, "memory", json_array());
    set(report, "tensors", json_incref(report->tensors));
    if (report->memory) return ZX_FAIL(ZMLX_ERROR_MEMORY, "a report does not fit in memory");
    const int failed = json_dump_callback(report->object, add_bytes, &text,
                                          JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    const zmlx_status status =
        failed == 0 ? ZMLX_OK : ZX_FAIL(ZMLX_ERROR_MEMORY, "a report as JSON");
    if (status == ZMLX_OK) zx_string_give(&text, json);
    zx_text_fini(&text);
    return status;
}

static zmlx_status inspect_path(const char *path, zmlx_string *json)
{
    summary report = {.object = json_object(), .tensors = json_array(), .unusual = json_array()};
    zmlx_status status = ZX_FAIL(ZMLX_ERROR_MEMORY, "a report");
    *json = (zmlx_string){0};
    if (report.object != NULL && report.tensors != NULL && report.unusual != NULL) {
        const bool alone = !zx_path_is_directory(path) && ends_with(path, ".safetensors");
        set(&report, "path", text_value(path));
        status = alone ? add_safetensors(&report, path) : add_checkpoint(&report, path);
        if (status == ZMLX_OK) status = finish(&report, json);
    }
    json_decref(report.object);
    json_decref(report.tensors);
    json_decref(report.unusual);
    return status;
}

zmlx_status zmlx_inspect(const char *path, zmlx_string *json)
{
    char *found = NULL;
    *json = (zmlx_string){0};
    ZX_TRY(zx_hub_resolve(path, &found));
    const zmlx_status status = inspect_path(found, json);
    zx_free(found);
    return status;
}
