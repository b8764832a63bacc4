/* wrap.h - one line of text broken into lines of a width, as Python's textwrap does it. */
#ifndef ZX_JINJA_WRAP_H
#define ZX_JINJA_WRAP_H

#include "jinja/value.h"

typedef struct zx_jwrap_style {
    int64_t width;
    bool break_long_words, break_on_hyphens;
    const zx_jstring *separator; /* between the lines */
} zx_jwrap_style;

ZMLX_MUST_CHECK zmlx_status zx_jwrap_line(zx_jrun *run, const zx_jstring *line,
                                          const zx_jwrap_style *style, zx_jbuilder *builder);

#endif
