/* weights.c - finding the parts of a module. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "model/foreign/methods.h"

void zx_foreign_name(const zx_foreign_module *module, const char *suffix,
                     char name[ZX_FOREIGN_FULL_NAME])
{
    static const char weight[] = "weight";
    const bool begins = strncmp(suffix, weight, sizeof weight - 1) == 0;
    (void)snprintf(name, ZX_FOREIGN_FULL_NAME, "%s%s%s", module->name,
                   !module->bare ? "."
                   : begins      ? ""
                                 : "_",
                   module->bare && begins ? suffix + sizeof weight - 1 : suffix);
}

const zx_stored_tensor *zx_foreign_find(const zx_foreign_module *module, const char *suffix)
{
    char name[ZX_FOREIGN_FULL_NAME];
    uint32_t index = 0;
    zx_foreign_name(module, suffix, name);
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
    char name[ZX_FOREIGN_FULL_NAME], shown[ZX_SHOWN_NAME];
    *tensor = zx_foreign_find(module, suffix);
    if (*tensor != NULL) return ZMLX_OK;
    zx_foreign_name(module, suffix, name);
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
