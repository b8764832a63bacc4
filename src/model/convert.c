/* convert.c - zmlx_convert: from a checkpoint to a list of what is to be written, from that to
 * files.
 *
 * Everything that can be refused is refused before the first byte is written: the options, tensors
 * that are not read, small files that are large, a target that exists, a disk that is too small. */
#include "zmlx/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "model/choices.h"
#include "model/gguf_export.h"
#include "model/outgoing.h"
#include "model/recipes.h"
#include "model/write_config.h"
#include "model/write_folder.h"
#include "model/write_tensors.h"

enum { MOST_SHARDS = 99999 };

typedef struct shard {
    size_t first, count; /* entries */
    size_t bytes;
    char name[64];
} shard;

typedef struct conversion {
    const char *source, *target;
    const zmlx_convert_options *options;
    zmlx_convert_report report;
    zx_checkpoint *checkpoint;
    const zx_family *family;
    zx_config config;
    char *folder_path; /* of the source; NULL: GGUF */
    zx_outgoing_list list;
    zx_pool *pool;
    shard *shards;
    size_t shard_count, shard_capacity;
    json_t *index; /* name: file */
    json_t *document;
    zx_folder folder;
    zx_arena arena;
} conversion;

/* -------- what is to be written -------- */

/* Of blocks, and of what MLX's fp modes hold, where no dtype is asked for: that of the final norm,
 * or of a GGUF file, where norms are f32, the dtype that its 16-bit tensors have. */
static zmlx_status usual_dtype(const conversion *c, zx_dtype *dtype)
{
    size_t halves = 0, brains = 0;
    zx_weight norm;
    *dtype = ZX_F16;
    if (!zx_checkpoint_is_gguf(c->checkpoint)) {
        ZX_TRY(zx_checkpoint_vector(c->checkpoint, zx_family_names(c->family, c->checkpoint).norm,
                                    c->config.hidden_size, &norm));
        *dtype = norm.dtype;
        return ZMLX_OK;
    }
    for (size_t i = 0; i < c->list.count; i++) {
        const zx_outgoing *entry = &c->list.items[i];
        halves += entry->source.format == ZX_FORMAT_F16 || entry->encoded;
        brains += entry->source.format == ZX_FORMAT_BF16;
    }
    if (brains > 0 && halves == 0) *dtype = ZX_BF16;
    return ZMLX_OK;
}

/* A GGUF file's tensors of 32 bits are written in 16 too, unless asked otherwise. */
static void narrow(conversion *c, zx_dtype usual)
{
    if (!zx_checkpoint_is_gguf(c->checkpoint) || c->options->dtype != ZMLX_DTYPE_DEFAULT) return;
    for (size_t i = 0; i < c->list.count; i++) {
        zx_outgoing *entry = &c->list.items[i];
        const bool values = entry->copied == ZX_DTYPE_COUNT;
        if (values && entry->to_cast) entry->dtype = usual;
    }
}

static zmlx_status collect(conversion *c)
{
    zx_dtype usual;
    const zmlx_convert_options *options = c->options;
    const bool gguf = zx_checkpoint_is_gguf(c->checkpoint);
    ZX_TRY(
        zx_outgoing_collect(c->checkpoint, c->family, &c->config, options->dequantize, &c->list));
    for (size_t i = 0; i < c->list.count; i++)
        if (options->mlx_cpu_decode && c->list.items[i].source.format == ZX_FORMAT_AFFINE)
            c->list.items[i].source.mlx_cpu_decode = true;
    ZX_TRY(usual_dtype(c, &usual));
    ZX_TRY(zx_recipe_apply(options, c->family, &c->config, usual, &c->list));
    narrow(c, usual);
    if (gguf && options->mode == ZMLX_QUANTIZATION_NONE && !options->dequantize)
        zx_outgoing_find_exact(&c->list, c->pool);
    return ZMLX_OK;
}

/* Blocks whose form MLX does not have. */
static void log_decoded(const conversion *c)
{
    size_t exact = 0, decoded = 0;
    const char *type = "";
    for (size_t i = 0; i < c->list.count; i++) {
        const zx_outgoing *entry = &c->list.items[i];
        const bool dense = entry->encoded && entry->format == ZX_FORMAT_COUNT;
        exact += entry->exact;
        decoded += dense;
        if (dense) type = zx_formats[entry->source.format].name;
    }
    if (decoded == 0 || c->options->dequantize || !zx_checkpoint_is_gguf(c->checkpoint)) return;
    zx_log(ZMLX_LOG_WARNING,
           "%s: %zu quantized matrices keep their codes; %zu (%s and the like) have no exact form "
           "in MLX's modes and are written dense",
           c->source, exact, decoded, type);
}

static zmlx_status add_shard(conversion *c, size_t first)
{
    if (c->shard_count == MOST_SHARDS)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "more than %d files of weights; expected larger ones",
                       MOST_SHARDS);
    ZX_TRY(zx_grow(&c->shards, &c->shard_capacity, c->shard_count + 1, sizeof *c->shards,
                   "list of weight files"));
    c->shards[c->shard_count++] = (shard){.first = first};
    return ZMLX_OK;
}

/* As mlx-lm counts: codes as what they stand for, scales and biases not, and no arrays that belong
 * to no layer of their own. */
static size_t parameters_of(const conversion *c, const zx_outgoing *entry)
{
    size_t elements = 1;
    for (unsigned i = 0; i < entry->rank; i++) elements *= entry->shape[i];
    if (strcmp(entry->suffix, ".scales") == 0 || strcmp(entry->suffix, ".biases") == 0) return 0;
    if (entry->suffix[0] == 0 && strstr(entry->module, "e_score_correction_bias") == NULL) return 0;
    if (entry->copied == ZX_U32) {
        const size_t bits = zx_checkpoint_bits(c->checkpoint, entry->module);
        return elements * 32 / (bits > 0 ? bits : 4);
    }
    return elements;
}

static zmlx_status cut_shards(conversion *c)
{
    const size_t most = c->options->shard_bytes > 0 ? c->options->shard_bytes : (size_t)5 << 30;
    for (size_t i = 0; i < c->list.count; i++) {
        const zx_outgoing *entry = &c->list.items[i];
        zx_stored_tensor tensors[ZX_TENSORS_OF_ENTRY];
        size_t count = 0, bytes = 0;
        ZX_TRY(zx_outgoing_tensors(entry, &c->arena, tensors, &count));
        for (size_t k = 0; k < count; k++) bytes += tensors[k].bytes;
        shard *last = c->shard_count > 0 ? &c->shards[c->shard_count - 1] : NULL;
        if (last == NULL || bytes > most || last->bytes > most - bytes) {
            ZX_TRY(add_shard(c, i));
            last = &c->shards[c->shard_count - 1];
        }
        last->count++;
        last->bytes += bytes;
        c->report.bytes += bytes;
        c->report.tensors += count;
        c->report.quantized += entry->format != ZX_FORMAT_COUNT;
        c->report.parameters += parameters_of(c, entry);
    }
    c->report.kept = c->list.kept;
    c->report.shards = c->shard_count;
    if (c->shard_count == 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: no tensors to write", c->source);
    for (size_t i = 0; i < c->shard_count; i++)
        (void)snprintf(c->shards[i].name, sizeof c->shards[i].name,
                       c->shard_count == 1 ? "model.safetensors"
                                           : "model-%05zu-of-%05zu.safetensors",
                       i + 1, c->shard_count);
    return ZMLX_OK;
}

static zmlx_status fill_index(conversion *c)
{
    c->index = json_object();
    for (size_t i = 0; i < c->shard_count; i++)
        for (size_t k = 0; k < c->shards[i].count; k++) {
            zx_stored_tensor tensors[ZX_TENSORS_OF_ENTRY];
            size_t count = 0;
            ZX_TRY(zx_outgoing_tensors(&c->list.items[c->shards[i].first + k], &c->arena, tensors,
                                       &count));
            for (size_t t = 0; t < count; t++) {
                if (json_object_get(c->index, tensors[t].name) != NULL)
                    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: two tensors would be called '%s'",
                                   c->source, tensors[t].name);
                if (json_object_set_new(c->index, tensors[t].name,
                                        json_string(c->shards[i].name)) != 0)
                    return ZX_FAIL(ZMLX_ERROR_MEMORY, "index of the weight files");
            }
        }
    return ZMLX_OK;
}

/* -------- the key of the work -------- */

static int add_hash(const char *bytes, size_t count, void *state)
{
    *(uint64_t *)state = zx_hash(bytes, count, *(uint64_t *)state);
    return 0;
}

/* A number that another source, or other options, would hardly have: what an earlier call left is
 * only taken up where it is the same. */
static zmlx_status key_of(const conversion *c, uint64_t *key)
{
    const zmlx_convert_options *options = c->options;
    uint64_t state = zx_hash(zmlx_version(), strlen(zmlx_version()), 1);
    const uint64_t numbers[] = {options->dequantize, options->mlx_cpu_decode,
                                (uint64_t)options->dtype};
    state = zx_hash(numbers, sizeof numbers, state);
    if (json_dump_callback(zx_checkpoint_config(c->checkpoint), add_hash, &state, JSON_SORT_KEYS) !=
        0)
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: no memory for the config's hash", c->source);
    for (size_t i = 0; zx_checkpoint_file(c->checkpoint, i) != NULL; i++) {
        struct stat about;
        const char *const path = zx_checkpoint_file(c->checkpoint, i);
        if (stat(path, &about) != 0) return ZX_FAIL(ZMLX_ERROR_IO, "%s: cannot look at it", path);
        const int64_t facts[] = {(int64_t)about.st_size, (int64_t)about.st_mtime,
                                 (int64_t)about.st_ino, (int64_t)about.st_dev};
        state = zx_hash(path, strlen(path), state);
        state = zx_hash(facts, sizeof facts, state);
    }
    for (size_t i = 0; i < c->list.count; i++) {
        const zx_outgoing *entry = &c->list.items[i];
        const uint64_t facts[] = {(uint64_t)entry->format, entry->bits, entry->group,
                                  (uint64_t)entry->dtype, entry->exact};
        state = zx_hash(entry->module, strlen(entry->module), state);
        state = zx_hash(facts, sizeof facts, state);
    }
    for (size_t i = 0; i < c->shard_count; i++)
        state = zx_hash(&c->shards[i].count, sizeof c->shards[i].count, state);
    *key = state;
    return ZMLX_OK;
}

/* -------- writing -------- */

/* What an earlier call left counts as written. */
static zmlx_status check_room(const conversion *c, const bool *whole)
{
    size_t needed = (size_t)1 << 20;
    const size_t room = zx_free_bytes(c->folder.path);
    for (size_t i = 0; i < c->shard_count; i++)
        if (!whole[i]) needed += c->shards[i].bytes;
    if (needed <= room) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_IO,
                   "%s: the disk has %.2f GiB left, and %.2f GiB are still to be written",
                   c->target, (double)room / (1 << 30), (double)needed / (1 << 30));
}

static zmlx_status write_shard(conversion *c, const shard *s, zx_tensor_writing *writing)
{
    char *path = NULL;
    ZX_TRY(zx_path_join(c->folder.path, s->name, &path));
    zmlx_status status = zx_write_entries(path, &c->list.items[s->first], s->count, writing);
    zx_free(path);
    return status == ZMLX_OK ? zx_folder_note(&c->folder, s->name) : status;
}

static zmlx_status write_shards(conversion *c)
{
    zx_tensor_writing writing = {.source = c->source,
                                 .pool = c->pool,
                                 .keep_going = c->options->keep_going,
                                 .user = c->options->user,
                                 .total = c->report.bytes};
    void *memory = NULL;
    ZX_TRY(zx_alloc_array(c->shard_count, sizeof(bool), "list of weight files", &memory));
    bool *const whole = memory;
    for (size_t i = 0; i < c->shard_count; i++) {
        whole[i] = zx_folder_has(&c->folder, c->shards[i].name);
        c->report.reused += whole[i];
        if (whole[i]) writing.done += c->shards[i].bytes;
    }
    if (c->report.reused > 0)
        zx_log(ZMLX_LOG_WARNING, "%s: goes on behind %zu of %zu weight files that are whole",
               c->folder.path, c->report.reused, c->shard_count);
    zmlx_status status = check_room(c, whole);
    if (status == ZMLX_OK && c->report.reused < c->shard_count)
        status = zx_checkpoint_make(c->checkpoint, c->options->threads);
    for (size_t i = 0; i < c->shard_count && status == ZMLX_OK; i++)
        if (!whole[i]) status = write_shard(c, &c->shards[i], &writing);
    c->report.interrupted = writing.interrupted;
    zx_free(whole);
    return status;
}

static zmlx_status write_index(conversion *c)
{
    json_t *document =
        json_pack("{s:{s:I, s:I}, s:O}", "metadata", "total_size", (json_int_t)c->report.bytes,
                  "total_parameters", (json_int_t)c->report.parameters, "weight_map", c->index);
    if (document == NULL) return ZX_FAIL(ZMLX_ERROR_MEMORY, "index of the weight files");
    const zmlx_status status =
        zx_write_document(&c->folder, "model.safetensors.index.json", document);
    json_decref(document);
    return status;
}

static zmlx_dtype written_dtype(const conversion *c)
{
    if (c->options->dtype != ZMLX_DTYPE_DEFAULT || !zx_checkpoint_is_gguf(c->checkpoint))
        return c->options->dtype;
    for (size_t i = 0; i < c->list.count; i++)
        if (c->list.items[i].to_cast && c->list.items[i].copied == ZX_DTYPE_COUNT)
            return zx_public_dtype(c->list.items[i].dtype);
    return ZMLX_DTYPE_DEFAULT;
}

/* What MLX says of the source's quantized modules, by the file's own names where it is in the file;
 * another quantizer's settings are in the checkpoint's config as MLX's, or gone. */
static const json_t *settings_before(const json_t *document, const json_t *config)
{
    const json_t *before = json_object_get(document, "quantization");
    if (before == NULL) before = json_object_get(config, "quantization");
    if (before != NULL || json_object_get(config, "quantization_config") == NULL) return before;
    before = json_object_get(document, "quantization_config");
    return before != NULL ? before : json_object_get(config, "quantization_config");
}

static zmlx_status make_config(conversion *c)
{
    json_t *settings = NULL;
    const json_t *config = zx_checkpoint_config(c->checkpoint);
    ZX_TRY(zx_written_config(c->checkpoint, c->folder_path, c->family, &c->config, &c->document));
    const json_t *before = settings_before(c->document, config);
    ZX_TRY(zx_recipe_settings(c->options, &c->list, before, &settings));
    const zmlx_status status =
        zx_finish_config(c->document, settings, written_dtype(c), c->config.tied);
    json_decref(settings);
    return status;
}

/* Says what is left, and how to go on. */
static zmlx_status explain(const conversion *c, zmlx_status status)
{
    char why[512];
    (void)snprintf(why, sizeof why, "%s", zmlx_error_message());
    if (c->folder.count == 0) return status;
    return ZX_FAIL(status, "%s; %s keeps %zu of %zu weight files, and the same call goes on there",
                   why, c->folder.path, c->folder.count, c->shard_count);
}

static zmlx_status write_folder(conversion *c)
{
    uint64_t key = 0;
    ZX_TRY(key_of(c, &key));
    ZX_TRY(zx_folder_open(c->target, key, &c->folder));
    zmlx_status status = write_shards(c);
    if (status == ZMLX_OK) status = write_index(c);
    if (status == ZMLX_OK) {
        if (c->folder_path != NULL)
            status = zx_copy_side_files(&c->folder, c->folder_path);
        else
            status = zx_gguf_export_tokenizer(c->checkpoint, &c->folder);
    }
    if (status == ZMLX_OK) status = zx_write_document(&c->folder, "config.json", c->document);
    if (status == ZMLX_OK) return zx_folder_finish(&c->folder);
    status = explain(c, status);
    zx_folder_leave(&c->folder);
    return status;
}

/* -------- the whole -------- */

/* The folder that the small files lie in. */
static zmlx_status find_folder(conversion *c)
{
    zx_text path = {0};
    const char *const source = zx_checkpoint_path(c->checkpoint); /* of a name, where it lies */
    const char *slash = strrchr(source, '/');
    if (zx_checkpoint_is_gguf(c->checkpoint)) return ZMLX_OK;
    if (zx_path_is_directory(source))
        ZX_TRY(zx_text_add_string(&path, source));
    else if (slash == NULL)
        ZX_TRY(zx_text_add_string(&path, "."));
    else
        ZX_TRY(zx_text_add(&path, source, (size_t)(slash - source) + 1));
    c->folder_path = path.bytes;
    return ZMLX_OK;
}

static zmlx_status check_nothing_to_do(const conversion *c)
{
    if (c->options->mode == ZMLX_QUANTIZATION_NONE || c->report.quantized > 0) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: %s", c->source,
                   c->list.kept > 0 ? "is quantized already; dequantize it first"
                                    : "has no matrix that can be quantized so");
}

static zmlx_status convert(conversion *c)
{
    const size_t threads = c->options->threads > 0 ? c->options->threads : zx_usable_cores();
    ZX_TRY(zx_recipe_check(c->options));
    ZX_TRY(zx_checkpoint_open(c->source, &c->checkpoint));
    ZX_TRY(zx_family_find(c->checkpoint, &c->family));
    ZX_TRY(zx_config_read(c->family, c->checkpoint, &c->config));
    ZX_TRY(find_folder(c));
    if (c->folder_path != NULL) ZX_TRY(zx_check_side_files(c->folder_path));
    ZX_TRY(zx_pool_create(threads, &c->pool));
    ZX_TRY(collect(c));
    ZX_TRY(cut_shards(c));
    ZX_TRY(check_nothing_to_do(c));
    ZX_TRY(fill_index(c));
    ZX_TRY(make_config(c));
    log_decoded(c);
    return write_folder(c);
}

static void fini(conversion *c)
{
    json_decref(c->index);
    json_decref(c->document);
    zx_free(c->shards);
    zx_free(c->folder_path);
    zx_outgoing_fini(&c->list);
    zx_arena_reset(&c->arena);
    zx_pool_destroy(c->pool);
    zx_checkpoint_close(c->checkpoint);
}

zmlx_status zmlx_convert(const char *source, const char *target,
                         const zmlx_convert_options *options, zmlx_convert_report *report)
{
    static const zmlx_convert_options defaults;
    conversion c = {
        .source = source, .target = target, .options = options != NULL ? options : &defaults};
    const zmlx_status status = convert(&c);
    if (report != NULL) *report = c.report;
    fini(&c);
    return status;
}
