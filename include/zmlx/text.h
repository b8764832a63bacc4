/* text.h - strings and token ids that the library hands out.
 *
 * The caller frees what a call filled in; freeing an empty one does nothing.  A call that
 * fails leaves it empty. */
#ifndef ZMLX_TEXT_H
#define ZMLX_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "zmlx/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zmlx_string {
    char *bytes; /* UTF-8 unless said otherwise; a NUL follows the last byte */
    size_t length;
} zmlx_string;

typedef struct zmlx_ids {
    int32_t *items;
    size_t count;
} zmlx_ids;

ZMLX_API void zmlx_string_free(zmlx_string *string);
ZMLX_API void zmlx_ids_free(zmlx_ids *ids);

#ifdef __cplusplus
}
#endif
#endif
