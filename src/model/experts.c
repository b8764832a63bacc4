#include "model/experts.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"

enum { NAME_BYTES = 320 };

typedef struct search {
    const zx_checkpoint *checkpoint;
    const zx_expert_request *request;
    zx_arena *arena;
    const char *name;    /* below the module; of tensors an expert: below its number */
    zx_weight *matrices; /* [count] where the form describes them one by one */
} search;

typedef zmlx_status (*load_fn)(search *s, zx_weight *weight);

static zmlx_status full_name(const search *s, size_t expert, const char *suffix,
                             char name[NAME_BYTES])
{
    const char *module = s->request->module;
    const int length =
        expert == SIZE_MAX
            ? snprintf(name, NAME_BYTES, "%s.%s%s", module, s->name, suffix)
            : snprintf(name, NAME_BYTES, "%s.experts.%zu.%s%s", module, expert, s->name, suffix);
    if (length < NAME_BYTES) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the module name '%.64s...' is too long", module);
}

static zmlx_status take(const search *s, size_t count, size_t bytes, void **memory)
{
    size_t all;
    if (!zx_multiply_fits(count, bytes, &all))
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: %zu experts of %zu bytes", s->request->module, count,
                       bytes);
    return zx_arena_alloc(s->arena, all, memory);
}

/* -------- a tensor an expert -------- */

static zmlx_status check_alike(const search *s, const zx_weight *first, const zx_weight *other,
                               size_t expert)
{
    if (first->format == other->format && first->dtype == other->dtype &&
        first->bits == other->bits && first->group == other->group)
        return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                   "%s: %s.experts.%zu.%s is %s of %u bits, group %u; expert 0 has %s, %u, %u, and "
                   "all must be alike",
                   zx_checkpoint_path(s->checkpoint), s->request->module, expert, s->name,
                   zx_formats[other->format].name, other->bits, other->group,
                   zx_formats[first->format].name, first->bits, first->group);
}

static zmlx_status load_each(search *s, zx_weight *weight)
{
    const zx_expert_request *request = s->request;
    void *memory = NULL;
    char name[NAME_BYTES];
    ZX_TRY(take(s, request->count, sizeof(zx_weight), &memory));
    zx_weight *const matrices = s->matrices = memory;
    for (size_t i = 0; i < request->count; i++) {
        ZX_TRY(full_name(s, i, "", name));
        ZX_TRY(zx_checkpoint_weight(s->checkpoint, name, request->rows, request->columns,
                                    &matrices[i]));
        ZX_TRY(check_alike(s, &matrices[0], &matrices[i], i));
    }
    *weight = matrices[0];
    weight->count = request->count;
    return ZMLX_OK;
}

/* -------- one tensor for all -------- */

static zmlx_status load_stacked(search *s, zx_weight *weight)
{
    char name[NAME_BYTES];
    ZX_TRY(full_name(s, SIZE_MAX, "", name));
    return zx_checkpoint_stack(s->checkpoint, name, s->request->count, s->request->rows,
                               s->request->columns, weight);
}

/* Gate and up share a tensor: 'parts' of them, of which this is 'part'. */
static size_t parts_of(const zx_expert_request *request)
{
    return request->projection == ZX_PROJECTION_DOWN ? 1 : 2;
}

static size_t part_of(const zx_expert_request *request)
{
    return request->projection == ZX_PROJECTION_UP ? 1 : 0;
}

static zmlx_status find_tensor(const search *s, const char *suffix, const size_t *shape,
                               unsigned rank, const zx_stored_tensor **found)
{
    char name[NAME_BYTES], is[ZX_SHAPE_TEXT], expected[128];
    size_t used = 0;
    ZX_TRY(full_name(s, SIZE_MAX, suffix, name));
    const zx_stored_tensor *tensor = zx_checkpoint_find(s->checkpoint, name);
    if (tensor == NULL) {
        (void)zx_checkpoint_missing(s->checkpoint, name);
        return ZMLX_ERROR_FORMAT;
    }
    bool fits = tensor->rank == rank;
    for (unsigned i = 0; i < rank; i++) {
        fits = fits && tensor->shape[i] == shape[i];
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%zu",
                                 i > 0 ? ", " : "", shape[i]);
    }
    *found = tensor;
    if (fits) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_SHAPE, "%s: tensor '%s' is %s; expected [%s]", tensor->path, name,
                   zx_stored_describe(tensor, is), expected);
}

static zmlx_status wrong_type(const zx_stored_tensor *tensor, const char *expected)
{
    char shown[ZX_SHOWN_NAME], is[ZX_SHAPE_TEXT];
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s' is %s; expected %s", tensor->path,
                   zx_shown_name(tensor->name, tensor->name_length, shown),
                   zx_stored_describe(tensor, is), expected);
}

static bool is_float(const zx_stored_tensor *tensor)
{
    return tensor->dtype < ZX_DTYPE_COUNT && zx_dtypes[tensor->dtype].is_float;
}

/* Biases of gate and up take turns: this part's are copied. */
static zmlx_status load_bias(const search *s, const char *suffix, zx_weight *weight)
{
    const zx_expert_request *request = s->request;
    const size_t parts = parts_of(request), part = part_of(request);
    const zx_stored_tensor *tensor = NULL;
    const uint8_t *values = NULL;
    void *memory = NULL;
    ZX_TRY(find_tensor(s, suffix, (size_t[]){request->count, parts * request->rows}, 2, &tensor));
    if (!is_float(tensor)) return wrong_type(tensor, "F32, F16 or BF16");
    ZX_TRY(zx_checkpoint_values(s->checkpoint, tensor, &values));
    const size_t count = request->count * request->rows, bytes = zx_dtypes[tensor->dtype].bytes;
    ZX_TRY(take(s, count, bytes, &memory));
    for (size_t i = 0; i < count; i++)
        memcpy((char *)memory + i * bytes, values + (i * parts + part) * bytes, bytes);
    weight->bias = memory;
    weight->bias_dtype = tensor->dtype;
    return ZMLX_OK;
}

static void set_dense(const zx_stored_tensor *tensor, zx_weight *weight)
{
    weight->format = tensor->format;
    weight->dtype = tensor->dtype == ZX_DTYPE_COUNT ? ZX_F32 : tensor->dtype; /* GGUF's blocks */
    weight->bits = zx_formats[tensor->format].bits;
    weight->group = zx_formats[tensor->format].group;
    weight->codes_stride = zx_weight_row_bytes(weight);
}

/* [E, C, parts * N] becomes [E, N, C] of this part. */
static zmlx_status load_transposed(const search *s, const zx_stored_tensor *tensor,
                                   zx_weight *weight)
{
    const zx_expert_request *request = s->request;
    const size_t rows = request->rows, columns = request->columns;
    const size_t parts = parts_of(request), part = part_of(request);
    const size_t bytes = zx_dtypes[tensor->dtype].bytes;
    const uint8_t *values = NULL;
    void *memory = NULL;
    ZX_TRY(zx_checkpoint_values(s->checkpoint, tensor, &values));
    ZX_TRY(take(s, request->count, rows * columns * bytes, &memory));
    char *to = memory;
    weight->codes = memory;
    for (size_t expert = 0; expert < request->count; expert++)
        for (size_t row = 0; row < rows; row++) {
            const uint8_t *from =
                values + (expert * columns * parts * rows + row * parts + part) * bytes;
            for (size_t i = 0; i < columns; i++, to += bytes, from += parts * rows * bytes)
                memcpy(to, from, bytes);
        }
    return load_bias(s, "_bias", weight);
}

/* [E, parts * N, C]: rows of gate before those of up. */
static zmlx_status load_together(search *s, zx_weight *weight)
{
    const zx_expert_request *request = s->request;
    const size_t parts = parts_of(request), all = parts * request->rows;
    const size_t plain[] = {request->count, all, request->columns};
    const size_t turned[] = {request->count, request->columns, all};
    const zx_stored_tensor *tensor = NULL;
    void *memory = NULL;
    ZX_TRY(find_tensor(s, "", request->transposed ? turned : plain, 3, &tensor));
    if (tensor->format == ZX_FORMAT_COUNT || (request->transposed && !is_float(tensor)))
        return wrong_type(tensor, "F32, F16 or BF16");
    set_dense(tensor, weight);
    if (request->transposed) return load_transposed(s, tensor, weight);
    ZX_TRY(take(s, request->count, sizeof(zx_weight), &memory));
    zx_weight *const matrices = s->matrices = memory;
    for (size_t i = 0; i < request->count; i++) {
        matrices[i] = *weight;
        matrices[i].count = 1;
        matrices[i].codes =
            tensor->data + (i * all + part_of(request) * request->rows) * weight->codes_stride;
    }
    weight->codes = matrices[0].codes;
    return ZMLX_OK;
}

/* MXFP4 with rows of gate and up that take turns: every second row from the first on, or from the
 * second. */
static zmlx_status load_blocks(search *s, zx_weight *weight)
{
    const zx_expert_request *request = s->request;
    const size_t parts = parts_of(request), part = part_of(request), all = parts * request->rows;
    const size_t group = zx_formats[ZX_FORMAT_MXFP4].group, groups = request->columns / group;
    const zx_stored_tensor *codes = NULL, *scales = NULL;
    if (request->columns % group != 0)
        return ZX_FAIL(ZMLX_ERROR_SHAPE, "%s: %s.%s: %zu columns are no multiple of %zu",
                       zx_checkpoint_path(s->checkpoint), request->module, s->name,
                       request->columns, group);
    ZX_TRY(
        find_tensor(s, "_blocks", (size_t[]){request->count, all, groups, group / 2}, 4, &codes));
    ZX_TRY(find_tensor(s, "_scales", (size_t[]){request->count, all, groups}, 3, &scales));
    if (codes->dtype != ZX_U8) return wrong_type(codes, "U8");
    if (scales->dtype != ZX_U8 && scales->dtype != ZX_F8_E8M0) return wrong_type(scales, "U8");
    weight->format = ZX_FORMAT_MXFP4;
    weight->dtype = ZX_F32;
    weight->bits = zx_formats[ZX_FORMAT_MXFP4].bits;
    weight->group = (uint16_t)group;
    weight->codes = codes->data + part * zx_weight_row_bytes(weight);
    weight->codes_stride = parts * zx_weight_row_bytes(weight);
    weight->scales = scales->data + part * groups;
    weight->scales_stride = parts * groups;
    return load_bias(s, "_bias", weight);
}

/* -------- the forms -------- */

static const struct {
    const char *names[3];
    const char *suffix; /* of the tensor that shows that a module has this form */
    bool each;
    load_fn load;
} forms[] = {
    {{"gate_proj", "up_proj", "down_proj"}, ".weight", true, load_each},
    {{"w1", "w3", "w2"}, ".weight", true, load_each},
    {{"switch_mlp.gate_proj", "switch_mlp.up_proj", "switch_mlp.down_proj"},
     ".weight",
     false,
     load_stacked},
    {{"experts.gate_proj", "experts.up_proj", "experts.down_proj"}, ".weight", false, load_stacked},
    {{"experts.switch_glu.gate_proj", "experts.switch_glu.up_proj", "experts.switch_glu.down_proj"},
     ".weight",
     false,
     load_stacked},
    {{"experts.gate_up_proj", "experts.gate_up_proj", "experts.down_proj"},
     "_blocks",
     false,
     load_blocks},
    {{"experts.gate_up_proj", "experts.gate_up_proj", "experts.down_proj"},
     "",
     false,
     load_together},
    {{"input_linear.weight", "input_linear.weight", "output_linear.weight"},
     "",
     false,
     load_together},
};

enum { GGUF_FORM = 3 };

/* Vectors may lie at any byte of a file; kernels read them as arrays. */
static zmlx_status align_bias(const search *s, zx_weight *weight)
{
    const size_t bytes = zx_dtypes[weight->bias_dtype].bytes, count = weight->count * weight->rows;
    void *memory = NULL;
    if (weight->bias == NULL || (uintptr_t)weight->bias % bytes == 0) return ZMLX_OK;
    ZX_TRY(take(s, count, bytes, &memory));
    weight->bias = memcpy(memory, weight->bias, count * bytes);
    return ZMLX_OK;
}

static zmlx_status finish(search *s, zx_weight *weight)
{
    weight->matrices = s->matrices;
    if (s->matrices == NULL) {
        ZX_TRY(align_bias(s, weight));
        return zx_weight_check(weight);
    }
    for (size_t i = 0; i < weight->count; i++) {
        ZX_TRY(align_bias(s, &s->matrices[i]));
        ZX_TRY(zx_weight_check(&s->matrices[i]));
    }
    return ZMLX_OK;
}

zmlx_status zx_checkpoint_experts(const zx_checkpoint *checkpoint, const zx_expert_request *request,
                                  zx_arena *arena, zx_weight *weight)
{
    char name[NAME_BYTES];
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        search s = {checkpoint, request, arena, forms[i].names[request->projection], NULL};
        ZX_TRY(full_name(&s, forms[i].each ? 0 : SIZE_MAX, forms[i].suffix, name));
        if (zx_checkpoint_find(checkpoint, name) == NULL) continue;
        *weight = (zx_weight){
            .count = request->count, .rows = request->rows, .columns = request->columns};
        ZX_TRY(forms[i].load(&s, weight));
        return finish(&s, weight);
    }
    const size_t form = zx_checkpoint_is_gguf(checkpoint) ? GGUF_FORM : 0; /* the usual one */
    const search usual = {checkpoint, request, arena, forms[form].names[request->projection], NULL};
    ZX_TRY(full_name(&usual, forms[form].each ? 0 : SIZE_MAX, forms[form].suffix, name));
    return zx_checkpoint_missing(checkpoint, name);
}
