/* cmd_template.c - messages rendered by the model's chat template, printed as they are. */
#include <string.h>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/run.h"

typedef struct template_options {
    zx_cli_common common;
    const char *model, *messages, *kwargs;
    bool no_generation_prompt;
} template_options;

static const zx_cli_operand operands[] = {
    {"MODEL", zx_cli_model_help, offsetof(template_options, model), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "messages",
     .letter = 'm',
     .kind = ZX_CLI_STRING,
     .required = true,
     .argument = "F.json",
     .help = "a file that holds {\"messages\": [...], \"tools\": [...], ...}; every further key is "
             "a variable of the template; '-': standard input",
     .offset = offsetof(template_options, messages)},
    {.name = "no-generation-prompt",
     .kind = ZX_CLI_FLAG,
     .help = "without the words that make the model answer",
     .offset = offsetof(template_options, no_generation_prompt)},
    {.name = "kwargs",
     .kind = ZX_CLI_STRING,
     .argument = "JSON",
     .help = "an object whose keys are variables of the template too",
     .offset = offsetof(template_options, kwargs)},
    {.name = NULL},
};

/* The library knows what is wrong but not where it came from: the file and option are ours. */
static int refuse(const zx_cli_run *run, const template_options *options, zmlx_status status)
{
    static const char conversation[] = "conversation: ", kwargs[] = "kwargs: ";
    const char *said = zmlx_error_message();
    if (strncmp(said, conversation, sizeof conversation - 1) == 0)
        return zx_cli_fail(run->common, status, "--messages: '%s': %s", options->messages,
                           said + sizeof conversation - 1);
    if (strncmp(said, kwargs, sizeof kwargs - 1) == 0)
        return zx_cli_fail(run->common, status, "--kwargs: %s", said + sizeof kwargs - 1);
    return zx_cli_fail_library(run->common, status);
}

static int render(const zx_cli_run *run, const template_options *options,
                  const zx_cli_buffer *messages)
{
    const zmlx_template_options how = {.no_generation_prompt = options->no_generation_prompt,
                                       .kwargs = options->kwargs};
    zmlx_string text = {0};
    int code = ZX_CLI_OK;
    const zmlx_status status =
        zmlx_tokenizer_render(run->tokenizer, messages->bytes, messages->length, &how, &text);
    if (status == ZMLX_ERROR_ARGUMENT)
        code = zx_cli_fail_check(run->common, status); /* the template raised */
    else if (status != ZMLX_OK)
        code = refuse(run, options, status);
    else if (run->common->json)
        code = zx_cli_print_json(
            run->common, json_pack("{s:o}", "text", zx_cli_json_text(text.bytes, text.length)));
    else
        zx_cli_write(text.bytes, text.length);
    zmlx_string_free(&text);
    return code;
}

static int run_template(const void *raw)
{
    const template_options *options = raw;
    zx_cli_run run = {.common = &options->common};
    zx_cli_buffer messages = {0};
    int code = zx_cli_read_file(run.common, "--messages", options->messages, &messages);
    if (code == ZX_CLI_OK) code = zx_cli_open_tokenizer(&run, options->model);
    if (code == ZX_CLI_OK && !zmlx_tokenizer_has_template(run.tokenizer))
        code =
            zx_cli_fail(run.common, ZMLX_ERROR_FORMAT, "'%s' has no chat template", options->model);
    if (code == ZX_CLI_OK) code = render(&run, options, &messages);
    zx_cli_close(&run);
    zx_cli_buffer_free(&messages);
    return code;
}

const zx_command zx_command_template = {
    .name = "template",
    .summary = "render messages with the model's chat template",
    .details = "Prints the prompt as it is, without a newline of its own; with --json as\n"
               "{\"text\": \"...\"}.  Exit 1 where the template itself refuses the messages.\n"
               "Members of a message that are null are dropped; reasoning_content, thinking or\n"
               "reasoning is there as the first two.",
    .operands = operands,
    .tables = {{rows, 0}},
    .options_bytes = sizeof(template_options),
    .run = run_template,
};
