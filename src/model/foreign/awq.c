/* awq.c - AutoAWQ's layout "gemm": 4 bits, (code - zero) * scale.
 *
 *   qweight [columns, rows / 8] I32   eight rows a word, in the order below
 *   qzeros  [groups, rows / 8] I32    likewise
 *   scales  [groups, rows]            floats */
#include <string.h>

#include "base/fail.h"
#include "model/foreign/methods.h"

enum { PACK = 8, BITS = 4, TILE = 16 }; /* words of a line of the cache */

/* The row, of a word's eight, whose code is the nibble of that place; the lowest first. */
static const unsigned order[PACK] = {0, 2, 4, 6, 1, 3, 5, 7};

static zmlx_status check(const zx_fields *settings)
{
    static const char older[] = "version";
    const char *const key = zx_fields_have(settings, older) ? older : "format";
    int64_t bits = BITS;
    const char *version = "gemm", *backend = "";
    ZX_TRY(zx_fields_integer(settings, "bits", 1, 64, &bits));
    ZX_TRY(zx_fields_integer(settings, "w_bit", 1, 64, &bits));
    ZX_TRY(zx_fields_string(settings, key, &version));
    ZX_TRY(zx_fields_string(settings, "backend", &backend));
    if (bits != BITS) return zx_fields_fail(settings, "bits", "4, the bits of AWQ that are read");
    if (strcmp(backend, "llm-awq") == 0)
        return zx_fields_fail(settings, "backend", "a library whose order of AWQ is 'gemm'");
    if (strcmp(version, "gemm") == 0 || strcmp(version, "GEMM") == 0) return ZMLX_OK;
    return zx_fields_fail(settings, key, "'gemm', the order of AWQ that is read");
}

/* words[k] gets nibble k of all eight, that of words[0] lowest, for TILE of them side by side. */
static void transpose(uint32_t words[PACK][TILE])
{
    static const uint32_t masks[] = {0x0f0f0f0f, 0x00ff00ff, 0x0000ffff};
    for (unsigned step = 0; step < 3; step++)
        for (unsigned i = 0; i < PACK; i++) {
            const unsigned apart = 1u << step;
            if (i & apart) continue;
            for (unsigned p = 0; p < TILE; p++) {
                const uint32_t low = words[i][p], high = words[i + apart][p];
                const uint32_t swapped = (low >> (BITS * apart) ^ high) & masks[step];
                words[i][p] = low ^ swapped << (BITS * apart);
                words[i + apart][p] = high ^ swapped;
            }
        }
}

/* One word of each row of 'count' places: eight columns. */
static void turn_tile(const zx_stored_tensor *from, size_t word, size_t place, size_t count,
                      size_t stride, uint32_t *to)
{
    uint32_t words[PACK][TILE] = {{0}};
    for (size_t i = 0; i < PACK; i++)
        for (size_t p = 0; p < count; p++)
            words[i][p] = zx_foreign_word(from, (word * PACK + i) * from->shape[1] + place + p);
    transpose(words);
    for (size_t p = 0; p < count; p++)
        for (size_t k = 0; k < PACK; k++) to[(p * PACK + order[k]) * stride + word] = words[k][p];
}

static void turn(const zx_foreign_affine *affine, size_t first, size_t end, uint32_t *to)
{
    const size_t words = affine->columns / PACK, begin = first / PACK, stop = end / PACK;
    for (size_t word = 0; word < words; word++)
        for (size_t place = begin; place < stop; place += TILE)
            turn_tile(affine->codes, word, place, stop - place < TILE ? stop - place : TILE, words,
                      to + (place - begin) * PACK * words);
}

static unsigned zero_at(const zx_foreign_affine *affine, size_t row, size_t group)
{
    static const unsigned places[PACK] = {0, 4, 1, 5, 2, 6, 3, 7}; /* order's inverse */
    const size_t at = group * affine->zeros->shape[1] + row / PACK;
    return zx_foreign_word(affine->zeros, at) >> (BITS * places[row % PACK]) & 15u;
}

static zmlx_status plan(zx_foreign_module *module)
{
    const zx_stored_tensor *codes = NULL, *zeros = NULL, *scales = NULL;
    ZX_TRY(zx_foreign_matrix(module, "qweight", ZX_I32, 0, 0, &codes));
    const size_t columns = codes->shape[0], places = codes->shape[1], rows = places * PACK;
    if (columns == 0 || places == 0 || columns % PACK != 0)
        return zx_foreign_refuse(module, "its columns are no multiple of 8");
    ZX_TRY(zx_foreign_floats(module, "scales", 0, rows, &scales));
    const size_t groups = scales->shape[0];
    ZX_TRY(zx_foreign_matrix(module, "qzeros", ZX_I32, groups, places, &zeros));
    const zx_foreign_affine affine = {.rows = rows,
                                      .columns = columns,
                                      .groups = groups,
                                      .bits = BITS,
                                      .codes = codes,
                                      .turn = turn,
                                      .scales = scales,
                                      .row_step = 1,
                                      .group_step = rows,
                                      .zeros = zeros,
                                      .zero_at = zero_at};
    return zx_foreign_put_affine(module, &affine);
}

static const char *const parts[] = {"qweight", "qzeros", "scales", NULL};

const zx_foreign_method zx_foreign_awq = {
    .name = "awq", .parts = parts, .keys = 1, .check = check, .plan = plan};
