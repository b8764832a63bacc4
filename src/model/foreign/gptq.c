/* gptq.c - AutoGPTQ's and GPTQModel's layout: 2, 3, 4 or 8 bits, (code - zero) * scale.
 *
 *   qweight [columns * bits / 32, rows] I32   the codes of a row one behind the other, the first
 *                                             lowest; of 3 bits two of 32 lie in two words
 *   qzeros  [groups, rows * bits / 32] I32    rows likewise; "gptq" stores zero - 1, "gptq_v2" zero
 *   scales  [groups, rows]               floats
 *   g_idx   [columns] I32                the group of each column
 *
 * 0 - 1 borrows from the next of its word, but not in 3 bits. */
#include <string.h>

#include "base/fail.h"
#include "model/foreign/methods.h"

/* "gptq" or "gptq_v2"; of two names for it the older one counts. */
static zmlx_status read_format(const zx_fields *settings, const char **format)
{
    static const char older[] = "checkpoint_format";
    const char *const key = zx_fields_have(settings, older) ? older : "format";
    *format = "gptq";
    ZX_TRY(zx_fields_string(settings, key, format));
    if (strcmp(*format, "gptq") == 0 || strcmp(*format, "gptq_v2") == 0) return ZMLX_OK;
    return zx_fields_fail(settings, key, "'gptq' or 'gptq_v2', which are read");
}

static zmlx_status check(const zx_fields *settings)
{
    int64_t bits = 4;
    const char *format = NULL, *rotation = "";
    ZX_TRY(zx_fields_integer(settings, "bits", 1, 64, &bits));
    if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
        return zx_fields_fail(settings, "bits", "2, 3, 4 or 8, the bits of GPTQ that are read");
    ZX_TRY(zx_fields_string(settings, "rotation", &rotation));
    if (rotation[0] != 0)
        return zx_fields_fail(settings, "rotation",
                              "none: rotated weights ask for turned activations");
    return read_format(settings, &format);
}

/* Columns must lie in their groups one behind the other. */
static zmlx_status check_order(const zx_foreign_module *module, size_t columns, size_t groups)
{
    bool reordered = false;
    const zx_stored_tensor *order = zx_foreign_find(module, "g_idx");
    ZX_TRY(zx_fields_bool(&module->settings, "desc_act", &reordered));
    if (order == NULL && !reordered) return ZMLX_OK;
    if (order == NULL)
        return zx_foreign_refuse(module, "'desc_act' is true, but 'g_idx', the order of the "
                                         "columns, is missing");
    if (order->dtype != ZX_I32 || order->rank != 1 || order->shape[0] != columns)
        return zx_foreign_refuse(module, "'g_idx' is not I32 with a value for each column");
    if (groups == 0 || columns % groups != 0)
        return zx_foreign_refuse(module, "the groups do not divide the columns");
    for (size_t i = 0; i < columns; i++)
        if (zx_foreign_word(order, i) != i / (columns / groups))
            return zx_foreign_refuse(module,
                                     "'g_idx' puts columns into groups out of order (act-order, "
                                     "'desc_act'), which is not read");
    return ZMLX_OK;
}

static void turn(const zx_foreign_affine *affine, size_t first, size_t end, uint32_t *to)
{
    enum { TILE = 16 }; /* words: a line of the cache to write */
    const size_t words = affine->codes->shape[0], rows = affine->rows;
    for (size_t begin = 0; begin < words; begin += TILE)
        for (size_t row = first; row < end; row++)
            for (size_t word = begin; word < words && word < begin + TILE; word++)
                to[(row - first) * words + word] =
                    zx_foreign_word(affine->codes, word * rows + row);
}

static unsigned zero_at(const zx_foreign_affine *affine, size_t row, size_t group)
{
    const size_t bit = row * affine->bits, at = group * affine->zeros->shape[1] + bit / 32;
    const unsigned shift = bit % 32;
    uint32_t zero = zx_foreign_word(affine->zeros, at) >> shift;
    if (shift + affine->bits > 32) zero |= zx_foreign_word(affine->zeros, at + 1) << (32 - shift);
    return zero & ((1u << affine->bits) - 1);
}

/* Where zero - 1 is stored.  GPTQModel takes the ones from whole words; of 3 bits from each zero.
 */
static unsigned next_zero_at(const zx_foreign_affine *affine, size_t row, size_t group)
{
    static const uint32_t ones[] = {[2] = 0x55555555, [4] = 0x11111111, [8] = 0x01010101};
    const unsigned bits = affine->bits, most = (1u << bits) - 1;
    if (bits == 3) return (zero_at(affine, row, group) + 1) & most;
    const size_t bit = row * bits, at = group * affine->zeros->shape[1] + bit / 32;
    return (zx_foreign_word(affine->zeros, at) + ones[bits]) >> bit % 32 & most;
}

/* The bits of this module, which GPTQModel's 'dynamic' rules may have set: from the shapes. */
static unsigned bits_of(const zx_stored_tensor *zeros, size_t rows)
{
    return rows > 0 ? (unsigned)(zeros->shape[1] * 32 / rows) : 0;
}

static zmlx_status plan(zx_foreign_module *module)
{
    const zx_stored_tensor *codes = NULL, *zeros = NULL, *scales = NULL;
    const char *format = NULL;
    ZX_TRY(zx_foreign_matrix(module, "qweight", ZX_I32, 0, 0, &codes));
    const size_t rows = codes->shape[1];
    ZX_TRY(zx_foreign_floats(module, "scales", 0, rows, &scales));
    const size_t groups = scales->shape[0];
    ZX_TRY(zx_foreign_matrix(module, "qzeros", ZX_I32, groups, 0, &zeros));
    const unsigned bits = bits_of(zeros, rows);
    if ((bits != 2 && bits != 3 && bits != 4 && bits != 8) || zeros->shape[1] * 32 != rows * bits)
        return zx_foreign_refuse(module,
                                 "'qzeros' has not 2, 3, 4 or 8 bits for each row and group");
    const size_t columns = codes->shape[0] * 32 / bits;
    if (columns * bits != codes->shape[0] * 32)
        return zx_foreign_refuse(module, "'qweight' holds no whole number of columns");
    if (columns == 0 || groups == 0)
        return zx_foreign_refuse(module, "'qweight' or 'scales' holds no value");
    ZX_TRY(check_order(module, columns, groups));
    ZX_TRY(read_format(&module->settings, &format));
    const bool less = strcmp(format, "gptq") == 0;
    const zx_foreign_affine affine = {.rows = rows,
                                      .columns = columns,
                                      .groups = groups,
                                      .bits = bits,
                                      .codes = codes,
                                      .turn = turn,
                                      .scales = scales,
                                      .row_step = 1,
                                      .group_step = rows,
                                      .zeros = zeros,
                                      .zero_at = less ? next_zero_at : zero_at};
    return zx_foreign_put_affine(module, &affine);
}

static const char *const parts[] = {"qweight", "qzeros", "scales", "g_idx", NULL};

const zx_foreign_method zx_foreign_gptq = {
    .name = "gptq", .parts = parts, .keys = 1, .check = check, .plan = plan};
