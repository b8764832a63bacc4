/* bench_report.h - the forms in which a benchmark's report is printed. */
#ifndef ZX_CLI_BENCH_REPORT_H
#define ZX_CLI_BENCH_REPORT_H

#include "cli/command.h"

typedef struct zx_cli_bench { /* what was measured and where */
    const zx_cli_common *common;
    zmlx_model_info model;
    zmlx_bench_report report;
} zx_cli_bench;

/* Each prints the whole report and returns the exit code. */
int zx_cli_bench_json(const zx_cli_bench *bench);    /* one object with a 'tests' array */
int zx_cli_bench_jsonl(const zx_cli_bench *bench);   /* one object per test */
int zx_cli_bench_csv(const zx_cli_bench *bench);     /* one row per test */
int zx_cli_bench_md(const zx_cli_bench *bench);      /* a table, one row per test */
int zx_cli_bench_summary(const zx_cli_bench *bench); /* a table, fused beside unfused */

#endif
