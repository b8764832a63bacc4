/* conversion.c - one call of zmlx_convert, from options to report. */
#include "cli/conversion.h"

#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run.h"

const char zx_cli_source_help[] = "the model: an MLX or Hugging Face folder, or a .gguf file";
const char zx_cli_target_help[] = "the folder to write; it must not exist, or be empty";

static const char *const dtypes[] = {"default", "f32", "f16", "bf16", NULL};
static const char *const decodes[] = {"canonical", "mlx-cpu", NULL};

const zx_cli_option zx_cli_conversion_rows[] = {
    {.name = "dtype",
     .kind = ZX_CLI_CHOICE,
     .argument = "T",
     .help = "of what is dense, and of affine scales and biases; default: the source's",
     .offset = offsetof(zx_cli_common, dtype),
     .choices = dtypes},
    {.name = "decode",
     .kind = ZX_CLI_CHOICE,
     .argument = "D",
     .help = "how affine weights are decoded that are read",
     .offset = offsetof(zx_cli_common, decode),
     .choices = decodes},
    {.name = NULL},
};

static bool keep_going(void *user)
{
    (void)user;
    return !zx_cli_interrupted();
}

static int print_report(const zx_cli_common *common, const zx_cli_conversion *what,
                        const zmlx_convert_report *report)
{
    const double bits =
        report->parameters > 0 ? 8.0 * (double)report->bytes / (double)report->parameters : 0;
    if (common->json)
        return zx_cli_print_json(
            common, json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I}", "out",
                              zx_cli_json_text(what->target, strlen(what->target)), "tensors",
                              (json_int_t)report->tensors, "quantized",
                              (json_int_t)report->quantized, "kept", (json_int_t)report->kept,
                              "parameters", (json_int_t)report->parameters, "bytes",
                              (json_int_t)report->bytes, "bits_per_weight", bits, "shards",
                              (json_int_t)report->shards, "reused", (json_int_t)report->reused));
    zx_cli_print("%s: %zu tensors in %zu file%s, %.2f GiB, %.2f bits per weight; %zu modules "
                 "quantized",
                 what->target, report->tensors, report->shards, report->shards == 1 ? "" : "s",
                 (double)report->bytes / (1 << 30), bits, report->quantized);
    if (report->kept > 0) zx_cli_print(", %zu kept as they were", report->kept);
    if (report->reused > 0) zx_cli_print(", %zu files of an earlier run", report->reused);
    zx_cli_print("\n");
    return ZX_CLI_OK;
}

int zx_cli_convert(const zx_cli_common *common, const zx_cli_conversion *what,
                   zmlx_convert_options *options)
{
    zmlx_convert_report report = {0};
    options->dtype = (zmlx_dtype)common->dtype;
    options->mlx_cpu_decode = common->decode == 1;
    options->threads = common->threads;
    options->shard_bytes = what->shard_mib << 20;
    options->keep_going = keep_going;
    zx_cli_catch_interrupt();
    const zmlx_status status = zmlx_convert(what->source, what->target, options, &report);
    zx_cli_release_interrupt();
    zx_cli_progress_clear();
    if (status == ZMLX_OK) return print_report(common, what, &report);
    const int code = zx_cli_fail_library(common, status);
    return report.interrupted ? ZX_CLI_INTERRUPTED : code;
}
