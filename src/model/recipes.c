/* recipes.c - as mlx-lm 0.32's convert: a mode for all, its mixed recipes, each model's own wishes;
 * and rules by name, which go before these. */
#include "model/recipes.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "model/mlx_names.h"

typedef struct encoding {
    zx_format format; /* ZX_FORMAT_COUNT: dense */
    size_t bits, group;
    bool named; /* config.json has an entry for the module */
    bool mode;  /* that names the mode */
} encoding;

static const struct {
    const char *name;
    zx_format format;
    size_t bits, group;
} modes[] = {
    [ZMLX_QUANTIZATION_NONE] = {"none", ZX_FORMAT_COUNT, 0, 0},
    [ZMLX_QUANTIZATION_AFFINE] = {"affine", ZX_FORMAT_AFFINE, 4, 64},
    [ZMLX_QUANTIZATION_MXFP4] = {"mxfp4", ZX_FORMAT_MXFP4, 4, 32},
    [ZMLX_QUANTIZATION_MXFP8] = {"mxfp8", ZX_FORMAT_MXFP8, 8, 32},
    [ZMLX_QUANTIZATION_NVFP4] = {"nvfp4", ZX_FORMAT_NVFP4, 4, 16},
};
enum { MODES = sizeof modes / sizeof *modes };

static const struct {
    const char *name;
    size_t low, high;
} recipes[] = {{"mixed_2_6", 2, 6}, {"mixed_3_4", 3, 4}, {"mixed_3_6", 3, 6}, {"mixed_4_6", 4, 6}};
enum { RECIPES = sizeof recipes / sizeof *recipes };

/* -------- options -------- */

static zmlx_status resolve(const char *what, zmlx_quantization mode, size_t bits, size_t group,
                           encoding *made)
{
    if ((unsigned)mode >= MODES)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: mode %d is not known", what, (int)mode);
    *made = (encoding){.format = modes[mode].format,
                       .bits = bits > 0 ? bits : modes[mode].bits,
                       .group = group > 0 ? group : modes[mode].group};
    if (mode == ZMLX_QUANTIZATION_NONE) return ZMLX_OK;
    if (mode != ZMLX_QUANTIZATION_AFFINE) {
        if (made->bits == modes[mode].bits && made->group == modes[mode].group) return ZMLX_OK;
        return ZX_FAIL(
            ZMLX_ERROR_ARGUMENT, "%s: %s has %zu bits in groups of %zu, not %zu in groups of %zu",
            what, modes[mode].name, modes[mode].bits, modes[mode].group, made->bits, made->group);
    }
    if (made->bits < 2 || made->bits > 8 || made->bits == 7)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: affine has 2, 3, 4, 5, 6 or 8 bits, not %zu", what,
                       made->bits);
    if (made->group != 32 && made->group != 64 && made->group != 128)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: affine has groups of 32, 64 or 128, not %zu", what,
                       made->group);
    return ZMLX_OK;
}

static size_t find_recipe(const char *name)
{
    size_t i = 0;
    while (i < RECIPES && strcmp(recipes[i].name, name) != 0) i++;
    return i;
}

zmlx_status zx_recipe_check(const zmlx_convert_options *options)
{
    encoding made;
    const bool quantizes = options->mode != ZMLX_QUANTIZATION_NONE;
    ZX_TRY(resolve("quantization", options->mode, options->bits, options->group, &made));
    for (size_t i = 0; i < options->rule_count; i++)
        ZX_TRY(resolve(options->rules[i].pattern, options->rules[i].mode, options->rules[i].bits,
                       options->rules[i].group, &made));
    if (quantizes && options->dequantize)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "quantize and dequantize exclude each other");
    if (!quantizes && options->rule_count > 0)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "rules for modules need a mode for the others");
    if (options->recipe == NULL) return ZMLX_OK;
    if (find_recipe(options->recipe) == RECIPES)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                       "recipe '%.40s' is not known; expected mixed_2_6, mixed_3_4, mixed_3_6 or "
                       "mixed_4_6",
                       options->recipe);
    if (options->mode != ZMLX_QUANTIZATION_AFFINE)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "recipe '%s' is for the mode affine alone",
                       options->recipe);
    return ZMLX_OK;
}

bool zx_glob_fits(const char *pattern, const char *name)
{
    const char *star = NULL, *behind = NULL; /* the last '*', and how far it reaches */
    while (*name != 0) {
        if (*pattern == '*') {
            star = pattern++;
            behind = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star + 1;
            name = ++behind;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return *pattern == 0;
}

/* -------- one module -------- */

typedef struct chooser {
    const zmlx_convert_options *options;
    const zx_family *family;
    const zx_config *config;
    encoding usual;
    size_t recipe;  /* RECIPES: none */
    size_t segment; /* of a name, where its layer's number stands */
} chooser;

/* The number in the segment of the name that holds layers' numbers; 0 where there is none. */
static size_t layer_of(const char *name, size_t segment)
{
    for (; segment > 0; segment--) {
        name = strchr(name, '.');
        if (name == NULL) return 0;
        name++;
    }
    return *name >= '0' && *name <= '9' ? strtoul(name, NULL, 10) : 0;
}

/* mlx-lm's mixed_quant_predicate: more bits for values and the way down in an eighth of the layers
 * at either end and every third between, and for the head. */
static encoding mixed(const chooser *c, const char *name)
{
    const size_t layers = c->config->layers, index = layer_of(name, c->segment);
    /* Python's remainder is never negative */
    const bool third = (index + 3 * layers - layers / 8) % 3 == 2;
    const bool more = index < layers / 8 || index >= 7 * layers / 8 || third;
    const bool value = strstr(name, "v_proj") != NULL || strstr(name, "v_a_proj") != NULL ||
                       strstr(name, "v_b_proj") != NULL;
    const bool high =
        (more && (value || strstr(name, "down_proj") != NULL)) || strstr(name, "lm_head") != NULL;
    return (encoding){.format = ZX_FORMAT_AFFINE,
                      .bits = high ? recipes[c->recipe].high : recipes[c->recipe].low,
                      .group = c->usual.group,
                      .named = true,
                      .mode = true};
}

static const zmlx_module_rule *find_rule(const zmlx_convert_options *options, const char *name)
{
    for (size_t i = 0; i < options->rule_count; i++)
        if (zx_glob_fits(options->rules[i].pattern, name)) return &options->rules[i];
    return NULL;
}

static zmlx_status choose(const chooser *c, const zx_outgoing *entry, encoding *made)
{
    const zmlx_module_rule *rule = find_rule(c->options, entry->module);
    *made = (encoding){.format = ZX_FORMAT_COUNT};
    if (rule != NULL) {
        ZX_TRY(resolve(rule->pattern, rule->mode, rule->bits, rule->group, made));
        made->named = made->mode = true;
    } else if (entry->columns % c->usual.group != 0) {
        return ZMLX_OK;
    } else if (c->recipe < RECIPES) {
        *made = mixed(c, entry->module);
    } else if (zx_mlx_wants_8_bits(c->family, c->config, entry->module)) {
        *made = (encoding){.format = ZX_FORMAT_AFFINE, .bits = 8, .group = 64, .named = true};
    } else {
        *made = c->usual;
    }
    if (made->format == ZX_FORMAT_COUNT || entry->columns % made->group == 0) return ZMLX_OK;
    zx_log(ZMLX_LOG_WARNING, "%s has %zu columns, no multiple of %zu: it stays dense",
           entry->module, entry->columns, made->group);
    *made = (encoding){.format = ZX_FORMAT_COUNT};
    return ZMLX_OK;
}

/* -------- all of them -------- */

/* mlx-lm takes the segment from the first module of the way down. */
static size_t find_segment(const zx_outgoing_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        size_t segment = 0;
        const char *at = list->items[i].module;
        if (strstr(at, "down_proj") == NULL) continue;
        for (; at != NULL; segment++) {
            if (*at >= '0' && *at <= '9') return segment;
            at = strchr(at, '.');
            at = at != NULL ? at + 1 : NULL;
        }
        return segment - 1; /* Python's loop ends on the last one */
    }
    return SIZE_MAX;
}

static zmlx_status check_use(const zmlx_convert_options *options, const zx_outgoing_list *list,
                             const char *path)
{
    for (size_t i = 0; i < options->rule_count; i++) {
        bool fits = false;
        for (size_t k = 0; k < list->count && !fits; k++)
            fits = list->items[k].matrix &&
                   zx_glob_fits(options->rules[i].pattern, list->items[k].module);
        if (!fits)
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: no matrix has a name like '%s'", path,
                           options->rules[i].pattern);
    }
    return ZMLX_OK;
}

/* The dtype of what is written: of dense values, or of scales and biases. */
static zx_dtype dtype_of(const zx_outgoing *entry, zx_dtype asked, zx_dtype usual)
{
    if (entry->copied < ZX_DTYPE_COUNT) {
        const bool casts =
            asked < ZX_DTYPE_COUNT && entry->to_cast && zx_dtypes[entry->copied].is_float;
        return casts ? asked : entry->copied;
    }
    const bool coded = entry->source.format > ZX_FORMAT_AFFINE;
    if (!entry->to_cast) return coded ? ZX_F32 : entry->source.dtype;
    if (asked < ZX_DTYPE_COUNT) return asked;
    return coded ? usual : entry->source.dtype;
}

/* What is quantized already and stays so: its scales and biases are cast as values, but no bytes.
 */
static void cast_companion(zx_outgoing *entry)
{
    if (entry->dtype == entry->copied) return;
    entry->source.format = entry->copied == ZX_F32   ? ZX_FORMAT_F32
                           : entry->copied == ZX_F16 ? ZX_FORMAT_F16
                                                     : ZX_FORMAT_BF16;
    entry->source.dtype = entry->copied;
    entry->source.bits = zx_formats[entry->source.format].bits;
    entry->source.group = 1;
    entry->copied = ZX_DTYPE_COUNT;
    if (entry->source.matrices == NULL) return;
    zx_weight *matrices = (zx_weight *)(uintptr_t)entry->source.matrices; /* the list's own */
    for (size_t i = 0; i < entry->source.count; i++) {
        matrices[i].format = entry->source.format;
        matrices[i].dtype = entry->source.dtype;
        matrices[i].bits = entry->source.bits;
        matrices[i].group = 1;
    }
}

static zx_dtype asked_dtype(zmlx_dtype dtype)
{
    static const zx_dtype dtypes[] = {[ZMLX_DTYPE_DEFAULT] = ZX_DTYPE_COUNT,
                                      [ZMLX_DTYPE_F32] = ZX_F32,
                                      [ZMLX_DTYPE_F16] = ZX_F16,
                                      [ZMLX_DTYPE_BF16] = ZX_BF16};
    return dtypes[dtype];
}

zmlx_status zx_recipe_apply(const zmlx_convert_options *options, const zx_family *family,
                            const zx_config *config, zx_dtype usual, zx_outgoing_list *list)
{
    chooser c = {.options = options,
                 .family = family,
                 .config = config,
                 .recipe = options->recipe != NULL ? find_recipe(options->recipe) : RECIPES,
                 .segment = find_segment(list)};
    const zx_dtype asked = asked_dtype(options->dtype);
    const bool quantizes = options->mode != ZMLX_QUANTIZATION_NONE;
    ZX_TRY(resolve("quantization", options->mode, options->bits, options->group, &c.usual));
    if (c.recipe < RECIPES && c.segment == SIZE_MAX)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                       "recipe '%s' is for models that have a 'down_proj', which %s has not",
                       options->recipe, family->name);
    if (quantizes && list->count > 0) ZX_TRY(check_use(options, list, family->name));
    for (size_t i = 0; i < list->count; i++) {
        zx_outgoing *entry = &list->items[i];
        encoding made = {.format = ZX_FORMAT_COUNT};
        entry->dtype = dtype_of(entry, asked, usual);
        if (entry->copied < ZX_DTYPE_COUNT) cast_companion(entry);
        if (!quantizes || !entry->matrix || entry->fixed) continue;
        ZX_TRY(choose(&c, entry, &made));
        entry->format = made.format;
        entry->bits = (uint8_t)made.bits;
        entry->group = (uint16_t)made.group;
        entry->named = made.named;
        entry->named_mode = made.mode;
    }
    return ZMLX_OK;
}

/* -------- config.json -------- */

static const char *mode_name(zx_format format)
{
    for (size_t i = 0; i < MODES; i++)
        if (modes[i].format == format) return modes[i].name;
    return "affine";
}

static json_t *describe(zx_format format, size_t bits, size_t group, bool mode)
{
    json_t *object =
        json_pack("{s:I, s:I}", "group_size", (json_int_t)group, "bits", (json_int_t)bits);
    if (mode) (void)json_object_set_new(object, "mode", json_string(mode_name(format)));
    return object;
}

/* The source's own settings, also where they are told as gpt-oss's are. */
static json_t *copy_settings(const json_t *before)
{
    const json_t *method = json_object_get(before, "quant_method");
    if (method != NULL && json_object_get(before, "bits") == NULL)
        return describe(ZX_FORMAT_MXFP4, 4, 32, true);
    return json_deep_copy(before);
}

/* What most modules have, where no mode was asked for. */
static encoding most_common(const zx_outgoing_list *list)
{
    encoding found[16];
    size_t counts[16] = {0}, kinds = 0, best = 0;
    for (size_t i = 0; i < list->count; i++) {
        const zx_outgoing *entry = &list->items[i];
        const encoding made = {.format = entry->format, .bits = entry->bits, .group = entry->group};
        size_t k = 0;
        if (made.format == ZX_FORMAT_COUNT) continue;
        while (k < kinds && (found[k].format != made.format || found[k].bits != made.bits ||
                             found[k].group != made.group))
            k++;
        if (k == sizeof counts / sizeof *counts) continue;
        if (k == kinds) found[kinds++] = made;
        if (++counts[k] > counts[best]) best = k;
    }
    return kinds > 0 ? found[best] : (encoding){.format = ZX_FORMAT_COUNT};
}

zmlx_status zx_recipe_settings(const zmlx_convert_options *options, const zx_outgoing_list *list,
                               const json_t *before, json_t **settings)
{
    const bool partly = list->kept > 0;
    encoding usual;
    bool any = partly, fits = true;
    *settings = NULL;
    ZX_TRY(resolve("quantization", options->mode, options->bits, options->group, &usual));
    for (size_t i = 0; i < list->count; i++) any = any || list->items[i].format != ZX_FORMAT_COUNT;
    if (!any) return ZMLX_OK;
    json_t *object = partly && before != NULL ? copy_settings(before) : NULL;
    const bool own = object == NULL;
    if (usual.format == ZX_FORMAT_COUNT) usual = most_common(list);
    if (own) object = describe(usual.format, usual.bits, usual.group, true);
    for (size_t i = 0; i < list->count; i++) {
        const zx_outgoing *entry = &list->items[i];
        if (entry->format == ZX_FORMAT_COUNT) continue;
        const bool same = entry->format == usual.format && entry->bits == usual.bits &&
                          entry->group == usual.group;
        if (!entry->named && same && own) continue;
        if (entry->fixed && !own) continue;
        fits = fits && json_object_set_new(object, entry->module,
                                           describe(entry->format, entry->bits, entry->group,
                                                    entry->named_mode || !entry->named)) == 0;
    }
    *settings = object;
    if (object != NULL && fits) return ZMLX_OK;
    json_decref(object);
    *settings = NULL;
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "settings of the quantized modules");
}
