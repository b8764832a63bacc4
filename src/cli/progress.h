/* progress.h - the library's log lines and progress reports, on stderr.
 *
 * On a terminal progress is one line, redrawn at most ten times a second; elsewhere one plain line
 * per tenth of the work.  NO_COLOR turns colours off, --quiet everything but warnings. */
#ifndef ZX_CLI_PROGRESS_H
#define ZX_CLI_PROGRESS_H

#include "cli/command.h"

/* Takes the library's log and progress from here on. */
void zx_cli_progress_start(const zx_cli_common *common);

/* Wipes the progress line, where there is one, so that something else can be printed. */
void zx_cli_progress_clear(void);

/* Seconds of a clock that never goes back. */
double zx_cli_seconds(void);

#endif
