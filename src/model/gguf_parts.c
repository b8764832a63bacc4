/* gguf_parts.c - the names of the parts come from the name of one of them. */
#include "model/gguf_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

enum { MAX_PARTS = 4096, ENDING = sizeof "-00001-of-00001.gguf" - 1 };

typedef struct position {
    int64_t number, count; /* from 0; 1 where the file is a whole model */
} position;

static zmlx_status read_split(const zx_gguf *gguf, position *at)
{
    at->number = 0;
    at->count = 1;
    ZX_TRY(zx_gguf_integer(gguf, "split.count", 0, MAX_PARTS, &at->count));
    if (at->count == 0) at->count = 1;
    return zx_gguf_integer(gguf, "split.no", 0, at->count - 1, &at->number);
}

/* The ending that gguf-split gives part 'number' of 'count'. */
static void write_ending(position at, char ending[ENDING + 1])
{
    const unsigned number = (unsigned)at.number + 1, count = (unsigned)at.count; /* to MAX_PARTS */
    (void)snprintf(ending, ENDING + 1, "-%05u-of-%05u.gguf", number % 100000, count % 100000);
}

/* The path of part 'wanted', by that of one that says what it is; the caller frees it. */
static zmlx_status part_path(const zx_gguf *known, size_t wanted, char **path)
{
    char ending[ENDING + 1];
    position at;
    const char *const name = known->stored.path;
    const size_t length = strlen(name);
    ZX_TRY(read_split(known, &at));
    write_ending(at, ending);
    if (length < ENDING || strcmp(name + length - ENDING, ending) != 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: part %jd of %jd of a split model (metadata keys 'split.no' and "
                       "'split.count'); expected a name that ends in %s, by which the others "
                       "are found",
                       name, (intmax_t)at.number + 1, (intmax_t)at.count, ending);
    void *memory = NULL;
    ZX_TRY(zx_alloc(length + 1, "path of a part", &memory));
    at.number = (int64_t)wanted;
    write_ending(at, ending);
    memcpy(memory, name, length - ENDING);
    memcpy((char *)memory + length - ENDING, ending, ENDING + 1);
    *path = memory;
    return ZMLX_OK;
}

/* Opens part 'wanted' of the model that 'known' belongs to. */
static zmlx_status open_part(const zx_gguf *known, size_t wanted, zx_gguf *part)
{
    char *path = NULL;
    position one, other = {0};
    ZX_TRY(read_split(known, &one));
    ZX_TRY(part_path(known, wanted, &path));
    zmlx_status status = zx_gguf_open(path, part);
    if (status == ZMLX_OK) {
        status = read_split(part, &other);
        if (status == ZMLX_OK && (other.number != (int64_t)wanted || other.count != one.count))
            status = ZX_FAIL(ZMLX_ERROR_FORMAT,
                             "%s: metadata says part %jd of %jd; expected part %zu of %jd", path,
                             (intmax_t)other.number + 1, (intmax_t)other.count, wanted + 1,
                             (intmax_t)one.count);
        if (status != ZMLX_OK) zx_gguf_close(part);
    }
    zx_free(path);
    return status;
}

zmlx_status zx_gguf_open_first(const char *path, zx_gguf *gguf)
{
    position at;
    zx_gguf named = {0};
    ZX_TRY(zx_gguf_open(path, &named));
    zmlx_status status = read_split(&named, &at);
    if (status == ZMLX_OK && at.number == 0) {
        *gguf = named;
        return ZMLX_OK;
    }
    if (status == ZMLX_OK) status = open_part(&named, 0, gguf);
    zx_gguf_close(&named);
    return status;
}

static zmlx_status check_tensors(const zx_gguf *first, const zx_gguf_parts *parts)
{
    int64_t expected = -1;
    size_t count = first->stored.count;
    ZX_TRY(zx_gguf_integer(first, "split.tensors.count", 0, INT64_MAX, &expected));
    for (size_t i = 0; i < parts->count; i++) count += parts->files[i].stored.count;
    if (expected < 0 || (uint64_t)expected == count) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: metadata key 'split.tensors.count' is %jd, but the parts hold %zu tensors",
                   first->stored.path, (intmax_t)expected, count);
}

zmlx_status zx_gguf_parts_open(const zx_gguf *first, zx_gguf_parts *parts)
{
    position at;
    *parts = (zx_gguf_parts){0};
    ZX_TRY(read_split(first, &at));
    if (at.count == 1) return ZMLX_OK;
    void *memory = NULL;
    ZX_TRY(zx_alloc_array((size_t)at.count - 1, sizeof *parts->files, "parts of a GGUF model",
                          &memory));
    parts->files = memory;
    zmlx_status status = ZMLX_OK;
    for (size_t i = 1; i < (size_t)at.count && status == ZMLX_OK; i++) {
        status = open_part(first, i, &parts->files[parts->count]);
        if (status == ZMLX_OK) parts->count++;
    }
    if (status == ZMLX_OK) status = check_tensors(first, parts);
    if (status != ZMLX_OK) zx_gguf_parts_close(parts);
    return status;
}

void zx_gguf_parts_close(zx_gguf_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) zx_gguf_close(&parts->files[i]);
    zx_free(parts->files);
    *parts = (zx_gguf_parts){0};
}
