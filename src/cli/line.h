/* line.h - lines the user types: with editing and history where libedit was built in and both ends
 * are a terminal, plainly elsewhere. */
#ifndef ZX_CLI_LINE_H
#define ZX_CLI_LINE_H

#include "cli/input.h"

typedef struct zx_cli_lines zx_cli_lines;

/* NULL where memory ran out. */
zx_cli_lines *zx_cli_lines_create(const char *prompt);
void zx_cli_lines_destroy(zx_cli_lines *lines);

/* True where both ends are a terminal. */
bool zx_cli_lines_at_terminal(const zx_cli_lines *lines);

typedef enum zx_cli_line {
    ZX_CLI_LINE,      /* there is one, without its newline */
    ZX_CLI_LINE_NONE, /* Ctrl-C dropped it */
    ZX_CLI_LINE_END,  /* the input ended */
} zx_cli_line;

/* Ctrl-C drops the line at a terminal and ends the program elsewhere.  At a terminal interrupts
 * stay caught after it returned, so that one that comes between a line and its answer ends the
 * answer. */
zx_cli_line zx_cli_lines_next(zx_cli_lines *lines, zx_cli_buffer *line);

#endif
