/* compressed.c - compressed-tensors: integers packed along the columns, or values of E4M3.
 *
 *   weight_packed      [rows, columns * bits / 32] I32  the columns' bits, no gaps, first lowest
 *   weight_scale       [rows, groups] floats, or one
 *   weight_zero_point  [rows * bits / 32, groups] I32   rows likewise; without: 2^(bits - 1)
 *   weight_shape       [2] I64                          rows, columns
 *   weight_g_idx       [columns] I32                    the group of each column
 *
 * or, "int-quantized", integers of 8 bits:
 *
 *   weight             [rows, columns] I8
 *   weight_scale       [rows, groups] floats, or one
 *   weight_zero_point  [rows, groups] I8, or one; without it: 0
 *
 * which get 128 added, as have their zeros.
 *
 * Packed codes and zeros are stored with 2^(bits - 1) added, which their difference does not show:
 * the words are MLX's own and stay in the file.  Float values are what fp8.c reads. */
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "model/foreign/methods.h"

/* Activations stay as they are. */
static void note_activations(const zx_fields *settings)
{
    json_t *const groups = json_object_get(settings->object, "config_groups");
    const char *name = NULL;
    json_t *group = NULL;
    json_object_foreach(groups, name, group)
    {
        if (!json_is_object(json_object_get(group, "input_activations"))) continue;
        zx_log(ZMLX_LOG_INFO,
               "%s: the scheme quantizes activations too, which are kept as precise as elsewhere",
               settings->file);
        return;
    }
}

/* Rotations that are applied to activations while the model runs. */
static bool turns_activations(const zx_fields *settings)
{
    json_t *const config = json_object_get(settings->object, "transform_config");
    const char *name = NULL;
    json_t *group = NULL;
    json_object_foreach(json_object_get(config, "config_groups"), name, group)
    {
        const json_t *all = json_object_get(group, "apply");
        for (size_t i = 0; i < json_array_size(all); i++) {
            const char *at = json_string_value(json_object_get(json_array_get(all, i), "location"));
            if (at == NULL || strncmp(at, "weight_", 7) != 0) return true;
        }
    }
    return false;
}

static zmlx_status check(const zx_fields *settings)
{
    const char *format = "pack-quantized";
    ZX_TRY(zx_fields_string(settings, "format", &format));
    if (turns_activations(settings))
        return zx_fields_fail(settings, "transform_config",
                              "no transforms but of weights (activations are not turned)");
    note_activations(settings);
    if (strcmp(format, "pack-quantized") == 0 || strcmp(format, "float-quantized") == 0 ||
        strcmp(format, "naive-quantized") == 0 || strcmp(format, "int-quantized") == 0 ||
        strcmp(format, "mixed-precision") == 0)
        return ZMLX_OK;
    return zx_fields_fail(settings, "format",
                          "'pack-quantized', 'int-quantized' or 'float-quantized', the formats of "
                          "compressed-tensors that are read");
}

static zmlx_status check_order(const zx_foreign_module *module, size_t columns, size_t groups)
{
    const zx_stored_tensor *order = zx_foreign_find(module, "weight_g_idx");
    if (order == NULL) return ZMLX_OK;
    bool plain = order->dtype == ZX_I32 && order->rank == 1 && order->shape[0] == columns &&
                 groups > 0 && columns % groups == 0;
    for (size_t i = 0; plain && i < columns; i++)
        plain = zx_foreign_word(order, i) == i / (columns / groups);
    if (plain) return ZMLX_OK;
    return zx_foreign_refuse(module, "'weight_g_idx' puts columns into groups out of order "
                                     "(actorder), which is not read");
}

/* The columns: those of 'weight_shape'. */
static zmlx_status read_columns(const zx_foreign_module *module, size_t rows, size_t *columns)
{
    const zx_stored_tensor *shape = zx_foreign_find(module, "weight_shape");
    int64_t sides[2] = {0};
    const bool narrow = shape != NULL && shape->dtype == ZX_I32;
    if (shape == NULL || (shape->dtype != ZX_I64 && !narrow) || shape->rank != 1 ||
        shape->shape[0] != 2)
        return zx_foreign_refuse(module, "'weight_shape' is not I64 with the rows and columns");
    for (size_t i = 0; i < 2; i++)
        if (narrow)
            sides[i] = (int32_t)zx_foreign_word(shape, i);
        else
            memcpy(&sides[i], shape->data + 8 * i, 8);
    if (sides[0] < 1 || (uint64_t)sides[0] != rows || sides[1] < 1 || sides[1] > INT32_MAX)
        return zx_foreign_refuse(module, "'weight_shape' differs from 'weight_packed'");
    *columns = (size_t)sides[1];
    return ZMLX_OK;
}

static unsigned zero_at(const zx_foreign_affine *affine, size_t row, size_t group)
{
    const unsigned bits = affine->bits, shift = row * bits % 32;
    const size_t at = row * bits / 32 * affine->groups + group;
    uint32_t zero = zx_foreign_word(affine->zeros, at) >> shift;
    if (shift + bits > 32)
        zero |= zx_foreign_word(affine->zeros, at + affine->groups) << (32 - shift);
    return zero & ((1u << bits) - 1);
}

/* The zeros of the module, where it has some. */
static zmlx_status find_zeros(const zx_foreign_module *module, zx_foreign_affine *affine)
{
    const size_t bits = affine->rows * affine->bits, high = bits / 32 + (bits % 32 != 0);
    if (zx_foreign_find(module, "weight_zero_point") == NULL) return ZMLX_OK;
    affine->zero = 0;
    affine->zero_at = zero_at;
    return zx_foreign_matrix(module, "weight_zero_point", ZX_I32, high, affine->groups,
                             &affine->zeros);
}

/* One scale for all, or a vector of one for each row, or [rows, groups]. */
static bool find_steps(const zx_stored_tensor *scales, zx_foreign_affine *affine)
{
    const bool matrix = scales->rank == 2 && scales->shape[0] == affine->rows;
    const bool vector = scales->rank == 1 && scales->shape[0] == affine->rows;
    size_t elements = 0;
    if (!zx_stored_elements(scales, &elements)) return false;
    affine->groups = matrix ? scales->shape[1] : 1;
    affine->row_step = elements == 1 && !vector ? 0 : affine->groups;
    affine->group_step = affine->row_step == 0 ? 0 : 1;
    return matrix || vector || elements == 1;
}

/* The module's scales, in affine->scales. */
static zmlx_status find_scales(const zx_foreign_module *module, zx_foreign_affine *affine)
{
    const zx_stored_tensor *scales = zx_foreign_find(module, "weight_scale");
    affine->scales = scales;
    if (scales->dtype < ZX_DTYPE_COUNT && zx_dtypes[scales->dtype].is_float &&
        find_steps(scales, affine))
        return ZMLX_OK;
    return zx_foreign_refuse(module, "'weight_scale' is not F32, F16 or BF16 with one for each "
                                     "row, each group of a row, or all");
}

/* The bits of a code, or 0. */
static unsigned bits_of(size_t words, size_t columns)
{
    static const bool known[] = {
        [2] = true, [3] = true, [4] = true, [5] = true, [6] = true, [8] = true};
    const size_t bits = columns > 0 && words <= columns / 4 ? words * 32 / columns : 0;
    return bits < sizeof known && known[bits] && bits * columns == words * 32 ? (unsigned)bits : 0;
}

static zmlx_status plan_packed(zx_foreign_module *module)
{
    const zx_stored_tensor *codes = NULL;
    size_t columns = 0;
    ZX_TRY(zx_foreign_matrix(module, "weight_packed", ZX_I32, 0, 0, &codes));
    const size_t rows = codes->shape[0];
    ZX_TRY(read_columns(module, rows, &columns));
    const unsigned bits = bits_of(codes->shape[1], columns);
    if (bits == 0)
        return zx_foreign_refuse(module, "'weight_packed' has not 2, 3, 4, 5, 6 or 8 bits for "
                                         "each column");
    zx_foreign_affine affine = {
        .rows = rows, .columns = columns, .bits = bits, .codes = codes, .zero = 1u << (bits - 1)};
    ZX_TRY(find_scales(module, &affine));
    ZX_TRY(check_order(module, columns, affine.groups));
    ZX_TRY(find_zeros(module, &affine));
    return zx_foreign_put_affine(module, &affine);
}

/* -------- integers of 8 bits -------- */

/* Four codes a word: MLX's are unsigned. */
static void turn_bytes(const zx_foreign_affine *affine, size_t first, size_t end, uint32_t *to)
{
    const size_t words = affine->columns / 4;
    for (size_t i = first * words; i < end * words; i++)
        *to++ = zx_foreign_word(affine->codes, i) ^ 0x80808080u;
}

static unsigned byte_zero_at(const zx_foreign_affine *affine, size_t row, size_t group)
{
    return affine->zeros->data[row * affine->row_step + group * affine->group_step] ^ 0x80u;
}

static zmlx_status plan_bytes(zx_foreign_module *module)
{
    const zx_stored_tensor *codes = NULL, *zeros = zx_foreign_find(module, "weight_zero_point");
    ZX_TRY(zx_foreign_matrix(module, "weight", ZX_I8, 0, 0, &codes));
    zx_foreign_affine affine = {.rows = codes->shape[0],
                                .columns = codes->shape[1],
                                .bits = 8,
                                .codes = codes,
                                .turn = turn_bytes,
                                .zeros = zeros,
                                .zero_at = byte_zero_at,
                                .zero = zeros != NULL ? 0 : 128};
    if (affine.rows == 0 || affine.columns == 0)
        return zx_foreign_refuse(module, "its weight is empty");
    ZX_TRY(find_scales(module, &affine));
    const zx_stored_tensor *scales = affine.scales;
    if (zeros != NULL &&
        (zeros->dtype != ZX_I8 || zeros->rank != scales->rank ||
         memcmp(zeros->shape, scales->shape, scales->rank * sizeof scales->shape[0]) != 0))
        return zx_foreign_refuse(module, "'weight_zero_point' is not I8 of the shape of "
                                         "'weight_scale'");
    ZX_TRY(check_order(module, affine.columns, affine.groups));
    return zx_foreign_put_affine(module, &affine);
}

static zmlx_status plan(zx_foreign_module *module)
{
    const zx_stored_tensor *weight = zx_foreign_find(module, "weight");
    if (zx_foreign_find(module, "weight_packed") != NULL) return plan_packed(module);
    return weight != NULL && weight->dtype == ZX_I8 ? plan_bytes(module)
                                                    : zx_foreign_plan_fp8(module);
}

static const char *const parts[] = {"weight_scale",
                                    "weight",
                                    "weight_packed",
                                    "weight_shape",
                                    "weight_zero_point",
                                    "input_scale",
                                    "input_zero_point",
                                    "weight_g_idx",
                                    NULL};

const zx_foreign_method zx_foreign_compressed = {
    .name = "compressed-tensors", .parts = parts, .keys = 1, .check = check, .plan = plan};
