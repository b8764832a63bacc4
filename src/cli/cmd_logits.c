/* cmd_logits.c - the logits after every token of a list, into a safetensors file. */
#include <string.h>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/run.h"
#include "cli/tensor_file.h"

typedef struct logits_options {
    zx_cli_common common;
    const char *model, *tokens, *out;
    size_t chunk;
    bool no_fuse;
} logits_options;

static const zx_cli_operand operands[] = {
    {"MODEL", zx_cli_model_help, offsetof(logits_options, model), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "tokens",
     .kind = ZX_CLI_STRING,
     .required = true,
     .argument = "1,2,3",
     .help = "the ids with commas between, or @F: the file F holds them",
     .offset = offsetof(logits_options, tokens)},
    {.name = "out",
     .letter = 'o',
     .kind = ZX_CLI_STRING,
     .required = true,
     .argument = "F.safetensors",
     .help = "the file to write: \"logits\" f32 [tokens, vocabulary], row i follows token i",
     .offset = offsetof(logits_options, out)},
    {.name = "chunk",
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "feed N tokens at a time; 0: all at once",
     .offset = offsetof(logits_options, chunk),
     .value = "0",
     .maximum = 1 << 30},
    {.name = "no-fuse",
     .kind = ZX_CLI_FLAG,
     .help = "run the graph as traced, without fusions",
     .offset = offsetof(logits_options, no_fuse)},
    {.name = NULL},
};

typedef struct sink {
    zx_cli_tensor_file file;
    size_t columns;
    int code;
} sink;

static zmlx_status on_logits(size_t first, size_t count, const float *logits, void *user)
{
    sink *to = user;
    (void)first; /* rows come in order */
    to->code = zx_cli_tensor_file_write(&to->file, logits, count * to->columns);
    if (to->code == ZX_CLI_OK && zx_cli_interrupted()) to->code = ZX_CLI_INTERRUPTED;
    return to->code == ZX_CLI_OK ? ZMLX_OK : ZMLX_ERROR_IO;
}

static int compute(const zx_cli_run *run, const logits_options *options, const zx_cli_ids *ids,
                   sink *to)
{
    int code = zx_cli_tensor_file_header(&to->file, "logits", ids->count, to->columns);
    if (code != ZX_CLI_OK) return code;
    zx_cli_catch_interrupt(); /* a temporary file is to be removed */
    const zmlx_status status =
        zmlx_session_logits(run->session, ids->items, ids->count, options->chunk, on_logits, to);
    if (to->code != ZX_CLI_OK) return to->code; /* said already */
    return status == ZMLX_OK ? ZX_CLI_OK : zx_cli_fail_library(run->common, status);
}

static int print_result(const zx_cli_common *common, const char *out, size_t count, size_t columns)
{
    if (common->json)
        return zx_cli_print_json(
            common, json_pack("{s:o, s:I, s:I}", "out", zx_cli_json_text(out, strlen(out)),
                              "tokens", (json_int_t)count, "vocabulary", (json_int_t)columns));
    zx_cli_print("%s: logits f32 [%zu, %zu]\n", out, count, columns);
    return ZX_CLI_OK;
}

static int run_logits(const void *raw)
{
    const logits_options *options = raw;
    zx_cli_run run = {.common = &options->common};
    zx_cli_ids ids = {0};
    sink to = {.code = ZX_CLI_OK};
    int code = zx_cli_read_ids(run.common, "--tokens", options->tokens, &ids);
    if (code == ZX_CLI_OK && ids.count == 0)
        code = zx_cli_fail(run.common, ZMLX_ERROR_ARGUMENT,
                           "--tokens: the list is empty; expected at least one id");
    /* Before the work, so that an unwritable path costs nothing. */
    if (code == ZX_CLI_OK)
        code = zx_cli_tensor_file_create(run.common, "--out", options->out, &to.file);
    if (code == ZX_CLI_OK) code = zx_cli_open_model(&run, options->model);
    if (code == ZX_CLI_OK) code = zx_cli_check_context(&run, "--tokens", ids.count);
    const zx_cli_needs needs = {
        .context = ids.count,
        .chunk = options->chunk < ids.count ? options->chunk : 0,
        .no_fuse = options->no_fuse,
    };
    if (code == ZX_CLI_OK) code = zx_cli_open_session(&run, &needs);
    to.columns = run.info.vocabulary;
    if (code == ZX_CLI_OK) code = compute(&run, options, &ids, &to);
    const int closed = zx_cli_tensor_file_close(&to.file, code == ZX_CLI_OK);
    if (code == ZX_CLI_OK) code = closed;
    if (code == ZX_CLI_OK) code = print_result(run.common, options->out, ids.count, to.columns);
    zx_cli_close(&run);
    zx_cli_ids_free(&ids);
    return code;
}

const zx_command zx_command_logits = {
    .name = "logits",
    .summary = "write the logits after every token to a safetensors file",
    .details = "Needs no tokenizer.  The logits do not depend on --chunk, --threads or --no-fuse.",
    .operands = operands,
    .tables = {{rows, 0}},
    .runs_model = true,
    .options_bytes = sizeof(logits_options),
    .run = run_logits,
};
