/* checkpoint.c - opening the files and finding tensors in them; weights.c makes weights of these.
 */
#include "model/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "hub/cache.h"
#include "model/foreign/foreign.h"
#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "model/gguf_parts.h"
#include "model/shards.h"
#include "model/text_part.h"

struct zx_checkpoint {
    const char *path;
    const char *config_path; /* for messages */
    zx_arena arena;
    json_t *config;
    bool is_gguf;
    const zx_gguf_architecture *architecture; /* of GGUF; NULL: not known */
    zx_gguf gguf;
    zx_gguf_parts parts; /* behind it */
    zx_shards shards;
    zx_table names; /* Hugging Face's, to places in the two lists */
    const zx_stored_tensor **tensors;
    const char **words; /* the names, by index */
    bool *used;
    size_t count;
    zx_foreign_work *work; /* values still to be made, or NULL */
    int32_t *end_ids;
    size_t end_count;
};

static zmlx_status copy_text(zx_checkpoint *checkpoint, const char *text, const char **copy)
{
    void *memory = NULL;
    const size_t bytes = strlen(text) + 1;
    ZX_TRY(zx_arena_alloc(&checkpoint->arena, bytes, &memory));
    *copy = memcpy(memory, text, bytes);
    return ZMLX_OK;
}

/* Room for 'count' tensors. */
static zmlx_status reserve(zx_checkpoint *checkpoint, size_t count)
{
    void *tensors = NULL, *used = NULL, *words = NULL;
    ZX_TRY(zx_arena_alloc(&checkpoint->arena, count * sizeof(char *), &words));
    ZX_TRY(zx_arena_alloc(&checkpoint->arena, count * sizeof(void *), &tensors));
    ZX_TRY(zx_arena_alloc(&checkpoint->arena, count * sizeof *checkpoint->used, &used));
    checkpoint->tensors = tensors;
    checkpoint->words = words;
    checkpoint->used = used;
    return zx_table_reserve(&checkpoint->names, count);
}

/* 'name' lives as long as the checkpoint. */
static zmlx_status add_tensor(zx_checkpoint *checkpoint, const char *name,
                              const zx_stored_tensor *tensor)
{
    bool added = false;
    char shown[ZX_SHOWN_NAME];
    const size_t length = strlen(name);
    ZX_TRY(zx_table_insert(&checkpoint->names, name, length, (uint32_t)checkpoint->count, &added));
    if (!added)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s' is there twice", tensor->path,
                       zx_shown_name(name, length, shown));
    checkpoint->words[checkpoint->count] = name;
    checkpoint->tensors[checkpoint->count++] = tensor;
    return ZMLX_OK;
}

static zmlx_status add_shards(zx_checkpoint *checkpoint)
{
    const zx_shards *shards = &checkpoint->shards;
    size_t count = 0;
    for (size_t i = 0; i < shards->count; i++) count += shards->files[i].stored.count;
    ZX_TRY(reserve(checkpoint, count));
    for (size_t i = 0; i < shards->count; i++) {
        const zx_stored *stored = &shards->files[i].stored;
        for (size_t k = 0; k < stored->count; k++) {
            char buffer[ZX_TENSOR_NAME];
            const char *name = zx_text_part_name(stored->tensors[k].name, buffer, sizeof buffer);
            if (name == buffer) ZX_TRY(copy_text(checkpoint, buffer, &name));
            ZX_TRY(add_tensor(checkpoint, name, &stored->tensors[k]));
        }
    }
    return ZMLX_OK;
}

/* The lists of another quantizer's checkpoint become those of MLX's. */
static zmlx_status convert_foreign(zx_checkpoint *checkpoint)
{
    zx_foreign foreign = {checkpoint->config_path, checkpoint->config,  &checkpoint->names,
                          checkpoint->words,       checkpoint->tensors, checkpoint->count,
                          &checkpoint->arena};
    ZX_TRY(zx_foreign_convert(&foreign, &checkpoint->work));
    if (checkpoint->work == NULL) return ZMLX_OK;
    zx_table_fini(&checkpoint->names);
    ZX_TRY(reserve(checkpoint, foreign.count));
    checkpoint->count = 0;
    for (size_t i = 0; i < foreign.count; i++)
        ZX_TRY(add_tensor(checkpoint, foreign.words[i], foreign.tensors[i]));
    return ZMLX_OK;
}

static zmlx_status add_part(zx_checkpoint *checkpoint, zx_stored *stored)
{
    char hub[ZX_TENSOR_NAME];
    for (size_t i = 0; i < stored->count; i++) {
        const char *name = stored->tensors[i].name;
        /* of an unknown architecture two names could mean the same to us */
        if (checkpoint->architecture != NULL) {
            zx_gguf_to_hub_name(checkpoint->architecture, name, hub);
            ZX_TRY(zx_stored_text(stored, hub, strlen(hub), &name));
        }
        ZX_TRY(add_tensor(checkpoint, name, &stored->tensors[i]));
    }
    return ZMLX_OK;
}

static zmlx_status add_gguf_tensors(zx_checkpoint *checkpoint)
{
    const zx_gguf_parts *parts = &checkpoint->parts;
    size_t count = checkpoint->gguf.stored.count;
    for (size_t i = 0; i < parts->count; i++) count += parts->files[i].stored.count;
    ZX_TRY(reserve(checkpoint, count));
    ZX_TRY(add_part(checkpoint, &checkpoint->gguf.stored));
    for (size_t i = 0; i < parts->count; i++) ZX_TRY(add_part(checkpoint, &parts->files[i].stored));
    return ZMLX_OK;
}

/* What ends an answer: the config's ids, which generation_config.json overrides. */
static zmlx_status read_end_ids(zx_checkpoint *checkpoint, const char *folder)
{
    zx_fields fields = zx_checkpoint_fields(checkpoint);
    json_t *document = NULL;
    char *path = NULL;
    ZX_TRY(zx_fields_ids(&fields, "eos_token_id", &checkpoint->arena, &checkpoint->end_ids,
                         &checkpoint->end_count));
    if (folder == NULL) return ZMLX_OK;
    ZX_TRY(zx_path_join(folder, "generation_config.json", &path));
    zmlx_status status = ZMLX_OK;
    if (zx_path_exists(path)) status = zx_document_open(path, NULL, &document);
    fields = (zx_fields){path, NULL, document};
    if (status == ZMLX_OK)
        status = zx_fields_ids(&fields, "eos_token_id", &checkpoint->arena, &checkpoint->end_ids,
                               &checkpoint->end_count);
    json_decref(document);
    zx_free(path);
    return status;
}

/* A GGUF file may name several tokens that end a turn. */
static zmlx_status read_gguf_end_ids(zx_checkpoint *checkpoint)
{
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    enum { KEYS = sizeof keys / sizeof *keys };
    void *memory = NULL;
    ZX_TRY(zx_arena_alloc(&checkpoint->arena, KEYS * sizeof(int32_t), &memory));
    checkpoint->end_ids = memory;
    for (size_t i = 0; i < KEYS; i++) {
        int64_t id = -1;
        bool known = false;
        ZX_TRY(zx_gguf_integer(&checkpoint->gguf, keys[i], -1, UINT32_MAX, &id));
        for (size_t k = 0; k < checkpoint->end_count; k++)
            known = known || checkpoint->end_ids[k] == id;
        if (id >= 0 && id <= INT32_MAX && !known)
            checkpoint->end_ids[checkpoint->end_count++] = (int32_t)id;
    }
    return ZMLX_OK;
}

static zmlx_status read_config(zx_checkpoint *checkpoint, const char *folder)
{
    char *path = NULL;
    ZX_TRY(zx_path_join(folder, "config.json", &path));
    zmlx_status status = zx_document_open(path, NULL, &checkpoint->config);
    if (status == ZMLX_OK) status = zx_text_part_config(path, checkpoint->config);
    if (status == ZMLX_OK) status = copy_text(checkpoint, path, &checkpoint->config_path);
    zx_free(path);
    ZX_TRY(status);
    return read_end_ids(checkpoint, folder);
}

static zmlx_status open_folder(zx_checkpoint *checkpoint)
{
    ZX_TRY(read_config(checkpoint, checkpoint->path));
    ZX_TRY(zx_shards_open(checkpoint->path, &checkpoint->shards));
    ZX_TRY(add_shards(checkpoint));
    return convert_foreign(checkpoint);
}

/* A .safetensors file; its folder holds the config. */
static zmlx_status open_single(zx_checkpoint *checkpoint)
{
    const char *const slash = strrchr(checkpoint->path, '/');
    zx_text folder = {0};
    ZX_TRY(zx_shards_open_file(checkpoint->path, &checkpoint->shards));
    zmlx_status status = slash == NULL ? zx_text_add_string(&folder, ".")
                                       : zx_text_add(&folder, checkpoint->path,
                                                     (size_t)(slash - checkpoint->path) + 1);
    if (status == ZMLX_OK) status = read_config(checkpoint, folder.bytes);
    zx_text_fini(&folder);
    ZX_TRY(status);
    ZX_TRY(add_shards(checkpoint));
    return convert_foreign(checkpoint);
}

/* The metadata was judged: the rest of opening a GGUF file. */
static zmlx_status take_gguf(zx_checkpoint *checkpoint)
{
    checkpoint->is_gguf = true;
    ZX_TRY(zx_gguf_parts_open(&checkpoint->gguf, &checkpoint->parts));
    ZX_TRY(zx_gguf_architecture_of(&checkpoint->gguf, &checkpoint->architecture));
    ZX_TRY(zx_gguf_config(&checkpoint->gguf, checkpoint->architecture, &checkpoint->config));
    ZX_TRY(read_gguf_end_ids(checkpoint));
    return add_gguf_tensors(checkpoint);
}

/* Which kind of file it is, by its first bytes. */
static zmlx_status open_file(zx_checkpoint *checkpoint)
{
    zx_file file;
    uint8_t start[9] = {0};
    ZX_TRY(zx_file_open(checkpoint->path, &file));
    const size_t size = file.size < sizeof start ? file.size : sizeof start;
    if (size > 0) memcpy(start, file.data, size);
    zx_file_close(&file);
    const size_t length = strlen(checkpoint->path);
    const bool called_gguf = length >= 5 && strcmp(checkpoint->path + length - 5, ".gguf") == 0;
    if (called_gguf || zx_gguf_magic(start, size)) {
        ZX_TRY(zx_gguf_open_first(checkpoint->path, &checkpoint->gguf));
        return take_gguf(checkpoint);
    }
    const bool called_safetensors =
        length >= 12 && strcmp(checkpoint->path + length - 12, ".safetensors") == 0;
    if (called_safetensors || start[8] == '{') return open_single(checkpoint);
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: neither a GGUF nor a safetensors file nor a model folder",
                   checkpoint->path);
}

static zmlx_status create(const char *path, zx_checkpoint **checkpoint)
{
    void *memory = NULL;
    ZX_TRY(zx_alloc(sizeof(zx_checkpoint), "checkpoint", &memory));
    *checkpoint = memory;
    (*checkpoint)->names.seed = zx_hash_seed();
    zmlx_status status = copy_text(*checkpoint, path, &(*checkpoint)->path);
    (*checkpoint)->config_path = (*checkpoint)->path;
    if (status != ZMLX_OK) zx_checkpoint_close(*checkpoint);
    return status;
}

/* Hands over what was opened, or closes what did not become one. */
static zmlx_status finish(zmlx_status status, zx_checkpoint *fresh, zx_checkpoint **checkpoint)
{
    if (status == ZMLX_OK)
        *checkpoint = fresh;
    else
        zx_checkpoint_close(fresh);
    return status;
}

zmlx_status zx_checkpoint_open(const char *path, zx_checkpoint **checkpoint)
{
    zx_checkpoint *fresh = NULL;
    char *found = NULL;
    ZX_TRY(zx_hub_resolve(path, &found));
    const zmlx_status status = create(found, &fresh);
    zx_free(found);
    ZX_TRY(status);
    const bool folder = zx_path_is_directory(fresh->path);
    return finish(folder ? open_folder(fresh) : open_file(fresh), fresh, checkpoint);
}

zmlx_status zx_checkpoint_open_gguf(const char *name, const void *bytes, size_t size,
                                    zx_checkpoint **checkpoint)
{
    zx_checkpoint *fresh = NULL;
    ZX_TRY(create(name, &fresh));
    zmlx_status status = zx_gguf_open_bytes(name, bytes, size, &fresh->gguf);
    if (status == ZMLX_OK) status = take_gguf(fresh);
    return finish(status, fresh, checkpoint);
}

zmlx_status zx_checkpoint_open_config(const char *name, const char *text, size_t size,
                                      zx_checkpoint **checkpoint)
{
    zx_checkpoint *fresh = NULL;
    ZX_TRY(create(name, &fresh));
    zmlx_status status = zx_document_parse(name, text, size, NULL, &fresh->config);
    if (status == ZMLX_OK) status = zx_text_part_config(name, fresh->config);
    if (status == ZMLX_OK) status = read_end_ids(fresh, NULL);
    return finish(status, fresh, checkpoint);
}

void zx_checkpoint_close(zx_checkpoint *checkpoint)
{
    if (checkpoint == NULL) return;
    json_decref(checkpoint->config);
    zx_foreign_close(checkpoint->work);
    zx_gguf_parts_close(&checkpoint->parts);
    zx_gguf_close(&checkpoint->gguf);
    zx_shards_close(&checkpoint->shards);
    zx_table_fini(&checkpoint->names);
    zx_arena_reset(&checkpoint->arena);
    zx_free(checkpoint);
}

zmlx_status zx_checkpoint_make(const zx_checkpoint *checkpoint, size_t threads)
{
    const zx_foreign_wanted wanted = {checkpoint->tensors, checkpoint->used, checkpoint->count};
    return zx_foreign_make(checkpoint->work, &wanted, threads);
}

zmlx_status zx_checkpoint_values(const zx_checkpoint *checkpoint, const zx_stored_tensor *tensor,
                                 const uint8_t **values)
{
    const bool used = true;
    const zx_foreign_wanted wanted = {&tensor, &used, 1};
    *values = tensor->data;
    return zx_checkpoint_makes(checkpoint, tensor) ? zx_foreign_make(checkpoint->work, &wanted, 0)
                                                   : ZMLX_OK;
}

bool zx_checkpoint_makes(const zx_checkpoint *checkpoint, const zx_stored_tensor *tensor)
{
    return zx_foreign_makes(checkpoint->work, tensor);
}

size_t zx_checkpoint_made(const zx_checkpoint *checkpoint)
{
    return zx_foreign_made(checkpoint->work);
}

size_t zx_checkpoint_available(const zx_checkpoint *checkpoint)
{
    return zx_foreign_available(checkpoint->work);
}

bool zx_checkpoint_is_foreign(const zx_checkpoint *checkpoint)
{
    return checkpoint->work != NULL;
}

const char *zx_checkpoint_file(const zx_checkpoint *checkpoint, size_t index)
{
    const zx_shards *shards = &checkpoint->shards;
    const zx_gguf_parts *parts = &checkpoint->parts;
    if (!checkpoint->is_gguf)
        return index < shards->count ? shards->files[index].stored.path : NULL;
    if (index == 0) return checkpoint->gguf.stored.path;
    return index <= parts->count ? parts->files[index - 1].stored.path : NULL;
}

const char *zx_checkpoint_path(const zx_checkpoint *checkpoint)
{
    return checkpoint->path;
}

const json_t *zx_checkpoint_config(const zx_checkpoint *checkpoint)
{
    return checkpoint->config;
}

zx_fields zx_checkpoint_fields(const zx_checkpoint *checkpoint)
{
    return (zx_fields){checkpoint->config_path, NULL, checkpoint->config};
}

const char *zx_checkpoint_key(const zx_checkpoint *checkpoint, const char *key,
                              char text[ZX_KEY_TEXT])
{
    char one[ZX_GGUF_KEY], own[ZX_GGUF_KEY];
    (void)snprintf(text, ZX_KEY_TEXT, "config key '%.*s'", (int)strcspn(key, "|"), key);
    for (size_t length; *key != '\0'; key += length + (key[length] == '|')) {
        length = strcspn(key, "|");
        (void)snprintf(one, sizeof one, "%.*s", (int)length, key);
        const bool renamed = checkpoint->is_gguf && zx_gguf_config_key(&checkpoint->gguf, one, own);
        if (!renamed && (checkpoint->is_gguf || json_object_get(checkpoint->config, one) == NULL))
            continue;
        (void)snprintf(text, ZX_KEY_TEXT, renamed ? "metadata key '%.120s'" : "config key '%.120s'",
                       renamed ? own : one);
        break;
    }
    return text;
}

bool zx_checkpoint_is_gguf(const zx_checkpoint *checkpoint)
{
    return checkpoint->is_gguf;
}

const zx_gguf *zx_checkpoint_gguf(const zx_checkpoint *checkpoint)
{
    return checkpoint->is_gguf ? &checkpoint->gguf : NULL;
}

bool zx_checkpoint_interleaved_rope(const zx_checkpoint *checkpoint)
{
    return checkpoint->architecture != NULL && checkpoint->architecture->interleaved;
}

bool zx_checkpoint_plain_sliding_rope(const zx_checkpoint *checkpoint)
{
    return checkpoint->architecture != NULL && checkpoint->architecture->sliding_plain;
}

void zx_checkpoint_end_ids(const zx_checkpoint *checkpoint, const int32_t **ids, size_t *count)
{
    *ids = checkpoint->end_ids;
    *count = checkpoint->end_count;
}

const zx_stored_tensor *zx_checkpoint_find(const zx_checkpoint *checkpoint, const char *name)
{
    uint32_t index = 0;
    if (!zx_table_find(&checkpoint->names, name, strlen(name), &index)) return NULL;
    checkpoint->used[index] = true;
    return checkpoint->tensors[index];
}

const zx_stored_tensor *zx_checkpoint_peek(const zx_checkpoint *checkpoint, const char *name)
{
    uint32_t index = 0;
    const bool there = zx_table_find(&checkpoint->names, name, strlen(name), &index);
    return there ? checkpoint->tensors[index] : NULL;
}

size_t zx_checkpoint_count(const zx_checkpoint *checkpoint)
{
    return checkpoint->count;
}

const zx_stored_tensor *zx_checkpoint_tensor(const zx_checkpoint *checkpoint, size_t index,
                                             bool *used)
{
    *used = checkpoint->used[index];
    return checkpoint->tensors[index];
}

const char *zx_checkpoint_name(const zx_checkpoint *checkpoint, size_t index)
{
    return checkpoint->words[index];
}

zmlx_status zx_checkpoint_missing(const zx_checkpoint *checkpoint, const char *name)
{
    char own[ZX_TENSOR_NAME];
    const bool renamed =
        checkpoint->is_gguf && zx_hub_to_gguf_name(checkpoint->architecture, name, own);
    if (renamed)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s' (%s) is missing", checkpoint->path, own,
                       name);
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s' is missing", checkpoint->path, name);
}
