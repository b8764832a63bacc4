/* conversion.h - what quantize and convert share: options of what is written, Ctrl-C, the report.
 */
#ifndef ZX_CLI_CONVERSION_H
#define ZX_CLI_CONVERSION_H

#include "cli/command.h"

typedef struct zx_cli_conversion {
    const char *source, *target;
    size_t shard_mib;
} zx_cli_conversion;

extern const char zx_cli_source_help[], zx_cli_target_help[];

/* --dtype and --decode, which describe a zx_cli_common. */
extern const zx_cli_option zx_cli_conversion_rows[];

/* Fills dtype, decoding, threads, the size of shards and the answer to Ctrl-C; runs it and prints
 * what came of it.  Returns the exit code. */
int zx_cli_convert(const zx_cli_common *common, const zx_cli_conversion *what,
                   zmlx_convert_options *options);

#endif
