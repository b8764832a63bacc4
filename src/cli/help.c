/* help.c - the text of 'zmlx COMMAND --help', from the command's rows. */
#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "cli/output.h"

enum { LABEL_WIDTH = 26, LINE_WIDTH = 92 };

/* The words of 'text' in lines that all begin at LABEL_WIDTH. */
static void print_wrapped(const char *text, size_t column)
{
    while (*text != '\0') {
        const size_t word = strcspn(text, " ");
        if (column > LABEL_WIDTH && column + 1 + word > LINE_WIDTH) {
            zx_cli_print("\n%*s", LABEL_WIDTH, "");
            column = LABEL_WIDTH;
        } else if (column > LABEL_WIDTH) {
            zx_cli_print(" ");
            column++;
        }
        zx_cli_print("%.*s", (int)word, text);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    zx_cli_print("\n");
}

/* "   -n, --tokens N   " up to LABEL_WIDTH, or on a line of its own. */
static void print_label(const char *label)
{
    zx_cli_print("%-*s", LABEL_WIDTH, label);
    if (strlen(label) >= LABEL_WIDTH) zx_cli_print("\n%*s", LABEL_WIDTH, "");
}

static void print_option(const zx_cli_option *row)
{
    char label[80];
    char text[512];
    char letter[8] = "    ";
    if (row->letter != '\0') (void)snprintf(letter, sizeof letter, "-%c, ", row->letter);
    (void)snprintf(label, sizeof label, "  %s--%s%s%s", letter, row->name,
                   row->argument != NULL ? " " : "", row->argument != NULL ? row->argument : "");
    print_label(label);
    int used = snprintf(text, sizeof text, "%s", row->help);
    if (row->choices != NULL) {
        used += snprintf(text + used, sizeof text - (size_t)used, " (");
        for (size_t i = 0; row->choices[i] != NULL; i++)
            used += snprintf(text + used, sizeof text - (size_t)used, "%s%s", i > 0 ? ", " : "",
                             row->choices[i]);
        used += snprintf(text + used, sizeof text - (size_t)used, ")");
    }
    if (row->value != NULL)
        used += snprintf(text + used, sizeof text - (size_t)used, "; default: %s", row->value);
    if (row->kind == ZX_CLI_LIST)
        (void)snprintf(text + used, sizeof text - (size_t)used, "; may be given again");
    print_wrapped(text, LABEL_WIDTH);
}

static bool print_table(const zx_cli_table *table, void *user)
{
    (void)user;
    for (const zx_cli_option *row = table->rows; row->name != NULL; row++) print_option(row);
    return true;
}

void zx_cli_print_help(const zx_command *command)
{
    zx_cli_print("usage: zmlx %s", command->name);
    const zx_cli_operand *operands = command->operands;
    for (const zx_cli_operand *row = operands; row != NULL && row->name != NULL; row++)
        zx_cli_print(row->optional ? " [%s]" : " %s", row->name);
    zx_cli_print(" [OPTION]...\n\n%s.\n", command->summary);
    if (command->details != NULL) zx_cli_print("\n%s\n", command->details);
    if (operands != NULL && operands->name != NULL) zx_cli_print("\nOperands:\n");
    for (const zx_cli_operand *row = operands; row != NULL && row->name != NULL; row++) {
        char label[80];
        (void)snprintf(label, sizeof label, "  %s", row->name);
        print_label(label);
        print_wrapped(row->help, LABEL_WIDTH);
    }
    zx_cli_print("\nOptions:\n");
    zx_cli_each_table(command, print_table, NULL);
    zx_cli_print("\nExit status: 0 ok, 1 the check failed, 2 bad usage or input, 3 memory "
                 "or device.\n");
}
