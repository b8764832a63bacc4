/* output.h - what the program prints: results on stdout, errors on stderr, and the exit codes.
 *
 * stdout has one writer, these functions.  The first write that fails is remembered and later
 * ones do nothing: a reader that went away ends the program quietly, anything else (a full device)
 * is an error that zx_cli_finish reports. */
#ifndef ZX_CLI_OUTPUT_H
#define ZX_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/command.h"

typedef enum zx_cli_exit {
    ZX_CLI_OK = 0,
    ZX_CLI_CHECK = 1,    /* the check itself failed */
    ZX_CLI_INPUT = 2,    /* bad usage or input */
    ZX_CLI_RESOURCE = 3, /* memory, device */
    ZX_CLI_INTERRUPTED = 130,
} zx_cli_exit;

/* Opens what the caller left closed of stdin, stdout and stderr, so that no file of ours becomes
 * one of them, and lets writes to a reader that went away fail instead of killing the program. */
void zx_cli_start(void);

/* Buffered; zx_cli_flush hands it to the reader at once. */
void zx_cli_write(const char *bytes, size_t length);
void zx_cli_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void zx_cli_flush(void);

/* False after a write failed: it makes no sense to go on. */
bool zx_cli_writable(void);

/* Flushes; the exit code the program ends with where the command wanted 'code'. */
int zx_cli_finish(const zx_cli_common *common, int code);

/* "zmlx COMMAND: MESSAGE" on stderr, with --json also {"error": ...} on stdout.  Returns the exit
 * code that belongs to the status. */
int zx_cli_fail(const zx_cli_common *common, zmlx_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with the library's message about its last failure. */
int zx_cli_fail_library(const zx_cli_common *common, zmlx_status status);

/* The same, whatever the status says: the check itself failed. */
int zx_cli_fail_check(const zx_cli_common *common, zmlx_status status);

/* Prints the object, and takes it.  NULL (memory ran out while it was made) is a failure. */
int zx_cli_print_json(const zx_cli_common *common, json_t *object);

/* Text that may hold any byte; bytes that are no UTF-8 become '?'. */
json_t *zx_cli_json_text(const char *bytes, size_t length);
/* null where it is no finite number. */
json_t *zx_cli_json_real(double value);
/* {"class": "16 hexadecimal digits", ...} */
json_t *zx_cli_json_fingerprint(const zmlx_fingerprint *fingerprint);
json_t *zx_cli_json_ids(const int32_t *ids, size_t count);

#endif
