/* bench_report.c - a benchmark's report as JSON, CSV and tables. */
#include "cli/bench_report.h"

#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "cli/output.h"

static const char *precision_name(const zx_cli_bench *bench)
{
    return zx_cli_precisions[bench->report.precision];
}

/* A name without the folders before it, as tables have little room. */
static const char *short_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static json_t *samples(const zmlx_bench_test *test)
{
    json_t *array = json_array();
    for (size_t i = 0; i < test->samples; i++)
        (void)json_array_append_new(array, zx_cli_json_real(test->samples_ts[i]));
    return array;
}

static json_t *test_object(const zx_cli_bench *bench, const zmlx_bench_test *test)
{
    return json_pack(
        "{s:o, s:s, s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:b, s:o, s:o, s:o, s:I, s:o, "
        "s:o, s:o, s:I, s:o}",
        "model_filename", zx_cli_json_text(bench->model.path, strlen(bench->model.path)),
        "model_type", bench->model.architecture, "model_size",
        (json_int_t)bench->model.weight_bytes, "model_n_params",
        (json_int_t)bench->model.parameters, "backend", bench->common->device, "cpu_info",
        bench->report.cpu_features != NULL ? bench->report.cpu_features : "", "n_prompt",
        (json_int_t)test->n_prompt, "n_gen", (json_int_t)test->n_gen, "n_depth",
        (json_int_t)test->n_depth, "n_threads", (json_int_t)bench->report.threads, "precision",
        precision_name(bench), "fused", (int)test->fused, "avg_ts", zx_cli_json_real(test->avg_ts),
        "stddev_ts", zx_cli_json_real(test->stddev_ts), "samples_ts", samples(test),
        "bytes_per_token", (json_int_t)test->bytes_per_token, "read_loop_gbs",
        zx_cli_json_real(test->read_loop_gbs), "read_share", zx_cli_json_real(test->read_share),
        "allocs_per_step", zx_cli_json_real(test->allocs_per_step), "peak_memory",
        (json_int_t)bench->report.peak_memory, "fingerprint",
        zx_cli_json_fingerprint(&bench->report.fingerprint));
}

int zx_cli_bench_json(const zx_cli_bench *bench)
{
    json_t *tests = json_array();
    for (size_t i = 0; i < bench->report.tests; i++)
        (void)json_array_append_new(tests, test_object(bench, &bench->report.test[i]));
    return zx_cli_print_json(bench->common, json_pack("{s:o, s:I}", "tests", tests, "peak_memory",
                                                      (json_int_t)bench->report.peak_memory));
}

int zx_cli_bench_jsonl(const zx_cli_bench *bench)
{
    int code = ZX_CLI_OK;
    for (size_t i = 0; code == ZX_CLI_OK && i < bench->report.tests; i++)
        code = zx_cli_print_json(bench->common, test_object(bench, &bench->report.test[i]));
    return code;
}

/* In quotes, quotes doubled, as CSV wants it. */
static void print_quoted(const char *text)
{
    zx_cli_write("\"", 1);
    for (; *text != '\0'; text++) {
        if (*text == '"') zx_cli_write("\"", 1);
        zx_cli_write(text, 1);
    }
    zx_cli_write("\"", 1);
}

int zx_cli_bench_csv(const zx_cli_bench *bench)
{
    char fingerprint[ZMLX_FINGERPRINT_TEXT];
    zmlx_fingerprint_print(&bench->report.fingerprint, fingerprint);
    zx_cli_print("model_filename,model_type,model_size,model_n_params,backend,n_prompt,n_gen,"
                 "n_depth,n_threads,precision,fused,avg_ts,stddev_ts,bytes_per_token,"
                 "read_loop_gbs,read_share,allocs_per_step,peak_memory,fingerprint\n");
    for (size_t i = 0; i < bench->report.tests; i++) {
        const zmlx_bench_test *test = &bench->report.test[i];
        print_quoted(bench->model.path);
        zx_cli_print(",\"%s\",%zu,%zu,\"%s\"", bench->model.architecture, bench->model.weight_bytes,
                     bench->model.parameters, bench->common->device);
        zx_cli_print(",%zu,%zu,%zu,%zu,\"%s\",%d,%.6g,%.6g,%zu,%.6g,%.6g,%.6g,%zu,\"%s\"\n",
                     test->n_prompt, test->n_gen, test->n_depth, bench->report.threads,
                     precision_name(bench), (int)test->fused, test->avg_ts, test->stddev_ts,
                     test->bytes_per_token, test->read_loop_gbs, test->read_share,
                     test->allocs_per_step, bench->report.peak_memory, fingerprint);
    }
    return ZX_CLI_OK;
}

/* "pp512", "tg128", "tg128 @ d1024": llama-bench's names. */
static void name_test(const zmlx_bench_test *test, char *name, size_t size)
{
    char depth[32] = "";
    if (test->n_depth > 0) (void)snprintf(depth, sizeof depth, " @ d%zu", test->n_depth);
    if (test->n_gen > 0)
        (void)snprintf(name, size, "tg%zu%s", test->n_gen, depth);
    else
        (void)snprintf(name, size, "pp%zu%s", test->n_prompt, depth);
}

int zx_cli_bench_md(const zx_cli_bench *bench)
{
    char name[96];
    char rate[64];
    const char *model = short_name(bench->model.path);
    const int width = (int)(strlen(model) > 20 ? strlen(model) : 20);
    zx_cli_print("| %-*s | %10s | %8s | %-7s | %7s | %-9s | %-5s | %15s | %20s |\n", width, "model",
                 "size", "params", "backend", "threads", "precision", "fused", "test", "t/s");
    zx_cli_print("| ");
    for (int i = 0; i < width; i++) zx_cli_print("-");
    zx_cli_print(" | ---------: | -------: | ------- | ------: | --------- | ----- | "
                 "--------------: | -------------------: |\n");
    for (size_t i = 0; i < bench->report.tests; i++) {
        const zmlx_bench_test *test = &bench->report.test[i];
        name_test(test, name, sizeof name);
        (void)snprintf(rate, sizeof rate, "%.2f ± %.2f", test->avg_ts, test->stddev_ts);
        zx_cli_print("| %-*s | %6.2f MiB | %6.2f M | %-7s | %7zu | %-9s | %-5s | %15s | %21s |\n",
                     width, model, (double)bench->model.weight_bytes / (1 << 20),
                     (double)bench->model.parameters * 1e-6, bench->common->device,
                     bench->report.threads, precision_name(bench), test->fused ? "yes" : "no", name,
                     rate);
    }
    for (size_t i = 0; i < bench->report.tests; i++) {
        const zmlx_bench_test *test = &bench->report.test[i];
        if (test->n_gen == 0 || test->read_loop_gbs <= 0) continue;
        name_test(test, name, sizeof name);
        zx_cli_print("%s%s, %s: reads %.1f MB per token, %.0f %% of the read loop's %.1f GB/s; %g "
                     "allocations per step\n",
                     i == 0 || bench->report.test[i - 1].n_gen == 0 ? "\n" : "", name,
                     test->fused ? "fused" : "unfused", (double)test->bytes_per_token * 1e-6,
                     test->read_share * 100, test->read_loop_gbs, test->allocs_per_step);
    }
    return ZX_CLI_OK;
}

static const zmlx_bench_test *find_test(const zmlx_bench_report *report, bool decode, bool fused)
{
    for (size_t i = 0; i < report->tests; i++)
        if ((report->test[i].n_gen > 0) == decode && report->test[i].fused == fused)
            return &report->test[i];
    return NULL;
}

/* Right-aligned; '±' is two bytes and one column. */
static void print_cell(const char *text, size_t width)
{
    size_t columns = 0;
    for (const char *at = text; *at != '\0'; at++) columns += ((unsigned char)*at & 0xC0) != 0x80;
    zx_cli_print(" %*s%s |", (int)(width > columns ? width - columns : 0), "", text);
}

static void print_cells(const char *label, const char *fused, const char *unfused,
                        const char *ratio)
{
    zx_cli_print("| %-36s |", label);
    print_cell(fused, 16);
    print_cell(unfused, 16);
    print_cell(ratio, 15);
    zx_cli_print("\n");
}

static void print_rates(const zmlx_bench_report *report, bool decode)
{
    char label[64];
    char cells[3][64] = {"", "", ""};
    const zmlx_bench_test *fused = find_test(report, decode, true);
    const zmlx_bench_test *unfused = find_test(report, decode, false);
    const zmlx_bench_test *any = fused != NULL ? fused : unfused;
    if (any == NULL) return;
    (void)snprintf(label, sizeof label, "%s, %zu tokens (tokens/s)", decode ? "decode" : "prompt",
                   decode ? any->n_gen : any->n_prompt);
    if (fused != NULL)
        (void)snprintf(cells[0], sizeof cells[0], "%.1f ± %.1f", fused->avg_ts, fused->stddev_ts);
    if (unfused != NULL)
        (void)snprintf(cells[1], sizeof cells[1], "%.1f ± %.1f", unfused->avg_ts,
                       unfused->stddev_ts);
    if (fused != NULL && unfused != NULL && unfused->avg_ts > 0)
        (void)snprintf(cells[2], sizeof cells[2], "%.2f", fused->avg_ts / unfused->avg_ts);
    print_cells(label, cells[0], cells[1], cells[2]);
}

int zx_cli_bench_summary(const zx_cli_bench *bench)
{
    const zmlx_bench_report *report = &bench->report;
    const zmlx_bench_test *fused = find_test(report, true, true);
    const zmlx_bench_test *unfused = find_test(report, true, false);
    const zmlx_bench_test *any = fused != NULL ? fused : unfused;
    char cells[3][64] = {"", "", ""};
    (void)snprintf(cells[0], sizeof cells[0], "%s, %zu thread%s", precision_name(bench),
                   report->threads, report->threads == 1 ? "" : "s");
    print_cells(cells[0], "fused", "unfused", "fused / unfused");
    print_cells("------------------------------------",
                "---------------:", "---------------:", "--------------:");
    print_rates(report, false);
    print_rates(report, true);
    if (any != NULL) {
        cells[0][0] = '\0';
        if (fused != NULL)
            (void)snprintf(cells[0], sizeof cells[0], "%.0f %%", fused->read_share * 100);
        if (unfused != NULL)
            (void)snprintf(cells[1], sizeof cells[1], "%.0f %%", unfused->read_share * 100);
        print_cells("decode's share of the read loop", cells[0], cells[1], "");
        (void)snprintf(cells[2], sizeof cells[2], "%.1f", any->read_loop_gbs);
        print_cells("read loop of this machine (GB/s)", cells[2], "", "");
    }
    (void)snprintf(cells[0], sizeof cells[0], "%.0f", (double)report->peak_memory / (1 << 20));
    print_cells("peak memory (MiB)", cells[0], "", "");
    return ZX_CLI_OK;
}
