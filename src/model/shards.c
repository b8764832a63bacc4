/* shards.c - the index is read twice: first for the files' names, then, with the files open, to see
 * that each tensor lies where the index says. */
#include "model/shards.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"

enum { MAX_SHARDS = 4096, MAX_INDEX = 64 << 20 };

static const char index_name[] = "model.safetensors.index.json";

/* The names of files, each once, in order. */
typedef struct name_list {
    zx_stored texts; /* owns them */
    const char **names;
    size_t count, capacity;
    zx_table tensors; /* that the index has placed */
} name_list;

static void list_fini(name_list *list)
{
    zx_stored_fini(&list->texts);
    zx_free(list->names);
    zx_table_fini(&list->tensors);
    *list = (name_list){0};
}

static zmlx_status list_add(name_list *list, const char *name, size_t length, uint32_t *index)
{
    bool added = false;
    const char *copy = NULL;
    if (zx_table_find(&list->texts.names, name, length, index)) return ZMLX_OK;
    if (list->count == MAX_SHARDS || memchr(name, 0, length) != NULL)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %s", list->texts.path,
                       list->count == MAX_SHARDS ? "more than 4096 weight files"
                                                 : "a file's name holds a NUL");
    ZX_TRY(zx_stored_text(&list->texts, name, length, &copy));
    ZX_TRY(
        zx_grow(&list->names, &list->capacity, list->count + 1, sizeof *list->names, "file names"));
    *index = (uint32_t)list->count;
    ZX_TRY(zx_table_insert(&list->texts.names, copy, length, *index, &added));
    list->names[list->count++] = copy;
    return ZMLX_OK;
}

/* One "tensor": "file" of the weight map: collects the file, or checks it where 'shards' is
 * given. */
static zmlx_status read_entry(zx_json *json, name_list *list, const zx_shards *shards)
{
    char tensor[512], shown[ZX_SHOWN_NAME];
    uint32_t index = 0;
    bool added = false;
    if (json->length >= sizeof tensor) return zx_json_fail(json, "a tensor's name is too long");
    memcpy(tensor, json->string, json->length);
    tensor[json->length] = 0;
    const size_t length = json->length;
    ZX_TRY(zx_json_expect(json, ZX_JSON_STRING));
    ZX_TRY(list_add(list, json->string, json->length, &index));
    if (shards == NULL) return ZMLX_OK;
    const zx_stored_tensor *found = zx_stored_find(&shards->files[index].stored, tensor);
    if (found == NULL)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: tensor '%s' is not in %s, where the index says it is", json->source,
                       zx_shown_name(tensor, length, shown), list->names[index]);
    ZX_TRY(zx_table_insert(&list->tensors, found->name, length, 0, &added));
    if (added) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s' is there twice", json->source,
                   zx_shown_name(tensor, length, shown));
}

static zmlx_status read_weight_map(zx_json *json, name_list *list, const zx_shards *shards)
{
    ZX_TRY(zx_json_expect(json, ZX_JSON_OBJECT));
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) return ZMLX_OK;
        ZX_TRY(read_entry(json, list, shards));
    }
}

static zmlx_status read_index(zx_json *json, name_list *list, const zx_shards *shards)
{
    bool found = false;
    ZX_TRY(zx_json_expect(json, ZX_JSON_OBJECT));
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) break;
        if (!zx_json_is(json, "weight_map")) {
            ZX_TRY(zx_json_skip(json));
            continue;
        }
        if (found) return zx_json_fail(json, "'weight_map' is there twice");
        found = true;
        ZX_TRY(read_weight_map(json, list, shards));
    }
    ZX_TRY(zx_json_expect(json, ZX_JSON_END));
    if (!found || list->count == 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: 'weight_map' names no file", json->source);
    return ZMLX_OK;
}

static int by_name(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;
    return strcmp(*a, *b);
}

/* Every model*.safetensors of the folder. */
static zmlx_status list_folder(const char *folder, name_list *list)
{
    static const char start[] = "model", end[] = ".safetensors";
    DIR *directory = opendir(folder);
    zmlx_status status = ZMLX_OK;
    const struct dirent *entry = NULL;
    if (directory == NULL)
        return ZX_FAIL(ZMLX_ERROR_IO, "%s: cannot read the folder: %s", folder, strerror(errno));
    while (status == ZMLX_OK && (entry = readdir(directory)) != NULL) {
        const size_t length = strlen(entry->d_name);
        uint32_t index = 0;
        if (length < sizeof start + sizeof end - 2 ||
            memcmp(entry->d_name, start, sizeof start - 1) != 0 ||
            strcmp(entry->d_name + length - (sizeof end - 1), end) != 0)
            continue;
        status = list_add(list, entry->d_name, length, &index);
    }
    (void)closedir(directory);
    ZX_TRY(status);
    if (list->count == 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: no weights: expected model.safetensors or %s in the folder", folder,
                       index_name);
    qsort(list->names, list->count, sizeof *list->names, by_name);
    return ZMLX_OK;
}

static zmlx_status open_files(const char *folder, const name_list *list, zx_shards *shards)
{
    for (size_t i = 0; i < list->count; i++) {
        char *path = NULL;
        ZX_TRY(zx_path_join(folder, list->names[i], &path));
        ZX_TRY(zx_grow(&shards->files, &shards->capacity, i + 1, sizeof *shards->files,
                       "weight files"));
        const zmlx_status status = zx_safetensors_open(path, &shards->files[i]);
        zx_free(path);
        ZX_TRY(status);
        shards->count++;
    }
    return ZMLX_OK;
}

static zmlx_status open_indexed(const char *folder, const char *path, name_list *list,
                                zx_shards *shards)
{
    char *text = NULL;
    size_t size = 0;
    zx_json json = {0};
    zmlx_status status = zx_file_read(path, MAX_INDEX, &text, &size);
    for (int pass = 0; pass < 2 && status == ZMLX_OK; pass++) {
        zx_json_init(&json, path, text, size);
        status = read_index(&json, list, pass == 0 ? NULL : shards);
        zx_json_fini(&json);
        if (pass == 0 && status == ZMLX_OK) status = open_files(folder, list, shards);
    }
    zx_free(text);
    return status;
}

zmlx_status zx_shards_open(const char *folder, zx_shards *shards)
{
    name_list list = {0};
    char *index = NULL;
    *shards = (zx_shards){0};
    zmlx_status status = zx_path_join(folder, index_name, &index);
    if (status == ZMLX_OK) status = zx_stored_init(&list.texts, folder);
    if (status != ZMLX_OK) goto done;
    if (zx_path_exists(index)) {
        status = open_indexed(folder, index, &list, shards);
    } else {
        status = list_folder(folder, &list);
        if (status == ZMLX_OK) status = open_files(folder, &list, shards);
    }
done:
    if (status != ZMLX_OK) zx_shards_close(shards);
    list_fini(&list);
    zx_free(index);
    return status;
}

zmlx_status zx_shards_open_file(const char *path, zx_shards *shards)
{
    *shards = (zx_shards){0};
    ZX_TRY(zx_grow(&shards->files, &shards->capacity, 1, sizeof *shards->files, "weight files"));
    zmlx_status status = zx_safetensors_open(path, &shards->files[0]);
    if (status == ZMLX_OK)
        shards->count = 1;
    else
        zx_shards_close(shards);
    return status;
}

void zx_shards_close(zx_shards *shards)
{
    for (size_t i = 0; i < shards->count; i++) zx_safetensors_close(&shards->files[i]);
    zx_free(shards->files);
    *shards = (zx_shards){0};
}
