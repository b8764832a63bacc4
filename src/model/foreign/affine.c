/* affine.c - (code - zero) * scale as MLX's code * scale + bias.
 *
 * A zero has at most 9 bits and a scale of 16 bits at most 11: in F32 the bias is exact, and so is
 * code * scale + bias. */
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "model/foreign/methods.h"

typedef struct layout {
    size_t group, groups; /* of MLX */
    size_t repeat;        /* so many of them have the scale of one of the file's */
} layout;

/* The largest group of MLX's that the file's groups are made of. */
static zmlx_status lay_out(const zx_foreign_module *module, const zx_foreign_affine *affine,
                           layout *l)
{
    const bool even = affine->groups > 0 && affine->columns % affine->groups == 0;
    const size_t group = even ? affine->columns / affine->groups : 0;
    l->group = 128;
    while (l->group >= 32 && (group == 0 || group % l->group != 0)) l->group /= 2;
    if (l->group < 32)
        return zx_foreign_refuse(
            module, "its groups of columns are not made of whole ones of 32, 64 or 128");
    l->groups = affine->columns / l->group;
    l->repeat = group / l->group;
    return ZMLX_OK;
}

static float scale_at(const zx_foreign_affine *affine, size_t row, size_t group)
{
    const size_t at = affine->turned ? group * affine->rows + row : row * affine->groups + group;
    return zx_load(affine->scales->dtype, affine->scales->data, at);
}

static float bias_at(const zx_foreign_affine *affine, size_t row, size_t group)
{
    const unsigned zero =
        affine->zeros != NULL ? affine->zeros[row * affine->groups + group] : affine->zero;
    return -(float)zero * scale_at(affine, row, group);
}

static zx_dtype exact_dtype(const zx_foreign_affine *affine)
{
    const zx_dtype dtype = affine->scales->dtype;
    for (size_t row = 0; row < affine->rows; row++)
        for (size_t group = 0; group < affine->groups; group++) {
            const float bias = bias_at(affine, row, group);
            if (!(zx_round_to(dtype, bias) == bias)) return ZX_F32;
        }
    return dtype;
}

/* "quantization" says the first module's bits and group, and those of each that differs. */
static zmlx_status add_settings(zx_foreign_module *module, unsigned bits, size_t group)
{
    json_t *const own =
        json_pack("{s:I, s:I}", "group_size", (json_int_t)group, "bits", (json_int_t)bits);
    bool good = own != NULL;
    if (good && module->quantization == NULL) {
        module->quantization = own;
        return ZMLX_OK;
    }
    const json_t *const all = module->quantization;
    const bool same = good &&
                      json_integer_value(json_object_get(all, "bits")) == (json_int_t)bits &&
                      json_integer_value(json_object_get(all, "group_size")) == (json_int_t)group;
    if (same)
        json_decref(own);
    else
        good = good && json_object_set_new(module->quantization, module->name, own) == 0;
    return good ? ZMLX_OK : ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: out of memory", module->from->path);
}

zmlx_status zx_foreign_put_affine(zx_foreign_module *module, const zx_foreign_affine *affine)
{
    layout l = {0};
    void *scales = NULL, *biases = NULL;
    ZX_TRY(lay_out(module, affine, &l));
    const zx_dtype dtype = exact_dtype(affine);
    const size_t bytes = zx_dtypes[dtype].bytes, rows = affine->rows;
    ZX_TRY(zx_foreign_take(module, rows * l.groups, bytes, &scales));
    ZX_TRY(zx_foreign_take(module, rows * l.groups, bytes, &biases));
    for (size_t row = 0; row < rows; row++)
        for (size_t group = 0; group < l.groups; group++) {
            const size_t at = row * l.groups + group, from = group / l.repeat;
            zx_store(dtype, scales, at, scale_at(affine, row, from));
            zx_store(dtype, biases, at, bias_at(affine, row, from));
        }
    ZX_TRY(add_settings(module, affine->bits, l.group));
    ZX_TRY(zx_foreign_put(module, "weight", ZX_U32, rows, affine->columns * affine->bits / 32,
                          affine->codes));
    ZX_TRY(zx_foreign_put(module, "scales", dtype, rows, l.groups, scales));
    return zx_foreign_put(module, "biases", dtype, rows, l.groups, biases);
}
