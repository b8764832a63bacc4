/* weights.c - finding the parts of a module and adding what they become. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "model/foreign/methods.h"

static const zx_format formats[ZX_DTYPE_COUNT] = {
    [ZX_F32] = ZX_FORMAT_F32, [ZX_F16] = ZX_FORMAT_F16, [ZX_BF16] = ZX_FORMAT_BF16};

enum { FULL_NAME = ZX_FOREIGN_NAME + 32 };

static void full_name(const zx_foreign_module *module, const char *suffix, char name[FULL_NAME])
{
    (void)snprintf(name, FULL_NAME, "%s.%s", module->name, suffix);
}

const zx_stored_tensor *zx_foreign_find(const zx_foreign_module *module, const char *suffix)
{
    char name[FULL_NAME];
    uint32_t index = 0;
    full_name(module, suffix, name);
    const bool there = zx_table_find(module->from->names, name, strlen(name), &index);
    return there ? module->from->tensors[index] : NULL;
}

zmlx_status zx_foreign_refuse(const zx_foreign_module *module, const char *what)
{
    char shown[ZX_SHOWN_NAME];
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: module '%s': %s", module->from->path,
                   zx_shown_name(module->name, strlen(module->name), shown), what);
}

static void dimension(size_t size, char text[24])
{
    (void)snprintf(text, 24, size > 0 ? "%zu" : "any", size);
}

static zmlx_status check(const zx_stored_tensor *tensor, bool type_fits, const char *types,
                         size_t rows, size_t columns)
{
    char shown[ZX_SHOWN_NAME], is[ZX_SHAPE_TEXT], high[24], wide[24];
    if (type_fits && tensor->rank == 2 && (rows == 0 || tensor->shape[0] == rows) &&
        (columns == 0 || tensor->shape[1] == columns))
        return ZMLX_OK;
    dimension(rows, high);
    dimension(columns, wide);
    return ZX_FAIL(ZMLX_ERROR_SHAPE, "%s: tensor '%s' is %s; expected %s [%s, %s]", tensor->path,
                   zx_shown_name(tensor->name, tensor->name_length, shown),
                   zx_stored_describe(tensor, is), types, high, wide);
}

static zmlx_status find(const zx_foreign_module *module, const char *suffix,
                        const zx_stored_tensor **tensor)
{
    char name[FULL_NAME], shown[ZX_SHOWN_NAME];
    *tensor = zx_foreign_find(module, suffix);
    if (*tensor != NULL) return ZMLX_OK;
    full_name(module, suffix, name);
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s' is missing", module->from->path,
                   zx_shown_name(name, strlen(name), shown));
}

zmlx_status zx_foreign_matrix(const zx_foreign_module *module, const char *suffix, zx_dtype dtype,
                              size_t rows, size_t columns, const zx_stored_tensor **tensor)
{
    ZX_TRY(find(module, suffix, tensor));
    return check(*tensor, (*tensor)->dtype == dtype, zx_dtypes[dtype].safetensors, rows, columns);
}

zmlx_status zx_foreign_floats(const zx_foreign_module *module, const char *suffix, size_t rows,
                              size_t columns, const zx_stored_tensor **tensor)
{
    ZX_TRY(find(module, suffix, tensor));
    const zx_dtype dtype = (*tensor)->dtype;
    return check(*tensor, dtype < ZX_DTYPE_COUNT && zx_dtypes[dtype].is_float, "F32, F16 or BF16",
                 rows, columns);
}

zmlx_status zx_foreign_take(const zx_foreign_module *module, size_t count, size_t bytes,
                            void **memory)
{
    size_t all = 0;
    if (!zx_multiply_fits(count, bytes, &all))
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: module '%.80s': %zu times %zu bytes",
                       module->from->path, module->name, count, bytes);
    return zx_arena_alloc(module->from->arena, all, memory);
}

zmlx_status zx_foreign_put(zx_foreign_module *module, const char *suffix, zx_dtype dtype,
                           size_t rows, size_t columns, const void *data)
{
    char name[FULL_NAME];
    void *memory = NULL;
    full_name(module, suffix, name);
    const size_t length = strlen(name);
    ZX_TRY(zx_foreign_take(module, 1, sizeof(zx_stored_tensor) + length + 1, &memory));
    zx_stored_tensor *tensor = memory;
    const char *word = memcpy((char *)memory + sizeof *tensor, name, length + 1);
    *tensor = (zx_stored_tensor){
        .path = module->from->path,
        .name = word,
        .name_length = length,
        .dtype = dtype,
        .format = zx_dtypes[dtype].is_float ? formats[dtype] : ZX_FORMAT_COUNT,
        .type = zx_dtypes[dtype].safetensors,
        .rank = 2,
        .shape = {rows, columns},
        .data = data,
        .bytes = rows * columns * zx_dtypes[dtype].bytes,
    };
    module->words[module->count] = word;
    module->tensors[module->count++] = tensor;
    return ZMLX_OK;
}

uint32_t zx_foreign_word(const zx_stored_tensor *tensor, size_t index)
{
    uint32_t word;
    memcpy(&word, tensor->data + index * sizeof word, sizeof word);
    return word;
}
