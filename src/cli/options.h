/* options.h - from argv and rows to a filled struct, and from rows to the text of --help. */
#ifndef ZX_CLI_OPTIONS_H
#define ZX_CLI_OPTIONS_H

#include "cli/command.h"

enum { ZX_CLI_MESSAGE_BYTES = 512 };

/* What --precision may be, by zmlx_precision; NULL at the end. */
extern const char *const zx_cli_precisions[];

/* The rows that every command takes, and those of commands that run a model; both describe a
 * zx_cli_common. */
extern const zx_cli_option zx_cli_common_rows[];
extern const zx_cli_option zx_cli_model_rows[];

/* Calls 'visit' with every table of the command (own ones first, then the common ones) until it
 * returns false. */
void zx_cli_each_table(const zx_command *command,
                       bool (*visit)(const zx_cli_table *table, void *user), void *user);

/* Fills the command's struct, zeroed before.  argv[0] is the command's name.  On bad usage returns
 * false and writes what was wrong and what would be right.  --help ends the parsing. */
bool zx_cli_parse(const zx_command *command, int argc, char **argv, void *options,
                  char message[ZX_CLI_MESSAGE_BYTES]);

/* The help of one command, on stdout. */
void zx_cli_print_help(const zx_command *command);

/* The one of 'count' names that 'word' was probably meant to be, or NULL. */
const char *zx_cli_closest(const char *word, const char *const *names, size_t count);

#endif
