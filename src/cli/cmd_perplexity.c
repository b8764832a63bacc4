/* cmd_perplexity.c - how well the model predicts a file, in windows that each start afresh. */
#include "cli/command.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/run.h"

typedef struct perplexity_options {
    zx_cli_common common;
    const char *model, *file;
    size_t window;
    bool no_fuse;
} perplexity_options;

enum { DEFAULT_WINDOW = 1024 };

static const zx_cli_operand operands[] = {
    {"MODEL", zx_cli_model_help, offsetof(perplexity_options, model), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "file",
     .letter = 'f',
     .kind = ZX_CLI_STRING,
     .required = true,
     .argument = "F",
     .help = "the text; '-': standard input",
     .offset = offsetof(perplexity_options, file)},
    {.name = "ctx",
     .letter = 'c',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help =
         "tokens of a window, at most the model's context; a last shorter one counts; default: the "
         "smaller of the model's context and 1024",
     .offset = offsetof(perplexity_options, window),
     .minimum = 2,
     .maximum = 1 << 30},
    {.name = "no-fuse",
     .kind = ZX_CLI_FLAG,
     .help = "run the graph as traced, without fusions",
     .offset = offsetof(perplexity_options, no_fuse)},
    {.name = NULL},
};

static int encode(const zx_cli_run *run, const perplexity_options *options, zmlx_ids *ids)
{
    zx_cli_buffer text = {0};
    int code = zx_cli_read_file(run->common, "--file", options->file, &text);
    if (code == ZX_CLI_OK && text.length == 0)
        code = zx_cli_fail(run->common, ZMLX_ERROR_ARGUMENT,
                           "--file: '%s' is empty; expected a text", options->file);
    if (code == ZX_CLI_OK) code = zx_cli_check_text(run->common, "--file", text.bytes, text.length);
    if (code == ZX_CLI_OK) {
        const zmlx_status status =
            zmlx_tokenizer_encode(run->tokenizer, text.bytes, text.length, true, ids);
        if (status != ZMLX_OK) code = zx_cli_fail_library(run->common, status);
    }
    if (code == ZX_CLI_OK && ids->count < 2)
        code = zx_cli_fail(run->common, ZMLX_ERROR_ARGUMENT,
                           "--file: '%s' holds %zu tokens; expected at least 2", options->file,
                           ids->count);
    zx_cli_buffer_free(&text);
    return code;
}

static int measure(const zx_cli_run *run, const zmlx_ids *ids, size_t window)
{
    zmlx_perplexity result = {0};
    const zmlx_status status =
        zmlx_session_perplexity(run->session, ids->items, ids->count, window, &result);
    if (status != ZMLX_OK) return zx_cli_fail_library(run->common, status);
    if (run->common->json)
        return zx_cli_print_json(
            run->common, json_pack("{s:I, s:I, s:o, s:o, s:I}", "tokens", (json_int_t)result.tokens,
                                   "predicted", (json_int_t)result.predicted, "nll",
                                   zx_cli_json_real(result.nll), "perplexity",
                                   zx_cli_json_real(result.perplexity), "ctx", (json_int_t)window));
    zx_cli_print("perplexity %.6g (nll %.6f; %zu of %zu tokens predicted, windows of %zu)\n",
                 result.perplexity, result.nll, result.predicted, result.tokens, window);
    return ZX_CLI_OK;
}

static size_t window_for(const zx_cli_run *run, const perplexity_options *options)
{
    const size_t most = run->info.context_length;
    if (options->window > 0) return options->window;
    return most > 1 && most < DEFAULT_WINDOW ? most : DEFAULT_WINDOW;
}

static int run_perplexity(const void *raw)
{
    const perplexity_options *options = raw;
    zx_cli_run run = {.common = &options->common};
    zmlx_ids ids = {0};
    int code = zx_cli_open_tokenizer(&run, options->model);
    if (code == ZX_CLI_OK) code = encode(&run, options, &ids);
    if (code == ZX_CLI_OK) code = zx_cli_open_model(&run, options->model);
    const size_t window = window_for(&run, options);
    const size_t longest = ids.count < window ? ids.count : window;
    /* The window as asked for: a short text must not hide that it is too long. */
    if (code == ZX_CLI_OK) code = zx_cli_check_context(&run, "--ctx", options->window);
    const zx_cli_needs needs = {.context = longest, .no_fuse = options->no_fuse};
    if (code == ZX_CLI_OK) code = zx_cli_open_session(&run, &needs);
    if (code == ZX_CLI_OK) code = measure(&run, &ids, longest);
    zmlx_ids_free(&ids);
    zx_cli_close(&run);
    return code;
}

const zx_command zx_command_perplexity = {
    .name = "perplexity",
    .summary = "measure how well the model predicts a text",
    .details =
        "The file is tokenized whole and cut into windows of --ctx tokens, each run from an\n"
        "empty cache; the mean is over the 2nd to last token of every window.",
    .operands = operands,
    .tables = {{rows, 0}},
    .runs_model = true,
    .options_bytes = sizeof(perplexity_options),
    .run = run_perplexity,
};
