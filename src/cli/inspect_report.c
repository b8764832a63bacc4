/* inspect_report.c - the report's members as lines and small tables; what it lacks is left out. */
#include "cli/inspect_report.h"

#include <stdio.h>
#include <string.h>

#include "cli/output.h"

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static long long whole(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key, const char *otherwise)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : otherwise;
}

/* "92.1 MiB", "12 B": at least one digit before the point. */
static const char *size_text(double bytes, char *into, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++) bytes /= 1024;
    (void)snprintf(into, size, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return into;
}

/* "134.52 M", or the number itself below a million. */
static const char *count_text(double count, char *into, size_t size)
{
    if (count < 1e6)
        (void)snprintf(into, size, "%.0f", count);
    else
        (void)snprintf(into, size, "%.2f M", count * 1e-6);
    return into;
}

static void print_head(const json_t *report)
{
    char size[32];
    char count[32];
    zx_cli_print("%s\n  %s, %s", text(report, "path", ""), text(report, "kind", ""),
                 text(report, "architecture", "no architecture"));
    if (json_object_get(report, "family") != NULL)
        zx_cli_print(" (family %s)", text(report, "family", ""));
    zx_cli_print("\n");
    if (whole(report, "layers") > 0)
        zx_cli_print("  %lld layers, hidden size %lld, %lld heads of %lld (%lld for keys and "
                     "values), vocabulary %lld, context %lld\n",
                     whole(report, "layers"), whole(report, "hidden_size"), whole(report, "heads"),
                     whole(report, "head_size"), whole(report, "kv_heads"),
                     whole(report, "vocabulary"), whole(report, "context_length"));
    zx_cli_print("  %s parameters in %s, %.2f bits per weight\n",
                 count_text(number(report, "parameters"), count, sizeof count),
                 size_text(number(report, "bytes"), size, sizeof size),
                 number(report, "bits_per_weight"));
    if (whole(report, "bytes_per_token") > 0)
        zx_cli_print("  a decoded token reads %s of weights; activations are %s\n",
                     size_text(number(report, "bytes_per_token"), size, sizeof size),
                     text(report, "activations", "f32"));
}

static void print_parts(const json_t *parts)
{
    size_t i;
    json_t *part;
    char size[32];
    char count[32];
    if (json_array_size(parts) == 0) return;
    zx_cli_print("\n  %-12s %14s %12s %16s\n", "part", "parameters", "size", "bits per weight");
    json_array_foreach(parts, i, part)
    {
        zx_cli_print("  %-12s %14s %12s %16.2f\n", text(part, "name", ""),
                     count_text(number(part, "parameters"), count, sizeof count),
                     size_text(number(part, "bytes"), size, sizeof size),
                     number(part, "bits_per_weight"));
    }
}

static void print_memory(const json_t *memory)
{
    static const char *const keys[] = {"weights", "kv", "activations", "total"};
    size_t i;
    json_t *row;
    char size[32];
    if (json_array_size(memory) == 0) return;
    zx_cli_print("\n  %-14s %12s %16s %12s %12s\n", "memory at", "weights", "keys and values",
                 "activations", "total");
    json_array_foreach(memory, i, row)
    {
        zx_cli_print("  %7lld tokens", whole(row, "context"));
        for (size_t j = 0; j < sizeof keys / sizeof keys[0]; j++)
            zx_cli_print(" %*s", j == 1 ? 16 : 12,
                         size_text(number(row, keys[j]), size, sizeof size));
        zx_cli_print("\n");
    }
}

static void print_unusual(const json_t *unusual)
{
    size_t i;
    json_t *line;
    if (json_array_size(unusual) > 0) zx_cli_print("\n");
    json_array_foreach(unusual, i, line)
        zx_cli_print("  %s %s\n", i == 0 ? "unusual:" : "        ", json_string_value(line));
}

static void print_tensors(const json_t *tensors, bool all)
{
    size_t i;
    size_t j;
    json_t *tensor;
    json_t *side;
    char size[32];
    zx_cli_print("\n  %zu tensors%s\n", json_array_size(tensors),
                 all ? "" : "; --tensors lists them");
    if (!all) return;
    json_array_foreach(tensors, i, tensor)
    {
        char shape[128] = "";
        const json_t *sides = json_object_get(tensor, "shape");
        json_array_foreach(sides, j, side)
        {
            const size_t used = strlen(shape);
            (void)snprintf(shape + used, sizeof shape - used, "%s%lld", j > 0 ? " x " : "",
                           (long long)json_integer_value(side));
        }
        zx_cli_print("  %-8s %-20s %12s  ", text(tensor, "type", ""), shape,
                     size_text(number(tensor, "bytes"), size, sizeof size));
        const json_t *name = json_object_get(tensor, "name");
        zx_cli_write(json_string_value(name), json_string_length(name));
        zx_cli_print("\n");
    }
}

void zx_cli_print_inspection(const json_t *report, bool tensors)
{
    print_head(report);
    print_parts(json_object_get(report, "parts"));
    print_memory(json_object_get(report, "memory"));
    print_unusual(json_object_get(report, "unusual"));
    print_tensors(json_object_get(report, "tensors"), tensors);
}
