#include "cli/check_report.h"

#include "cli/output.h"

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

static json_t *row_object(const zmlx_check_row *row)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:o, s:o, s:o, s:b}", "kernel", row->kernel, "op",
                  row->op, "backend", row->backend, "usable", (int)row->usable, "cases",
                  (json_int_t)row->cases, "checks", (json_int_t)row->checks, "nmse",
                  zx_cli_json_real(row->nmse), "row_max", zx_cli_json_real(row->row_max), "ulps",
                  zx_cli_json_real(row->ulps), "holds", (int)(row->broken == NULL));
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

static void print_row(const zmlx_check_row *row)
{
    if (!row->usable) {
        zx_cli_print("%-36s not checked: it cannot run here\n", row->kernel);
        return;
    }
    zx_cli_print("%-36s %6zu %7zu %9.2g %9.2g %7.4g  %s\n", row->kernel, row->cases, row->checks,
                 row->nmse, row->row_max, row->ulps,
                 row->broken != NULL ? "BROKEN"
                 : row->cases == 0   ? "no case fits"
                                     : "holds");
    if (row->broken == NULL) return;
    zx_cli_print("    %s does not hold of\n    %s\n    %s\n", row->broken, row->about,
                 row->command);
}

static void print_table(const zmlx_check *check)
{
    totals all = {0};
    zmlx_check_row row;
    zmlx_check_property property;
    zx_cli_print("%-36s %6s %7s %9s %9s %7s\n", "KERNEL", "CASES", "CHECKS", "NMSE", "ROW MAX",
                 "ULPS");
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
