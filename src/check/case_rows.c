/* case_rows.c - how a case of each op is made: one row an op; and shapes from seeds, smaller shapes
 * from shapes, words from shapes. */
#include <stdio.h>
#include <string.h>

#include "check/case.h"

const char *const zx_dim_names[ZX_DIMS] = {"rows",      "units",   "outputs", "kv_heads", "group",
                                           "head_size", "experts", "top_k",   "past"};

const zx_case_format zx_case_formats[] = {
    {ZX_FORMAT_F32, ZX_F32, 32, 1},     {ZX_FORMAT_F16, ZX_F16, 16, 1},
    {ZX_FORMAT_BF16, ZX_BF16, 16, 1},   {ZX_FORMAT_AFFINE, ZX_F16, 4, 32},
    {ZX_FORMAT_AFFINE, ZX_BF16, 4, 64}, {ZX_FORMAT_AFFINE, ZX_F32, 4, 128},
    {ZX_FORMAT_AFFINE, ZX_F16, 2, 64},  {ZX_FORMAT_AFFINE, ZX_BF16, 3, 64},
    {ZX_FORMAT_AFFINE, ZX_F16, 5, 32},  {ZX_FORMAT_AFFINE, ZX_BF16, 6, 64},
    {ZX_FORMAT_AFFINE, ZX_F32, 8, 32},  {ZX_FORMAT_AFFINE, ZX_BF16, 8, 64},
    {ZX_FORMAT_Q4_0, ZX_F32, 4, 32},    {ZX_FORMAT_Q4_1, ZX_F32, 4, 32},
    {ZX_FORMAT_Q8_0, ZX_F32, 8, 32},    {ZX_FORMAT_MXFP4, ZX_BF16, 4, 32},
    {ZX_FORMAT_MXFP8, ZX_BF16, 8, 32},  {ZX_FORMAT_NVFP4, ZX_BF16, 4, 16},
};
const size_t zx_case_format_count = sizeof zx_case_formats / sizeof zx_case_formats[0];

#define FLOATS(width)                                  \
    {                                                  \
        ZX_KIND_FLOATS, ZX_WIDTH_##width, ZX_WIDTH_ONE \
    }
#define SCORES(width)                                  \
    {                                                  \
        ZX_KIND_SCORES, ZX_WIDTH_##width, ZX_WIDTH_ONE \
    }
#define ACTIVATIONS(width)                                  \
    {                                                       \
        ZX_KIND_ACTIVATIONS, ZX_WIDTH_##width, ZX_WIDTH_ONE \
    }
#define INDICES                                       \
    {                                                 \
        ZX_KIND_INDICES, ZX_WIDTH_TOP_K, ZX_WIDTH_ONE \
    }
#define CACHE                                     \
    {                                             \
        ZX_KIND_CACHE, ZX_WIDTH_ONE, ZX_WIDTH_ONE \
    }
#define VECTOR(width)                                  \
    {                                                  \
        ZX_KIND_VECTOR, ZX_WIDTH_##width, ZX_WIDTH_ONE \
    }
#define BIASED                                                \
    {                                                         \
        ZX_KIND_BIASED_VECTOR, ZX_WIDTH_COLUMNS, ZX_WIDTH_ONE \
    }
#define TAPS                                          \
    {                                                 \
        ZX_KIND_TAPS, ZX_WIDTH_COLUMNS, ZX_WIDTH_TAPS \
    }
#define MATRIX(rows)                                      \
    {                                                     \
        ZX_KIND_MATRIX, ZX_WIDTH_COLUMNS, ZX_WIDTH_##rows \
    }
#define MATRICES                                             \
    {                                                        \
        ZX_KIND_MATRICES, ZX_WIDTH_COLUMNS, ZX_WIDTH_OUTPUTS \
    }
#define ROW(id, traits, bits, inputs, ...) \
    {                                      \
        ZX_OP_##id, traits, bits, inputs,  \
        {                                  \
            __VA_ARGS__                    \
        }                                  \
    }
#define IN(...)     \
    {               \
        __VA_ARGS__ \
    }

enum {
    NORM = ZX_BIT_OFFSET | ZX_BIT_WIDE,
    ATTENTION = ZX_BIT_LIMIT | ZX_BIT_WINDOW | ZX_BIT_NARROW,
    EXPERT = ZX_BIT_BIAS | ZX_BIT_OWN_X,
    ROTATION = ZX_BIT_INTERLEAVED | ZX_BIT_NARROW,
};
#define IN_PLACE  ZX_TRAIT_IN_PLACE
#define LAYOUT    ZX_TRAIT_LAYOUT
#define READS     ZX_TRAIT_CACHE
#define APPENDS   (ZX_TRAIT_CACHE | ZX_TRAIT_APPENDS)
#define TURNS     (ZX_TRAIT_ROPE | ZX_TRAIT_LENGTH)
#define ROPE      ZX_TRAIT_ROPE
#define LINEAR    ZX_TRAIT_LINEAR
#define SUMS      ZX_TRAIT_SUMS
#define ACTIVATES ZX_TRAIT_ACTIVATES
#define MIXES     ZX_TRAIT_EXPERTS
#define STATE     ZX_TRAIT_STATE
#define HEADWISE  ZX_TRAIT_HEADS

/* clang-format off */
const zx_case_op zx_case_ops[] = {
    ROW(EMBED, 0, 0, IN({ZX_KIND_IDS, 0, 0}, {ZX_KIND_TABLE, ZX_WIDTH_COLUMNS, ZX_WIDTH_OUTPUTS}), 0),
    ROW(SELECT, ZX_TRAIT_GATHERS | LINEAR, 0, IN(FLOATS(COLUMNS)), 0),
    ROW(CHAIN, ZX_TRAIT_CHAIN, 0, IN(FLOATS(COLUMNS), FLOATS(COLUMNS), VECTOR(COLUMNS)), 0),
    ROW(ADD, IN_PLACE, 0, IN(FLOATS(COLUMNS), FLOATS(COLUMNS)), 0),
    ROW(MUL, IN_PLACE | LINEAR, 0, IN(FLOATS(COLUMNS), FLOATS(COLUMNS)), 0),
    ROW(MUL_ROWS, IN_PLACE | LINEAR, 0, IN(FLOATS(COLUMNS), FLOATS(ONE)), 0),
    ROW(SCALE, IN_PLACE | LINEAR, 0, IN(FLOATS(COLUMNS)), .scale = 0.3F),
    ROW(ACTIVATION, IN_PLACE | ACTIVATES, 0, IN(FLOATS(COLUMNS)), 0),
    ROW(CLAMPED_GLU, IN_PLACE, 0, IN(FLOATS(COLUMNS), FLOATS(COLUMNS)), .limit = 2, .alpha = 1.702F),
    ROW(SOFTCAP, IN_PLACE, 0, IN(FLOATS(COLUMNS)), .limit = 3),
    ROW(RMSNORM, 0, NORM, IN(FLOATS(COLUMNS), VECTOR(COLUMNS)), .epsilon = 1e-5F),
    ROW(HEAD_RMSNORM, HEADWISE, NORM, IN(FLOATS(HEADS), VECTOR(HEAD)), .epsilon = 1e-5F),
    ROW(LAYERNORM, 0, ZX_BIT_OFFSET | ZX_BIT_BIAS,
        IN(FLOATS(COLUMNS), BIASED), .epsilon = 1e-5F),
    ROW(COLUMNS, LINEAR | HEADWISE, 0, IN(FLOATS(HEADS)), 0),
    ROW(JOIN, HEADWISE, ZX_BIT_NARROW, IN(FLOATS(HEADS), FLOATS(HEADS_OF_VALUES)), 0),
    ROW(HEAD_MATMUL, LINEAR, ZX_BIT_TRANSPOSED,
        IN(FLOATS(HEAD_PARTS), {ZX_KIND_TABLE, ZX_WIDTH_COLUMNS, ZX_WIDTH_HEADS}), 0),
    ROW(SOFTMAX, SUMS, 0, IN(FLOATS(COLUMNS)), 0),
    ROW(SIGMOID_SCORES, 0, 0, IN(FLOATS(COLUMNS)), 0),
    ROW(ADD_ROW, 0, 0, IN(SCORES(EXPERTS), {ZX_KIND_SCORE_VECTOR, ZX_WIDTH_EXPERTS, 0}), 0),
    ROW(GROUP_LIMIT, ZX_TRAIT_GROUPED, 0, IN(SCORES(EXPERTS)), 0),
    ROW(TOPK, ZX_TRAIT_CHOOSES, 0, IN(FLOATS(EXPERTS)), 0),
    ROW(GATHER_SCORES, 0, 0, IN(SCORES(EXPERTS), INDICES), 0),
    ROW(NORMALIZE, 0, 0, IN(SCORES(TOP_K)), .epsilon = 1e-20F),
    ROW(EXPERT_MATMUL, MIXES, EXPERT, IN(ACTIVATIONS(EXPERT_X), INDICES, MATRICES), 0),
    ROW(COMBINE, LINEAR, 0, IN(FLOATS(SLOTS), SCORES(TOP_K)), 0),
    ROW(QUANTIZE, LAYOUT, 0, IN(FLOATS(COLUMNS)), 0),
    ROW(MATMUL, LINEAR, ZX_BIT_BIAS, IN(ACTIVATIONS(COLUMNS), MATRIX(OUTPUTS)), 0),
    ROW(ROPE, TURNS | HEADWISE, ROTATION, IN(FLOATS(HEADS)), 0),
    ROW(POSITION_SCALE, IN_PLACE | LINEAR, 0, IN(FLOATS(COLUMNS)), .beta = 0.3F, .period = 7),
    ROW(KV_APPEND, APPENDS, ZX_BIT_NARROW, IN(FLOATS(KEYS), FLOATS(VALUES)), 0),
    ROW(ATTENTION, READS | HEADWISE, ATTENTION, IN(FLOATS(HEADS), CACHE), .limit = 2),
    ROW(ATTENTION_SINKS, READS | HEADWISE, ATTENTION, IN(FLOATS(HEADS), CACHE, VECTOR(HEAD_COUNT)), .limit = 2),
    ROW(HEAD_L2NORM, HEADWISE, 0, IN(FLOATS(HEADS)), .epsilon = 1e-6F),
    ROW(GATED_HEAD_RMSNORM, ACTIVATES | HEADWISE, NORM, IN(FLOATS(HEADS), FLOATS(HEADS), VECTOR(HEAD)), .epsilon = 1e-5F),
    ROW(DECAY, 0, 0, IN(FLOATS(COLUMNS), VECTOR(COLUMNS), VECTOR(COLUMNS)), 0),
    ROW(GATED_DELTA, STATE, ZX_BIT_NARROW,
        IN(SCORES(KEYS), SCORES(KEYS), FLOATS(HEADS_OF_VALUES), SCORES(HEAD_COUNT), FLOATS(HEAD_COUNT)), 0),
    ROW(SHORT_CONV, STATE, ZX_BIT_BIAS, IN(FLOATS(COLUMNS), TAPS), 0),
    ROW(SHORT_CONV_ACTIVATION, STATE | ACTIVATES, ZX_BIT_BIAS, IN(FLOATS(COLUMNS), TAPS), 0),
    ROW(SHORT_CONV_GATED, STATE, ZX_BIT_BIAS, IN(FLOATS(COLUMNS), FLOATS(COLUMNS), TAPS, FLOATS(COLUMNS)), 0),
    ROW(GLU, IN_PLACE | ACTIVATES, 0, IN(FLOATS(COLUMNS), FLOATS(COLUMNS)), 0),
    ROW(GLU_QUANTIZE, LAYOUT | ACTIVATES, 0, IN(FLOATS(COLUMNS), FLOATS(COLUMNS)), 0),
    ROW(ADD_RMSNORM, 0, NORM, IN(FLOATS(COLUMNS), FLOATS(COLUMNS), VECTOR(COLUMNS)), .epsilon = 1e-5F),
    ROW(RMSNORM_QUANTIZE, LAYOUT, NORM, IN(FLOATS(COLUMNS), VECTOR(COLUMNS)), .epsilon = 1e-5F),
    ROW(ADD_RMSNORM_QUANTIZE, LAYOUT, NORM, IN(FLOATS(COLUMNS), FLOATS(COLUMNS), VECTOR(COLUMNS)),
        .epsilon = 1e-5F),
    ROW(LAYERNORM_QUANTIZE, LAYOUT, ZX_BIT_OFFSET | ZX_BIT_BIAS,
        IN(FLOATS(COLUMNS), BIASED), .epsilon = 1e-5F),
    ROW(ADD_LAYERNORM, 0, ZX_BIT_OFFSET | ZX_BIT_BIAS,
        IN(FLOATS(COLUMNS), FLOATS(COLUMNS), BIASED), .epsilon = 1e-5F),
    ROW(ADD_LAYERNORM_QUANTIZE, LAYOUT, ZX_BIT_OFFSET | ZX_BIT_BIAS,
        IN(FLOATS(COLUMNS), FLOATS(COLUMNS), BIASED), .epsilon = 1e-5F),
    ROW(RMSNORM_ADD, 0, NORM, IN(FLOATS(COLUMNS), VECTOR(COLUMNS), FLOATS(COLUMNS)), .epsilon = 1e-5F),
    ROW(RMSNORM_ADD_RMSNORM, 0, NORM,
        IN(FLOATS(COLUMNS), VECTOR(COLUMNS), FLOATS(COLUMNS), VECTOR(COLUMNS)), .epsilon = 1e-5F),
    ROW(RMSNORM_ADD_RMSNORM_QUANTIZE, LAYOUT, NORM,
        IN(FLOATS(COLUMNS), VECTOR(COLUMNS), FLOATS(COLUMNS), VECTOR(COLUMNS)), .epsilon = 1e-5F),
    ROW(NORM_ROPE_APPEND, APPENDS | ROPE | HEADWISE, ROTATION | NORM,
        IN(FLOATS(HEADS), VECTOR(HEAD), FLOATS(KEYS), VECTOR(HEAD), FLOATS(VALUES)), .epsilon = 1e-5F),
    ROW(MATMUL_ADD, 0, ZX_BIT_BIAS, IN(ACTIVATIONS(COLUMNS), MATRIX(OUTPUTS), FLOATS(OUTPUTS)), 0),
    ROW(MATMUL_QKV, LINEAR, ZX_BIT_BIAS,
        IN(ACTIVATIONS(COLUMNS), MATRIX(OUTPUTS), MATRIX(FEWER), MATRIX(FEWER)), 0),
    ROW(MATMUL_SOFTCAP, 0, ZX_BIT_BIAS, IN(ACTIVATIONS(COLUMNS), MATRIX(OUTPUTS)), .limit = 3),
    ROW(MATMUL_GLU, ACTIVATES, ZX_BIT_BIAS, IN(ACTIVATIONS(COLUMNS), MATRIX(OUTPUTS), MATRIX(OUTPUTS)), 0),
    ROW(ROPE_APPEND, APPENDS | TURNS | HEADWISE, ROTATION, IN(FLOATS(HEADS), FLOATS(KEYS), FLOATS(VALUES)), 0),
    ROW(ROUTER_SOFTMAX, 0, ZX_BIT_SCALE, IN(FLOATS(EXPERTS)), .scale = 2.5F),
    ROW(ROUTER_SOFTMAX_NORMALIZE, 0, 0, IN(FLOATS(EXPERTS)), .epsilon = 1e-6F),
    ROW(ROUTER_CHOSEN, SUMS | ZX_TRAIT_CHOOSES, 0, IN(FLOATS(EXPERTS)), 0),
    ROW(ROUTER_SIGMOID, 0, ZX_BIT_GROUPS | ZX_BIT_SCALE,
        IN(FLOATS(EXPERTS), {ZX_KIND_SCORE_VECTOR, ZX_WIDTH_EXPERTS, 0}), .epsilon = 1e-6F, .scale = 2.5F),
    ROW(EXPERT_GLU, MIXES | ACTIVATES, EXPERT, IN(ACTIVATIONS(EXPERT_X), INDICES, MATRICES, MATRICES), 0),
    ROW(EXPERT_CLAMPED_GLU, MIXES, EXPERT, IN(ACTIVATIONS(EXPERT_X), INDICES, MATRICES, MATRICES),
        .limit = 1, .alpha = 1.702F),
    ROW(EXPERT_COMBINE, MIXES, EXPERT, IN(ACTIVATIONS(EXPERT_X), INDICES, MATRICES, SCORES(TOP_K)), 0),
    ROW(EXPERT_COMBINE_ADD, MIXES, EXPERT,
        IN(ACTIVATIONS(EXPERT_X), INDICES, MATRICES, SCORES(TOP_K), FLOATS(OUTPUTS)), 0),
};
/* clang-format on */
const size_t zx_case_op_count = sizeof zx_case_ops / sizeof zx_case_ops[0];

const zx_case_op *zx_case_op_of(zx_op op)
{
    for (size_t i = 0; i < zx_case_op_count; i++)
        if (zx_case_ops[i].op == op) return &zx_case_ops[i];
    return NULL;
}

/* Whether the op has an input of one of these kinds. */
static bool has_kind(const zx_case_op *row, zx_case_kind first, zx_case_kind last)
{
    for (size_t i = 0; i < ZX_MAX_INPUTS; i++)
        if (row->inputs[i].kind >= first && row->inputs[i].kind <= last) return true;
    return false;
}

/* Columns that come together: the group of what meets a matrix or ends quantized. */
static size_t unit_of(const zx_case_shape *shape)
{
    const zx_case_op *row = zx_case_op_of(shape->op);
    const bool grouped =
        (row->traits & ZX_TRAIT_LAYOUT) != 0 || has_kind(row, ZX_KIND_TABLE, ZX_KIND_MATRICES);
    return grouped ? zx_case_formats[shape->format].group : 1;
}

size_t zx_case_width(const zx_case_shape *shape, zx_width width)
{
    const size_t *dims = shape->dims, head = dims[ZX_DIM_HEAD_SIZE];
    const size_t columns = dims[ZX_DIM_UNITS] * unit_of(shape);
    const size_t heads = dims[ZX_DIM_KV_HEADS] * dims[ZX_DIM_GROUP];
    const size_t value = (shape->bits & ZX_BIT_NARROW) != 0 ? head / 2 + 1 : head;
    const size_t slots = (shape->bits & ZX_BIT_OWN_X) != 0 ? dims[ZX_DIM_TOP_K] : 1;
    const size_t part = (head - head / 4 + 1) / 2; /* attributes.size */
    const bool transposed = (shape->bits & ZX_BIT_TRANSPOSED) != 0;
    const size_t widths[] = {
        [ZX_WIDTH_ONE] = 1,
        [ZX_WIDTH_COLUMNS] = columns,
        [ZX_WIDTH_OUTPUTS] = dims[ZX_DIM_OUTPUTS],
        [ZX_WIDTH_FEWER] = dims[ZX_DIM_OUTPUTS] / 2 + 1,
        [ZX_WIDTH_HEAD_COUNT] = heads,
        [ZX_WIDTH_HEAD] = head,
        [ZX_WIDTH_HEADS] = heads * head,
        [ZX_WIDTH_HEADS_OF_VALUES] = heads * value,
        [ZX_WIDTH_KEYS] = dims[ZX_DIM_KV_HEADS] * head,
        [ZX_WIDTH_VALUES] = dims[ZX_DIM_KV_HEADS] * value,
        [ZX_WIDTH_HEAD_PARTS] = heads * (transposed ? part : columns),
        [ZX_WIDTH_EXPERTS] = dims[ZX_DIM_EXPERTS],
        [ZX_WIDTH_TOP_K] = dims[ZX_DIM_TOP_K],
        [ZX_WIDTH_TAPS] = dims[ZX_DIM_TOP_K] + 1,
        [ZX_WIDTH_SLOTS] = dims[ZX_DIM_TOP_K] * columns,
        [ZX_WIDTH_EXPERT_X] = slots * columns,
    };
    return widths[width];
}

void zx_case_fit(zx_case_shape *shape)
{
    const zx_case_op *row = zx_case_op_of(shape->op);
    size_t *const dims = shape->dims;
    for (size_t i = 0; i < ZX_DIM_PAST; i++) dims[i] = dims[i] > 0 ? dims[i] : 1;
    if (dims[ZX_DIM_TOP_K] > dims[ZX_DIM_EXPERTS]) dims[ZX_DIM_TOP_K] = dims[ZX_DIM_EXPERTS];
    shape->bits &= row->bits;
    const zx_case_format *format = &zx_case_formats[shape->format];
    const zx_weight weight = {
        .format = format->format, .bits = format->bits, .group = format->group};
    if ((row->traits & ZX_TRAIT_LAYOUT) != 0 &&
        zx_weight_layout(&weight, shape->precision).planes == 0) {
        shape->format = 3;
        shape->precision = ZX_PRECISION_Q16;
    }
    if ((row->traits & ZX_TRAIT_ROPE) != 0 && dims[ZX_DIM_HEAD_SIZE] == 1)
        dims[ZX_DIM_HEAD_SIZE] = 2;
}

/* One of some sizes, most of them near what kernels cut at. */
static size_t pick(uint64_t *state, const size_t *sizes, size_t count)
{
    return sizes[zx_fill_random(state) % count];
}

#define PICK(state, ...)                       \
    pick(state, (const size_t[]){__VA_ARGS__}, \
         sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t))

zx_case_shape zx_case_shape_of(zx_op op, uint64_t seed)
{
    static const zx_dtype dtypes[] = {ZX_F32, ZX_F16, ZX_BF16};
    static const zx_precision precisions[] = {ZX_PRECISION_F32, ZX_PRECISION_Q16, ZX_PRECISION_Q8};
    uint64_t state = seed * 64 + (uint64_t)op;
    zx_case_shape shape = {.op = op, .seed = seed};
    shape.dtype = dtypes[zx_fill_random(&state) % 3];
    shape.other_dtype = dtypes[zx_fill_random(&state) % 3];
    shape.format = (size_t)(zx_fill_random(&state) % zx_case_format_count);
    shape.precision = precisions[zx_fill_random(&state) % 3];
    shape.activation = (zx_activation)(1 + zx_fill_random(&state) % (ZX_ACTIVATION_COUNT - 1));
    const uint64_t fill =
        zx_fill_random(&state) % ((uint64_t)2 * ZX_FILLS); /* half of them random values */
    shape.fill = fill < ZX_FILLS ? (zx_fill)fill : ZX_FILL_RANDOM;
    shape.bits = (uint32_t)zx_fill_random(&state) & ZX_BITS;
    const bool grouped = unit_of(&shape) > 1;
    size_t *const dims = shape.dims;
    dims[ZX_DIM_ROWS] = PICK(&state, 1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33);
    dims[ZX_DIM_UNITS] = grouped ? PICK(&state, 1, 2, 3, 4, 5)
                                 : PICK(&state, 1, 2, 7, 15, 16, 17, 31, 33, 64, 100, 257, 520);
    dims[ZX_DIM_OUTPUTS] = PICK(&state, 1, 5, 8, 15, 16, 17, 31, 33, 64, 70);
    dims[ZX_DIM_KV_HEADS] = PICK(&state, 1, 1, 2, 3);
    dims[ZX_DIM_GROUP] = PICK(&state, 1, 2, 3, 4, 7);
    dims[ZX_DIM_HEAD_SIZE] = PICK(&state, 8, 16, 17, 33, 40, 64, 80);
    dims[ZX_DIM_EXPERTS] = PICK(&state, 1, 2, 4, 5, 8, 12, 16, 60);
    dims[ZX_DIM_TOP_K] = PICK(&state, 1, 2, 3, 4, 6);
    dims[ZX_DIM_PAST] = PICK(&state, 0, 1, 31, 62, 63, 64, 65, 130, 515);
    zx_case_fit(&shape);
    return shape;
}

bool zx_case_smaller(const zx_case_shape *shape, size_t index, zx_case_shape *smaller)
{
    *smaller = *shape;
    if (index < ZX_DIMS)
        smaller->dims[index] /= 2;
    else if (index < (size_t)2 * ZX_DIMS)
        smaller->dims[index - ZX_DIMS] -= smaller->dims[index - ZX_DIMS] > 0;
    else if (index + 1 == ZX_CASE_WAYS)
        smaller->fill = ZX_FILL_RANDOM;
    else
        smaller->bits &= ~(UINT32_C(1) << (index - (size_t)2 * ZX_DIMS));
    zx_case_fit(smaller);
    return smaller->bits != shape->bits || smaller->fill != shape->fill ||
           memcmp(smaller->dims, shape->dims, sizeof shape->dims) != 0;
}

/* Which sizes the op's operands follow from. */
static bool uses_dim(const zx_case_op *row, zx_case_shape shape, zx_dim dim)
{
    const size_t before = shape.dims[dim];
    if (dim == ZX_DIM_ROWS) return true;
    if (dim == ZX_DIM_PAST)
        return (row->traits & (ZX_TRAIT_CACHE | ZX_TRAIT_ROPE | ZX_TRAIT_STATE)) != 0;
    for (size_t i = 0; i < ZX_MAX_INPUTS && row->inputs[i].kind != ZX_KIND_NONE; i++) {
        shape.dims[dim] = before;
        const size_t columns = zx_case_width(&shape, row->inputs[i].columns);
        const size_t rows = zx_case_width(&shape, row->inputs[i].rows);
        shape.dims[dim] = before + 64;
        if (columns != zx_case_width(&shape, row->inputs[i].columns) ||
            rows != zx_case_width(&shape, row->inputs[i].rows))
            return true;
    }
    if (dim == ZX_DIM_KV_HEADS || dim == ZX_DIM_GROUP) return (row->traits & ZX_TRAIT_CACHE) != 0;
    if (dim == ZX_DIM_EXPERTS) return (row->traits & ZX_TRAIT_EXPERTS) != 0;
    return dim == ZX_DIM_TOP_K && has_kind(row, ZX_KIND_FLOATS, ZX_KIND_FLOATS) &&
           row->inputs[0].columns == ZX_WIDTH_EXPERTS;
}

void zx_case_describe(const zx_case_shape *shape, char text[ZX_CASE_TEXT])
{
    static const char *const precisions[] = {"default", "f32", "q16", "q8"};
    const zx_case_op *row = zx_case_op_of(shape->op);
    const zx_case_format *format = &zx_case_formats[shape->format];
    int used = snprintf(text, ZX_CASE_TEXT, "%s", zx_dtypes[shape->dtype].name);
    for (size_t dim = 0; dim < ZX_DIMS && used < ZX_CASE_TEXT; dim++) {
        if (!uses_dim(row, *shape, (zx_dim)dim)) continue;
        const bool units = dim == ZX_DIM_UNITS;
        used += snprintf(text + used, (size_t)(ZX_CASE_TEXT - used), ", %s %zu",
                         units ? "columns" : zx_dim_names[dim],
                         shape->dims[dim] * (units ? unit_of(shape) : 1));
    }
    if (unit_of(shape) > 1 || has_kind(row, ZX_KIND_TABLE, ZX_KIND_MATRICES))
        used += snprintf(text + used, (size_t)(ZX_CASE_TEXT - used), ", %s x %s %u-bit g%u %s",
                         precisions[shape->precision], zx_formats[format->format].name,
                         format->bits, format->group, zx_dtypes[format->dtype].name);
    if ((row->traits & ZX_TRAIT_CACHE) != 0)
        used += snprintf(text + used, (size_t)(ZX_CASE_TEXT - used), ", cache %s",
                         zx_dtypes[shape->other_dtype].name);
    if (shape->bits != 0)
        used += snprintf(text + used, (size_t)(ZX_CASE_TEXT - used), ", choices %#x", shape->bits);
    (void)snprintf(text + used, (size_t)(ZX_CASE_TEXT - used), ", %s", zx_fill_names[shape->fill]);
}
