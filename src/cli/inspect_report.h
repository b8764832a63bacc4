/* inspect_report.h - the object that zmlx_inspect returns, as text for people. */
#ifndef ZX_CLI_INSPECT_REPORT_H
#define ZX_CLI_INSPECT_REPORT_H

#include <jansson.h>
#include <stdbool.h>

void zx_cli_print_inspection(const json_t *report, bool tensors);

#endif
