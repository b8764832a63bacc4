/* weights.c - a module's tensors as one weight: dense, quantized by MLX, or GGUF's blocks. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "model/checkpoint.h"

enum { NAME_BYTES = 320, AFFINE_BITS = 4 }; /* bits where a config does not say */

/* The mode's name in config.json, and what it fixes. */
static const struct {
    const char *name;
    zx_format format;
} modes[] = {
    {"affine", ZX_FORMAT_AFFINE},
    {"mxfp4", ZX_FORMAT_MXFP4},
    {"mxfp8", ZX_FORMAT_MXFP8},
    {"nvfp4", ZX_FORMAT_NVFP4},
};

typedef struct quantization {
    bool given; /* false: inferred from the shapes */
    bool off;   /* "MODULE": false */
    int64_t bits, group;
    const char *mode;
} quantization;

static zmlx_status tensor_name(const char *module, const char *suffix, char name[NAME_BYTES])
{
    const int length = snprintf(name, NAME_BYTES, "%s.%s", module, suffix);
    if (length < NAME_BYTES) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the module name '%.64s...' is too long", module);
}

/* The tensor MODULE.SUFFIX, or NULL. */
static const zx_stored_tensor *find(const zx_checkpoint *checkpoint, const char *module,
                                    const char *suffix)
{
    char name[NAME_BYTES];
    const int length = snprintf(name, sizeof name, "%s.%s", module, suffix);
    return length < NAME_BYTES ? zx_checkpoint_find(checkpoint, name) : NULL;
}

static zmlx_status tensor_error(const zx_stored_tensor *tensor, const char *expected)
{
    char is[ZX_SHAPE_TEXT], shown[ZX_SHOWN_NAME];
    return ZX_FAIL(ZMLX_ERROR_SHAPE, "%s: tensor '%s' is %s; expected %s", tensor->path,
                   zx_shown_name(tensor->name, tensor->name_length, shown),
                   zx_stored_describe(tensor, is), expected);
}

/* Fails unless the tensor has this shape ('columns' 0: [rows] alone; 'stack' not 0: so many of
 * these matrices) and one of the dtypes that 'types' speaks of. */
static zmlx_status check_tensor(const zx_stored_tensor *tensor, bool type_fits, const char *types,
                                size_t stack, size_t rows, size_t columns)
{
    const size_t all[] = {stack, rows, columns};
    const size_t *shape = stack > 0 ? all : all + 1;
    const unsigned rank = 1u + (stack > 0) + (columns > 0);
    char expected[128];
    const bool flat = stack == 0 && rows == 1 && columns > 0 && tensor->rank == 1 &&
                      tensor->shape[0] == columns; /* GGUF leaves out dimensions of 1 */
    bool fits = (tensor->rank == rank || flat) && type_fits;
    size_t used = (size_t)snprintf(expected, sizeof expected, "%s [", types);
    for (unsigned i = 0; i < rank; i++) {
        fits = fits && (flat || tensor->shape[i] == shape[i]);
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%zu",
                                 i > 0 ? ", " : "", shape[i]);
    }
    (void)snprintf(expected + used, sizeof expected - used, "]");
    return fits ? ZMLX_OK : tensor_error(tensor, expected);
}

static bool is_float(const zx_stored_tensor *tensor)
{
    return tensor->dtype < ZX_DTYPE_COUNT && zx_dtypes[tensor->dtype].is_float;
}

/* The settings of one object of the config. */
static zmlx_status read_settings(const zx_fields *fields, quantization *settings)
{
    settings->given = true;
    ZX_TRY(zx_fields_integer(fields, "bits", 1, 64, &settings->bits));
    ZX_TRY(zx_fields_integer(fields, "group_size", 1, 65536, &settings->group));
    return zx_fields_string(fields, "mode", &settings->mode);
}

/* What the config says about the module: the global settings, or its own. */
static zmlx_status find_settings(const zx_checkpoint *checkpoint, const char *module,
                                 quantization *settings)
{
    const zx_fields config = zx_checkpoint_fields(checkpoint);
    zx_fields all = {0}, own = {0};
    const char *method = NULL;
    *settings = (quantization){.mode = "affine"};
    ZX_TRY(zx_fields_object(&config, "quantization", &all));
    if (all.object == NULL) ZX_TRY(zx_fields_object(&config, "quantization_config", &all));
    if (all.object == NULL) return ZMLX_OK;
    ZX_TRY(zx_fields_string(&all, "quant_method", &method));
    if (method != NULL && strcmp(method, "mxfp4") == 0 && !zx_fields_have(&all, "bits")) {
        *settings = (quantization){.given = true, .bits = 4, .group = 32, .mode = "mxfp4"};
        return ZMLX_OK;
    }
    ZX_TRY(read_settings(&all, settings));
    const json_t *override = json_object_get(all.object, module);
    if (override == NULL || json_is_true(override)) return ZMLX_OK;
    settings->off = json_is_false(override);
    if (settings->off) return ZMLX_OK;
    ZX_TRY(zx_fields_object(&all, module, &own));
    if (own.object == NULL) return ZMLX_OK;
    *settings = (quantization){.mode = "affine"}; /* as MLX: nothing comes from the global ones */
    return read_settings(&own, settings);
}

size_t zx_checkpoint_bits(const zx_checkpoint *checkpoint, const char *name)
{
    quantization settings;
    if (find_settings(checkpoint, name, &settings) != ZMLX_OK || !settings.given || settings.off)
        return 0;
    if (settings.bits > 0) return (size_t)settings.bits;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, settings.mode) == 0)
            return modes[i].format == ZX_FORMAT_AFFINE ? AFFINE_BITS
                                                       : zx_formats[modes[i].format].bits;
    return 0;
}

/* Bits and group from the shapes, mode from what is there, where no config says them. */
static void infer_settings(const zx_stored_tensor *codes, const zx_stored_tensor *scales,
                           bool has_biases, size_t columns, quantization *settings)
{
    if (settings->given || codes->rank < 2 || scales->rank < 2 || columns == 0) return;
    const size_t words = codes->shape[codes->rank - 1], groups = scales->shape[scales->rank - 1];
    settings->bits = (int64_t)(words * 32 / columns);
    settings->group = groups > 0 ? (int64_t)(columns / groups) : 0;
    if (has_biases) return;
    settings->mode = settings->bits == 8 ? "mxfp8" : settings->group == 16 ? "nvfp4" : "mxfp4";
}

static zmlx_status settings_error(const zx_stored_tensor *tensor, const quantization *settings,
                                  const char *what)
{
    char shown[ZX_SHOWN_NAME];
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: tensor '%s': mode '%.32s', %jd bits, group size %jd: %s",
                   tensor->path, zx_shown_name(tensor->name, tensor->name_length, shown),
                   settings->mode, (intmax_t)settings->bits, (intmax_t)settings->group, what);
}

/* Format, bits and group of the weight; what the mode fixes is taken from its row. */
static zmlx_status apply_settings(const zx_stored_tensor *codes, quantization *settings,
                                  zx_weight *weight)
{
    size_t i = 0;
    while (i < sizeof modes / sizeof *modes && strcmp(modes[i].name, settings->mode) != 0) i++;
    if (i == sizeof modes / sizeof *modes)
        return settings_error(codes, settings, "modes are affine, mxfp4, mxfp8 and nvfp4");
    const zx_format_traits *traits = &zx_formats[modes[i].format];
    const bool free_form = modes[i].format == ZX_FORMAT_AFFINE;
    if (settings->bits == 0) settings->bits = free_form ? AFFINE_BITS : traits->bits;
    if (settings->group == 0) settings->group = free_form ? 64 : traits->group;
    const bool bits = free_form ? settings->bits >= 2 && settings->bits <= 8 && settings->bits != 7
                                : settings->bits == traits->bits;
    const bool group =
        free_form ? settings->group == 32 || settings->group == 64 || settings->group == 128
                  : settings->group == traits->group;
    if (!bits || !group) return settings_error(codes, settings, "the mode has no such form");
    if (weight->columns % (size_t)settings->group != 0)
        return settings_error(codes, settings, "the group does not divide the columns");
    weight->format = modes[i].format;
    weight->bits = (uint8_t)settings->bits;
    weight->group = (uint16_t)settings->group;
    return ZMLX_OK;
}

/* A bias per output row, or of a vector per element. */
static zmlx_status attach_bias(const zx_checkpoint *checkpoint, const char *module, size_t stack,
                               zx_weight *weight)
{
    const zx_stored_tensor *bias = find(checkpoint, module, "bias");
    if (bias == NULL) return ZMLX_OK;
    const size_t count = weight->rows == 1 ? weight->columns : weight->rows;
    ZX_TRY(check_tensor(bias, is_float(bias), "F32, F16 or BF16", stack, count, 0));
    weight->bias = bias->data;
    weight->bias_dtype = bias->dtype;
    return ZMLX_OK;
}

/* Codes, scales and biases of MLX. */
static zmlx_status quantized_weight(const zx_checkpoint *checkpoint, const char *module,
                                    size_t stack, const zx_stored_tensor *codes,
                                    const zx_stored_tensor *scales, zx_weight *weight)
{
    quantization settings;
    char name[NAME_BYTES];
    const zx_stored_tensor *biases = find(checkpoint, module, "biases");
    ZX_TRY(find_settings(checkpoint, module, &settings));
    infer_settings(codes, scales, biases != NULL, weight->columns, &settings);
    ZX_TRY(apply_settings(codes, &settings, weight));
    const bool affine = weight->format == ZX_FORMAT_AFFINE;
    const size_t groups = zx_weight_groups(weight);
    ZX_TRY(check_tensor(codes, codes->dtype == ZX_U32, "U32", stack, weight->rows,
                        weight->columns * weight->bits / 32));
    const bool bytes =
        scales->dtype == ZX_U8 || scales->dtype == ZX_F8_E8M0 || scales->dtype == ZX_F8_E4M3;
    ZX_TRY(check_tensor(scales, affine ? is_float(scales) : bytes,
                        affine ? "F32, F16 or BF16" : "U8", stack, weight->rows, groups));
    weight->dtype = affine ? scales->dtype : ZX_F32;
    weight->codes = codes->data;
    weight->codes_stride = weight->columns * weight->bits / 8;
    weight->scales = scales->data;
    weight->scales_stride = groups * zx_dtypes[scales->dtype].bytes;
    if (!affine) return ZMLX_OK;
    if (biases == NULL) {
        ZX_TRY(tensor_name(module, "biases", name));
        return zx_checkpoint_missing(checkpoint, name);
    }
    ZX_TRY(check_tensor(biases, biases->dtype == scales->dtype,
                        zx_dtypes[scales->dtype].safetensors, stack, weight->rows, groups));
    weight->biases = biases->data;
    return ZMLX_OK;
}

/* Dense rows or GGUF's blocks; 'columns' 0 where the tensor is a vector of 'rows'. */
static zmlx_status plain_weight(const zx_stored_tensor *tensor, size_t stack, size_t rows,
                                size_t columns, zx_weight *weight)
{
    char shown[ZX_SHOWN_NAME];
    const bool known = tensor->format != ZX_FORMAT_COUNT;
    const bool vector = columns == 0;
    if (!known && tensor->dtype == ZX_DTYPE_COUNT)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                       "%s: tensor '%s' has the type %s, which is not read; F32, F16, BF16, Q4_0, "
                       "Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS and MXFP4 are",
                       tensor->path, zx_shown_name(tensor->name, tensor->name_length, shown),
                       tensor->type);
    ZX_TRY(check_tensor(tensor, known && (!vector || is_float(tensor)), "F32, F16 or BF16", stack,
                        rows, columns));
    const bool blocks = tensor->dtype == ZX_DTYPE_COUNT;
    weight->format = tensor->format;
    weight->dtype = blocks ? ZX_F32 : tensor->dtype;
    weight->bits = zx_formats[tensor->format].bits;
    weight->group = zx_formats[tensor->format].group;
    weight->codes = tensor->data;
    weight->codes_stride = zx_weight_row_bytes(weight);
    return ZMLX_OK;
}

static zmlx_status no_weight(const zx_checkpoint *checkpoint, const char *module)
{
    char name[NAME_BYTES];
    ZX_TRY(tensor_name(module, "weight", name));
    return zx_checkpoint_missing(checkpoint, name);
}

/* One matrix, or a stack of them. */
static zmlx_status load(const zx_checkpoint *checkpoint, const char *name, size_t stack,
                        zx_weight *weight)
{
    quantization settings;
    const zx_stored_tensor *codes = find(checkpoint, name, "weight");
    const zx_stored_tensor *scales = find(checkpoint, name, "scales");
    if (codes == NULL) return no_weight(checkpoint, name);
    if (scales != NULL) ZX_TRY(find_settings(checkpoint, name, &settings));
    if (scales != NULL && !settings.off)
        ZX_TRY(quantized_weight(checkpoint, name, stack, codes, scales, weight));
    else
        ZX_TRY(plain_weight(codes, stack, weight->rows, weight->columns, weight));
    ZX_TRY(attach_bias(checkpoint, name, stack, weight));
    return zx_weight_check(weight);
}

zmlx_status zx_checkpoint_weight(const zx_checkpoint *checkpoint, const char *name, size_t rows,
                                 size_t columns, zx_weight *weight)
{
    *weight = (zx_weight){.count = 1, .rows = rows, .columns = columns};
    return load(checkpoint, name, 0, weight);
}

zmlx_status zx_checkpoint_stack(const zx_checkpoint *checkpoint, const char *name, size_t count,
                                size_t rows, size_t columns, zx_weight *weight)
{
    *weight = (zx_weight){.count = count, .rows = rows, .columns = columns};
    return load(checkpoint, name, count, weight);
}

zmlx_status zx_checkpoint_vector(const zx_checkpoint *checkpoint, const char *name, size_t columns,
                                 zx_weight *weight)
{
    const zx_stored_tensor *tensor = find(checkpoint, name, "weight");
    if (tensor == NULL) tensor = zx_checkpoint_find(checkpoint, name); /* sinks, router biases */
    *weight = (zx_weight){.count = 1, .rows = 1, .columns = columns};
    if (tensor == NULL) return no_weight(checkpoint, name);
    ZX_TRY(plain_weight(tensor, 0, columns, 0, weight));
    ZX_TRY(attach_bias(checkpoint, name, 0, weight));
    return zx_weight_check(weight);
}

bool zx_stored_is_mlx_conv(const zx_stored_tensor *tensor)
{
    return tensor->rank == 3 && tensor->shape[2] == 1 && tensor->shape[1] > 1;
}

static zmlx_status floats_of(const zx_checkpoint *checkpoint, const zx_stored_tensor *tensor,
                             size_t count, zx_arena *arena, float **values)
{
    void *memory = NULL;
    const uint8_t *from = NULL;
    ZX_TRY(zx_checkpoint_values(checkpoint, tensor, &from));
    ZX_TRY(zx_arena_alloc(arena, count * sizeof(float), &memory));
    *values = memory;
    for (size_t i = 0; i < count; i++) (*values)[i] = zx_load(tensor->dtype, from, i);
    return ZMLX_OK;
}

zmlx_status zx_checkpoint_conv(const zx_checkpoint *checkpoint, const char *name, size_t columns,
                               size_t taps, zx_arena *arena, zx_weight *weight)
{
    float *bias = NULL, *values = NULL;
    void *memory = NULL;
    const zx_stored_tensor *tensor = find(checkpoint, name, "weight");
    if (tensor == NULL) return no_weight(checkpoint, name);
    const bool mlx = zx_stored_is_mlx_conv(tensor);
    ZX_TRY(check_tensor(tensor, is_float(tensor), "F32, F16 or BF16",
                        tensor->rank == 2 ? 0 : columns,
                        tensor->rank == 2 ? columns
                        : mlx             ? taps
                                          : 1,
                        tensor->rank != 2 && mlx ? 1 : taps));
    ZX_TRY(floats_of(checkpoint, tensor, columns * taps, arena, &values));
    ZX_TRY(zx_arena_alloc(arena, columns * taps * sizeof(float), &memory));
    float *const turned = memory;
    for (size_t i = 0; i < columns * taps; i++) turned[i % taps * columns + i / taps] = values[i];
    *weight = (zx_weight){.format = ZX_FORMAT_F32,
                          .dtype = ZX_F32,
                          .bits = zx_formats[ZX_FORMAT_F32].bits,
                          .group = zx_formats[ZX_FORMAT_F32].group,
                          .count = 1,
                          .rows = taps,
                          .columns = columns,
                          .codes = (const uint8_t *)turned,
                          .codes_stride = columns * sizeof(float)};
    const zx_stored_tensor *given = find(checkpoint, name, "bias");
    if (given == NULL) return ZMLX_OK;
    ZX_TRY(check_tensor(given, is_float(given), "F32, F16 or BF16", 0, columns, 0));
    ZX_TRY(floats_of(checkpoint, given, columns, arena, &bias));
    weight->bias = bias;
    weight->bias_dtype = ZX_F32;
    return ZMLX_OK;
}
