#include "cli/check_report.h"

#include <stdio.h>

#include "cli/output.h"

enum { EXACT_TEXT = 80 };

typedef struct totals {
    size_t kernels, skipped, cases, checks;
} totals;

/* The row at 'index', added to the totals. */
static bool next_row(const zmlx_check *check, size_t index, zmlx_check_row *row, totals *all)
{
    if (index >= zmlx_check_count(check) || zmlx_check_describe(check, index, row) != ZMLX_OK)
        return false;
    all->kernels += row->usable;
    all->skipped += !row->usable;
    all->cases += row->cases;
    all->checks += row->checks;
    return true;
}

/* An object for each type: errors, and their bounds. */
static json_t *errors_object(const zmlx_check_row *row)
{
    json_t *object = json_object();
    for (size_t i = 0; i < row->dtype_count; i++) {
        const zmlx_check_errors *e = &row->errors[i];
        (void)json_object_set_new(
            object, e->dtype,
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "nmse", zx_cli_json_real(e->nmse),
                      "row_max", zx_cli_json_real(e->row_max), "ulps", zx_cli_json_real(e->ulps),
                      "nmse_bound", zx_cli_json_real(e->nmse_bound), "row_max_bound",
                      zx_cli_json_real(e->row_max_bound), "ulps_bound",
                      zx_cli_json_real(e->ulps_bound)));
    }
    return object;
}

static json_t *row_object(const zmlx_check_row *row)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:o, s:b}", "kernel", row->kernel,
                               "op", row->op, "backend", row->backend, "usable", (int)row->usable,
                               "cases", (json_int_t)row->cases, "checks", (json_int_t)row->checks,
                               "errors", errors_object(row), "holds", (int)(row->broken == NULL));
    if (row->broken == NULL) return object;
    (void)json_object_set_new(object, "broken", json_string(row->broken));
    (void)json_object_set_new(object, "about", json_string(row->about));
    (void)json_object_set_new(object, "seed", json_integer((json_int_t)row->seed));
    (void)json_object_set_new(object, "command", json_string(row->command));
    return object;
}

static int print_objects(const zx_cli_common *common, const zmlx_check *check)
{
    totals all = {0};
    zmlx_check_row row;
    zmlx_check_property property;
    json_t *kernels = json_array(), *properties = json_object();
    for (size_t i = 0; next_row(check, i, &row, &all); i++)
        (void)json_array_append_new(kernels, row_object(&row));
    for (size_t i = 0; i < zmlx_check_property_count(); i++)
        if (zmlx_check_describe_property(check, i, &property) == ZMLX_OK)
            (void)json_object_set_new(properties, property.name,
                                      json_integer((json_int_t)property.held));
    return zx_cli_print_json(
        common, json_pack("{s:o, s:o, s:I, s:I, s:I}", "kernels", kernels, "properties", properties,
                          "cases", (json_int_t)all.cases, "checks", (json_int_t)all.checks,
                          "broken", (json_int_t)zmlx_check_broken(check)));
}

static bool is_exact(const zmlx_check_errors *e)
{
    return e->row_max_bound <= 0 && e->nmse <= 0 && e->row_max <= 0 && e->ulps <= 0;
}

/* A line for a type whose values may differ, or do. */
static void print_errors(const zmlx_check_errors *e)
{
    if (is_exact(e)) return;
    zx_cli_print("    %-9s NMSE %.2g (at most %.2g), row max %.2g (%.2g), ULPs %.4g (%.4g)\n",
                 e->dtype, e->nmse, e->nmse_bound, e->row_max, e->row_max_bound, e->ulps,
                 e->ulps_bound);
}

static void print_row(const zmlx_check_row *row)
{
    if (!row->usable) {
        zx_cli_print("%-36s not checked: it cannot run here\n", row->kernel);
        return;
    }
    char exact[EXACT_TEXT] = "";
    int used = 0;
    for (size_t i = 0; i < row->dtype_count && used < EXACT_TEXT; i++)
        if (is_exact(&row->errors[i]))
            used += snprintf(exact + used, (size_t)(EXACT_TEXT - used), "%s%s",
                             used > 0 ? " " : ", every bit of ", row->errors[i].dtype);
    zx_cli_print("%-36s %6zu %7zu  %s%s\n", row->kernel, row->cases, row->checks,
                 row->broken != NULL ? "BROKEN"
                 : row->cases == 0   ? "no case fits"
                                     : "holds",
                 exact);
    for (size_t i = 0; i < row->dtype_count; i++) print_errors(&row->errors[i]);
    if (row->broken == NULL) return;
    zx_cli_print("    %s does not hold of\n    %s\n    %s\n", row->broken, row->about,
                 row->command);
}

static void print_table(const zmlx_check *check)
{
    totals all = {0};
    zmlx_check_row row;
    zmlx_check_property property;
    zx_cli_print("%-36s %6s %7s\n", "KERNEL", "CASES", "CHECKS");
    for (size_t i = 0; next_row(check, i, &row, &all); i++) print_row(&row);
    zx_cli_print("\n%-14s %6s\n", "PROPERTY", "HELD");
    for (size_t i = 0; i < zmlx_check_property_count(); i++)
        if (zmlx_check_describe_property(check, i, &property) == ZMLX_OK && property.held > 0)
            zx_cli_print("%-14s %6zu  %s\n", property.name, property.held, property.text);
    zx_cli_print("\n%zu kernels on %zu cases, %zu checks: %zu broken", all.kernels, all.cases,
                 all.checks, zmlx_check_broken(check));
    if (all.skipped > 0) zx_cli_print("; %zu cannot run here", all.skipped);
    zx_cli_print("\n");
}

int zx_cli_check_kernels(const zx_cli_common *common, const zmlx_check_options *options)
{
    zmlx_check *check = NULL;
    int code = ZX_CLI_OK;
    const zmlx_status status = zmlx_check_kernels(options, &check);
    if (status != ZMLX_OK) return zx_cli_fail_library(common, status);
    if (common->json)
        code = print_objects(common, check);
    else
        print_table(check);
    if (code == ZX_CLI_OK && zmlx_check_broken(check) > 0) code = ZX_CLI_CHECK;
    zmlx_check_close(check);
    return code;
}
