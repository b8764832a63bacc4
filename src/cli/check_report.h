/* check_report.h - 'zmlx kernels --check': runs it and prints what it found. */
#ifndef ZX_CLI_CHECK_REPORT_H
#define ZX_CLI_CHECK_REPORT_H

#include "cli/command.h"

/* The exit code: ZX_CLI_CHECK where a kernel is broken. */
int zx_cli_check_kernels(const zx_cli_common *common, const zmlx_check_options *options);

#endif
