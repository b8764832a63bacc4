/* options_test.c - the parser over a table of usages, and every command's own rows. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "cli/options.h"

typedef struct sample {
    zx_cli_common common;
    const char *model, *extra;
    size_t count;
    float heat;
    uint64_t seed;
    zx_cli_list stop;
    const char *out;
    bool raw;
    int form;
} sample;

static const char *const forms[] = {"md", "csv", NULL};

static const zx_cli_option rows[] = {
    {.name = "count",
     .letter = 'n',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "how many",
     .offset = offsetof(sample, count),
     .value = "128",
     .minimum = 1,
     .maximum = 1000},
    {.name = "temp",
     .kind = ZX_CLI_REAL,
     .argument = "T",
     .help = "how hot",
     .offset = offsetof(sample, heat)},
    {.name = "seed",
     .kind = ZX_CLI_SEED,
     .argument = "N",
     .help = "where from",
     .offset = offsetof(sample, seed)},
    {.name = "stop",
     .kind = ZX_CLI_LIST,
     .argument = "TEXT",
     .help = "where to",
     .offset = offsetof(sample, stop)},
    {.name = "out",
     .letter = 'o',
     .kind = ZX_CLI_STRING,
     .required = true,
     .argument = "F",
     .help = "the file",
     .offset = offsetof(sample, out)},
    {.name = "raw", .kind = ZX_CLI_FLAG, .help = "as is", .offset = offsetof(sample, raw)},
    {.name = "output",
     .kind = ZX_CLI_CHOICE,
     .argument = "FORM",
     .help = "which form",
     .offset = offsetof(sample, form),
     .choices = forms},
    {.name = NULL},
};

static const zx_cli_operand operands[] = {
    {"MODEL", "the model", offsetof(sample, model), false},
    {"TEXT", "the text", offsetof(sample, extra), true},
    {.name = NULL},
};

static const zx_command command = {.name = "sample",
                                   .summary = "a command for tests",
                                   .operands = operands,
                                   .tables = {{rows, 0}},
                                   .runs_model = true,
                                   .options_bytes = sizeof(sample)};

enum { MOST_WORDS = 48 };

/* Splits at blanks; "''" is an empty word. */
static bool parse(const char *line, sample *options, char message[ZX_CLI_MESSAGE_BYTES])
{
    static char text[320];
    char *words[MOST_WORDS] = {NULL};
    char *rest = NULL;
    int count = 0;
    (void)snprintf(text, sizeof text, "sample %s", line);
    for (char *word = strtok_r(text, " ", &rest); word != NULL && count < MOST_WORDS;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = strcmp(word, "''") == 0 ? word + 2 : word;
    memset(options, 0, sizeof *options);
    return zx_cli_parse(&command, count, words, options, message);
}

TEST(options_reads_each_kind)
{
    char message[ZX_CLI_MESSAGE_BYTES];
    sample got;
    CHECK(parse("dir -n 7 --temp=0.5 --seed 18446744073709551615 --stop a --stop=b -oF words "
                "--output csv --raw",
                &got, message));
    CHECK(strcmp(got.common.command, "sample") == 0 && strcmp(got.model, "dir") == 0);
    CHECK(strcmp(got.extra, "words") == 0);
    CHECK(got.count == 7 && got.heat > 0.49F && got.heat < 0.51F && got.seed == UINT64_MAX);
    CHECK(got.stop.count == 2 && strcmp(got.stop.items[1], "b") == 0 && got.stop.items[2] == NULL);
    CHECK(strcmp(got.out, "F") == 0 && got.form == 1 && got.raw);
}

TEST(options_apply_defaults)
{
    char message[ZX_CLI_MESSAGE_BYTES];
    sample got;
    CHECK(parse("dir -o F", &got, message));
    CHECK(got.count == 128 && !got.raw && got.form == 0 && got.extra == NULL);
    CHECK(strcmp(got.common.device, "cpu") == 0 && got.common.threads == 0);
    CHECK(got.common.precision == ZMLX_PRECISION_DEFAULT && got.common.kv == ZMLX_DTYPE_DEFAULT);
}

TEST(options_choices_have_the_library_order)
{
    char message[ZX_CLI_MESSAGE_BYTES];
    sample got;
    CHECK(parse("m -o F --precision q8 --kv bf16 --dtype f16 --decode mlx-cpu", &got, message));
    CHECK(got.common.precision == ZMLX_PRECISION_Q8 && got.common.kv == ZMLX_DTYPE_BF16);
    CHECK(got.common.dtype == ZMLX_DTYPE_F16 && got.common.decode == 1);
    CHECK(parse("m -o F --precision q16 --kv f32", &got, message));
    CHECK(got.common.precision == ZMLX_PRECISION_Q16 && got.common.kv == ZMLX_DTYPE_F32);
    CHECK(parse("m -o F --precision f32", &got, message));
    CHECK(got.common.precision == ZMLX_PRECISION_F32);
}

TEST(options_words_after_dashes_are_operands)
{
    char message[ZX_CLI_MESSAGE_BYTES];
    sample got;
    CHECK(parse("-o F dir -- --raw", &got, message));
    CHECK(strcmp(got.extra, "--raw") == 0 && !got.raw);
    CHECK(parse("-o - dir -", &got, message));
    CHECK(strcmp(got.out, "-") == 0 && strcmp(got.extra, "-") == 0);
}

TEST(options_values_may_begin_with_a_dash)
{
    char message[ZX_CLI_MESSAGE_BYTES];
    sample got;
    CHECK(parse("dir -o F --stop --raw", &got, message));
    CHECK(got.stop.count == 1 && strcmp(got.stop.items[0], "--raw") == 0 && !got.raw);
}

TEST(options_help_needs_nothing_else)
{
    char message[ZX_CLI_MESSAGE_BYTES];
    sample got;
    CHECK(parse("--help", &got, message) && got.common.help);
    CHECK(parse("-h", &got, message) && got.common.help);
}

TEST(options_refuse_bad_usage)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"-o F", "MODEL is missing: the model"},
        {"dir", "--out F is missing: the file"},
        {"dir -o", "--out: no value; expected F"},
        {"dir -o F a b", "'b' is one operand too many"},
        {"dir -o F --temp abc", "--temp: 'abc' is not a number; expected a value of at least 0"},
        {"dir -o F --temp nan", "--temp: 'nan' is not a number; expected a value of at least 0"},
        {"dir -o F --temp 1e99", "--temp: '1e99' is out of range; expected a value of at least 0"},
        {"dir -o F --temp -1", "--temp: '-1' is out of range; expected a value of at least 0"},
        {"dir -o F --temp ''", "--temp: '' is not a number; expected a value of at least 0"},
        {"dir -o F -n 0", "--count: '0' is out of range; expected a whole number from 1 to 1000"},
        {"dir -o F -n 1001",
         "--count: '1001' is out of range; expected a whole number from 1 to 1000"},
        {"dir -o F -n 1.5",
         "--count: '1.5' is not a whole number; expected a whole number from 1 to 1000"},
        {"dir -o F -n -1",
         "--count: '-1' is not a whole number; expected a whole number from 1 to 1000"},
        {"dir -o F -n 99999999999999999999",
         "--count: '99999999999999999999' is too large; expected a whole number from 1 to 1000"},
        {"dir -o F --seed 18446744073709551616",
         "--seed: '18446744073709551616' is too large; expected a whole number of at least 0"},
        {"dir -o F --stop ''", "--stop: the text is empty"},
        {"dir -o F --output xml", "--output: 'xml' is not one of md, csv"},
        {"dir -o F --precision q4", "--precision: 'q4' is not one of default, f32, q16, q8"},
        {"dir -o F --raw=1", "--raw takes no value"},
        {"dir -o F --threads 0",
         "--threads: '0' is out of range; expected a whole number from 1 to 256"},
        {"dir -o F --tmep 1", "unknown option --tmep; did you mean --temp?"},
        {"dir -o F --temperature 1", "unknown option --temperature; did you mean --temp?"},
        {"dir -o F --nonsense=1",
         "unknown option --nonsense; 'zmlx sample --help' lists the options"},
        {"dir -o F -x", "unknown option -x; 'zmlx sample --help' lists the options"},
        {"dir -o F --device tpu",
         "--device: 'tpu' is no device; expected cpu, cuda, cuda:INDEX, metal or sim"},
        {"dir -o F --device cuda:",
         "--device: 'cuda:' is no device; expected cpu, cuda, cuda:INDEX, metal or sim"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char message[ZX_CLI_MESSAGE_BYTES];
        sample got;
        CHECK_ON(cases[i].line, !parse(cases[i].line, &got, message));
        CHECK_ON(message, strcmp(message, cases[i].message) == 0);
    }
}

TEST(options_refuse_a_list_that_is_too_long)
{
    char message[ZX_CLI_MESSAGE_BYTES];
    char line[256] = "dir -o F";
    sample got;
    for (int i = 0; i < ZX_CLI_LIST_ITEMS; i++) strcat(line, " --stop x");
    CHECK(parse(line, &got, message) && got.stop.count == ZX_CLI_LIST_ITEMS);
    strcat(line, " --stop x");
    CHECK(!parse(line, &got, message));
    CHECK(strcmp(message, "--stop: given more than 16 times") == 0);
}

TEST(options_closest_word)
{
    static const char *const names[] = {"generate", "chat", "kernels"};
    CHECK(strcmp(zx_cli_closest("generte", names, 3), "generate") == 0);
    CHECK(strcmp(zx_cli_closest("gen", names, 3), "generate") == 0);
    CHECK(zx_cli_closest("quantize", names, 3) == NULL);
    CHECK(zx_cli_closest("x", names, 3) == NULL);
    CHECK(zx_cli_closest("", names, 3) == NULL);
}

static const zx_command *const commands[] = {
    &zx_command_generate,   &zx_command_chat,     &zx_command_logits,     &zx_command_tokenize,
    &zx_command_detokenize, &zx_command_template, &zx_command_perplexity, &zx_command_bench,
    &zx_command_validate,   &zx_command_inspect,  &zx_command_kernels,    &zx_command_patterns,
};

typedef struct seen {
    const char *names[64];
    char letters[64];
    size_t count;
    const zx_command *command;
    const char *fault;
} seen;

static const size_t kind_bytes[] = {sizeof(bool),  sizeof(size_t),       sizeof(uint64_t),
                                    sizeof(float), sizeof(const char *), sizeof(zx_cli_list),
                                    sizeof(int)};

static bool look_at_table(const zx_cli_table *table, void *user)
{
    seen *all = user;
    for (const zx_cli_option *row = table->rows; row->name != NULL; row++) {
        for (size_t i = 0; i < all->count; i++)
            if (strcmp(all->names[i], row->name) == 0 ||
                (row->letter != '\0' && all->letters[i] == row->letter))
                all->fault = row->name;
        if (row->help == NULL || (row->kind == ZX_CLI_FLAG) != (row->argument == NULL) ||
            (row->kind == ZX_CLI_CHOICE) != (row->choices != NULL) ||
            (row->required && row->kind != ZX_CLI_STRING) ||
            table->offset + row->offset + kind_bytes[row->kind] > all->command->options_bytes)
            all->fault = row->name;
        all->names[all->count] = row->name;
        all->letters[all->count++] = row->letter;
    }
    return true;
}

/* No name or letter twice, all within the struct, and the words of the common promise. */
TEST(options_rows_of_every_command)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        seen all = {.command = commands[i]};
        zx_cli_each_table(commands[i], look_at_table, &all);
        CHECK_ON(commands[i]->name, all.fault == NULL && all.count >= 7);
        CHECK_ON(commands[i]->name, commands[i]->options_bytes <= ZX_CLI_OPTION_BYTES &&
                                        commands[i]->summary != NULL && commands[i]->run != NULL);
    }
}
