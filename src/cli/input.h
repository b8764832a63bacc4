/* input.h - what the user hands over besides options: files, standard input, lists of ids. */
#ifndef ZX_CLI_INPUT_H
#define ZX_CLI_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "cli/command.h"

typedef struct zx_cli_buffer { /* {0} is an empty one */
    char *bytes;               /* a NUL follows the last byte once something was appended */
    size_t length, capacity;
} zx_cli_buffer;

/* False where memory ran out. */
bool zx_cli_buffer_append(zx_cli_buffer *buffer, const char *bytes, size_t length);
void zx_cli_buffer_free(zx_cli_buffer *buffer);

/* These print what is wrong and return the exit code, ZX_CLI_OK where all is well. */

/* The whole file; "-" is standard input.  'option' is what messages call it. */
int zx_cli_read_file(const zx_cli_common *common, const char *option, const char *path,
                     zx_cli_buffer *content);

/* Standard input where it is a file or pipe; at a terminal 'missing' is the message. */
int zx_cli_read_stdin(const zx_cli_common *common, const char *missing, zx_cli_buffer *content);

/* Whether these bytes are UTF-8; 'name' is what the message calls them. */
int zx_cli_check_text(const zx_cli_common *common, const char *name, const char *bytes,
                      size_t length);

typedef struct zx_cli_ids {
    int32_t *items;
    size_t count;
} zx_cli_ids;

/* "1,2,3", with blanks and newlines and in brackets if one likes, or @F: the file F holds that. */
int zx_cli_read_ids(const zx_cli_common *common, const char *option, const char *text,
                    zx_cli_ids *ids);
void zx_cli_ids_free(zx_cli_ids *ids);

#endif
