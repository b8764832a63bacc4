/* cmd_inspect.c - what a model or file holds, judged from headers; or the model's graph. */
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/inspect_report.h"
#include "cli/output.h"
#include "cli/run.h"

typedef struct inspect_options {
    zx_cli_common common;
    const char *file;
    bool graph, dot, no_fuse, tensors;
} inspect_options;

static const zx_cli_operand operands[] = {
    {"FILE", "a model as for other commands, or one .safetensors or .gguf file",
     offsetof(inspect_options, file), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "tensors",
     .kind = ZX_CLI_FLAG,
     .help = "list every tensor",
     .offset = offsetof(inspect_options, tensors)},
    {.name = "graph",
     .kind = ZX_CLI_FLAG,
     .help = "print the model's graph instead",
     .offset = offsetof(inspect_options, graph)},
    {.name = "dot",
     .kind = ZX_CLI_FLAG,
     .help = "the graph as Graphviz text; means --graph",
     .offset = offsetof(inspect_options, dot)},
    {.name = "no-fuse",
     .kind = ZX_CLI_FLAG,
     .help = "the graph as traced, without fusions",
     .offset = offsetof(inspect_options, no_fuse)},
    {.name = NULL},
};

static int print_graph(const inspect_options *options)
{
    const zx_cli_common *common = &options->common;
    zx_cli_run run = {.common = common};
    zmlx_string text = {0};
    int code = zx_cli_open_model(&run, options->file);
    if (code == ZX_CLI_OK) {
        const zmlx_graph_options how = {.no_fuse = options->no_fuse,
                                        .dot = options->dot,
                                        .precision = (zmlx_precision)common->precision};
        const zmlx_status status = zmlx_model_print_graph(run.model, &how, &text);
        if (status != ZMLX_OK)
            code = zx_cli_fail_library(common, status);
        else if (common->json)
            code = zx_cli_print_json(
                common, json_pack("{s:o}", "graph", zx_cli_json_text(text.bytes, text.length)));
        else
            zx_cli_write(text.bytes, text.length);
    }
    zmlx_string_free(&text);
    zx_cli_close(&run);
    return code;
}

static int run_inspect(const void *raw)
{
    const inspect_options *options = raw;
    const zx_cli_common *common = &options->common;
    zmlx_string text = {0};
    if (options->graph || options->dot) return print_graph(options);
    const zmlx_status status = zmlx_inspect(options->file, &text);
    if (status != ZMLX_OK) return zx_cli_fail_library(common, status);
    int code = ZX_CLI_OK;
    json_t *report = json_loadb(text.bytes, text.length, JSON_ALLOW_NUL, NULL);
    if (report == NULL) {
        code = zx_cli_fail(common, ZMLX_ERROR_MEMORY, "the report does not fit in memory");
    } else if (common->json) {
        code = zx_cli_print_json(common, report);
    } else {
        zx_cli_print_inspection(report, options->tensors);
        json_decref(report);
    }
    zmlx_string_free(&text);
    return code;
}

const zx_command zx_command_inspect = {
    .name = "inspect",
    .summary = "say what a model or weight file holds",
    .details = "Reads headers alone.  The memory shown is what 'zmlx generate' would need at that\n"
               "context.",
    .operands = operands,
    .tables = {{rows, 0}},
    .runs_model = true,
    .options_bytes = sizeof(inspect_options),
    .run = run_inspect,
};
