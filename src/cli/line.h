/* line.h - lines the user types: with editing and history where libedit was built in and both ends
 * are a terminal, plainly elsewhere. */
#ifndef ZX_CLI_LINE_H
#define ZX_CLI_LINE_H

#include "cli/input.h"

typedef struct zx_cli_lines zx_cli_lines;

/* NULL where memory ran out. */
zx_cli_lines *zx_cli_lines_create(const char *prompt);
void zx_cli_lines_destroy(zx_cli_lines *lines);

/* The next line without its newline; false at the end of the input. */
bool zx_cli_lines_next(zx_cli_lines *lines, zx_cli_buffer *line);

#endif
