/* cmd_quantize.c - a model with quantized weights, as mlx-lm's convert -q would write it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/conversion.h"
#include "cli/output.h"

enum { MOST_RULES = 256 };

typedef struct quantize_options {
    zx_cli_common common;
    zx_cli_conversion what;
    size_t bits, group;
    int mode, recipe;
    zx_cli_list overrides;
    const char *override_file;
} quantize_options;

/* By zmlx_quantization, but for the first. */
static const char *const modes[] = {"affine", "mxfp4", "mxfp8", "nvfp4", NULL};
static const char *const recipes[] = {"none",      "mixed_2_6", "mixed_3_4",
                                      "mixed_3_6", "mixed_4_6", NULL};

static const zx_cli_operand operands[] = {
    {"SRC", zx_cli_source_help, offsetof(quantize_options, what.source), false},
    {"DST", zx_cli_target_help, offsetof(quantize_options, what.target), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "bits",
     .letter = 'b',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "of a code: 2, 3, 4, 5, 6 or 8; default: 4, for mxfp8 8",
     .offset = offsetof(quantize_options, bits),
     .maximum = 8},
    {.name = "group",
     .letter = 'g',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "columns that share a scale: 32, 64 or 128; default: 64, for the fp modes theirs",
     .offset = offsetof(quantize_options, group),
     .maximum = 128},
    {.name = "mode",
     .letter = 'm',
     .kind = ZX_CLI_CHOICE,
     .argument = "M",
     .help = "how codes stand for values",
     .offset = offsetof(quantize_options, mode),
     .choices = modes},
    {.name = "recipe",
     .kind = ZX_CLI_CHOICE,
     .argument = "R",
     .help = "few bits for most matrices and more for some, as mlx-lm's recipe of that name",
     .offset = offsetof(quantize_options, recipe),
     .choices = recipes},
    {.name = "override",
     .kind = ZX_CLI_LIST,
     .argument = "GLOB=BITS[:GROUP[:MODE]]",
     .help = "for modules of such names, '*' and '?' being any; GLOB=keep leaves them as they are",
     .offset = offsetof(quantize_options, overrides)},
    {.name = "overrides",
     .kind = ZX_CLI_STRING,
     .argument = "F.json",
     .help = "the same as {\"GLOB\": {\"bits\", \"group_size\", \"mode\"}}, false to keep",
     .offset = offsetof(quantize_options, override_file)},
    {.name = "shard-mib",
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "the most that a file of weights holds, in MiB",
     .offset = offsetof(quantize_options, what.shard_mib),
     .value = "5120",
     .minimum = 1,
     .maximum = 1 << 30},
    {.name = NULL},
};

typedef struct rule_list {
    zmlx_module_rule items[MOST_RULES];
    size_t count;
    char patterns[16 * 1024]; /* of the option's texts, cut off at their '=' */
    size_t used;
    json_t *document; /* of the file */
} rule_list;

static zmlx_quantization mode_of(const char *name)
{
    for (int i = 0; modes[i] != NULL; i++)
        if (strcmp(modes[i], name) == 0) return (zmlx_quantization)(i + 1);
    return ZMLX_QUANTIZATION_NONE;
}

/* "BITS[:GROUP[:MODE]]" or "keep" */
static bool read_value(const char *text, zmlx_module_rule *rule)
{
    char *end = NULL;
    rule->mode = ZMLX_QUANTIZATION_NONE;
    if (strcmp(text, "keep") == 0) return true;
    rule->bits = strtoul(text, &end, 10);
    rule->mode = ZMLX_QUANTIZATION_AFFINE;
    if (end == text || rule->bits == 0) return false;
    if (*end == 0) return true;
    if (*end != ':') return false;
    text = end + 1;
    rule->group = strtoul(text, &end, 10);
    if (end == text || rule->group == 0) return false;
    if (*end == 0) return true;
    rule->mode = *end == ':' ? mode_of(end + 1) : ZMLX_QUANTIZATION_NONE;
    return rule->mode != ZMLX_QUANTIZATION_NONE;
}

static int add_option(const zx_cli_common *common, const char *text, rule_list *rules)
{
    const char *equals = strrchr(text, '=');
    zmlx_module_rule rule = {0};
    const size_t length = equals != NULL ? (size_t)(equals - text) : 0;
    if (length == 0 || !read_value(equals + 1, &rule))
        return zx_cli_fail(common, ZMLX_ERROR_ARGUMENT,
                           "--override: '%.80s' is not GLOB=BITS[:GROUP[:MODE]] or GLOB=keep",
                           text);
    if (rules->count == MOST_RULES || rules->used + length + 1 > sizeof rules->patterns)
        return zx_cli_fail(common, ZMLX_ERROR_ARGUMENT, "--override: too many");
    rule.pattern = rules->patterns + rules->used;
    memcpy(rules->patterns + rules->used, text, length);
    rules->patterns[rules->used + length] = 0;
    rules->used += length + 1;
    rules->items[rules->count++] = rule;
    return ZX_CLI_OK;
}

/* A member of the file's object. */
static bool read_member(const char *pattern, const json_t *value, zmlx_module_rule *rule)
{
    const json_t *bits = json_object_get(value, "bits");
    const json_t *group = json_object_get(value, "group_size");
    const json_t *mode = json_object_get(value, "mode");
    *rule = (zmlx_module_rule){.pattern = pattern, .mode = ZMLX_QUANTIZATION_NONE};
    if (json_is_false(value)) return true;
    if (!json_is_object(value) || (mode != NULL && !json_is_string(mode))) return false;
    rule->mode = mode != NULL ? mode_of(json_string_value(mode)) : ZMLX_QUANTIZATION_AFFINE;
    rule->bits = (size_t)json_integer_value(bits);
    rule->group = (size_t)json_integer_value(group);
    return rule->mode != ZMLX_QUANTIZATION_NONE && rule->bits <= 8 && rule->group <= 128;
}

static int add_file(const zx_cli_common *common, const char *path, rule_list *rules)
{
    json_error_t error;
    const char *pattern = NULL;
    json_t *value = NULL;
    rules->document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (rules->document == NULL)
        return zx_cli_fail(common, ZMLX_ERROR_FORMAT, "--overrides: %s: line %d: %s", path,
                           error.line, error.text);
    if (!json_is_object(rules->document))
        return zx_cli_fail(common, ZMLX_ERROR_FORMAT, "--overrides: %s: expected an object", path);
    json_object_foreach(rules->document, pattern, value)
    {
        if (rules->count == MOST_RULES)
            return zx_cli_fail(common, ZMLX_ERROR_FORMAT, "--overrides: %s: more than %d", path,
                               MOST_RULES);
        if (!read_member(pattern, value, &rules->items[rules->count]))
            return zx_cli_fail(common, ZMLX_ERROR_FORMAT,
                               "--overrides: %s: '%.80s' is neither {\"bits\", \"group_size\", "
                               "\"mode\"} nor false",
                               path, pattern);
        rules->count++;
    }
    return ZX_CLI_OK;
}

static int run_quantize(const void *raw)
{
    static rule_list rules; /* large, and a program runs one command */
    const quantize_options *options = raw;
    const zx_cli_common *common = &options->common;
    int code = ZX_CLI_OK;
    for (size_t i = 0; i < options->overrides.count && code == ZX_CLI_OK; i++)
        code = add_option(common, options->overrides.items[i], &rules);
    if (code == ZX_CLI_OK && options->override_file != NULL)
        code = add_file(common, options->override_file, &rules);
    zmlx_convert_options how = {
        .mode = (zmlx_quantization)(options->mode + 1),
        .bits = options->bits,
        .group = options->group,
        .recipe = options->recipe > 0 ? recipes[options->recipe] : NULL,
        .rules = rules.items,
        .rule_count = rules.count,
    };
    if (code == ZX_CLI_OK) code = zx_cli_convert(common, &options->what, &how);
    json_decref(rules.document);
    return code;
}

const zx_command zx_command_quantize = {
    .name = "quantize",
    .summary = "quantize a model's weights into a new MLX folder",
    .details =
        "Writes what 'mlx_lm.convert -q' would: every matrix whose columns the group divides, "
        "embedding\n"
        "and head included, in the bits of mx.quantize; the rest is copied.  What is quantized\n"
        "already stays.  DST appears whole or not at all; an interrupted run goes on where it\n"
        "stopped when it is started again.",
    .operands = operands,
    .tables = {{rows, 0}, {zx_cli_conversion_rows, 0}},
    .options_bytes = sizeof(quantize_options),
    .run = run_quantize,
};
