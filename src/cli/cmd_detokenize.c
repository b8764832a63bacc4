/* cmd_detokenize.c - token ids to text, printed as it is: no newline is added. */
#include "cli/command.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/run.h"

typedef struct detokenize_options {
    zx_cli_common common;
    const char *model, *ids;
    bool skip_special;
} detokenize_options;

static const zx_cli_operand operands[] = {
    {"MODEL", zx_cli_model_help, offsetof(detokenize_options, model), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "ids",
     .kind = ZX_CLI_STRING,
     .required = true,
     .argument = "1,2,3",
     .help = "the ids with commas between, or @F: the file F holds them",
     .offset = offsetof(detokenize_options, ids)},
    {.name = "skip-special",
     .kind = ZX_CLI_FLAG,
     .help = "leave special tokens out",
     .offset = offsetof(detokenize_options, skip_special)},
    {.name = NULL},
};

static int print_text(const zx_cli_common *common, const zmlx_string *text)
{
    if (common->json)
        return zx_cli_print_json(
            common, json_pack("{s:o}", "text", zx_cli_json_text(text->bytes, text->length)));
    zx_cli_write(text->bytes, text->length);
    return ZX_CLI_OK;
}

static int run_detokenize(const void *raw)
{
    const detokenize_options *options = raw;
    zx_cli_run run = {.common = &options->common};
    zx_cli_ids ids = {0};
    zmlx_string text = {0};
    int code = zx_cli_read_ids(run.common, "--ids", options->ids, &ids);
    if (code == ZX_CLI_OK) code = zx_cli_open_tokenizer(&run, options->model);
    if (code == ZX_CLI_OK) {
        const zmlx_status status = zmlx_tokenizer_decode(run.tokenizer, ids.items, ids.count,
                                                         options->skip_special, &text);
        code = status == ZMLX_OK ? print_text(run.common, &text)
                                 : zx_cli_fail_library(run.common, status);
    }
    zmlx_string_free(&text);
    zx_cli_close(&run);
    zx_cli_ids_free(&ids);
    return code;
}

const zx_command zx_command_detokenize = {
    .name = "detokenize",
    .summary = "turn token ids into text",
    .details = "Prints the text as it is, without a newline of its own; with --json as "
               "{\"text\": \"...\"}.",
    .operands = operands,
    .tables = {{rows, 0}},
    .options_bytes = sizeof(detokenize_options),
    .run = run_detokenize,
};
