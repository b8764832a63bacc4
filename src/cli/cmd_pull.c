/* cmd_pull.c - models from the hub into its cache. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run.h"

typedef struct pull_options {
    zx_cli_common common;
    const char *name;
    size_t jobs;
} pull_options;

static const zx_cli_operand operands[] = {
    {"NAME", "ORG/NAME[@REVISION][:FILE] on the Hugging Face hub", offsetof(pull_options, name),
     false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "jobs",
     .kind = ZX_CLI_SIZE,
     .letter = 'j',
     .argument = "N",
     .help = "files that are fetched at once",
     .offset = offsetof(pull_options, jobs),
     .value = "4",
     .minimum = 1,
     .maximum = 16},
    {.name = NULL},
};

static bool stop(void *user)
{
    (void)user;
    return zx_cli_interrupted();
}

static int print_result(const zx_cli_common *common, const zmlx_pull_result *result)
{
    if (common->json)
        return zx_cli_print_json(
            common,
            json_pack("{s:o, s:s, s:I, s:I, s:I, s:I}", "path",
                      zx_cli_json_text(result->path.bytes, result->path.length), "commit",
                      result->commit, "files", (json_int_t)result->files, "bytes",
                      (json_int_t)result->bytes, "fetched_files", (json_int_t)result->fetched_files,
                      "fetched_bytes", (json_int_t)result->fetched_bytes));
    zx_cli_print("%s\n", result->path.bytes);
    if (!common->quiet)
        (void)fprintf(stderr, "%zu of %zu files fetched, %.1f of %.1f MB\n", result->fetched_files,
                      result->files, (double)result->fetched_bytes / 1e6,
                      (double)result->bytes / 1e6);
    return ZX_CLI_OK;
}

static int run_pull(const void *raw)
{
    const pull_options *options = raw;
    const zx_cli_common *common = &options->common;
    zmlx_pull_result result = {0};
    zx_cli_catch_interrupt();
    const zmlx_status status = zmlx_pull(
        options->name, &(zmlx_pull_options){.jobs = options->jobs, .stop = stop}, &result);
    zx_cli_release_interrupt();
    zx_cli_progress_clear();
    int code = ZX_CLI_OK;
    if (status != ZMLX_OK) {
        code = zx_cli_fail_library(common, status);
    } else if (result.stopped) {
        (void)zx_cli_fail(common, ZMLX_ERROR_IO,
                          "stopped; what came stays, and the same command goes on from there");
        code = ZX_CLI_INTERRUPTED;
    } else {
        code = print_result(common, &result);
    }
    zmlx_pull_result_free(&result);
    return code;
}

const zx_command zx_command_pull = {
    .name = "pull",
    .summary = "fetch a model from the Hugging Face hub into its cache",
    .details = "Only files that zmlx reads are fetched, each is checked against its digest, and\n"
               "one that was cut off is gone on with. Prints the folder of the snapshot; NAME\n"
               "then stands for it wherever MODEL is taken. HF_TOKEN, HF_ENDPOINT, HF_HUB_CACHE\n"
               "and the hub's other variables are honoured.",
    .operands = operands,
    .tables = {{rows, 0}},
    .options_bytes = sizeof(pull_options),
    .run = run_pull,
};
