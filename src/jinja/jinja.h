/* jinja.h - chat templates: the part of Jinja2 that published templates use, rendered byte for byte
 * as Python's jinja2 does with the settings of Hugging Face's transformers (trim_blocks,
 * lstrip_blocks, loop controls, generation tags, an immutable sandbox). */
#ifndef ZX_JINJA_JINJA_H
#define ZX_JINJA_JINJA_H

#include <jansson.h>
#include <stdint.h>

#include "base/text.h"
#include "zmlx/status.h"

typedef struct zx_jinja_options { /* zero means the default */
    size_t max_steps;             /* statements and expressions evaluated: 10 million */
    size_t max_output;            /* bytes: 64 MiB */
    int64_t now;                  /* seconds since 1970, of which strftime_now gives UTC; 0: those
                                     of SOURCE_DATE_EPOCH or, in local time, of the clock */
    const char *source;           /* what messages call the template: "chat template" */
} zx_jinja_options;

/* Renders 'template_text' with the members of the object 'variables' and appends the result.
 * Errors name the template's line and the construct; a template's own raise_exception is
 * ZMLX_ERROR_ARGUMENT with its message, a malformed template ZMLX_ERROR_FORMAT, an unknown
 * construct ZMLX_ERROR_UNSUPPORTED. */
ZMLX_MUST_CHECK zmlx_status zx_jinja_render(const char *template_text, size_t length,
                                            const json_t *variables,
                                            const zx_jinja_options *options, zx_text *output);

#endif
