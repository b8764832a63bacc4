/* plan.c - the hub's list of files is believed in nothing that would be written: names stay inside
 * the snapshot, digests are digits, sizes add up. */
#include "hub/plan.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "hub/cache.h"
#include "hub/parts.h"

enum { GIT_DIGITS = 40, MOST_LISTED = 24 };

static bool ends_in(const char *name, const char *end)
{
    const size_t length = strlen(name), wanted = strlen(end);
    return length > wanted && strcmp(name + length - wanted, end) == 0;
}

bool zx_plan_wants(const char *name)
{
    static const char *const ends[] = {".safetensors", ".gguf",  ".json", ".model",
                                       ".tiktoken",    ".jinja", ".txt"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_in(name, ends[i])) return true;
    return false;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Mistral's repositories hold their weights twice: as model.safetensors or model-#####-of-#####,
 * and in the names of their own program, with an index of them. */
static bool is_second_copy(const char *name)
{
    static const char start[] = "consolidated";
    return strncmp(name, start, sizeof start - 1) == 0 && strchr(name, '/') == NULL &&
           (ends_in(name, ".safetensors") || ends_in(name, ".safetensors.index.json"));
}

static bool has_named_weights(const json_t *rows)
{
    size_t index = 0;
    const json_t *row = NULL;
    json_array_foreach(rows, index, row)
    {
        const char *const name = text_of(row, "rfilename");
        if (name == NULL || strchr(name, '/') != NULL || !ends_in(name, ".safetensors")) continue;
        if (strcmp(name, "model.safetensors") == 0 || strncmp(name, "model-", 6) == 0) return true;
    }
    return false;
}

/* A relative path whose parts are names: not empty, not "." and not "..". */
static bool is_inside(const char *name)
{
    if (!zx_hub_is_plain(name, strlen(name))) return false;
    for (const char *part = name; part != NULL;) {
        const size_t length = strcspn(part, "/");
        if (length == 0 || (length <= 2 && strspn(part, ".") >= length)) return false;
        part = part[length] != 0 ? part + length + 1 : NULL;
    }
    return true;
}

static bool is_digits(const char *text, size_t count)
{
    return text != NULL && strlen(text) == count && strspn(text, "0123456789abcdef") == count;
}

/* A name as a message may show it. */
static const char *shown(const char *name, char buffer[80])
{
    size_t i = 0;
    for (; name[i] != 0 && i < 79; i++)
        buffer[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
    buffer[i] = 0;
    return buffer;
}

static zmlx_status add_file(const char *source, const json_t *row, const char *name, zx_plan *plan)
{
    char buffer[80];
    const json_t *const lfs = json_object_get(row, "lfs");
    const json_t *size = json_object_get(row, "size");
    const bool large = json_is_object(lfs);
    const char *const etag = large ? text_of(lfs, "sha256") : text_of(row, "blobId");
    if (!is_inside(name))
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: the file name '%s' is refused: it leads outside, is too long or holds "
                       "characters that no file here has",
                       source, shown(name, buffer));
    if (!json_is_integer(size)) size = json_object_get(lfs, "size");
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %s: expected a 'size' in bytes", source, name);
    if (!is_digits(etag, large ? ZX_PLAN_ETAG : GIT_DIGITS))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %s: expected %s", source, name,
                       large ? "64 hexadecimal digits at 'lfs.sha256'"
                             : "40 hexadecimal digits at 'blobId'");
    zx_plan_file file = {.size = (size_t)json_integer_value(size), .large = large};
    if (!zx_add_fits(plan->bytes, file.size, &plan->bytes) || plan->bytes > PTRDIFF_MAX)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: %s: the sizes add up to more than %td bytes", source,
                       name, (ptrdiff_t)PTRDIFF_MAX);
    memcpy(file.etag, etag, strlen(etag) + 1);
    ZX_TRY(zx_grow(&plan->files, &plan->capacity, plan->count + 1, sizeof file, "files to fetch"));
    zx_text copy = {0};
    ZX_TRY(zx_text_add_string(&copy, name));
    file.name = copy.bytes;
    plan->files[plan->count++] = file;
    return ZMLX_OK;
}

static zmlx_status add_wanted(const char *source, const json_t *rows, const char *only,
                              zx_plan *plan)
{
    size_t index = 0;
    const json_t *row = NULL;
    const bool twice = has_named_weights(rows);
    json_array_foreach(rows, index, row)
    {
        const char *const name = text_of(row, "rfilename");
        if (name == NULL)
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: siblings[%zu]: expected a text at 'rfilename'",
                           source, index);
        const bool wanted = zx_plan_wants(name) && !(twice && is_second_copy(name));
        if (only != NULL ? zx_parts_same_model(name, only) : wanted)
            ZX_TRY(add_file(source, row, name, plan));
    }
    return ZMLX_OK;
}

/* Two rows of one name would be written one over the other. */
static zmlx_status check_names(const char *source, const zx_plan *plan)
{
    zx_table names = {.seed = zx_hash_seed()};
    bool added = true;
    zmlx_status status = zx_table_reserve(&names, plan->count);
    for (size_t i = 0; status == ZMLX_OK && i < plan->count; i++) {
        const char *const name = plan->files[i].name;
        status = zx_table_insert(&names, name, strlen(name), 0, &added);
        if (status == ZMLX_OK && !added)
            status = ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: '%s' is listed twice", source, name);
    }
    zx_table_fini(&names);
    return status;
}

static zmlx_status check_choice(const char *source, const zx_plan *plan)
{
    zx_text list = {0};
    zmlx_status status = ZMLX_OK;
    size_t count = 0;
    for (size_t i = 0; status == ZMLX_OK && i < plan->count; i++)
        if (ends_in(plan->files[i].name, ".gguf") && !zx_parts_is_later(plan->files[i].name) &&
            ++count <= MOST_LISTED)
            status = zx_text_format(&list, "%s%s", count > 1 ? ", " : "", plan->files[i].name);
    if (status == ZMLX_OK && count > 1)
        status =
            ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: which of its files? MODEL:FILE names one of: %s%s",
                    source, list.bytes, count > MOST_LISTED ? ", ..." : "");
    if (status == ZMLX_OK && plan->count == 0)
        status = ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: holds no file that zmlx reads", source);
    zx_text_fini(&list);
    return status;
}

static zmlx_status read_answer(const char *source, const json_t *root, const char *only,
                               zx_plan *plan)
{
    const char *const commit = text_of(root, "sha");
    const json_t *const rows = json_object_get(root, "siblings");
    if (!is_digits(commit, ZX_PLAN_COMMIT))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: expected a commit's 40 hexadecimal digits at 'sha'",
                       source);
    if (!json_is_array(rows))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: expected a list at 'siblings'", source);
    memcpy(plan->commit, commit, sizeof plan->commit);
    ZX_TRY(add_wanted(source, rows, only, plan));
    if (only != NULL && plan->count == 0)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: has no file '%s'", source, only);
    ZX_TRY(check_names(source, plan));
    return only != NULL ? ZMLX_OK : check_choice(source, plan);
}

zmlx_status zx_plan_make(const char *source, const char *json, size_t length, const char *only,
                         zx_plan *plan)
{
    json_error_t error;
    *plan = (zx_plan){0};
    if (only != NULL && !zx_plan_wants(only))
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                       "%s: '%s' is of no kind that zmlx reads (.safetensors, .gguf, .json, "
                       ".model, .tiktoken, .jinja, .txt)",
                       source, only);
    json_t *const root = json_loadb(json, length, 0, &error);
    if (root == NULL)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the hub's answer is not JSON: line %d: %s", source,
                       error.line, error.text);
    const zmlx_status status = read_answer(source, root, only, plan);
    json_decref(root);
    if (status != ZMLX_OK) zx_plan_fini(plan);
    return status;
}

void zx_plan_fini(zx_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) zx_free(plan->files[i].name);
    zx_free(plan->files);
    *plan = (zx_plan){0};
}
