/* cmd_tokenize.c - text to token ids, as the model's tokenizer makes them. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/run.h"

typedef struct tokenize_options {
    zx_cli_common common;
    const char *model, *text, *file;
    bool no_special;
} tokenize_options;

static const zx_cli_operand operands[] = {
    {"MODEL", zx_cli_model_help, offsetof(tokenize_options, model), false},
    {"TEXT", "the text; '-' or nothing reads standard input", offsetof(tokenize_options, text),
     true},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "file",
     .letter = 'f',
     .kind = ZX_CLI_STRING,
     .argument = "F",
     .help = "a file that holds the text",
     .offset = offsetof(tokenize_options, file)},
    {.name = "no-special",
     .kind = ZX_CLI_FLAG,
     .help = "without the special tokens that the tokenizer adds around a text; those written in "
             "the text are still found",
     .offset = offsetof(tokenize_options, no_special)},
    {.name = NULL},
};

static int read_text(const tokenize_options *options, zx_cli_buffer *text)
{
    const zx_cli_common *common = &options->common;
    if (options->file != NULL && options->text != NULL)
        return zx_cli_fail(common, ZMLX_ERROR_ARGUMENT, "--file and TEXT exclude each other");
    if (options->file != NULL) return zx_cli_read_file(common, "--file", options->file, text);
    if (options->text == NULL || strcmp(options->text, "-") == 0)
        return zx_cli_read_stdin(common, "TEXT is missing: give a text or --file F", text);
    if (zx_cli_buffer_append(text, options->text, strlen(options->text))) return ZX_CLI_OK;
    return zx_cli_fail(common, ZMLX_ERROR_MEMORY, "the text does not fit in memory");
}

static int print_ids(const zx_cli_common *common, const zmlx_ids *ids)
{
    if (common->json) {
        json_t *array = zx_cli_json_ids(ids->items, ids->count);
        return zx_cli_print_json(common, json_pack("{s:o}", "ids", array));
    }
    zx_cli_print("[");
    for (size_t i = 0; i < ids->count; i++)
        zx_cli_print("%s%d", i > 0 ? ", " : "", (int)ids->items[i]);
    zx_cli_print("]\n");
    return ZX_CLI_OK;
}

static int run_tokenize(const void *raw)
{
    const tokenize_options *options = raw;
    zx_cli_run run = {.common = &options->common};
    zx_cli_buffer text = {0};
    zmlx_ids ids = {0};
    int code = read_text(options, &text);
    if (code == ZX_CLI_OK)
        code = zx_cli_check_text(run.common, options->file != NULL ? "--file" : "TEXT", text.bytes,
                                 text.length);
    if (code == ZX_CLI_OK) code = zx_cli_open_tokenizer(&run, options->model);
    if (code == ZX_CLI_OK) {
        const zmlx_status status = zmlx_tokenizer_encode(run.tokenizer, text.bytes, text.length,
                                                         !options->no_special, &ids);
        code = status == ZMLX_OK ? print_ids(run.common, &ids)
                                 : zx_cli_fail_library(run.common, status);
    }
    zmlx_ids_free(&ids);
    zx_cli_close(&run);
    zx_cli_buffer_free(&text);
    return code;
}

const zx_command zx_command_tokenize = {
    .name = "tokenize",
    .summary = "turn text into token ids",
    .details = "Prints the ids as a JSON array; with --json as {\"ids\": [...]}.",
    .operands = operands,
    .tables = {{rows, 0}},
    .options_bytes = sizeof(tokenize_options),
    .run = run_tokenize,
};
