/* rope_config.c - frequencies by type.
 *
 * Every step stands in f32 where the original is a tensor and in f64 where it is a number of
 * Python's; a number meets a tensor as f32, and 'number / tensor' is number * (1 / tensor). */
#include "model/rope_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

enum { MAX_HEAD = 1 << 16, MAX_LENGTH = 1 << 30 };

static const double two_pi = 6.283185307179586476925286766559;

static const struct {
    const char *name;
    zx_rope_type type;
} types[] = {
    {"default", ZX_ROPE_DEFAULT},
    {"mrope", ZX_ROPE_DEFAULT}, /* of text alone */
    {"linear", ZX_ROPE_LINEAR},
    {"dynamic", ZX_ROPE_DYNAMIC},
    {"llama3", ZX_ROPE_LLAMA3},
    {"yarn", ZX_ROPE_YARN},
    {"deepseek_yarn", ZX_ROPE_YARN},
    {"telechat3-yarn", ZX_ROPE_YARN},
    {"longrope", ZX_ROPE_LONGROPE},
    {"su", ZX_ROPE_LONGROPE},
    {"proportional", ZX_ROPE_PROPORTIONAL},
};

/* Every number that a config may hold, and its range. */
static const struct {
    const char *key;
    size_t offset;
    double least, most;
} numbers[] = {
    {"factor", offsetof(zx_rope_settings, factor), 1e-3, 1e6},
    {"low_freq_factor", offsetof(zx_rope_settings, low_freq_factor), 1e-6, 1e6},
    {"high_freq_factor", offsetof(zx_rope_settings, high_freq_factor), 1e-6, 1e6},
    {"beta_fast", offsetof(zx_rope_settings, beta_fast), 0, 1e6},
    {"beta_slow", offsetof(zx_rope_settings, beta_slow), 0, 1e6},
    {"mscale", offsetof(zx_rope_settings, mscale), 0, 1e6},
    {"mscale_all_dim", offsetof(zx_rope_settings, mscale_all_dim), 0, 1e6},
    {"attention_factor", offsetof(zx_rope_settings, attention_factor), 0, 1e6},
    {"original_max_position_embeddings", offsetof(zx_rope_settings, original_length), 1,
     MAX_LENGTH},
};

static zmlx_status read_type(const zx_fields *rope, zx_rope_type *type)
{
    const char *name = "default";
    ZX_TRY(zx_fields_string(rope, "type", &name)); /* the older word */
    ZX_TRY(zx_fields_string(rope, "rope_type", &name));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, name) != 0) continue;
        *type = types[i].type;
        return ZMLX_OK;
    }
    return ZX_FAIL(
        ZMLX_ERROR_UNSUPPORTED,
        "%s: rope type '%.40s' is not known; known are default, linear, dynamic, llama3, "
        "yarn, longrope and proportional",
        rope->file, name);
}

/* How many dimensions turn: a share of the head, or a number of them.  A proportional rope goes
 * over the whole head, of whose frequencies it keeps a share. */
static zmlx_status read_dims(const zx_fields *config, const zx_fields *rope, size_t head_size,
                             zx_rope_settings *settings)
{
    double share = 1;
    int64_t count = 0;
    if (head_size > MAX_HEAD) return zx_fields_fail(config, "head_dim", "at most 65536");
    ZX_TRY(zx_fields_number(config, "partial_rotary_factor", 1e-6, 1, &share));
    ZX_TRY(zx_fields_number(rope, "partial_rotary_factor", 1e-6, 1, &share));
    ZX_TRY(zx_fields_integer(config, "rotary_dim", 1, (int64_t)head_size, &count));
    size_t *const dims = &settings->dims;
    settings->turns = (size_t)(share * (double)head_size / 2);
    *dims = count > 0 ? (size_t)count : (size_t)((double)head_size * share);
    if (settings->type == ZX_ROPE_PROPORTIONAL) *dims = head_size;
    if (*dims > 0 && *dims % 2 == 0) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: rope turns %zu of a head's %zu dimensions; expected an even number",
                   config->file, *dims, head_size);
}

/* What the type cannot do without. */
static zmlx_status check_needs(const zx_fields *rope, const zx_rope_settings *settings,
                               size_t long_count, size_t short_count)
{
    const bool scales = settings->type == ZX_ROPE_LINEAR || settings->type == ZX_ROPE_DYNAMIC ||
                        settings->type == ZX_ROPE_LLAMA3;
    if (scales && settings->factor == 0) return zx_fields_fail(rope, "factor", "a number");
    if (settings->type == ZX_ROPE_LLAMA3 &&
        !(settings->low_freq_factor < settings->high_freq_factor))
        return zx_fields_fail(rope, "high_freq_factor", "a number above low_freq_factor");
    if (settings->type == ZX_ROPE_YARN && !(settings->theta > 1))
        return zx_fields_fail(rope, "rope_theta", "a number above 1");
    if (settings->type != ZX_ROPE_LONGROPE) return ZMLX_OK;
    if (long_count != settings->dims / 2)
        return zx_fields_fail(rope, "long_factor", "a factor for every two dimensions that turn");
    if (short_count != settings->dims / 2)
        return zx_fields_fail(rope, "short_factor", "a factor for every two dimensions that turn");
    return ZMLX_OK;
}

zmlx_status zx_rope_object(const zx_fields *config, const char *layer_type, zx_fields *rope)
{
    zx_fields older = {config->file, NULL, NULL};
    *rope = (zx_fields){config->file, "rope_parameters", NULL};
    ZX_TRY(zx_fields_object(config, "rope_parameters", rope));
    ZX_TRY(zx_fields_object(config, "rope_scaling", &older));
    if (layer_type != NULL && zx_fields_have(rope, layer_type))
        return zx_fields_object(rope, layer_type, rope);
    if (json_object_size(older.object) > 0) *rope = older;
    return layer_type != NULL ? zx_fields_object(rope, layer_type, rope) : ZMLX_OK;
}

zmlx_status zx_rope_settings_read(const zx_fields *config, const char *layer_type, size_t head_size,
                                  zx_arena *arena, zx_rope_settings *settings)
{
    zx_fields rope;
    size_t long_count = 0, short_count = 0;
    int64_t length = 2048, original = 0;
    *settings = (zx_rope_settings){.file = config->file,
                                   .theta = 10000,
                                   .low_freq_factor = 1,
                                   .high_freq_factor = 4,
                                   .beta_fast = 32,
                                   .beta_slow = 1,
                                   .truncate = true};
    ZX_TRY(zx_rope_object(config, layer_type, &rope));
    ZX_TRY(read_type(&rope, &settings->type));
    ZX_TRY(read_dims(config, &rope, head_size, settings));
    ZX_TRY(zx_fields_number(config, "rope_theta", 1e-3, 1e30, &settings->theta));
    ZX_TRY(zx_fields_number(&rope, "rope_theta", 1e-3, 1e30, &settings->theta));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        ZX_TRY(zx_fields_number(&rope, numbers[i].key, numbers[i].least, numbers[i].most,
                                (double *)(void *)((char *)settings + numbers[i].offset)));
    ZX_TRY(zx_fields_bool(&rope, "truncate", &settings->truncate));
    ZX_TRY(zx_fields_bool(config, "rope_traditional", &settings->interleaved));
    ZX_TRY(zx_fields_integer(config, "max_position_embeddings", 1, MAX_LENGTH, &length));
    ZX_TRY(zx_fields_integer(config, "original_max_position_embeddings", 1, MAX_LENGTH, &original));
    settings->max_length = (double)length;
    if (original > 0) settings->original_length = (double)original;
    if (settings->original_length == 0) settings->original_length = settings->max_length;
    if (settings->beta_fast == 0) settings->beta_fast = 32;
    if (settings->beta_slow == 0) settings->beta_slow = 1;
    ZX_TRY(zx_fields_numbers(&rope, "long_factor", arena, &settings->long_factors, &long_count));
    ZX_TRY(zx_fields_numbers(&rope, "short_factor", arena, &settings->short_factors, &short_count));
    return check_needs(&rope, settings, long_count, short_count);
}

zmlx_status zx_rope_context(const zx_fields *config, size_t *length)
{
    zx_fields rope;
    zx_rope_type type = ZX_ROPE_DEFAULT;
    double factor = 1;
    ZX_TRY(zx_rope_object(config, NULL, &rope));
    ZX_TRY(read_type(&rope, &type));
    if (type != ZX_ROPE_DYNAMIC) return ZMLX_OK;
    ZX_TRY(zx_fields_number(&rope, "factor", 1e-3, 1e6, &factor));
    if (factor > 1) *length = (size_t)fmin((double)*length * factor, MAX_LENGTH);
    return ZMLX_OK;
}

/* base ^ (2i / dims), all in f32. */
static float period(double base, size_t i, size_t dims)
{
    const float exponent = (float)(2 * i) / (float)dims;
    return (float)pow((double)(float)base, (double)exponent);
}

static void build_default(double base, size_t dims, float *frequencies)
{
    for (size_t i = 0; i < dims / 2; i++) frequencies[i] = 1.0F / period(base, i, dims);
}

static void build_llama3(const zx_rope_settings *settings, float *frequencies)
{
    const double low = settings->low_freq_factor, high = settings->high_freq_factor;
    const float factor = (float)settings->factor, length = (float)settings->original_length;
    const float longest = (float)(settings->original_length / low);
    const float shortest = (float)(settings->original_length / high);
    for (size_t i = 0; i < settings->dims / 2; i++) {
        const float frequency = frequencies[i];
        const float wave = 1.0F / frequency * (float)two_pi;
        if (wave > longest) {
            frequencies[i] = frequency / factor;
        } else if (!(wave < shortest)) {
            const float smooth = (1.0F / wave * length - (float)low) / (float)(high - low);
            const float kept = smooth * frequency;
            frequencies[i] = (1.0F - smooth) * frequency / factor + kept;
        }
    }
}

/* The dimension that turns 'rotations' times within the original context. */
static double correction(const zx_rope_settings *settings, double rotations)
{
    return (double)settings->dims * log(settings->original_length / (rotations * two_pi)) /
           (2 * log(settings->theta));
}

static double yarn_magnitude(double factor, double scale)
{
    return factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1;
}

static float build_yarn(const zx_rope_settings *settings, float *frequencies)
{
    const size_t dims = settings->dims;
    const double factor =
        settings->factor > 0 ? settings->factor : settings->max_length / settings->original_length;
    double low = correction(settings, settings->beta_fast);
    double high = correction(settings, settings->beta_slow);
    if (settings->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, (double)dims - 1);
    if (low == high) high += 0.001;
    for (size_t i = 0; i < dims / 2; i++) {
        const float turns = period(settings->theta, i, dims);
        const float ramp = ((float)i - (float)low) / (float)(high - low);
        const float kept = 1.0F - fminf(fmaxf(ramp, 0), 1);
        const float stretched = 1.0F / ((float)factor * turns);
        frequencies[i] = stretched * (1.0F - kept) + 1.0F / turns * kept;
    }
    if (settings->attention_factor > 0) return (float)settings->attention_factor;
    if (settings->mscale > 0 && settings->mscale_all_dim > 0)
        return (float)(yarn_magnitude(factor, settings->mscale) /
                       yarn_magnitude(factor, settings->mscale_all_dim));
    return (float)yarn_magnitude(factor, 1);
}

static void build_proportional(const zx_rope_settings *settings, float *frequencies)
{
    const float factor = settings->factor > 0 ? (float)settings->factor : 1;
    for (size_t i = 0; i < settings->dims / 2; i++)
        frequencies[i] = i < settings->turns ? frequencies[i] / factor : 0;
}

static float build_longrope(const zx_rope_settings *settings, double length, float *frequencies)
{
    const bool extended = length > settings->original_length;
    const float *const factors = extended ? settings->long_factors : settings->short_factors;
    const double factor =
        settings->factor > 0 ? settings->factor : settings->max_length / settings->original_length;
    for (size_t i = 0; i < settings->dims / 2; i++)
        frequencies[i] = 1.0F / (factors[i] * period(settings->theta, i, settings->dims));
    if (settings->attention_factor > 0) return (float)settings->attention_factor;
    if (factor <= 1 || settings->original_length <= 1) return 1;
    return (float)sqrt(1 + log(factor) / log(settings->original_length));
}

/* The length is a tensor there, so each step is rounded to f32; only the exponent is f64. */
static double dynamic_theta(const zx_rope_settings *settings, double length)
{
    const double dims = (double)settings->dims;
    if (length <= settings->max_length || dims <= 2) return settings->theta;
    const float factor = (float)settings->factor;
    const float stretch = factor * (float)length / (float)settings->max_length;
    const double grown = (double)(stretch - (float)(settings->factor - 1));
    const float power = (float)pow(grown, dims / (dims - 2));
    return (double)((float)settings->theta * power);
}

/* Frequencies [dims / 2] and magnitude for sequences of 'length' tokens. */
static void fill(const zx_rope_settings *settings, size_t length, float *frequencies,
                 float *magnitude)
{
    const size_t half = settings->dims / 2;
    const bool dynamic = settings->type == ZX_ROPE_DYNAMIC;
    *magnitude = 1;
    build_default(dynamic ? dynamic_theta(settings, (double)length) : settings->theta,
                  settings->dims, frequencies);
    if (settings->type == ZX_ROPE_LINEAR)
        for (size_t i = 0; i < half; i++) frequencies[i] /= (float)settings->factor;
    if (settings->type == ZX_ROPE_LLAMA3) build_llama3(settings, frequencies);
    if (settings->type == ZX_ROPE_PROPORTIONAL) build_proportional(settings, frequencies);
    if (settings->type == ZX_ROPE_YARN) *magnitude = build_yarn(settings, frequencies);
    if (settings->type == ZX_ROPE_LONGROPE)
        *magnitude = build_longrope(settings, (double)length, frequencies);
    for (size_t i = 0; i < half && settings->divisors != NULL; i++)
        frequencies[i] /= settings->divisors[i];
}

zmlx_status zx_rope_build(const zx_rope_settings *settings, size_t length, zx_arena *arena,
                          zx_rope *rope)
{
    void *memory = NULL;
    const size_t half = settings->dims / 2;
    ZX_TRY(zx_arena_alloc(arena, half * sizeof(float), &memory));
    float *const frequencies = memory;
    float magnitude = 1;
    fill(settings, length, frequencies, &magnitude);
    for (size_t i = 0; i < half; i++)
        if (!isfinite(frequencies[i]))
            return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: rope frequency %zu is not finite",
                           settings->file != NULL ? settings->file : "config", i);
    *rope = (zx_rope){.dims = settings->dims,
                      .interleaved = settings->interleaved,
                      .magnitude = magnitude,
                      .inverse_frequency = frequencies};
    return ZMLX_OK;
}

static void fill_by_length(const void *settings, size_t length, float *frequencies,
                           float *magnitude)
{
    fill(settings, length, frequencies, magnitude);
}

static size_t longrope_shortest(const void *pointer, size_t length)
{
    const zx_rope_settings *settings = pointer;
    return (double)length > settings->original_length ? (size_t)settings->original_length + 1 : 0;
}

static size_t dynamic_shortest(const void *pointer, size_t length)
{
    const zx_rope_settings *settings = pointer;
    return (double)length > settings->max_length ? length : 0;
}

zmlx_status zx_rope_create(const zx_rope_settings *settings, zx_arena *arena, zx_rope *rope)
{
    void *memory = NULL;
    zx_rope longest;
    ZX_TRY(zx_rope_build(settings, 0, arena, rope));
    if (settings->type != ZX_ROPE_DYNAMIC && settings->type != ZX_ROPE_LONGROPE) return ZMLX_OK;
    ZX_TRY(zx_rope_build(settings, MAX_LENGTH, arena, &longest)); /* judges the other factors */
    ZX_TRY(zx_arena_alloc(arena, sizeof *settings, &memory));
    const zx_rope_settings *kept = memcpy(memory, settings, sizeof *settings);
    ZX_TRY(zx_arena_alloc(arena, sizeof *rope->by_length, &memory));
    zx_rope_by_length *rule = memory;
    const bool dynamic = settings->type == ZX_ROPE_DYNAMIC;
    *rule =
        (zx_rope_by_length){kept, dynamic ? dynamic_shortest : longrope_shortest, fill_by_length};
    rope->by_length = rule;
    return ZMLX_OK;
}

/* A factor per frequency among GGUF's tensors; NULL where there is none. */
static zmlx_status read_factors(const zx_checkpoint *checkpoint, const char *module, size_t count,
                                zx_arena *arena, const float **factors)
{
    zx_weight weight;
    void *memory = NULL;
    char name[64];
    (void)snprintf(name, sizeof name, "%s.weight", module);
    if (zx_checkpoint_find(checkpoint, name) == NULL) return ZMLX_OK;
    ZX_TRY(zx_checkpoint_vector(checkpoint, module, count, &weight));
    ZX_TRY(zx_arena_alloc(arena, weight.columns * sizeof(float), &memory));
    zx_formats[weight.format].decode(&weight, 0, 0, weight.columns, memory);
    *factors = memory;
    return ZMLX_OK;
}

/* GGUF keeps llama3's scaling and longrope's as factors among the tensors. */
static zmlx_status read_gguf_factors(const zx_checkpoint *checkpoint, zx_arena *arena,
                                     zx_rope_settings *settings)
{
    const size_t half = settings->dims / 2;
    ZX_TRY(read_factors(checkpoint, "rope_freqs", half, arena, &settings->divisors));
    ZX_TRY(read_factors(checkpoint, "rope_factors_long", half, arena, &settings->long_factors));
    ZX_TRY(read_factors(checkpoint, "rope_factors_short", half, arena, &settings->short_factors));
    if (settings->long_factors == NULL && settings->short_factors == NULL) return ZMLX_OK;
    if (settings->long_factors == NULL)
        return zx_checkpoint_missing(checkpoint, "rope_factors_long.weight");
    if (settings->short_factors == NULL)
        return zx_checkpoint_missing(checkpoint, "rope_factors_short.weight");
    settings->type = ZX_ROPE_LONGROPE;
    return ZMLX_OK;
}

zmlx_status zx_checkpoint_rope_settings(const zx_checkpoint *checkpoint, const char *layer_type,
                                        size_t head_size, zx_arena *arena,
                                        zx_rope_settings *settings)
{
    const zx_fields config = zx_checkpoint_fields(checkpoint);
    ZX_TRY(zx_rope_settings_read(&config, layer_type, head_size, arena, settings));
    if (zx_checkpoint_interleaved_rope(checkpoint)) settings->interleaved = true;
    const bool plain = zx_checkpoint_plain_sliding_rope(checkpoint) && layer_type != NULL &&
                       strcmp(layer_type, "sliding_attention") == 0;
    return zx_checkpoint_is_gguf(checkpoint) && !plain
               ? read_gguf_factors(checkpoint, arena, settings)
               : ZMLX_OK;
}

bool zx_checkpoint_has_theta(const zx_checkpoint *checkpoint, const char *layer_type)
{
    const zx_fields config = zx_checkpoint_fields(checkpoint);
    zx_fields rope;
    if (zx_fields_have(&config, "rope_theta")) return true;
    return zx_rope_object(&config, layer_type, &rope) == ZMLX_OK &&
           zx_fields_have(&rope, "rope_theta");
}

bool zx_checkpoint_has_share(const zx_checkpoint *checkpoint)
{
    const zx_fields config = zx_checkpoint_fields(checkpoint);
    zx_fields rope;
    if (json_object_get(config.object, "partial_rotary_factor") != NULL ||
        zx_fields_have(&config, "rotary_dim"))
        return true;
    return zx_rope_object(&config, NULL, &rope) == ZMLX_OK &&
           zx_fields_have(&rope, "partial_rotary_factor");
}

zmlx_status zx_checkpoint_rope(const zx_checkpoint *checkpoint, size_t head_size, zx_arena *arena,
                               zx_rope *rope)
{
    zx_rope_settings settings;
    ZX_TRY(zx_checkpoint_rope_settings(checkpoint, NULL, head_size, arena, &settings));
    return zx_rope_create(&settings, arena, rope);
}
