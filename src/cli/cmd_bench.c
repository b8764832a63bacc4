/* cmd_bench.c - how fast the model reads a prompt and decodes here. */
#include <stdint.h>

#include "cli/bench_report.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/run.h"

typedef struct bench_options {
    zx_cli_common common;
    const char *model;
    size_t prompt, generate, depth, repetitions;
    int output;
    bool no_fuse, compare, summary;
} bench_options;

static const char *const outputs[] = {"md", "csv", "jsonl", NULL};

static const zx_cli_operand operands[] = {
    {"MODEL", zx_cli_model_help, offsetof(bench_options, model), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "prompt",
     .letter = 'p',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "tokens of the prompt test; 0: none",
     .offset = offsetof(bench_options, prompt),
     .value = "512",
     .maximum = 1 << 30},
    {.name = "tokens",
     .letter = 'n',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "tokens of the decode test; 0: none",
     .offset = offsetof(bench_options, generate),
     .value = "128",
     .maximum = 1 << 30},
    {.name = "depth",
     .letter = 'd',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "tokens already in the cache",
     .offset = offsetof(bench_options, depth),
     .value = "0",
     .maximum = 1 << 30},
    {.name = "repetitions",
     .letter = 'r',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "how often each test runs",
     .offset = offsetof(bench_options, repetitions),
     .value = "5",
     .minimum = 1,
     .maximum = ZMLX_BENCH_SAMPLES},
    {.name = "no-fuse",
     .kind = ZX_CLI_FLAG,
     .help = "run the graph as traced, without fusions",
     .offset = offsetof(bench_options, no_fuse)},
    {.name = "compare",
     .kind = ZX_CLI_FLAG,
     .help = "fused and unfused, taking turns",
     .offset = offsetof(bench_options, compare)},
    {.name = "summary",
     .kind = ZX_CLI_FLAG,
     .help = "one table with fused beside unfused; means --compare",
     .offset = offsetof(bench_options, summary)},
    {.name = "output",
     .letter = 'o',
     .kind = ZX_CLI_CHOICE,
     .argument = "FORM",
     .help = "a table, comma-separated values, or one JSON object a line; default: md",
     .offset = offsetof(bench_options, output),
     .choices = outputs},
    {.name = NULL},
};

/* In the order of 'outputs'. */
static int (*const print_report[])(const zx_cli_bench *bench) = {
    zx_cli_bench_md,
    zx_cli_bench_csv,
    zx_cli_bench_jsonl,
};

static int print(const bench_options *options, const zx_cli_bench *bench)
{
    if (options->common.json) return zx_cli_bench_json(bench);
    if (options->summary) return zx_cli_bench_summary(bench);
    return print_report[options->output](bench);
}

static int run_bench(const void *raw)
{
    const bench_options *options = raw;
    zx_cli_run run = {.common = &options->common};
    const bool compare = options->compare || options->summary;
    if (options->prompt == 0 && options->generate == 0)
        return zx_cli_fail(run.common, ZMLX_ERROR_ARGUMENT,
                           "-p 0 and -n 0 leave nothing to measure");
    if (options->no_fuse && compare)
        return zx_cli_fail(run.common, ZMLX_ERROR_ARGUMENT, "--no-fuse and --%s exclude each other",
                           options->summary ? "summary" : "compare");
    int code = zx_cli_open_model(&run, options->model);
    if (code == ZX_CLI_OK && options->prompt > 0)
        code = zx_cli_check_context(&run, "--depth and --prompt", options->depth + options->prompt);
    if (code == ZX_CLI_OK && options->generate > 0) /* one token more warms up */
        code = zx_cli_check_context(&run, "--depth, one token and --tokens",
                                    options->depth + 1 + options->generate);
    if (code == ZX_CLI_OK) {
        const zx_cli_needs needs = {.no_fuse = options->no_fuse};
        const zmlx_bench_options how = {
            .prompt = options->prompt > 0 ? options->prompt : SIZE_MAX,
            .generate = options->generate > 0 ? options->generate : SIZE_MAX,
            .depth = options->depth,
            .repetitions = options->repetitions,
            .compare = compare,
            .session = zx_cli_session_options(run.common, &needs),
        };
        zx_cli_bench bench = {.common = run.common, .model = run.info};
        const zmlx_status status = zmlx_bench(run.model, &how, &bench.report);
        code = status == ZMLX_OK ? print(options, &bench) : zx_cli_fail_library(run.common, status);
    }
    zx_cli_close(&run);
    return code;
}

const zx_command zx_command_bench = {
    .name = "bench",
    .summary = "measure tokens per second beside the machine's own limit",
    .details =
        "Depth and test together must fit the model's context; decoding takes one token more to\n"
        "warm up.",
    .operands = operands,
    .tables = {{rows, 0}},
    .runs_model = true,
    .options_bytes = sizeof(bench_options),
    .run = run_bench,
};
