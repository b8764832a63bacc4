/* awq.c - AutoAWQ's layout "gemm": 4 bits, (code - zero) * scale.
 *
 *   qweight [columns, rows / 8] I32   eight rows a word, in the order below
 *   qzeros  [groups, rows / 8] I32    likewise
 *   scales  [groups, rows]            floats */
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "model/foreign/methods.h"

enum { PACK = 8, BITS = 4 };

/* The row, of a word's eight, whose code is the nibble of that place; the lowest first. */
static const unsigned order[PACK] = {0, 2, 4, 6, 1, 3, 5, 7};

static zmlx_status check(const zx_fields *settings)
{
    int64_t bits = BITS;
    const char *version = "gemm";
    ZX_TRY(zx_fields_integer(settings, "bits", 1, 64, &bits));
    ZX_TRY(zx_fields_integer(settings, "w_bit", 1, 64, &bits));
    ZX_TRY(zx_fields_string(settings, "version", &version));
    if (bits != BITS) return zx_fields_fail(settings, "bits", "4, the bits of AWQ that are read");
    if (strcmp(version, "gemm") == 0 || strcmp(version, "GEMM") == 0) return ZMLX_OK;
    return zx_fields_fail(settings, "version", "'gemm', the order of AWQ that is read");
}

/* Eight rows of 'words' words from a column of the file's words. */
static void turn(const zx_stored_tensor *from, size_t place, size_t words, uint32_t *to)
{
    const size_t stride = from->shape[1];
    for (size_t word = 0; word < words; word++) {
        uint32_t rows[PACK] = {0};
        for (unsigned i = 0; i < PACK; i++) {
            const uint32_t packed = zx_foreign_word(from, (word * PACK + i) * stride + place);
            for (unsigned k = 0; k < PACK; k++)
                rows[order[k]] |= (packed >> (BITS * k) & 15u) << (BITS * i);
        }
        for (unsigned k = 0; k < PACK; k++) to[k * words + word] = rows[k];
    }
}

static void read_zeros(const zx_stored_tensor *from, size_t groups, uint16_t *zeros)
{
    const size_t places = from->shape[1];
    for (size_t group = 0; group < groups; group++)
        for (size_t place = 0; place < places; place++) {
            const uint32_t packed = zx_foreign_word(from, group * places + place);
            for (unsigned k = 0; k < PACK; k++)
                zeros[(place * PACK + order[k]) * groups + group] =
                    (uint16_t)(packed >> (BITS * k) & 15u);
        }
}

static zmlx_status make(zx_foreign_module *module)
{
    const zx_stored_tensor *codes = NULL, *zeros = NULL, *scales = NULL;
    void *words = NULL, *memory = NULL;
    ZX_TRY(zx_foreign_matrix(module, "qweight", ZX_I32, 0, 0, &codes));
    const size_t columns = codes->shape[0], places = codes->shape[1], rows = places * PACK;
    if (columns == 0 || places == 0 || columns % PACK != 0)
        return zx_foreign_refuse(module, "its columns are no multiple of 8");
    ZX_TRY(zx_foreign_floats(module, "scales", 0, rows, &scales));
    const size_t groups = scales->shape[0];
    ZX_TRY(zx_foreign_matrix(module, "qzeros", ZX_I32, groups, places, &zeros));
    ZX_TRY(zx_foreign_take(module, rows * (columns / PACK), sizeof(uint32_t), &words));
    ZX_TRY(zx_alloc_array(rows * groups, sizeof(uint16_t), "zeros of a weight", &memory));
    for (size_t place = 0; place < places; place++)
        turn(codes, place, columns / PACK, (uint32_t *)words + place * columns);
    read_zeros(zeros, groups, memory);
    const zx_foreign_affine affine = {.rows = rows,
                                      .columns = columns,
                                      .groups = groups,
                                      .bits = BITS,
                                      .codes = words,
                                      .scales = scales,
                                      .turned = true,
                                      .zeros = memory};
    const zmlx_status status = zx_foreign_put_affine(module, &affine);
    zx_free(memory);
    return status;
}

static const char *const parts[] = {"qweight", "qzeros", "scales", NULL};

const zx_foreign_method zx_foreign_awq = {
    .name = "awq", .parts = parts, .keys = 1, .check = check, .make = make};
