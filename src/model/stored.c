/* stored.c - the list of a file's tensors. */
#include "model/stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/text.h"

enum { POOL_BYTES = 16 * 1024, SHOWN_BYTES = 80 };

zmlx_status zx_stored_init(zx_stored *stored, const char *path)
{
    *stored = (zx_stored){0};
    stored->names.seed = zx_hash_seed();
    return zx_stored_text(stored, path, strlen(path), &stored->path);
}

void zx_stored_fini(zx_stored *stored)
{
    zx_free(stored->tensors);
    zx_table_fini(&stored->names);
    zx_arena_reset(&stored->arena);
    *stored = (zx_stored){0};
}

/* Names are short and many: they share blocks of the arena. */
zmlx_status zx_stored_text(zx_stored *stored, const char *bytes, size_t length, const char **text)
{
    void *memory = NULL;
    if (length >= stored->pool_left) {
        const size_t size = length < POOL_BYTES ? POOL_BYTES : length + 1;
        ZX_TRY(zx_arena_alloc(&stored->arena, size, &memory));
        stored->pool = memory;
        stored->pool_left = size;
    }
    if (length > 0) memcpy(stored->pool, bytes, length);
    stored->pool[length] = 0;
    *text = stored->pool;
    stored->pool += length + 1;
    stored->pool_left -= length + 1;
    return ZMLX_OK;
}

const char *zx_shown_name(const char *name, size_t length, char text[ZX_SHOWN_NAME])
{
    size_t shown = length < SHOWN_BYTES ? length : SHOWN_BYTES;
    while (shown < length && shown > 0 && ((unsigned char)name[shown] & 0xc0u) == 0x80u) shown--;
    for (size_t i = 0; i < shown; i++) {
        const unsigned char byte = (unsigned char)name[i];
        text[i] = byte < 0x20 || byte == 0x7f ? '?' : name[i];
    }
    (void)snprintf(text + shown, ZX_SHOWN_NAME - shown, "%s", shown < length ? "..." : "");
    return text;
}

zmlx_status zx_stored_add(zx_stored *stored, const char *name, size_t length, size_t limit,
                          zx_stored_tensor **tensor)
{
    char shown[ZX_SHOWN_NAME];
    const char *copy = NULL;
    bool added = false;
    if (!zx_utf8_valid(name, length) || memchr(name, 0, length) != NULL)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the name of tensor %zu is not UTF-8 text",
                       stored->path, stored->count);
    zx_shown_name(name, length, shown);
    if (length == 0 || length > limit)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: the tensor name '%s' has %zu bytes; expected 1 to %zu", stored->path,
                       shown, length, limit);
    ZX_TRY(zx_stored_text(stored, name, length, &copy));
    ZX_TRY(zx_table_insert(&stored->names, copy, length, (uint32_t)stored->count, &added));
    if (!added)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s' is there twice", stored->path, shown);
    ZX_TRY(zx_grow(&stored->tensors, &stored->capacity, stored->count + 1, sizeof(zx_stored_tensor),
                   "tensor list"));
    *tensor = &stored->tensors[stored->count++];
    **tensor =
        (zx_stored_tensor){.path = stored->path, .name = copy, .name_length = length, .type = ""};
    return ZMLX_OK;
}

const zx_stored_tensor *zx_stored_find(const zx_stored *stored, const char *name)
{
    uint32_t index = 0;
    if (!zx_table_find(&stored->names, name, strlen(name), &index)) return NULL;
    return &stored->tensors[index];
}

bool zx_stored_elements(const zx_stored_tensor *tensor, size_t *elements)
{
    *elements = 1;
    for (unsigned i = 0; i < tensor->rank; i++)
        if (!zx_multiply_fits(*elements, tensor->shape[i], elements)) return false;
    return true;
}

static int by_place(const void *left, const void *right)
{
    const zx_stored_tensor *const *a = left, *const *b = right;
    if ((*a)->data != (*b)->data) return (*a)->data < (*b)->data ? -1 : 1;
    if ((*a)->bytes != (*b)->bytes) return (*a)->bytes < (*b)->bytes ? -1 : 1;
    return 0;
}

static zmlx_status check_sorted(const zx_stored *stored, const zx_stored_tensor *const *sorted,
                                const uint8_t *begin, const uint8_t *end, bool dense)
{
    char name[ZX_SHOWN_NAME], other[ZX_SHOWN_NAME];
    const uint8_t *at = begin;
    for (size_t i = 0; i < stored->count; i++) {
        const zx_stored_tensor *tensor = sorted[i];
        zx_shown_name(tensor->name, tensor->name_length, name);
        if (tensor->bytes == 0 && !dense) continue;
        if (tensor->data < at)
            return ZX_FAIL(
                ZMLX_ERROR_FORMAT, "%s: tensors '%s' and '%s' overlap", stored->path,
                i > 0 ? zx_shown_name(sorted[i - 1]->name, sorted[i - 1]->name_length, other) : "",
                name);
        if (dense && tensor->data > at)
            return ZX_FAIL(ZMLX_ERROR_FORMAT,
                           "%s: %zu bytes before tensor '%s' belong to no tensor", stored->path,
                           (size_t)(tensor->data - at), name);
        at = tensor->data + tensor->bytes;
    }
    if (dense && at != end)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the last %zu bytes belong to no tensor",
                       stored->path, (size_t)(end - at));
    return ZMLX_OK;
}

zmlx_status zx_stored_check_layout(const zx_stored *stored, const uint8_t *begin,
                                   const uint8_t *end, bool dense)
{
    void *memory = NULL;
    ZX_TRY(zx_alloc_array(stored->count, sizeof(void *), "tensor order", &memory));
    const zx_stored_tensor **sorted = memory;
    for (size_t i = 0; i < stored->count; i++) sorted[i] = &stored->tensors[i];
    qsort(sorted, stored->count, sizeof(void *), by_place);
    const zmlx_status status =
        check_sorted(stored, (const zx_stored_tensor *const *)sorted, begin, end, dense);
    zx_free(memory);
    return status;
}

const char *zx_stored_describe(const zx_stored_tensor *tensor, char text[ZX_SHAPE_TEXT])
{
    size_t used = (size_t)snprintf(text, ZX_SHAPE_TEXT, "%s [", tensor->type);
    for (unsigned i = 0; i < tensor->rank && used < ZX_SHAPE_TEXT; i++)
        used += (size_t)snprintf(text + used, ZX_SHAPE_TEXT - used, "%s%zu", i > 0 ? ", " : "",
                                 tensor->shape[i]);
    if (used < ZX_SHAPE_TEXT) (void)snprintf(text + used, ZX_SHAPE_TEXT - used, "]");
    return text;
}
