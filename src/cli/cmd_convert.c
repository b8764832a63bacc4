/* cmd_convert.c - a model as an MLX folder: in another dtype, dequantized, or from GGUF. */
#include "cli/command.h"
#include "cli/conversion.h"

typedef struct convert_options {
    zx_cli_common common;
    zx_cli_conversion what;
    bool dequantize;
} convert_options;

static const zx_cli_operand operands[] = {
    {"SRC", zx_cli_source_help, offsetof(convert_options, what.source), false},
    {"DST", zx_cli_target_help, offsetof(convert_options, what.target), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "dequantize",
     .letter = 'd',
     .kind = ZX_CLI_FLAG,
     .help = "write dense what is quantized",
     .offset = offsetof(convert_options, dequantize)},
    {.name = "shard-mib",
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "the most that a file of weights holds, in MiB",
     .offset = offsetof(convert_options, what.shard_mib),
     .value = "5120",
     .minimum = 1,
     .maximum = 1 << 30},
    {.name = NULL},
};

static int run_convert(const void *raw)
{
    const convert_options *options = raw;
    zmlx_convert_options how = {.dequantize = options->dequantize};
    return zx_cli_convert(&options->common, &options->what, &how);
}

const zx_command zx_command_convert = {
    .name = "convert",
    .summary = "write a model as an MLX folder: another dtype, dequantized, or from GGUF",
    .details = "GGUF's Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 keep their codes as MLX's affine mode, "
               "groups of 32;\n"
               "other blocks are written dense, in 16 bits.  DST appears whole or not at all; an\n"
               "interrupted run goes on where it stopped when it is started again.",
    .operands = operands,
    .tables = {{rows, 0}, {zx_cli_conversion_rows, 0}},
    .options_bytes = sizeof(convert_options),
    .run = run_convert,
};
