/* format.h - one field of formatted text: what str.format, format() and % have in common.  Only
 * format_*.c include it. */
#ifndef ZX_JINJA_FORMAT_H
#define ZX_JINJA_FORMAT_H

#include "jinja/value.h"

typedef struct zx_jspec {
    uint32_t fill;
    char align;               /* '<', '>', '^', '=' (behind the sign); 0: the type's own */
    char sign;                /* '+', ' ', or '-' and 0: only of negative numbers */
    bool no_negative_zero;    /* z: what is rounded to zero has no sign */
    bool alternate;           /* # */
    char grouping;            /* ',', '_' or 0 */
    char type;                /* 0: none given */
    int64_t width, precision; /* precision -1: none given */
    int64_t digits;           /* an integer has at least so many */
} zx_jspec;

ZMLX_MUST_CHECK zmlx_status zx_jformat_text(zx_jrun *run, zx_jbuilder *builder, zx_jstring *text,
                                            const zx_jspec *spec);
/* Types d b o x X n c. */
ZMLX_MUST_CHECK zmlx_status zx_jformat_integer(zx_jrun *run, zx_jbuilder *builder, int64_t integer,
                                               const zx_jspec *spec);
/* Types e E f F g G n % and none. */
ZMLX_MUST_CHECK zmlx_status zx_jformat_float(zx_jrun *run, zx_jbuilder *builder, double number,
                                             const zx_jspec *spec);

#endif
