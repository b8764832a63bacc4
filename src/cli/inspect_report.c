/* inspect_report.c - prints whatever members the report has: scalars as "name: value", objects as
 * an indented block, lists of objects as one line each.  Nothing is printed by name except the list
 * of tensors, which is long and waits to be asked for. */
#include "cli/inspect_report.h"

#include <stdio.h>
#include <string.h>

#include "cli/output.h"

enum { INDENT = 2, NAME_WIDTH = 22, DEPTH = 4 };

static void print_scalar(const json_t *value)
{
    if (json_is_string(value))
        zx_cli_write(json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        zx_cli_print("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        zx_cli_print("%.6g", json_real_value(value));
    else
        zx_cli_print("%s", json_is_true(value) ? "yes" : (json_is_false(value) ? "no" : "none"));
}

/* "name: value" pairs on one line. */
static void print_flat(json_t *object)
{
    const char *key;
    json_t *value;
    const char *comma = "";
    json_object_foreach(object, key, value)
    {
        if (json_is_object(value) || (json_is_array(value) && json_array_size(value) == 0))
            continue;
        zx_cli_print("%s", comma);
        comma = ", ";
        if (strcmp(key, "name") != 0) zx_cli_print("%s ", key);
        if (!json_is_array(value)) {
            print_scalar(value);
            continue;
        }
        for (size_t i = 0; i < json_array_size(value); i++) {
            zx_cli_print(i > 0 ? ", " : "[");
            print_scalar(json_array_get(value, i));
        }
        zx_cli_print("]");
    }
    zx_cli_print("\n");
}

static void print_list(const json_t *array, int indent)
{
    zx_cli_print("\n");
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *item = json_array_get(array, i);
        zx_cli_print("%*s", indent, "");
        if (json_is_object(item)) {
            print_flat(item);
        } else {
            print_scalar(item);
            zx_cli_print("\n");
        }
    }
}

static void print_members(json_t *object, int depth, bool tensors)
{
    const char *key;
    json_t *value;
    const int indent = depth * INDENT;
    json_object_foreach(object, key, value)
    {
        if (json_is_array(value) && json_array_size(value) == 0) continue;
        zx_cli_print("%*s%s:%*s", indent, "", key,
                     (int)(strlen(key) + (size_t)indent < NAME_WIDTH
                               ? NAME_WIDTH - strlen(key) - (size_t)indent
                               : 1),
                     "");
        if (json_is_object(value) && depth < DEPTH) {
            zx_cli_print("\n");
            print_members(value, depth + 1, tensors);
        } else if (json_is_array(value) && strcmp(key, "tensors") == 0 && !tensors) {
            zx_cli_print("%zu (--tensors lists them)\n", json_array_size(value));
        } else if (json_is_array(value)) {
            print_list(value, indent + INDENT);
        } else if (json_is_object(value)) {
            print_flat(value);
        } else {
            print_scalar(value);
            zx_cli_print("\n");
        }
    }
}

void zx_cli_print_inspection(json_t *object, bool tensors)
{
    print_members(object, 0, tensors);
}
