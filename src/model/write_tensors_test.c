/* write_tensors_test.c - orders of rows and columns by hand, for blocks that keep their codes. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/make_files.h"
#include "model/safetensors.h"
#include "model/write_tensors.h"

enum { KEYS = 2, HEADS = 4, UNIT = 32, COLUMNS = HEADS * UNIT, ROWS = 3 };

/* Rows of Q8_0: of block k the scale is 2^-k, and code i is i + 'salt' + k. */
static void fill_blocks(uint8_t *blocks, size_t rows, size_t columns, size_t salt)
{
    for (size_t block = 0; block < rows * columns / 32; block++) {
        const uint16_t scale = zx_f32_to_f16(1.0F / (float)(1u << block % 8));
        uint8_t *const to = blocks + block * 34;
        memcpy(to, &scale, 2);
        for (size_t i = 0; i < 32; i++) to[2 + i] = (uint8_t)(i + salt + block);
    }
}

static zx_weight blocks_of(const uint8_t *blocks, size_t rows, size_t columns)
{
    return (zx_weight){.format = ZX_FORMAT_Q8_0,
                       .bits = 8,
                       .group = 32,
                       .count = 1,
                       .rows = rows,
                       .columns = columns,
                       .codes = blocks,
                       .codes_stride = columns / 32 * 34};
}

/* Writes the entry and reads it as an affine weight, whose memory is the file's; false where
 * memory ran out. */
static bool write_entry(const char *folder, zx_outgoing *entry, zx_safetensors *file,
                        zx_weight *written)
{
    zx_outgoing_list list = {.items = entry, .count = 1};
    zx_tensor_writing writing = {0};
    const char *path = zx_in_folder(folder, "f.safetensors");
    zx_outgoing_find_exact(&list, NULL);
    if (zx_write_entries(path, entry, 1, &writing) != ZMLX_OK ||
        zx_safetensors_open(path, file) != ZMLX_OK)
        return false;
    const zx_stored_tensor *codes = zx_stored_find(&file->stored, "m.weight");
    const zx_stored_tensor *scales = zx_stored_find(&file->stored, "m.scales");
    const zx_stored_tensor *biases = zx_stored_find(&file->stored, "m.biases");
    *written = (zx_weight){0};
    if (codes == NULL || scales == NULL || biases == NULL) return true;
    *written = (zx_weight){.format = ZX_FORMAT_AFFINE,
                           .dtype = ZX_F32,
                           .bits = 8,
                           .group = 32,
                           .count = 1,
                           .rows = entry->rows,
                           .columns = entry->columns,
                           .codes = codes->data,
                           .codes_stride = entry->columns,
                           .scales = scales->data,
                           .biases = biases->data,
                           .scales_stride = entry->columns / 32 * 4};
    return true;
}

static zx_outgoing entry_of(const zx_weight *source, size_t rows, zx_row_order order)
{
    return (zx_outgoing){.module = "m",
                         .suffix = ".weight",
                         .origin = "m",
                         .source = *source,
                         .copied = ZX_DTYPE_COUNT,
                         .step = 1,
                         .order = order,
                         .matrix = true,
                         .encoded = true,
                         .rows = rows,
                         .columns = source->columns,
                         .rank = 2,
                         .shape = {rows, source->columns},
                         .format = ZX_FORMAT_COUNT,
                         .dtype = ZX_F32};
}

/* Heads 0 2 1 3 of the file are 0 1 2 3 of the model: of two keys two heads each. */
static void orders_columns(const char *folder)
{
    static const size_t file_head[HEADS] = {0, 2, 1, 3};
    uint8_t blocks[ROWS * HEADS * 34];
    float want[COLUMNS], got[COLUMNS];
    zx_safetensors file;
    zx_weight written;
    fill_blocks(blocks, ROWS, COLUMNS, 3);
    const zx_weight source = blocks_of(blocks, ROWS, COLUMNS);
    zx_outgoing entry = entry_of(&source, ROWS, ZX_COLUMNS_FROM_TILES);
    entry.keys = KEYS;
    entry.heads = HEADS;
    entry.unit = UNIT;
    if (!write_entry(folder, &entry, &file, &written)) return;
    bool good = entry.exact && written.codes != NULL;
    for (size_t row = 0; good && row < ROWS; row++) {
        zx_formats[ZX_FORMAT_Q8_0].decode(&source, row, 0, COLUMNS, want);
        zx_formats[ZX_FORMAT_AFFINE].decode(&written, row, 0, COLUMNS, got);
        for (size_t i = 0; i < COLUMNS; i++)
            good = good && got[i] == want[file_head[i / UNIT] * UNIT + i % UNIT];
    }
    zx_safetensors_close(&file);
    CHECK(good);
}

TEST(write_orders_columns_and_keeps_codes)
{
    zx_with_folder(orders_columns);
}

/* Two keys of 1 row each of queries and of keys, and 2 of values and of gates. */
static void joins_rows(const char *folder)
{
    /* places in: q0 q1 k0 k1 v00 v01 v10 v11, then z00 z01 z10 z11 */
    static const size_t places[] = {0, 2, 4, 5, 8, 9, 1, 3, 6, 7, 10, 11};
    enum { FIRST = 8, SECOND = 4, WIDE = 32 };
    uint8_t blocks[(FIRST + SECOND) * 34];
    float want[WIDE], got[WIDE];
    zx_safetensors file;
    zx_weight written;
    fill_blocks(blocks, FIRST, WIDE, 1);
    fill_blocks(blocks + (size_t)FIRST * 34, SECOND, WIDE, 77);
    const zx_weight source = blocks_of(blocks, FIRST, WIDE);
    const zx_weight both = blocks_of(blocks, FIRST + SECOND, WIDE);
    zx_outgoing entry = entry_of(&source, FIRST + SECOND, ZX_ROWS_BY_KEY);
    entry.second = blocks_of(blocks + (size_t)FIRST * 34, SECOND, WIDE);
    entry.keys = KEYS;
    entry.skipped = 1;
    entry.unit = 2;
    if (!write_entry(folder, &entry, &file, &written)) return;
    bool good = entry.exact && written.codes != NULL;
    for (size_t row = 0; good && row < FIRST + SECOND; row++) {
        zx_formats[ZX_FORMAT_Q8_0].decode(&both, places[row], 0, WIDE, want);
        zx_formats[ZX_FORMAT_AFFINE].decode(&written, row, 0, WIDE, got);
        good = memcmp(want, got, sizeof want) == 0;
    }
    zx_safetensors_close(&file);
    CHECK(good);
}

TEST(write_joins_rows_of_two_tensors)
{
    zx_with_folder(joins_rows);
}

/* No values, and columns that no memory holds a row of. */
static void writes_nothing(const char *folder)
{
    const size_t wide = (size_t)1 << 60;
    const zx_weight source = {
        .format = ZX_FORMAT_F32, .dtype = ZX_F32, .count = 1, .columns = wide};
    zx_outgoing entry = entry_of(&source, 0, ZX_ROWS_AS_THEY_ARE);
    zx_safetensors file;
    zx_weight written;
    entry.matrix = false;
    if (!write_entry(folder, &entry, &file, &written)) {
        CHECK(strstr(zmlx_error_message(), "rows of values") == NULL);
        return;
    }
    const zx_stored_tensor *found = zx_stored_find(&file.stored, "m.weight");
    const bool good = found != NULL && found->shape[0] == 0 && found->shape[1] == wide;
    zx_safetensors_close(&file);
    CHECK(good);
}

TEST(write_takes_no_memory_for_no_values)
{
    zx_with_folder(writes_nothing);
}
