/* affine.c - (code - zero) * scale as MLX's code * scale + bias.
 *
 * A zero has at most 9 bits and a scale of 16 bits at most 11: in F32 the bias is exact, and so is
 * code * scale + bias. */
#include <math.h>

#include "base/fail.h"
#include "model/foreign/methods.h"

typedef struct layout {
    size_t group, groups; /* of MLX */
    size_t repeat;        /* so many of them have the scale of one of the file's */
} layout;

/* What a job makes. */
typedef struct source {
    zx_foreign_affine affine;
    layout layout;
    zx_dtype dtype; /* of scales and biases */
} source;

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
    return zx_load(affine->scales->dtype, affine->scales->data,
                   row * affine->row_step + group * affine->group_step);
}

static float bias_at(const zx_foreign_affine *affine, size_t row, size_t group)
{
    const unsigned own = affine->zeros != NULL ? affine->zero_at(affine, row, group) : 0;
    return -(float)(affine->zero + own) * scale_at(affine, row, group);
}

/* Looks at the scales in the order they lie in, which it may be the first to read from the disk. */
static zx_dtype exact_dtype(const zx_foreign_affine *affine)
{
    const zx_dtype dtype = affine->scales->dtype;
    const bool by_row = affine->group_step <= affine->row_step;
    const size_t outer = by_row ? affine->rows : affine->groups;
    const size_t inner = by_row ? affine->groups : affine->rows;
    for (size_t i = 0; i < outer && dtype != ZX_F32; i++)
        for (size_t k = 0; k < inner; k++) {
            const float bias = by_row ? bias_at(affine, i, k) : bias_at(affine, k, i);
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

/* Scales and biases, and codes where they are turned. */
static void make_rows(const zx_foreign_job *job, size_t first, size_t end)
{
    const source *s = job->source;
    const zx_foreign_affine *affine = &s->affine;
    const size_t groups = s->layout.groups, repeat = s->layout.repeat;
    uint8_t *const scales = job->to[job->count - 2], *const biases = job->to[job->count - 1];
    for (size_t row = first; row < end; row++)
        for (size_t group = 0; group < affine->groups; group++) {
            const float scale = scale_at(affine, row, group), bias = bias_at(affine, row, group);
            for (size_t i = 0; i < repeat; i++) {
                zx_store(s->dtype, scales, row * groups + group * repeat + i, scale);
                zx_store(s->dtype, biases, row * groups + group * repeat + i, bias);
            }
        }
    if (affine->turn == NULL) return;
    const size_t bytes = affine->columns * affine->bits / 8;
    affine->turn(affine, first, end, (uint32_t *)(void *)(job->to[0] + first * bytes));
}

zmlx_status zx_foreign_put_affine(zx_foreign_module *module, const zx_foreign_affine *affine)
{
    void *memory = NULL;
    zx_foreign_job job = {.rows = affine->rows, .run = make_rows};
    ZX_TRY(zx_foreign_take(module, 1, sizeof(source), &memory));
    source *s = memory;
    s->affine = *affine;
    ZX_TRY(lay_out(module, affine, &s->layout));
    s->dtype = exact_dtype(affine);
    job.source = s;
    const zx_foreign_shape codes = {affine->rows, affine->columns * affine->bits / 32, 0};
    const zx_foreign_shape groups = {affine->rows, s->layout.groups, 0};
    ZX_TRY(add_settings(module, affine->bits, s->layout.group));
    if (affine->turn == NULL)
        ZX_TRY(zx_foreign_put(module, "weight", ZX_U32, codes, affine->codes->data));
    else
        ZX_TRY(zx_foreign_put_later(module, "weight", ZX_U32, codes, &job));
    ZX_TRY(zx_foreign_put_later(module, "scales", s->dtype, groups, &job));
    ZX_TRY(zx_foreign_put_later(module, "biases", s->dtype, groups, &job));
    return zx_foreign_add_job(module, &job);
}
