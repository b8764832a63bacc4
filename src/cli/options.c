/* options.c - the option parser.  It knows kinds of values, never a command: everything else comes
 * from rows.
 *
 *     --name VALUE   --name=VALUE   -n VALUE   -nVALUE   -- (only operands follow)
 *
 * Options and operands mix.  The last of a repeated option counts, except in lists. */
#include "cli/options.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const zx_cli_precisions[] = {"default", "f32", "q16", "q8", NULL};
static const char *const dtypes[] = {"default", "f32", "f16", "bf16", NULL};
static const char *const decodes[] = {"canonical", "mlx-cpu", NULL};

const zx_cli_option zx_cli_common_rows[] = {
    {.name = "json",
     .kind = ZX_CLI_FLAG,
     .help = "print one JSON object on stdout and nothing else",
     .offset = offsetof(zx_cli_common, json)},
    {.name = "threads",
     .letter = 't',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "threads to compute with; default: the cores this process may use",
     .offset = offsetof(zx_cli_common, threads),
     .minimum = 1,
     .maximum = 256},
    {.name = "device",
     .kind = ZX_CLI_STRING,
     .argument = "NAME",
     .help = "cpu, cuda, cuda:INDEX, metal or sim",
     .offset = offsetof(zx_cli_common, device),
     .value = "cpu"},
    {.name = "precision",
     .kind = ZX_CLI_CHOICE,
     .argument = "P",
     .help = "how quantized matrices are multiplied; default: q16",
     .offset = offsetof(zx_cli_common, precision),
     .choices = zx_cli_precisions},
    {.name = "quiet",
     .letter = 'q',
     .kind = ZX_CLI_FLAG,
     .help = "no progress, no remarks, no speed line on stderr",
     .offset = offsetof(zx_cli_common, quiet)},
    {.name = "verbose",
     .letter = 'v',
     .kind = ZX_CLI_FLAG,
     .help = "more remarks on stderr",
     .offset = offsetof(zx_cli_common, verbose)},
    {.name = "help",
     .letter = 'h',
     .kind = ZX_CLI_FLAG,
     .help = "print this text",
     .offset = offsetof(zx_cli_common, help)},
    {.name = NULL},
};

const zx_cli_option zx_cli_model_rows[] = {
    {.name = "dtype",
     .kind = ZX_CLI_CHOICE,
     .argument = "T",
     .help = "of activations; default: that of the final norm's weight, f32 for GGUF",
     .offset = offsetof(zx_cli_common, dtype),
     .choices = dtypes},
    {.name = "kv",
     .kind = ZX_CLI_CHOICE,
     .argument = "T",
     .help = "of cached keys and values; default: the activations' where it has 16 bits or the "
             "precision is f32, else f16",
     .offset = offsetof(zx_cli_common, kv),
     .choices = dtypes},
    {.name = "decode",
     .kind = ZX_CLI_CHOICE,
     .argument = "HOW",
     .help = "how affine weights become numbers; mlx-cpu: as MLX's CPU build does",
     .offset = offsetof(zx_cli_common, decode),
     .choices = decodes},
    {.name = NULL},
};

typedef struct parser {
    const zx_command *command;
    char *options; /* the command's struct */
    char *message;
} parser;

typedef struct found {
    const zx_cli_option *row;
    char *target;
} found;

__attribute__((format(printf, 2, 3))) static bool refuse(const parser *state, const char *format,
                                                         ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(state->message, ZX_CLI_MESSAGE_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

/* "a value of at least 0", "a whole number from 1 to 64", ... */
static bool refuse_number(const parser *state, const zx_cli_option *row, const char *text,
                          const char *what)
{
    const char *noun = row->kind == ZX_CLI_REAL ? "a value" : "a whole number";
    const int letters = 60; /* of a value that may be a whole book */
    if (row->maximum > 0)
        return refuse(state, "--%s: '%.*s' %s; expected %s from %g to %.10g", row->name, letters,
                      text, what, noun, row->minimum, row->maximum);
    return refuse(state, "--%s: '%.*s' %s; expected %s of at least %g", row->name, letters, text,
                  what, noun, row->minimum);
}

static bool outside(const zx_cli_option *row, double value)
{
    return value < row->minimum || (row->maximum > 0 && value > row->maximum);
}

static bool parse_whole(const zx_cli_option *row, const char *text, uint64_t *value,
                        const parser *state)
{
    if (*text == '\0' || text[strspn(text, "0123456789")] != '\0')
        return refuse_number(state, row, text, "is not a whole number");
    errno = 0;
    *value = strtoull(text, NULL, 10);
    if (errno != 0) return refuse_number(state, row, text, "is too large");
    return true;
}

static bool parse_flag(const zx_cli_option *row, const char *text, void *target,
                       const parser *state)
{
    (void)row, (void)text, (void)state;
    *(bool *)target = true;
    return true;
}

static bool parse_size(const zx_cli_option *row, const char *text, void *target,
                       const parser *state)
{
    uint64_t value = 0;
    if (!parse_whole(row, text, &value, state)) return false;
    if (value > SIZE_MAX / 2) return refuse_number(state, row, text, "is too large");
    if (outside(row, (double)value)) return refuse_number(state, row, text, "is out of range");
    *(size_t *)target = (size_t)value;
    return true;
}

static bool parse_seed(const zx_cli_option *row, const char *text, void *target,
                       const parser *state)
{
    return parse_whole(row, text, target, state);
}

static bool parse_real(const zx_cli_option *row, const char *text, void *target,
                       const parser *state)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || strspn(text, "0123456789.+-eE") != strlen(text))
        return refuse_number(state, row, text, "is not a number");
    if (outside(row, value) || !isfinite((float)value))
        return refuse_number(state, row, text, "is out of range");
    *(float *)target = (float)value;
    return true;
}

static bool parse_string(const zx_cli_option *row, const char *text, void *target,
                         const parser *state)
{
    (void)row, (void)state;
    *(const char **)target = text;
    return true;
}

static bool parse_list(const zx_cli_option *row, const char *text, void *target,
                       const parser *state)
{
    zx_cli_list *list = target;
    if (*text == '\0') return refuse(state, "--%s: the text is empty", row->name);
    if (list->count == ZX_CLI_LIST_ITEMS)
        return refuse(state, "--%s: given more than %d times", row->name, ZX_CLI_LIST_ITEMS);
    list->items[list->count++] = text;
    return true;
}

static bool parse_choice(const zx_cli_option *row, const char *text, void *target,
                         const parser *state)
{
    char known[128] = "";
    for (int i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], text) == 0) {
            *(int *)target = i;
            return true;
        }
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                       row->choices[i]);
    }
    return refuse(state, "--%s: '%.60s' is not one of %s", row->name, text, known);
}

/* In the order of zx_cli_kind. */
static bool (*const parse_value[])(const zx_cli_option *row, const char *text, void *target,
                                   const parser *state) = {
    parse_flag, parse_size, parse_seed, parse_real, parse_string, parse_list, parse_choice,
};

void zx_cli_each_table(const zx_command *command,
                       bool (*visit)(const zx_cli_table *table, void *user), void *user)
{
    const zx_cli_table common = {zx_cli_common_rows, 0};
    const zx_cli_table model = {zx_cli_model_rows, 0};
    for (size_t i = 0; i < ZX_CLI_TABLES; i++)
        if (command->tables[i].rows != NULL && !visit(&command->tables[i], user)) return;
    if (command->runs_model && !visit(&model, user)) return;
    (void)visit(&common, user);
}

typedef struct search {
    const char *name; /* or NULL: by letter */
    size_t length;
    char letter;
    const zx_cli_option *row;
    size_t offset;
} search;

static bool search_table(const zx_cli_table *table, void *user)
{
    search *wanted = user;
    for (const zx_cli_option *row = table->rows; row->name != NULL; row++) {
        const bool same = wanted->name != NULL
                              ? strlen(row->name) == wanted->length &&
                                    memcmp(row->name, wanted->name, wanted->length) == 0
                              : row->letter == wanted->letter && row->letter != '\0';
        if (!same) continue;
        wanted->row = row;
        wanted->offset = table->offset + row->offset;
        return false;
    }
    return true;
}

enum { MOST_NAMES = 64 };

typedef struct names {
    const char *items[MOST_NAMES];
    size_t count;
} names;

static bool collect_names(const zx_cli_table *table, void *user)
{
    names *all = user;
    for (const zx_cli_option *row = table->rows; row->name != NULL; row++)
        if (all->count < MOST_NAMES) all->items[all->count++] = row->name;
    return true;
}

/* How many letters to change, insert or drop to make one word of the other. */
static size_t distance(const char *a, const char *b)
{
    enum { MOST = 32 };
    const size_t rows = strlen(a);
    const size_t columns = strlen(b);
    if (rows >= MOST || columns >= MOST) return MOST;
    size_t line[MOST];
    for (size_t j = 0; j <= columns; j++) line[j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = line[0];
        line[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            const size_t shorter = (line[j] < line[j - 1] ? line[j] : line[j - 1]) + 1;
            diagonal = line[j];
            line[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return line[columns];
}

const char *zx_cli_closest(const char *word, const char *const *all, size_t count)
{
    const char *best = NULL;
    size_t best_distance = 3; /* more is no typing mistake */
    const size_t length = strlen(word);
    for (size_t i = 0; i < count; i++) {
        const bool begins = length >= 2 && strncmp(all[i], word, length) == 0;
        const bool longer = strlen(all[i]) >= 2 && strncmp(all[i], word, strlen(all[i])) == 0;
        const size_t here = begins || longer ? 1 : distance(word, all[i]);
        if (here >= best_distance || here >= length) continue;
        best = all[i];
        best_distance = here;
    }
    return best;
}

static bool refuse_unknown(const parser *state, const char *name, size_t length)
{
    char word[64];
    (void)snprintf(word, sizeof word, "%.*s", (int)(length < 60 ? length : 60), name);
    names all = {.count = 0};
    zx_cli_each_table(state->command, collect_names, &all);
    const char *close = zx_cli_closest(word, all.items, all.count);
    if (close != NULL) return refuse(state, "unknown option --%s; did you mean --%s?", word, close);
    return refuse(state, "unknown option --%s; 'zmlx %s --help' lists the options", word,
                  state->command->name);
}

/* Without a row where there is none; the message says so. */
static found find_long(const parser *state, const char *name, size_t length)
{
    search wanted = {.name = name, .length = length};
    zx_cli_each_table(state->command, search_table, &wanted);
    if (wanted.row == NULL) (void)refuse_unknown(state, name, length);
    return (found){wanted.row, state->options + wanted.offset};
}

static found find_short(const parser *state, char letter)
{
    search wanted = {.letter = letter};
    zx_cli_each_table(state->command, search_table, &wanted);
    if (wanted.row == NULL)
        (void)refuse(state, "unknown option -%c; 'zmlx %s --help' lists the options", letter,
                     state->command->name);
    return (found){wanted.row, state->options + wanted.offset};
}

/* One option at argv[*index]; leaves *index at its last word. */
static bool take_option(const parser *state, int argc, char **argv, int *index)
{
    const char *word = argv[*index];
    const char *value = NULL;
    const bool is_long = word[1] == '-';
    const char *equals = is_long ? strchr(word, '=') : NULL;
    const size_t length = equals != NULL ? (size_t)(equals - word) - 2 : strlen(word) - 2;
    const found option = is_long ? find_long(state, word + 2, length) : find_short(state, word[1]);
    if (option.row == NULL) return false;
    if (equals != NULL)
        value = equals + 1;
    else if (!is_long && word[2] != '\0')
        value = word + 2;
    const zx_cli_option *row = option.row;
    if (row->kind == ZX_CLI_FLAG && value != NULL)
        return refuse(state, "--%s takes no value", row->name);
    if (row->kind != ZX_CLI_FLAG && value == NULL) {
        if (*index + 1 == argc)
            return refuse(state, "--%s: no value; expected %s", row->name, row->argument);
        value = argv[++*index];
    }
    return parse_value[row->kind](row, value, option.target, state);
}

static bool take_operand(const parser *state, const char *word, const zx_cli_operand **next)
{
    if (*next == NULL || (*next)->name == NULL)
        return refuse(state, "'%.60s' is one operand too many", word);
    *(const char **)(void *)(state->options + (*next)->offset) = word;
    (*next)++;
    return true;
}

static bool apply_default(const zx_cli_table *table, void *user)
{
    const parser *state = user;
    for (const zx_cli_option *row = table->rows; row->name != NULL; row++) {
        if (row->value == NULL) continue;
        const bool valid = parse_value[row->kind](
            row, row->value, state->options + table->offset + row->offset, state);
        assert(valid);
        (void)valid;
    }
    return true;
}

static bool check_required(const zx_cli_table *table, void *user)
{
    parser *state = user;
    for (const zx_cli_option *row = table->rows; row->name != NULL; row++) {
        if (!row->required) continue;
        assert(row->kind == ZX_CLI_STRING);
        const char *const *value = (const void *)(state->options + table->offset + row->offset);
        if (*value != NULL) continue;
        (void)refuse(state, "--%s %s is missing: %s", row->name, row->argument, row->help);
        return false;
    }
    return true;
}

static bool check_device(const parser *state)
{
    static const char *const known[] = {"cpu", "cuda", "metal", "sim"};
    const char *device = ((const zx_cli_common *)(const void *)state->options)->device;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(device, known[i]) == 0) return true;
    const char *index = device + strlen("cuda:");
    if (strncmp(device, "cuda:", strlen("cuda:")) == 0 && *index != '\0' && strlen(index) < 4 &&
        index[strspn(index, "0123456789")] == '\0')
        return true;
    return refuse(state,
                  "--device: '%.60s' is no device; expected cpu, cuda, cuda:INDEX, metal or sim",
                  device);
}

bool zx_cli_parse(const zx_command *command, int argc, char **argv, void *options,
                  char message[ZX_CLI_MESSAGE_BYTES])
{
    parser state = {command, options, message};
    zx_cli_common *common = options;
    const zx_cli_operand *operand = command->operands;
    bool options_end = false;
    message[0] = '\0';
    zx_cli_each_table(command, apply_default, &state);
    common->command = command->name;
    for (int i = 1; i < argc; i++) {
        const bool is_option = !options_end && argv[i][0] == '-' && argv[i][1] != '\0';
        if (is_option && strcmp(argv[i], "--") == 0)
            options_end = true;
        else if (!(is_option ? take_option(&state, argc, argv, &i)
                             : take_operand(&state, argv[i], &operand)))
            return false;
        if (common->help) return true;
    }
    if (operand != NULL && operand->name != NULL && !operand->optional)
        return refuse(&state, "%s is missing: %s", operand->name, operand->help);
    zx_cli_each_table(command, check_required, &state);
    return message[0] == '\0' && check_device(&state);
}
