/* fp8.c - E4M3 values with a scale for each block of rows and columns, each row, or the whole
 * matrix: dense bf16 rows of RN_bf16(RN_f32(value * scale)).  So are stacks of matrices (experts),
 * with a dimension more of both.
 *
 *   weight            [rows, columns] F8_E4M3
 *   weight_scale_inv  [rows / block, columns / block] floats or E8M0, both rounded up (DeepSeek-V3)
 *   weight_scale      likewise, [rows, 1], or one number
 *
 * How large a block is the config says; where it does not, or another size, the scales do that
 * divide the weight evenly.  E8M0 may be called U8.
 *
 * Scales of activations (input_scale) are for kernels that quantize these too: left out. */
#include "base/fail.h"
#include "model/foreign/methods.h"

typedef struct scales {
    const zx_stored_tensor *tensor;
    size_t high, wide; /* of a block */
    size_t in_row;     /* blocks */
    size_t each;       /* scales of a matrix of a stack */
} scales;

/* What a job makes. */
typedef struct source {
    const zx_stored_tensor *weight;
    zx_foreign_shape shape;
    scales scales;
} source;

static zmlx_status check(const zx_fields *settings)
{
    const char *format = "e4m3";
    ZX_TRY(zx_fields_string(settings, "fmt", &format));
    if (strcmp(format, "e4m3") == 0 || strcmp(format, "float8_e4m3fn") == 0) return ZMLX_OK;
    return zx_fields_fail(settings, "fmt", "'e4m3', the format of fp8 that is read");
}

enum { USUAL_SIDE = 128, MOST_SIDE = 65536 }; /* of a block */

/* The block sides that the config gives; 0 where it says that there are no blocks. */
static zmlx_status read_block(const zx_foreign_module *module, size_t sides[2])
{
    const json_t *list = json_object_get(module->settings.object, "weight_block_size");
    sides[0] = sides[1] = list == NULL ? USUAL_SIDE : 0;
    if (list == NULL || json_is_null(list)) return ZMLX_OK;
    for (size_t i = 0; i < 2; i++) {
        const json_int_t side = json_integer_value(json_array_get(list, i));
        if (json_array_size(list) != 2 || side < 1 || side > MOST_SIDE)
            return zx_fields_fail(&module->settings, "weight_block_size",
                                  "two numbers of rows and columns");
        sides[i] = (size_t)side;
    }
    return ZMLX_OK;
}

static size_t blocks_of(size_t size, size_t side)
{
    return size / side + (size % side != 0);
}

/* Scales of [high, wide] for every matrix. */
static bool has_shape(const zx_stored_tensor *tensor, size_t stack, size_t high, size_t wide)
{
    const size_t *shape = tensor->shape;
    if (stack > 0)
        return tensor->rank == 3 && shape[0] == stack && shape[1] == high && shape[2] == wide;
    return tensor->rank == 2 && shape[0] == high && shape[1] == wide;
}

static bool use_blocks(const zx_stored_tensor *tensor, zx_foreign_shape of, const size_t sides[2],
                       scales *found)
{
    if (sides[0] == 0 || sides[1] == 0) return false;
    const size_t high = blocks_of(of.rows, sides[0]), wide = blocks_of(of.columns, sides[1]);
    if (!has_shape(tensor, of.stack, high, wide)) return false;
    *found = (scales){tensor, sides[0], sides[1], wide, high * wide};
    return true;
}

/* A scheme's "block_structure" of compressed-tensors. */
static bool use_scheme(const zx_foreign_module *module, const zx_stored_tensor *tensor,
                       zx_foreign_shape of, scales *found)
{
    json_t *const schemes = json_object_get(module->settings.object, "config_groups");
    const char *name = NULL;
    json_t *scheme = NULL;
    json_object_foreach(schemes, name, scheme)
    {
        const json_t *list = json_object_get(json_object_get(scheme, "weights"), "block_structure");
        size_t sides[2];
        for (size_t i = 0; i < 2; i++) {
            const json_int_t side = json_integer_value(json_array_get(list, i));
            sides[i] = side > 0 && side <= MOST_SIDE ? (size_t)side : 0;
        }
        if (use_blocks(tensor, of, sides, found)) return true;
    }
    return false;
}

/* As many blocks as there are scales. */
static bool use_grid(const zx_stored_tensor *tensor, zx_foreign_shape of, scales *found)
{
    const size_t stacked = of.stack > 0, *blocks = tensor->shape + stacked;
    if (tensor->rank != 2 + stacked || blocks[0] == 0 || blocks[1] == 0 ||
        of.rows % blocks[0] != 0 || of.columns % blocks[1] != 0)
        return false;
    return use_blocks(tensor, of, (size_t[]){of.rows / blocks[0], of.columns / blocks[1]}, found);
}

/* Which values share a scale. */
static zmlx_status find_scales(const zx_foreign_module *module, zx_foreign_shape of, scales *found)
{
    size_t sides[2], elements = 0;
    const zx_stored_tensor *tensor = zx_foreign_find(module, "weight_scale_inv");
    if (tensor == NULL) tensor = zx_foreign_find(module, "weight_scale");
    const zx_dtype dtype = tensor->dtype;
    ZX_TRY(read_block(module, sides));
    if (dtype != ZX_F8_E8M0 && dtype != ZX_U8 &&
        (dtype >= ZX_DTYPE_COUNT || !zx_dtypes[dtype].is_float))
        return zx_foreign_refuse(module, "its scales are neither F32, F16, BF16 nor F8_E8M0");
    if (!zx_stored_elements(tensor, &elements))
        return zx_foreign_refuse(module, "its scales are too many");
    if (use_blocks(tensor, of, sides, found) || use_scheme(module, tensor, of, found) ||
        use_grid(tensor, of, found))
        return ZMLX_OK;
    *found = (scales){tensor, of.rows, of.columns, 1, 0};
    if (elements == 1) return ZMLX_OK;
    found->high = 1;
    if (of.stack == 0 && tensor->rank == 1 && elements == of.rows) return ZMLX_OK;
    return zx_foreign_refuse(module, "its scales are neither one for each block of "
                                     "'weight_block_size', nor one for each row, nor a single one");
}

static float scale_at(const scales *by, size_t index)
{
    const bool is_float = zx_dtypes[by->tensor->dtype].is_float;
    if (!is_float) return zx_e8m0_to_f32(by->tensor->data[index]);
    return zx_load(by->tensor->dtype, by->tensor->data, index);
}

/* The 256 values of a block, rounded. */
static void fill_table(float scale, uint16_t table[256])
{
    for (unsigned i = 0; i < 256; i++)
        table[i] = zx_f32_to_bf16(zx_e4m3_to_f32((uint8_t)i) * scale);
}

/* Rows [row, stop) of one matrix, all of one row of blocks. */
static void make_blocks(const source *s, size_t matrix, size_t row, size_t stop, uint16_t *to)
{
    const scales *by = &s->scales;
    const size_t columns = s->shape.columns, before = matrix * s->shape.rows;
    uint16_t table[256];
    for (size_t left = 0, right; left < columns; left = right) {
        right = columns - left < by->wide ? columns : left + by->wide;
        fill_table(scale_at(by, matrix * by->each + row / by->high * by->in_row + left / by->wide),
                   table);
        for (size_t at = before + row; at < before + stop; at++)
            for (size_t i = at * columns + left; i < at * columns + right; i++)
                to[i] = table[s->weight->data[i]];
    }
}

static void make_rows(const zx_foreign_job *job, size_t first, size_t end)
{
    const source *s = job->source;
    const size_t rows = s->shape.rows, high = s->scales.high;
    for (size_t at = first, count; at < end; at += count) {
        const size_t matrix = at / rows, row = at % rows, next = (row / high + 1) * high;
        const size_t most = next < rows ? next : rows;
        count = most - row < end - at ? most - row : end - at;
        make_blocks(s, matrix, row, row + count, (uint16_t *)(void *)job->to[0]);
    }
}

/* A matrix, or a stack of them. */
static zmlx_status find_weight(const zx_foreign_module *module, const zx_stored_tensor **weight,
                               zx_foreign_shape *shape)
{
    const zx_stored_tensor *found = zx_foreign_find(module, "weight");
    const bool stacked = found != NULL && found->rank == 3 && found->dtype == ZX_F8_E4M3;
    if (!stacked) ZX_TRY(zx_foreign_matrix(module, "weight", ZX_F8_E4M3, 0, 0, &found));
    const size_t *sides = found->shape + stacked;
    *shape = (zx_foreign_shape){sides[0], sides[1], stacked ? found->shape[0] : 0};
    *weight = found;
    if (sides[0] > 0 && sides[1] > 0 && found->shape[0] > 0) return ZMLX_OK;
    return zx_foreign_refuse(module, "its weight is empty");
}

zmlx_status zx_foreign_plan_fp8(zx_foreign_module *module)
{
    void *memory = NULL;
    ZX_TRY(zx_foreign_take(module, 1, sizeof(source), &memory));
    source *s = memory;
    ZX_TRY(find_weight(module, &s->weight, &s->shape));
    ZX_TRY(find_scales(module, s->shape, &s->scales));
    const size_t matrices = s->shape.stack > 0 ? s->shape.stack : 1;
    zx_foreign_job job = {.rows = matrices * s->shape.rows, .source = s, .run = make_rows};
    ZX_TRY(zx_foreign_put_later(module, "weight", ZX_BF16, s->shape, &job));
    return zx_foreign_add_job(module, &job);
}

static const char *const parts[] = {"weight_scale_inv", "weight_scale",     "weight",
                                    "input_scale",      "activation_scale", NULL};

const zx_foreign_method zx_foreign_fp8 = {.name = "fp8",
                                          .parts = parts,
                                          .keys = 2,
                                          .bare = true,
                                          .check = check,
                                          .plan = zx_foreign_plan_fp8};
