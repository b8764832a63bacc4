/* write_config.c - what mlx-lm's save_config and save do, with files copied instead of made anew.
 */
#include "model/write_config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "model/gguf_export.h"

static zmlx_status no_memory(void)
{
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "config.json of the folder to write");
}

static zmlx_status set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0 ? ZMLX_OK : no_memory();
}

/* generation_config.json knows better what ends an answer. */
static zmlx_status take_end_ids(const char *folder, json_t *document)
{
    json_t *generation = NULL;
    char *path = NULL;
    ZX_TRY(zx_path_join(folder, "generation_config.json", &path));
    zmlx_status status = ZMLX_OK;
    if (zx_path_exists(path)) status = zx_document_open(path, NULL, &generation);
    json_t *ids = json_object_get(generation, "eos_token_id");
    if (status == ZMLX_OK && (json_is_integer(ids) || json_is_array(ids)))
        status = set(document, "eos_token_id", json_incref(ids));
    json_decref(generation);
    zx_free(path);
    return status;
}

zmlx_status zx_written_config(const zx_checkpoint *checkpoint, const char *folder,
                              const zx_family *family, const zx_config *config, json_t **document)
{
    char *path = NULL;
    if (zx_checkpoint_is_gguf(checkpoint))
        return zx_gguf_export_config(checkpoint, family, config, document);
    ZX_TRY(zx_path_join(folder, "config.json", &path));
    zmlx_status status = zx_document_open(path, NULL, document);
    if (status == ZMLX_OK) status = take_end_ids(folder, *document);
    zx_free(path);
    if (status != ZMLX_OK) return status;
    (void)json_object_del(*document, "_name_or_path");
    (void)json_object_del(*document, "vision_config");
    return ZMLX_OK;
}

/* Where the object has not got it yet. */
static zmlx_status add(json_t *object, const char *key, json_t *value)
{
    const json_t *there = json_object_get(object, key);
    if (value == NULL || (there != NULL && !json_is_null(there))) return ZMLX_OK;
    return set(object, key, json_deep_copy(value));
}

/* "rope_scaling" as the older form of a rope's object: models of mlx-lm ask for its "type". */
static zmlx_status add_rope_scaling(json_t *object, const json_t *rope, const char *type)
{
    json_t *const scaling = json_deep_copy(rope);
    zmlx_status status = scaling == NULL ? no_memory() : ZMLX_OK;
    if (status == ZMLX_OK && json_object_get(scaling, "type") == NULL)
        status = set(scaling, "type", json_string(type));
    if (status == ZMLX_OK) status = add(object, "rope_scaling", scaling);
    json_decref(scaling);
    return status;
}

/* transformers 5 keeps the rope in "rope_parameters", and calls every model's experts local; only
 * some of mlx-lm's models read that: the others get what it says by the older names too.  A
 * proportional rope is younger than those names: with them transformers would read another one. */
static zmlx_status add_older_names(json_t *object)
{
    json_t *const rope = json_object_get(object, "rope_parameters");
    json_t *const full = json_object_get(rope, "full_attention"), *const own = full ? full : rope;
    json_t *const local = json_object_get(json_object_get(rope, "sliding_attention"), "rope_theta");
    const char *const type = json_string_value(json_object_get(own, "rope_type"));
    ZX_TRY(add(object, "num_experts", json_object_get(object, "num_local_experts")));
    if (type != NULL && strcmp(type, "proportional") == 0) return ZMLX_OK;
    ZX_TRY(add(object, "rope_theta", json_object_get(own, "rope_theta")));
    ZX_TRY(add(object, "partial_rotary_factor", json_object_get(own, "partial_rotary_factor")));
    ZX_TRY(add(object, "rope_local_base_freq", local));
    if (type == NULL || strcmp(type, "default") == 0) return ZMLX_OK;
    return add_rope_scaling(object, own, type);
}

static zmlx_status set_tied(json_t *object, bool top, bool tied)
{
    const json_t *said = json_object_get(object, "tie_word_embeddings");
    if (said == NULL && !top) return ZMLX_OK; /* said at the top: defaults differ by model */
    if (said != NULL && json_is_true(said) == tied) return ZMLX_OK;
    return set(object, "tie_word_embeddings", json_boolean(tied));
}

static zmlx_status set_dtype(json_t *object, bool top, zmlx_dtype dtype)
{
    static const char *const names[] = {
        [ZMLX_DTYPE_F32] = "float32", [ZMLX_DTYPE_F16] = "float16", [ZMLX_DTYPE_BF16] = "bfloat16"};
    const bool has = json_object_get(object, "dtype") != NULL;
    if (has) ZX_TRY(set(object, "dtype", json_string(names[dtype])));
    if (json_object_get(object, "torch_dtype") == NULL && (has || !top)) return ZMLX_OK;
    return set(object, "torch_dtype", json_string(names[dtype]));
}

zmlx_status zx_finish_config(json_t *document, json_t *quantization, zmlx_dtype dtype, bool tied)
{
    json_t *text = json_object_get(document, "text_config");
    json_t *objects[] = {document, json_is_object(text) ? text : NULL};
    (void)json_object_del(document, "quantization");
    (void)json_object_del(document, "quantization_config");
    if (objects[1] != NULL) {
        (void)json_object_del(text, "quantization");
        (void)json_object_del(text, "quantization_config");
    }
    if (quantization != NULL) {
        ZX_TRY(set(document, "quantization", json_incref(quantization)));
        ZX_TRY(set(document, "quantization_config", json_incref(quantization)));
    }
    for (size_t i = 0; i < 2 && objects[i] != NULL; i++) {
        ZX_TRY(set_tied(objects[i], i == 0, tied));
        ZX_TRY(add_older_names(objects[i]));
        if (dtype != ZMLX_DTYPE_DEFAULT) ZX_TRY(set_dtype(objects[i], i == 0, dtype));
    }
    return ZMLX_OK;
}

/* jansson's own text, in chunks. */
static int add_chunk(const char *bytes, size_t count, void *user)
{
    return zx_text_add(user, bytes, count) == ZMLX_OK ? 0 : -1;
}

zmlx_status zx_write_document(zx_folder *folder, const char *name, const json_t *document)
{
    zx_text text = {0};
    zmlx_status status = ZMLX_OK;
    if (json_dump_callback(document, add_chunk, &text, JSON_INDENT(4) | JSON_SORT_KEYS) != 0)
        status = ZX_FAIL(ZMLX_ERROR_MEMORY, "%s of the folder to write", name);
    if (status == ZMLX_OK) status = zx_folder_write(folder, name, text.bytes, text.length);
    zx_text_fini(&text);
    return status;
}

/* -------- small files -------- */

static bool begins(const char *name, const char *start)
{
    return strncmp(name, start, strlen(start)) == 0;
}

static bool ends(const char *name, const char *end)
{
    const size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

/* What mlx-lm asks a hub for, besides weights; and the licence, which may have to go along. */
static bool is_wanted(const char *name)
{
    static const char *const endings[] = {".json",           ".py",           ".txt",
                                          ".jsonl",          ".jinja",        ".tiktoken",
                                          "tokenizer.model", "tiktoken.model"};
    if (name[0] == '.' || strcmp(name, "config.json") == 0 || ends(name, ".index.json"))
        return false;
    if (begins(name, "LICENSE") || begins(name, "NOTICE")) return true;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends(name, endings[i])) return true;
    return false;
}

/* What is done with a file; 'folder' NULL: only its size is looked at. */
static zmlx_status take_one(zx_folder *folder, const char *from, const char *name)
{
    char *path = NULL;
    struct stat about;
    ZX_TRY(zx_path_join(from, name, &path));
    zmlx_status status = ZMLX_OK;
    const bool there = stat(path, &about) == 0 && access(path, R_OK) == 0;
    if (!there && folder != NULL) /* a link of a cache that was pruned */
        zx_log(ZMLX_LOG_WARNING, "%s: is not copied: %s", path, strerror(errno));
    else if (there && S_ISREG(about.st_mode) && folder != NULL)
        status = zx_folder_copy(folder, name, path);
    else if (there && S_ISREG(about.st_mode) && about.st_size > ZX_FOLDER_MOST_COPIED)
        status = ZX_FAIL(ZMLX_ERROR_FORMAT,
                         "%s: %.0f MiB; files that go along have at most %d MiB, so take it out of "
                         "the folder",
                         path, (double)about.st_size / (1 << 20), ZX_FOLDER_MOST_COPIED >> 20);
    zx_free(path);
    return status;
}

static zmlx_status take_side_files(zx_folder *folder, const char *from)
{
    DIR *directory = opendir(from);
    zmlx_status status = ZMLX_OK;
    if (directory == NULL)
        return ZX_FAIL(ZMLX_ERROR_IO, "%s: cannot read the folder: %s", from, strerror(errno));
    for (const struct dirent *entry; status == ZMLX_OK && (entry = readdir(directory)) != NULL;)
        if (is_wanted(entry->d_name)) status = take_one(folder, from, entry->d_name);
    (void)closedir(directory);
    return status;
}

zmlx_status zx_check_side_files(const char *from)
{
    return take_side_files(NULL, from);
}

zmlx_status zx_copy_side_files(zx_folder *folder, const char *from)
{
    return take_side_files(folder, from);
}
